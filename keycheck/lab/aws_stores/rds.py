"""RDS and Aurora: instances, clusters, global clusters, snapshots, automated backups and exports.

Sources: the rds 2014-10-31 service model of botocore; RDS API Reference; RDS User Guide, "Replicating automated backups
to another AWS Region", "Creating a read replica in a different AWS Region".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse, split_at
from keycheck.lab.aws_stores.plan import Cluster, Database, DbSnapshot
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output

T = TypeVar("T")
_STARS: Final = "*"


def _page(ask: Ask, items: Sequence[T]) -> tuple[Sequence[T], Output]:
    return ask.page(items, size="MaxRecords", given="Marker", told="Marker", most=100, wrong="InvalidParameterValue")


def _filters(ask: Ask) -> Mapping[str, tuple[str, ...]]:
    found = ask.parameters.get("Filters", ())
    if not isinstance(found, list | tuple):
        return {}
    return {str(each["Name"]): tuple(str(value) for value in each.get("Values", ())) for each in found}


def _short(identifier: str) -> str:
    """Of an ARN or an id."""
    return identifier.rpartition(":")[2]


def _encryption(ask: Ask, ref: str | None, region: str) -> dict[str, object]:
    key = ask.key(ref, region)
    kind = "none" if key is None else "sse-kms"
    return sparse(StorageEncrypted=key is not None, KmsKeyId=key, StorageEncryptionType=kind)


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
    wanted, filters = ask.text("DBInstanceIdentifier"), _filters(ask)
    found = [
        each
        for each in ask.plan.databases
        if each.region == ask.region
        and wanted in ("", each.id, _db(ask, each.id, each.region))
        and _fits(filters, "db-instance-id", each.id, _db(ask, each.id, each.region))
        and _fits(filters, "db-cluster-id", each.cluster or "")
    ]
    if wanted and not found:
        raise RefusedError("DBInstanceNotFoundFault", f"DBInstance {_short(wanted)} not found.", 404)
    page, more = _page(ask, found)
    return {"DBInstances": [_instance(ask, each) for each in page], **more}


def _fits(filters: Mapping[str, Sequence[str]], name: str, *values: str) -> bool:
    return name not in filters or any(value in filters[name] for value in values)


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
        **_encryption(ask, database.key, database.region),
    )


def _clusters(ask: Ask) -> Output:
    wanted, filters = ask.text("DBClusterIdentifier"), _filters(ask)
    found = [
        each
        for each in ask.plan.clusters
        if each.region == ask.region
        and wanted in ("", each.id, _cluster_arn(ask, each))
        and _fits(filters, "db-cluster-id", each.id, _cluster_arn(ask, each))
    ]
    if wanted and not found:
        raise RefusedError("DBClusterNotFoundFault", f"DBCluster {_short(wanted)} not found.", 404)
    page, more = _page(ask, found)
    return {"DBClusters": [_cluster(ask, each) for each in page], **more}


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
        **_encryption(ask, cluster.key, cluster.region),
    )


def _global_clusters(ask: Ask) -> Output:
    wanted, filters = ask.text("GlobalClusterIdentifier"), _filters(ask)
    found = []
    for name in ask.plan.global_clusters:
        members = [each for each in ask.plan.clusters if each.of_global == name]
        # known in the Regions of its members
        if all(each.region != ask.region for each in members) or wanted not in ("", name):
            continue
        if not _fits(filters, "db-cluster-id", *(_cluster_arn(ask, each) for each in members)):
            continue
        found.append(_global(ask, name, members))
    if wanted and not found:
        raise RefusedError("GlobalClusterNotFoundFault", f"Global cluster {wanted} not found", 404)
    page, more = _page(ask, found)
    return {"GlobalClusters": list(page), **more}


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


def _snapshot_arn(ask: Ask, snapshot: DbSnapshot, region: str | None = None) -> str:
    kind = "cluster-snapshot" if snapshot.of_cluster else "snapshot"
    return ask.arn("rds", f"{kind}:{snapshot.id}", region=region or snapshot.region)


def _snapshots_of(ask: Ask, of: str, id: str, *, cluster: bool) -> list[DbSnapshot]:
    filters, wanted, kind = _filters(ask), ask.text(id), ask.text("SnapshotType")
    name = "db-cluster-" if cluster else "db-"
    source = "db-cluster-id" if cluster else "db-instance-id"
    resource = "cluster" if cluster else "db"
    found = [
        each
        for each in ask.plan.db_snapshots
        if each.of_cluster == cluster
        and each.region == ask.region
        and _short(ask.text(of)) in ("", each.of)
        and wanted in ("", each.id, _snapshot_arn(ask, each))
        and kind in ("", each.kind)
        and _fits(filters, source, each.of, ask.arn("rds", f"{resource}:{each.of}"))
        and _fits(filters, f"{name}snapshot-id", each.id)
        and _fits(filters, "snapshot-type", each.kind)
    ]
    if wanted and not found:
        shape = "DBClusterSnapshotNotFoundFault" if cluster else "DBSnapshotNotFoundFault"
        raise RefusedError(shape, f"{shape.removesuffix('NotFoundFault')} {_short(wanted)} not found.", 404)
    return found


def _snapshots(ask: Ask) -> Output:
    page, more = _page(ask, _snapshots_of(ask, "DBInstanceIdentifier", "DBSnapshotIdentifier", cluster=False))
    return {"DBSnapshots": [_snapshot(ask, each) for each in page], **more}


def _snapshot(ask: Ask, snapshot: DbSnapshot) -> Output:
    key = ask.key(snapshot.key)
    source, region = (None, None) if snapshot.copied_from is None else split_at(snapshot.copied_from, ask.region)
    arn = None if source is None else ask.arn("rds", f"snapshot:{source}", region=region)
    return sparse(
        DBSnapshotIdentifier=snapshot.id,
        DBSnapshotArn=_snapshot_arn(ask, snapshot),
        DBInstanceIdentifier=snapshot.of,
        SnapshotCreateTime=ask.ago(snapshot.days),
        Engine="postgres",
        AllocatedStorage=100,
        Status="available",
        AvailabilityZone=f"{snapshot.region}a",
        SnapshotType=snapshot.kind,
        SnapshotTarget="region",
        PercentProgress=100,
        SourceRegion=region,
        SourceDBSnapshotIdentifier=arn,
        Encrypted=key is not None,
        KmsKeyId=key,
        StorageEncryptionType="none" if key is None else "sse-kms",
        TagList=[],
    )


def _cluster_snapshots(ask: Ask) -> Output:
    page, more = _page(ask, _snapshots_of(ask, "DBClusterIdentifier", "DBClusterSnapshotIdentifier", cluster=True))
    found = []
    for each in page:
        source = None
        if each.copied_from is not None:
            id, region = split_at(each.copied_from, ask.region)
            source = ask.arn("rds", f"cluster-snapshot:{id}", region=region)
        found.append(
            sparse(
                DBClusterSnapshotIdentifier=each.id,
                DBClusterSnapshotArn=_snapshot_arn(ask, each),
                DBClusterIdentifier=each.of,
                SnapshotCreateTime=ask.ago(each.days),
                Engine="aurora-postgresql",
                Status="available",
                SnapshotType=each.kind,
                PercentProgress=100,
                SourceDBClusterSnapshotArn=source,
                TagList=[],
                **_encryption(ask, each.key, each.region),
            )
        )
    return {"DBClusterSnapshots": found, **more}


def _attributes(kind: str, wrapper: str, *, cluster: bool) -> Handler:
    def handler(ask: Ask) -> Output:
        given = ask.text(f"{kind}Identifier")
        for each in ask.plan.db_snapshots:
            if (
                each.of_cluster == cluster
                and each.region == ask.region
                and given in (each.id, _snapshot_arn(ask, each))
            ):
                restore = {"AttributeName": "restore", "AttributeValues": list(each.shared_with)}
                return {wrapper: {f"{kind}Identifier": each.id, f"{kind}Attributes": [restore]}}
        raise RefusedError(f"{kind}NotFoundFault", f"{kind} {_short(given)} not found.", 404)

    return handler


def _automated_backups(ask: Ask) -> Output:
    wanted, arn, filters = ask.text("DBInstanceIdentifier"), ask.text("DBInstanceAutomatedBackupsArn"), _filters(ask)
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
            and _fits(filters, "db-instance-id", each.id, _db(ask, each.id, each.region))
            and _fits(filters, "dbi-resource-id", _resource_id(each))
            and _fits(filters, "status", str(told["Status"]))
        ):
            found.append(told)
    if (arn or resource) and not found:
        raise RefusedError("DBInstanceAutomatedBackupNotFoundFault", "DBInstance automated backup not found.", 404)
    page, more = _page(ask, found)
    return {"DBInstanceAutomatedBackups": list(page), **more}


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
            **_encryption(ask, each.key, each.region),
        )
        for each in ask.plan.clusters
        if each.region == ask.region and _short(ask.text("DBClusterIdentifier")) in ("", each.id)
    ]
    page, more = _page(ask, found)
    return {"DBClusterAutomatedBackups": list(page), **more}


def _exports(ask: Ask) -> Output:
    wanted, source = ask.text("ExportTaskIdentifier"), ask.text("SourceArn")
    found = [
        {
            "ExportTaskIdentifier": each.id,
            "SourceArn": arn,
            "SourceType": "SNAPSHOT",
            "SnapshotTime": ask.ago(each.days + 1),
            "TaskStartTime": ask.ago(each.days),
            "TaskEndTime": ask.ago(each.days - 0.1),
            "S3Bucket": each.bucket,
            "S3Prefix": "exports",
            "KmsKeyId": ask.key(each.key),
            "Status": "COMPLETE",
            "PercentProgress": 100,
        }
        for each in ask.plan.exports
        if each.region == ask.region
        and wanted in ("", each.id)
        and source in ("", arn := ask.arn("rds", f"snapshot:{each.of}", region=each.region))
    ]
    if wanted and not found:
        raise RefusedError("ExportTaskNotFoundFault", f"ExportTask {wanted} not found.", 404)
    page, more = _page(ask, found)
    return {"ExportTasks": list(page), **more}


HANDLERS: Final[Mapping[str, Handler]] = {
    "DescribeDBInstances": _instances,
    "DescribeDBClusters": _clusters,
    "DescribeGlobalClusters": _global_clusters,
    "DescribeDBSnapshots": _snapshots,
    "DescribeDBClusterSnapshots": _cluster_snapshots,
    "DescribeDBSnapshotAttributes": _attributes("DBSnapshot", "DBSnapshotAttributesResult", cluster=False),
    "DescribeDBClusterSnapshotAttributes": _attributes(
        "DBClusterSnapshot", "DBClusterSnapshotAttributesResult", cluster=True
    ),
    "DescribeDBInstanceAutomatedBackups": _automated_backups,
    "DescribeDBClusterAutomatedBackups": _cluster_backups,
    "DescribeExportTasks": _exports,
}
