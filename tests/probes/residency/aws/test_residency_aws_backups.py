"""AWS Backup: plans and vaults against moto's server; jobs and recovery points over the wire, as moto has none."""

from __future__ import annotations

import json

import pytest
from residency_aws import account, edges, node, opened, resource

from keycheck.model.verdict import Reason
from probes.residency import aws
from probes.residency.store_facts import Basis, EdgeKind, NodePlace

OWN, THEIRS = "123456789012", "444455556666"
HOME, ABROAD = "eu-central-1", "us-west-2"
EXPORTS = "arn:aws:s3:::exports"
MAIN = f"arn:aws:backup:{HOME}:{OWN}:backup-vault:main"
FAR = f"arn:aws:backup:{ABROAD}:{OWN}:backup-vault:far"
FOREIGN = f"arn:aws:backup:{ABROAD}:{THEIRS}:backup-vault:theirs"
KEY = f"arn:aws:kms:{HOME}:{OWN}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AT = 1_790_000_000


@pytest.fixture
def stage(cloud, moto, wire, make_io):
    """A bucket, a vault, and nothing that happened."""
    client = cloud("s3")
    client.create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": HOME})
    cloud("backup").create_backup_vault(BackupVaultName="main", EncryptionKeyArn=KEY)
    wire.behind = moto
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    wire.json("GET /backup-jobs", {"BackupJobs": []})
    wire.json("GET /copy-jobs", {"CopyJobs": []})
    wire.json("/resources/", {"RecoveryPoints": []})
    wire.json("/recovery-points", {"RecoveryPoints": []})
    return wire


def plan(cloud, resources: list[str] | None, copies: list[str], **selected: object) -> None:
    rule = {
        "RuleName": "daily",
        "TargetBackupVaultName": "main",
        "CopyActions": [{"DestinationBackupVaultArn": target} for target in copies],
    }
    client = cloud("backup")
    made = client.create_backup_plan(BackupPlan={"BackupPlanName": "company", "Rules": [rule]})["BackupPlanId"]
    if resources is not None:
        selection = {"SelectionName": "s", "IamRoleArn": f"arn:aws:iam::{OWN}:role/r", "Resources": resources}
        client.create_backup_selection(BackupPlanId=made, BackupSelection={**selection, **selected})


def selections(wire, selection: dict[str, object] | None) -> None:
    """What plans select, which moto does not tell."""
    listed = [] if selection is None else [{"SelectionId": "s1"}]
    if selection is not None:
        wire.json("/selections/s1", {"BackupSelection": {"SelectionName": "s", **selection}})
    wire.json("/selections/", {"BackupSelectionsList": listed})


def job(source: str, target: str, state: str = "COMPLETED") -> dict[str, object]:
    return {
        "CopyJobId": "c",
        "SourceBackupVaultArn": source,
        "DestinationBackupVaultArn": target,
        "ResourceArn": EXPORTS,
        "State": state,
        "CreationDate": AT,
    }


def copies(facts) -> list[tuple[str, str, Basis]]:
    return [(edge.source, edge.target, edge.basis) for edge in facts.edges if edge.kind is EdgeKind.COPIES]


