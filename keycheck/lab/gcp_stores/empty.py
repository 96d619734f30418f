"""Services that are enabled and hold nothing: Firestore, Spanner, Filestore, Backup and DR, BigQuery's transfers.

A list without an entry is an empty object, by the JSON mapping of protocol buffers. Sources: the REST references of
each: `projects.databases`, `projects.instances`, `projects.locations.instances`, `projects.locations.backupVaults`,
`projects.locations.transferConfigs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler

_EMPTY: Final[Mapping[str, Mapping[str, str]]] = {
    "backupdr": {
        "/v1/projects/{project}/locations/{location}/backupPlans": "backupdr.backupPlans.list",
        "/v1/projects/{project}/locations/{location}/backupVaults": "backupdr.backupVaults.list",
    },
    "bigquerydatatransfer": {
        "/v1/projects/{project}/locations/{location}/transferConfigs": "bigquery.transfers.get",
    },
    "file": {
        "/v1/projects/{project}/locations/{location}/backups": "file.backups.list",
        "/v1/projects/{project}/locations/{location}/instances": "file.instances.list",
    },
    "firestore": {
        "/v1/projects/{project}/databases": "datastore.databases.list",
        "/v1/projects/{project}/locations/{location}/backups": "datastore.backups.list",
    },
    "spanner": {"/v1/projects/{project}/instances": "spanner.instances.list"},
}


def _nothing(permission: str) -> Handler:
    def handler(ask: Ask) -> Mapping[str, object]:
        ask.require(permission, ask.named["project"], f"projects/{ask.named['project']}")
        return {}

    return handler


ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    service: {path: _nothing(permission) for path, permission in lists.items()} for service, lists in _EMPTY.items()
}
"""By service."""
