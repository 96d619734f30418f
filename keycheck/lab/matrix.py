"""The matrix: every defect on the practice vendor, what it promises to show, and what a run showed.

A run on a defective world must show every promised (control, verdict) on the endpoint that the defect sits on,
and everywhere else exactly what the clean world shows. Anything missing is a miss, anything else a false alarm.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final, TypeAlias

from keycheck.evidence.keys import SigningKey
from keycheck.executors import Factory, PoolKind, local
from keycheck.lab.data_sites import DataDefect, clean_data_sets
from keycheck.lab.defect import Promise
from keycheck.lab.defects import DEFECTS, AnyDefect, Choice, choose, find
from keycheck.lab.drill_defects import DRILL_CONTROLS, DrillDefect
from keycheck.lab.key_sites import clean_keys
from keycheck.lab.paperwork import Papers, write_papers
from keycheck.lab.residency_parts import RESIDENCY
from keycheck.lab.residency_plan import residency_subjects
from keycheck.lab.rotation_defects import ROTATION_CONTROLS, RotationDefect
from keycheck.lab.vendor import clean_vendor
from keycheck.lab.world import SECTIONS, Lab
from keycheck.model.assessment import Assessment
from keycheck.model.drill import Wish
from keycheck.model.observation import Observation
from keycheck.model.verdict import Kind
from keycheck.registry import Registry
from keycheck.resolve import system_resolver
from keycheck.session import Outcome, Request, Watch, World, prepare, run_contract, silently
from keycheck.units import Advance

Shown: TypeAlias = Mapping[tuple[str, str], Kind]
"""(control id, subject) -> verdict, planned promises left out."""

GOOD: Final = (Kind.PASS, Kind.NOT_APPLICABLE)
_BY_DRILLS: Final = (*DRILL_CONTROLS, *ROTATION_CONTROLS, "fields.revoked")
_PLACED: Final = ("residency.", "stores.", "prompts.")
"""Controls over places begin so."""
UNDRILLED: Final = frozenset({"notes-g", "archive", "hold", "backups", "exports-g"})
"""Keys of the practice customer that have no canary, so that no drill is offered for them."""


class Silent:
    """A watch that shows nothing."""

    def begin(self, expected: int) -> None:
        """Nothing."""

    def saw(self, observation: Observation) -> None:
        """Nothing."""

    def advanced(self, advance: Advance) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def world(factory: Factory = local) -> World:
    """The real world, as the lab uses it."""
    return World(_utc_now, secrets.token_bytes, system_resolver, factory)


def _in_one_process(kind: PoolKind, workers: int) -> Executor:
    """Threads for everything: starting processes takes longer than reading a small export."""
    return local("threads", workers)


def observe(
    lab: Lab,
    registry: Registry,
    out: Path,
    watch: Watch | None = None,
    signer: SigningKey | None = None,
    *,
    drills: Wish | None = None,
    only: tuple[str, ...] = (),
    say: Callable[[str], None] = silently,
    factory: Factory = local,
) -> tuple[Outcome, Papers]:
    """One whole run on a lab that is up. `signer` is a key to sign with instead of a new one."""
    papers = write_papers(lab, datetime.now(UTC))
    request = Request(papers.deployment, str(papers.profile), only, authorization=papers.authorization, drills=drills)
    prepared = prepare(request, registry)
    key = signer or SigningKey.load(papers.signer)
    there = replace(world(factory), drills=lab.home / "drills")
    return run_contract(prepared, registry, there, out, key, watch or Silent(), Event(), say), papers


def shown(assessment: Assessment) -> Shown:
    """What the assessment says of each control on each subject; the worst where clauses disagree."""
    worst: dict[tuple[str, str], Kind] = {}
    order = list(Kind)
    for finding in assessment.findings:
        if finding.subject is None:
            continue
        key = (finding.control.partition("@")[0], finding.subject)
        if key not in worst or order.index(finding.verdict) > order.index(worst[key]):
            worst[key] = finding.verdict
    return worst


@dataclass(frozen=True, slots=True)
class Row:
    """One defect: what was expected of its subject, and what was seen anywhere."""

    defect: AnyDefect
    subject: str
    expected: frozenset[Promise]
    seen: frozenset[Promise]
    """What differs from the clean world on the defect's subject."""
    elsewhere: frozenset[tuple[str, str, str]]
    """(subject, control, verdict) that differ from the clean world elsewhere in its section: false alarms."""

    @property
    def holds(self) -> bool:
        """Nothing missing, nothing besides."""
        return self.expected == self.seen and not self.elsewhere


