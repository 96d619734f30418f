"""What an estate in AWS holds, as a frozen plan: buckets, databases, tables, disks, backups, inference profiles.

A key is named as the lab names it (`contacts`), with a Region where it is a replica (`archive@eu-west-3`), as AWS's own
(`aws/ebs`), or by its ARN; None is no encryption at all. Times are days before the lab's now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

KeyRef: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Sse:
    """Server-side encryption of S3. Since 2023 there is no object without."""

    algorithm: str = "AES256"
    """`AES256`, `aws:kms`, `aws:kms:dsse`."""
    key: KeyRef | None = None
    """Of `aws:kms` and `aws:kms:dsse`; None there is AWS's own `aws/s3`."""
    by_client: bool = False
    """SSE-C: under a key that the client sends with each request, and that AWS does not keep."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object, or an older version of it."""

    key: str
    sse: Sse
    days: float = 10
    size: int = 64
    current: bool = True
    replicated: str | None = None
    """`COMPLETED`, `PENDING`, `FAILED`, `REPLICA`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One replication rule of a bucket."""

    id: str
    to: str
    """Name of the destination bucket."""
    account: str | None = None
    """Of the destination, where the rule changes the owner."""
    key: KeyRef | None = None
    enabled: bool = True
    prefix: str = ""
    deletes: bool = True


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    region: str
    account: str
    default: Sse = Sse()
    versioned: bool = True
    rules: tuple[Rule, ...] = ()
    items: tuple[Item, ...] = ()
    logs_to: str | None = None
    days: float = 400
    shared_with: frozenset[str] = frozenset()
    """Accounts that its policy lets read."""
    constraint: str | None = None
    """The location constraint that it was made with, where that is another word for its Region: `EU`."""


@dataclass(frozen=True, slots=True)
class Database:
    """A DB instance of RDS."""

    id: str
    region: str
    key: KeyRef | None
    engine: str = "postgres"
    replica_of: str | None = None
    """`ID` in the same Region, `ID@REGION` in another."""
    cluster: str | None = None
    retention: int = 7
    """Days of automated backups; 0 is none."""
    backed_up_to: tuple[tuple[str, KeyRef | None], ...] = ()
    """Regions that automated backups are replicated into, and the key there."""
    multi_az: bool = True
    days: float = 300


@dataclass(frozen=True, slots=True)
class Cluster:
    """A DB cluster of Aurora."""

    id: str
    region: str
    key: KeyRef | None
    engine: str = "aurora-postgresql"
    of_global: str | None = None
    """The global cluster that it is in."""
    writes: bool = True
    replica_of: str | None = None
    retention: int = 7
    days: float = 300


@dataclass(frozen=True, slots=True)
class DbSnapshot:
    id: str
    of: str
    """Id of the instance or cluster."""
    region: str
    key: KeyRef | None
    kind: str = "manual"
    """`manual`, `automated`, `awsbackup`."""
    of_cluster: bool = False
    copied_from: str | None = None
    """`ID@REGION`."""
    shared_with: tuple[str, ...] = ()
    """Accounts, or `all`."""
    days: float = 20


@dataclass(frozen=True, slots=True)
class Export:
    """A snapshot's export to S3."""

    id: str
    of: str
    """Id of the snapshot."""
    region: str
    bucket: str
    key: KeyRef
    days: float = 15


@dataclass(frozen=True, slots=True)
class TableReplica:
    region: str
    key: KeyRef | None
    """None: under DynamoDB's own key, of which AWS tells nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of DynamoDB, in the Region where it was made."""

    name: str
    region: str
    key: KeyRef | None
    replicas: tuple[TableReplica, ...] = ()
    witnesses: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    """Names of on-demand backups."""
    exports: tuple[str, ...] = ()
    """Buckets that it was exported into."""
    days: float = 200


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of EBS."""

    id: str
    zone: str
    """`eu-central-1a`."""
    key: KeyRef | None
    from_snapshot: str = ""
    days: float = 100


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of EBS."""

    id: str
    volume: str
    region: str
    key: KeyRef | None
    copied_from: str | None = None
    """`ID@REGION`: AWS tells of it in the description alone."""
    shared_with: tuple[str, ...] = ()
    """Accounts, or `all`."""
    days: float = 30


