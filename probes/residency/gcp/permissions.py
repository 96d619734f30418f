"""The least privilege that observing stores and inference in Google Cloud needs, as custom roles. Pure.

Names are those of https://cloud.google.com/iam/docs/permissions-reference. `roles/viewer` holds most of them, and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from probes.keys.permissions import Paper
from probes.residency.gcp.names import endpoint_location
from probes.residency.subjects import Account, Inference, Resource, Store

_OBJECTS: Final = "storage.objects.list"
_COMMON: Final = ("cloudkms.cryptoKeys.get", "orgpolicy.policy.get", "resourcemanager.projects.get")
_VAULTS: Final = ("backupdr.backupVaults.get", "backupdr.bvdataSources.list")
_STORAGE: Final = ("storage.buckets.get", "storagetransfer.jobs.list")
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "backupdr": ("backupdr.backupVaults.get",),
        "bigquery": (
            "bigquery.datasets.get",
            "bigquery.jobs.create",
            "bigquery.tables.get",
            "bigquery.tables.list",
            "bigquery.transfers.get",
            *_STORAGE,
        ),
        "compute": (
            "compute.disks.get",
            "compute.images.get",
            "compute.images.list",
            "compute.instantSnapshots.get",
            "compute.instantSnapshots.list",
            "compute.machineImages.get",
            "compute.machineImages.list",
            "compute.resourcePolicies.get",
            "compute.snapshots.get",
            "compute.snapshots.list",
            *_VAULTS,
        ),
        "file": ("file.backups.list", "file.instances.get", *_VAULTS),
        "firestore": ("datastore.backups.list", "datastore.databases.getMetadata"),
        "spanner": (
            "spanner.backups.get",
            "spanner.backups.list",
            "spanner.databases.list",
            "spanner.instanceConfigs.get",
            "spanner.instancePartitions.list",
            "spanner.instances.get",
        ),
        "sqladmin": ("cloudsql.backupRuns.list", "cloudsql.instances.get", *_VAULTS),
        "storage": _STORAGE,
    }
)
"""By the service of a resource's name; external tables of BigQuery lie in buckets."""
_LISTING: Final = (
    "backupdr.backupPlans.list",
    "backupdr.backupVaults.list",
    "cloudsql.instances.list",
    "compute.disks.list",
    "datastore.databases.list",
    "file.instances.list",
    "serviceusage.services.list",
    "spanner.instances.list",
    "storage.buckets.list",
)
"""What all of a project needs beside everything else."""
_ANYWHERE: Final = ""


def store_permissions(store: Store) -> tuple[str, ...]:
    """Permissions for one store, sorted; with `objects: 0` none that lists the names of objects."""
    needed: set[str]
    match store.what:
        case Account():
            needed = {each for group in _NEEDED.values() for each in group} | {*_LISTING}
        case Resource(name=name):
            service = name.removeprefix("//").partition(".")[0]
            needed = {*_NEEDED.get("sqladmin" if service == "cloudsql" else service, ())}
        case _:
            assert_never(store.what)
    if "storage.buckets.get" in needed and store.objects:
        needed.add(_OBJECTS)
    return tuple(sorted(needed | {*_COMMON}))


def reading_papers(stores: Iterable[Store], models: Iterable[Inference] = ()) -> Iterator[Paper]:
    """A custom role for each identity of Google Cloud that asks, and each project that it asks in, sorted."""
    needs: dict[tuple[str, str], set[str]] = {}
    for store in stores:
        if store.provider == "gcp":
            for identity in (store.identity, *store.others):
                needs.setdefault((identity or "", _project(store)), set()).update(store_permissions(store))
    for model in models:
        if model.provider == "gcp" and endpoint_location(model.model) is not None:
            where = (model.identity or "", model.model.split("/")[1])
            needs.setdefault(where, set()).add("aiplatform.endpoints.get")
    for (identity, project), permissions in sorted(needs.items()):
        on = f"projects/{project}" if project else "the project of each bucket that is named"
        title = f"keycheck, stores and models of {project or 'buckets'}"
        document = {"title": title, "stage": "GA", "includedPermissions": sorted(permissions)}
        yield Paper("gcp", identity, f"bind as a custom role on {on}, and on projects that copies go to", document)


def _project(store: Store) -> str:
    match store.what:
        case Account(account=project):
            return project
        case Resource(name=name):
            found = [*name.split("/"), "", "", "", ""][4]
            return _ANYWHERE if found == "_" else found
        case _:
            assert_never(store.what)
