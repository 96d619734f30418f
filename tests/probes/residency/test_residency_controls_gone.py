"""What backups were copied from, and what is not there any more."""

from __future__ import annotations

import pytest

from keycheck.model.verdict import Kind
from probes.residency.graph import GONE, NOT_OURS
from probes.residency.store_controls import Backups
from probes.residency.store_facts import Basis, ClosureFacts, Edge, EdgeKind, Node, NodeKind, NodePlace, Unneeded
from probes.residency.subjects import Agreed

HERE = "arn:aws:rds:eu-central-1:111111111111:snapshot:copy"
THERE = "arn:aws:rds:us-east-1:111111111111:snapshot:source"


@pytest.mark.parametrize(
    ("note", "kind"),
    [(None, Kind.FAIL), (GONE, Kind.PASS), (f"was exported; {GONE}", Kind.PASS), (NOT_OURS, Kind.INCONCLUSIVE)],
)
def test_a_source_abroad_that_is_gone_is_no_breach(note: str | None, kind: Kind) -> None:
    def node(id_: str, region: str, note: str | None = None) -> Node:
        place = NodePlace(regions=(region,), type="region")
        return Node(
            id=id_, kind=NodeKind.SNAPSHOT, account="111111111111", place=place, encryption=Unneeded(), note=note
        )

    facts = ClosureFacts(
        provider="aws",
        asked="111111111111 in eu-central-1",
        whole_account=True,
        who="reader",
        roots=(THERE,),
        nodes=(node(HERE, "eu-central-1"), node(THERE, "us-east-1", note)),
        edges=(Edge(source=THERE, target=HERE, kind=EdgeKind.COPIES, basis=Basis.HAPPENED),),
        open=(),
        agreed=Agreed(),
        agreed_keys=(),
    )
    assert Backups.model_validate({"jurisdiction": ["EU"]}).judge(facts).kind is kind
