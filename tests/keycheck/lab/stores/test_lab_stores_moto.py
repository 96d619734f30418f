"""Answers of the lab's stores beside moto's for the same things: where both tell a member, it is of the same kind, and
the lab tells nothing that moto leaves out but what is named here, with AWS's own word for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest

from keycheck.lab.aws_stores.plan import AwsPlan, Bucket, Database, DbSnapshot, Item, Rule, Snapshot, Sse, Table, Volume
from keycheck.lab.store_estate import clean_clouds
from keycheck.lab.store_sites import ACCOUNT, HOME

moto = pytest.importorskip("moto")

REPLICA_REGION = "eu-west-1"
MORE_THAN_MOTO = {
    # newer than moto: the service models have them
    "BucketArn",
    "BucketRegion",
    "StorageEncryptionType",
    "BackupTarget",
    "SecondaryAvailabilityZone",
    "ReadReplicaDBClusterIdentifiers",
    "SnapshotTarget",
    "SourceRegion",
    # told where replicas are, and only there
    "GlobalTableVersion",
    "ReplicaArn",
    "DeletionProtectionEnabled",
    "BucketKeyEnabled",
    "StorageTier",
    "AccessPointAlias",
    "OptInStatus",
    "DeleteMarkerReplication",
    "SourceSelectionCriteria",
    "Filter",
}
LEFT_OUT_BY_MOTO = {
    ".DBInstances[].DBInstanceAutomatedBackupsReplications",
    ".DBSnapshots[].AvailabilityZone",
    ".DBSnapshots[].PercentProgress",
    ".EncodingType",
    ".Snapshots[].Description",
    ".Snapshots[].KmsKeyId",
    ".Table.TableId",
    ".Volumes[].SnapshotId",
}


def plan() -> AwsPlan:
    """What is put into moto, too."""
    return replace(
        clean_clouds().aws,
        buckets=(
            Bucket(
                "one",
                HOME,
                ACCOUNT,
                Sse("aws:kms", "contacts"),
                rules=(Rule("r1", "two"),),
                items=(Item("a b.txt", Sse("aws:kms", "contacts"), size=3),),
            ),
            Bucket("two", REPLICA_REGION, ACCOUNT),
        ),
        databases=(Database("crm", HOME, "contacts", multi_az=False),),
        db_snapshots=(DbSnapshot("before", "crm", HOME, "contacts"),),
        tables=(Table("sessions", HOME, "contacts"),),
        volumes=(Volume("vol-1", f"{HOME}a", "contacts"),),
        snapshots=(Snapshot("snap-1", "vol-1", HOME, "contacts"),),
    )


@pytest.fixture(scope="module")
def theirs() -> Iterator[dict[str, dict[str, object]]]:
    """The same in moto: what it answers by operation."""
    with moto.mock_aws():

        def client(service: str, region: str = HOME):
            return boto3.client(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")

        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        s3, rds, table, ec2 = client("s3"), client("rds"), client("dynamodb"), client("ec2")
        for name, region in (("one", HOME), ("two", REPLICA_REGION)):
            client("s3", region).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
            client("s3", region).put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        s3.put_bucket_encryption(
            Bucket="one",
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
        )
        s3.put_bucket_replication(
            Bucket="one",
            ReplicationConfiguration={
                "Role": f"arn:aws:iam::{ACCOUNT}:role/replication",
                "Rules": [
                    {
                        "ID": "r1",
                        "Priority": 0,
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "DeleteMarkerReplication": {"Status": "Enabled"},
                        "Destination": {"Bucket": "arn:aws:s3:::two"},
                    }
                ],
            },
        )
        s3.put_object(Bucket="one", Key="a b.txt", Body=b"abc", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        rds.create_db_instance(
            DBInstanceIdentifier="crm",
            DBInstanceClass="db.m7g.large",
            Engine="postgres",
            MasterUsername="x",
            MasterUserPassword="xxxxxxxxxxxx",
            AllocatedStorage=100,
            StorageEncrypted=True,
            KmsKeyId=key,
        )
        rds.create_db_snapshot(DBInstanceIdentifier="crm", DBSnapshotIdentifier="before")
        table.create_table(
            TableName="sessions",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        )
        volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=1, Encrypted=True, KmsKeyId=key)["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        yield {
            "buckets": s3.list_buckets(),
            "location": s3.get_bucket_location(Bucket="one"),
            "head": s3.head_bucket(Bucket="one"),
            "encryption": s3.get_bucket_encryption(Bucket="one"),
            "versioning": s3.get_bucket_versioning(Bucket="one"),
            "replication": s3.get_bucket_replication(Bucket="one"),
            "objects": s3.list_objects_v2(Bucket="one"),
            "versions": s3.list_object_versions(Bucket="one"),
            "object": s3.head_object(Bucket="one", Key="a b.txt"),
            "instances": rds.describe_db_instances(),
            "snapshots": rds.describe_db_snapshots(),
            "tables": table.list_tables(),
            "table": table.describe_table(TableName="sessions"),
            "volumes": ec2.describe_volumes(VolumeIds=[volume]),
            "disk snapshots": ec2.describe_snapshots(SnapshotIds=[snapshot]),
            "regions": ec2.describe_regions(),
        }


ASKED = {
    "buckets": ("s3", "list_buckets", {}),
    "location": ("s3", "get_bucket_location", {"Bucket": "one"}),
    "head": ("s3", "head_bucket", {"Bucket": "one"}),
    "encryption": ("s3", "get_bucket_encryption", {"Bucket": "one"}),
    "versioning": ("s3", "get_bucket_versioning", {"Bucket": "one"}),
    "replication": ("s3", "get_bucket_replication", {"Bucket": "one"}),
    "objects": ("s3", "list_objects_v2", {"Bucket": "one"}),
    "versions": ("s3", "list_object_versions", {"Bucket": "one"}),
    "object": ("s3", "head_object", {"Bucket": "one", "Key": "a b.txt"}),
    "instances": ("rds", "describe_db_instances", {}),
    "snapshots": ("rds", "describe_db_snapshots", {}),
    "tables": ("dynamodb", "list_tables", {}),
    "table": ("dynamodb", "describe_table", {"TableName": "sessions"}),
    "volumes": ("ec2", "describe_volumes", {}),
    "disk snapshots": ("ec2", "describe_snapshots", {"OwnerIds": ["self"]}),
    "regions": ("ec2", "describe_regions", {}),
}


@pytest.mark.parametrize("what", sorted(ASKED))
def test_the_same_members_of_the_same_kinds(serve, theirs, what: str) -> None:
    service, call, parameters = ASKED[what]
    ours = getattr(serve(plan()).client(service), call)(**parameters)
    ours.pop("ResponseMetadata")
    assert set(_differences("", ours, theirs[what])) <= LEFT_OUT_BY_MOTO


def _differences(where: str, ours: object, theirs: object) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{where}.{name}" for name in ours.keys() - theirs.keys() if name not in MORE_THAN_MOTO]
        for name in sorted(ours.keys() & theirs.keys()):
            found += _differences(f"{where}.{name}", ours[name], theirs[name])
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        return _differences(f"{where}[]", ours[0], theirs[0]) if ours and theirs else []
    return [] if type(ours) is type(theirs) else [f"{where}: {type(ours).__name__}, not {type(theirs).__name__}"]


@pytest.mark.parametrize(
    ("service", "call", "parameters"),
    [
        ("s3", "get_bucket_replication", {"Bucket": "two"}),
        ("s3", "get_bucket_encryption", {"Bucket": "none-such"}),
        ("s3", "head_object", {"Bucket": "one", "Key": "none"}),
        ("rds", "describe_db_instances", {"DBInstanceIdentifier": "none"}),
        ("rds", "describe_db_snapshots", {"DBSnapshotIdentifier": "none"}),
        ("dynamodb", "describe_table", {"TableName": "none"}),
        ("ec2", "describe_volumes", {"VolumeIds": ["vol-00000000000000009"]}),
        ("ec2", "describe_snapshots", {"SnapshotIds": ["snap-00000000000000009"]}),
    ],
)
def test_the_same_errors(serve, theirs, service: str, call: str, parameters: dict[str, object]) -> None:
    region = REPLICA_REGION if parameters.get("Bucket") == "two" else HOME
    ours = _code(serve(plan()).client(service, region), call, parameters)
    known = boto3.client(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
    assert ours == _code(known, call, parameters)


def _code(client, call: str, parameters: dict[str, object]) -> tuple[str, int]:
    with pytest.raises(client.exceptions.ClientError) as refused:
        getattr(client, call)(**parameters)
    told = refused.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]
