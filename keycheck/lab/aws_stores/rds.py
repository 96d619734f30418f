"""RDS and Aurora: instances, clusters, global clusters and automated backups.

Sources: the rds 2014-10-31 service model of botocore; RDS API Reference; RDS User Guide, "Replicating automated backups
to another AWS Region", "Creating a read replica in a different AWS Region".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from keycheck.lab.aws_stores import rds_snapshots
from keycheck.lab.aws_stores.asked import Ask, Handler, sparse, split_at
from keycheck.lab.aws_stores.plan import Cluster, Database
from keycheck.lab.aws_stores.rds_common import encryption, fits, page, short
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output


def _db(ask: Ask, id: str, region: str) -> str:
    return ask.arn("rds", f"db:{id}", region=region)


def _name(ask: Ask, kind: str, id: str, region: str) -> str:
    """As RDS names another instance or cluster: by its ARN in another Region."""
    return id if region == ask.region else ask.arn("rds", f"{kind}:{id}", region=region)


def _resource_id(database: Database) -> str:
    return f"db-{database.id.upper().replace('-', '')[:12]:A<26}"


def _automated(ask: Ask, database: Database, region: str) -> str:
    """ARN of automated backups in a Region."""
    return ask.arn("rds", f"auto-backup:ab-{_resource_id(database)[3:].lower()}", region=region)


def _instances(ask: Ask) -> Output:
    wanted, given = ask.text("DBInstanceIdentifier"), ask.filters()
    found = [
        each
        for each in ask.plan.databases
        if each.region == ask.region
        and wanted in ("", each.id, _db(ask, each.id, each.region))
        and fits(given, "db-instance-id", each.id, _db(ask, each.id, each.region))
        and fits(given, "db-cluster-id", each.cluster or "")
    ]
    if wanted and not found:
        raise RefusedError("DBInstanceNotFoundFault", f"DBInstance {short(wanted)} not found.", 404)
    items, more = page(ask, found)
    return {"DBInstances": [_instance(ask, each) for each in items], **more}


def _instance(ask: Ask, database: Database) -> Output:
    replicas = [
        _name(ask, "db", each.id, each.region)
        for each in ask.plan.databases
        if each.replica_of is not None and split_at(each.replica_of, each.region) == (database.id, database.region)
    ]
    source = None
    if database.replica_of is not None:
        source = _name(ask, "db", *split_at(database.replica_of, database.region))
    return sparse(
        DBInstanceIdentifier=database.id,
        DBInstanceArn=_db(ask, database.id, database.region),
        DbiResourceId=_resource_id(database),
        DBInstanceClass="db.m7g.large",
        Engine=database.engine,
        EngineVersion="16.4",
        DBInstanceStatus="available",
        AllocatedStorage=100,
        InstanceCreateTime=ask.ago(database.days),
        AvailabilityZone=f"{database.region}a",
        SecondaryAvailabilityZone=f"{database.region}b" if database.multi_az else None,
        MultiAZ=database.multi_az,
        BackupRetentionPeriod=database.retention,
        BackupTarget="region",
        DBClusterIdentifier=database.cluster,
        ReadReplicaSourceDBInstanceIdentifier=source,
        ReadReplicaDBInstanceIdentifiers=replicas,
        ReadReplicaDBClusterIdentifiers=[],
        DBInstanceAutomatedBackupsReplications=[
            {"DBInstanceAutomatedBackupsArn": _automated(ask, database, region)} for region, _ in database.backed_up_to
        ],
        TagList=[],
        **encryption(ask, database.key, database.region),
    )


def _clusters(ask: Ask) -> Output:
    wanted, given = ask.text("DBClusterIdentifier"), ask.filters()
    found = [
        each
        for each in ask.plan.clusters
        if each.region == ask.region
        and wanted in ("", each.id, _cluster_arn(ask, each))
        and fits(given, "db-cluster-id", each.id, _cluster_arn(ask, each))
    ]
    if wanted and not found:
        raise RefusedError("DBClusterNotFoundFault", f"DBCluster {short(wanted)} not found.", 404)
    items, more = page(ask, found)
    return {"DBClusters": [_cluster(ask, each) for each in items], **more}


def _cluster_arn(ask: Ask, cluster: Cluster) -> str:
    return ask.arn("rds", f"cluster:{cluster.id}", region=cluster.region)


def _cluster(ask: Ask, cluster: Cluster) -> Output:
    source = None
    if cluster.replica_of is not None:
        id, region = split_at(cluster.replica_of, cluster.region)
        source = ask.arn("rds", f"cluster:{id}", region=region)
    return sparse(
        DBClusterIdentifier=cluster.id,
        DBClusterArn=_cluster_arn(ask, cluster),
        DbClusterResourceId=f"cluster-{cluster.id.upper().replace('-', '')[:12]:A<26}",
        Status="available",
        Engine=cluster.engine,
        EngineMode="provisioned",
        EngineVersion="16.4",
        AvailabilityZones=[f"{cluster.region}{zone}" for zone in "abc"],
        MultiAZ=True,
        BackupRetentionPeriod=cluster.retention,
        ClusterCreateTime=ask.ago(cluster.days),
        ReplicationSourceIdentifier=source,
        ReadReplicaIdentifiers=[
            _cluster_arn(ask, each)
            for each in ask.plan.clusters
            if each.replica_of is not None and split_at(each.replica_of, each.region) == (cluster.id, cluster.region)
        ],
        DBClusterMembers=[
            {"DBInstanceIdentifier": each.id, "IsClusterWriter": cluster.writes}
            for each in ask.plan.databases
            if each.cluster == cluster.id and each.region == cluster.region
        ],
        GlobalClusterIdentifier=cluster.of_global,
        TagList=[],
        **encryption(ask, cluster.key, cluster.region),
    )


def _global_clusters(ask: Ask) -> Output:
    wanted, given = ask.text("GlobalClusterIdentifier"), ask.filters()
    found = []
    for name in ask.plan.global_clusters:
        members = [each for each in ask.plan.clusters if each.of_global == name]
        # known in the Regions of its members
        if all(each.region != ask.region for each in members) or wanted not in ("", name):
            continue
        if not fits(given, "db-cluster-id", *(_cluster_arn(ask, each) for each in members)):
            continue
        found.append(_global(ask, name, members))
    if wanted and not found:
        raise RefusedError("GlobalClusterNotFoundFault", f"Global cluster {wanted} not found", 404)
    items, more = page(ask, found)
    return {"GlobalClusters": list(items), **more}


def _global(ask: Ask, name: str, members: Sequence[Cluster]) -> Output:
    readers = [_cluster_arn(ask, each) for each in members if not each.writes]
    return {
        "GlobalClusterIdentifier": name,
        "GlobalClusterArn": ask.arn("rds", f"global-cluster:{name}", region=""),
        "Status": "available",
        "Engine": members[0].engine,
        "StorageEncrypted": all(each.key is not None for each in members),
        "GlobalClusterMembers": [
            {
                "DBClusterArn": _cluster_arn(ask, each),
                "IsWriter": each.writes,
                "Readers": readers if each.writes else [],
            }
            for each in members
        ],
    }


def _automated_backups(ask: Ask) -> Output:
    wanted, arn, given = ask.text("DBInstanceIdentifier"), ask.text("DBInstanceAutomatedBackupsArn"), ask.filters()
    resource = ask.text("DbiResourceId")
    found = []
    for each in ask.plan.databases:
        if each.retention == 0 or each.cluster is not None:
            continue
        copies = dict(each.backed_up_to)
        if each.region == ask.region:
            told = _backups(ask, each, each.key, "active", tuple(copies))
        elif ask.region in copies:
            told = _backups(ask, each, copies[ask.region], "replicating", ())
        else:
            continue
        if (
            wanted in ("", each.id, _db(ask, each.id, each.region))
            and arn in ("", told["DBInstanceAutomatedBackupsArn"])
            and resource in ("", told["DbiResourceId"])
            and fits(given, "db-instance-id", each.id, _db(ask, each.id, each.region))
            and fits(given, "dbi-resource-id", _resource_id(each))
            and fits(given, "status", str(told["Status"]))
        ):
            found.append(told)
    if (arn or resource) and not found:
        raise RefusedError("DBInstanceAutomatedBackupNotFoundFault", "DBInstance automated backup not found.", 404)
    items, more = page(ask, found)
    return {"DBInstanceAutomatedBackups": list(items), **more}


def _backups(ask: Ask, database: Database, ref: str | None, status: str, copies: Sequence[str]) -> dict[str, object]:
    key = ask.key(ref)
    return sparse(
        DBInstanceArn=_db(ask, database.id, database.region),
        DbiResourceId=_resource_id(database),
        Region=database.region,
        DBInstanceIdentifier=database.id,
        Status=status,
        InstanceCreateTime=ask.ago(database.days),
        Engine=database.engine,
        Encrypted=key is not None,
        KmsKeyId=key,
        BackupRetentionPeriod=database.retention,
        DBInstanceAutomatedBackupsArn=_automated(ask, database, ask.region),
        DBInstanceAutomatedBackupsReplications=[
            {"DBInstanceAutomatedBackupsArn": _automated(ask, database, region)} for region in copies
        ],
        BackupTarget="region",
        RestoreWindow={"EarliestTime": ask.ago(database.retention), "LatestTime": ask.ago(0.003)},
    )


def _cluster_backups(ask: Ask) -> Output:
    found = [
        sparse(
            DBClusterArn=_cluster_arn(ask, each),
            DBClusterIdentifier=each.id,
            DbClusterResourceId=f"cluster-{each.id.upper().replace('-', '')[:12]:A<26}",
            Region=each.region,
            Status="active",
            Engine=each.engine,
            BackupRetentionPeriod=each.retention,
            **encryption(ask, each.key, each.region),
        )
        for each in ask.plan.clusters
        if each.region == ask.region and short(ask.text("DBClusterIdentifier")) in ("", each.id)
    ]
    items, more = page(ask, found)
    return {"DBClusterAutomatedBackups": list(items), **more}


HANDLERS: Final[Mapping[str, Handler]] = {
    "DescribeDBInstances": _instances,
    "DescribeDBClusters": _clusters,
    "DescribeGlobalClusters": _global_clusters,
    "DescribeDBInstanceAutomatedBackups": _automated_backups,
    "DescribeDBClusterAutomatedBackups": _cluster_backups,
    **rds_snapshots.HANDLERS,
}
