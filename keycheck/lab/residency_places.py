"""Places of the lab: a second octet of 127.0.0.0/8 stands for a region, and distance for delay. Pure.

    127.<octet>.<site>.<host>

Bytes between two places are as late as light in fibre along the great circle is, at two thirds of its speed in vacuum
and with a detour of a twentieth: never faster, so that bounds by delay hold in the lab as they do outside. A client at
an address of no place has no distance, and no vantage is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from keycheck.lab.config import EdgeKind

EARTH_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""
FIBRE_KM_PER_S: Final = 299_792.458 * 2 / 3
DETOUR: Final = 1.05


@dataclass(frozen=True, slots=True)
class Somewhere:
    """A place: where a region's servers, or somebody who looks at them, are."""

    octet: int
    city: str
    latitude: float
    longitude: float

    @property
    def network(self) -> str:
        """All of its addresses."""
        return f"127.{self.octet}.0.0/16"

    @property
    def coordinates(self) -> str:
        """As a deployment file writes them."""
        return f"{self.latitude},{self.longitude}"

    def address(self, site: int, host: int = 1) -> str:
        """One of its addresses."""
        return f"127.{self.octet}.{site}.{host}"


@dataclass(frozen=True, slots=True)
class Region(Somewhere):
    """A region as its provider's published ranges name it. A border group of AWS is a place of its own, whatever the
    region is called."""

    provider: str
    name: str
    service: str
    border_group: str = ""


VENDOR: Final = Region(0, "Frankfurt", 50.1109, 8.6821, "aws", "eu-central-1", "EC2")
"""Where everything of the lab is that has no place of its own."""
FRANKFURT: Final = Region(11, "Frankfurt", 50.1109, 8.6821, "aws", "eu-central-1", "EC2")
DUBLIN: Final = Region(12, "Dublin", 53.3498, -6.2603, "aws", "eu-west-1", "EC2")
ZURICH: Final = Region(13, "Zurich", 47.3769, 8.5417, "aws", "eu-central-2", "EC2")
LONDON: Final = Region(14, "London", 51.5072, -0.1276, "aws", "eu-west-2", "EC2")
ISTANBUL: Final = Region(15, "Istanbul", 41.0082, 28.9784, "aws", "eu-central-1", "EC2", "eu-central-1-ist-1")
ASHBURN: Final = Region(16, "Ashburn", 39.0438, -77.4874, "aws", "us-east-1", "EC2")
WARSAW: Final = Region(17, "Warsaw", 52.2297, 21.0122, "aws", "eu-central-1", "EC2", "eu-central-1-waw-1")
SERBIA: Final = Region(18, "Jovanovac", 44.0542, 20.9594, "oci", "eu-jovanovac-1", "OCI")
PARIS: Final = Region(19, "Paris", 48.8566, 2.3522, "gcp", "europe-west9", "Google Cloud")
LONDON_G: Final = Region(20, "London", 51.5072, -0.1276, "gcp", "europe-west2", "Google Cloud")
FRANKFURT_O: Final = Region(21, "Frankfurt", 50.1109, 8.6821, "oci", "eu-frankfurt-1", "OCI")
STOCKHOLM: Final = Region(23, "Stockholm", 59.3293, 18.0686, "aws", "eu-north-1", "EC2")
SOVEREIGN: Final = Region(24, "Brandenburg", 52.4125, 12.5316, "aws", "eusc-de-east-1", "EC2")
REGIONS: Final = (
    VENDOR, FRANKFURT, DUBLIN, ZURICH, LONDON, ISTANBUL, ASHBURN, WARSAW, SERBIA, PARIS, LONDON_G, FRANKFURT_O,
    STOCKHOLM, SOVEREIGN,
)  # fmt: skip
"""All that the lab's ranges file names."""


@dataclass(frozen=True, slots=True)
class PointOfPresence(Somewhere):
    """An edge of a content delivery network. Its addresses are announced from everywhere: where it is tells its code
    alone, and no range."""

    cdn: EdgeKind
    code: str
    timed: bool = True
    """It tells how long the origin took."""


EDGE_STOCKHOLM: Final = PointOfPresence(61, "Stockholm", 59.6519, 17.9186, EdgeKind.CLOUDFRONT, "ARN56-P1")
EDGE_LONDON: Final = PointOfPresence(62, "London", 51.4706, -0.4619, EdgeKind.CLOUDFRONT, "LHR61-P5")
EDGE_FASTLY: Final = PointOfPresence(63, "Stockholm", 59.3544, 17.9417, EdgeKind.FASTLY, "BMA")
EDGE_HELSINKI: Final = PointOfPresence(64, "Helsinki", 60.3172, 24.9633, EdgeKind.CLOUDFLARE, "HEL")
EDGE_REUNION: Final = PointOfPresence(65, "Saint-Denis", -20.8871, 55.5103, EdgeKind.CLOUDFLARE, "RUN", timed=False)
"""An outermost region of the Union, too far from every origin for a time to tell anything."""
POPS: Final = (EDGE_STOCKHOLM, EDGE_LONDON, EDGE_FASTLY, EDGE_HELSINKI, EDGE_REUNION)

NOWHERE: Final = Somewhere(90, "Dublin", 53.3498, -6.2603)
"""Addresses that no range holds, as a private network's are; so far from every vantage that no delay tells where."""

FROM_FRANKFURT: Final = Somewhere(101, "Frankfurt", 50.1109, 8.6821)
FROM_ASHBURN: Final = Somewhere(102, "Ashburn", 39.0438, -77.4874)
FROM_REUNION: Final = Somewhere(103, "Saint-Denis", -20.8823, 55.4504)
VANTAGES: Final = (FROM_FRANKFURT, FROM_ASHBURN, FROM_REUNION)

EVERYWHERE: Final[tuple[Somewhere, ...]] = (*REGIONS, *POPS, NOWHERE, *VANTAGES)
V6_ABROAD: Final = "::1/128"
"""The one address of version 6 that loopback has; the ranges file puts it into us-east-1, and nobody listens there."""


def kilometres(a: Somewhere, b: Somewhere) -> float:
    """Along the great circle (haversine)."""
    north, south = math.radians(a.latitude), math.radians(b.latitude)
    half = math.radians(b.longitude - a.longitude) / 2
    h = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(half) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, h)))


def one_way_us(a: Somewhere, b: Somewhere) -> int:
    """Microseconds that bytes take between two places, rounded up."""
    return math.ceil(kilometres(a, b) * DETOUR / FIBRE_KM_PER_S * 1_000_000)
