"""Cloud Scheduler of the lab, which really fires: the HTTP target is called over the wire, with a token of the job's
service account.

Permissions: https://cloud.google.com/scheduler/docs/access-control (`cloudscheduler.jobs.*` on the project) and
`iam.serviceAccounts.actAs` on the service account. Audit logs of the service itself are not kept. No page says how an
attempt that is under way shows: here time and status of an attempt appear together, when it is over.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keycheck.lab.gcp.calls import Call
from keycheck.lab.gcp.errors import ApiError, already_exists, denied, invalid, not_found
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.jobs import NAME, Job, Json, job_of
from keycheck.model.types import Clock

METHODS: Final = "/google.cloud.scheduler.v1.CloudScheduler/"
"""What stands before `CreateJob` and the like among the faults."""
INVOKE: Final = f"{METHODS}InvokeTarget"
"""What an attempt is called among the faults."""
TICK: Final = 0.02
"""Seconds between looks at the clock, while there is a job."""
_DOMAIN: Final = "cloudscheduler.googleapis.com"
_BACK_OFF: Final = timedelta(seconds=5)
_CALL_S: Final = 10.0
_CODES: Final[Mapping[int, int]] = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8}
"""HTTP status to google.rpc.Code."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a target, as it ended."""

    job: str
    at: datetime
    code: int


@dataclass(slots=True)
class CloudScheduler:
    """The handlers, and the thread that fires between `start` and `close`. `dial` says where a host of Google's is in
    the lab; `mint` gives tokens."""

    clock: Clock
    faults: Faults
    mint: Callable[[str], str]
    dial: Callable[[str], tuple[str, int] | None]
    stalled: bool = False
    """Never fires, as if the service stood still."""
    attempts: list[Attempt] = field(default_factory=list)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _closing: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Fire in the background from now on."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-cloud-scheduler")
        self._thread.start()

    def close(self) -> None:
        """Fire no more."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(_CALL_S)
            self._thread = None

    def names(self) -> tuple[str, ...]:
        """Of the jobs that are there."""
        with self._wake:
            return tuple(sorted(self._jobs))

    def create(self, call: Call, parent: str, given: Mapping[str, Json]) -> dict[str, Json]:
        """CreateJob."""
        self._may(call, "create", parent)
        job = self._planned(call, job_of(given, parent, call.now))
        with self._wake:
            if job.name in self._jobs:
                raise already_exists("Job", job.name)
            self._jobs[job.name] = job
            self._wake.notify_all()
            return job.shown()

    def get(self, call: Call, name: str) -> dict[str, Json]:
        """GetJob."""
        self._may(call, "get", name)
        with self._wake:
            return self._job(name).shown()

    def list(self, call: Call, parent: str) -> dict[str, Json]:
        """ListJobs, in one page."""
        self._may(call, "list", parent)
        with self._wake:
            found: list[Json] = [
                job.shown() for name, job in sorted(self._jobs.items()) if name.startswith(f"{parent}/jobs/")
            ]
        return {"jobs": found} if found else {}

    def delete(self, call: Call, name: str) -> dict[str, Json]:
        """DeleteJob."""
        self._may(call, "delete", name)
        with self._wake:
            self._job(name)
            del self._jobs[name]
        return {}

    def update(self, call: Call, name: str, given: Mapping[str, Json]) -> dict[str, Json]:
        """UpdateJob, as a whole."""
        self._may(call, "update", name)
        found = NAME.fullmatch(name)
        job = self._planned(call, job_of({**given, "name": name}, found["parent"] if found else "", call.now))
        with self._wake:
            self._job(name)
            self._jobs[name] = job
            self._wake.notify_all()
            return job.shown()

    def run(self, call: Call, name: str) -> dict[str, Json]:
        """RunJob: an attempt as soon as can be; the answer does not wait for it."""
        self._may(call, "run", name)
        with self._wake:
            job = self._job(name)
            job.due, job.tries = call.now, 0
            self._wake.notify_all()
            return job.shown()

    def tick(self) -> None:
        """Attempt whatever is due by now."""
        now = self.clock()
        with self._wake:
            due = [] if self.stalled else [job for job in self._jobs.values() if job.due is not None and job.due <= now]
        for job in due:
            code = self._attempt(job)
            with self._wake:
                self.attempts.append(Attempt(job.name, now, code))
                self._ended(job, code, now)

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._closing:
                    return
                if not any(job.due is not None and job.due <= self.clock() for job in self._jobs.values()):
                    self._wake.wait(TICK if self._jobs else None)
                elif self.stalled:
                    self._wake.wait(TICK)
            self.tick()

    def _ended(self, job: Job, code: int, now: datetime) -> None:
        job.attempted = now
        job.status = {"code": code, "message": f"the target answered with code {code}"} if code else {}
        if job.next is not None and job.next <= now:
            job.next = job.cron.after(now)
        job.tries += 1
        if code and job.tries <= job.retries:
            job.due = now + _BACK_OFF
        else:
            job.due, job.tries = job.next, 0

    def _attempt(self, job: Job) -> int:
        """The code that it ended with; 0: well."""
        try:
            self.faults.before(INVOKE)
        except ApiError as error:
            return error.number
        where = self.dial(job.host)
        if where is None:
            return 14
        connection = http.client.HTTPConnection(*where, timeout=min(_CALL_S, job.deadline.total_seconds()))
        token = self.mint(f"serviceAccount:{job.account}")
        try:
            headers = {**job.headers, "Host": job.host, "Authorization": f"Bearer {token}"}
            connection.request(job.method, job.path, body=job.body or None, headers=headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 14
        finally:
            with suppress(OSError):
                connection.close()
        return 0 if 200 <= status < 300 else _CODES.get(status, 13)

    def _planned(self, call: Call, job: Job) -> Job:
        account = f"projects/{job.project}/serviceAccounts/{job.account}"
        call.require("iam.serviceAccounts.actAs", account, "iam.googleapis.com")
        return job

    def _job(self, name: str) -> Job:
        job = self._jobs.get(name)
        if job is None:
            raise not_found("Job", name)
        return job

    def _may(self, call: Call, verb: str, resource: str) -> None:
        if not resource.startswith("projects/"):
            raise invalid("The resource name is not valid.")
        call.resource = resource
        if not call.may(f"cloudscheduler.jobs.{verb}", resource):
            raise denied(f"cloudscheduler.jobs.{verb}", resource, _DOMAIN)
