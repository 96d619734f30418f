"""A model that runs where it is asked, and nobody who says where that is."""

from __future__ import annotations

from typing import Any

import pytest

from keycheck.model.verdict import Kind
from probes.residency.flow_controls import Inference as Control
from probes.residency.flow_facts import InferenceFacts, Runs
from probes.residency.observe_inference import _named
from probes.residency.subjects import Inference

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


def _kind(profile: str | None = None, named: tuple[str, ...] = (), **more: Any) -> Kind:
    declared = Inference.model_validate({"id": "ai", "provider": "aws", "model": MODEL} | more)
    runs = Runs(regions=("eu-central-1",), profile=profile, models=(), status=None)
    facts = InferenceFacts(declared=declared, runs=runs, named=named)
    return Control.model_validate({"jurisdiction": ["EU"]}).judge(facts).kind


def test_the_region_of_our_own_credentials_is_not_where_the_vendor_asks() -> None:
    assert _kind() is Kind.INCONCLUSIVE
    assert _kind(region="eu-central-1") is Kind.PASS
    assert _kind(named=("eu-central-1",)) is Kind.PASS
    assert _kind(profile="arn:aws:bedrock:eu-central-1:111122223333:inference-profile/eu.x") is Kind.PASS


@pytest.mark.parametrize(
    "host",
    [
        "bedrock-runtime.us-east-1.amazonaws.com",
        "vpce-0a1b-cd.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        "bedrock-agent-runtime.us-east-1.amazonaws.com",
    ],
)
def test_every_host_of_the_cloud_tells_its_region(host: str) -> None:
    subject = Inference.model_validate({"id": "ai", "provider": "aws", "model": MODEL})
    assert _named(subject, host, told=True) == {"us-east-1"}
