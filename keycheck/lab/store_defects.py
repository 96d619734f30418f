"""Every defect of the customer's stores and models, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from keycheck.lab.aws_stores.plan import (
    AwsPlan,
    BackupRule,
    Cluster,
    Database,
    DbSnapshot,
    FileSystem,
    Item,
    Job,
    Plan,
    Point,
    Rule,
    Snapshot,
    Sse,
    Table,
    TableReplica,
    Vault,
)
from keycheck.lab.defect import Promise, fails, unknown
from keycheck.lab.gcp_stores.plan import (
    BqTable,
    Dataset,
    DiskSnapshot,
    GcpPlan,
    GcsBucket,
    GcsObject,
    SqlBackup,
    SqlInstance,
    TransferJob,
)
from keycheck.lab.key_sites import STRANGER, VENDOR
from keycheck.lab.store_sites import (
    CUSTOMER_KEY,
    EXPORTS,
    EXPORTS_G,
    HOME,
    MODEL,
    PROFILE,
    PROJECT,
    STRANGERS_BUCKET,
    VENDOR_KEY,
    CloudPlan,
    InferenceDefect,
    StoreDefect,
    arn,
    vault,
)

STORED: Final = "STORED"
AT_REST: Final = "AT-REST"
INFERRED: Final = "INFERRED"
ABROAD: Final = "us-east-1"

Change: TypeAlias = Callable[[CloudPlan], CloudPlan]
T = TypeVar("T")

_COPIES: Final = fails("residency.copies")
_BACKUPS: Final = fails("residency.backups")
_KEY: Final = fails("stores.key")
_REST: Final = unknown("stores.encrypted", "stores.key")
_NO_BACKUPS: Final = unknown("residency.backups") | _REST
"""Backups that may exist are not known, nor under which key they lie."""
_NO_COPIES: Final = unknown("residency.copies") | _NO_BACKUPS
"""Copies that may exist are not known, nor what backups there are of them."""
_NOTHING: Final = unknown("residency.stores") | _NO_COPIES


def _store(id: str, title: str, clause: str, at: str, promises: frozenset[Promise], change: Change) -> StoreDefect:
    return StoreDefect(id, title, clause, promises, change, at, False)


def _model(id: str, title: str, at: str, promises: frozenset[Promise], change: Change) -> InferenceDefect:
    return InferenceDefect(id, title, INFERRED, promises, change, at, False)


def _aws(change: Callable[[AwsPlan], AwsPlan]) -> Change:
    return lambda plan: replace(plan, aws=change(plan.aws))


def _gcp(change: Callable[[GcpPlan], GcpPlan]) -> Change:
    return lambda plan: replace(plan, gcp=change(plan.gcp))


def _each(items: tuple[T, ...], wanted: Callable[[T], bool], change: Callable[[T], T]) -> tuple[T, ...]:
    return tuple(change(item) if wanted(item) else item for item in items)


def _database(change: Callable[[Database], Database]) -> Change:
    return _aws(lambda aws: replace(aws, databases=_each(aws.databases, lambda each: each.id == "crm", change)))


def _table(change: Callable[[Table], Table]) -> Change:
    return _aws(lambda aws: replace(aws, tables=_each(aws.tables, lambda each: each.name == "sessions", change)))


def _plan(change: Callable[[Plan], Plan]) -> Callable[[AwsPlan], AwsPlan]:
    return lambda aws: replace(aws, plans=tuple(map(change, aws.plans)))


def _older(sse: Sse) -> Change:
    """Objects of three years ago, before the bucket had its default."""
    items = tuple(Item(f"2023/{month:02d}/contacts.csv", sse, 1200 - 30 * month) for month in (1, 2, 3))
    return _aws(
        lambda aws: replace(
            aws,
            buckets=_each(
                aws.buckets, lambda each: each.name == EXPORTS, lambda each: replace(each, items=items + each.items)
            ),
        )
    )


def _denied(*denials: tuple[str, str]) -> Change:
    return _aws(lambda aws: replace(aws, denied=(*aws.denied, *denials)))


def _bucket_g(change: Callable[[GcsBucket], GcsBucket]) -> Change:
    return _gcp(lambda gcp: replace(gcp, buckets=_each(gcp.buckets, lambda each: each.name == EXPORTS_G, change)))


def _moved_g(location: str, type: str, key_in: str | None = None, members: tuple[str, ...] = ()) -> Change:
    """The bucket in another place, with the key that it needs there."""

    def change(bucket: GcsBucket) -> GcsBucket:
        if key_in is None:
            return replace(bucket, location=location, type=type, members=members)
        key = f"{CUSTOMER_KEY}@{key_in}"
        objects = tuple(replace(each, key=key) for each in bucket.objects)
        return replace(bucket, location=location, type=type, members=members, key=key, objects=objects)

    return _bucket_g(change)


def _far_g(*, replicates: bool) -> Change:
    """One more bucket, in the United States, into which the bucket's objects go."""
    key = f"{CUSTOMER_KEY}@us"
    far = GcsBucket("acme-far-g", PROJECT, "US", key, "multi-region", objects=(GcsObject("contacts.csv", key),))
    job = TransferJob("1234", PROJECT, EXPORTS_G, far.name, replicates)
    return _gcp(lambda gcp: replace(gcp, buckets=(*gcp.buckets, far), transfers=(*gcp.transfers, job)))


