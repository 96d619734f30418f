"""Regions, multi-regions and dual-regions of Google Cloud, written by hand. Pure.

Sources: Google Cloud "Geography and regions", "Cloud KMS locations", "Bucket locations", pricing and release notes
(us-west8 Phoenix, us-east7 Alabama, asia-southeast3 Bangkok) and "TPU regions and zones" (us-central2 Oklahoma). No
source names the place of europe-west15, which `cloud.json` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.places.countries import codes
from probes.places.site import regions

GCP: Final = regions("""
africa-south1 ZA johannesburg
asia-east1 TW changhua
asia-east2 HK hong-kong
asia-northeast1 JP tokyo
asia-northeast2 JP osaka
asia-northeast3 KR seoul
asia-south1 IN mumbai
asia-south2 IN delhi
asia-southeast1 SG singapore
asia-southeast2 ID jakarta
asia-southeast3 TH bangkok
australia-southeast1 AU sydney
australia-southeast2 AU melbourne
europe-central2 PL warsaw
europe-north1 FI hamina
europe-north2 SE stockholm
europe-southwest1 ES madrid
europe-west1 BE saint-ghislain
europe-west10 DE berlin
europe-west12 IT turin
europe-west15 ? ?
europe-west2 GB london
europe-west3 DE frankfurt
europe-west4 NL eemshaven
europe-west6 CH zurich
europe-west8 IT milan
europe-west9 FR paris
me-central1 QA doha
me-central2 SA dammam
me-west1 IL tel-aviv
northamerica-northeast1 CA montreal
northamerica-northeast2 CA toronto
northamerica-south1 MX queretaro
southamerica-east1 BR sao-paulo
southamerica-west1 CL santiago
u-france-east1 FR paris
us-central1 US council-bluffs
us-central2 US oklahoma
us-east1 US moncks-corner
us-east4 US ashburn
us-east5 US columbus
us-east7 US alabama
us-south1 US dallas
us-west1 US the-dalles
us-west2 US los-angeles
us-west3 US salt-lake-city
us-west4 US las-vegas
us-west8 US phoenix
""")


def _sets(text: str) -> Mapping[str, frozenset[str]]:
    rows = (line.split(maxsplit=1) for line in text.strip().splitlines())
    return MappingProxyType({name: codes(rest) for name, rest in rows})


MULTI_REGIONS: Final = _sets("""
asia HK ID IN JP KR SG TH TW
asia1 JP KR
ca CA
eu BE DE ES FI FR IT NL PL SE
eur3 BE NL
eur4 FI NL
eur5 BE GB NL
eur6 CH DE NL
europe BE DE ES FI FR IT NL PL SE
nam-eur-asia1 BE TW US
nam10 US
nam11 US
nam12 US
nam3 US
nam4 US
nam6 US
nam7 US
nam8 US
nam9 US
us US
""")
"""Locations of keys, databases and data sets that are more than one region: every country that Google names for them,
or may keep data in where it names none. `europe` and `eu` are kept in no data centre of London or Zürich, says Google:
so their countries are those of all its other European regions. For `asia` Google names none: all of its Asian regions.
Of buckets only those of `DUAL_REGIONS` exist, and mean other pairs: ask `buckets`."""

DUAL_REGIONS: Final = _sets("""
ASIA1 asia-northeast1 asia-northeast2
EUR4 europe-north1 europe-west4
EUR5 europe-west1 europe-west2
EUR7 europe-west2 europe-west3
EUR8 europe-west3 europe-west6
NAM4 us-central1 us-east1
""")
"""Cloud Storage's predefined dual-regions. EUR5 and EUR7 keep a copy in London, EUR8 one in Zürich."""

BUCKET_MULTI_REGIONS: Final = MappingProxyType({name: MULTI_REGIONS[name.lower()] for name in ("ASIA", "EU", "US")})
"""Cloud Storage's multi-regions, as countries."""