def compare(choice: Choice, clean: Shown, now: Shown) -> Row:
    """What changed against the clean world, in the section that the defect sits in."""
    home = choice.subject
    before = {key: verdict for key, verdict in clean.items() if key[1].startswith(f"{choice.defect.section}/")}
    changed = {key: verdict for key, verdict in now.items() if before.get(key) != verdict}
    gone = dict.fromkeys(before.keys() - now.keys(), Kind.ERROR)
    everything = changed | gone
    return Row(
        defect=choice.defect,
        subject=home,
        expected=choice.defect.promises,
        seen=frozenset((control, str(verdict)) for (control, at), verdict in everything.items() if at == home),
        elsewhere=frozenset((at, control, str(v)) for (control, at), v in everything.items() if at != home),
    )


def clean_for(defects: Sequence[AnyDefect], registry: Registry) -> Shown:
    """What the honest vendor shows of all that these defects sit in."""
    placed = [defect.served == RESIDENCY for defect in defects]
    if all(placed):
        return placed_world(registry)
    return clean_world(registry) if any(placed) else unplaced_world(registry)


def clean_world(registry: Registry) -> Shown:
    """What the honest vendor shows, of everything."""
    return {**unplaced_world(registry), **placed_world(registry)}


def unplaced_world(registry: Registry) -> Shown:
    """What the honest vendor shows but for its places, its revoke drill included."""
    with TemporaryDirectory(prefix="keycheck-lab-") as home, Lab(Path(home), sections=SECTIONS) as lab:
        return shown(observe(lab, registry, Path(home), drills=Wish(confirmed=True))[0].assessment)


def placed_world(registry: Registry) -> Shown:
    """What the honest vendor shows of its places, which are served apart from the rest."""
    with TemporaryDirectory(prefix="keycheck-lab-") as home, Lab(Path(home), sections=frozenset({RESIDENCY})) as lab:
        return _placed(lab, registry, home, "*")


def _placed(lab: Lab, registry: Registry, home: str, subject: str) -> Shown:
    """What the controls over places show; nothing else is asked."""
    only = tuple(f"{subject}:{area}*" for area in _PLACED)
    seen = shown(observe(lab, registry, Path(home), only=only, factory=_in_one_process)[0].assessment)
    return {key: kind for key, kind in seen.items() if key[0].startswith(_PLACED)}


COPIED_UNDER: Final = {"archive": "stores/exports"}
"""Keys that the copy of a store is sealed with, and the store."""


def expected_of(names: Sequence[str], clean: Shown) -> Shown:
    """The clean world with the promises of several defects put in; the worst where two meet."""
    with_promises = dict(clean)
    order = list(Kind)
    places = {
        "endpoints": [site.id for site in clean_vendor()],
        "keys": [key.id for key in clean_keys()],
        "datasets": [data.id for data in clean_data_sets()],
        **residency_subjects(),
    }
    for choice in choose(names, places):
        for control, verdict in choice.defect.promises:
            key = (control, choice.subject)
            if order.index(Kind(verdict)) >= order.index(with_promises.get(key, Kind.PASS)) or (
                with_promises.get(key) in GOOD
            ):
                with_promises[key] = Kind(verdict)
        _told_elsewhere(choice, with_promises)
    return with_promises


