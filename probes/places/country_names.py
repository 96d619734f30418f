"""Countries in the words of people: rosters say "Germany (Frankfurt)", not DE. Pure.

Short names of ISO 3166-1, what else the countries are called in English, and the names of those that rosters mention
most in German and French; some cities that stand alone. What is not in the table is not understood, which never passes.
Sources: ISO 3166-1; Unicode CLDR territory names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.places.countries import COUNTRIES
from probes.places.groups import group

MAX_WORDS: Final = 2000

_NAMES: Final = """
AD Andorra
AE United Arab Emirates|UAE|Dubai|Abu Dhabi
AF Afghanistan
AG Antigua and Barbuda
AI Anguilla
AL Albania
AM Armenia
AO Angola
AQ Antarctica
AR Argentina
AS American Samoa
AT Austria|Österreich|Autriche|Vienna
AU Australia
AW Aruba
AX Åland Islands
AZ Azerbaijan
BA Bosnia and Herzegovina
BB Barbados
BD Bangladesh
BE Belgium|Belgien|Belgique|België|Brussels
BF Burkina Faso
BG Bulgaria|Bulgarien
BH Bahrain
BI Burundi
BJ Benin
BL Saint Barthélemy
BM Bermuda
BN Brunei Darussalam|Brunei
BO Bolivia
BQ Bonaire
BR Brazil
BS Bahamas
BT Bhutan
BV Bouvet Island
BW Botswana
BY Belarus
BZ Belize
CA Canada
CC Cocos Islands
CD DR Congo|Democratic Republic of the Congo
CF Central African Republic
CG Congo|Republic of the Congo
CH Switzerland|Schweiz|Suisse|Zurich|Zürich
CI Côte d'Ivoire|Ivory Coast
CK Cook Islands
CL Chile
CM Cameroon
CN China
CO Colombia
CR Costa Rica
CU Cuba
CV Cabo Verde|Cape Verde
CW Curaçao
CX Christmas Island
CY Cyprus|Zypern
CZ Czechia|Czech Republic
DE Germany|Deutschland|Allemagne|Frankfurt|Berlin|Munich
DJ Djibouti
DK Denmark|Danmark|Dänemark|Danemark|Copenhagen
DM Dominica
DO Dominican Republic
DZ Algeria
EC Ecuador
EE Estonia|Estland
EG Egypt
EH Western Sahara
ER Eritrea
ES Spain|España|Spanien|Espagne|Madrid
ET Ethiopia
FI Finland|Finnland|Finlande|Helsinki
FJ Fiji
FK Falkland Islands
FM Micronesia
FO Faroe Islands
FR France|Frankreich|Paris
GA Gabon
GB United Kingdom|UK|Great Britain|Britain|England|Scotland|Wales|Northern Ireland|Royaume-Uni|London
GD Grenada
GE Georgia
GF French Guiana
GG Guernsey
GH Ghana
GI Gibraltar
GL Greenland
GM Gambia
GN Guinea
GP Guadeloupe
GQ Equatorial Guinea
GR Greece|Griechenland
GS South Georgia and the South Sandwich Islands
GT Guatemala
GU Guam
GW Guinea-Bissau
GY Guyana
HK Hong Kong
HM Heard Island and McDonald Islands
HN Honduras
HR Croatia|Kroatien
HT Haiti
HU Hungary|Ungarn
ID Indonesia
IE Ireland|Republic of Ireland|Irland|Irlande|Dublin
IL Israel|Tel Aviv
IM Isle of Man
IN India|Indien|Inde|Mumbai
IO British Indian Ocean Territory
IQ Iraq
IR Iran
IS Iceland
IT Italy|Italia|Italien|Italie|Milan
JE Jersey
JM Jamaica
JO Jordan
JP Japan|Tokyo
KE Kenya
KG Kyrgyzstan
KH Cambodia
KI Kiribati
KM Comoros
KN Saint Kitts and Nevis
KP North Korea
KR South Korea|Republic of Korea|Korea
KW Kuwait
KY Cayman Islands
KZ Kazakhstan
LA Lao People's Democratic Republic|Laos
LB Lebanon
LC Saint Lucia
LI Liechtenstein
LK Sri Lanka
LR Liberia
LS Lesotho
LT Lithuania|Litauen
LU Luxembourg|Luxemburg
LV Latvia|Lettland
LY Libya
MA Morocco
MC Monaco
MD Moldova
ME Montenegro
MF Saint Martin
MG Madagascar
MH Marshall Islands
MK North Macedonia|Macedonia
ML Mali
MM Myanmar|Burma
MN Mongolia
MO Macao|Macau
MP Northern Mariana Islands
MQ Martinique
MR Mauritania
MS Montserrat
MT Malta
MU Mauritius
MV Maldives
MW Malawi
MX Mexico
MY Malaysia
MZ Mozambique
NA Namibia
NC New Caledonia
NE Niger
NF Norfolk Island
NG Nigeria
NI Nicaragua
NL Netherlands|The Netherlands|Holland|Niederlande|Pays-Bas|Amsterdam
NO Norway|Norwegen|Norvège|Oslo
NP Nepal
NR Nauru
NU Niue
NZ New Zealand
OM Oman
PA Panama
PE Peru
PF French Polynesia
PG Papua New Guinea
PH Philippines
PK Pakistan
PL Poland|Polska|Polen|Pologne|Warsaw
PM Saint Pierre and Miquelon
PN Pitcairn
PR Puerto Rico
PS Palestine
PT Portugal|Lisbon
PW Palau
PY Paraguay
QA Qatar
RE Réunion
RO Romania|Rumänien
RS Serbia|Serbien
RU Russian Federation|Russia
RW Rwanda
SA Saudi Arabia
SB Solomon Islands
SC Seychelles
SD Sudan
SE Sweden|Sverige|Schweden|Suède|Stockholm
SG Singapore|Singapur
SH Saint Helena
SI Slovenia|Slowenien
SJ Svalbard and Jan Mayen
SK Slovakia|Slovak Republic|Slowakei
SL Sierra Leone
SM San Marino
SN Senegal
SO Somalia
SR Suriname
SS South Sudan
ST Sao Tome and Principe
SV El Salvador
SX Sint Maarten
SY Syrian Arab Republic|Syria
SZ Eswatini|Swaziland
TC Turks and Caicos Islands
TD Chad
TF French Southern Territories
TG Togo
TH Thailand
TJ Tajikistan
TK Tokelau
TL Timor-Leste|East Timor
TM Turkmenistan
TN Tunisia
TO Tonga
TR Türkiye|Turkey|Istanbul
TT Trinidad and Tobago
TV Tuvalu
TW Taiwan
TZ Tanzania
UA Ukraine
UG Uganda
UM United States Minor Outlying Islands
US United States|USA|U.S.|U.S.A.|United States of America|America|Vereinigte Staaten|New Jersey|Jersey City|Atlanta
UY Uruguay
UZ Uzbekistan
VA Vatican City|Holy See
VC Saint Vincent and the Grenadines
VE Venezuela
VG British Virgin Islands
VI US Virgin Islands|U.S. Virgin Islands
VN Viet Nam|Vietnam
VU Vanuatu
WF Wallis and Futuna
WS Samoa
YE Yemen
YT Mayotte
ZA South Africa
ZM Zambia
ZW Zimbabwe
"""


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def _table() -> Mapping[str, str]:
    rows = (line.partition(" ") for line in _NAMES.strip().splitlines())
    return MappingProxyType({_folded(name): code for code, _, names in rows for name in names.split("|")})


BY_NAME: Final = _table()
"""Folded name to ISO 3166 code."""
_NAME: Final = re.compile(
    r"(?<![^\W_])(?:"
    + "|".join(re.escape(name) for name in sorted(BY_NAME, key=lambda one: (-len(one), one)))
    + r")(?![^\W_])"
)
_CODE: Final = re.compile(r"(?<![A-Za-z0-9_-])[A-Z]{2}(?![A-Za-z0-9_-])")
_UNION: Final = re.compile(r"(?<![^\W_])(?:european union|europaische union|union europeenne|eu)(?![^\W_])")
_EEA: Final = re.compile(r"(?<![^\W_])(?:eea|european economic area)(?![^\W_])")
_BOUNDLESS: Final = re.compile(
    r"(?<![^\W_])(?:worldwide|global|globally|europe|emea|apac|asia|americas|various|multiple|others?|etc"
    r"|follow.the.sun)"
    r"(?![^\W_])"
)
_WORDS: Final = frozenset({"IT", "AS", "IS", "IN", "AT", "BY", "NO", "TO", "AI", "ID", "SO", "US", "DE", "LA", "AM"})
"""Codes that are words as well: they count only where they stand alone or in a list of codes."""


def countries_in(words: str) -> frozenset[str]:
    """The countries that words name: all of the Union for `EU`. None where a word such as `worldwide` or `others`
    leaves it open, and where nothing is understood. A word that the table does not hold is taken for any other word."""
    text = words[:MAX_WORDS]
    folded = _folded(text)
    if len(words) > MAX_WORDS or _BOUNDLESS.search(folded):
        return frozenset()
    found = {BY_NAME[match.group()] for match in _NAME.finditer(folded)}
    found |= group("EU").members if _UNION.search(folded) else set()
    found |= group("EEA").members if _EEA.search(folded) else set()
    bare = not re.search(r"[a-z]", text)
    codes = (code for code in _CODE.findall(text) if code in COUNTRIES)
    return frozenset(found | {code for code in codes if bare or code not in _WORDS})
