"""Snapshots that are alike in all but where they came from."""

from __future__ import annotations

from probes.residency.alike import few
from probes.residency.aws.database_answers import INSTANCE, snapshot

HOME = "arn:aws:rds:eu-central-1:123456789012:snapshot"


def test_one_that_came_from_elsewhere_is_shown_beside_many() -> None:
    def told(number: int, region: str) -> dict[str, object]:
        return {
            "DBSnapshotArn": f"{HOME}:{number}",
            "DBSnapshotIdentifier": str(number),
            "DBInstanceIdentifier": "main",
            "SnapshotType": "manual",
            "Encrypted": True,
            "KmsKeyId": "k",
            "SourceDBSnapshotIdentifier": f"arn:aws:rds:{region}:123456789012:snapshot:s{number}",
        }

    found = [snapshot(told(number, "eu-west-1"), INSTANCE) for number in range(30)]
    found.append(snapshot(told(30, "us-east-1"), INSTANCE))
    shown = few(found, lambda each: each.kind, 10)
    assert len(shown) == 11
    assert {each.one.source.split(":")[3] for each in shown if each.one.source} == {"eu-west-1", "us-east-1"}
