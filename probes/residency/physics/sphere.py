"""Distances on the Earth, in whole metres. Floats stay inside.

The Earth is taken as a sphere of its mean radius. A geodesic on the WGS 84 ellipsoid differs from the great circle on
that sphere by less than 0.57 per cent either way, so `at_least` and `at_most` bracket the true distance along the
ground; one metre more pays for floating point. Heights do not matter at this scale, and signals do not pass through the
ground: a path outside a convex body is never shorter than the geodesic on it.
"""

from __future__ import annotations

from math import asin, ceil, cos, floor, radians, sin, sqrt
from typing import Final

from probes.places.cities import Point

EARTH_RADIUS_M: Final = 6_371_009
"""Mean radius (2a + b) / 3 of WGS 84."""
ELLIPSOID_PER_MILLION: Final = 5_700
"""By how much, in millionths, the sphere may be off."""
HALF_ROUND_M: Final = 20_016_000
"""No two points are farther apart than this: half of a meridian is 20,003,932 m, half of the sphere 20,015,116 m."""


def great_circle(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres between two points in degrees, on the sphere (haversine)."""
    phi1, phi2 = radians(lat1), radians(lat2)
    half_lat, half_lon = (phi2 - phi1) / 2, radians(lon2 - lon1) / 2
    square = sin(half_lat) ** 2 + cos(phi1) * cos(phi2) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(square)))


def _between(a: Point, b: Point) -> float:
    # The same order whichever comes first: so that distances are symmetric to the last bit.
    one, two = sorted(((a.lat, a.lon), (b.lat, b.lon)))
    return great_circle(one[0] / 1e6, one[1] / 1e6, two[0] / 1e6, two[1] / 1e6)


def distance_m(a: Point, b: Point) -> int:
    """The distance on the sphere, to the nearest metre: to show, not to decide by."""
    return round(_between(a, b))


def at_least_m(a: Point, b: Point) -> int:
    """A distance that the true one is never below."""
    return max(0, floor(shortest(_between(a, b))))


def at_most_m(a: Point, b: Point) -> int:
    """A distance that the true one is never above."""
    return ceil(_between(a, b) * (1 + ELLIPSOID_PER_MILLION / 1e6)) + 1


def shortest(metres: float) -> float:
    """The least true distance where the sphere says `metres`."""
    return metres * (1 - ELLIPSOID_PER_MILLION / 1e6) - 1
