"""Which countries a delay leaves, by polygons: never one too few."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.places.cities import Point as Centre
from probes.residency.bounds import STANDPOINT_OFF_M
from probes.residency.endpoint.reach import Outlines, reach_of, touched
from probes.residency.endpoint_facts import Point, SignedTimes, Standpoint, Times
from probes.residency.physics.polygons import read_polygons
from probes.residency.physics.sphere import at_most_m


def square(code: str, west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"ISO_A2": code, "iso1A2": code},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


SQUARES = {"DE": (8, 48, 12, 54), "FR": (0, 44, 8, 50), "GB": (-6, 50, 1, 58), "US": (-120, 30, -80, 48)}
OUTLINES = Outlines.of(
    read_polygons(
        json.dumps(
            {"type": "FeatureCollection", "features": [square(code, *sides) for code, sides in SQUARES.items()]}
        ).encode()
    )
)


def signed(least_us: int) -> SignedTimes:
    times = Times(least_us=least_us, all_us=(least_us,), resolution_ns=1000)
    return SignedTimes(times=times, version="", signature_scheme="", certificate="0" * 64, trusted=True)


def standpoint(**changed: object) -> Standpoint:
    there = Point(latitude=50_110_000, longitude=8_680_000)
    return Standpoint.model_validate({"vantage": "v", "point": there, "country": "DE", "proxied": False, **changed})


@pytest.mark.parametrize(
    ("least_us", "countries"),
    [(100, ("DE",)), (500, ("DE", "FR")), (6_000, ("DE", "FR", "GB")), (50_000, ("DE", "FR", "GB", "US"))],
)
def test_the_longer_it_takes_the_more_is_left(least_us: int, countries: tuple[str, ...]) -> None:
    found = reach_of(OUTLINES, standpoint(), signed(least_us))
    assert found is not None
    drawn = {"DE", "FR", "GB", "US"}  # others, which have no polygon here, are told by their cities
    assert {*found.countries} & drawn == {*countries}
    assert found.radius_m >= (least_us + 1) * 149 + STANDPOINT_OFF_M
    assert found.borders == OUTLINES.sha256


def test_nothing_bounds_without_a_place_or_through_a_proxy_or_after_too_long() -> None:
    assert reach_of(OUTLINES, standpoint(point=None), signed(100)) is None
    assert reach_of(OUTLINES, standpoint(proxied=True), signed(100)) is None
    assert reach_of(OUTLINES, standpoint(), signed(200_000)) is None


DEGREES = st.integers(-80_000_000, 80_000_000)
LONGITUDES = st.integers(-179_000_000, 179_000_000)


@settings(deadline=None, max_examples=60)
@given(
    DEGREES, st.integers(-179_000_000, 179_000_000), st.sampled_from(sorted(SQUARES)), st.floats(0, 1), st.floats(0, 1)
)
def test_a_country_with_a_point_within_reach_is_never_left_out(
    lat: int, lon: int, code: str, across: float, up: float
) -> None:
    west, south, east, north = SQUARES[code]
    inside = Centre(round((south + up * (north - south)) * 1e6), round((west + across * (east - west)) * 1e6))
    centre = Centre(lat, lon)
    assert code in touched(OUTLINES, centre, at_most_m(centre, inside) + 1)
