"""`keycheck fields`: list the formats, propose a field map, look at one export alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated, get_args

import typer

from keycheck.errors import DeploymentError, UsageError
from keycheck.model.verdict import ExitCode
from probes.fields.subjects import Layout

app = typer.Typer(
    name="fields",
    help="Whether sensitive columns of an export are encrypted.",
    rich_markup_mode=None,
    add_completion=False,
)

LAYOUTS: tuple[str, ...] = ("auto", *get_args(Layout))
PROFILE = "fields"
"""The shipped profile that demands every control over fields."""


@app.callback()
def fields() -> None:
    """Whether sensitive columns of an export are encrypted."""


@app.command()
def formats() -> int:
    """List the formats that are recognised, by the names that a field map uses."""
    from probes.fields.formats.catalogue import FORMATS

    width = max(len(each.id) for each in FORMATS)
    for each in sorted(FORMATS, key=lambda each: each.id):
        kind = "envelope" if each.envelope else "no envelope"
        sys.stdout.write(f"{each.id:<{width}}  {kind:<11}  {each.title}\n")
    return int(ExitCode.MET)


@app.command(name="map")
def map_(
    export: Annotated[list[str], typer.Argument(help="Files, globs, directories, s3:// or gs:// locations.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the deployment here; default: stdout.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, max=100_000, help="Rows to look at in each file.")] = 2_000,
    layout: Annotated[
        str, typer.Option("--format", help="auto, parquet, ndjson, json, csv, tsv, avro or text.")
    ] = "auto",
) -> int:
    """Propose a field map from a sample of an export, for a person to correct.

    Prints a deployment with one data set: each column with the class and the format that its first values look like.
    Values are never printed. What is proposed is a guess about a sample, and proves nothing.
    """
    from probes.fields.propose import proposal

    if layout not in LAYOUTS:
        near = get_close_matches(layout, LAYOUTS, n=1)
        raise UsageError(
            f"there is no layout {layout!r}",
            advice=f"did you mean {near[0]}?" if near else "leave --format away, or see `keycheck fields map --help`",
        )
    text = proposal(tuple(export), layout, rows, Path.cwd(), Path.cwd() if out is None else out.parent.resolve())
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            with out.open("x") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}", advice="name a file that is not there yet") from error
        sys.stderr.write(f"keycheck: wrote {out}; correct it, then: keycheck fields scan --map {out}\n")
    return int(ExitCode.MET)


@app.command()
def scan(
    ctx: typer.Context,
    map_: Annotated[Path, typer.Option("--map", "-m", help="A deployment file with the data set's field map.")],
    export: Annotated[
        list[str] | None, typer.Argument(help="Files to look at instead of those that the map names.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Id of the data set, where the map has several.")
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", "-p", help="Another profile than every control over fields.")
    ] = PROFILE,
    engine: Annotated[
        str, typer.Option("--engine", help="processes[:N], threads, dask[:N] or dask://HOST:PORT.")
    ] = "processes",
    out: Annotated[Path, typer.Option("--out", help="Directory for the bundle.")] = Path("keycheck-runs"),
    output: Annotated[list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=PATH]")] = None,
    key: Annotated[Path | None, typer.Option("--key", "-k", help="The key that signs.")] = None,
    passphrase: Annotated[
        str | None, typer.Option("--passphrase", help="Where the key's passphrase is: env:NAME or file:PATH.")
    ] = None,
) -> int:
    """Look at one export alone, with every control over fields: `keycheck run` on one data set.

    Without an `opening` in the map nothing is decrypted, and what only the key can show stays inconclusive (exit 3).
    """
    with _deployment(map_, dataset, tuple(export or ())) as (path, name):
        arguments = ["run", str(path), "--profile", profile, "--engine", engine, "--out", str(out)]
        arguments += ["--only", f"datasets/{name}"]
        for each in output or ():
            arguments += ["--output", each]
        if key is not None:
            arguments += ["--key", str(key)]
        if passphrase is not None:
            arguments += ["--passphrase", passphrase]
        # The same verb, so that one export alone is seen exactly as a whole contract sees it.
        root = ctx.find_root()
        return int(root.command.main(arguments, prog_name="keycheck", standalone_mode=False, obj=root.obj))


@contextmanager
def _deployment(path: Path, wanted: str | None, export: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The deployment to run on, and the id of the data set. One data set of several, or other files than the map's,
    stand in a copy beside it, because everything else in it is relative to its directory. Raises DeploymentError,
    UsageError."""
    from keycheck.files.deployment import load_deployment
    from keycheck.registry import load_registry

    names = [
        entry.id.partition("/")[2] for entry in load_deployment(path, load_registry()).deployment.in_section("datasets")
    ]
    if wanted is None and len(names) > 1:
        raise UsageError(f"{path} has {len(names)} data sets", advice=f"name one: --dataset {', '.join(names)}")
    name = wanted or next(iter(names), "")
    if name not in names:
        raise DeploymentError(
            f"{path} has no data set{f' {wanted!r}' if wanted else ''}",
            advice=f"it has {', '.join(names)}" if names else "propose one with `keycheck fields map EXPORT`",
        )
    if not export and len(names) == 1:
        yield path, name
        return
    text = _replaced(path.read_text(), name, export)
    try:
        handle, copy = mkstemp(dir=path.parent, prefix=".keycheck-scan-", suffix=".yaml", text=True)
    except OSError as error:
        raise UsageError(
            f"{path.parent}: {error.strerror}", advice="put the export's files into the map, or copy the map elsewhere"
        ) from error
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        yield Path(copy), name
    finally:
        Path(copy).unlink(missing_ok=True)


def _replaced(text: str, name: str, export: tuple[str, ...]) -> str:
    """The deployment with this data set alone, of other files where some are given; it was checked before, so its
    shape is known."""
    import yaml

    whole = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - BaseLoader makes only text, lists and mappings
    (one,) = whole["datasets"] = [each for each in whole["datasets"] if each["id"] == name]
    if export:
        kind = one["source"].get("kind", "files")
        if kind == "table":
            raise UsageError(f"data set {name} is a live table", advice="leave EXPORT away")
        if kind == "none":  # now there is one
            one["source"] = {"kind": "files"}
        one["source"]["files"] = [_absolute(location) for location in export]
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def _absolute(location: str) -> str:
    return location if "://" in location else str(Path.cwd() / location)
