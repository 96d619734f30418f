"""EC2 and EFS against moto's server, and what nobody may tell."""

from __future__ import annotations

import json

import pytest
from residency_aws import account, edges, node, opened, resource

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.residency import aws
from probes.residency.aws.graph import in_region
from probes.residency.store_facts import EdgeKind, NodeKind, NodePlace

OWN = "123456789012"
HOME, ABROAD = "eu-central-1", "us-east-1"


@pytest.fixture
def stage(cloud, moto, wire):
    wire.behind = moto
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    for name, member in (("backup-jobs", "BackupJobs"), ("copy-jobs", "CopyJobs"), ("", "RecoveryPoints")):
        wire.json(f"GET /{name}" if name else "/recovery-points", {member: []})
    for none in ("DBClusterAutomatedBackups", "DBInstanceAutomatedBackups"):
        told = f"Describe{none}"
        wire.xml(f"Action={told}&", f"<{told}Response><{told}Result><{none}/></{told}Result></{told}Response>")
    wire.json("/listRegions", {"Regions": [
        {"RegionName": name, "RegionOptStatus": "ENABLED"} for name in (HOME, ABROAD)
    ]})  # fmt: skip
    return wire


def volume(client, **more: object) -> str:
    made = client.create_volume(AvailabilityZone=f"{client.meta.region_name}a", Size=1, **more)["VolumeId"]
    return f"arn:aws:ec2:{client.meta.region_name}:{OWN}:volume/{made}"


def test_an_unencrypted_snapshot_of_an_encrypted_disk(cloud, stage, make_io) -> None:
    key = cloud("kms").create_key()["KeyMetadata"]["Arn"]
    client = cloud("ec2")
    disk = volume(client, Encrypted=True, KmsKeyId=key)
    plain = volume(client)
    client.create_snapshot(VolumeId=plain.rpartition("/")[2])
    facts, _ = aws.walk(account(), HOME, make_io(stage.url))
    assert {disk, plain} <= set(facts.roots)
    assert node(facts, disk).encryption.key == key
    ((_, snapshot),) = [edge for edge in edges(facts, EdgeKind.BACKS_UP) if edge[0] == plain]
    assert (node(facts, snapshot).kind, node(facts, snapshot).encryption.method) == (NodeKind.SNAPSHOT, "none")


def test_a_snapshot_that_was_copied_abroad(cloud, stage, make_io) -> None:
    disk = volume(cloud("ec2"))
    source = cloud("ec2").create_snapshot(VolumeId=disk.rpartition("/")[2])["SnapshotId"]
    there = cloud("ec2", ABROAD)
    copied = there.create_snapshot(
        VolumeId=volume(there).rpartition("/")[2], Description=f"[Copied {source} from {HOME}] by hand"
    )["SnapshotId"]
    facts, _ = aws.walk(resource(disk), "whole", make_io(stage.url))
    assert edges(facts, EdgeKind.COPIES) == [
        (f"arn:aws:ec2:{HOME}:{OWN}:snapshot/{source}", f"arn:aws:ec2:{ABROAD}:{OWN}:snapshot/{copied}")
    ]
    # Descriptions can be changed: that there are no others is not known.
    assert "copies" in opened(facts, disk)
    facts, _ = aws.walk(account(), ABROAD, make_io(stage.url))
    assert node(facts, source).place == NodePlace(regions=(HOME,), type="region")
    assert f"arn:aws:ec2:{HOME}:{OWN}:snapshot/{source}" in facts.roots


def test_what_a_snapshot_was_copied_from_need_not_exist(cloud, stage, make_io) -> None:
    there = cloud("ec2", ABROAD)
    disk = volume(there).rpartition("/")[2]
    there.create_snapshot(VolumeId=disk, Description=f"[Copied snap-0123456789abcdef0 from {HOME}]")
    facts, _ = aws.walk(account(), ABROAD, make_io(stage.url))
    gone = node(facts, "snap-0123456789abcdef0")
    assert gone.note == "does not exist any more, or is another account's"
    assert gone.encryption.kind == "unneeded"


def test_a_source_that_may_not_be_described_is_not_gone(cloud, stage, make_io) -> None:
    there = cloud("ec2", ABROAD)
    disk = volume(there).rpartition("/")[2]
    there.create_snapshot(VolumeId=disk, Description=f"[Copied snap-0123456789abcdef0 from {HOME}]")
    refusal = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>"
    stage.regional[HOME, "Action=DescribeSnapshots"] = lambda said: (403, refusal.encode(), {})
    facts, _ = aws.walk(account(), ABROAD, make_io(stage.url))
    found = node(facts, "snap-0123456789abcdef0")
    assert isinstance(found.encryption, Unseen)
    assert "encryption" in opened(facts, found.id)