def _told_elsewhere(choice: Choice, shown: dict[tuple[str, str], Kind]) -> None:
    """What is wrong with a key is seen from what lies under it, too: the drill on it is told of exports, and its
    replica is reached from the store whose copy is sealed with it."""
    copied = ("residency.copies", COPIED_UNDER.get(choice.at, ""))
    if ("keys.location", "fail") in choice.defect.promises and copied in shown:
        shown[copied] = Kind.FAIL
    if isinstance(choice.defect, DrillDefect) and ("keys.revocation", "fail") in choice.defect.promises:
        for data in clean_data_sets():
            key = ("fields.revoked", f"datasets/{data.id}")
            if data.key == choice.at and shown.get(key) is Kind.PASS:
                shown[key] = Kind.INCONCLUSIVE


def false_alarms(clean: Shown) -> frozenset[tuple[str, str, str]]:
    """Everything on the honest vendor that neither passes nor is proved not to apply."""
    return frozenset(
        (at, control, str(v))
        for (control, at), v in clean.items()
        if v not in GOOD and not (control in _BY_DRILLS and at.partition("/")[2] in UNDRILLED)
    )


def row(name: str, clean: Shown, registry: Registry) -> Row:
    """Serve one defect and compare."""
    with TemporaryDirectory(prefix="keycheck-lab-") as home, Lab(Path(home), [name]) as lab:
        (choice,) = lab.choices
        probe: str
        controls: tuple[str, ...]
        match choice.defect:
            case each if each.served == RESIDENCY:
                now = _placed(lab, registry, home, choice.subject)
                return compare(choice, _of(clean, choice.subject), _of(now, choice.subject))
            case DataDefect():
                only = (f"{choice.subject}:fields.column",)
                seen = observe(lab, registry, Path(home), only=only, factory=_in_one_process)[0].assessment
                now = _without_drills(shown(seen))
                return compare(choice, _of(_without_drills(clean), choice.subject), _of(now, choice.subject))
            case DrillDefect():
                probe, controls = "keys.revocation", DRILL_CONTROLS
            case RotationDefect():
                probe, controls = "keys.rotation", ROTATION_CONTROLS
            case _:
                before, now = (_of_lines_and_keys(each) for each in (clean, _seen(lab, registry, home)))
                return compare(choice, before, now)
        only = (f"{choice.subject}:{probe}",)
        now = shown(observe(lab, registry, Path(home), drills=Wish(confirmed=True), only=only)[0].assessment)
        return compare(choice, _drills(clean, choice.subject, controls), _drills(now, choice.subject, controls))


def _seen(lab: Lab, registry: Registry, home: str) -> Shown:
    return shown(observe(lab, registry, Path(home), only=("*:tls*", "*:keys.*"))[0].assessment)


def _of_lines_and_keys(seen: Shown) -> Shown:
    """Without drills, and without places, which a defect of TLS or of a key leaves as they are or makes unknown."""
    return {key: kind for key, kind in _without_drills(seen).items() if not key[0].startswith(_PLACED)}


def _drills(seen: Shown, subject: str, controls: Sequence[str]) -> Shown:
    """What only such a drill can show, of the key that it turned."""
    return {key: kind for key, kind in seen.items() if key[0] in controls and key[1] == subject}


def _of(seen: Shown, subject: str) -> Shown:
    return {key: kind for key, kind in seen.items() if key[1] == subject}


def _without_drills(seen: Shown) -> Shown:
    return {key: kind for key, kind in seen.items() if key[0] not in _BY_DRILLS}


def named(names: Sequence[str]) -> tuple[str, ...]:
    """The defects asked for, or all. Raises LabError for one that does not exist, before anything runs."""
    for name in names:
        find(name.partition("@")[0])
    return tuple(names) or tuple(defect.id for defect in DEFECTS)


def rows(names: Sequence[str], clean: Shown, registry: Registry) -> Iterator[Row]:
    """One row a defect, in the order asked for."""
    return (row(name, clean, registry) for name in names)
