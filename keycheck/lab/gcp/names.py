"""Resource names of Cloud KMS, and the locations it exists in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp.errors import invalid

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_PARTS: Final = ("projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions")

_REGIONS: Final = """
    africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
    asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 europe-central2
    europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west10 europe-west12 europe-west2 europe-west3
    europe-west4 europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1 northamerica-northeast1
    northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1 us-central1 us-east1 us-east4
    us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
"""
_MULTI_REGIONS: Final = """
    asia asia1 au ca de europe eur3 eur4 eur5 eur6 in nam3 nam4 nam6 nam7 nam8 nam9 nam10 nam11 nam12 us
"""
LOCATIONS: Final[Mapping[str, tuple[bool, bool]]] = {
    **dict.fromkeys((*_REGIONS.split(), *_MULTI_REGIONS.split()), (True, True)),
    "global": (True, False),
}
"""Location -> HSM available, EKM available. Source: https://cloud.google.com/kms/docs/locations"""


def checked_id(value: str, field: str) -> str:
    """Raises INVALID_ARGUMENT for what is no id."""
    if not _ID.fullmatch(value):
        raise invalid(f"Invalid {field}: must match [a-zA-Z0-9_-]{{1,63}}.")
    return value


def checked(name: str, levels: int) -> str:
    """A name of so many pairs: 2 location, 3 key ring, 4 key, 5 version. Raises INVALID_ARGUMENT."""
    parts = name.split("/")
    if len(parts) != 2 * levels or tuple(parts[::2]) != _PARTS[:levels] or not all(parts[1::2]):
        raise invalid(f"Resource name [{name}] does not match the pattern of {_PARTS[levels - 1]}.")
    if levels > 1 and parts[3] not in LOCATIONS:
        raise invalid(f"Location [{parts[3]}] is not supported.")
    return name


def above(name: str) -> str:
    """`…/cryptoKeys/k/cryptoKeyVersions/1` -> `…/cryptoKeys/k`."""
    return name.rsplit("/", 2)[0]


def last(name: str) -> str:
    return name.rsplit("/", 1)[1]


def location_of(name: str) -> str:
    """`europe-west3`. The name must have one."""
    return name.split("/")[3]
