"""RDS and DynamoDB against moto's server, and over the wire what it has no handler for."""

from __future__ import annotations

import pytest
from residency_aws import account, edges, node, opened, resource

from keycheck.model.facts import Unseen
from probes.residency import aws
from probes.residency.store_facts import EdgeKind, NodeKind, NodePlace

OWN = "123456789012"
HOME, ABROAD = "eu-central-1", "us-east-1"


def instance(client, name: str, **more: object) -> str:
    made = client.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        MasterUsername="u",
        MasterUserPassword="passw0rd",
        AllocatedStorage=20,
        **more,
    )
    return made["DBInstance"]["DBInstanceArn"]


def regions(wire) -> None:
    """Two Regions, instead of all that moto has."""
    wire.json("/listRegions", {"Regions": [
        {"RegionName": name, "RegionOptStatus": state}
        for name, state in ((HOME, "ENABLED_BY_DEFAULT"), (ABROAD, "ENABLED"), ("ap-east-1", "DISABLED"))
    ]})  # fmt: skip


def nothing_else(wire) -> None:
    """What moto answers otherwise than AWS, or not at all."""
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    wire.json("GET /backup-jobs", {"BackupJobs": []})
    wire.json("GET /copy-jobs", {"CopyJobs": []})
    wire.json("/recovery-points/", {"RecoveryPoints": []})
    for none in ("DBClusterAutomatedBackups", "DBInstanceAutomatedBackups"):
        wire.xml(f"Action=Describe{none}&", listed(none, ""))


def test_a_read_replica_and_an_unencrypted_snapshot_abroad(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    regions(wire)
    nothing_else(wire)
    key = cloud("kms").create_key()["KeyMetadata"]["Arn"]
    main = instance(cloud("rds"), "main", StorageEncrypted=True, KmsKeyId=key)
    there = cloud("rds", ABROAD)
    replica = there.create_db_instance_read_replica(DBInstanceIdentifier="copy", SourceDBInstanceIdentifier=main,
                                                     AvailabilityZone=f"{ABROAD}a")  # fmt: skip
    replica = replica["DBInstance"]["DBInstanceArn"]
    plain = instance(cloud("rds"), "plain")
    cloud("rds").create_db_snapshot(DBInstanceIdentifier="plain", DBSnapshotIdentifier="nightly")
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    assert facts.roots == (main,)
    assert (main, replica) in edges(facts, EdgeKind.REPLICATES)
    (found,) = [each for each in facts.nodes if each.id == replica]
    assert found.place == NodePlace(regions=(ABROAD,), type="region")
    assert node(facts, "main").encryption.key == key
    facts, _ = aws.walk(resource(plain), "whole", make_io(wire.url))
    assert node(facts, "nightly").encryption.method == "none"
    assert (plain, node(facts, "nightly").id) in edges(facts, EdgeKind.BACKS_UP)


def test_a_snapshot_that_was_copied_abroad_by_hand(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    regions(wire)
    nothing_else(wire)
    main = instance(cloud("rds"), "main", StorageEncrypted=True)
    cloud("rds").create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="nightly")
    source = f"arn:aws:rds:{HOME}:{OWN}:snapshot:nightly"
    snapshots = "".join(
        f"<DBSnapshot><DBSnapshotIdentifier>{name}</DBSnapshotIdentifier><DBInstanceIdentifier>main"
        f"</DBInstanceIdentifier><SnapshotType>manual</SnapshotType><Encrypted>false</Encrypted>{more}"
        f"<DBSnapshotArn>arn:aws:rds:{ABROAD}:{OWN}:snapshot:{name}</DBSnapshotArn></DBSnapshot>"
        for name, more in (
            ("copied", f"<SourceDBSnapshotIdentifier>{source}</SourceDBSnapshotIdentifier>"),
            ("namesake", ""),
        )
    )
    body = listed("DBSnapshots", snapshots)

    # The Region is in the signature alone.
    def answer(said: str):
        return (200, body.encode(), {"content-type": "text/xml"})

    wire.regional[ABROAD, "Action=DescribeDBSnapshots&"] = answer
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    copied = node(facts, "copied")
    assert copied.place == NodePlace(regions=(ABROAD,), type="region")
    assert (source, copied.id) in edges(facts, EdgeKind.COPIES)
    assert not [each for each in facts.nodes if each.id.endswith("namesake")]


def test_a_snapshot_that_another_account_may_restore(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    regions(wire)
    nothing_else(wire)
    main = instance(cloud("rds"), "main")
    client = cloud("rds")
    client.create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="nightly")
    client.modify_db_snapshot_attribute(
        DBSnapshotIdentifier="nightly", AttributeName="restore", ValuesToAdd=["999988887777"]
    )
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    assert "copies" in opened(facts, "nightly")
    assert any("999988887777" in end.why.detail for end in facts.open)


def test_a_global_database(wire, sts, make_io) -> None:
    main, second = (f"arn:aws:rds:{region}:{OWN}:cluster:{name}" for region, name in ((HOME, "main"), (ABROAD, "b")))
    regions(wire)
    members = "".join(
        f"<GlobalClusterMember><DBClusterArn>{arn}</DBClusterArn><IsWriter>{str(arn == main).lower()}</IsWriter>"
        "</GlobalClusterMember>"
        for arn in (main, second)
    )
    name = "<GlobalClusterIdentifier>world</GlobalClusterIdentifier>"
    wire.xml("Action=DescribeGlobalClusters", listed("GlobalClusters", f"<GlobalClusterMember>{name}"
             f"<GlobalClusterMembers>{members}</GlobalClusterMembers></GlobalClusterMember>"))  # fmt: skip
    wire.xml("Action=DescribeDBClusters&", listed("DBClusters", f"<DBCluster><DBClusterArn>{main}</DBClusterArn>"
             "<StorageEncrypted>false</StorageEncrypted></DBCluster>"))  # fmt: skip
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    assert edges(facts, EdgeKind.REPLICATES) == [(main, second)]
    # Of the second, RDS said nothing: its Region is in its name, and no more is known.
    assert node(facts, second).place == NodePlace(regions=(ABROAD,), type="region")
    assert "everything" in opened(facts, second)


def listed(member: str, body: str) -> str:
    told = f"Describe{member}"
    return f"<{told}Response><{told}Result><{member}>{body}</{member}></{told}Result></{told}Response>"


def table(client, name: str, **more: object) -> str:
    return client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )["TableDescription"]["TableArn"]


