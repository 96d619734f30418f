"""A piece of the globe on a sheet: the projection, the grid, and country outlines where polygons are at hand. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from probes.places.cities import Point
from probes.residency.physics.polygons import Polygons, Ring

WIDTH: Final = 1080
HEIGHT: Final = 620
_MARGIN: Final = 7.0
"""Degrees round the outermost points."""
_LEAST: Final = 34.0
"""Degrees of longitude that a sheet shows at least, so that a single city has a country round it."""
_STEP_PX: Final = 0.7
"""Shorter steps of an outline are left out."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An equirectangular projection, true to scale along the middle latitude."""

    west: float
    north: float
    scale: float
    """Pixels per degree of latitude."""
    squeeze: float
    """A degree of longitude as a share of one of latitude, at the middle."""

    def xy(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Where a point lies, in pixels from the upper left."""
        return ((longitude - self.west) * self.scale * self.squeeze, (self.north - latitude) * self.scale)

    @property
    def east(self) -> float:
        """Longitude of the right edge."""
        return self.west + WIDTH / (self.scale * self.squeeze)

    @property
    def south(self) -> float:
        """Latitude of the lower edge."""
        return self.north - HEIGHT / self.scale


def sheet(points: Iterable[Point]) -> Sheet:
    """A sheet that holds all points; Europe where there are none."""
    given = [(point.lat / 1e6, point.lon / 1e6) for point in points] or [(50.0, 10.0)]
    south, north = min(lat for lat, _ in given) - _MARGIN, max(lat for lat, _ in given) + _MARGIN
    west, east = min(lon for _, lon in given) - _MARGIN, max(lon for _, lon in given) + _MARGIN
    middle = max(-75.0, min(75.0, (south + north) / 2))
    squeeze = math.cos(math.radians(middle))
    wide = max(east - west, _LEAST)
    scale = min(WIDTH / (wide * squeeze), HEIGHT / max(north - south, _LEAST / 2))
    centre_lon, centre_lat = (west + east) / 2, (south + north) / 2
    return Sheet(centre_lon - WIDTH / (2 * scale * squeeze), centre_lat + HEIGHT / (2 * scale), scale, squeeze)


def grid(on: Sheet) -> Iterator[str]:
    """Meridians and parallels with their degrees, as SVG."""
    step = 5 if on.east - on.west < 60 else 10 if on.east - on.west < 140 else 30
    for longitude in range(math.ceil(on.west / step) * step, math.floor(on.east) + 1, step):
        x, _ = on.xy(0, longitude)
        yield f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{HEIGHT}"/>'
        yield f'<text class="deg" x="{x + 3:.1f}" y="{HEIGHT - 4}">{_degrees(longitude, "E", "W")}</text>'
    for latitude in range(math.ceil(on.south / step) * step, math.floor(on.north) + 1, step):
        _, y = on.xy(latitude, 0)
        yield f'<line class="grid" x1="0" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}"/>'
        yield f'<text class="deg" x="3" y="{y - 3:.1f}">{_degrees(latitude, "N", "S")}</text>'


def outlines(polygons: Polygons, on: Sheet, inside: frozenset[str]) -> Iterator[str]:
    """Countries as SVG paths; those of the jurisdiction are told apart by their class."""
    for shape in polygons.shapes:
        lines = [line for ring in shape.rings if (line := _line(ring, on))]
        if lines:
            name = "land home" if shape.code in inside else "land"
            yield f'<path class="{name}" fill-rule="evenodd" d="{" ".join(lines)}"><title>{shape.code}</title></path>'


def _line(ring: Ring, on: Sheet) -> str:
    lons = [lon / 1e6 for lon, _ in ring]
    lats = [lat / 1e6 for _, lat in ring]
    if max(lons) < on.west or min(lons) > on.east or max(lats) < on.south or min(lats) > on.north:
        return ""
    placed = [on.xy(lat, lon) for lat, lon in zip(lats, lons, strict=True)]
    kept = list(_thinned(placed))
    if len(kept) < 3:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept) + "Z"


def _thinned(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    last: tuple[float, float] | None = None
    for x, y in points:
        if last is None or abs(x - last[0]) + abs(y - last[1]) >= _STEP_PX:
            last = (x, y)
            yield last


def _degrees(value: int, positive: str, negative: str) -> str:
    return "0°" if value == 0 else f"{abs(value)}° {positive if value > 0 else negative}"
