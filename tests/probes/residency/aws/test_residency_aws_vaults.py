"""AWS Backup: vaults that hold nothing, and vaults that are gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from residency_aws import account, node, opened, resource

from probes.residency import aws
from probes.residency.store_facts import Basis, EdgeKind

OWN = "123456789012"
HOME, ABROAD = "eu-central-1", "us-west-2"
GONE = f"arn:aws:backup:{HOME}:{OWN}:backup-vault:gone"
FAR = f"arn:aws:backup:{ABROAD}:444455556666:backup-vault:far"


@pytest.fixture
def stage(moto, cloud, wire):
    wire.behind = moto
    wire.json("/listRegions", {"Regions": [{"RegionName": HOME, "RegionOptStatus": "ENABLED_BY_DEFAULT"}]})
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    wire.json("GET /backup-jobs", {"BackupJobs": []})
    wire.json("GET /copy-jobs", {"CopyJobs": []})
    wire.json("/recovery-points", {"RecoveryPoints": []})
    for none in ("DBClusterAutomatedBackups", "DBInstanceAutomatedBackups"):
        told = f"Describe{none}"
        wire.xml(f"Action={told}&", f"<{told}Response><{told}Result><{none}/></{told}Result></{told}Response>")
    return wire


def test_an_empty_vault_that_nothing_leads_to_is_no_backup(cloud, stage, make_io) -> None:
    made = cloud("backup", ABROAD).create_backup_vault(BackupVaultName="Default")["BackupVaultArn"]
    facts, _ = aws.walk(account(), ABROAD, make_io(stage.url))
    assert made not in {each.id for each in facts.nodes}
    # What was declared is there, and so is what may not be looked into.
    facts, _ = aws.walk(resource(made), "whole", make_io(stage.url))
    assert facts.roots == (made,)
    stage.json("/recovery-points", {"__type": "AccessDeniedException", "message": "no"}, 403)
    facts, _ = aws.walk(account(), ABROAD, make_io(stage.url))
    assert node(facts, made).place.regions == (ABROAD,)
    assert "backups" in opened(facts, made)


def test_copies_from_a_vault_that_was_deleted(cloud, stage, make_io) -> None:
    stage.json("GET /copy-jobs", {"CopyJobs": [{
        "CopyJobId": "c", "SourceBackupVaultArn": GONE, "DestinationBackupVaultArn": FAR, "State": "COMPLETED",
        "ResourceArn": "arn:aws:s3:::exports", "CreationDate": 1_790_000_000}]})  # fmt: skip
    facts, _ = aws.walk(account(), HOME, make_io(stage.url))
    copied = [(each.source, each.target, each.basis) for each in facts.edges if each.kind is EdgeKind.COPIES]
    assert copied == [(GONE, FAR, Basis.HAPPENED)]
    assert facts.since is not None
    assert facts.since >= make_io(stage.url).clock() - timedelta(days=30)
