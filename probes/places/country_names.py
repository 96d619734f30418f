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

from probes.places.cities import CITIES
from probes.places.countries import COUNTRIES, codes
from probes.places.groups import group
from probes.places.site import Countries
from probes.places.tables import TABLES

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
DE München|Nuremberg|Nürnberg|Hamburg|Cologne|Köln|Düsseldorf|Karlsruhe|Falkenstein|Bavaria|Hesse|am Main
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
ES Spain|España|Spanien|Espagne|Madrid|Barcelona|Canary Islands|Las Palmas|Tenerife
ET Ethiopia
FI Finland|Finnland|Finlande|Helsinki
FJ Fiji
FK Falkland Islands
FM Micronesia
FO Faroe Islands
FR France|Frankreich|Paris|Lyon|Marseille|Strasbourg|Roubaix|Gravelines
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
IN India|Indien|Inde|Mumbai|Bangalore|Bengaluru|Pune
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
PT Portugal|Lisbon|Porto|Azores|Madeira
PW Palau
PY Paraguay
QA Qatar
RE Réunion|La Réunion|Saint-Denis
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
US Virginia|Oregon|Ohio|California|New York|Washington
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
    cities = {name.replace("-", " "): city.country for name, city in CITIES.items()}
    return MappingProxyType(cities | {_folded(name): code for code, _, names in rows for name in names.split("|")})


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
_WORDS: Final = frozenset({"IT", "AS", "IS", "IN", "AT", "BY", "NO", "TO", "AI", "ID", "SO", "DE", "LA", "AM"})
"""Codes that are words as well: among words they leave it open, unless the country is named besides or they stand for
themselves between commas, slashes or brackets."""
_ALONE: Final = re.compile(r"(?:^|[,;:/|(&+]|\band\b)\s*([A-Z]{2})(?=\s*(?:$|[,;/|()&+]|and\b))")
_REGION: Final = re.compile(r"(?<![^\W_-])[a-z]{2,12}(?:-[a-z]+)+-?[0-9]{1,2}(?![^\W_])")
"""What looks like a cloud's name of a region: `eu-west-2` is London, and not of the Union."""
_CLOUDS: Final = ("aws", "gcp", "oci")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_PLAIN: Final = codes(
    """
    a all and at based both by either for from in inside is of on only or our the their to via we with within no
    nowhere
    und oder nur in der die das aus et ou dans en la le les du de des a au aux
    data datacenter datacenters datacentre datacentres center centers centre centres dc colocation facility facilities
    region regions location locations place places site sites zone zones availability area city state states member
    members country countries federal republic cloud hosted hosting host stored storage process processed processing
    office offices headquarters headquartered hq seat registered entity primary secondary main backup backups replica
    customer choice selected server servers service services support rechenzentrum standort sitz
    north northern south southern east eastern west western central middle
    amazon web aws microsoft azure google gcp oracle oci
    """
)
"""Words that name no place, or only a part of one."""


def countries_in(words: str) -> frozenset[str]:
    """The countries that words name: all of the Union for `EU`, that of a cloud's region for its name. None where a
    word such as `worldwide` or `others` leaves it open, where nothing is understood, and where a word stands there that
    nobody knows here: it may be another place."""
    text = "".join(char for char in words[: MAX_WORDS + 1] if unicodedata.category(char) != "Cf")
    folded = _folded(text)
    if len(words) > MAX_WORDS or _BOUNDLESS.search(folded):
        return frozenset()
    found: set[str] = set()
    for match in _REGION.finditer(folded):
        if (region := _region(match.group())) is None:
            return frozenset()
        found |= region
    rest = _REGION.sub(" ", folded)
    found |= group("EU").members if _UNION.search(rest) else set()
    found |= group("EEA").members if _EEA.search(rest) else set()
    rest = _EEA.sub(" ", _UNION.sub(" ", rest))
    found |= {BY_NAME[match.group()] for match in _NAME.finditer(rest)}
    bare = not re.search(r"[a-z]", text)
    told = {code for code in _CODE.findall(text) if code in COUNTRIES}
    found |= {code for code in told if bare or code not in _WORDS} | (told & {*_ALONE.findall(text)})
    known = _PLAIN | {code.lower() for code in told & found}
    strange = {word for word in _LETTERS.findall(_NAME.sub(" ", rest)) if len(word) > 1} - known
    if strange or (told & _WORDS) - found:
        return frozenset()
    return frozenset(found)


def _region(name: str) -> frozenset[str] | None:
    """The countries of a cloud's region by its name; None: no cloud has it."""
    for provider in _CLOUDS:
        match TABLES.place(provider, name):
            case Countries(found):
                return found
            case _:
                continue
    return None
