"""What else a project may hold data in: services that are enabled, and that are not looked into.

Source: https://cloud.google.com/service-usage/docs/reference/rest/v1/services/list.
"""

from __future__ import annotations

from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, text
from probes.residency.gcp.asking import Asking
from probes.residency.graph import seen_not, unknown

_OPERATION: Final = "serviceusage.services.list"
NOT_COVERED: Final = (
    "alloydb",
    "baremetalsolution",
    "bigtable",
    "bigtableadmin",
    "firebasedatabase",
    "gkebackup",
    "healthcare",
    "lustre",
    "memcache",
    "memorystore",
    "netapp",
    "oracledatabase",
    "parallelstore",
    "redis",
    "vmwareengine",
)
"""Services of databases, file systems and backups that are not looked into: where one is enabled, the project may hold
more than was seen."""
NOT_ASKED: Final = (
    "Artifact Registry",
    "BigQuery models",
    "Cloud Logging",
    "Compute Engine regional snapshots",
    "Pub/Sub",
    "Secret Manager",
    "Storage Insights",
    "Vertex AI data sets",
    "databases of services that are not enabled",
)
"""What holds data too, and is not looked into; a reader is told so. Whether other databases are enabled is asked: see
`others`."""


def others(asking: Asking, project: str) -> tuple[Unseen, ...]:
    """Why a project may hold more than the services that are looked into tell."""

    def service(item: Answer) -> str:
        if text(item, "state") != "ENABLED":
            raise MalformedError("a service that is not enabled, among those that are")
        return text(item, "name").rpartition("/")[2].partition(".")[0]

    try:
        found = asking.listing(
            "serviceusage",
            _OPERATION,
            f"projects/{project}/services",
            "services",
            service,
            {"filter": "state:ENABLED", "fields": "nextPageToken,services(name,state)"},
            page=200,
        )
    except ProbeError as error:
        return (seen_not(error),)
    open_ = [] if found.rest is None else [found.rest]
    if not found.items:
        open_.append(unknown(f"{_OPERATION}: no service is enabled, not even this one", Reason.CONFLICTING))
    if left := sorted(set(NOT_COVERED) & set(found.items)):
        open_.append(
            Unseen(
                reason=Reason.OPEN_CENSUS,
                detail=f"services that hold data are enabled and not looked into: {', '.join(left)}",
            )
        )
    return tuple(open_)
