"""ISO 3166 codes, and the parts of countries to which other law applies. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final


def codes(text: str) -> frozenset[str]:
    """A set of codes, from text with blanks between them."""
    return frozenset(text.split())


COUNTRIES: Final = codes(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
"""ISO 3166-1 alpha-2."""


def known_country(code: str) -> str:
    """The code, if it is a country's. Raises ValueError: a code that nobody has would be outside of everything."""
    if code not in COUNTRIES:
        raise ValueError(f"{code} is no country of ISO 3166; the United Kingdom is `GB`, the Union is no country")
    return code


PARTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"CY": codes("CY-BASES CY-NORTH"), "ES": codes("ES-CN"), "PT": codes("PT-20 PT-30")}
)
"""Parts of a country that a contract may name by themselves, because other law applies there: ES-CN the Canary
Islands, PT-20 the Azores, PT-30 Madeira (ISO 3166-2). Two codes are keycheck's own, for ISO has none: CY-BASES for
Akrotiri and Dhekelia, which are British and not of the Union, and CY-NORTH for the part of Cyprus where the
application of Union law is suspended (Protocol 10 to the Act of Accession of 2003). CY alone holds neither."""

_APART: Final = frozenset({"CY"})
"""Countries whose parts are not meant when the country is named."""

KNOWN: Final = COUNTRIES.union(*PARTS.values())
"""Every code that a scope may name."""


def with_parts(places: Collection[str]) -> frozenset[str]:
    """The codes with the parts that each country's own name covers: PT is the mainland, the Azores and Madeira."""
    named = frozenset(places)
    return named.union(*(PARTS[code] for code in named if code in PARTS and code not in _APART))