def _dataset(change: Callable[[Dataset], Dataset]) -> Change:
    return _gcp(lambda gcp: replace(gcp, datasets=tuple(map(change, gcp.datasets))))


def _profile(*regions: str) -> Change:
    return _aws(
        lambda aws: replace(
            aws,
            profiles=_each(aws.profiles, lambda each: each.id == PROFILE, lambda each: replace(each, regions=regions)),
        )
    )


_FAR: Final = Vault(
    "escape",
    ABROAD,
    CUSTOMER_KEY,
    (
        Point("11111111-0000-4000-8000-000000000009", arn("rds", "db:crm"), "RDS", CUSTOMER_KEY, f"crm@{HOME}",
              arn("rds", "snapshot:awsbackup:copyjob-9", ABROAD), days=3),
    ),
)  # fmt: skip
_COPIED: Final = Job(
    "33333333-0000-4000-8000-000000000009", arn("rds", "db:crm"), "RDS", "crm", HOME, to=vault("escape", ABROAD), days=3
)
_ORDER: Final = BackupRule("weekly", "crm", (vault("escape", ABROAD),))

CLOUD_DEFECTS: Final[tuple[StoreDefect | InferenceDefect, ...]] = (
    _store("db-replica-abroad", "a read replica of the database is in the United States", STORED, "crm-db",
           _COPIES | _KEY,
           _aws(lambda aws: replace(aws, databases=(
               *aws.databases,
               Database("crm-us", ABROAD, CUSTOMER_KEY, replica_of=f"crm@{HOME}", retention=0))))),
    _store("automated-backups-abroad", "automated backups are replicated into the United States", STORED, "crm-db",
           # under a key that is there, too
           _BACKUPS | _COPIES | _KEY,
           _database(lambda each: replace(each, backed_up_to=(*each.backed_up_to, (ABROAD, CUSTOMER_KEY))))),
    _store("db-snapshot-abroad", "a snapshot was copied into the United States by hand", STORED, "crm-db",
           _BACKUPS | _COPIES | _KEY,
           _aws(lambda aws: replace(aws, db_snapshots=(
               *aws.db_snapshots,
               DbSnapshot("crm-for-support", "crm", ABROAD, CUSTOMER_KEY,
                          copied_from=f"crm-before-upgrade@{HOME}"))))),
    _store("copy-job-abroad", "a copy job took a backup into the United States, which no plan orders", STORED, "crm-db",
           _BACKUPS | _COPIES | _KEY,
           _aws(lambda aws: replace(aws, vaults=(*aws.vaults, _FAR), jobs=(*aws.jobs, _COPIED)))),
    _store("vault-abroad", "the backup plan orders copies into a vault in the United States", STORED, "crm-db",
           _BACKUPS | _COPIES | _KEY,
           _aws(lambda aws: _plan(lambda each: replace(each, rules=(*each.rules, _ORDER)))(
               replace(aws, vaults=(*aws.vaults, replace(_FAR, points=())))))),
    _store("air-gapped-vault-abroad", "the backup plan puts backups into an air-gapped vault in the United States too",
           STORED, "crm-db",
           _BACKUPS | _COPIES | _KEY,
           _aws(lambda aws: _plan(lambda each: replace(each, rules=tuple(
               replace(rule, air_gapped=vault("escape", ABROAD)) for rule in each.rules)))(
               replace(aws, vaults=(*aws.vaults, replace(_FAR, points=(), air_gapped=True)))))),
    _store("copy-jobs-denied", "which copy jobs ran may not be read", STORED, "crm-db",
           _NO_BACKUPS, _denied(("backup:ListCopyJobs", "*"))),
    _store("global-table-abroad", "the global table has a replica in the United States", STORED, "sessions",
           # under DynamoDB's own key, with backups of its own
           _COPIES | _BACKUPS | _KEY,
           _table(lambda each: replace(each, replicas=(*each.replicas, TableReplica(ABROAD, None))))),
    _store("witness-in-london", "the global table's witness is in London", STORED, "sessions",
           _COPIES, _table(lambda each: replace(each, witnesses=("eu-west-2",)))),
    _store("table-export-to-vendor", "the table was exported into the vendor's own bucket in the United States", STORED,
           "sessions",
           # of which nothing but its Region may be read
           _BACKUPS | unknown("residency.copies") | _REST,
           _aws(lambda aws: replace(
               aws,
               tables=tuple(replace(each, exports=(STRANGERS_BUCKET.name,)) for each in aws.tables),
               buckets=(*aws.buckets, STRANGERS_BUCKET)))),
    _store("bucket-to-stranger", "the bucket replicates to the vendor's own bucket in the United States", STORED,
           "exports",
           # of which nothing but its Region may be read
           _COPIES | _NO_BACKUPS,
           _aws(lambda aws: replace(aws, buckets=(
               *_each(aws.buckets, lambda each: each.name == EXPORTS, lambda each: replace(
                   each, rules=(*each.rules, Rule("analytics", STRANGERS_BUCKET.name, VENDOR, VENDOR_KEY)))),
               STRANGERS_BUCKET)))),
    _store("old-objects-other-key", "old objects lie under another key of the customer's", AT_REST, "exports",
           _KEY, _older(Sse("aws:kms", CUSTOMER_KEY))),
    _store("old-objects-own-key", "old objects lie under S3's own key", AT_REST, "exports",
           _KEY, _older(Sse())),
    _store("old-versions-other-key", "earlier versions of objects lie under another key of the customer's", AT_REST,
           "exports", _KEY,
           _aws(lambda aws: replace(aws, buckets=_each(
               aws.buckets, lambda each: each.name == EXPORTS, lambda each: replace(each, items=(
                   *each.items,
                   Item("2026/03/contacts.parquet", Sse("aws:kms", CUSTOMER_KEY), 290, current=False))))))),
    _store("bucket-default-own-key", "new objects are put under S3's own key unless asked otherwise", AT_REST,
           "exports", _KEY,
           _aws(lambda aws: replace(aws, buckets=_each(
               aws.buckets, lambda each: each.name == EXPORTS, lambda each: replace(each, default=Sse()))))),
    _store("key-replica-abroad", "a multi-Region key of the copies has a replica in the United States", STORED,
           "exports", _COPIES, _aws(lambda aws: replace(aws, key_replicas=(("archive", ABROAD),)))),
    _store("replication-denied", "the bucket's replication may not be read", STORED, "exports",
           _NO_COPIES, _denied(("s3:GetReplicationConfiguration", f"arn:aws:s3:::{EXPORTS}"))),
    _store("objects-denied", "the bucket's objects may not be looked at", AT_REST, "exports",
           _REST, _denied(("s3:GetObject*", f"arn:aws:s3:::{EXPORTS}/*"))),
    _store("store-unreadable", "nothing of the bucket may be read but its Region", STORED, "exports",
           _NO_COPIES, _denied(("s3:*", f"arn:aws:s3:::{EXPORTS}"), ("s3:*", f"arn:aws:s3:::{EXPORTS}/*"))),
    _store("unencrypted-snapshot", "a snapshot of a disk long gone is not encrypted", AT_REST, "estate",
           fails("stores.encrypted", "stores.key"),
           _aws(lambda aws: replace(aws, snapshots=(
               *aws.snapshots, Snapshot("snap-0a1b2c3d4e5f60003", "vol-0a1b2c3d4e5f60009", HOME, None, days=900))))),
    _store("snapshot-abroad", "a snapshot of a disk was copied into the United States", STORED, "estate",
           fails("residency.backups", "residency.copies", "stores.key"),
           _aws(lambda aws: replace(aws, snapshots=(
               *aws.snapshots,
               Snapshot("snap-0a1b2c3d4e5f60004", "vol-0a1b2c3d4e5f60001", ABROAD, CUSTOMER_KEY,
                        copied_from=f"snap-0a1b2c3d4e5f60001@{HOME}"))))),
    _store("aurora-abroad", "the global database has a cluster in the United States", STORED, "estate",
           fails("residency.stores") | _COPIES | _BACKUPS | _KEY,
           _aws(lambda aws: replace(aws, clusters=(
               *aws.clusters,
               Cluster("crm-audit-us", ABROAD, CUSTOMER_KEY, of_global="crm-audit-global", writes=False))))),
    _store("file-system-abroad", "a file system is replicated into the United States", STORED, "estate",
           fails("residency.stores") | _COPIES | _KEY,
           _aws(lambda aws: replace(aws, file_systems=(
               *_each(aws.file_systems, lambda each: each.region == HOME, lambda each: replace(
                   each, replicates_to=((ABROAD, "fs-0a1b2c3d4e5f60003"),))),
               FileSystem("fs-0a1b2c3d4e5f60003", ABROAD, CUSTOMER_KEY))))),
    _store("snapshot-shared", "a snapshot of a disk is shared with a stranger's account", STORED, "estate",
           _NO_COPIES, _aws(lambda aws: replace(aws, snapshots=_each(
               aws.snapshots, lambda each: each.region == HOME,
               lambda each: replace(each, shared_with=(STRANGER,)))))),
    _store("eur5-bucket", "the bucket is in the dual-region of Belgium and London", STORED, "exports-g",
           # and so is the key that it needs there
           fails("residency.stores", "residency.copies", "stores.key"), _moved_g("EUR5", "dual-region", "eur5")),
    _store("dual-region-london", "the bucket is in a dual-region put together of Frankfurt and London", STORED,
           "exports-g", fails("residency.stores"),
           _moved_g("EU", "dual-region", None, ("EUROPE-WEST3", "EUROPE-WEST2"))),
    _store("multi-region-us", "the bucket is in the multi-region of the United States", STORED, "exports-g",
           fails("residency.stores", "residency.copies", "stores.key"), _moved_g("US", "multi-region", "us")),
    _store("old-objects-google-key", "old objects lie under Google's own key", AT_REST, "exports-g", _KEY,
           _bucket_g(lambda each: replace(each, objects=(
               GcsObject("2023/01/contacts.csv", None, 1100), *each.objects)))),
    _store("bucket-unreadable-g", "nothing of the bucket may be read", STORED, "exports-g", _NOTHING,
           _gcp(lambda gcp: replace(gcp, denied=(
               "storage.buckets.get", "storage.objects.list", "storage.objects.get")))),
    _store("transfer-abroad", "a transfer job copies the bucket into one in the United States", STORED, "exports-g",
           _COPIES | _KEY, _far_g(replicates=False)),
    _store("replication-abroad-g", "the bucket is replicated into one in the United States", STORED, "exports-g",
           _COPIES | _KEY, _far_g(replicates=True)),
    _store("dataset-replica-abroad", "the data set has a replica in the United States", STORED, "analytics-g",
           # under which key, Google does not tell
           _COPIES | _REST,
           _dataset(lambda each: replace(each, replicas=("us-east1",)))),
    _store("dataset-in-us", "the data set is in the multi-region of the United States", STORED, "analytics-g",
           fails("residency.stores", "residency.copies", "stores.key"),
           _dataset(lambda each: replace(
               each, location="US", key=f"{CUSTOMER_KEY}@us",
               tables=tuple(replace(table, key=f"{CUSTOMER_KEY}@us") for table in each.tables)))),
    _store("dataset-google-key", "the data set is under Google's own key", AT_REST, "analytics-g", _KEY,
           _dataset(lambda each: replace(
               each, key=None, tables=tuple(replace(table, key=None) for table in each.tables)))),
    _store("old-table-google-key", "a table is older than the data set's key, and under Google's own", AT_REST,
           "analytics-g", _KEY,
           _dataset(lambda each: replace(each, tables=(*each.tables, BqTable("legacy", None, 900))))),
    _store("disk-other-key", "a disk lies under another key of the customer's", AT_REST, "project-g", _KEY,
           _gcp(lambda gcp: replace(gcp, disks=tuple(
               replace(each, key=f"{CUSTOMER_KEY}@europe-west3") for each in gcp.disks)))),
    _store("disk-snapshot-abroad", "a snapshot of a disk is stored in the United States", STORED, "project-g",
           _BACKUPS,
           _gcp(lambda gcp: replace(gcp, snapshots=(
               *gcp.snapshots, DiskSnapshot("crm-data-far", PROJECT, "crm-data", ("us",), "contacts-g"))))),
    _store("sql-replica-abroad", "a replica of the database is in the United States", STORED, "project-g",
           fails("residency.stores") | _COPIES | _KEY,
           _gcp(lambda gcp: replace(gcp, databases=(
               *gcp.databases,
               SqlInstance("crm-us", PROJECT, "us-central1", f"{CUSTOMER_KEY}@us-central1", replica_of="crm",
                           backups=False))))),
    _store("sql-backups-abroad", "backups of the database are kept in the United States", STORED, "project-g",
           _BACKUPS,
           _gcp(lambda gcp: replace(gcp, databases=_each(
               gcp.databases, lambda each: each.name == "crm", lambda each: replace(each, backups_in="us"))))),
    _store("sql-backup-left-abroad", "a backup of a database long gone is kept in the United States", STORED,
           "project-g", _BACKUPS,
           _gcp(lambda gcp: replace(gcp, sql_backups=(
               SqlBackup("0a1b2c3d", PROJECT, "crm-2023", "us", "contacts-g", 400),)))),
    _store("service-disabled", "Cloud Spanner was disabled, and may hold what was stored there before", STORED,
           "project-g", _NOTHING, _gcp(lambda gcp: replace(gcp, disabled=("spanner",)))),
    _model("global-profile", "the inference profile routes to wherever there is room", "assistant",
           fails("residency.inference"), _profile("*", HOME)),
    _model("profile-abroad", "the inference profile routes to the United States, too", "assistant",
           fails("residency.inference"), _profile(HOME, "eu-west-1", ABROAD)),
    _model("geo-profile-london", "the profile of Europe routes to London, too", "chat",
           fails("residency.inference"),
           _aws(lambda aws: replace(aws, profiles=_each(
               aws.profiles, lambda each: each.id == f"eu.{MODEL}",
               lambda each: replace(each, regions=(*each.regions, "eu-west-2")))))),
    _model("profile-unreadable", "the inference profile may not be read", "assistant",
           unknown("residency.inference"), _denied(("bedrock:GetInferenceProfile", "*"))),
)  # fmt: skip
"""The table, in the order in which it is shown."""
