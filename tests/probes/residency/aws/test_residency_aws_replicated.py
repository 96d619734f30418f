"""Objects that tell of a replication whose rule is gone."""

from __future__ import annotations

import pytest
from residency_aws import opened, resource

from probes.residency import aws

HOME = "eu-central-1"


@pytest.mark.parametrize(("status", "open"), [("COMPLETED", True), ("FAILED", False), ("REPLICA", False), ("", False)])
def test_a_rule_that_is_gone(cloud, moto, wire, make_io, status: str, open: bool) -> None:
    client = cloud("s3")
    client.create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": HOME})
    client.put_object(Bucket="exports", Key="a", Body=b"x")
    wire.behind = moto
    head = {"x-amz-server-side-encryption": "AES256", "last-modified": "Sat, 21 Nov 2026 12:00:00 GMT"}
    wire.replies["HEAD /exports/a"] = (200, b"", {**head, **({"x-amz-replication-status": status} if status else {})})
    facts, _ = aws.walk(resource("arn:aws:s3:::exports"), "whole", make_io(wire.url))
    assert ("copies" in opened(facts, "exports")) is open
