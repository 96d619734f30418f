"""Storage Transfer Service: jobs that copy a bucket elsewhere, cross-bucket replication among them.

Only jobs of the bucket's own project are seen: who may read a bucket can copy it from any other. A job that is disabled
or was deleted counts as well: what it copied before may still be there.
Source: https://cloud.google.com/storage-transfer/docs/reference/rest/v1/transferJobs/list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, parsing, text, text_or_none
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.names import is_bucket, is_project
from probes.residency.graph import unknown
from probes.residency.store_facts import Basis

_LIST: Final = "storagetransfer.transferJobs.list"
_PROJECT: Final = "cloudresourcemanager.projects.get"
_PAGE: Final = 256
_ENABLED: Final = "enabled"
_REPLICATION: Final = "QUERY_REPLICATION_CONFIGS"


@dataclass(frozen=True, slots=True)
class Copy:
    """A bucket that one is copied to."""

    sink: str
    basis: Basis
    detail: str


@dataclass(frozen=True, slots=True)
class _Job:
    source: str
    sink: str | None
    """None: to what is no bucket."""
    basis: Basis
    detail: str


@dataclass(slots=True)
class Transfers:
    """The transfer jobs of one walk, asked about once a project."""

    asking: Asking
    _jobs: dict[str, tuple[_Job, ...] | ProbeError] = field(default_factory=dict)

    def of(self, project: str, bucket: str, at: str) -> Iterator[Copy]:
        """Where a bucket of a project is copied to. What is not told is an open end at `at`."""
        known = self._jobs.get(project)
        if known is None:
            try:
                known = self._ask(self._id(project))
            except ProbeError as error:
                known = error
            self._jobs[project] = known
        if isinstance(known, ProbeError):
            self.asking.opens(at, known, "copies")
            return
        for job in known:
            if job.source != bucket:
                continue
            if job.sink is None:
                self.asking.opens(at, unknown(f"{job.detail}: to what is no bucket of Cloud Storage"), "copies")
            else:
                yield Copy(job.sink, job.basis, job.detail)

    def _id(self, project: str) -> str:
        """A project's id: buckets tell its number, and transfer jobs are asked for by id."""
        if not project.isdecimal():
            return project
        answer = self.asking.ask("cloudresourcemanager", _PROJECT, f"projects/{project}")
        with parsing(_PROJECT):
            if text(answer, "name") != f"projects/{project}":
                raise MalformedError("the answer is about another project")
            found = text(answer, "projectId")
            if not is_project(found):
                raise MalformedError("projectId is none")
            return found

    def _ask(self, project: str) -> tuple[_Job, ...]:
        jobs: list[_Job] = []
        for backend in ({}, {"dataBackend": _REPLICATION}):
            wanted = json.dumps({"projectId": project, **backend}, separators=(",", ":"))
            found = self.asking.listing(
                "storagetransfer", _LIST, "transferJobs", "transferJobs", _job, {"filter": wanted}, page=_PAGE
            )
            if found.rest is not None:
                raise ProbeError(found.rest.reason, found.rest.detail)
            jobs += [job for job in found.items if job is not None]
        return tuple(jobs)


def _job(item: Answer) -> _Job | None:
    """None for a job that copies from elsewhere than a bucket."""
    spec = child_or_none(item, "replicationSpec") or child_or_none(item, "transferSpec")
    if spec is None:
        raise MalformedError("a job that says neither what it transfers nor what it replicates")
    source, sink = child_or_none(spec, "gcsDataSource"), child_or_none(spec, "gcsDataSink")
    between = child_or_none(spec, "gcsIntermediateDataLocation")
    if source is None:
        return None
    status = (text_or_none(item, "status") or "status not told").lower()
    detail = vendor_text(f"transfer job {text(item, 'name')}, {status}", 300)
    name = text(source, "bucketName")
    to = None if sink is None or between is not None else text(sink, "bucketName")
    if not is_bucket(name) or (to is not None and not is_bucket(to)):
        raise MalformedError("bucketName is no name of a bucket")
    basis = Basis.CONFIGURED if status == _ENABLED else Basis.OFF
    return _Job(name, to, Basis.HAPPENED if text_or_none(item, "latestOperationName") else basis, detail)
