"""Distances and discs: every bound stays one, whatever delay is added."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from probes.places.cities import CITIES, City, Point
from probes.places.pops import AIRPORTS
from probes.residency.physics.discs import (
    FIBRE_M_PER_S,
    LIGHT_M_PER_S,
    Ellipse,
    RoundTrip,
    Speed,
    apart,
    from_edge,
    from_round_trip,
    reach_m,
    through_edge,
)
from probes.residency.physics.sphere import HALF_ROUND_M, at_least_m, at_most_m, distance_m

points = st.builds(Point, st.integers(-90_000_000, 90_000_000), st.integers(-180_000_000, 180_000_000))
delays = st.integers(0, 500_000)


def vincenty_m(a: Point, b: Point) -> float | None:
    """The geodesic on WGS 84 (Vincenty 1975), for comparison; None where it does not converge."""
    major, flat = 6_378_137.0, 1 / 298.257223563
    minor = major * (1 - flat)
    phi1, phi2 = (math.radians(p.lat / 1e6) for p in (a, b))
    u1, u2 = (math.atan((1 - flat) * math.tan(phi)) for phi in (phi1, phi2))
    length = math.radians((b.lon - a.lon) / 1e6)
    lam = length
    for _ in range(100):
        first = math.cos(u2) * math.sin(lam)
        second = math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam)
        sin_s = math.hypot(first, second)
        if sin_s == 0:
            return 0.0
        cos_s = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        sigma = math.atan2(sin_s, cos_s)
        sin_a = math.cos(u1) * math.cos(u2) * math.sin(lam) / sin_s
        cos2_a = 1 - sin_a**2
        mid = cos_s - 2 * math.sin(u1) * math.sin(u2) / cos2_a if cos2_a else 0.0
        c = flat / 16 * cos2_a * (4 + flat * (4 - 3 * cos2_a))
        before = lam
        lam = length + (1 - c) * flat * sin_a * (sigma + c * sin_s * (mid + c * cos_s * (2 * mid**2 - 1)))
        if abs(lam - before) < 1e-12:
            u = cos2_a * (major**2 - minor**2) / minor**2
            big_a = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
            big_b = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
            inner = cos_s * (2 * mid**2 - 1) - big_b / 6 * mid * (4 * sin_s**2 - 3) * (4 * mid**2 - 3)
            return minor * big_a * (sigma - big_b * sin_s * (mid + big_b / 4 * inner))
    return None


@settings(max_examples=400)
@given(points, points)
def test_the_true_distance_is_bracketed(a: Point, b: Point) -> None:
    true = vincenty_m(a, b)
    assume(true is not None)
    assert true is not None
    assert at_least_m(a, b) <= true <= at_most_m(a, b)
    assert true <= HALF_ROUND_M


@given(points, points)
def test_distances_are_symmetric(a: Point, b: Point) -> None:
    assert distance_m(a, b) == distance_m(b, a)
    assert at_least_m(a, b) == at_least_m(b, a) <= distance_m(a, b) <= at_most_m(b, a)
    assert at_least_m(a, a) == 0


def test_distances_are_those_of_the_atlas() -> None:
    assert distance_m(CITIES["frankfurt"].point, CITIES["london"].point) == pytest.approx(639_000, rel=0.01)
    assert distance_m(CITIES["ashburn"].point, CITIES["dublin"].point) == pytest.approx(5_430_000, rel=0.01)
    assert distance_m(CITIES["auckland"].point, CITIES["madrid"].point) == pytest.approx(19_600_000, rel=0.01)


def test_the_constants_are_the_stated_ones() -> None:
    assert reach_m(1000, Speed.VACUUM) == 149_897
    assert reach_m(1000, Speed.FIBRE) == 102_110
    assert LIGHT_M_PER_S / FIBRE_M_PER_S < 1.468
    assert reach_m(0, Speed.VACUUM) == 0
    for bad in (-1, 10**12):
        with pytest.raises(ValueError, match="clock"):
            reach_m(bad, Speed.VACUUM)


def trip(at: Point, minimum_us: int, off_m: int = 0, resolution_us: int = 1) -> RoundTrip:
    return RoundTrip("v1", at, off_m, minimum_us, 20, resolution_us, "ClientHello to verified CertificateVerify")


def least_us(metres: int) -> int:
    """The least round trip over a distance: nothing answers sooner."""
    return math.ceil(metres * 2_000_000 / LIGHT_M_PER_S)


@settings(max_examples=200)
@given(points, points, delays, delays)
def test_the_truth_is_never_excluded_and_delay_only_weakens(v: Point, truth: Point, delay: int, more: int) -> None:
    honest = least_us(at_most_m(v, truth))
    near = from_round_trip(trip(v, honest + delay), Speed.VACUUM)
    far = from_round_trip(trip(v, honest + delay + more), Speed.VACUUM)
    assert not near.excludes(truth)
    assert not far.excludes(truth)
    assert near.radius_m <= far.radius_m
    for city in ("frankfurt", "sydney", "ashburn"):
        assert near.excludes(CITIES[city].point) or not far.excludes(CITIES[city].point)


@given(delays, delays)
def test_fibre_reaches_less_far_than_light(minimum: int, more: int) -> None:
    assert reach_m(minimum, Speed.FIBRE) <= reach_m(minimum, Speed.VACUUM)
    assert reach_m(minimum, Speed.VACUUM) <= reach_m(minimum + more, Speed.VACUUM)


@settings(max_examples=200)
@given(points, points, points, delays, delays)
def test_one_place_never_looks_like_two(v: Point, w: Point, truth: Point, first: int, second: int) -> None:
    one = from_round_trip(trip(v, least_us(at_most_m(v, truth)) + first), Speed.VACUUM)
    two = from_round_trip(trip(w, least_us(at_most_m(w, truth)) + second), Speed.VACUUM)
    assert not one.apart_from(two)
    assert apart((one, two)) is None


@given(points, points, delays, delays)
def test_apart_is_symmetric(v: Point, w: Point, first: int, second: int) -> None:
    one, two = from_round_trip(trip(v, first), Speed.VACUUM), from_round_trip(trip(w, second), Speed.VACUUM)
    assert one.apart_from(two) == two.apart_from(one)


def test_two_quick_answers_far_apart_are_two_sites() -> None:
    one = from_round_trip(trip(CITIES["frankfurt"].point, 2000), Speed.VACUUM)
    two = from_round_trip(trip(CITIES["ashburn"].point, 2000), Speed.VACUUM)
    assert apart((one, one, two)) == (one, two)


@settings(max_examples=200)
@given(points, points, points, delays, st.integers(0, 999))
def test_an_origin_is_in_the_discs_of_its_edge(v: Point, e: Point, o: Point, delay: int, cut: int) -> None:
    edge = City("EDGE", "DE", e, 50_000)
    to_origin = least_us(at_most_m(e, o))
    stated_ms = (to_origin + delay + cut) // 1000
    assert not from_edge(edge, stated_ms * 1000, 1000, "Fastly X-Timer VE", Speed.VACUUM).excludes(o)
    whole = through_edge(trip(v, least_us(at_most_m(v, e)) + to_origin + delay), edge, Speed.VACUUM)
    assert whole is not None
    assert not whole.excludes(o)
    hop = Ellipse(v, o, at_most_m(v, e) + at_most_m(e, o))
    assert not hop.excludes(e)


def test_an_edge_that_is_not_where_its_code_says() -> None:
    assert through_edge(trip(CITIES["ashburn"].point, 2000), AIRPORTS["FRA"], Speed.VACUUM) is None
    assert Ellipse(CITIES["paris"].point, CITIES["berlin"].point, 900_000).excludes(CITIES["madrid"].point)


def test_a_reader_can_recompute_a_bound() -> None:
    bound = from_round_trip(trip(CITIES["frankfurt"].point, 1700, off_m=5000, resolution_us=2), Speed.VACUUM)
    assert bound.radius_m == math.ceil(299_792_458 * 1702 / 2_000_000) + 5000 == 260_124
    text = bound.worded()
    for part in (
        "v1",
        "50.110000, 8.680000",
        "5000 m",
        "minimum 1700 us of 20",
        "resolution 2 us",
        "299792458",
        "255124",
    ):
        assert part in text
    edge = from_edge(AIRPORTS["FRA"], 1000, 1000, "Fastly X-Timer VE", Speed.FIBRE)
    assert "204220000 * (1000 + 1000) / 2000000 = 204220 m" in edge.worded()
    assert edge.radius_m == 204_220 + AIRPORTS["FRA"].radius_m


def test_what_is_no_measurement_is_refused() -> None:
    for wrong in ({"off_m": -1}, {"resolution_us": -1}):
        with pytest.raises(ValueError, match="uncertainties"):
            trip(CITIES["paris"].point, 1, **wrong)
    with pytest.raises(ValueError, match="clock"):
        from_round_trip(trip(CITIES["paris"].point, -5, resolution_us=1), Speed.VACUUM)
