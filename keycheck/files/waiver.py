"""Waivers: reading one, and deciding whether it counts.

A waiver is an acceptance of a finding by somebody who may accept it: an approver of the profile, who is not
the one who asked, and whose signature over the file's bytes was verified before (`keycheck.evidence.sign`).
It never turns a verdict into a pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from keycheck.errors import ProfileError
from keycheck.files.located import PROFILE_LIMITS, Map, parse, read_bytes
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.validate import validate
from keycheck.model.authorization import AcceptedWaiver, Waiver
from keycheck.model.profile import Clause, Demand, Profile
from keycheck.model.types import parse_instant
from keycheck.model.verdict import Kind

LONGEST: Final = timedelta(days=90)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WAIVABLE: Final = frozenset({Kind.FAIL, Kind.INCONCLUSIVE, Kind.NOT_TESTED, Kind.ERROR})


@dataclass(frozen=True, slots=True)
class LoadedWaiver:
    """A waiver with the bytes that are signed."""

    waiver: Waiver
    text: bytes
    path: Path
    notes: tuple[str, ...]
    """What the user should know though it is no error, as a date that does not parse."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A waiver that does not count, why, and what to do."""

    why: str
    advice: str


def load_waiver(path: Path) -> LoadedWaiver:
    """Read and check a waiver file. A date that does not parse is a note: the waiver counts as expired.

    Raises ProfileError, naming the place of everything that is wrong.
    """
    data = read_bytes(path, str(path), ProfileError, PROFILE_LIMITS)
    waiver, notes = parse_waiver(data, str(path))
    return LoadedWaiver(waiver, data, path, notes)


def parse_waiver(data: bytes, label: str) -> tuple[Waiver, tuple[str, ...]]:
    """The waiver in these bytes, and notes; `label` is shown as the file's name."""
    root = parse(data, label, ProfileError, PROFILE_LIMITS)
    problems = Problems(ProfileError)
    waiver = validate(root, Waiver, problems)
    if waiver is None:
        problems.check()
        raise RuntimeError("a model was refused without a problem")
    if same_person(waiver.requested_by, waiver.approved_by):
        problems.add(
            _place(root, "approved_by"),
            "the approver is the one who asked",
            "let somebody else of the profile's approvers approve and sign it",
        )
    for verdict in waiver.verdicts:
        if verdict not in _WAIVABLE:
            problems.add(
                _place(root, "verdicts"),
                f"`{verdict}` needs no waiver",
                "write fail, inconclusive, not-tested or error",
            )
    problems.check()
    notes = tuple(
        f"{_place(root, key)}: `{key}` is not a date; the waiver counts as expired"
        for key, end in (("granted", _instant(waiver.granted)), ("expires", _end(waiver.expires)))
        if end is None
    )
    return waiver, notes


def _place(root: Map, key: str) -> Place:
    value = root.get(key)
    return value.place if value else root.place


def same_person(one: str, other: str) -> bool:
    """Whether two names are the same but for case, spaces and look-alike encodings."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _instant(text: str) -> datetime | None:
    """An instant, or a date as the start of that UTC day."""
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return parse_instant(text)
    except ValueError:
        return None


def _end(text: str) -> datetime | None:
    """An instant, or a date as the midnight (UTC) that ends it."""
    found = _instant(text)
    if found is None or not _DATE.fullmatch(text):
        return found
    try:
        return found + timedelta(days=1)
    except OverflowError:
        return None


def accept_waiver(waiver: Waiver, signed_by: Collection[str], profile: Profile) -> AcceptedWaiver | Rejected:
    """Whether a waiver counts for a profile. `signed_by` are the key ids whose signatures over the file's
    bytes were verified. A waiver with a malformed date is accepted with an empty time of force."""
    if waiver.profile != profile.profile:
        return Rejected(
            f"waiver {waiver.waiver} is for the profile {waiver.profile}, not for {profile.profile}",
            "pass only this profile's waivers",
        )
    if reason := _scope(waiver, profile):
        return reason
    if same_person(waiver.requested_by, waiver.approved_by):
        return Rejected(
            f"waiver {waiver.waiver}: the approver is the one who asked",
            "let another of the profile's approvers approve and sign it",
        )
    approvers = [one for one in profile.approvers if one.name == waiver.approved_by]
    if not approvers:
        names = [one.name for one in profile.approvers]
        return Rejected(
            f"waiver {waiver.waiver}: {waiver.approved_by} is no approver of {profile.profile}",
            suggestion(waiver.approved_by, names, "approver; name them under `approvers:` in the profile"),
        )
    signers = tuple(sorted({one.key for one in approvers} & set(signed_by)))
    if not signers:
        return Rejected(
            f"waiver {waiver.waiver} is not signed with {waiver.approved_by}'s key",
            "let the approver run `keycheck sign FILE --key KEY`",
        )
    return _in_force(waiver, signers)


def _in_force(waiver: Waiver, signers: tuple[str, ...]) -> AcceptedWaiver | Rejected:
    starts, ends = _instant(waiver.granted), _end(waiver.expires)
    if starts is None or ends is None:
        return AcceptedWaiver(waiver=waiver, signed_by=signers, starts=_NEVER, ends=_NEVER)
    if ends - starts > LONGEST:
        return Rejected(
            f"waiver {waiver.waiver} runs longer than {LONGEST.days} days",
            f"let it end {LONGEST.days} days after `granted` at the latest, and renew it then if need be",
        )
    return AcceptedWaiver(waiver=waiver, signed_by=signers, starts=starts, ends=ends)


def _scope(waiver: Waiver, profile: Profile) -> Rejected | None:
    """A waiver that can never meet a finding is a mistake that must be seen."""
    clause = next((one for one in profile.clauses if one.id == waiver.clause), None)
    if clause is None:
        return Rejected(
            f"waiver {waiver.waiver}: {profile.profile} has no clause {waiver.clause}",
            suggestion(waiver.clause, (one.id for one in profile.clauses), "clause"),
        )
    controls = _controls(clause)
    if waiver.control not in controls:
        return Rejected(
            f"waiver {waiver.waiver}: clause {clause.id} does not demand {waiver.control}",
            suggestion(waiver.control, controls, "control in this clause"),
        )
    return None


def _controls(clause: Clause) -> tuple[str, ...]:
    return tuple(one.control_id for one in clause.requires if isinstance(one, Demand))
