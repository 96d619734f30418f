"""Country polygons that a user brings: GeoJSON, and the feature format of country-coder's `borders.json`. Bounded.

Read are features with a `Polygon` or `MultiPolygon` in longitude and latitude (RFC 7946) and a property that tells the
ISO 3166 code. Lines between positions are straight in those coordinates, and polygons must be split at the antimeridian
(RFC 7946, section 3.1.9). Membership in unions is never taken from the file: country-coder's counts overseas countries
and territories to the European Union.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NoReturn, TypeAlias

from probes.places.countries import COUNTRIES, KNOWN

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_FEATURES: Final = 10_000
MAX_VERTICES: Final = 600_000

Vertex: TypeAlias = tuple[int, int]
"""Longitude and latitude in microdegrees, as GeoJSON orders them."""
Ring: TypeAlias = tuple[Vertex, ...]
"""Closed: the last vertex is the first."""

_CODE_PROPERTIES: Final = ("iso1A2", "ISO_A2_EH", "ISO_A2", "iso_a2", "ISO3166-1-Alpha-2", "ISO3166-1:alpha2", "cca2")
_OWN_CODES: Final = {
    "AC": "SH", "CQ": "GG", "DG": "IO", "EA": "ES", "FX": "FR", "IC": "ES-CN", "TA": "SH", "UK": "GB",
}  # fmt: skip
"""Reserved codes that are no countries of ISO 3166-1, and what they belong to."""
_BY_WIKIDATA: Final = {"Q9143535": "CY-BASES", "Q9206745": "CY-BASES", "Q23681": "CY-NORTH"}

UNNAMED: Final = "ZZ"
"""Land whose country the file does not tell in ISO 3166: in no jurisdiction."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One polygon with its holes, of one country: the outer ring first."""

    code: str
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True)
class Polygons:
    """All polygons of a file, with the file's digest for the evidence."""

    shapes: tuple[Shape, ...]
    sha256: str

    @property
    def codes(self) -> frozenset[str]:
        """The countries and parts that have polygons."""
        return frozenset(shape.code for shape in self.shapes)


def read_polygons(raw: bytes) -> Polygons:
    """The polygons of a GeoJSON feature collection.

    Raises ValueError, saying what to do, for a file that is too large, damaged, without polygons, or with a ring that
    is not closed, leaves the globe or crosses the antimeridian.
    """
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the polygons take {len(raw)} bytes; keycheck reads up to {MAX_BYTES}: simplify them")
    try:
        document = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("the polygons are no JSON: bring a GeoJSON feature collection") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise ValueError("the polygons have no list of features: bring a GeoJSON feature collection")
    if len(features) > MAX_FEATURES:
        raise ValueError(f"the polygons have {len(features)} features; keycheck reads up to {MAX_FEATURES}")
    shapes: list[Shape] = []
    count = 0
    for index, feature in enumerate(features):
        for shape in _shapes(feature, f"feature {index}"):
            count += sum(len(ring) for ring in shape.rings)
            if count > MAX_VERTICES:
                raise ValueError(f"the polygons have more than {MAX_VERTICES} vertices: simplify them")
            shapes.append(shape)
    if not shapes:
        raise ValueError("the file holds no polygon: bring a GeoJSON feature collection of countries")
    return Polygons(tuple(shapes), hashlib.sha256(raw).hexdigest())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _shapes(feature: object, where: str) -> Iterator[Shape]:
    if not isinstance(feature, dict):
        raise ValueError(f"{where} of the polygons is no object")
    geometry, properties = feature.get("geometry"), feature.get("properties")
    if geometry is None:
        return
    if not isinstance(geometry, dict) or not isinstance(properties, dict):
        raise ValueError(f"{where} of the polygons has no geometry and properties as GeoJSON has them")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(coordinates, list):
        raise ValueError(f"{where} is a {str(kind)[:40]!r}: only Polygon and MultiPolygon are read")
    code = _code(properties)
    for polygon in [coordinates] if kind == "Polygon" else coordinates:
        if not isinstance(polygon, list) or not polygon:
            raise ValueError(f"{where} has a polygon without rings")
        yield Shape(code, tuple(_ring(ring, where) for ring in polygon))


def _code(properties: Mapping[object, object]) -> str:
    """The code of ISO 3166 or of a part that keycheck knows; most particular first."""
    wikidata = properties.get("wikidata")
    if isinstance(wikidata, str) and wikidata in _BY_WIKIDATA:
        return _BY_WIKIDATA[wikidata]
    stated = [properties.get(name) for name in _CODE_PROPERTIES]
    aliases, groups = properties.get("aliases"), properties.get("groups")
    for value in [*stated, *(aliases if isinstance(aliases, list) else ())]:
        if isinstance(value, str):
            code = _OWN_CODES.get(value, value)
            if code in KNOWN:
                return code
    for value in [*(groups if isinstance(groups, list) else ()), properties.get("country")]:
        if isinstance(value, str) and _OWN_CODES.get(value, value) in COUNTRIES:
            return _OWN_CODES.get(value, value)
    return UNNAMED


def _ring(ring: object, where: str) -> Ring:
    if not isinstance(ring, list) or len(ring) < 4:
        raise ValueError(f"{where} has a ring of fewer than four positions")
    vertices = tuple(_vertex(position, where) for position in ring)
    if vertices[0] != vertices[-1]:
        raise ValueError(f"{where} has a ring that is not closed")
    if any(abs(b[0] - a[0]) > 180_000_000 and not _along_the_pole(a, b) for a, b in pairwise(vertices)):
        raise ValueError(f"{where} crosses the antimeridian: split it there (RFC 7946, section 3.1.9)")
    return vertices


def _vertex(position: object, where: str) -> Vertex:
    match position:
        case [int() | float() as lon, int() | float() as lat, *_] if (
            not isinstance(lon, bool) and not isinstance(lat, bool) and -180 <= lon <= 180 and -90 <= lat <= 90
        ):
            return round(lon * 1_000_000), round(lat * 1_000_000)
        case _:
            raise ValueError(f"{where} has a position that is no longitude and latitude on the globe")


def _along_the_pole(a: Vertex, b: Vertex) -> bool:
    """Whether an edge closes Antarctica's ring: all the way round, south of every other country."""
    return abs(a[0]) == abs(b[0]) == 180_000_000 and max(a[1], b[1]) <= -60_000_000
