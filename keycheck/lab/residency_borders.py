"""Country polygons for practice: generous boxes, each larger than its country. No map: a real one is for the user to
bring.

A box that is too large makes a bound say less, never more. Left out are countries far from every place of the lab.
"""

from __future__ import annotations

import json
from typing import Final

BORDERS_FILE: Final = "borders.geojson"

_BOXES: Final = """
AT 46 9 49 18
BE 49 2 52 7
BG 41 22 45 29
BM 32 -66 33 -64
CA 42 -141 84 -52
CH 45 5 48 11
CU 19 -86 24 -74
CZ 48 12 52 19
DE 47 5 56 16
DK 54 8 58 16
DO 17 -73 20 -68
ES 35 -10 44 5
FI 59 19 71 32
FR 41 -6 52 10
GB 49 -9 61 2
GF 2 -55 6 -51
GP 15 -62 17 -60
GR 34 19 42 30
HU 45 16 49 23
IE 51 -11 56 -5
IS 63 -25 67 -13
IT 35 6 48 19
LU 49 5 51 7
MA 27 -14 36 -1
MF 18 -64 19 -62
MG -26 43 -11 51
MQ 14 -62 15 -60
MU -21 57 -19 64
MX 14 -119 33 -86
NL 50 3 54 8
NO 57 4 72 32
PL 49 14 55 25
PT 36 -10 43 -6
RE -22 55 -20 56
RO 43 20 49 30
RS 42 18 47 23
RU 41 27 82 180
SE 55 10 70 25
TR 35 25 43 45
UA 44 22 53 41
US 24 -125 50 -66
"""
"""Code, south, west, north, east, in degrees."""


def borders_file() -> str:
    """The boxes as GeoJSON (RFC 7946)."""
    rows = (line.split() for line in _BOXES.strip().splitlines())
    features = [_feature(code, *(int(edge) for edge in edges)) for code, *edges in rows]
    return json.dumps({"type": "FeatureCollection", "features": features}) + "\n"


def _feature(code: str, south: int, west: int, north: int, east: int) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"ISO_A2": code},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
