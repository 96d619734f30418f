"""Services that are looked into no further than one listing."""

from __future__ import annotations

from residency_aws import account, node, opened

from keycheck.model.verdict import Reason
from probes.residency import aws
from probes.residency.aws.others import SERVICES
from probes.residency.store_facts import NodeKind, NodePlace

OWN, ABROAD = "123456789012", "us-east-1"


def test_what_is_there_is_a_place_and_its_key_where_it_is_told(cloud, moto, wire, make_io) -> None:
    key = cloud("kms", ABROAD).create_key()["KeyMetadata"]["Arn"]
    cloud("logs", ABROAD).create_log_group(logGroupName="/app/plain")
    cloud("logs", ABROAD).create_log_group(logGroupName="/app/sealed", kmsKeyId=key)
    cloud("ecr", ABROAD).create_repository(repositoryName="crm")
    cloud("sqs", ABROAD).create_queue(QueueName="jobs")
    cloud("kinesis", ABROAD).create_stream(StreamName="events", ShardCount=1)
    cloud("redshift", ABROAD).create_cluster(ClusterIdentifier="dwh", NodeType="dc2.large", MasterUsername="u",
                                             MasterUserPassword="Passw0rd", Encrypted=False)  # fmt: skip
    wire.behind = moto
    facts, _ = aws.walk(account(), ABROAD, make_io(wire.url))
    sealed = node(facts, f"arn:aws:logs:{ABROAD}:{OWN}:log-group:/app/sealed")
    assert (sealed.kind, sealed.encryption.key) == (NodeKind.LOG, key)
    assert node(facts, f"arn:aws:logs:{ABROAD}:{OWN}:log-group:/app/plain").encryption.method == "provider-key"
    assert node(facts, "dwh").encryption.method == "none"
    assert node(facts, "crm").encryption.method == "provider-key"
    for name in ("jobs", "events"):
        found = node(facts, name)
        assert found.id in facts.roots
        assert found.place == NodePlace(regions=(ABROAD,), type="region")
        assert found.encryption.reason is Reason.UNSUPPORTED
        assert opened(facts, name) == {"copies", "backups"}


def test_listings_that_are_refused_are_open(wire, sts, make_io) -> None:
    facts, _ = aws.walk(account(), ABROAD, make_io(wire.url, fresh=True))
    for service in SERVICES:
        assert opened(facts, f"{service.operation} in {ABROAD}") == {"stores"}, service


def test_more_than_one_listing_tells_is_open(wire, sts, make_io) -> None:
    wire.json(".ListQueues", {"QueueUrls": [f"https://sqs/{OWN}/q{n}" for n in range(9)], "NextToken": "more"})
    facts, _ = aws.walk(account(), ABROAD, make_io(wire.url, fresh=True))
    assert "everything" in opened(facts, f"sqs:ListQueues in {ABROAD}")
    queues = [each for each in facts.nodes if ":sqs:" in each.id]
    assert len(queues) == 3
    assert queues[-1].note == "SQS, and 6 alike"
