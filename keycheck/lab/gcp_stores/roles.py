"""Predefined roles that let somebody look at stores, as far as the lab asks for their permissions.

Source: https://cloud.google.com/iam/docs/roles-permissions, in part from memory: which role holds which is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

READERS: Final[Mapping[str, frozenset[str]]] = {
    f"roles/{role}": frozenset(permissions.split())
    for role, permissions in {
        "aiplatform.user": "aiplatform.endpoints.list aiplatform.endpoints.predict",
        "backupdr.viewer": "backupdr.backupPlans.list backupdr.backupVaults.list",
        "bigquery.metadataViewer": "bigquery.datasets.get bigquery.tables.get bigquery.tables.list",
        "bigquery.user": "bigquery.jobs.create bigquery.transfers.get",
        "cloudsql.viewer": "cloudsql.backupRuns.list cloudsql.instances.get cloudsql.instances.list",
        "compute.viewer": (
            "compute.disks.get compute.disks.list compute.images.get compute.images.list compute.snapshots.get "
            "compute.snapshots.list compute.instantSnapshots.list compute.machineImages.list"
        ),
        "datastore.backupsViewer": "datastore.backups.list",
        "datastore.viewer": "datastore.databases.list",
        "file.viewer": "file.backups.list file.instances.list",
        "orgpolicy.policyViewer": "orgpolicy.policies.list orgpolicy.policy.get",
        "serviceusage.serviceUsageViewer": "resourcemanager.projects.get serviceusage.services.list",
        "spanner.viewer": "spanner.instances.list",
        "storage.bucketViewer": "storage.buckets.get storage.buckets.list",
        "storage.objectViewer": "storage.objects.get storage.objects.list",
        "storagetransfer.viewer": "storagetransfer.jobs.list",
    }.items()
}
"""Role -> permissions."""