def test_a_snapshot_that_others_may_use(cloud, stage, make_io) -> None:
    client = cloud("ec2")
    made = client.create_snapshot(VolumeId=volume(client).rpartition("/")[2])["SnapshotId"]
    client.modify_snapshot_attribute(
        SnapshotId=made, Attribute="createVolumePermission", OperationType="add", UserIds=["999988887777"]
    )
    facts, _ = aws.walk(account(), HOME, make_io(stage.url))
    assert "copies" in opened(facts, made)


def test_a_file_system_and_its_replica(cloud, stage, make_io) -> None:
    made = cloud("efs").create_file_system(CreationToken="a", Encrypted=False)
    name = made["FileSystemId"]
    stage.json("replication-configurations", {"Replications": [
        {"SourceFileSystemId": name, "SourceFileSystemRegion": HOME, "SourceFileSystemArn": made["FileSystemArn"],
         "OriginalSourceFileSystemArn": made["FileSystemArn"], "CreationTime": 1_790_000_000,
         "Destinations": [{"FileSystemId": "fs-0f0f0f0f", "Region": ABROAD, "Status": "ENABLED"}]}
    ]})  # fmt: skip
    facts, _ = aws.walk(resource(made["FileSystemArn"]), "whole", make_io(stage.url))
    target = f"arn:aws:elasticfilesystem:{ABROAD}:{OWN}:file-system/fs-0f0f0f0f"
    assert edges(facts, EdgeKind.REPLICATES) == [(made["FileSystemArn"], target)]
    assert node(facts, name).encryption.method == "none"
    assert "everything" in opened(facts, target)


def test_places_within_a_region() -> None:
    assert in_region(HOME, f"{HOME}b") == NodePlace(regions=(HOME,), type="region")
    assert in_region(HOME, f"{HOME}-waw-1a") == NodePlace(regions=(f"{HOME}-waw-1",), type="zone")
    wrong = in_region(HOME, f"{ABROAD}a")
    assert isinstance(wrong, Unseen)
    assert wrong.reason is Reason.CONFLICTING


@pytest.mark.parametrize("flag", ["TRUE", "yes", "", "1", "<x/>"])
def test_a_flag_that_is_none_is_not_taken_for_false(wire, sts, make_io, flag: str) -> None:
    disk = f"arn:aws:ec2:{HOME}:{OWN}:volume/vol-1"
    wire.xml(
        "Action=DescribeVolumes",
        "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId>"
        f"<encrypted>{flag}</encrypted></item></volumeSet></DescribeVolumesResponse>",
    )
    facts, _ = aws.walk(resource(disk), "whole", make_io(wire.url))
    assert isinstance(node(facts, disk).encryption, Unseen)
    assert Reason.MALFORMED in {end.why.reason for end in facts.open}


def test_nothing_that_is_refused_reads_as_nothing_there(wire, sts, make_io) -> None:
    facts, _ = aws.walk(account(), HOME, make_io(wire.url, fresh=True))
    assert facts.nodes == ()
    denied = {end.at.partition(" ")[0] for end in facts.open if end.why.reason is Reason.PERMISSION_DENIED}
    assert {
        "s3:ListBuckets", "s3:ListDirectoryBuckets", "rds:DescribeDBInstances", "rds:DescribeDBClusters",
        "rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots", "rds:DescribeExportTasks", "dynamodb:ListTables",
        "ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:DescribeImages",
        "elasticfilesystem:DescribeFileSystems", "backup:ListBackupVaults", "backup:ListBackupPlans",
        "backup:ListBackupJobs",
    } <= denied  # fmt: skip
    assert isinstance(facts.guards, Unseen)


def test_an_organisation_policy_is_a_guard_and_no_more(wire, sts, make_io) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny",
            "NotAction": ["iam:*", "s3:ListAllMyBuckets"],
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}},
        },
    }
    wire.json("ListPoliciesForTarget", {"Policies": [{"Id": "p-1", "Name": "only-eu"}]})
    wire.json("ListParents", {"Parents": [{"Id": "r-abcd", "Type": "ROOT"}]})
    wire.json("DescribePolicy", {"Policy": {"PolicySummary": {"Id": "p-1"}, "Content": json.dumps(policy)}})
    facts, _ = aws.walk(account(), HOME, make_io(wire.url, fresh=True))
    (guard,) = facts.guards
    assert (guard.name, guard.allows) == ("only-eu", ("eu-central-1", "eu-west-1"))
    assert guard.exceptions == ("iam:*", "s3:ListAllMyBuckets")