@pytest.mark.parametrize(
    ("selection", "touches"),
    [
        ({"Resources": [EXPORTS]}, True),
        ({"Resources": ["arn:aws:s3:::exp*"]}, True),
        ({"Resources": ["*"], "NotResources": ["arn:aws:s3:::*"]}, False),
        ({"Resources": ["arn:aws:dynamodb:*:*:table/*"]}, False),
        ({"Resources": [], "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "a"}]}, True),
        ({"Resources": ["*"], "Conditions": {"StringLike": [{"ConditionKey": "a", "ConditionValue": "b"}]}}, True),
        (None, False),
    ],
)  # fmt: skip
def test_a_plan_that_copies_abroad(cloud, stage, make_io, selection, touches: bool) -> None:
    plan(cloud, None, [FAR])
    selections(stage, selection)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert ((EXPORTS, MAIN) in edges(facts, EdgeKind.BACKS_UP)) is touches
    assert ((MAIN, FAR, Basis.CONFIGURED) in copies(facts)) is touches
    if touches:
        assert node(facts, FAR).place == NodePlace(regions=(ABROAD,), type="region")


def test_selections_that_are_not_told_touch_everything(cloud, stage, make_io) -> None:
    plan(cloud, None, [FAR])
    stage.json("/selections/", {"__type": "AccessDeniedException", "message": "no"}, 403)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert (EXPORTS, MAIN) in edges(facts, EdgeKind.BACKS_UP)


def test_a_copy_job_abroad_while_the_plan_looks_clean(cloud, stage, make_io) -> None:
    plan(cloud, None, [])
    selections(stage, {"Resources": [EXPORTS]})
    stage.json("GET /copy-jobs", {"CopyJobs": [job(MAIN, FAR)]})
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert copies(facts) == [(MAIN, FAR, Basis.HAPPENED)]
    assert edges(facts, EdgeKind.KEY) == [] or KEY in {target for _, target in edges(facts, EdgeKind.KEY)}
    assert facts.since is not None


def test_copies_are_followed_from_vault_to_vault(cloud, stage, make_io) -> None:
    plan(cloud, None, [])
    selections(stage, {"Resources": [EXPORTS]})
    stage.json("GET /copy-jobs", {"CopyJobs": [job(MAIN, FAR), job(FAR, FOREIGN), job(FAR, MAIN, "FAILED")]})
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert set(copies(facts)) == {
        (MAIN, FAR, Basis.HAPPENED),
        (FAR, FOREIGN, Basis.HAPPENED),
        (FAR, MAIN, Basis.OFF),
    }
    # Nobody of ours is in the other account: what it copies further is not known.
    assert {"backups", "encryption"} <= opened(facts, FOREIGN)
    assert node(facts, FOREIGN).account == THEIRS


@pytest.mark.parametrize(
    "answer",
    [
        (403, b'{"__type": "AccessDeniedException", "message": "no"}'),
        (200, b""),
        (200, b"{}"),
        (200, b"[]"),
        (200, b'{"CopyJobs": {}}'),
        (200, b'{"CopyJobs": [{"State": "COMPLETED"}]}'),
        (200, b'{"CopyJobs": "none"}'),
    ],
)
def test_jobs_that_are_not_told_leave_backups_open(cloud, stage, make_io, answer) -> None:
    plan(cloud, None, [])
    selections(stage, {"Resources": [EXPORTS]})
    stage.replies["GET /copy-jobs"] = (*answer, {"content-type": "application/json"})
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    (found,) = [end for end in facts.open if "ListCopyJobs" in end.at]
    assert found.matters == "backups"
    assert found.why.reason in (Reason.MALFORMED, Reason.PERMISSION_DENIED)


def test_recovery_points_under_other_keys_and_none(cloud, stage, make_io) -> None:
    other = KEY.replace("1234abcd", "ffff0000")
    common = {"BackupVaultName": "main", "BackupVaultArn": MAIN, "ResourceArn": EXPORTS, "CreationDate": AT}
    points = [
        {"RecoveryPointArn": f"arn:aws:backup:{HOME}:{OWN}:recovery-point:{number}", "IsEncrypted": True,
         "EncryptionKeyArn": KEY, **common}
        for number in range(40)
    ]  # fmt: skip
    plain = f"arn:aws:backup:{HOME}:{OWN}:recovery-point:plain"
    points.append({"RecoveryPointArn": plain, "IsEncrypted": False, **common})
    points.append({**points[0], "RecoveryPointArn": plain + "-2", "EncryptionKeyArn": other})
    points.append({**points[0], "RecoveryPointArn": plain + "-3", "SourceBackupVaultArn": FAR})
    stage.json("/resources/", {"RecoveryPoints": [{"RecoveryPointArn": plain, "BackupVaultName": "main"}]})
    stage.json("/recovery-points", {"RecoveryPoints": points})
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert node(facts, plain).encryption.method == "none"
    assert node(facts, plain + "-2").encryption.key == other
    # Thousands that are alike are a few nodes and a number.
    shown = [each for each in facts.nodes if each.note and "alike" in each.note]
    assert [each.note for each in shown] == [f"of {EXPORTS}, and 30 alike"]
    # What was copied from elsewhere was there.
    assert (FAR, MAIN, Basis.HAPPENED) in copies(facts)


def test_all_vaults_of_an_account(cloud, stage, make_io) -> None:
    cloud("backup", ABROAD).create_backup_vault(BackupVaultName="far")
    stage.json("GET /copy-jobs", {"CopyJobs": [job(MAIN, FAR)]})
    stage.json("/selections/", {"BackupSelectionsList": []})
    facts, _ = aws.walk(account(), HOME, make_io(stage.url))
    assert MAIN in facts.roots
    assert FAR not in facts.roots
    assert copies(facts) == [(MAIN, FAR, Basis.HAPPENED)]


def test_a_backup_that_ran_into_another_vault(cloud, stage, make_io) -> None:
    selections(stage, None)
    ran = {"ResourceArn": EXPORTS, "BackupVaultArn": MAIN, "State": "COMPLETED", "CreationDate": AT}
    stage.json("GET /backup-jobs", {"BackupJobs": [ran, {**ran, "State": "FAILED", "BackupVaultArn": FAR}]})
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    (found,) = [edge for edge in facts.edges if edge.kind is EdgeKind.BACKS_UP]
    assert (found.source, found.target, found.basis) == (EXPORTS, MAIN, Basis.HAPPENED)
    assert found.at is not None


def test_backups_of_a_copy_in_its_own_region(cloud, stage, make_io) -> None:
    client = cloud("s3", ABROAD)
    client.create_bucket(Bucket="copy", CreateBucketConfiguration={"LocationConstraint": ABROAD})
    rule = (
        "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::copy</Bucket>"
        "</Destination></Rule></ReplicationConfiguration>"
    )
    stage.xml("GET /exports?replication", rule)
    selections(stage, None)
    far = job(FAR, FOREIGN) | {"ResourceArn": "arn:aws:s3:::copy"}
    ran = {"ResourceArn": "arn:aws:s3:::copy", "BackupVaultArn": FAR, "State": "COMPLETED", "CreationDate": AT}

    def jobs(member: str, told: dict[str, object]):
        return lambda said: (200, json.dumps({member: [told] if "copy" in said.partition("?")[2] else []}).encode(), {})

    stage.replies["GET /backup-jobs"] = jobs("BackupJobs", ran)
    stage.replies["GET /copy-jobs"] = jobs("CopyJobs", far)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(stage.url))
    assert edges(facts, EdgeKind.REPLICATES) == [(EXPORTS, "arn:aws:s3:::copy")]
    assert edges(facts, EdgeKind.BACKS_UP) == [("arn:aws:s3:::copy", FAR)]
    assert copies(facts) == [(FAR, FOREIGN, Basis.HAPPENED)]
