"""All tables of regions together, and a way to add one's own without touching the shipped ones. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from probes.places.aws_regions import AWS, AWS_CODES
from probes.places.azure_regions import AZURE, region_name
from probes.places.cities import City
from probes.places.gcp_regions import GCP, MULTI_REGIONS
from probes.places.oci_regions import OCI
from probes.places.site import Countries, Everywhere, Place, Region, UnknownPlace

AS_OF: Final = date(2026, 8, 22)
"""The newest publication of a provider that the tables were written from."""

_ZONE: Final = re.compile(r"(?:wl[0-9]-|sggov-)?(?P<code>[a-z]{3})(?:-wlz)?-?[0-9][a-z]?")
"""What follows the Region in the name of a border group: `ist-1`, `las-1b`, `wl1-muc-wlz-1`, `wl1-cmn1`,
`sggov-sin-1a`."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a provider may have machines: a region or a zone of one, its countries and its city."""

    name: str
    countries: frozenset[str]
    city: City


@dataclass(frozen=True, slots=True)
class Listing:
    """The places of a provider that the tables know, and the names of those that exist and cannot be placed."""

    provider: str
    as_of: date
    sites: tuple[Site, ...]
    unplaced: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The whole list in words: name, countries, point and radius of each place, then what cannot be placed."""
        placed = (
            f"{site.name}: {' '.join(sorted(site.countries)) or 'country not known'}, within {site.city.radius_m} m of "
            f"({site.city.point.worded()})"
            for site in self.sites
        )
        return (*placed, *(f"{name}: not placed" for name in self.unplaced))

    @property
    def sha256(self) -> str:
        """Digest of the lines, each ended by a line feed: so that premises can name exactly this list."""
        return hashlib.sha256("".join(f"{line}\n" for line in self.lines()).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Tables:
    """Regions by provider. `TABLES` holds the shipped ones; `with_own` makes new tables, for a lab or a user's own."""

    regions: Mapping[str, Mapping[str, Region]]
    zones: Mapping[str, Region]
    """AWS Local Zones and Wavelength Zones, by code."""
    as_of: date = AS_OF

    def region(self, provider: str, name: str) -> Region | None:
        """The row of one region, or None where the tables do not hold it."""
        return self.regions.get(provider, {}).get(region_name(name) if provider == "azure" else name)

    def place(self, provider: str, name: str) -> Place:
        """Where a region or location of a provider is. Names are those that the provider's interfaces give, exactly;
        for Azure display names and the codes of service tags are read too."""
        if (row := self.region(provider, name)) is not None:
            return row.place
        if provider == "gcp" and (countries := MULTI_REGIONS.get(name)) is not None:
            return Countries(countries)
        if name == "global" and provider in ("gcp", "azure"):
            return Everywhere()
        return UnknownPlace()

    def border_group(self, region: str, group: str) -> Region | None:
        """The zone that an AWS network border group names, or its Region where it names just that. None where the zone
        is not known: the parent Region does not tell its country."""
        if group == region:
            return self.region("aws", region)
        if not group.startswith(f"{region}-"):
            return None
        match = _ZONE.fullmatch(group[len(region) + 1 :])
        return None if match is None else self.zones.get(match["code"])

    def place_of_border_group(self, region: str, group: str) -> Place:
        """Where the addresses of an AWS network border group are; see `border_group`."""
        row = self.border_group(region, group)
        return UnknownPlace() if row is None else row.place

    def listing(self, provider: str) -> Listing:
        """Everywhere a provider may have machines, as far as the tables know: what physics is to eliminate."""
        rows = [*self.regions.get(provider, {}).values()]
        if provider == "aws":
            rows += [Region(f"zone {code}", row.countries, row.city) for code, row in self.zones.items()]
        sites = tuple(Site(row.name, row.countries, row.city) for row in rows if row.city is not None)
        return Listing(provider, self.as_of, sites, tuple(sorted(row.name for row in rows if row.city is None)))

    def with_own(self, provider: str, rows: Mapping[str, Region]) -> Tables:
        """These tables with regions added. Raises ValueError for a region whose country they know already."""
        known = self.regions.get(provider, {})
        for name in sorted(rows):
            if name in known and known[name].countries:
                raise ValueError(f"{provider} {name} is in {', '.join(sorted(known[name].countries))}: leave it out")
        merged = MappingProxyType({**known, **rows})
        return Tables(MappingProxyType({**self.regions, provider: merged}), self.zones, self.as_of)


TABLES: Final = Tables(MappingProxyType({"aws": AWS, "azure": AZURE, "gcp": GCP, "oci": OCI}), AWS_CODES)
