"""Which countries the regions of the clouds are in: the door to tables written by hand from the providers' own lists.

A region that is not in a table is not known, which never passes. A multi-region has every country that the provider
names for it, or may keep data in where it names none. A region's name proves nothing: eu-west-2 and europe-west2 are in
London, eu-central-2 and europe-west6 in Zürich, eu-jovanovac-1 in Serbia. Sources stand in `aws_regions`,
`azure_regions`, `gcp_regions` and `oci_regions`.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from probes.places.aws_regions import AWS
from probes.places.azure_regions import AZURE
from probes.places.gcp_regions import GCP, MULTI_REGIONS
from probes.places.oci_regions import OCI
from probes.places.site import Countries, Everywhere, Place, Region, UnknownPlace, countries_of
from probes.places.tables import TABLES, Tables

__all__ = [
    "AWS_REGIONS",
    "AZURE_REGIONS",
    "GCP_MULTI_REGIONS",
    "GCP_REGIONS",
    "OCI_REGIONS",
    "TABLES",
    "Countries",
    "Everywhere",
    "Place",
    "Provider",
    "Region",
    "Tables",
    "UnknownPlace",
    "place",
    "place_of_border_group",
]

Provider: TypeAlias = Literal["aws", "gcp", "azure", "oci"]

AWS_REGIONS: Final = countries_of(AWS)
AZURE_REGIONS: Final = countries_of(AZURE)
GCP_REGIONS: Final = countries_of(GCP)
GCP_MULTI_REGIONS: Final = MULTI_REGIONS
OCI_REGIONS: Final = countries_of(OCI)


def place(provider: Provider, region: str) -> Place:
    """Where a region or location of a provider is, by the shipped tables."""
    return TABLES.place(provider, region)


def place_of_border_group(region: str, border_group: str) -> Place:
    """Where the addresses of an AWS network border group are: never simply where its Region is."""
    return TABLES.place_of_border_group(region, border_group)
