"""Every end of every chain tells a realm, and old ranges tell none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from made_residency import HOST, address, answer, names, ranged, sightings

from keycheck.model.verdict import Kind, Reason, Verdict
from probes.residency.endpoint_controls import Realm

SAID = ranged("eusc-de-east-1")


def _judged(*facts: Any) -> Verdict:
    return Realm.model_validate({"jurisdiction": ["EU"], "realms": ["aws-eusc"]}).judge(sightings(*facts))


def test_two_resolvers_that_lead_into_two_realms_do_not_cancel_each_other() -> None:
    told = ("192.0.2.7", SAID)
    one = answer(told, chain=(HOST, "lb.eusc-de-east-1.elb.amazonaws.eu"), resolver="192.0.2.1", role="recursive")
    other = answer(told, chain=(HOST, "lb.eu-central-1.elb.amazonaws.com"), resolver="192.0.2.2", role="recursive")
    assert _judged(names(one), address(ranges=SAID)).kind is Kind.PASS
    assert _judged(names(one, other, realm=None), address(ranges=SAID)).kind is Kind.FAIL


def test_old_ranges_convict_nobody() -> None:
    old = ranged("eu-central-1", age=timedelta(days=200))
    assert _judged(names(answer(("192.0.2.7", old))), address(ranges=old)).reasons == (Reason.STALE,)
