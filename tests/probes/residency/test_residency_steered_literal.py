"""Declared addresses of a name say nothing of where that name sends its clients."""

from __future__ import annotations

from typing import Any

from made_residency import address, answer, names, sightings

from keycheck.model.verdict import Kind, Verdict
from probes.residency.steering_controls import Steering


def _judged(*facts: Any) -> Verdict:
    return Steering.model_validate({"jurisdiction": ["EU"]}).judge(sightings(*facts))


def _literal(host: str) -> Any:
    return names(answer(), host=host, literal=True).model_copy(update={"answers": ()})


def test_a_name_whose_addresses_are_declared_is_undecided_and_an_address_passes() -> None:
    assert _judged(_literal("api.crm.example"), address()).kind is Kind.INCONCLUSIVE
    assert _judged(_literal("192.0.2.7"), address()).kind is Kind.PASS


def test_without_facts_nothing_passes() -> None:
    assert _judged().kind is Kind.INCONCLUSIVE
    assert _judged(address()).kind is Kind.INCONCLUSIVE
    assert _judged(_literal("192.0.2.7")).kind is Kind.INCONCLUSIVE
