"""The parties that a roster lists, and what changed since the one before. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.places.countries import codes
from probes.places.country_names import countries_in
from probes.residency.flow_facts import Change, Listed
from probes.residency.rosters.tables import Row, Table, folded
from probes.residency.subjects import Notice

_NAME: Final = ("name", "subprocessor", "sub processor", "company", "entity", "entity name", "processor", "vendor",
                "party", "supplier", "organisation", "organization", "legal entity")  # fmt: skip
_PLACE: Final = ("location", "country", "countries", "place", "region", "locations", "data location",
                 "location of processing", "processing location", "hosting location", "place of processing",
                 "data center location", "entity country", "jurisdiction", "geographic location")  # fmt: skip
_PURPOSE: Final = ("purpose", "service", "services", "activity", "function", "description", "processing activity",
                   "description of processing", "nature of processing")  # fmt: skip
_SINCE: Final = ("added", "since", "date added", "effective", "effective date", "start date")
MAX_UNREAD: Final = 32


def listed(table: Table) -> tuple[tuple[Listed, ...], tuple[Unseen, ...]]:
    """The parties, sorted by name, and the rows that were not understood."""
    found: list[Listed] = []
    unread: list[Unseen] = []
    if table.left_out:
        unread.append(_unseen(f"{table.left_out} rows are not like the others"))
    for number, row in enumerate(table.rows, 1):
        name = _first(row, _NAME)
        if not name:
            unread.append(
                _unseen(f"row {number} names nobody: a column must be headed by one of {', '.join(_NAME[:4])}")
            )
            continue
        words = _all(row, _PLACE)
        found.append(
            Listed(
                name=vendor_text(name, 200),
                countries=tuple(sorted(countries_in(words))[:64]),
                words=vendor_text(words, 300),
                purpose=vendor_text(purpose, 300) if (purpose := _first(row, _PURPOSE)) else None,
                added=_day(_first(row, _SINCE)),
            )
        )
    if len(unread) > MAX_UNREAD:
        unread = [*unread[:MAX_UNREAD], _unseen(f"{len(unread) - MAX_UNREAD} more rows name nobody")]
    return tuple(sorted(found, key=lambda one: (one.name, one.words, one.purpose or ""))), tuple(unread)


OLD: Final = timedelta(days=400)
"""A notice that came so long before the roster from before announced something else."""


def changes(
    before: Sequence[Listed], now: Sequence[Listed], notices: Iterable[Notice], since: datetime | None = None
) -> tuple[Change, ...]:
    """What differs, sorted by party. A party is known by its name without case and punctuation; its legal form counts,
    as another company of the group is another party. `since`: when the roster from before was fetched."""
    told: dict[str, datetime] = {}
    for notice in notices:
        if since is None or notice.received > since - OLD:
            key = party(notice.party)
            told[key] = min(told.get(key, notice.received), notice.received)
    old, new = _by_party(before), _by_party(now)
    found: list[Change] = []
    for key in sorted(old.keys() | new.keys()):
        was, is_ = old.get(key, ()), new.get(key, ())
        name = (is_ or was)[0].name
        noticed = told.get(party(name))
        if not was or not is_:
            kind, told_of = ("added", is_) if is_ else ("removed", was)
            words = "; ".join(dict.fromkeys(one.words for one in told_of)) or None
            found.append(
                Change(
                    party=name,
                    kind="added" if kind == "added" else "removed",
                    before=None if is_ else words,
                    after=words if is_ else None,
                    noticed=noticed,
                )
            )
            continue
        if _places(was) != _places(is_):
            found.append(Change(party=name, kind="moved", before=_places(was), after=_places(is_), noticed=noticed))
        if _purposes(was) != _purposes(is_):
            found.append(
                Change(party=name, kind="purpose", before=_purposes(was), after=_purposes(is_), noticed=noticed)
            )
    return tuple(found)


_FORMS: Final = re.compile(
    r"\b(?:inc|incorporated|llc|ltd|limited|gmbh|ag|sa|s a|sas|sarl|bv|b v|nv|plc|corp|corporation|oy|ab|as|aps|srl"
    r"|spa|kg|co)\b"
)


def party(name: str) -> str:
    """A party's name as notices and contracts write it: without its legal form."""
    plain = folded(name)
    return " ".join(_FORMS.sub(" ", plain).split()) or plain


def _by_party(entries: Iterable[Listed]) -> dict[str, tuple[Listed, ...]]:
    found: dict[str, tuple[Listed, ...]] = {}
    for entry in entries:
        key = folded(entry.name).replace(" ", "")
        found[key] = (*found.get(key, ()), entry)
    return found


def _places(entries: Sequence[Listed]) -> str:
    """The countries; the words where no country is understood, since these may hide one."""
    codes = sorted({code for entry in entries for code in entry.countries})
    odd = sorted({entry.words for entry in entries if not entry.countries})
    return vendor_text(", ".join([*codes, *odd]), 400)


def _purposes(entries: Sequence[Listed]) -> str:
    return vendor_text("; ".join(sorted({entry.purpose or "" for entry in entries})), 400)


def _first(row: Row, names: Sequence[str]) -> str:
    return next((row[name].strip() for name in names if row.get(name, "").strip()), "")


_WHERE: Final = codes("location locations country countries place places region regions jurisdiction hosting")
_NO_PLACE: Final = codes("mechanism safeguard safeguards type name date")


def _all(row: Row, names: Sequence[str]) -> str:
    """Every column that says where: a seat and a place of processing may differ, and headings are the vendor's."""
    also = [name for name in row if _WHERE & {*name.split()} and not _NO_PLACE & {*name.split()}]
    return "; ".join(dict.fromkeys(row[name].strip() for name in (*names, *also) if row.get(name, "").strip()))


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _unseen(detail: str) -> Unseen:
    return Unseen(reason=Reason.MALFORMED, detail=vendor_text(detail))
