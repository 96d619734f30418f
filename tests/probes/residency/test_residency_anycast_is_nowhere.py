"""What one source announces from everywhere is nowhere, whatever a second source or a short delay says."""

from __future__ import annotations

from made_residency import address, answer, names, ranged, sightings, signed

from keycheck.model.verdict import Kind
from probes.residency.endpoint_controls import Endpoints
from probes.residency.endpoint_facts import Ranged, Reach


def _both(one: Ranged, other: Ranged) -> Ranged:
    return one.model_copy(update={"says": (*one.says, *other.says), "sources": (*one.sources, *other.sources)})


def _kind(said: Ranged, **more: object) -> Kind:
    control = Endpoints.model_validate({"jurisdiction": ["EU"]})
    return control.judge(sightings(names(answer(("192.0.2.7", said))), address(ranges=said, **more))).kind


def test_a_second_source_does_not_give_an_anycast_address_a_place() -> None:
    assert _kind(_both(ranged(), ranged(None, provider="cloudflare", anycast=True))) is Kind.INCONCLUSIVE
    assert _kind(_both(ranged(), ranged("europe-west99", provider="gcp"))) is Kind.INCONCLUSIVE


def test_a_near_edge_of_an_anycast_address_does_not_prove_the_address_inside() -> None:
    reach = Reach(radius_m=200_000, countries=("DE",), borders="12" * 32)
    assert _kind(ranged(None, anycast=True), signed=signed(1_000), reach=reach) is Kind.INCONCLUSIVE