def test_a_table_its_backups_and_exports(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    nothing_else(wire)
    key = cloud("kms").create_key()["KeyMetadata"]["Arn"]
    client = cloud("dynamodb")
    main = table(client, "main", SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="main", PointInTimeRecoverySpecification=on)
    backup = client.create_backup(TableName="main", BackupName="monthly")["BackupDetails"]["BackupArn"]
    cloud("s3", ABROAD).create_bucket(Bucket="exported")
    client.export_table_to_point_in_time(TableArn=main, S3Bucket="exported", S3Prefix="all")
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    found = node(facts, "main")
    assert (found.kind, found.encryption.method, found.encryption.key) == (NodeKind.TABLE, "customer-key", key)
    assert (main, backup) in edges(facts, EdgeKind.BACKS_UP)
    assert (main, f"{main}/point-in-time-recovery") in edges(facts, EdgeKind.BACKS_UP)
    assert (main, "arn:aws:s3:::exported") in edges(facts, EdgeKind.COPIES)
    assert node(facts, "exported").place == NodePlace(regions=(ABROAD,), type="region")


def test_replicas_and_witnesses_of_a_global_table(wire, sts, make_io) -> None:
    main = f"arn:aws:dynamodb:{HOME}:{OWN}:table/main"
    described = {
        "TableName": "main",
        "TableArn": main,
        "Replicas": [{"RegionName": "eu-west-1", "ReplicaStatus": "ACTIVE"}],
        "GlobalTableWitnesses": [{"RegionName": "eu-west-2", "WitnessStatus": "ACTIVE"}],
        "MultiRegionConsistency": "STRONG",
    }
    wire.json("DynamoDB_20120810.DescribeTable", {"Table": described})
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    replica = main.replace(HOME, "eu-west-1")
    assert edges(facts, EdgeKind.REPLICATES) == [(main, replica)]
    ((_, witness),) = edges(facts, EdgeKind.WITNESSES)
    (found,) = [each for each in facts.nodes if each.id == witness]
    assert (found.kind, found.place.regions) == (NodeKind.WITNESS, ("eu-west-2",))
    # Absent, the key is DynamoDB's own.
    assert node(facts, main).encryption.method == "provider-key"
    # The replica's own description was about the other table: nothing is taken from it.
    assert "everything" in opened(facts, replica)


def test_all_databases_and_tables_of_an_account(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    nothing_else(wire)
    main = instance(cloud("rds"), "main")
    own = table(cloud("dynamodb"), "own")
    facts, _ = aws.walk(account(), HOME, make_io(wire.url))
    assert {main, own} <= set(facts.roots)
    assert not [each for each in facts.open if each.matters == "everything"]


@pytest.mark.parametrize(
    ("flag", "kind", "method"),
    [
        ("false", None, "none"),
        ("false", "none", "none"),
        ("false", "sse-rds", "provider-key"),
        ("true", "sse-kms", "customer-key"),
        ("true", None, "customer-key"),
        ("true", "none", None),
        ("false", "sse-kms", None),
        ("true", "sse-new", None),
    ],
)
def test_what_rds_calls_unencrypted_may_be_under_a_key_of_its_own(
    wire, sts, make_io, flag: str, kind: str | None, method: str | None
) -> None:
    main = f"arn:aws:rds:{HOME}:{OWN}:cluster:main"
    told = "" if kind is None else f"<StorageEncryptionType>{kind}</StorageEncryptionType>"
    key = f"<KmsKeyId>arn:aws:kms:{HOME}:{OWN}:key/1234abcd-12ab-34cd-56ef-1234567890ab</KmsKeyId>"
    body = f"<DBCluster><DBClusterArn>{main}</DBClusterArn><StorageEncrypted>{flag}</StorageEncrypted>{told}{key}"
    wire.xml("Action=DescribeDBClusters&", listed("DBClusters", f"{body}</DBCluster>"))
    found = node(aws.walk(resource(main), "whole", make_io(wire.url))[0], main).encryption
    assert getattr(found, "method", None) == method


def test_a_database_on_an_outpost_is_wherever_its_owner_put_it(wire, sts, make_io) -> None:
    main = f"arn:aws:rds:{HOME}:{OWN}:db:main"
    subnet = "<Subnet><SubnetOutpost><Arn>arn:aws:outposts:x</Arn></SubnetOutpost></Subnet>"
    body = (
        f"<DBInstance><DBInstanceArn>{main}</DBInstanceArn><StorageEncrypted>false</StorageEncrypted>"
        f"<DBSubnetGroup><Subnets>{subnet}</Subnets></DBSubnetGroup></DBInstance>"
    )
    wire.xml("Action=DescribeDBInstances&", listed("DBInstances", body))
    found = node(aws.walk(resource(main), "whole", make_io(wire.url))[0], main)
    assert isinstance(found.place, Unseen)
    assert "outposts" in found.place.detail


def test_exports_of_snapshots_that_are_and_that_were(cloud, moto, wire, make_io) -> None:
    wire.behind = moto
    regions(wire)
    nothing_else(wire)
    cloud("s3", ABROAD).create_bucket(Bucket="exported")
    main, other = instance(cloud("rds"), "main"), instance(cloud("rds"), "other")
    for name in ("main", "other"):
        cloud("rds").create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=f"of-{name}")
    task = "<ExportTask><ExportTaskIdentifier>{0}</ExportTaskIdentifier><SourceArn>{1}</SourceArn>{2}</ExportTask>"
    rest = "<S3Bucket>exported</S3Bucket><Status>COMPLETE</Status>"
    snapshot = f"arn:aws:rds:{HOME}:{OWN}:snapshot:"
    tasks = "".join(
        task.format(number, snapshot + name, rest) for number, name in enumerate(("of-main", "of-other", "gone"))
    )
    wire.xml("Action=DescribeExportTasks", listed("ExportTasks", tasks))
    facts, _ = aws.walk(resource(main), "whole", make_io(wire.url))
    assert edges(facts, EdgeKind.COPIES) == [(f"{snapshot}of-main", "arn:aws:s3:::exported")]
    assert opened(facts, f"{snapshot}gone") == {"copies"}
    facts, _ = aws.walk(account(), HOME, make_io(wire.url))
    assert len(edges(facts, EdgeKind.COPIES)) == 3
    assert other in facts.roots
