"""The controls over stores: a closure that is open, or that does not hold together, never passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_residency import NOW

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.residency.closure import closure
from probes.residency.rest_controls import Encrypted, UnderKey, same_key
from probes.residency.store_controls import Backups, Copies, Stores
from probes.residency.store_facts import (
    Basis,
    ClosureFacts,
    Edge,
    EdgeKind,
    Encryption,
    Guard,
    Node,
    NodeKind,
    NodePlace,
    ObjectsSampled,
    OpenEnd,
    Unneeded,
)
from probes.residency.store_facts import (
    UnderKey as Under,
)
from probes.residency.subjects import Agreed

KEY = "arn:aws:kms:eu-central-1:111111111111:key/mrk-1234"
OTHER = "arn:aws:kms:eu-central-1:111111111111:key/5678"
BUCKET = "arn:aws:s3:::exports"
DENIED = Unseen(reason=Reason.PERMISSION_DENIED, detail="s3:GetBucketReplication: denied")


def sealed(key: str | None = KEY, method: str = "customer-key", manager: str = "customer") -> Encryption:
    return Encryption(method=method, algorithm="aws:kms", key=key, key_manager=manager)  # type: ignore[arg-type]


def objects(*under: tuple[Encryption, int], complete: bool = True) -> ObjectsSampled:
    kinds = tuple(Under(encryption=one, objects=count, example="a/b") for one, count in under)
    looked = sum(count for _, count in under)
    return ObjectsSampled(
        looked=looked, existing=looked, oldest=NOW, newest=NOW, encrypted_under=kinds, versions=True, complete=complete
    )


def node(id_: str = BUCKET, region: str = "eu-central-1", kind: NodeKind = NodeKind.BUCKET, **more: Any) -> Node:
    place = NodePlace(regions=(region,), type="region")
    held = objects((sealed(), 3)) if kind is NodeKind.BUCKET else None
    return Node(
        id=id_, kind=kind, account="111111111111", **{"place": place, "encryption": sealed(), "objects": held} | more
    )


def edge(target: str, kind: EdgeKind = EdgeKind.REPLICATES, source: str = BUCKET) -> Edge:
    return Edge(source=source, target=target, kind=kind, basis=Basis.CONFIGURED)


def facts(*nodes: Node, edges: tuple[Edge, ...] = (), **more: Any) -> ClosureFacts:
    given_: dict[str, Any] = {
        "provider": "aws",
        "asked": BUCKET,
        "whole_account": False,
        "who": "arn:aws:iam::111111111111:role/reader",
        "roots": (BUCKET,),
        "nodes": nodes,
        "edges": edges,
        "open": (),
        "agreed": Agreed(),
        "agreed_keys": (KEY,),
    }
    return ClosureFacts(**given_ | more)


def judge(control: type[Any], told: ClosureFacts) -> Verdict:
    in_ = {} if control in (Encrypted, UnderKey) else {"jurisdiction": ["EU"]}
    verdict: Verdict = control.model_validate(in_).judge(told)
    return verdict


PLACES = (Stores, Copies, Backups)
ALL = (*PLACES, Encrypted, UnderKey)


@pytest.mark.parametrize("control", ALL)
def test_a_closed_closure_at_home_under_the_agreed_key_passes(control: type[Any]) -> None:
    replica = node("arn:aws:s3:::copy", "eu-west-1")
    backup = node("arn:aws:backup:eu-north-1:1:rp/x", "eu-north-1", NodeKind.BACKUP)
    edges = (edge(replica.id), edge(backup.id, EdgeKind.BACKS_UP))
    assert judge(control, facts(node(), replica, backup, edges=edges)).kind is Kind.PASS


@pytest.mark.parametrize(
    ("control", "kind", "target"),
    [
        (Copies, EdgeKind.REPLICATES, NodeKind.BUCKET),
        (Copies, EdgeKind.WITNESSES, NodeKind.WITNESS),
        (Copies, EdgeKind.LOGS, NodeKind.BUCKET),
        (Copies, EdgeKind.KEY, NodeKind.KEY),
        (Backups, EdgeKind.BACKS_UP, NodeKind.BACKUP),
        (Backups, EdgeKind.COPIES, NodeKind.SNAPSHOT),
    ],
)
def test_what_lies_abroad_breaks_its_own_control_and_no_other(
    control: type[Any], kind: EdgeKind, target: NodeKind
) -> None:
    away = node("arn:away", "us-east-1", target, objects=None)
    told = facts(node(), away, edges=(edge("arn:away", kind),))
    assert {one: judge(one, told).kind for one in PLACES} == {
        one: Kind.FAIL if one is control else Kind.PASS for one in PLACES
    }
    assert "us-east-1: US" in judge(control, told).message


def test_a_way_that_is_switched_off_is_a_doubt_unless_another_one_is_in_use() -> None:
    away = node("arn:away", "us-east-1")
    off = edge("arn:away").model_copy(update={"basis": Basis.OFF})
    assert judge(Copies, facts(node(), away, edges=(off,))).reasons == (Reason.NOT_COVERED,)
    assert judge(Copies, facts(node(), away, edges=(off, edge("arn:away")))).kind is Kind.FAIL
    home = node("arn:home", "eu-west-1")
    back = edge("arn:home").model_copy(update={"basis": Basis.OFF})
    assert judge(Copies, facts(node(), home, edges=(back,))).kind is Kind.PASS


def test_a_copy_of_a_copy_and_a_backup_of_a_copy_are_followed() -> None:
    near, far = node("arn:near", "eu-west-1"), node("arn:far", "us-east-1")
    told = facts(node(), near, far, edges=(edge("arn:near"), edge("arn:far", source="arn:near")))
    assert judge(Copies, told).kind is Kind.FAIL
    back = node("arn:far", "us-east-1", NodeKind.BACKUP, objects=None)
    told = facts(node(), near, back, edges=(edge("arn:near"), edge("arn:far", EdgeKind.BACKS_UP, "arn:near")))
    assert (judge(Copies, told).kind, judge(Backups, told).kind) == (Kind.PASS, Kind.FAIL)


@pytest.mark.parametrize(
    ("regions", "kind"),
    [
        (("europe-west3", "europe-west4"), Kind.PASS),
        (("europe-west3", "europe-west2"), Kind.FAIL),
        (("eur5",), Kind.FAIL),
        (("us",), Kind.FAIL),
        (("global",), Kind.FAIL),
        (("europe-north99",), Kind.INCONCLUSIVE),
    ],
)
def test_a_place_of_many_regions_counts_with_all_of_them(regions: tuple[str, ...], kind: Kind) -> None:
    place = NodePlace(regions=regions, type="dual-region")
    assert judge(Stores, facts(node(place=place), provider="gcp")).kind is kind


@pytest.mark.parametrize(
    ("matters", "open_"),
    [
        ("stores", {*ALL}),
        ("copies", {Copies, Backups, Encrypted, UnderKey}),
        ("backups", {Backups, Encrypted, UnderKey}),
        ("encryption", {Encrypted, UnderKey}),
        ("everything", {*ALL}),
    ],
)
def test_an_open_end_leaves_open_what_it_matters_for(matters: Any, open_: set[type[Any]]) -> None:
    told = facts(node(), open=(OpenEnd(at=BUCKET, matters=matters, why=DENIED),))
    undecided = {control for control in ALL if judge(control, told).reasons == (Reason.PERMISSION_DENIED,)}
    assert undecided == open_
    assert all(judge(control, told).kind is Kind.PASS for control in {*ALL} - open_)


@pytest.mark.parametrize("control", PLACES)
def test_a_graph_that_hangs_in_the_air_passes_nothing(control: type[Any]) -> None:
    assert judge(control, facts(node(), edges=(edge("arn:gone"),))).kind is Kind.INCONCLUSIVE
    assert judge(control, facts(node(), node("arn:stray"))).kind is Kind.INCONCLUSIVE
    assert judge(control, facts()).kind is Kind.INCONCLUSIVE


def test_an_empty_account_is_not_concerned_and_a_missing_store_is_undecided() -> None:
    empty = facts(roots=(), whole_account=True)
    assert {judge(one, empty).kind for one in (Stores, Encrypted, UnderKey)} == {Kind.NOT_APPLICABLE}
    denied = facts(roots=(), whole_account=True, open=(OpenEnd(at="s3", matters="everything", why=DENIED),))
    assert {judge(one, denied).kind for one in ALL} == {Kind.INCONCLUSIVE}
    assert judge(Stores, facts(roots=())).reasons == (Reason.NO_POSITIVE,)


def test_an_unknown_place_says_why_and_a_breach_stands_beside_it() -> None:
    dark = node("arn:dark", place=DENIED)
    told = facts(node(), dark, edges=(edge("arn:dark"),))
    assert judge(Copies, told).reasons == (Reason.PERMISSION_DENIED,)
    away = node("arn:away", "us-east-1")
    told = facts(node(), dark, away, edges=(edge("arn:dark"), edge("arn:away")))
    assert judge(Copies, told).kind is Kind.FAIL


def test_a_guard_rail_decides_nothing() -> None:
    guard = Guard(name="eu only", kind="service-control-policy", allows=("eu-central-1",))
    assert judge(Stores, facts(node(region="us-east-1"), guards=(guard,))).kind is Kind.FAIL
    assert "eu only keeps new things out" in judge(Stores, facts(node(), guards=(guard,))).message


@pytest.mark.parametrize(
    ("encryption", "encrypted", "under"),
    [
        (sealed(None, "none"), Kind.FAIL, Kind.FAIL),
        (sealed(None, "provider-key"), Kind.PASS, Kind.FAIL),
        (sealed(OTHER), Kind.PASS, Kind.FAIL),
        (sealed(KEY, manager="aws"), Kind.PASS, Kind.FAIL),
        (sealed(None), Kind.PASS, Kind.INCONCLUSIVE),
        (sealed(None, "client-supplied-key"), Kind.PASS, Kind.INCONCLUSIVE),
        (sealed(KEY.replace("eu-central-1", "eu-west-1")), Kind.PASS, Kind.PASS),
        (DENIED, Kind.INCONCLUSIVE, Kind.INCONCLUSIVE),
    ],
)
def test_under_which_key_a_store_lies(encryption: Any, encrypted: Kind, under: Kind) -> None:
    disk = facts(node(BUCKET, kind=NodeKind.DISK, encryption=encryption))
    assert (judge(Encrypted, disk).kind, judge(UnderKey, disk).kind) == (encrypted, under)
    # the default of a bucket says nothing of its older objects
    old = facts(node(objects=objects((sealed(), 40), (encryption, 3)))) if isinstance(encryption, Encryption) else disk
    assert (judge(Encrypted, old).kind, judge(UnderKey, old).kind) == (encrypted, under)


def test_buckets_whose_objects_nobody_looked_at_pass_nothing() -> None:
    for unlooked in (
        None,
        objects(complete=False).model_copy(update={"existing": 9}),
        objects().model_copy(update={"failed": (DENIED,)}),
    ):
        assert judge(UnderKey, facts(node(objects=unlooked))).kind is Kind.INCONCLUSIVE
    assert judge(UnderKey, facts(node(objects=objects()))).kind is Kind.PASS  # an empty bucket, looked through


def test_a_vault_by_itself_holds_nothing_and_an_agreement_without_keys_decides_nothing() -> None:
    vault = node("arn:vault", kind=NodeKind.VAULT, encryption=Unneeded())
    assert judge(Encrypted, facts(node(), vault, edges=(edge("arn:vault", EdgeKind.BACKS_UP),))).kind is Kind.PASS
    assert judge(UnderKey, facts(node(), agreed_keys=())).reasons == (Reason.NOT_COVERED,)


def test_which_keys_are_the_same() -> None:
    assert same_key(KEY, KEY)
    assert not same_key(OTHER.replace("eu-central-1", "eu-west-1"), OTHER)  # not a multi-Region key
    assert not same_key(KEY.replace("111111111111", "222222222222"), KEY)
    name = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    assert same_key(f"{name}/cryptoKeyVersions/7", name)
    assert not same_key(f"{name}2/cryptoKeyVersions/7", name)


IDS = ("a", "b", "c", "d", "e")


@given(
    edges=st.lists(
        st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(sorted(EdgeKind))), max_size=12
    ),
    kinds=st.tuples(*(st.sampled_from(sorted(NodeKind)) for _ in IDS)),
    abroad=st.sampled_from(IDS),
)
def test_a_node_abroad_is_never_overlooked(
    edges: list[tuple[str, str, EdgeKind]], kinds: tuple[NodeKind, ...], abroad: str
) -> None:
    nodes = tuple(
        node(id_, "us-east-1" if id_ == abroad else "eu-central-1", kind, objects=None)
        for id_, kind in zip(IDS, kinds, strict=True)
    )
    told = facts(*nodes, edges=tuple(edge(b, kind, a) for a, b, kind in edges), roots=("a",))
    verdicts = {judge(one, told).kind for one in PLACES}
    assert verdicts - {Kind.PASS, Kind.NOT_APPLICABLE}  # a breach where it is reached, a doubt where it is not
    walked = closure(told)
    reached = {one.node.id for one in (*walked.stores, *walked.copies, *walked.backups)}
    assert reached | set(walked.unreached) == set(IDS)
    if abroad in reached:
        assert Kind.FAIL in verdicts