@dataclass(frozen=True, slots=True)
class Image:
    """A machine image, made of snapshots."""

    id: str
    region: str
    snapshots: tuple[str, ...]
    days: float = 60


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system of EFS."""

    id: str
    region: str
    key: KeyRef | None
    replicates_to: tuple[tuple[str, str], ...] = ()
    """(Region, id) of destinations, which are file systems of their own."""
    days: float = 150


@dataclass(frozen=True, slots=True)
class Point:
    """A recovery point in a vault of AWS Backup."""

    id: str
    of: str
    """ARN of what was backed up."""
    kind: str
    """`RDS`, `S3`, `EBS`, `DynamoDB`, `EFS`."""
    key: KeyRef | None
    copied_from: str | None = None
    """`VAULT@REGION` of the point that it is a copy of."""
    arn: str | None = None
    """Where AWS Backup keeps the point as a snapshot of the service's own."""
    days: float = 5


@dataclass(frozen=True, slots=True)
class Vault:
    name: str
    region: str
    key: KeyRef | None
    points: tuple[Point, ...] = ()
    air_gapped: bool = False
    account: str | None = None
    """Another one than the estate's."""


@dataclass(frozen=True, slots=True)
class BackupRule:
    name: str
    vault: str
    copies_to: tuple[str, ...] = ()
    """ARNs of vaults."""
    air_gapped: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A backup plan, and the resources that it is for."""

    id: str
    name: str
    region: str
    rules: tuple[BackupRule, ...]
    resources: tuple[str, ...]
    """ARNs, with `*` where a service's all are meant."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that AWS Backup did: a backup, or a copy where there is a destination."""

    id: str
    of: str
    kind: str
    vault: str
    """Where it went to, or came from."""
    region: str
    to: str | None = None
    """ARN of the destination vault."""
    point: str = ""
    state: str = "COMPLETED"
    days: float = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """A system-defined or own inference profile of Bedrock."""

    id: str
    name: str
    model: str
    regions: tuple[str, ...]
    """`*` for a model without a Region, as global profiles list."""
    asked_in: tuple[str, ...]
    """Regions in which it can be asked for."""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Invocations:
    """Where Bedrock writes what was asked and answered."""

    region: str
    bucket: str
    prompts: bool = True


@dataclass(frozen=True, slots=True)
class AwsPlan:
    """Everything of one account."""

    account: str
    regions: tuple[str, ...]
    """Enabled."""
    disabled: tuple[str, ...] = ()
    """Regions that could be opted into."""
    buckets: tuple[Bucket, ...] = ()
    """Of any account."""
    databases: tuple[Database, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    global_clusters: tuple[str, ...] = ()
    db_snapshots: tuple[DbSnapshot, ...] = ()
    exports: tuple[Export, ...] = ()
    tables: tuple[Table, ...] = ()
    volumes: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    images: tuple[Image, ...] = ()
    file_systems: tuple[FileSystem, ...] = ()
    vaults: tuple[Vault, ...] = ()
    plans: tuple[Plan, ...] = ()
    jobs: tuple[Job, ...] = ()
    profiles: tuple[Profile, ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    """(Region, id) of foundation models."""
    invocations: tuple[Invocations, ...] = ()
    key_replicas: tuple[tuple[KeyRef, str], ...] = ()
    """Further replicas of multi-Region keys: key and Region."""
    guards: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Service control policies on the account: name, and the Regions that each leaves open."""
    denied: tuple[tuple[str, str], ...] = ()
    """(action, resource) that the reading role may not; `*` as in policies."""
