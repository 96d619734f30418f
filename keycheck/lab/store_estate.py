"""What the honest customer's clouds hold.

Everything is in the EU and under the customer's keys, copies and backups too, with traps that are none: a replica in
another country of the EU, a copy of backups in Sweden, a witness in Paris, a dual-region of Finland and the
Netherlands, a replica of a multi-Region key, a bucket whose location is the old word `EU`.
"""

from __future__ import annotations

from typing import Final

from keycheck.lab.aws_stores.plan import (
    AwsPlan,
    BackupRule,
    Bucket,
    Cluster,
    Database,
    DbSnapshot,
    FileSystem,
    Image,
    Invocations,
    Item,
    Job,
    Plan,
    Point,
    Profile,
    Rule,
    Snapshot,
    Sse,
    Table,
    TableReplica,
    Vault,
    Volume,
)
from keycheck.lab.gcp_stores.plan import (
    BqTable,
    Dataset,
    Disk,
    DiskImage,
    DiskSnapshot,
    GcpPlan,
    GcsBucket,
    GcsObject,
    SqlInstance,
)
from keycheck.lab.store_sites import (
    ACCOUNT,
    EMBEDDING,
    EXPORTS,
    EXPORTS_G,
    GEMINI,
    HOME,
    MODEL,
    PROFILE,
    PROJECT,
    CloudPlan,
    arn,
    vault,
)

_KMS: Final = Sse("aws:kms", "contacts")
_ARCHIVED: Final = Sse("aws:kms", "archive")


