"""Times that nobody measures end in a verdict, not in a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keycheck.model.verdict import Kind
from probes.residency.bounds import origin_disc
from probes.residency.endpoint.edges import edge_of
from probes.residency.endpoint.http_answer import Head
from probes.residency.endpoint_facts import EdgeSeen, NotAsked
from probes.residency.flow_controls import Subprocessors
from probes.residency.flow_facts import Change, Listed, RosterFacts
from probes.residency.physics.discs import Speed


@pytest.mark.parametrize("milliseconds", [3_599_999, 3_600_000, 99_999_999])
def test_an_edge_that_waited_for_an_hour_bounds_nothing_and_crashes_nothing(milliseconds: int) -> None:
    timer = f"S1.1,VS0,VE{milliseconds}"
    headers = (("x-served-by", "cache-fra-etou123-FRA"), ("x-cache", "MISS"), ("x-timer", timer))
    edge = edge_of(Head(200, headers, keeps=True))
    assert isinstance(edge, EdgeSeen)
    bound = origin_disc(edge, Speed.VACUUM)
    assert bound is None or bound.radius_m > 20_016_000


def _kind(noticed: datetime, previous: datetime) -> Kind:
    given: dict[str, Any] = {
        "file": "roster.csv",
        "sha256": "0" * 64,
        "format": "csv",
        "fetched": datetime(2026, 11, 1, tzinfo=UTC),
        "entries": (Listed(name="A", countries=("DE",), words="Germany", purpose=None),),
        "unread": (),
        "previous": "1" * 64,
        "previous_fetched": previous,
        "changes": (Change(party="A", kind="added", before=None, after="Germany", noticed=noticed),),
        "published": NotAsked(),
        "shown": (),
        "missing": (),
        "principals": (),
        "principals_seen": NotAsked(),
    }
    return Subprocessors.model_validate({"jurisdiction": ["EU"]}).judge(RosterFacts(**given)).kind


def test_notices_of_any_date_are_held_against_the_limit() -> None:
    before = datetime(2026, 6, 1, tzinfo=UTC)
    assert _kind(datetime(9999, 12, 31, tzinfo=UTC), before) is Kind.FAIL
    assert _kind(datetime(2026, 9, 1, tzinfo=UTC), before) is Kind.PASS


def test_a_roster_from_before_that_is_newer_is_a_conflict() -> None:
    assert _kind(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)) is Kind.INCONCLUSIVE
