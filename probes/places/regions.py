"""Which countries the regions of AWS and Google Cloud are in: written by hand from the providers' own lists.

A region that is not in a table is not known, which never passes. A multi-region has every country that the provider
names for it, or may keep data in where it names none. Sources: AWS General Reference "Regions and endpoints" and
AWS European Sovereign Cloud; Google Cloud "Cloud KMS locations" and "Geography and regions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Countries:
    """A place that lies in these countries (ISO 3166), and in no other."""

    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Everywhere:
    """A place without a bound: Google's `global`."""


@dataclass(frozen=True, slots=True)
class UnknownPlace:
    """A region that the tables do not hold."""


Place: TypeAlias = Countries | Everywhere | UnknownPlace


def _table(text: str) -> Mapping[str, frozenset[str]]:
    rows = (line.split() for line in text.strip().splitlines())
    return {name: frozenset(codes) for name, *codes in rows}


AWS_REGIONS: Final = _table("""
af-south-1 ZA
ap-east-1 HK
ap-east-2 TW
ap-northeast-1 JP
ap-northeast-2 KR
ap-northeast-3 JP
ap-south-1 IN
ap-south-2 IN
ap-southeast-1 SG
ap-southeast-2 AU
ap-southeast-3 ID
ap-southeast-4 AU
ap-southeast-5 MY
ap-southeast-6 NZ
ap-southeast-7 TH
ca-central-1 CA
ca-west-1 CA
cn-north-1 CN
cn-northwest-1 CN
eu-central-1 DE
eu-central-2 CH
eu-north-1 SE
eu-south-1 IT
eu-south-2 ES
eu-west-1 IE
eu-west-2 GB
eu-west-3 FR
eusc-de-east-1 DE
il-central-1 IL
me-central-1 AE
me-south-1 BH
mx-central-1 MX
sa-east-1 BR
us-east-1 US
us-east-2 US
us-gov-east-1 US
us-gov-west-1 US
us-iso-east-1 US
us-iso-west-1 US
us-isob-east-1 US
us-isob-west-1 US
us-isof-east-1 US
us-isof-south-1 US
us-west-1 US
us-west-2 US
""")

GCP_REGIONS: Final = _table("""
africa-south1 ZA
asia-east1 TW
asia-east2 HK
asia-northeast1 JP
asia-northeast2 JP
asia-northeast3 KR
asia-south1 IN
asia-south2 IN
asia-southeast1 SG
asia-southeast2 ID
australia-southeast1 AU
australia-southeast2 AU
europe-central2 PL
europe-north1 FI
europe-north2 SE
europe-southwest1 ES
europe-west1 BE
europe-west10 DE
europe-west12 IT
europe-west2 GB
europe-west3 DE
europe-west4 NL
europe-west6 CH
europe-west8 IT
europe-west9 FR
me-central1 QA
me-central2 SA
me-west1 IL
northamerica-northeast1 CA
northamerica-northeast2 CA
northamerica-south1 MX
southamerica-east1 BR
southamerica-west1 CL
u-france-east1 FR
us-central1 US
us-east1 US
us-east4 US
us-east5 US
us-south1 US
us-west1 US
us-west2 US
us-west3 US
us-west4 US
""")

GCP_MULTI_REGIONS: Final = _table("""
asia HK ID IN JP KR SG TW
asia1 JP KR
ca CA
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
"""`europe` is kept in no data centre of London or Zürich, says Google: so its countries are those of all its other
European regions. For `asia` Google names none: all of its Asian regions."""


def place(provider: Literal["aws", "gcp"], region: str) -> Place:
    """Where a region or location of a provider is."""
    if provider == "aws":
        codes = AWS_REGIONS.get(region)
    elif region == "global":
        return Everywhere()
    else:
        codes = GCP_REGIONS.get(region) or GCP_MULTI_REGIONS.get(region)
    return Countries(codes) if codes else UnknownPlace()
