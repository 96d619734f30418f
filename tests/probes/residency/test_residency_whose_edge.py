"""Edges by the word of a head: whose they are is for ranges to say, and where they are for light."""

from __future__ import annotations

from typing import Any

import pytest
from made_residency import ASHBURN, address, answer, names, ranged, sightings, signed, standpoint, times

from keycheck.model.verdict import Kind, Verdict
from probes.places.whereabouts import Fresh, Origin, Whereabouts
from probes.residency.endpoint_controls import Endpoints
from probes.residency.endpoint_facts import EdgeSeen, FreshTimes, NoEdge, Ranged
from probes.residency.origin_control import Origin as OriginControl
from probes.residency.steering_controls import Anycast

EDGE = ranged(None, anycast=True)
DECLARED = Whereabouts(
    cdn="cloudfront",
    origin=Origin(provider="aws", region="eu-south-2"),
    fresh=Fresh(path="/echo/{nonce}"),
)


def _edge(cdn: str = "cloudfront", pop: str = "FRA56-P4", origin_us: int | None = None) -> EdgeSeen:
    return EdgeSeen(cdn=cdn, pop=pop, cache="miss", origin_us=origin_us, origin_header="server-timing", headers=())


def _local(said: Ranged = EDGE, **more: Any) -> Verdict:
    facts = address(**{"ranges": said, "declared": DECLARED, "edge": _edge()} | more)
    control = Endpoints.model_validate({"jurisdiction": ["EU"], "edges": "local"})
    return control.judge(sightings(names(answer(("192.0.2.7", said)), declared=DECLARED), facts))


def _accelerator() -> Ranged:
    (says,) = EDGE.says
    return EDGE.model_copy(update={"says": (says.model_copy(update={"services": ("GLOBALACCELERATOR",)}),)})


def test_an_edge_of_the_declared_network_counts_where_it_answered() -> None:
    assert _local().kind is Kind.PASS


@pytest.mark.parametrize(
    "more",
    [
        {"said": _accelerator()},  # a server anywhere behind it writes what heads it likes
        {"edge": _edge("cloudflare", "FRA")},
        {"standpoint": standpoint("ashburn", ASHBURN), "signed": signed(2_000)},
    ],
)
def test_a_head_that_anybody_could_write_gives_no_place(more: dict[str, Any]) -> None:
    assert _local(**more).kind is Kind.INCONCLUSIVE


def _behind(*facts: Any) -> Verdict:
    return OriginControl.model_validate({"jurisdiction": ["EU"]}).judge(sightings(*facts))


def _fronted(ip: str = "192.0.2.7", said: Ranged = EDGE, **more: Any) -> Any:
    fresh = FreshTimes(times=times(), echoed=True, edge=_edge(pop="MAD56-P4", origin_us=2_000))
    return address(ip, **{"ranges": said, "declared": DECLARED, "edge": _edge(), "fresh": fresh} | more)


def test_a_clock_counts_only_at_an_address_of_the_network() -> None:
    asked = names(answer(("192.0.2.7", EDGE)), declared=DECLARED)
    assert _behind(asked, _fronted()).kind is Kind.PASS
    assert _behind(asked, _fronted(said=ranged())).kind is Kind.INCONCLUSIVE
    assert _behind(asked, _fronted(said=_accelerator())).kind is Kind.INCONCLUSIVE


@pytest.mark.parametrize("edge", [NoEdge(), _edge()])
def test_every_address_must_be_bounded(edge: EdgeSeen | NoEdge) -> None:
    asked = names(answer(("192.0.2.7", EDGE), ("192.0.2.8", EDGE)), declared=DECLARED)
    silent = _fronted("192.0.2.8", fresh=FreshTimes(times=times(), echoed=True, edge=edge))
    assert _behind(asked, _fronted(), silent).kind is Kind.INCONCLUSIVE


def test_a_network_that_hides_its_heads_is_not_without_an_origin() -> None:
    fastly = ranged(None, provider="fastly", anycast=True)
    assert _behind(names(answer(("192.0.2.7", fastly))), address(ranges=fastly)).kind is Kind.INCONCLUSIVE


def _anycast(*facts: Any) -> Verdict:
    return Anycast.model_validate({"jurisdiction": ["EU"], "allowed": ["cloudfront"]}).judge(sightings(*facts))


def test_only_addresses_of_the_allowed_network_may_be_in_many_places() -> None:
    other = ranged(None, provider="cloudflare", anycast=True)
    facts = (address(ranges=EDGE, declared=DECLARED), address("192.0.2.8", ranges=other, declared=DECLARED))
    assert _anycast(facts[0]).kind is Kind.PASS
    assert _anycast(*facts).kind is Kind.FAIL


def test_somebodys_claim_gives_no_region_and_the_same_city_is_one_place() -> None:
    claim = ranged("DE", provider="geofeed")
    assert _anycast(address(ranges=claim)).kind is Kind.INCONCLUSIVE
    here, there = address(edge=_edge()), address(edge=_edge(pop="FRA60-C1"), standpoint=standpoint("other"))
    assert _anycast(here, there).kind is Kind.PASS
    away = address(edge=_edge(pop="AMS1-C1"), standpoint=standpoint("other"))
    assert _anycast(here, away).kind is Kind.INCONCLUSIVE
