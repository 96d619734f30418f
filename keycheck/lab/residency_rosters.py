"""Rosters of subprocessors: what the practice vendor lists now and listed before, and what it announced.

Defects are functions from a roster to a roster. Everybody on them is made up.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from keycheck.lab.defect import Defect
from keycheck.lab.key_sites import APP, G_APP
from keycheck.lab.residency_parts import RESIDENCY, Entry
from keycheck.lab.residency_places import FRANKFURT

ROSTERS: Final = "rosters"
"""Directory in the lab's home."""
_NOW_DAYS, _BEFORE_DAYS = 1, 120
"""How long ago both were fetched."""


class RosterForm(StrEnum):
    """How a vendor publishes its roster."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Member:
    """One subprocessor as a roster lists it."""

    name: str
    location: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Announced:
    """A change of which the customer was told so many days ago."""

    party: str
    days_ago: int


@dataclass(frozen=True, slots=True)
class Known:
    """A party as the contract knows it: where its service answers, and its principals in key policies."""

    name: str
    hosts: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RosterSite:
    """One roster."""

    id: str
    form: RosterForm
    before: tuple[Member, ...]
    now: tuple[Member, ...]
    announced: tuple[Announced, ...] = ()
    has_before: bool = True
    parties: tuple[Known, ...] = ()
    """What the contract knows of parties."""

    def with_member(self, member: Member) -> RosterSite:
        """The same with one more on both lists."""
        return replace(self, before=(*self.before, member), now=(*self.now, member))


class RosterDefect(Defect[RosterSite]):
    """A defect of one roster."""

    __slots__ = ()
    section = "subprocessors"
    served = RESIDENCY


_VENDOR: Final = "Practice CRM"
_OWN: Final = Known(_VENDOR, principals=(APP, G_APP))
_HOSTING: Final = Member("Practice Hosting GmbH", "Frankfurt, Germany", "Hosting")
_MAIL: Final = Member("Correo Isleño S.L.", "Las Palmas, Canary Islands, Spain", "Outgoing mail")
_DESK: Final = Member("Support Océan SARL", "Saint-Denis, La Réunion", "Second-line support at night")
# called London, and in Ireland
_NAMED_LONDON: Final = Member("London Tickets Ltd", "Dublin, Ireland", "Ticket system")
_SEARCH: Final = Member("Suchwerk AG", "Berlin, Germany", "Full-text search")
_SEARCH_MOVED: Final = replace(_SEARCH, location="Vienna, Austria")


def clean_rosters() -> tuple[RosterSite, ...]:
    """Every roster of the honest vendor; each change was announced more than a month before the roster was fetched."""
    return (
        RosterSite(
            "crm-subprocessors",
            RosterForm.JSON,
            (_HOSTING, _MAIL),
            (_HOSTING, _MAIL, _DESK),
            (Announced("Support Océan", 80),),
            # by the ranges of its address in Frankfurt
            parties=(_OWN, Known(_HOSTING.name, hosts=(FRANKFURT.address(250),))),
        ),
        RosterSite(
            "search-subprocessors",
            RosterForm.CSV,
            (_HOSTING, _NAMED_LONDON, _SEARCH),
            (_HOSTING, _NAMED_LONDON, _SEARCH_MOVED),
            (Announced("Suchwerk", 60),),
            parties=(_OWN,),
        ),
        RosterSite(
            "mail-subprocessors", RosterForm.HTML, (_HOSTING, _MAIL, _NAMED_LONDON), (_HOSTING, _MAIL), parties=(_OWN,)
        ),
    )


def write_roster(home: Path, site: RosterSite, now: datetime) -> Entry:
    """Write both files; the roster's place in the section `subprocessors`."""
    where = home / ROSTERS
    where.mkdir(exist_ok=True)
    names = {when: f"{ROSTERS}/{site.id}-{when}.{site.form.value}" for when in ("now", "before")}
    for when, members in (("now", site.now), ("before", site.before)):
        if when == "now" or site.has_before:
            (home / names[when]).write_text(_written(site.form, members), encoding="utf-8")
    previous = {"previous": names["before"], "previous_fetched": _days(now, _BEFORE_DAYS)} if site.has_before else {}
    return {
        "id": site.id,
        "current": names["now"],
        "fetched": _days(now, _NOW_DAYS),
        **previous,
        "notices": [{"party": each.party, "received": _days(now, each.days_ago)} for each in site.announced],
        "parties": [
            {"name": one.name, "hosts": list(one.hosts), "principals": list(one.principals)} for one in site.parties
        ],
        "vendor": _VENDOR,
    }


def _days(now: datetime, ago: int) -> str:
    return f"{now - timedelta(days=ago):%Y-%m-%dT%H:%M:%SZ}"


_HEADING: Final = ("Name", "Location", "Purpose")


def _written(form: RosterForm, members: Sequence[Member]) -> str:
    rows = [(member.name, member.location, member.purpose) for member in members]
    match form:
        case RosterForm.JSON:
            heading = [name.lower() for name in _HEADING]
            listed = [dict(zip(heading, row, strict=True)) for row in rows]
            return json.dumps({"subprocessors": listed}, ensure_ascii=False, indent=1) + "\n"
        case RosterForm.CSV:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows((_HEADING, *rows))
            return text.getvalue()
        case RosterForm.HTML:
            cells = "".join(
                f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in row)}</tr>\n"
                for tag, row in (("th", _HEADING), *(("td", row) for row in rows))
            )
            return (
                "<!doctype html>\n<title>Subprocessors</title>\n<h1>Who helps us</h1>\n"
                f"<table>\n{cells}</table>\n<p>Questions? Ask us.</p>\n"
            )
