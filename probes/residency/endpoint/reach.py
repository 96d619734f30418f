"""Which countries the disc of a delay touches, by country polygons. Pure; rounded so that none is left out."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from probes.places.cities import Point as Centre
from probes.residency.bounds import STANDPOINT_OFF_M
from probes.residency.endpoint_facts import Reach, SignedTimes, Standpoint
from probes.residency.physics.borders import TOLERANCE_M, in_shape, nearest_m
from probes.residency.physics.discs import Speed, reach_m
from probes.residency.physics.polygons import Polygons, Shape
from probes.residency.physics.sphere import HALF_ROUND_M

_TICK_NS = 1000


def reach_of(polygons: Polygons, standpoint: Standpoint, signed: SignedTimes) -> Reach | None:
    """Where the holder of the key can be: the vacuum disc of the least time, a tick of the clock longer. None where the
    disc bounds nothing: without coordinates, behind a proxy of ours, or as large as the Earth."""
    point = standpoint.point
    if point is None or standpoint.proxied:
        return None
    ticks_us = -(-signed.times.resolution_ns // _TICK_NS)
    radius = reach_m(signed.times.least_us + ticks_us, Speed.VACUUM) + STANDPOINT_OFF_M
    if radius + TOLERANCE_M >= HALF_ROUND_M:
        return None
    countries = _touched(polygons, point.latitude, point.longitude, radius + TOLERANCE_M)
    return Reach(radius_m=radius, countries=tuple(sorted(countries)), borders=polygons.sha256)


@lru_cache(maxsize=256)
def _touched(polygons: Polygons, latitude: int, longitude: int, metres: int) -> frozenset[str]:
    centre = Centre(latitude, longitude)
    found: set[str] = set()
    for shape in polygons.shapes:
        if shape.code not in found and _touches(centre, shape, metres):
            found.add(shape.code)
    return frozenset(found)


def _touches(centre: Centre, shape: Shape, metres: int) -> bool:
    if in_shape(centre, shape):
        return True
    edges = (edge for ring in shape.rings for edge in pairwise(ring))
    return nearest_m(centre, edges, metres + 1) <= metres
