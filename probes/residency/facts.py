"""All facts of the area: what other areas may import."""

from __future__ import annotations

from probes.residency.endpoint_facts import AddressFacts, NamesFacts
from probes.residency.flow_facts import InferenceFacts, OperatorFacts, PromptFacts, RosterFacts
from probes.residency.store_facts import ClosureFacts

__all__ = [
    "AddressFacts",
    "ClosureFacts",
    "InferenceFacts",
    "NamesFacts",
    "OperatorFacts",
    "PromptFacts",
    "RosterFacts",
]
