"""What outlives a table of DynamoDB: its backups, and its exports."""

from __future__ import annotations

from residency_aws import account, node, opened

from probes.residency import aws
from probes.residency.closure import closure
from probes.residency.store_facts import NodeKind, NodePlace

OWN = "123456789012"
HOME, ABROAD = "eu-central-1", "us-east-1"
TABLE = f"arn:aws:dynamodb:{ABROAD}:{OWN}:table/gone"
BACKUP, EXPORT = f"{TABLE}/backup/0157-old", f"{TABLE}/export/0157-old"


def test_backups_and_exports_of_a_table_that_is_gone(cloud, moto, wire, make_io) -> None:
    cloud("s3").create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": HOME})
    wire.behind = moto
    wire.json(".ListTables", {"TableNames": []})
    wire.json(".ListBackups", {"BackupSummaries": [{"TableName": "gone", "BackupArn": BACKUP}]})
    wire.json(".DescribeBackup", {"BackupDescription": {
        "BackupDetails": {"BackupArn": BACKUP, "BackupName": "old", "BackupStatus": "AVAILABLE", "BackupType": "SYSTEM",
                          "BackupCreationDateTime": 1_790_000_000}}})  # fmt: skip
    wire.json(".ListExports", {"ExportSummaries": [{"ExportArn": EXPORT, "ExportStatus": "COMPLETED"}]})
    wire.json(".DescribeExport", {"ExportDescription": {"ExportArn": EXPORT, "S3Bucket": "exports"}})
    facts, _ = aws.walk(account(), ABROAD, make_io(wire.url))
    assert {BACKUP, "arn:aws:s3:::exports"} <= set(facts.roots)
    assert (node(facts, BACKUP).kind, node(facts, BACKUP).place) == (
        NodeKind.BACKUP, NodePlace(regions=(ABROAD,), type="region"),
    )  # fmt: skip
    assert BACKUP in {reached.node.id for reached in closure(facts).backups}
    assert not closure(facts).dangling


def test_lists_that_are_refused_are_open(wire, sts, make_io) -> None:
    facts, _ = aws.walk(account(), ABROAD, make_io(wire.url, fresh=True))
    assert opened(facts, f"dynamodb:ListBackups in {ABROAD}") == {"backups", "encryption"}
    assert opened(facts, f"dynamodb:ListExports in {ABROAD}") == {"copies"}
