"""Where buckets are: what S3 and Cloud Storage say of a location, with their quirks. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from probes.places.gcp_regions import BUCKET_MULTI_REGIONS, DUAL_REGIONS
from probes.places.site import Countries, Place, UnknownPlace
from probes.places.tables import TABLES, Tables


def s3_region(constraint: str | None) -> str:
    """The Region that S3's GetBucketLocation means: none is us-east-1, `EU` is eu-west-1 (S3 API Reference)."""
    if not constraint:
        return "us-east-1"
    return "eu-west-1" if constraint == "EU" else constraint


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the copies of a bucket are. `regions` is empty where Google names a wider area and no regions: then the
    copies are somewhere in `place`. With regions there is a copy in every one of them."""

    regions: frozenset[str]
    place: Place


def gcs_placement(location: str, data_locations: Collection[str] = (), tables: Tables = TABLES) -> Placement:
    """Where a Cloud Storage bucket is: by its `location`, and the `customPlacementConfig.dataLocations` of a
    configurable dual-region, whose own location is only a continent. One region that is not known makes all unknown."""
    name = location.upper()
    members = frozenset(member.lower() for member in data_locations) or DUAL_REGIONS.get(name, frozenset())
    if not members and name in BUCKET_MULTI_REGIONS:
        return Placement(frozenset(), Countries(BUCKET_MULTI_REGIONS[name]))
    members = members or frozenset({location.lower()})
    rows = [tables.region("gcp", member) for member in sorted(members)]
    countries = [row.countries for row in rows if row is not None and row.countries]
    if len(countries) < len(members):
        return Placement(members, UnknownPlace())
    return Placement(members, Countries(frozenset().union(*countries)))
