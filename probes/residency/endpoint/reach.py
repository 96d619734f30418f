"""Which countries the disc of a delay touches, by country polygons. Pure; rounded so that none is left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from probes.places.cities import CITIES
from probes.places.cities import Point as Centre
from probes.places.countries import with_parts
from probes.places.pops import AIRPORTS
from probes.residency.bounds import STANDPOINT_OFF_M
from probes.residency.endpoint_facts import Reach, SignedTimes, Standpoint
from probes.residency.physics.borders import TOLERANCE_M, in_shape, nearest_m
from probes.residency.physics.discs import Speed, reach_m
from probes.residency.physics.polygons import Polygons, Shape, Vertex
from probes.residency.physics.sphere import HALF_ROUND_M, at_least_m

_TICK_NS: Final = 1000


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon and the least box that holds it, in microdegrees."""

    shape: Shape
    west_south: Vertex
    east_north: Vertex


@dataclass(frozen=True, slots=True)
class Outlines:
    """Polygons, ready to be asked; made once."""

    all: tuple[Outline, ...]
    sha256: str

    @classmethod
    def of(cls, polygons: Polygons) -> Outlines:
        """Those of a file."""
        return cls(tuple(map(_outline, polygons.shapes)), polygons.sha256)


def _outline(shape: Shape) -> Outline:
    xs, ys = zip(*shape.rings[0], strict=True)
    return Outline(shape, (min(xs), min(ys)), (max(xs), max(ys)))


def reach_of(outlines: Outlines, standpoint: Standpoint, signed: SignedTimes) -> Reach | None:
    """Where the holder of the key can be: the vacuum disc of the least time, a tick of the clock longer, and what the
    standpoint may be off. None where the disc bounds nothing: without coordinates, behind a proxy of ours, or as large
    as the Earth."""
    point = standpoint.point
    if point is None or standpoint.proxied:
        return None
    ticks_us = -(-signed.times.resolution_ns // _TICK_NS)
    radius = reach_m(signed.times.least_us + ticks_us, Speed.VACUUM) + STANDPOINT_OFF_M
    if radius + TOLERANCE_M >= HALF_ROUND_M:
        return None
    centre = Centre(point.latitude, point.longitude)
    countries = touched(outlines, centre, radius + TOLERANCE_M) | _undrawn(outlines, centre, radius)
    return Reach(radius_m=radius, countries=tuple(sorted(countries)), borders=outlines.sha256)


def touched(outlines: Outlines, centre: Centre, metres: int) -> frozenset[str]:
    """The countries of which some part is within `metres` of a point; one too many rather than one too few."""
    found: set[str] = set()
    for outline in outlines.all:
        if outline.shape.code not in found and _touches(centre, outline, metres):
            found.add(outline.shape.code)
    return frozenset(found)


def _undrawn(outlines: Outlines, centre: Centre, metres: int) -> frozenset[str]:
    """Countries that the file does not draw, and of which a city is known here that the disc may hold: a file of some
    countries only, as of a continent, must not pass for the world. Small countries without such a city stay unseen."""
    covered = with_parts({outline.shape.code for outline in outlines.all})
    cities = (city for city in (*AIRPORTS.values(), *CITIES.values()) if city.country not in covered)
    return frozenset(city.country for city in cities if at_least_m(centre, city.point) <= metres)


def _touches(centre: Centre, outline: Outline, metres: int) -> bool:
    shape = outline.shape
    longitude, latitude = shape.rings[0][0]
    if at_least_m(centre, Centre(latitude, longitude)) <= metres:
        return True
    if _in_box(centre, outline) and in_shape(centre, shape):
        return True
    edges = (edge for ring in shape.rings for edge in pairwise(ring))
    return nearest_m(centre, edges, metres + 1) <= metres


def _in_box(centre: Centre, outline: Outline) -> bool:
    (west, south), (east, north) = outline.west_south, outline.east_north
    return west <= centre.lon <= east and south <= centre.lat <= north