def _aws() -> AwsPlan:
    database, table = arn("rds", "db:crm"), arn("dynamodb", "table/sessions")
    return AwsPlan(
        account=ACCOUNT,
        regions=("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "us-east-1", "us-west-2"),
        disabled=("eu-south-1", "ap-southeast-3"),
        buckets=(
            Bucket(
                EXPORTS,
                HOME,
                ACCOUNT,
                _KMS,
                rules=(Rule("to-ireland", "acme-crm-exports-copy", key="archive"),),
                items=tuple(
                    Item(f"2026/{month:02d}/contacts.parquet", _KMS, 330 - 30 * month, replicated="COMPLETED")
                    for month in range(1, 11)
                ),
            ),
            Bucket(
                "acme-crm-exports-copy",
                "eu-west-1",
                ACCOUNT,
                _ARCHIVED,
                # an old bucket: the word for Ireland is `EU`, which S3 still says
                constraint="EU",
                items=tuple(
                    Item(f"2026/{month:02d}/contacts.parquet", _ARCHIVED, 330 - 30 * month, replicated="REPLICA")
                    for month in range(1, 11)
                ),
            ),
        ),
        databases=(
            Database("crm", HOME, "contacts", backed_up_to=(("eu-west-3", "archive@eu-west-3"),)),
            Database("crm-replica", "eu-west-1", "archive", replica_of="crm@eu-central-1", retention=0),
        ),
        clusters=(
            Cluster("crm-audit", HOME, "contacts", of_global="crm-audit-global"),
            Cluster("crm-audit-ireland", "eu-west-1", "archive", of_global="crm-audit-global", writes=False),
        ),
        global_clusters=("crm-audit-global",),
        db_snapshots=(
            DbSnapshot("rds:crm-2026-11-20", "crm", HOME, "contacts", "automated", days=2),
            DbSnapshot("crm-before-upgrade", "crm", HOME, "contacts"),
            DbSnapshot(
                "crm-before-upgrade-copy", "crm", "eu-west-1", "archive", copied_from=f"crm-before-upgrade@{HOME}"
            ),
            DbSnapshot("crm-audit-yearly", "crm-audit", HOME, "contacts", of_cluster=True),
        ),
        tables=(
            Table(
                "sessions", HOME, "contacts", (TableReplica("eu-west-1", "archive"),), ("eu-west-3",), ("sessions-1",)
            ),
        ),
        volumes=(Volume("vol-0a1b2c3d4e5f60001", f"{HOME}a", "contacts"),),
        snapshots=(
            Snapshot("snap-0a1b2c3d4e5f60001", "vol-0a1b2c3d4e5f60001", HOME, "contacts"),
            Snapshot(
                "snap-0a1b2c3d4e5f60002",
                "vol-0a1b2c3d4e5f60001",
                "eu-west-1",
                "archive",
                copied_from=f"snap-0a1b2c3d4e5f60001@{HOME}",
            ),
        ),
        images=(Image("ami-0a1b2c3d4e5f60001", HOME, ("snap-0a1b2c3d4e5f60001",)),),
        file_systems=(
            FileSystem("fs-0a1b2c3d4e5f60001", HOME, "contacts", (("eu-west-1", "fs-0a1b2c3d4e5f60002"),)),
            FileSystem("fs-0a1b2c3d4e5f60002", "eu-west-1", "archive"),
        ),
        vaults=(
            Vault(
                "crm",
                HOME,
                "contacts",
                (
                    Point(
                        "11111111-0000-4000-8000-000000000001",
                        database,
                        "RDS",
                        "contacts",
                        arn=arn("rds", "snapshot:awsbackup:job-1"),
                    ),
                    Point("11111111-0000-4000-8000-000000000002", table, "DynamoDB", "contacts"),
                ),
            ),
            Vault(
                "crm-far",
                "eu-north-1",
                "backups",
                (
                    Point(
                        "11111111-0000-4000-8000-000000000003",
                        database,
                        "RDS",
                        "backups",
                        f"crm@{HOME}",
                        arn("rds", "snapshot:awsbackup:copyjob-1", "eu-north-1"),
                        days=4,
                    ),
                ),
            ),
        ),
        plans=(
            Plan(
                "22222222-0000-4000-8000-000000000001",
                "crm-daily",
                HOME,
                (BackupRule("daily", "crm", (vault("crm-far", "eu-north-1"),)),),
                (database, table),
            ),
        ),
        jobs=(
            Job("33333333-0000-4000-8000-000000000001", database, "RDS", "crm", HOME),
            Job("33333333-0000-4000-8000-000000000002", table, "DynamoDB", "crm", HOME),
            Job(
                "33333333-0000-4000-8000-000000000003",
                database,
                "RDS",
                "crm",
                HOME,
                to=vault("crm-far", "eu-north-1"),
                days=4,
            ),
        ),
        profiles=(
            Profile(
                PROFILE,
                "crm-assistant",
                MODEL,
                ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"),
                (HOME,),
                own=True,
            ),
            Profile(
                f"eu.{MODEL}",
                "EU Claude Sonnet",
                MODEL,
                ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"),
                ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"),
            ),
            Profile(f"global.{MODEL}", "Global Claude Sonnet", MODEL, ("*", HOME), (HOME, "us-east-1")),
        ),
        invocations=(Invocations(HOME, EXPORTS),),
        models=((HOME, EMBEDDING), ("eu-west-1", EMBEDDING), ("us-east-1", EMBEDDING)),
        guards=(("eu-only", ("eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1")),),
    )


def _gcp() -> GcpPlan:
    return GcpPlan(
        organization="acme.example",
        buckets=(
            GcsBucket(
                EXPORTS_G,
                PROJECT,
                "EUR4",
                "exports-g",
                "dual-region",
                objects=tuple(
                    GcsObject(f"2026/{month:02d}/contacts.ndjson.gz", "exports-g", 330 - 30 * month)
                    for month in range(1, 11)
                ),
            ),
            GcsBucket(
                "acme-raw-g", PROJECT, "EUROPE-WEST3", "contacts-g", objects=(GcsObject("raw.ndjson", "contacts-g", 5),)
            ),
        ),
        datasets=(
            Dataset(
                "crm",
                PROJECT,
                "europe-west3",
                "contacts-g",
                (BqTable("contacts", "contacts-g"), BqTable("events", "contacts-g")),
            ),
        ),
        databases=(
            SqlInstance("crm", PROJECT, "europe-west3", "contacts-g", backups_in="europe-west3"),
            SqlInstance("crm-replica", PROJECT, "europe-west4", "notes-g", replica_of="crm", backups=False),
        ),
        disks=(Disk("crm-data", PROJECT, "europe-west3-a", "contacts-g"),),
        snapshots=(DiskSnapshot("crm-data-daily", PROJECT, "crm-data", ("europe-west3",), "contacts-g"),),
        images=(DiskImage("crm-app", PROJECT, ("europe-west3",), "contacts-g"),),
        models=(("europe-west3", GEMINI), ("europe-west4", GEMINI), ("us-central1", GEMINI), ("global", GEMINI)),
        allowed=("in:eu-locations",),
    )


def clean_clouds() -> CloudPlan:
    """Everything of the honest customer."""
    return CloudPlan(_aws(), _gcp())
