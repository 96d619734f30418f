"""Countries and unions of countries, as a contract names a jurisdiction. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from keycheck.model.types import SortedSet


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


EU: Final = _codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
"""The 27 member states (Treaty on European Union, article 52). Overseas countries and territories, and outermost
regions that have ISO codes of their own, are not in it: no cloud region of the tables lies in one."""

COUNTRIES: Final = _codes(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
"""ISO 3166-1 alpha-2."""


def _country_or_union(value: str) -> str:
    if value == "EU" or value in COUNTRIES:
        return value
    if value == "UK":
        raise ValueError("write GB: ISO 3166 calls the United Kingdom so")
    raise ValueError(f"{value!r} is neither an ISO 3166 country code, such as DE, nor EU")


def _spelt_out(value: frozenset[str]) -> frozenset[str]:
    return expanded(value)


Jurisdiction: TypeAlias = Annotated[
    SortedSet[Annotated[str, AfterValidator(_country_or_union)]], Field(min_length=1), AfterValidator(_spelt_out)
]
"""Countries, with `EU` spelt out: so an heir that narrows `EU` to `DE` has a subset."""


def expanded(places: Collection[str]) -> frozenset[str]:
    """`EU` replaced by its member states."""
    named = frozenset(places)
    return (named - {"EU"}) | EU if "EU" in named else named


def worded(countries: Collection[str]) -> str:
    """Countries for people: the member states together as `EU`."""
    named = frozenset(countries)
    if named >= EU:
        return ", ".join(["EU", *sorted(named - EU)])
    return ", ".join(sorted(named))
