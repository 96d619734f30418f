"""Answers in the name of clients at home that say nothing, or more than they were asked."""

from __future__ import annotations

from typing import Any

from made_residency import SILENT, address, answer, names, ranged, sightings, standpoint

from keycheck.model.verdict import Kind, Reason, Verdict
from probes.residency.endpoint_facts import DnsSilence
from probes.residency.steering_controls import Steering

NOBODY = standpoint(country=None)


def _asked(*told: Any, scope: int | None = 24, record: str = "A", resolver: str = "192.0.2.53") -> Any:
    more = {"resolver": resolver, "role": "authoritative", "subnet": "198.51.100.0/24", "subnet_country": "DE"}
    return answer(*told, record=record, subnet_scope=scope, **more)


def _judged(*facts: Any) -> Verdict:
    return Steering.model_validate({"jurisdiction": ["EU"]}).judge(sightings(*facts))


def test_an_answer_without_addresses_sends_nobody_anywhere() -> None:
    assert _judged(names(_asked(), _asked(record="AAAA"), standpoint=NOBODY)).reasons == (Reason.NO_POSITIVE,)
    home = ("192.0.2.7", ranged())
    assert _judged(names(_asked(home), _asked(record="AAAA"), standpoint=NOBODY), address()).kind is Kind.PASS


def test_an_answer_for_everybody_that_leads_abroad_is_not_left_out() -> None:
    home, away = ("192.0.2.7", ranged()), ("192.0.2.99", ranged("us-east-1"))
    other = _asked(away, scope=0, resolver="192.0.2.54")
    assert _judged(names(_asked(home), other, standpoint=NOBODY), address()).reasons == (Reason.CONFLICTING,)


def test_a_vantage_at_home_that_was_told_nothing_is_a_doubt() -> None:
    silence = DnsSilence(resolver="system", role="system", record="A", subnet=None, subnet_country=None, why=SILENT)
    facts = names(_asked(("192.0.2.7", ranged())), silence)
    assert _judged(facts, address()).reasons == (Reason.TIMEOUT,)
