"""Elimination over a provider's places: the true one is never struck, and an open list concludes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.places.cities import CITIES, City, Point
from probes.places.scopes import Scope
from probes.places.tables import AS_OF, TABLES, Listing, Site
from probes.residency.grading import Grade, grade
from probes.residency.physics.conclude import by_elimination
from probes.residency.physics.discs import Bound, RoundTrip, Speed, from_round_trip
from probes.residency.physics.elimination import eliminate
from probes.residency.physics.sphere import at_most_m

EU = Scope.model_validate(["EU"]).extent().at()
AWS = TABLES.listing("aws")
points = st.builds(Point, st.integers(-80_000_000, 80_000_000), st.integers(-179_000_000, 179_000_000))


def disc(at: Point, round_trip_us: int, speed: Speed = Speed.VACUUM) -> Bound:
    return from_round_trip(RoundTrip("v", at, 1000, round_trip_us, 10, 1, "handshake"), speed)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(AWS.sites), st.lists(points, min_size=1, max_size=3), st.integers(0, 100_000))
def test_the_true_place_always_remains(site: Site, vantages: list[Point], delay: int) -> None:
    bounds = [disc(at, at_most_m(at, site.city.point) * 2_000_000 // 299_792_458 + 1 + delay) for at in vantages]
    remaining = eliminate(AWS, bounds)
    assert site in remaining.left
    assert len(remaining.left) + len(remaining.gone) == len(AWS.sites)
    if not site.countries <= EU.countries.keys():
        assert grade([by_elimination(remaining, bounds)], EU).grade is not Grade.AFFIRMED


def test_a_quick_answer_in_frankfurt_leaves_places_in_the_union() -> None:
    bounds = [disc(CITIES["frankfurt"].point, 300)]
    remaining = eliminate(AWS, bounds)
    assert {site.name for site in remaining.left} == {"eu-central-1", "zone dtm"}
    signal = by_elimination(remaining, bounds)
    assert grade([signal], EU).grade is Grade.AFFIRMED
    assert AS_OF.isoformat() in signal.premises
    assert "minimum 300 us of 10" in signal.premises
    assert AWS.sha256 in signal.premises
    assert "eu-central-1 within 150000 m of (50.110000, 8.680000)" in signal.premises
    assert "zone ist: TR, within 150000 m of (41.010000, 28.980000)" in AWS.lines()


def test_zurich_is_too_near_to_frankfurt_for_a_slower_one() -> None:
    remaining = eliminate(AWS, [disc(CITIES["frankfurt"].point, 1500)])
    assert "eu-central-2" in {site.name for site in remaining.left}
    assert grade([by_elimination(remaining, [])], EU).grade is Grade.UNDETERMINED


def test_a_quick_answer_in_ashburn_leaves_nothing_in_the_union() -> None:
    bounds = [disc(CITIES["ashburn"].point, 3000)]
    assert eliminate(AWS, bounds).countries == {"CA", "US"}
    assert grade([by_elimination(eliminate(AWS, bounds), bounds)], EU).grade is Grade.UNDETERMINED
    sure = eliminate(AWS, [disc(CITIES["ashburn"].point, 3000), disc(CITIES["istanbul"].point, 1)])
    assert sure.left == ()
    assert sure.contradiction
    assert grade([by_elimination(sure, bounds)], EU).grade is Grade.UNDETERMINED


@pytest.mark.parametrize("provider", ["gcp", "azure"])
def test_a_list_with_places_that_cannot_be_placed_concludes_nothing(provider: str) -> None:
    remaining = eliminate(TABLES.listing(provider), [disc(CITIES["frankfurt"].point, 300)])
    assert not remaining.complete
    assert "not placed: " in remaining.worded()
    assert grade([by_elimination(remaining, [])], EU).grade is Grade.UNDETERMINED


def test_a_place_without_a_known_country_concludes_nothing() -> None:
    city = City("somewhere", "DE", CITIES["paris"].point)
    listing = Listing("lab", AS_OF, (Site("a", frozenset({"FR"}), city), Site("b", frozenset(), city)), ())
    assert not eliminate(listing, []).complete
