"""Snapshots of RDS and Aurora, with whom they are shared, and their exports to S3.

Sources: the rds 2014-10-31 service model of botocore; RDS API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse, split_at
from keycheck.lab.aws_stores.plan import DbSnapshot
from keycheck.lab.aws_stores.rds_common import encryption, fits, page, short
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output


def _snapshot_arn(ask: Ask, snapshot: DbSnapshot, region: str | None = None) -> str:
    kind = "cluster-snapshot" if snapshot.of_cluster else "snapshot"
    return ask.arn("rds", f"{kind}:{snapshot.id}", region=region or snapshot.region)


def _snapshots_of(ask: Ask, of: str, id: str, *, cluster: bool) -> list[DbSnapshot]:
    given, wanted, kind = ask.filters(), ask.text(id), ask.text("SnapshotType")
    name = "db-cluster-" if cluster else "db-"
    source = "db-cluster-id" if cluster else "db-instance-id"
    resource = "cluster" if cluster else "db"
    found = [
        each
        for each in ask.plan.db_snapshots
        if each.of_cluster == cluster
        and each.region == ask.region
        and short(ask.text(of)) in ("", each.of)
        and wanted in ("", each.id, _snapshot_arn(ask, each))
        and kind in ("", each.kind)
        and fits(given, source, each.of, ask.arn("rds", f"{resource}:{each.of}"))
        and fits(given, f"{name}snapshot-id", each.id)
        and fits(given, "snapshot-type", each.kind)
    ]
    if wanted and not found:
        shape = "DBClusterSnapshotNotFoundFault" if cluster else "DBSnapshotNotFoundFault"
        raise RefusedError(shape, f"{shape.removesuffix('NotFoundFault')} {short(wanted)} not found.", 404)
    return found


def _snapshots(ask: Ask) -> Output:
    items, more = page(ask, _snapshots_of(ask, "DBInstanceIdentifier", "DBSnapshotIdentifier", cluster=False))
    return {"DBSnapshots": [_snapshot(ask, each) for each in items], **more}


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
    items, more = page(ask, _snapshots_of(ask, "DBClusterIdentifier", "DBClusterSnapshotIdentifier", cluster=True))
    found = []
    for each in items:
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
                **encryption(ask, each.key, each.region),
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
        raise RefusedError(f"{kind}NotFoundFault", f"{kind} {short(given)} not found.", 404)

    return handler


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
    items, more = page(ask, found)
    return {"ExportTasks": list(items), **more}


HANDLERS: Final[Mapping[str, Handler]] = {
    "DescribeDBSnapshots": _snapshots,
    "DescribeDBClusterSnapshots": _cluster_snapshots,
    "DescribeDBSnapshotAttributes": _attributes("DBSnapshot", "DBSnapshotAttributesResult", cluster=False),
    "DescribeDBClusterSnapshotAttributes": _attributes(
        "DBClusterSnapshot", "DBClusterSnapshotAttributesResult", cluster=True
    ),
    "DescribeExportTasks": _exports,
}
