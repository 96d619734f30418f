"""Where data sets of BigQuery are copied to: replicas, as a view tells them, and copies that transfers make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, children, flag, parsing, text, text_or_none
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.names import is_dataset, is_project, located
from probes.residency.gcp.reading import number
from probes.residency.store_facts import Basis, NodePlace

_QUERY: Final = "bigquery.jobs.query SCHEMATA_REPLICAS"
_TRANSFERS: Final = "bigquerydatatransfer.transferConfigs.list"
_COPY: Final = "cross_region_copy"
_COLUMNS: Final = ("schema_name", "replica_name", "location")
_ROWS: Final = 1000
_WAIT_MS: Final = 8000


@dataclass(frozen=True, slots=True)
class Replica:
    """One row of the view."""

    dataset: str
    name: str
    location: str


@dataclass(frozen=True, slots=True)
class _Transfer:
    project: str
    source: str
    target: str
    basis: Basis
    detail: str


@dataclass(slots=True)
class Copies:
    """What one walk knows of copies, asked about once for each project and location."""

    asking: Asking
    _locations: dict[str, set[str]] = field(default_factory=dict)
    _replicas: dict[tuple[str, str], tuple[Replica, ...] | ProbeError] = field(default_factory=dict)
    _transfers: dict[str, tuple[_Transfer, ...] | ProbeError] = field(default_factory=dict)

    def seen(self, project: str, location: str) -> None:
        """A location in which a project has data sets: a transfer's target must be in one of them."""
        self._locations.setdefault(project, set()).add(location)

    def replicas(self, project: str, dataset: str, location: str, at: str) -> Iterator[Replica]:
        """Replicas of a data set elsewhere than in `location`. What is not told is an open end at `at`."""
        known = self._replicas.get((project, location))
        if known is None:
            try:
                known = self._ask(project, location)
            except ProbeError as error:
                known = error
            self._replicas[project, location] = known
        if isinstance(known, ProbeError):
            self.asking.opens(at, known, "copies")
            return
        for each in known:
            if each.dataset == dataset and each.location.lower() != location.lower():
                yield each

    def copied(self, project: str, dataset: str, at: str) -> Iterator[tuple[str, Basis, str]]:
        """Data sets of the same project that a data set is copied to, how that is known, and by what.

        Whoever may read it can copy it to another project, whose transfers are not seen."""
        known = self._transfers.get(project)
        if known is None:
            try:
                known = tuple(
                    each for place in sorted(self._locations.get(project, ())) for each in self._listed(project, place)
                )
            except ProbeError as error:
                known = error
            self._transfers[project] = known
        if isinstance(known, ProbeError):
            self.asking.opens(at, known, "copies")
            return
        for each in known:
            if (each.project, each.source) == (project, dataset):
                yield each.target, each.basis, each.detail

    def _ask(self, project: str, location: str) -> tuple[Replica, ...]:
        if not is_project(project) or not isinstance(located(location), NodePlace):
            raise ProbeError(Reason.MALFORMED, f"{_QUERY}: no location of BigQuery: {vendor_text(location, 60)}")
        # A view's name can be no parameter: project and location have been matched strictly.
        view = f"`{project}`.`region-{location.lower()}`.INFORMATION_SCHEMA.SCHEMATA_REPLICAS"
        body = {
            "query": f"SELECT {', '.join(_COLUMNS)} FROM {view} ORDER BY 1, 2, 3",  # noqa: S608
            "useLegacySql": False,
            "location": location,
            "timeoutMs": _WAIT_MS,
            "maxResults": _ROWS,
        }
        answer = self.asking.ask("bigquery", _QUERY, f"projects/{project}/queries", body=body)
        with parsing(_QUERY):
            if not flag(answer, "jobComplete"):
                raise ProbeError(Reason.TIMEOUT, f"{_QUERY} in {location}: the query did not end in time")
            if text_or_none(answer, "pageToken"):
                raise ProbeError(Reason.NOT_COVERED, f"{_QUERY} in {location}: more than {_ROWS} replicas")
            if children(answer, "errors"):
                raise MalformedError("the query met errors")
            rows = tuple(_row(row) for row in children(answer, "rows"))
            if (total := number(answer, "totalRows")) is not None and total != len(rows):
                raise MalformedError("the answer contradicts itself about how many rows it has")
            return rows

    def _listed(self, project: str, location: str) -> tuple[_Transfer, ...]:
        def config(item: Answer) -> _Transfer | None:
            if text(item, "dataSourceId") != _COPY:
                return None
            params = child_or_none(item, "params") or {}
            target = text(item, "destinationDatasetId")
            if not is_dataset(target):
                raise MalformedError("destinationDatasetId is none")
            off = flag(item, "disabled", default=False)
            detail = vendor_text(
                f"transfer {text(item, 'name').rpartition('/')[2]}, {'disabled' if off else 'enabled'}", 300
            )
            # `state` is that of the latest run.
            ran = text_or_none(item, "state") == "SUCCEEDED"
            basis = Basis.HAPPENED if ran else Basis.OFF if off else Basis.CONFIGURED
            source = text(params, "source_dataset_id")
            return _Transfer(text_or_none(params, "source_project_id") or project, source, target, basis, detail)

        found = self.asking.listing(
            "bigquerydatatransfer",
            _TRANSFERS,
            f"projects/{project}/locations/{location.lower()}/transferConfigs",
            "transferConfigs",
            config,
        )
        if found.rest is not None:
            raise ProbeError(found.rest.reason, found.rest.detail)
        return tuple(each for each in found.items if each is not None)


def _row(row: Answer) -> Replica:
    cells = [text(cell, "v") for cell in children(row, "f", required=True)]
    if len(cells) != len(_COLUMNS):
        raise MalformedError("a row of the view has other columns than were asked for")
    if not isinstance(located(cells[2]), NodePlace):
        raise ProbeError(Reason.MALFORMED, f"{_QUERY}: a replica in no location of BigQuery")
    return Replica(cells[0], vendor_text(cells[1], 200), cells[2])
