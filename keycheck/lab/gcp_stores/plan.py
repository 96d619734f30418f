"""What projects in Google Cloud hold, as a frozen plan: buckets, data sets, databases, disks, snapshots, models.

A key is named as the lab names it (`contacts-g`), or by its resource name; None is Google's own, of which nothing is
told. Times are days before the lab's now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

KeyRef: TypeAlias = str


@dataclass(frozen=True, slots=True)
class GcsObject:
    """One object, or an older generation of it."""

    name: str
    key: KeyRef | None
    days: float = 10
    live: bool = True
    by_client: bool = False
    """Under a key that the client sends with each request."""
    deleted: bool = False
    """Deleted, and kept by the bucket's policy for a while."""


@dataclass(frozen=True, slots=True)
class GcsBucket:
    name: str
    project: str
    location: str
    """`EUROPE-WEST3`, `EUR4`, `EU`."""
    key: KeyRef | None
    type: str = "region"
    """`region`, `dual-region`, `multi-region`."""
    members: tuple[str, ...] = ()
    """Regions of a dual-region that the customer put together: `EUROPE-WEST3`."""
    objects: tuple[GcsObject, ...] = ()
    logs_to: str | None = None
    soft_delete_days: int = 7
    days: float = 400


@dataclass(frozen=True, slots=True)
class BqTable:
    name: str
    key: KeyRef | None
    days: float = 50


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of BigQuery. Its key is the default of new tables, and says nothing of older ones."""

    name: str
    project: str
    location: str
    """`europe-west3`, `EU`, `US`."""
    key: KeyRef | None
    tables: tuple[BqTable, ...] = ()
    replicas: tuple[str, ...] = ()
    """Locations of further replicas, beside the primary one."""
    days: float = 300


@dataclass(frozen=True, slots=True)
class SqlInstance:
    name: str
    project: str
    region: str
    key: KeyRef | None
    replica_of: str | None = None
    """Name of the instance that it reads from, `PROJECT:NAME` in another project."""
    backups_in: str | None = None
    """Location of backups that was chosen; None: the multi-region nearest, which the instance tells only as a backup
    run's location."""
    backups: bool = True
    days: float = 200


@dataclass(frozen=True, slots=True)
class SqlBackup:
    """A backup that outlives its instance."""

    id: str
    project: str
    instance: str
    location: str
    key: KeyRef | None
    days: float = 40


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    project: str
    zone: str
    """`europe-west3-a`; a region for a disk that lies in two of its zones."""
    key: KeyRef | None
    replicas: tuple[str, ...] = ()
    """Zones of a regional disk."""
    days: float = 100


@dataclass(frozen=True, slots=True)
class DiskSnapshot:
    name: str
    project: str
    disk: str
    locations: tuple[str, ...]
    key: KeyRef | None
    days: float = 20


@dataclass(frozen=True, slots=True)
class DiskImage:
    name: str
    project: str
    locations: tuple[str, ...]
    key: KeyRef | None
    days: float = 60


@dataclass(frozen=True, slots=True)
class TransferJob:
    """A job of Storage Transfer Service."""

    name: str
    project: str
    source: str
    sink: str
    """Names of buckets."""
    replicates: bool = False
    """Continuously: cross-bucket replication, which is told of apart from other jobs."""


@dataclass(frozen=True, slots=True)
class GcpPlan:
    """Everything of all projects."""

    organization: str
    """Display name."""
    buckets: tuple[GcsBucket, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    databases: tuple[SqlInstance, ...] = ()
    sql_backups: tuple[SqlBackup, ...] = ()
    disks: tuple[Disk, ...] = ()
    snapshots: tuple[DiskSnapshot, ...] = ()
    images: tuple[DiskImage, ...] = ()
    transfers: tuple[TransferJob, ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    """(Location, id) of publishers' models of Vertex AI."""
    allowed: tuple[str, ...] = ()
    """Values of `gcp.resourceLocations` in force on every project; none: no such policy."""
    disabled: tuple[str, ...] = ()
    """Services that are not enabled, as in `NAME.googleapis.com`."""
    denied: tuple[str, ...] = ()
    """Permissions that the reading role has not."""
