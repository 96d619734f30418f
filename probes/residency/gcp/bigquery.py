"""BigQuery: data sets, tables under keys of their own, replicas in other regions and data sets that are copied.

Replicas are told by no method of the API but by a view, so that a query is run that reads it: it needs
`bigquery.jobs.create`, leaves an entry in the project's job history, and changes nothing.
Sources: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets,
https://cloud.google.com/bigquery/docs/information-schema-schemata-replicas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, child, child_or_none, parsing, text, text_or_none, texts
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.bigquery_copies import Copies
from probes.residency.gcp.buckets import Buckets
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import is_bucket, is_dataset, located
from probes.residency.gcp.reading import when
from probes.residency.graph import PENDING, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, NodeKind, NodePlace, Unneeded

_LIST: Final = "bigquery.datasets.list"
_GET: Final = "bigquery.datasets.get"
_TABLES: Final = "bigquery.tables.list"
_TABLE: Final = "bigquery.tables.get"
_TABLE_FIELDS: Final = (
    "tableReference,type,location,creationTime,encryptionConfiguration,externalDataConfiguration(sourceUris),"
    "biglakeConfiguration(storageUri)"
)
_FIELDS: Final = (
    "datasetReference,location,creationTime,type,defaultEncryptionConfiguration,linkedDatasetSource,"
    "externalDatasetReference"
)
_VIEWS: Final = ("VIEW",)
"""Hold no data."""
_LOOKED: Final = 500
"""Tables of a data set that are looked at one by one."""
_SHOWN: Final = 2


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    kind: str
    location: str | None
    key: str | None
    uris: tuple[str, ...]


@dataclass(slots=True)
class DataSets:
    """The data sets of one walk, each looked at once."""

    asking: Asking
    keys: Keys
    buckets: Buckets
    _met: set[str] = field(default_factory=set)
    _roots: list[str] = field(default_factory=list)
    _copies: Copies = field(init=False)

    def __post_init__(self) -> None:
        self._copies = Copies(self.asking)

    def id(self, project: str, dataset: str) -> str:
        """The full resource name of a data set."""
        return f"//bigquery.{self.asking.universe}/projects/{project}/datasets/{dataset}"

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every data set of a project, hidden ones too. Their ids, and those of their tables."""
        for name, location in self._listed(project):
            self._copies.seen(project, location)
            self.asking.graph.put(self.id(project, name), NodeKind.DATASET, project, PENDING, PENDING)
            self._roots.append(self.id(project, name))
        for id in tuple(self._roots):
            if self.asking.over():
                break
            self._look(project, id.rpartition("/")[2], root=True)
        return tuple(self._roots)

    def look(self, project: str, dataset: str) -> tuple[str, ...]:
        """One data set. Its id and those of its tables."""
        for _, location in self._listed(project):
            self._copies.seen(project, location)
        self._roots.append(self.id(project, dataset))
        self._look(project, dataset, root=True)
        return tuple(self._roots)

    def _listed(self, project: str) -> tuple[tuple[str, str], ...]:
        def dataset(item: Answer) -> tuple[str, str]:
            reference = child(item, "datasetReference")
            name = text(reference, "datasetId")
            if not is_dataset(name):
                raise MalformedError("datasetId is none")
            return name, text(item, "location")

        return self.asking.listed(
            "bigquery",
            _LIST,
            f"projects/{project}/datasets",
            "datasets",
            dataset,
            {"all": "true"},
            at=f"{_LIST} in {project}",
            matters=("everything",),
            size="maxResults",
            page=1000,
        )

    def _look(self, project: str, dataset: str, *, root: bool) -> None:
        id, graph = self.id(project, dataset), self.asking.graph
        if id in self._met:
            return
        self._met.add(id)
        path = f"projects/{project}/datasets/{dataset}"
        try:
            answer = self.asking.ask("bigquery", _GET, path, {"fields": _FIELDS})
            with parsing(_GET):
                if text(child(answer, "datasetReference"), "datasetId") != dataset:
                    raise MalformedError("the answer is about another data set")
                location = text(answer, "location")
                key = text_or_none(child_or_none(answer, "defaultEncryptionConfiguration") or {}, "kmsKeyName")
                created = when(answer, "creationTime")
                kind = text_or_none(answer, "type") or "DEFAULT"
                elsewhere = kind != "DEFAULT" or any(
                    child_or_none(answer, each) for each in ("linkedDatasetSource", "externalDatasetReference")
                )
        except ProbeError as error:
            graph.put(id, NodeKind.DATASET, project, seen_not(error), seen_not(error))
            self.asking.opens(id, error, "everything")
            return
        place = located(location)
        self.keys.put(id, NodeKind.DATASET, project, place, self.keys.under(key, id), created=created)
        if elsewhere:
            why = unknown(
                f"a data set of type {vendor_text(kind, 40)}: its data lies where it comes from; declare that"
            )
            self.asking.opens(id, why, "stores", "encryption")
        self._tables(project, dataset, location, root=root)
        self._replicas(project, dataset, location)

    def _tables(self, project: str, dataset: str, location: str, *, root: bool) -> None:
        id = self.id(project, dataset)

        def table(item: Answer) -> tuple[str, str]:
            name = text(child(item, "tableReference"), "tableId")
            if name in (".", ".."):
                raise MalformedError("tableId is none")
            return name, text(item, "type")

        found = self.asking.listed(
            "bigquery",
            _TABLES,
            f"projects/{project}/datasets/{dataset}/tables",
            "tables",
            table,
            at=id,
            matters=("encryption", "stores"),
            size="maxResults",
            page=1000,
        )
        holding = [name for name, kind in found if kind not in _VIEWS]
        if len(holding) > _LOOKED:
            why = unknown(f"{len(holding) - _LOOKED} of its {len(holding)} tables were not looked at")
            self.asking.opens(id, why, "encryption", "stores")
        told = [one for one in (self._table(project, dataset, name) for name in holding[:_LOOKED]) if one is not None]
        for alike in few(told, lambda each: (each.kind, each.location, each.key, each.uris), _SHOWN):
            self._show(id, alike.one, location, alike.note, project, root=root)

    def _table(self, project: str, dataset: str, name: str) -> _Table | None:
        """None where it is not told, which is then an open end."""
        id = self.id(project, dataset)
        try:
            path = f"projects/{project}/datasets/{dataset}/tables/{quote(name, safe='')}"
            answer = self.asking.ask("bigquery", _TABLE, path, {"fields": _TABLE_FIELDS})
            with parsing(_TABLE):
                if text(child(answer, "tableReference"), "tableId") != name:
                    raise MalformedError("the answer is about another table")
                key = text_or_none(child_or_none(answer, "encryptionConfiguration") or {}, "kmsKeyName")
                uris = texts(child_or_none(answer, "externalDataConfiguration") or {}, "sourceUris")
                lake = text_or_none(child_or_none(answer, "biglakeConfiguration") or {}, "storageUri")
                heads = sorted({_head(each) for each in (*uris, *([lake] if lake else ()))})
                return _Table(name, text(answer, "type"), text_or_none(answer, "location"), key, tuple(heads))
        except ProbeError as error:
            self.asking.opens(id, error, "encryption", "stores")
            return None

    def _show(self, dataset: str, table: _Table, location: str, note: str | None, project: str, *, root: bool) -> None:
        id, graph = f"{dataset}/tables/{table.name}", self.asking.graph
        place = located(table.location or location)
        if isinstance(place, NodePlace) and table.location and table.location.lower() != location.lower():
            why = unknown(f"its table {table.name[:80]} is in {table.location[:40]} and it is not", Reason.CONFLICTING)
            self.asking.opens(dataset, why, "stores")
        kind = NodeKind.SNAPSHOT if table.kind == "SNAPSHOT" else NodeKind.TABLE
        encryption = Unneeded() if table.uris and table.kind == "EXTERNAL" else self.keys.under(table.key, id)
        self.keys.put(id, kind, project, place, encryption, note=note)
        if root:
            self._roots.append(id)
        else:
            graph.edge(dataset, id, EdgeKind.REPLICATES, Basis.HAPPENED, "its table")
        for uri in table.uris:
            name = uri.removeprefix("gs://")
            if uri.startswith("gs://") and is_bucket(name):
                self.buckets.to(id, name, EdgeKind.REPLICATES, Basis.CONFIGURED, "its data lies there")
                self.buckets.follow()
            else:
                self.asking.opens(id, unknown(f"its data lies outside of BigQuery, at {uri[:80]}"), "stores")

    def _replicas(self, project: str, dataset: str, location: str) -> None:
        id, graph = self.id(project, dataset), self.asking.graph
        for replica in self._copies.replicas(project, dataset, location, id):
            target = f"{id}#replica-{replica.location.lower()}"
            why = unknown("under which key a replica lies is not told by the view of replicas")
            graph.put(target, NodeKind.DATASET, project, located(replica.location), why, note="cross-region replica")
            graph.edge(id, target, EdgeKind.REPLICATES, Basis.HAPPENED, f"replica {replica.name}")
        for copy, basis, detail in self._copies.copied(project, dataset, id):
            target = self.id(project, copy)
            graph.put(target, NodeKind.DATASET, project, PENDING, PENDING)
            graph.edge(id, target, EdgeKind.REPLICATES, basis, detail)
            if not self.asking.over():
                self._look(project, copy, root=False)


def _head(uri: str) -> str:
    """`gs://bucket` of an object's URI; of other URIs their scheme and host."""
    scheme, found, rest = uri.partition("://")
    return vendor_text(f"{scheme}{found}{rest.partition('/')[0]}", 300)
