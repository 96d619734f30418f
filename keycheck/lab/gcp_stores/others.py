"""Vertex AI's models, organisation policies, transfer jobs and projects.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1beta1/publishers.models;
https://cloud.google.com/resource-manager/docs/reference/orgpolicy/rest/v2/projects.policies;
https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations (value groups `in:eu-locations`);
https://cloud.google.com/storage-transfer/docs/reference/rest/v1/transferJobs;
https://cloud.google.com/resource-manager/reference/rest/v3/projects;
https://cloud.google.com/service-usage/docs/reference/rest/v1/services/list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, sparse

LOCATIONS: Final = "gcp.resourceLocations"


def _model(ask: Ask) -> Mapping[str, object]:
    name = ask.named["model"]
    if all(id != name for _, id in ask.plan.models):
        raise RefusedError(404, f"Publisher Model `publishers/google/models/{name}` is not found.")
    return {"name": f"publishers/google/models/{name}", "versionId": "default", "launchStage": "GA"}


def _model_in(ask: Ask) -> Mapping[str, object]:
    project, location, name = ask.named["project"], ask.named["location"], ask.named["model"]
    path = f"projects/{project}/locations/{location}/publishers/google/models/{name}"
    ask.require("aiplatform.endpoints.predict", project, path)
    if (location, name) not in ask.plan.models:
        raise RefusedError(404, f"Publisher Model `{path}` was not found or your project does not have access to it.")
    return {"name": path, "versionId": "default", "launchStage": "GA"}


def _endpoints(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("aiplatform.endpoints.list", project, f"projects/{project}/locations/{ask.named['location']}")
    return {}


def _policy(ask: Ask) -> Mapping[str, object]:
    project, constraint = ask.named["project"], ask.named["constraint"]
    name, _, verb = constraint.partition(":")
    ask.require("orgpolicy.policy.get", project, f"projects/{project}/policies/{name}")
    if verb not in ("", "getEffectivePolicy"):
        raise RefusedError(404, "Method not found.")
    values = list(ask.plan.allowed) if name == LOCATIONS else []
    if not values and not verb:
        raise RefusedError(404, f"Requested entity was not found: projects/{project}/policies/{name}")
    rules: list[Mapping[str, object]] = [{"values": {"allowedValues": values}}] if values else [{"allowAll": True}]
    number = ask.number_of(project)
    return {"name": f"projects/{number}/policies/{name}", "spec": {"rules": rules, "updateTime": ask.at(300)}}


def _policies(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("orgpolicy.policies.list", project, f"projects/{project}")
    return {}


def _transfers(ask: Ask) -> Mapping[str, object]:
    try:
        wanted: object = json.loads(ask.query.get("filter", ""))
    except ValueError:
        wanted = None
    project = wanted.get("projectId") if isinstance(wanted, dict) else None
    if not isinstance(project, str):
        raise RefusedError(400, "filter must name a projectId")
    project = ask.id_of(project)
    ask.require("storagetransfer.jobs.list", project, f"projects/{project}")
    replicating = isinstance(wanted, dict) and wanted.get("dataBackend") == "QUERY_REPLICATION_CONFIGS"
    found = [each for each in ask.plan.transfers if each.project == project and each.replicates == replicating]
    page, more = ask.page(found, size="pageSize", most=256)
    jobs = [
        {
            "name": f"transferJobs/{each.name}",
            "projectId": project,
            "status": "ENABLED",
            "replicationSpec" if each.replicates else "transferSpec": {
                "gcsDataSource": {"bucketName": each.source},
                "gcsDataSink": {"bucketName": each.sink},
            },
            "creationTime": ask.at(40),
            "lastModificationTime": ask.at(40),
        }
        for each in page
    ]
    return sparse(transferJobs=jobs or None, nextPageToken=more)


def _project(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("resourcemanager.projects.get", project, f"projects/{project}")
    return {
        "name": f"projects/{ask.number_of(project)}",
        "projectId": project,
        "state": "ACTIVE",
        "displayName": project,
    }


def _services(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("serviceusage.services.list", project, f"projects/{project}")
    state = ask.query.get("filter", "").partition(":")[2]
    number, names = ask.number_of(project), (*HOLDING, *_BESIDE)
    told = [(each, "DISABLED" if each in ask.plan.disabled else "ENABLED") for each in names]
    page, more = ask.page([each for each in told if state in ("", each[1])], size="pageSize", most=200)
    services = [
        {
            "name": f"projects/{number}/services/{each}.googleapis.com",
            "parent": f"projects/{number}",
            "config": {"name": f"{each}.googleapis.com"},
            "state": state,
        }
        for each, state in page
    ]
    return sparse(services=services or None, nextPageToken=more)


HOLDING: Final = (
    "aiplatform",
    "backupdr",
    "bigquery",
    "bigquerydatatransfer",
    "cloudkms",
    "compute",
    "file",
    "firestore",
    "spanner",
    "sqladmin",
    "storage",
    "storagetransfer",
)
"""Services that the lab answers for, and that can hold something."""
_BESIDE: Final = ("cloudresourcemanager", "iam", "orgpolicy", "serviceusage")
_MODEL: Final = "/projects/{project}/locations/{location}/publishers/google/models/{model}"
ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "aiplatform": {
        "/v1/publishers/google/models/{model}": _model,
        "/v1beta1/publishers/google/models/{model}": _model,
        f"/v1{_MODEL}": _model_in,
        f"/v1beta1{_MODEL}": _model_in,
        "/v1/projects/{project}/locations/{location}/endpoints": _endpoints,
    },
    "cloudresourcemanager": {"/v3/projects/{project}": _project},
    "orgpolicy": {
        "/v2/projects/{project}/policies": _policies,
        "/v2/projects/{project}/policies/{constraint}": _policy,
    },
    "serviceusage": {"/v1/projects/{project}/services": _services},
    "storagetransfer": {"/v1/transferJobs": _transfers},
}
"""By service."""
