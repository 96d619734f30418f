"""Whom an answer is for, and which names led to an address."""

from __future__ import annotations

from typing import Any

import pytest
from made_residency import HOST, address, answer, names, ranged, sightings

from keycheck.model.verdict import Kind, Verdict
from probes.residency.endpoint_controls import Endpoints
from probes.residency.endpoint_facts import NamedRegion

HOME, AWAY = ("192.0.2.7", ranged()), ("192.0.2.99", ranged("us-east-1"))
AMERICAN = "lb-1.us-east-1.elb.amazonaws.com"


def _judged(*facts: Any) -> Verdict:
    return Endpoints.model_validate({"jurisdiction": ["EU"]}).judge(sightings(*facts))


@pytest.mark.parametrize("scope", [None, 0])
def test_an_answer_that_heeds_no_network_is_for_everybody(scope: int | None) -> None:
    """Round robin: the second answer only happens to have been asked for in the name of clients abroad."""
    other = answer(AWAY, subnet="198.51.100.0/24", subnet_country="US", subnet_scope=scope)
    assert _judged(names(answer(HOME), other), address(), address(AWAY[0], ranges=AWAY[1])).kind is Kind.FAIL


def test_a_name_that_leads_clients_abroad_elsewhere_says_nothing_of_an_address_at_home() -> None:
    abroad = answer(
        AWAY, chain=(HOST, AMERICAN), subnet="198.51.100.0/24", subnet_country="US", subnet_scope=24, role="recursive"
    )
    named = (NamedRegion(name=AMERICAN, provider="aws", region="us-east-1"),)
    facts = names(answer(HOME), abroad, named_regions=named)
    assert _judged(facts, address(), address(AWAY[0], ranges=AWAY[1])).kind is Kind.PASS
