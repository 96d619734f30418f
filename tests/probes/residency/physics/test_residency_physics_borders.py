"""Polygons: what is read, and that a disc is never called inside or outside wrongly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.places.cities import CITIES, Point
from probes.places.jurisdictions import EU
from probes.places.pops import AIRPORTS
from probes.places.scopes import Scope
from probes.residency.grading import Grade, Strength, grade
from probes.residency.physics.borders import Lies, clearance_m, disc_lies, in_shape, territory
from probes.residency.physics.conclude import by_borders, draw
from probes.residency.physics.discs import RoundTrip, Speed, from_edge, from_round_trip
from probes.residency.physics.polygons import MAX_BYTES, Polygons, read_polygons
from probes.residency.physics.sphere import at_least_m, at_most_m

BORDERS = (
    Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
    / "ranges"
    / "borders.json"
)
needs_data = pytest.mark.skipif(not BORDERS.exists(), reason="no shared data: set KEYCHECK_DATA")


def feature(code: str, *rings: object, **properties: object) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"ISO_A2": code, **properties},
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
    }


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def read(*features: object) -> Polygons:
    return read_polygons(json.dumps({"type": "FeatureCollection", "features": features}).encode())


LAND = read(
    feature("DE", box(0, 40, 10, 50)),
    feature("FR", box(-10, 40, 0, 50)),
    feature("IT", box(0, 30, 10, 40), box(4, 34, 6, 36)),
    feature("SM", box(4, 34, 6, 36)),
    feature("CH", box(10, 40, 20, 50)),
)
"""Germany and France side by side, Italy with a hole for San Marino, Switzerland to the east, sea around."""
HOME = territory(LAND, {"DE", "FR", "IT"}, 0)


def naive(point: Point) -> str | None:
    lon, lat = point.lon / 1e6, point.lat / 1e6
    boxes = (
        ("SM", 4, 34, 6, 36),
        ("DE", 0, 40, 10, 50),
        ("FR", -10, 40, 0, 50),
        ("IT", 0, 30, 10, 40),
        ("CH", 10, 40, 20, 50),
    )
    return next((code for code, w, s, e, n in boxes if w < lon < e and s < lat < n), None)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-15_000_000, 25_000_000),
    st.integers(25_000_000, 55_000_000),
    st.integers(0, 1_500_000),
    st.integers(-15_000_000, 25_000_000),
    st.integers(25_000_000, 55_000_000),
)
def test_a_disc_is_never_called_wrongly(lon: int, lat: int, radius: int, lon2: int, lat2: int) -> None:
    centre, truth = Point(lat, lon), Point(lat2, lon2)
    found = disc_lies(centre, radius, HOME)
    if at_most_m(centre, truth) <= radius:
        if found is Lies.INSIDE:
            # On a border between two countries of the set a point is in neither box.
            assert naive(truth) in ("DE", "FR", "IT") or truth.lon == 0 or truth.lat == 40_000_000
        if found is Lies.OUTSIDE:
            assert naive(truth) not in ("DE", "FR", "IT")
    # A smaller disc lies where the larger one does.
    if found is not Lies.UNDETERMINED:
        assert disc_lies(centre, radius // 2, HOME) is found


@settings(max_examples=100, deadline=None)
@given(st.integers(-15_000_000, 25_000_000), st.integers(25_000_000, 55_000_000))
def test_clearance_is_the_radius_that_still_lies_there(lon: int, lat: int) -> None:
    centre = Point(lat, lon)
    side, metres = clearance_m(centre, HOME)
    if side is not Lies.UNDETERMINED and metres > 2:
        assert disc_lies(centre, metres - 2, HOME) is side
        assert disc_lies(centre, metres + 1000, HOME) is Lies.UNDETERMINED


HOME_SCOPE = Scope.model_validate(["DE", "FR", "IT"]).extent().at()
HOME_DRAWN = draw(LAND, HOME_SCOPE, 0)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(-60_000_000, 60_000_000),
    st.integers(-30_000_000, 70_000_000),
    st.integers(-15_000_000, 25_000_000),
    st.integers(25_000_000, 55_000_000),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
)
def test_nothing_is_proved_wrongly_and_delay_only_weakens(
    lon: int, lat: int, lon2: int, lat2: int, delay: int, more: int
) -> None:
    vantage, truth = Point(lat, lon), Point(lat2, lon2)
    least = at_most_m(vantage, truth) * 2_000_000 // 299_792_458 + 1

    def proved(minimum_us: int) -> set[Grade | None]:
        measured = RoundTrip("v", vantage, 0, minimum_us, 10, 0, "handshake")
        return {one.supports for one in by_borders([from_round_trip(measured, Speed.VACUUM)], HOME_DRAWN)}

    early, late = proved(least + delay), proved(least + delay + more)
    assert late <= early
    if naive(truth) in ("DE", "FR", "IT"):
        assert Grade.PROVEN_OUT not in early
    elif truth.lon != 0 and truth.lat != 40_000_000:
        assert Grade.PROVEN_IN not in early


def test_a_border_within_the_set_does_not_count_and_one_to_others_does() -> None:
    middle = Point(45_000_000, 0)
    assert disc_lies(Point(45_000_000, 100), 300_000, HOME) is Lies.INSIDE
    assert disc_lies(middle, 900_000, HOME) is Lies.UNDETERMINED
    assert disc_lies(Point(45_000_000, 9_900_000), 50_000, HOME) is Lies.UNDETERMINED
    assert disc_lies(Point(45_000_000, 15_000_000), 300_000, HOME) is Lies.OUTSIDE
    assert disc_lies(Point(45_000_000, 15_000_000), 500_000, HOME) is Lies.UNDETERMINED


def test_a_hole_is_not_inside() -> None:
    assert disc_lies(Point(35_000_000, 5_000_000), 1000, HOME) is Lies.OUTSIDE
    assert disc_lies(Point(35_000_000, 3_500_000), 10_000, HOME) is Lies.INSIDE
    assert disc_lies(Point(35_000_000, 3_500_000), 60_000, HOME) is Lies.UNDETERMINED


def test_an_enclave_without_a_hole_is_not_inside_either() -> None:
    land = read(feature("IT", box(0, 30, 10, 40)), feature("SM", box(4, 34, 6, 36)))
    home = territory(land, {"IT"}, 0)
    assert disc_lies(Point(35_000_000, 5_000_000), 1000, home) is Lies.UNDETERMINED
    assert disc_lies(Point(35_000_000, 3_500_000), 60_000, home) is Lies.UNDETERMINED


def test_the_tolerance_of_polygons_is_part_of_the_bound() -> None:
    near = Point(45_000_000, 9_900_000)
    assert disc_lies(near, 1000, territory(LAND, {"DE"}, 0)) is Lies.INSIDE
    assert disc_lies(near, 1000, territory(LAND, {"DE"}, 10_000)) is Lies.UNDETERMINED
    with pytest.raises(ValueError, match="negative"):
        territory(LAND, {"DE"}, -1)


def test_a_country_without_a_polygon_leaves_the_outside_open() -> None:
    at = Point(45_000_000, 15_000_000)
    assert disc_lies(at, 1000, territory(LAND, {"DE"}, 0)) is Lies.OUTSIDE
    assert disc_lies(at, 1000, territory(LAND, {"DE", "PL"}, 0)) is Lies.UNDETERMINED


def test_a_polygon_that_may_hold_a_part_is_neither_inside_nor_outside() -> None:
    land = read(feature("PT", box(0, 40, 10, 50)), feature("ES", box(10, 40, 20, 50)))
    assert disc_lies(Point(45_000_000, 5_000_000), 1000, territory(land, {"PT"}, 0)) is Lies.INSIDE
    assert disc_lies(Point(45_000_000, 5_000_000), 1000, territory(land, {"PT-20"}, 0)) is Lies.UNDETERMINED
    apart = read(feature("PT", box(0, 40, 10, 50)), feature("PT-20", box(-10, 40, 0, 50)))
    assert disc_lies(Point(45_000_000, 5_000_000), 1000, territory(apart, {"PT-20"}, 0)) is Lies.OUTSIDE


def test_discs_reach_over_the_antimeridian_and_the_poles() -> None:
    land = read(
        feature("FJ", box(178, -20, 180, -15), aliases=[]),
        feature("RU", box(0, 60, 180, 80)),
        feature("RU", box(-180, 60, 0, 80)),
    )
    assert disc_lies(Point(-17_000_000, -179_900_000), 1_000, territory(land, {"FJ"}, 0)) is Lies.OUTSIDE
    assert disc_lies(Point(-17_000_000, -179_900_000), 20_000, territory(land, {"FJ"}, 0)) is Lies.UNDETERMINED
    assert disc_lies(Point(89_000_000, 0), 1_500_000, territory(land, {"RU"}, 0)) is Lies.UNDETERMINED
    assert disc_lies(Point(89_000_000, 0), 900_000, territory(land, {"RU"}, 0)) is Lies.OUTSIDE


def test_a_long_border_is_straight_in_degrees() -> None:
    # At 49 degrees a great circle between its ends would run far north of the border's middle.
    land = read(feature("US", box(-125, 25, -65, 49)))
    home = territory(land, {"US"}, 0)
    side, metres = clearance_m(Point(48_000_000, -95_000_000), home)
    assert side is Lies.INSIDE
    assert metres == pytest.approx(at_least_m(Point(48_000_000, 0), Point(49_000_000, 0)), abs=600)


def test_no_disc_excludes_the_whole_earth() -> None:
    assert disc_lies(Point(0, 0), 20_016_000, HOME) is Lies.UNDETERMINED


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"features": [NaN]}', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "list of features"),
        (b'{"features": []}', "no polygon"),
        (b'{"features": [1]}', "no object"),
        (json.dumps({"features": [None] * 10_001}).encode(), "10001 features"),
        (json.dumps({"features": [{"geometry": {"type": "Point"}, "properties": {}}]}).encode(), "only Polygon"),
        (json.dumps({"features": [feature("DE", [[0, 0], [1, 0], [0, 0]])]}).encode(), "fewer than four"),
        (json.dumps({"features": [feature("DE", [[0, 0], [1, 0], [1, 1], [0, 1]])]}).encode(), "not closed"),
        (json.dumps({"features": [feature("DE", box(170, 0, 190, 1))]}).encode(), "no longitude"),
        (json.dumps({"features": [feature("DE", box(-170, 0, 170, 1))]}).encode(), "crosses the antimeridian"),
        (json.dumps({"features": [feature("DE", [[True, 0], [1, 0], [1, 1], [True, 0]])]}).encode(), "no longitude"),
        (json.dumps({"features": [feature("DE", [["0", 0], [1, 0], [1, 1], ["0", 0]])]}).encode(), "no longitude"),
        (b'{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[1e999, 0]]]}, "properties": {}}]}', "four"),
        (b" " * (MAX_BYTES + 1), "simplify"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(raw: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_polygons(raw)


def test_codes_are_read_from_several_kinds_of_files() -> None:
    plain = box(0, 0, 1, 1)
    land = read(
        feature("-99", plain, ISO_A2_EH="FR"),
        feature("x", plain, iso1A2="IC", country="ES"),
        feature("x", plain, aliases=["PT-20"], country="PT", groups=["EU", "UN"]),
        feature("x", plain, country="FR", groups=["EU", "TF", "UN"]),
        feature("x", plain, country="GB", wikidata="Q9143535"),
        feature("x", plain, country=7, groups="EU"),
    )
    assert [shape.code for shape in land.shapes] == ["FR", "ES-CN", "PT-20", "TF", "CY-BASES", "ZZ"]


def trip(city: str, minimum_us: int) -> RoundTrip:
    return RoundTrip("v", CITIES[city].point, 0, minimum_us, 10, 0, "ClientHello to verified CertificateVerify")


@pytest.fixture(scope="module")
def europe() -> Polygons:
    return read_polygons(BORDERS.read_bytes())


@needs_data
@pytest.mark.parametrize(
    ("city", "side", "milliseconds"),
    [
        ("frankfurt", Lies.INSIDE, 1.71),
        ("paris", Lies.INSIDE, 1.51),
        ("warsaw", Lies.INSIDE, 0.99),
        ("milan", Lies.INSIDE, 0.28),
        ("singapore", Lies.OUTSIDE, 37.8),
        ("mumbai", Lies.OUTSIDE, 27.1),
        ("ashburn", Lies.OUTSIDE, 18.0),
        ("london", Lies.OUTSIDE, 0.76),
        ("kragujevac", Lies.OUTSIDE, 0.63),
        ("zurich", Lies.OUTSIDE, 0.16),
    ],
)
def test_the_longest_round_trip_that_proves(europe: Polygons, city: str, side: Lies, milliseconds: float) -> None:
    """Against figures that were worked out apart from this, without the ellipsoid's share and the tolerance."""
    found, metres = clearance_m(CITIES[city].point, territory(europe, EU))
    assert found is side
    assert metres / 149_896 == pytest.approx(milliseconds, rel=0.02, abs=0.05)


