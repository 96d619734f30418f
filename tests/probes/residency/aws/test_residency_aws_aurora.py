"""Aurora: what an instance leaves to its cluster."""

from __future__ import annotations

from residency_aws import account, edges, node, opened, resource

from probes.residency import aws
from probes.residency.store_facts import EdgeKind

HOME = "eu-central-1"


def listed(name: str) -> str:
    inner = f"<Describe{name}Result><{name}></{name}></Describe{name}Result>"
    return f"<Describe{name}Response>{inner}</Describe{name}Response>"


def stage(moto, wire) -> None:
    """What moto answers otherwise than AWS, or not at all."""
    wire.behind = moto
    wire.json("/listRegions", {"Regions": [{"RegionName": HOME, "RegionOptStatus": "ENABLED_BY_DEFAULT"}]})
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    wire.json("GET /backup-jobs", {"BackupJobs": []})
    wire.json("GET /copy-jobs", {"CopyJobs": []})
    wire.json("/recovery-points/", {"RecoveryPoints": []})
    for none in ("DBClusterAutomatedBackups", "DBInstanceAutomatedBackups"):
        wire.xml(f"Action=Describe{none}&", listed(none))


def aurora(client) -> tuple[str, str]:
    more = {"Engine": "aurora-postgresql", "MasterUsername": "u", "MasterUserPassword": "passw0rd"}
    cluster = client.create_db_cluster(DBClusterIdentifier="aurora", **more)["DBCluster"]["DBClusterArn"]
    client.create_db_cluster_snapshot(DBClusterIdentifier="aurora", DBClusterSnapshotIdentifier="plain")
    one = client.create_db_instance(DBInstanceIdentifier="one", DBInstanceClass="db.r5.large",
                                    Engine="aurora-postgresql", DBClusterIdentifier="aurora")  # fmt: skip
    return cluster, one["DBInstance"]["DBInstanceArn"]


def test_a_cluster_names_its_subnet_group_and_no_more(cloud, moto, wire, make_io) -> None:
    stage(moto, wire)
    cluster, _ = aurora(cloud("rds"))
    facts, _ = aws.walk(resource(cluster), "whole", make_io(wire.url))
    assert "everything" not in opened(facts, cluster)
    assert node(facts, cluster).encryption.kind == "encryption"
    facts, _ = aws.walk(account(), HOME, make_io(wire.url))
    assert not [end for end in facts.open if "DescribeDBClusters" in end.at]


def test_an_instance_leads_to_its_cluster_and_the_copies_of_that(cloud, moto, wire, make_io) -> None:
    stage(moto, wire)
    cluster, one = aurora(cloud("rds"))
    facts, _ = aws.walk(resource(one), "whole", make_io(wire.url))
    assert (one, cluster) in edges(facts, EdgeKind.REPLICATES)
    assert (cluster, node(facts, "plain").id) in edges(facts, EdgeKind.BACKS_UP)
