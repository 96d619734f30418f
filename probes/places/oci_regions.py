"""Regions of Oracle Cloud Infrastructure, their realms and the short keys of OCIDs, written by hand. Pure.

Sources: Oracle "Regions and Availability Domains", "Public IP ranges", and the list of regions with realms in Oracle's
software development kits. Names of regions say a continent at most: eu-jovanovac-1 is in Serbia, eu-zurich-1,
eu-dcc-zurich-1 and eu-crissier-1 are in Switzerland.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.places.site import regions

_ROWS: Final = """
OC1 af-johannesburg-1 jnb ZA johannesburg
OC1 ap-batam-1 hsg ID batam
OC1 ap-chuncheon-1 yny KR chuncheon
OC1 ap-hyderabad-1 hyd IN hyderabad
OC1 ap-kulai-2 jbp MY kulai
OC1 ap-melbourne-1 mel AU melbourne
OC1 ap-mumbai-1 bom IN mumbai
OC1 ap-osaka-1 kix JP osaka
OC1 ap-seoul-1 icn KR seoul
OC1 ap-singapore-1 sin SG singapore
OC1 ap-singapore-2 xsp SG singapore
OC1 ap-sydney-1 syd AU sydney
OC1 ap-tokyo-1 nrt JP tokyo
OC1 ca-montreal-1 yul CA montreal
OC1 ca-toronto-1 yyz CA toronto
OC1 eu-amsterdam-1 ams NL amsterdam
OC1 eu-frankfurt-1 fra DE frankfurt
OC1 eu-madrid-1 mad ES madrid
OC1 eu-madrid-3 orf ES madrid
OC1 eu-marseille-1 mrs FR marseille
OC1 eu-milan-1 lin IT milan
OC1 eu-paris-1 cdg FR paris
OC1 eu-stockholm-1 arn SE stockholm
OC1 eu-turin-1 nrq IT turin
OC1 eu-zurich-1 zrh CH zurich
OC1 il-jerusalem-1 mtz IL jerusalem
OC1 me-abudhabi-1 auh AE abu-dhabi
OC1 me-dubai-1 dxb AE dubai
OC1 me-jeddah-1 jed SA jeddah
OC1 me-riyadh-1 ruh SA riyadh
OC1 mx-monterrey-1 mty MX monterrey
OC1 mx-queretaro-1 qro MX queretaro
OC1 sa-bogota-1 bog CO bogota
OC1 sa-santiago-1 scl CL santiago
OC1 sa-saopaulo-1 gru BR sao-paulo
OC1 sa-valparaiso-1 vap CL valparaiso
OC1 sa-vinhedo-1 vcp BR vinhedo
OC1 uk-cardiff-1 cwl GB newport
OC1 uk-london-1 lhr GB london
OC1 us-abilene-1 abl US abilene
OC1 us-ashburn-1 iad US ashburn
OC1 us-boardman-1 - US boardman
OC1 us-chicago-1 ord US chicago
OC1 us-dallas-1 dfw US dallas
OC1 us-phoenix-1 phx US phoenix
OC1 us-saltlake-2 aga US salt-lake-city
OC1 us-sanjose-1 sjc US san-jose
OC2 us-langley-1 lfi US united-states
OC2 us-luke-1 luf US united-states
OC3 us-gov-ashburn-1 ric US ashburn
OC3 us-gov-chicago-1 pia US chicago
OC3 us-gov-phoenix-1 tus US phoenix
OC4 uk-gov-cardiff-1 brs GB newport
OC4 uk-gov-london-1 ltn GB london
OC8 ap-chiyoda-1 nja JP tokyo
OC8 ap-ibaraki-1 ukb JP ibaraki
OC9 me-dcc-muscat-1 mct OM muscat
OC10 ap-dcc-canberra-1 wga AU canberra
OC14 eu-dcc-dublin-1 ork IE dublin
OC14 eu-dcc-dublin-2 snn IE dublin
OC14 eu-dcc-milan-1 bgy IT milan
OC14 eu-dcc-milan-2 mxp IT milan
OC14 eu-dcc-rating-1 dus DE ratingen
OC14 eu-dcc-rating-2 dtm DE ratingen
OC15 ap-dcc-gazipur-1 dac BD gazipur
OC19 eu-frankfurt-2 str DE frankfurt
OC19 eu-madrid-2 vll ES madrid
OC20 eu-jovanovac-1 beg RS kragujevac
OC21 me-dcc-doha-1 doh QA doha
OC23 us-somerset-1 ebb US united-states
OC23 us-thames-1 ebl US united-states
OC24 eu-crissier-1 avf CH crissier
OC24 eu-dcc-zurich-1 avz CH zurich
OC26 me-abudhabi-3 ahu AE abu-dhabi
OC26 me-alain-1 rba AE al-ain
OC29 me-abudhabi-2 rkt AE abu-dhabi
OC29 me-abudhabi-4 shj AE abu-dhabi
OC35 ap-chuncheon-2 bno KR chuncheon
OC35 ap-seoul-2 dtz KR seoul
OC35 ap-suwon-1 dln KR suwon
"""

_PARTS: Final = tuple(line.split() for line in _ROWS.strip().splitlines())

OCI: Final = regions("\n".join(f"{name} {country} {city}" for _, name, _, country, city in _PARTS))

REALM_OF: Final[Mapping[str, str]] = MappingProxyType({name: realm for realm, name, _, _, _ in _PARTS})
"""Region to realm."""

REGION_OF_KEY: Final[Mapping[str, str]] = MappingProxyType({key: name for _, name, key, _, _ in _PARTS if key != "-"})
"""The three letters of an OCID, as in `ocid1.instance.oc1.fra.…`, to the region."""