@needs_data
def test_seas_count_unless_the_premise_says_otherwise(europe: Polygons) -> None:
    at = CITIES["brandenburg"].point
    assert clearance_m(at, territory(europe, EU))[1] < 250_000
    assert clearance_m(at, territory(europe, EU, on_land=True))[1] > 480_000


@needs_data
def test_overseas_territories_of_the_file_are_not_in_the_union(europe: Polygons) -> None:
    home = territory(europe, EU)
    assert not home.missing
    for lat, lon in ((-22_270_000, 166_450_000), (-17_540_000, -149_570_000), (46_780_000, -56_170_000)):
        assert clearance_m(Point(lat, lon), home)[0] is Lies.OUTSIDE
    for lat, lon in ((-20_880_000, 55_450_000), (28_290_000, -16_620_000), (37_740_000, -25_670_000)):
        assert clearance_m(Point(lat, lon), home)[0] is Lies.INSIDE


@needs_data
def test_cities_lie_in_their_countries(europe: Polygons) -> None:
    for city in [*CITIES.values(), *AIRPORTS.values()]:
        assert {shape.code for shape in europe.shapes if in_shape(city.point, shape)} == {city.country}, city.name


@needs_data
def test_discs_on_a_map_are_graded(europe: Polygons) -> None:
    scope = Scope.model_validate(["EU", "adequacy@2026-01-01"]).extent().at()
    drawn = draw(europe, scope)
    inside = by_borders([from_round_trip(trip("frankfurt", 1000), Speed.VACUUM)], drawn)
    assert [one.supports for one in inside] == [Grade.PROVEN_IN]
    assert europe.sha256 in inside[0].premises
    assert grade(inside, scope).grade is Grade.PROVEN_IN
    outside = by_borders([from_round_trip(trip("singapore", 1000), Speed.VACUUM)], drawn)
    assert grade(outside, scope).grade is Grade.PROVEN_OUT
    # The United States are permitted under a condition: neither proof.
    assert by_borders([from_round_trip(trip("ashburn", 1000), Speed.VACUUM)], drawn) == ()
    edge = by_borders([from_edge(AIRPORTS["SIN"], 1000, 1000, "Fastly X-Timer VE", Speed.VACUUM)], drawn)
    assert edge[0].strength is Strength.PUBLISHED
    fibre = by_borders([from_round_trip(trip("singapore", 1000), Speed.FIBRE)], drawn)
    assert fibre[0].strength is Strength.PUBLISHED
    assert grade(fibre, scope).grade is Grade.CONTRADICTED
