"""What tests of the walk through AWS share."""

from __future__ import annotations

from probes.residency.store_facts import ClosureFacts, EdgeKind, Node
from probes.residency.subjects import Store


def resource(name: str, **more: object) -> Store:
    return Store.model_validate(
        {
            "id": "s",
            "provider": "aws",
            "what": {"kind": "resource", "name": name},
            "identity": "auditor",
            **more,
        }
    )


def account(number: str = "123456789012", regions: tuple[str, ...] = (), **more: object) -> Store:
    what = {"kind": "account", "account": number, "regions": regions}
    return Store.model_validate({"id": "s", "provider": "aws", "what": what, "identity": "auditor", **more})


def node(facts: ClosureFacts, end: str) -> Node:
    """The one node whose id ends so."""
    (found,) = [each for each in facts.nodes if each.id.endswith((f":{end}", f"/{end}")) or each.id == end]
    return found


def edges(facts: ClosureFacts, kind: EdgeKind) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in facts.edges if edge.kind is kind]


def opened(facts: ClosureFacts, end: str) -> set[str]:
    """For which questions the end is open there."""
    return {each.matters for each in facts.open if each.at.endswith((f":{end}", f"/{end}")) or each.at == end}
