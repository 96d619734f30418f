"""BigQuery: data sets, their tables, and the keys of both.

Sources: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets, …/tables;
https://cloud.google.com/bigquery/docs/customer-managed-encryption (a data set's key is the default of new tables);
https://cloud.google.com/bigquery/docs/information-schema-schemata-replicas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, sparse
from keycheck.lab.gcp_stores.plan import BqTable, Dataset


def _dataset(ask: Ask, permission: str) -> Dataset:
    project, name = ask.named["project"], ask.named["dataset"]
    ask.require(permission, project, f"projects/{project}/datasets/{name}")
    for each in ask.plan.datasets:
        if (each.project, each.name) == (project, name):
            return each
    raise RefusedError(404, f"Not found: Dataset {project}:{name}")


def _list(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("bigquery.datasets.get", project, f"projects/{project}")
    page, more = ask.page([each for each in ask.plan.datasets if each.project == project])
    items = [
        {
            "kind": "bigquery#dataset",
            "id": f"{project}:{each.name}",
            "datasetReference": {"projectId": project, "datasetId": each.name},
            "location": each.location,
        }
        for each in page
    ]
    return sparse(kind="bigquery#datasetList", datasets=items or None, nextPageToken=more)


def _get(ask: Ask) -> Mapping[str, object]:
    dataset = _dataset(ask, "bigquery.datasets.get")
    key = ask.key(dataset.key)
    return sparse(
        kind="bigquery#dataset",
        id=f"{dataset.project}:{dataset.name}",
        selfLink=f"https://bigquery.googleapis.com/bigquery/v2/projects/{dataset.project}/datasets/{dataset.name}",
        datasetReference={"projectId": dataset.project, "datasetId": dataset.name},
        location=dataset.location,
        creationTime=ask.millis(dataset.days),
        lastModifiedTime=ask.millis(dataset.days),
        defaultEncryptionConfiguration=None if key is None else {"kmsKeyName": key},
        type="DEFAULT",
    )


def _tables(ask: Ask) -> Mapping[str, object]:
    dataset = _dataset(ask, "bigquery.tables.list")
    page, more = ask.page(dataset.tables)
    items = [
        {
            "kind": "bigquery#table",
            "id": f"{dataset.project}:{dataset.name}.{each.name}",
            "tableReference": _reference(dataset, each),
            "type": "TABLE",
            "creationTime": ask.millis(each.days),
        }
        for each in page
    ]
    total = len(dataset.tables)
    return sparse(kind="bigquery#tableList", tables=items or None, nextPageToken=more, totalItems=total)


def _table(ask: Ask) -> Mapping[str, object]:
    dataset = _dataset(ask, "bigquery.tables.get")
    for each in dataset.tables:
        if each.name == ask.named["table"]:
            key = ask.key(each.key)
            return sparse(
                kind="bigquery#table",
                id=f"{dataset.project}:{dataset.name}.{each.name}",
                tableReference=_reference(dataset, each),
                type="TABLE",
                location=dataset.location,
                creationTime=ask.millis(each.days),
                encryptionConfiguration=None if key is None else {"kmsKeyName": key},
            )
    raise RefusedError(404, f"Not found: Table {dataset.project}:{dataset.name}.{ask.named['table']}")


def _query(ask: Ask) -> Mapping[str, object]:
    """One question: which replicas data sets have, which no resource of the API tells."""
    project = ask.named["project"]
    ask.require("bigquery.jobs.create", project, f"projects/{project}")
    found = _REPLICAS.fullmatch(" ".join(str(ask.body.get("query", "")).split()))
    if found is None or found["project"] != project:
        raise RefusedError(400, "The lab answers no such query.")
    columns = [each.strip() for each in found["columns"].split(",")]
    if unknown := [each for each in columns if each not in _COLUMNS]:
        raise RefusedError(400, f"Unrecognized name: {unknown[0]} at [1:8]")
    rows = [
        dict(zip(_COLUMNS, (project, each.name, location, location), strict=True))
        for each in ask.plan.datasets
        if each.project == project and found["region"] in (location.lower() for location in _locations(each))
        for location in _locations(each)
    ]
    return {
        "kind": "bigquery#queryResponse",
        "jobReference": {"projectId": project, "jobId": "job_lab", "location": found["region"]},
        "jobComplete": True,
        "schema": {"fields": [{"name": each, "type": "STRING", "mode": "NULLABLE"} for each in columns]},
        "totalRows": str(len(rows)),
        "rows": [{"f": [{"v": row[each]} for each in columns]} for row in rows],
    }


def _locations(dataset: Dataset) -> tuple[str, ...]:
    return (dataset.location, *dataset.replicas)


def _reference(dataset: Dataset, table: BqTable) -> Mapping[str, object]:
    return {"projectId": dataset.project, "datasetId": dataset.name, "tableId": table.name}


_COLUMNS: Final = ("catalog_name", "schema_name", "replica_name", "location")
_REPLICAS: Final = re.compile(
    r"SELECT (?P<columns>[a-z_, ]+) FROM `(?P<project>[a-z0-9-]+)`\.`region-(?P<region>[a-z0-9-]+)`"
    r"\.INFORMATION_SCHEMA\.SCHEMATA_REPLICAS(?: ORDER BY [0-9, ]+)?"
)
POSTS: Final[Mapping[str, Handler]] = {"/bigquery/v2/projects/{project}/queries": _query}
ROUTES: Final[Mapping[str, Handler]] = {
    "/bigquery/v2/projects/{project}/datasets": _list,
    "/bigquery/v2/projects/{project}/datasets/{dataset}": _get,
    "/bigquery/v2/projects/{project}/datasets/{dataset}/tables": _tables,
    "/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}": _table,
}
