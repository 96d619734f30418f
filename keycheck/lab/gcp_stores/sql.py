"""Cloud SQL: instances, their replicas, and where their backups lie.

Sources: https://cloud.google.com/sql/docs/postgres/admin-api/rest/v1/instances, …/backupRuns (v1beta4 alike);
https://cloud.google.com/sql/docs/postgres/backup-recovery/backups (backups lie in the multi-region nearest unless a
location was chosen; a run tells its own).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, sparse
from keycheck.lab.gcp_stores.plan import SqlInstance


def _region_of_backups(instance: SqlInstance) -> str:
    continent = instance.region.partition("-")[0]
    return instance.backups_in or {"europe": "eu", "asia": "asia"}.get(continent, "us")


def _told(ask: Ask, instance: SqlInstance) -> dict[str, object]:
    key = ask.key(instance.key)
    replicas = [
        each.name
        for each in ask.plan.databases
        if each.replica_of is not None and _master(each) == f"{instance.project}:{instance.name}"
    ]
    backups = sparse(
        kind="sql#backupConfiguration",
        enabled=instance.backups,
        pointInTimeRecoveryEnabled=instance.backups,
        location=instance.backups_in,
    )
    return sparse(
        kind="sql#instance",
        name=instance.name,
        project=instance.project,
        selfLink=f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{instance.project}/instances/{instance.name}",
        connectionName=f"{instance.project}:{instance.region}:{instance.name}",
        state="RUNNABLE",
        databaseVersion="POSTGRES_16",
        region=instance.region,
        gceZone=f"{instance.region}-a",
        instanceType="CLOUD_SQL_INSTANCE" if instance.replica_of is None else "READ_REPLICA_INSTANCE",
        masterInstanceName=None if instance.replica_of is None else _master(instance),
        replicaNames=replicas or None,
        createTime=ask.at(instance.days),
        diskEncryptionConfiguration=None
        if key is None
        else {"kind": "sql#diskEncryptionConfiguration", "kmsKeyName": key},
        diskEncryptionStatus=None
        if key is None
        else {"kind": "sql#diskEncryptionStatus", "kmsKeyVersionName": ask.version(instance.key)},
        settings={
            "kind": "sql#settings",
            "availabilityType": "REGIONAL",
            "backupConfiguration": backups,
            "locationPreference": {"kind": "sql#locationPreference", "zone": f"{instance.region}-a"},
        },
    )


def _master(instance: SqlInstance) -> str:
    """`PROJECT:NAME`."""
    name = instance.replica_of or ""
    return name if ":" in name else f"{instance.project}:{name}"


def _list(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("cloudsql.instances.list", project, f"projects/{project}")
    page, more = ask.page([each for each in ask.plan.databases if each.project == project])
    items = [_told(ask, each) for each in page]
    return sparse(kind="sql#instancesList", items=items or None, nextPageToken=more)


def _instance(ask: Ask, permission: str) -> SqlInstance:
    project, name = ask.named["project"], ask.named["instance"]
    ask.require(permission, project, f"projects/{project}/instances/{name}")
    for each in ask.plan.databases:
        if (each.project, each.name) == (project, name):
            return each
    raise RefusedError(404, "The Cloud SQL instance does not exist.")


def _get(ask: Ask) -> Mapping[str, object]:
    return _told(ask, _instance(ask, "cloudsql.instances.get"))


def _runs(ask: Ask) -> Mapping[str, object]:
    instance = _instance(ask, "cloudsql.backupRuns.list")
    key = ask.key(instance.key)
    runs = [
        sparse(
            kind="sql#backupRun",
            id=str(1_700_000_000_000 + day),
            instance=instance.name,
            status="SUCCESSFUL",
            type="AUTOMATED",
            backupKind="SNAPSHOT",
            location=_region_of_backups(instance),
            startTime=ask.at(day),
            endTime=ask.at(day - 0.01),
            windowStartTime=ask.at(day),
            enqueuedTime=ask.at(day),
            diskEncryptionConfiguration=None
            if key is None
            else {"kind": "sql#diskEncryptionConfiguration", "kmsKeyName": key},
            diskEncryptionStatus=None
            if key is None
            else {"kind": "sql#diskEncryptionStatus", "kmsKeyVersionName": ask.version(instance.key)},
        )
        for day in (1, 2)
        if instance.backups
    ]
    page, more = ask.page(runs)
    return sparse(kind="sql#backupRunsList", items=list(page) or None, nextPageToken=more)


def _backups(ask: Ask) -> Mapping[str, object]:
    """Those that outlive their instances."""
    project = ask.named["project"]
    ask.require("cloudsql.backupRuns.list", project, f"projects/{project}")
    page, more = ask.page([each for each in ask.plan.sql_backups if each.project == project], size="pageSize")
    backups = [
        sparse(
            kind="sql#backup",
            name=f"projects/{project}/backups/{each.id}",
            instance=each.instance,
            location=each.location,
            state="SUCCESSFUL",
            type="FINAL",
            kmsKey=ask.key(each.key),
            kmsKeyVersion=ask.version(each.key),
            backupInterval={"startTime": ask.at(each.days), "endTime": ask.at(each.days - 0.01)},
        )
        for each in page
    ]
    return sparse(backups=backups or None, nextPageToken=more)


_V1: Final[Mapping[str, Handler]] = {
    "/projects/{project}/backups": _backups,
    "/projects/{project}/instances": _list,
    "/projects/{project}/instances/{instance}": _get,
    "/projects/{project}/instances/{instance}/backupRuns": _runs,
}
ROUTES: Final[Mapping[str, Handler]] = {
    f"{base}{path}": handler for base in ("/sql/v1beta4", "/v1") for path, handler in _V1.items()
}
