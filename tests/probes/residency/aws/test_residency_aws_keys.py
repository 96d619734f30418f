"""Keys over the wire: whose they are, their replicas, and the stores that hold their material."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from residency_aws import account, edges, node, opened, resource

from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Unseen
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.residency import aws
from probes.residency.observe_stores import ClosureProbe
from probes.residency.store_facts import ClosureFacts, EdgeKind, NodeKind, NodePlace

OWN = "123456789012"
HOME = "eu-central-1"
NAME = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = f"arn:aws:kms:{HOME}:{OWN}:key/{NAME}"
TABLE = f"arn:aws:dynamodb:{HOME}:{OWN}:table/main"


def metadata(arn: str = KEY, **more: object) -> dict[str, object]:
    name = arn.rpartition("/")[2]
    return {"KeyMetadata": {
        "AWSAccountId": OWN, "KeyId": name, "Arn": arn, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS",
        "MultiRegion": False, **more,
    }}  # fmt: skip


@pytest.fixture
def table(wire, sts):
    """A table under the key, and nothing else."""
    described = {
        "TableName": "main",
        "TableArn": TABLE,
        "SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY},
    }
    wire.json("DescribeTable", {"Table": described})
    wire.json("TrentService.DescribeKey", metadata())
    return wire


def walked(table, make_io) -> ClosureFacts:
    return aws.walk(resource(TABLE), "whole", make_io(table.url))[0]


@pytest.mark.parametrize(
    ("manager", "method", "told"),
    [("CUSTOMER", "customer-key", "customer"), ("AWS", "provider-key", "aws"), ("OTHER", "customer-key", "unknown")],
)
def test_a_key_id_alone_does_not_say_whose_it_is(table, make_io, manager: str, method: str, told: str) -> None:
    table.json("TrentService.DescribeKey", metadata(KeyManager=manager))
    found = node(walked(table, make_io), "main").encryption
    assert (found.method, found.key, found.key_manager) == (method, KEY, told)


@pytest.mark.parametrize(
    "answer",
    [
        {"__type": "AccessDeniedException"},
        {},
        {"KeyMetadata": []},
        metadata(f"arn:aws:kms:us-east-1:{OWN}:key/{NAME}"),
        metadata(KEY.replace("1234abcd", "ffff0000")),
        metadata(MultiRegion=True),
    ],
)
def test_a_key_that_is_not_described_may_have_copies(table, make_io, answer: dict[str, object]) -> None:
    table.json("TrentService.DescribeKey", answer, 400 if "__type" in answer else 200)
    facts = walked(table, make_io)
    found = node(facts, "main").encryption
    assert (found.key, found.key_manager) == (KEY, "unknown")
    assert opened(facts, NAME) == {"copies"}


def test_an_external_key_store_is_wherever_its_owner_put_it(table, make_io) -> None:
    table.json("TrentService.DescribeKey", metadata(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId="cks-1"))
    store = {"CustomKeyStoreId": "cks-1", "XksProxyConfiguration": {"UriEndpoint": "https://xks.example.com"}}
    table.json("DescribeCustomKeyStores", {"CustomKeyStores": [store]})
    facts = walked(table, make_io)
    ((source, target),) = edges(facts, EdgeKind.HELD_BY)
    assert source == KEY
    (found,) = [each for each in facts.nodes if each.id == target]
    assert found.kind is NodeKind.KEY_STORE
    assert isinstance(found.place, Unseen)
    assert "https://xks.example.com" in found.place.detail
    assert "stores" in opened(facts, target)


def test_a_cloudhsm_key_store_is_in_the_keys_region(table, make_io) -> None:
    table.json("TrentService.DescribeKey", metadata(Origin="AWS_CLOUDHSM", CustomKeyStoreId="cks-1"))
    table.json("DescribeCustomKeyStores", {"CustomKeyStores": [{"CustomKeyStoreId": "cks-1"}]})
    facts = walked(table, make_io)
    ((_, target),) = edges(facts, EdgeKind.HELD_BY)
    assert node(facts, target).place == NodePlace(regions=(HOME,), type="region")


def test_the_keys_of_the_contract_are_named(table, make_io) -> None:
    body = CanonicalJson.of({"id": "contract", "resource": KEY})
    io = replace(make_io(table.url), subjects=(SubjectEntry(id="keys/contract", vantages=("here",), body=body),))
    facts, _ = aws.walk(resource(TABLE, agreed={"keys": ["contract"]}), "whole", io)
    assert facts.agreed_keys == (KEY,)


def test_the_probe_says_what_it_touches_and_observes(table, make_io) -> None:
    probe, io = ClosureProbe(), make_io(table.url)
    subject = resource(TABLE, others=("in-444455556666",))
    touches = list(probe.touches(subject, io))
    assert [touch.changes for touch in touches] == [False, False]
    assert "aws.ini" in touches[0].credential
    assert table.asked == []
    (part,) = probe.survey(subject, io).parts
    observed = probe.work(subject, part, io)
    assert isinstance(observed.facts, ClosureFacts)
    # Nobody is known as the second identity.
    assert [end.why.reason for end in observed.facts.open if end.at.startswith("identity")] == [
        Reason.PERMISSION_DENIED
    ]
    assert {blob.name for blob in observed.blobs} == {"answers"}
    whole = next(iter(probe.touches(account(), io)))
    assert "account 123456789012" in whole.what


def test_time_that_is_over_leaves_everything_open(table, make_io) -> None:
    def clock() -> float:
        """An hour passes when the table was described."""
        return time.monotonic() + (3600 if any("DescribeTable" in said for said in table.asked) else 0)

    facts, _ = aws.walk(resource(TABLE), "whole", replace(make_io(table.url, fresh=True), monotonic=clock))
    assert Reason.TIMEOUT in {end.why.reason for end in facts.open if end.matters == "everything"}
    assert {"copies", "backups"} <= opened(facts, TABLE) | {"copies"}
