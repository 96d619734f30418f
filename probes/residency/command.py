"""`keycheck residency`: what the area adds to the command line, besides `keycheck ranges`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keycheck.errors import UsageError
from keycheck.model.verdict import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keycheck.evidence.reader import BundleReader
    from keycheck.model.control import Sighting
    from keycheck.model.profile import Profile
    from probes.places.scopes import Scope
    from probes.residency.physics.polygons import Polygons
    from probes.residency.picture.scene import Scene

app = typer.Typer(
    name="residency",
    help="Where endpoints, stores, copies and AI inference are.",
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def residency() -> None:
    """Where endpoints, stores, copies and AI inference are."""


@app.command("map")
def draw(
    source: Annotated[
        Path, typer.Argument(help="A bundle that `keycheck run` wrote; or a deployment file, to draw what it declares.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write; it must not exist yet.")] = Path(
        "residency.html"
    ),
    borders: Annotated[
        Path | None, typer.Option("--borders", help="Country polygons, GeoJSON, to draw outlines from.")
    ] = None,
    jurisdiction: Annotated[
        list[str] | None,
        typer.Option("--jurisdiction", "-j", help="EU, DE, …; repeatable. Default: what the bundle's profile says."),
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option("--key", "-k", help="A signer's public key; repeatable. Default: your own.")
    ] = None,
) -> int:
    """Draw where things are, what shows it, and which edges leave: one HTML page without scripts.

    A bundle is verified first; of a deployment file only what it declares is drawn. Exit 0: drawn; 5: the evidence
    does not verify.
    """
    from probes.residency.picture.page import page

    if source.suffix in (".yaml", ".yml"):
        drawn, scope = _declared(source, jurisdiction or ["EU"])
    else:
        drawn, scope = _observed(source, jurisdiction or [], key or [])
    text = page(drawn, _polygons(borders), scope.countries())
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{out} is there already", advice="name another file with --out, or move it away") from None
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", advice="name another file with --out") from None
    typer.echo(f"drawn: {out}, {len(drawn.things)} things, {len(drawn.open_ends)} open ends", err=True)
    return int(ExitCode.MET)


def _declared(path: Path, jurisdiction: list[str]) -> tuple[Scene, Scope]:
    from keycheck.files.deployment import load_deployment
    from keycheck.registry import load_registry
    from probes.residency.picture.declared import declared_scene

    scope = _scope_of(jurisdiction)
    return declared_scene(load_deployment(path, load_registry()).deployment, scope), scope


def _observed(bundle: Path, jurisdiction: list[str], keys: list[Path]) -> tuple[Scene, Scope]:
    from keycheck.evidence.reader import BundleReader
    from keycheck.evidence.trusted import existing, trusted_keys
    from keycheck.evidence.verify import verify_reader
    from keycheck.model.profile import Profile
    from probes.residency.picture.scene import scene

    with BundleReader.open(existing(bundle)) as reader:
        verify_reader(reader, trusted_keys(keys))
        profile = Profile.model_validate_json(reader.inputs()["profile.json"])
        scope = _scope(jurisdiction, profile)
        seen = tuple(_sightings(reader))
    if not seen:
        raise UsageError(
            f"{bundle} holds nothing about places",
            advice="run a profile with residency controls first, such as `--profile residency`",
        )
    title = f"{profile.title}: {bundle.name}"
    return scene(title, f"Drawn from {bundle.name}, which verifies.", seen, scope), scope


@app.command()
def detectors() -> int:
    """List the kinds of identifiers that prompts are looked through for."""
    from probes.fields.hunt.detectors import DETECTORS

    for detector in sorted(DETECTORS, key=lambda one: one.kind):
        sure = "by grammar or checksum" if detector.sure else "where chance does not explain it"
        typer.echo(f"{detector.kind:20}{sure}")
    return int(ExitCode.MET)


def _scope(named: list[str], profile: Profile) -> Scope:
    """The jurisdiction: as asked, or the first that the profile's controls of residency hold places against."""
    from keycheck.model.profile import Demand

    given: object = named
    if not named:
        demands = (one for clause in profile.clauses for one in clause.requires if isinstance(one, Demand))
        told = (one.with_.parsed().get("jurisdiction") for one in demands)
        given = next((one for one in told if one is not None), None)
        if given is None:
            raise UsageError("the bundle's profile names no jurisdiction", advice="name it: --jurisdiction EU")
    return _scope_of(given)


def _scope_of(given: object) -> Scope:
    from pydantic import ValidationError

    from probes.places.scopes import Scope

    try:
        return Scope.model_validate(given)
    except ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"that is no jurisdiction: {words}", advice="write EU, or ISO 3166 codes such as DE") from None


def _sightings(reader: BundleReader) -> Iterator[tuple[str, Sighting]]:
    """Everything in the evidence that has a place."""
    from keycheck.model.control import Sighting
    from keycheck.model.facts import Seen
    from keycheck.model.observation import Observation
    from probes.residency.facts import AddressFacts, ClosureFacts, InferenceFacts, NamesFacts, RosterFacts

    kinds = {kind.schema_id: kind for kind in (AddressFacts, NamesFacts, ClosureFacts, InferenceFacts, RosterFacts)}
    for line in reader.observations():
        one = Observation.model_validate_json(line)
        kind = kinds.get(one.schema_id)
        if kind is not None and isinstance(one.outcome, Seen):
            facts = kind.model_validate_json(one.outcome.facts)
            yield one.subject, Sighting(one.part, one.vantage, one.outcome.assurance, facts)


def _polygons(path: Path | None) -> Polygons | None:
    from probes.residency.physics.polygons import MAX_BYTES, read_polygons

    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return read_polygons(file.read(MAX_BYTES + 1))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}", advice="bring a GeoJSON feature collection of countries") from None
