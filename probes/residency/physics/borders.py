"""Whether a disc lies certainly inside or certainly outside of a set of countries, by polygons. Conservative.

Inside: the centre is in a country of the set and in no other, and neither the outer border of the set nor any other
country comes within the radius. Outside: the centre is in no country of the set, and none comes within the radius.
Distances to borders are bounded from below; polygons are taken to be off by a tolerance that is part of the premises.
Borders between two countries of the set do not count where both polygons share them vertex by vertex.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import cos, floor, radians
from typing import Final, TypeAlias

from probes.places.cities import Point
from probes.places.countries import with_parts
from probes.residency.physics.discs import Bound
from probes.residency.physics.polygons import Polygons, Ring, Shape, Vertex
from probes.residency.physics.sphere import EARTH_RADIUS_M, HALF_ROUND_M, great_circle, shortest

TOLERANCE_M: Final = 2_000
"""How far polygons may be off the true border, unless the user knows better."""
_RESOLVED_M: Final = 250.0
"""Pieces of a border shorter than this are not cut again."""

Edge: TypeAlias = tuple[Vertex, Vertex]


class Lies(StrEnum):
    """How a disc lies to a set of countries."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Territory:
    """Polygons held against a set of countries, ready to be asked.

    `wholly` are the shapes of which every part is in the set, `partly` those of which some part is, for a polygon of
    Portugal may hold the Azores.
    """

    wholly: tuple[Shape, ...]
    partly: tuple[Shape, ...]
    foreign: tuple[Shape, ...]
    outline: tuple[Edge, ...]
    """Borders that end the inside: those of other shapes and, unless only land counts, those of the set's own shapes
    that no two of them share."""
    reachable: tuple[Edge, ...]
    """Borders of all shapes that are partly in the set."""
    missing: frozenset[str]
    """Countries of the set without a polygon: then nothing is certainly outside."""
    tolerance_m: int


def territory(
    polygons: Polygons, countries: Collection[str], tolerance_m: int = TOLERANCE_M, *, on_land: bool = False
) -> Territory:
    """Prepare polygons for questions about a set of countries (with the parts that their names cover).

    `on_land` takes for granted that nothing stands outside of every polygon, as on the high seas: a premise that makes
    discs near a coast lie inside, and that whoever uses it must state.
    """
    if tolerance_m < 0:
        raise ValueError("polygons cannot be off by a negative distance")
    codes = with_parts(countries)
    drawn = polygons.codes
    wholly: list[Shape] = []
    partly: list[Shape] = []
    foreign: list[Shape] = []
    for shape in polygons.shapes:
        covers = {part for part in with_parts({shape.code}) if part == shape.code or part not in drawn}
        if covers & codes:
            partly.append(shape)
        (wholly if covers <= codes else foreign).append(shape)
    covered = frozenset[str]().union(*(with_parts({code}) for code in drawn))
    shared = Counter(_undirected(edge) for shape in wholly for edge in _edges(shape.rings))
    outline = [] if on_land else [edge for edge, times in shared.items() if times == 1]
    outline += [edge for shape in foreign for edge in _edges(shape.rings)]
    return Territory(
        tuple(wholly),
        tuple(partly),
        tuple(foreign),
        tuple(dict.fromkeys(map(_undirected, outline))),
        tuple({_undirected(edge) for shape in partly for edge in _edges(shape.rings)}),
        frozenset(codes - covered),
        tolerance_m,
    )


def _edges(rings: Iterable[Ring]) -> Iterable[Edge]:
    return (edge for ring in rings for edge in pairwise(ring) if edge[0] != edge[1])


def _undirected(edge: Edge) -> Edge:
    return (edge[0], edge[1]) if edge[0] <= edge[1] else (edge[1], edge[0])


def lies(bound: Bound, among: Territory) -> Lies:
    """How the disc of a bound lies to the set of countries."""
    return disc_lies(bound.centre, bound.radius_m, among)


def disc_lies(centre: Point, radius_m: int, among: Territory) -> Lies:
    """How a disc lies to the set of countries."""
    needed = radius_m + among.tolerance_m
    side, edges = _side(centre, among)
    return side if nearest_m(centre, edges, needed + 1) > needed else Lies.UNDETERMINED


def clearance_m(centre: Point, among: Territory) -> tuple[Lies, int]:
    """On which side a point lies, and the radius of the largest disc round it that still does: for choosing where to
    measure from. Up to half a kilometre less than could be shown."""
    side, edges = _side(centre, among)
    return side, max(0, nearest_m(centre, edges, HALF_ROUND_M) - among.tolerance_m - 1)


def _side(centre: Point, among: Territory) -> tuple[Lies, tuple[Edge, ...]]:
    """On which side a point lies, and the borders that a disc round it must stay clear of."""
    if _within(centre, among.wholly):
        return (Lies.UNDETERMINED if _within(centre, among.foreign) else Lies.INSIDE), among.outline
    if among.missing or _within(centre, among.partly):
        return Lies.UNDETERMINED, ()
    return Lies.OUTSIDE, among.reachable


def _within(point: Point, shapes: Iterable[Shape]) -> bool:
    return any(in_shape(point, shape) for shape in shapes)


def in_shape(point: Point, shape: Shape) -> bool:
    """Whether a point is in a polygon and in none of its holes; on a border it may be either. Exact, in integers."""
    return _in_ring(point, shape.rings[0]) and not any(_in_ring(point, hole) for hole in shape.rings[1:])


def _in_ring(point: Point, ring: Ring) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > point.lat) != (y2 > point.lat):
            # The edge crosses the point's parallel: east of the point?
            side = (x2 - x1) * (point.lat - y1) - (point.lon - x1) * (y2 - y1)
            if (side > 0) == (y2 > y1):
                inside = not inside
    return inside


def nearest_m(centre: Point, edges: Iterable[Edge], limit: int) -> int:
    """A distance below which no edge comes to a point: at most `limit`, and at most half a kilometre too small."""
    lat, lon = centre.lat / 1e6, centre.lon / 1e6
    best = float(limit)
    for (x1, y1), (x2, y2) in edges:
        # Degrees of latitude that are surely too far, the ellipsoid's share included.
        margin = (best + 1) / EARTH_RADIUS_M * 58.0
        south, north = (y1, y2) if y1 <= y2 else (y2, y1)
        if south / 1e6 - lat <= margin and lat - north / 1e6 <= margin:
            best = _nearer(lat, lon, (x1 / 1e6, y1 / 1e6, x2 / 1e6, y2 / 1e6), best)
    return max(0, floor(best))


def _nearer(lat: float, lon: float, piece: tuple[float, float, float, float], best: float) -> float:
    """The lesser of `best` and what a piece of border is surely away, cutting it in two until it is short."""
    pending = [piece]
    while pending:
        x1, y1, x2, y2 = pending.pop()
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        half = _half_length(x1, y1, x2, y2)
        least = shortest(great_circle(lat, lon, y, x) - half)
        if least >= best:
            continue
        if half < _RESOLVED_M:
            best = least
        else:
            pending += [(x1, y1, x, y), (x, y, x2, y2)]
    return best


def _half_length(x1: float, y1: float, x2: float, y2: float) -> float:
    """At least half of the length of a line that is straight in degrees: its legs, east at the latitude nearest 0."""
    widest = 0.0 if y1 * y2 <= 0 else min(abs(y1), abs(y2))
    return EARTH_RADIUS_M * radians(abs(y2 - y1) + abs(x2 - x1) * cos(radians(widest))) / 2
