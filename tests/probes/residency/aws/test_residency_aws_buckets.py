"""Buckets against moto's server."""

from __future__ import annotations

from residency_aws import edges, node, resource

from probes.residency import aws
from probes.residency.store_facts import EdgeKind, Encryption, NodePlace

THEIRS = "444455556666"


def bucket(cloud, name: str, region: str = "eu-central-1", account: str | None = None):
    client = cloud("s3", region, account)
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **where)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return client


def replicate(client, source: str, target: str, status: str = "Enabled", **destination: object) -> None:
    rule = {
        "ID": "all",
        "Status": status,
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}", **destination},
    }
    role = "arn:aws:iam::123456789012:role/r"
    client.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [rule]})


def test_a_bucket_that_replicates_to_another_accounts_bucket_abroad(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    bucket(cloud, "exports-copy", "us-east-1", THEIRS)
    replicate(client, "exports", "exports-copy", Account=THEIRS)
    facts, _ = aws.walk(resource("arn:aws:s3:::exports"), "whole", make_io(moto))
    assert facts.roots == ("arn:aws:s3:::exports",)
    assert node(facts, "exports").place == NodePlace(regions=("eu-central-1",), type="region")
    assert node(facts, "exports-copy").place == NodePlace(regions=("us-east-1",), type="region")
    assert node(facts, "exports-copy").account == THEIRS
    assert edges(facts, EdgeKind.REPLICATES) == [("arn:aws:s3:::exports", "arn:aws:s3:::exports-copy")]
    print(facts.open)
