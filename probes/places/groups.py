"""Named groups of countries as a contract writes them: dated, versioned, with their sources. Pure.

A group changes: the Union had 28 members until the end of January 2020, and decisions on adequacy come, lapse and are
annulled. So a group is named with the date from which its membership counts (`EU@2020-02-01`), and adequacy always with
the date at which it is asked. What evidence names that way is the same set for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

from probes.places.countries import codes

KNOWN_TO: Final = date(2026, 5, 1)
"""The tables say nothing about membership and decisions after this day."""

EU_MEMBERS: Final = codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
"""The 27 member states since 1 February 2020 (Treaty on European Union, article 52)."""

OUTERMOST: Final = codes("GF GP MF MQ RE YT")
"""Outermost regions with ISO codes of their own (TFEU, articles 349 and 355(1)). The Azores, Madeira and the Canary
Islands are outermost regions too, and inside PT and ES."""

OVERSEAS: Final = codes("AW BL BQ CW GL NC PF PM SX TF WF")
"""Overseas countries and territories (TFEU, article 355(2) and annex II; GL since 1985, BL since 2012): not in the
Union. Nor are FO, GG, IM, JE and the base areas on Cyprus (355(5)); Gibraltar left it with the United Kingdom."""

_TERRITORY: Final = EU_MEMBERS | OUTERMOST | {"AX"}
"""Where the treaties apply; Åland by article 355(4)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Members of a named group from a day on.

    `conditional` members belong only where a legal predicate holds that no place shows: code to the predicate's name.
    """

    name: str
    since: date
    members: frozenset[str]
    source: str
    conditional: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def version(self) -> str:
        """As evidence names it: `EU@2020-02-01`."""
        return f"{self.name}@{self.since.isoformat()}"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the European Commission that a country protects personal data adequately.

    In force from `since` up to, and without, `until`. With a `predicate` it covers only recipients for whom the
    predicate holds.
    """

    country: str
    act: str
    since: date
    until: date | None = None
    predicate: str | None = None


PIPEDA: Final = "pipeda"
"""The recipient in Canada is subject to the Personal Information Protection and Electronic Documents Act."""
SAFE_HARBOUR: Final = "us-safe-harbour"
PRIVACY_SHIELD: Final = "eu-us-privacy-shield"
DPF: Final = "eu-us-dpf"
"""The recipient in the United States is certified under the EU-US Data Privacy Framework, for this kind of data."""

DECISIONS: Final = (
    Decision("CH", "2000/518/EC", date(2000, 7, 26)),
    Decision("US", "2000/520/EC", date(2000, 7, 26), date(2015, 10, 6), SAFE_HARBOUR),
    Decision("CA", "2002/2/EC", date(2001, 12, 20), predicate=PIPEDA),
    Decision("AR", "2003/490/EC", date(2003, 6, 30)),
    Decision("GG", "2003/821/EC", date(2003, 11, 21)),
    Decision("IM", "2004/411/EC", date(2004, 4, 28)),
    Decision("JE", "2008/393/EC", date(2008, 5, 8)),
    Decision("FO", "2010/146/EU", date(2010, 3, 5)),
    Decision("AD", "2010/625/EU", date(2010, 10, 19)),
    Decision("IL", "2011/61/EU", date(2011, 1, 31)),
    Decision("UY", "2012/484/EU", date(2012, 8, 21)),
    Decision("NZ", "2013/65/EU", date(2012, 12, 19)),
    Decision("US", "(EU) 2016/1250", date(2016, 7, 12), date(2020, 7, 16), PRIVACY_SHIELD),
    Decision("JP", "(EU) 2019/419", date(2019, 1, 23)),
    Decision("GB", "(EU) 2021/1772, extended in June 2025 and renewed on 2025-12-19", date(2021, 6, 28),
             date(2031, 12, 27)),
    Decision("KR", "(EU) 2022/254", date(2021, 12, 17)),
    Decision("US", "(EU) 2023/1795", date(2023, 7, 10), predicate=DPF),
    Decision("BR", "(EU) 2026/179", date(2026, 1, 26)),
)  # fmt: skip
"""Under article 25(6) of Directive 95/46/EC and article 45(3) of Regulation (EU) 2016/679. Left out: sectoral decisions
on passenger names, and international organisations, which are no place. Reservations that no predicate here carries:
JP covers business operators under its Act on the Protection of Personal Information, KR excludes some credit data, IL
covers automated processing and not the territories administered since 1967. Before the decision on GB a bridge of the
Trade and Cooperation Agreement stood, which is no decision."""

_NO_GB: Final = "TEU article 52; Withdrawal Agreement of 2020-01-24; TFEU articles 349 and 355"
_EEA_2020: Final = "Agreement on the European Economic Area, article 126"

_GROUPS: Final = (
    Group("EU", date(2014, 1, 1), _TERRITORY | {"GB", "GI"}, "TEU article 52; TFEU articles 349 and 355"),
    Group("EU", date(2020, 2, 1), _TERRITORY, _NO_GB),
    Group("EEA", date(2014, 4, 12), _TERRITORY | codes("GB GI IS LI NO"), _EEA_2020),
    Group("EEA", date(2020, 2, 1), _TERRITORY | codes("IS LI NO"), _EEA_2020),
    Group("EFTA", date(1995, 5, 1), codes("CH IS LI NO"), "EFTA Convention, as amended at Vaduz"),
    Group("UK", date(1974, 12, 15), codes("GB"), "ISO 3166-1: GB, without GG, GI, IM and JE"),
)

GROUP_NAMES: Final = frozenset({group.name for group in _GROUPS})
"""Groups that may be named without a date, and then mean the newest version of the tables."""

ADEQUACY: Final = "adequacy"


def group(name: str) -> Group:
    """The group that a contract names: `EU`, `EU@2020-02-01`, `adequacy@2026-01-01`.

    A date asks for the membership at that day. Raises ValueError for an unknown name, for adequacy without a date, and
    for a day before the first version or after `KNOWN_TO`.
    """
    base, at, written = name.partition("@")
    day = _day(name, written) if at else None
    if base == ADEQUACY:
        if day is None:
            raise ValueError("decisions on adequacy come and go: write the date, as in adequacy@2026-01-01")
        return _adequate(day)
    versions = [one for one in _GROUPS if one.name == base]
    if not versions:
        known = ", ".join([*sorted(GROUP_NAMES), "adequacy@YYYY-MM-DD"])
        raise ValueError(f"{name!r} is no group that keycheck knows; it knows {known}")
    if day is None:
        return versions[-1]
    in_force = [one for one in versions if one.since <= day]
    if not in_force:
        raise ValueError(f"{name!r}: the tables know {base} from {versions[0].since.isoformat()} on")
    return in_force[-1]


def _day(name: str, written: str) -> date:
    try:
        day = date.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{name!r}: write the date as in EU@2020-02-01") from None
    if written != day.isoformat():
        raise ValueError(f"{name!r}: write the date as in EU@2020-02-01")
    if day > KNOWN_TO:
        raise ValueError(f"{name!r}: the tables end at {KNOWN_TO.isoformat()}; name that date, or the countries")
    return day


def _adequate(day: date) -> Group:
    in_force = [one for one in DECISIONS if one.since <= day and (one.until is None or day < one.until)]
    return Group(
        ADEQUACY,
        day,
        frozenset(one.country for one in in_force if one.predicate is None),
        "; ".join(f"{one.country} {one.act}" for one in sorted(in_force, key=lambda one: one.country)),
        MappingProxyType({one.country: one.predicate for one in in_force if one.predicate is not None}),
    )
