"""Shares that nobody states may be anybody's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from keycheck.model.verdict import Kind
from probes.residency.flow_controls import OperatorControl
from probes.residency.flow_facts import OperatorFacts
from probes.residency.subjects import Operator


def _kind(*holdings: tuple[str, str, int]) -> Kind:
    given: dict[str, Any] = {
        "id": "vendor",
        "name": "CRM GmbH",
        "seat": "DE",
        "parent": "none",
        "law": "DE",
        "staff": ["DE"],
        "support": ["DE"],
        "holdings": [{"name": name, "seat": seat, "share": share} for name, seat, share in holdings],
    }
    facts = OperatorFacts(
        read=datetime(2026, 11, 22, tzinfo=UTC), declared=Operator.model_validate(given), documents=()
    )
    return OperatorControl.model_validate({"jurisdiction": ["EU"]}).judge(facts).kind


def test_what_is_not_stated_is_not_inside() -> None:
    assert _kind(("Founders", "DE", 10_000)) is Kind.PASS
    assert _kind(("Founders", "DE", 1_000)) is Kind.INCONCLUSIVE
    assert _kind(("Founders", "DE", 6_500), ("Fund", "US", 2_000)) is Kind.PASS  # free float, below both limits
    assert _kind(("Founders", "DE", 5_500), ("Fund", "US", 2_300)) is Kind.INCONCLUSIVE


def test_one_holder_in_two_lines_is_one_holder() -> None:
    assert _kind(("Founders", "DE", 7_000), ("Fund LP", "US", 1_500), ("Fund  LP", "US", 1_500)) is Kind.FAIL
