"""BigQuery: data sets, their tables, and the keys of both.

Sources: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets, …/tables;
https://cloud.google.com/bigquery/docs/customer-managed-encryption (a data set's key is the default of new tables).
"""

from __future__ import annotations

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


def _reference(dataset: Dataset, table: BqTable) -> Mapping[str, object]:
    return {"projectId": dataset.project, "datasetId": dataset.name, "tableId": table.name}


ROUTES: Final[Mapping[str, Handler]] = {
    "/bigquery/v2/projects/{project}/datasets": _list,
    "/bigquery/v2/projects/{project}/datasets/{dataset}": _get,
    "/bigquery/v2/projects/{project}/datasets/{dataset}/tables": _tables,
    "/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}": _table,
}
