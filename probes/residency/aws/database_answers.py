"""What RDS says of instances, clusters and their snapshots, which it tells alike in other words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    flag,
    instant_or_none,
    text,
    text_or_none,
    texts,
)
from probes.residency.aws.names import Arn, arn


@dataclass(frozen=True, slots=True)
class Kind:
    """The words for one of them."""

    resource: str
    """As in the ARN."""
    describe: str
    listed: str
    id: str
    arn: str
    created: str
    snapshots: str
    snapshots_listed: str
    snapshot_arn: str
    encrypted: str
    """Of a snapshot."""
    attributes: str
    result: str
    listed_attributes: str
    snapshot_id: str
    automated: str
    automated_listed: str
    automated_arn: str
    absent: tuple[str, ...]
    """Errors that say that there is nothing of it in a Region."""


SSE_RDS: Final = "sse-rds"
INSTANCE: Final = Kind(
    "db",
    "rds:DescribeDBInstances",
    "DBInstances",
    "DBInstanceIdentifier",
    "DBInstanceArn",
    "InstanceCreateTime",
    "rds:DescribeDBSnapshots",
    "DBSnapshots",
    "DBSnapshotArn",
    "Encrypted",
    "rds:DescribeDBSnapshotAttributes",
    "DBSnapshotAttributesResult",
    "DBSnapshotAttributes",
    "DBSnapshotIdentifier",
    "rds:DescribeDBInstanceAutomatedBackups",
    "DBInstanceAutomatedBackups",
    "DBInstanceAutomatedBackupsArn",
    ("DBInstanceNotFound", "DBInstanceAutomatedBackupNotFound", "DBSnapshotNotFound"),
)
CLUSTER: Final = Kind(
    "cluster",
    "rds:DescribeDBClusters",
    "DBClusters",
    "DBClusterIdentifier",
    "DBClusterArn",
    "ClusterCreateTime",
    "rds:DescribeDBClusterSnapshots",
    "DBClusterSnapshots",
    "DBClusterSnapshotArn",
    "StorageEncrypted",
    "rds:DescribeDBClusterSnapshotAttributes",
    "DBClusterSnapshotAttributesResult",
    "DBClusterSnapshotAttributes",
    "DBClusterSnapshotIdentifier",
    "rds:DescribeDBClusterAutomatedBackups",
    "DBClusterAutomatedBackups",
    "DBClusterAutomatedBackupsArn",
    ("DBClusterNotFoundFault", "DBClusterAutomatedBackupNotFoundFault", "DBClusterSnapshotNotFoundFault"),
)


@dataclass(frozen=True, slots=True)
class Protection:
    """How something is encrypted at rest, in RDS's words."""

    flag: bool
    """Under a key that can be named. False says nothing of a key that AWS owns."""
    type: str | None
    """`none`, `sse-kms`, `sse-rds` (under a key that AWS owns); older answers leave it out."""
    key: str | None


@dataclass(frozen=True, slots=True)
class Database:
    """An instance or a cluster."""

    arn: Arn
    zone: str | None
    outside: str | None
    protection: Protection
    created: datetime | None
    replicas: tuple[str, ...]
    """Names in the same Region, or ARNs."""
    automated: tuple[str, ...]
    """ARNs of automated backups that are replicated elsewhere."""
    source: str | None
    """What it is a replica of."""
    cluster: str | None
    """Of an instance, the name of the cluster that it belongs to: Aurora's data, and its copies, are the cluster's."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of one of them."""

    arn: str
    name: str
    of: str
    manual: bool
    outside: str | None
    protection: Protection
    created: datetime | None
    source: str | None
    """ARN of the snapshot that it is a copy of."""

    @property
    def kind(self) -> tuple[object, ...]:
        """What is judged of it."""
        # Of a source, Region and account: each of those is a place of its own.
        source = None if self.source is None else tuple(self.source.split(":")[3:5])
        return (self.of, self.protection, self.outside, source, self.manual)


def protection(item: Answer, name: str) -> Protection:
    """How an entry is encrypted; `name` is its flag. Raises MalformedError, where the answer contradicts itself too."""
    found = Protection(flag(item, name), text_or_none(item, "StorageEncryptionType"), text_or_none(item, "KmsKeyId"))
    if (
        found.type is not None
        and found.flag != (found.type == "sse-kms")
        and not (found.flag and found.type == SSE_RDS)
    ):
        raise MalformedError(f"{name} and StorageEncryptionType contradict each other")
    return found


def outside(item: Answer) -> str | None:
    """Where something is kept, where that is not in the Region: `outposts`, `local` (dedicated local zones)."""
    told = {text_or_none(item, "BackupTarget"), text_or_none(item, "SnapshotTarget")} - {None, "region"}
    # Of a cluster it is the group's name alone.
    groups = item.get("DBSubnetGroup")
    for subnet in () if isinstance(groups, str) else children(child_or_none(item, "DBSubnetGroup") or {}, "Subnets"):
        if text_or_none(child_or_none(subnet, "SubnetOutpost") or {}, "Arn") is not None:
            told.add("outposts")
    return ", ".join(sorted(str(each) for each in told)) or None


def database(item: Answer, kind: Kind, region: str) -> Database:
    """An entry of DescribeDBInstances or DescribeDBClusters. Raises MalformedError."""
    instance = kind is INSTANCE
    automated = children(item, "DBInstanceAutomatedBackupsReplications") if instance else ()
    replicas = (
        (*texts(item, "ReadReplicaDBInstanceIdentifiers"), *texts(item, "ReadReplicaDBClusterIdentifiers"))
        if instance
        else texts(item, "ReadReplicaIdentifiers")
    )
    source = "ReadReplicaSourceDBInstanceIdentifier" if instance else "ReplicationSourceIdentifier"
    return Database(
        rds_arn(text(item, kind.arn), region),
        text_or_none(item, "AvailabilityZone") if instance else None,
        outside(item),
        protection(item, "StorageEncrypted"),
        instant_or_none(item, kind.created),
        replicas,
        tuple(text(each, "DBInstanceAutomatedBackupsArn") for each in automated),
        text_or_none(item, source),
        text_or_none(item, "DBClusterIdentifier") if instance else None,
    )


def snapshot(item: Answer, kind: Kind) -> Snapshot:
    """An entry of DescribeDBSnapshots or DescribeDBClusterSnapshots. Raises MalformedError."""
    return Snapshot(
        text(item, kind.snapshot_arn),
        text(item, kind.snapshot_id),
        text(item, kind.id),
        text(item, "SnapshotType") == "manual",
        outside(item),
        protection(item, kind.encrypted),
        instant_or_none(item, "SnapshotCreateTime"),
        text_or_none(item, "SourceDBSnapshotIdentifier" if kind is INSTANCE else "SourceDBClusterSnapshotArn"),
    )


def rds_arn(told: str, region: str | None) -> Arn:
    """The parts of an ARN of RDS, in one Region where that is known. Raises MalformedError."""
    try:
        found = arn(told)
    except ValueError as error:
        raise MalformedError("what is no ARN") from error
    if found.service != "rds" or (region is not None and found.region != region):
        raise MalformedError("an ARN of another service or Region")
    return found
