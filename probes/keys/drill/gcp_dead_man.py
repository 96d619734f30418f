"""The dead-man of Google Cloud: jobs of Cloud Scheduler, one for each version, whose service account enables it.

Source: Cloud Scheduler API reference, REST resource v1.projects.locations.jobs, and "Authentication" for HTTP targets.
Cloud Scheduler knows no time without recurrence: a job whose cron names minute, hour, day and month would run again a
year later, and is therefore deleted, by us or by a person.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import parse_instant, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.names import KeyName
from probes.clouds.gcp.rest import Answer, Rest, RestError
from probes.keys.drill.dead_man import GRACE, Waiting, Waits, insistent, name_of, unverified
from probes.keys.drill.gcp_calls import Sleep
from probes.keys.subjects import DeadMan, Key

NEEDS: Final = (
    "cloudscheduler.jobs.create",
    "cloudscheduler.jobs.delete",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.run",
    "iam.serviceAccounts.actAs",
)
"""What the identity that restores needs in the service account's project (the last one on the service account)."""
ACTOR_NEEDS: Final = ("cloudkms.cryptoKeyVersions.update",)
"""What the service account needs on the canary's key, and no more."""
_ACTOR: Final = re.compile(r"serviceAccount:(?P<email>[a-z0-9-]+@(?P<project>[a-z0-9-]+)\.iam\.gserviceaccount\.com)")
_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
_STATE: Final = base64.b64encode(b'{"state":"ENABLED"}').decode()


@dataclass(frozen=True, slots=True)
class GcpDeadMan:
    """The jobs of one drill, in the hands of the identity that restores.

    Proved by `arm`: the very job was run once, by the service and as the service account, and its call was answered
    well; and it reads back as it was asked for, due after the deadline. Not proved: that the service works on the day,
    that nobody takes the account's rights or deletes the job meanwhile. A cloud that did not enable what is enabled
    already could not show it, and the drill would not start.
    """

    drill: str
    subject: Key
    man: DeadMan
    key: KeyName
    deadline: datetime
    waits: Waits
    sleep: Sleep

    def arm(self, versions: Sequence[str], io: Io) -> None:
        """Make the jobs, and run each once on the version as it is. Raises ProbeError, having taken away again what it
        had made."""
        self.parent()
        try:
            waiting = Waiting(self.waits, self.deadline, self.sleep, io)
            for version in versions:
                self._create(version, io)
                before = self._job(version, io).get("lastAttemptTime")
                rest = self._rest(io)
                rest.ask("POST", f"{self.name(version)}:run", {}, f"run the dead-man of version {version}")
                waiting.until(
                    partial(self._ran, version, before, io), f"the job for version {version} was run and did not fire"
                )
            self.armed(versions, io)
        except ProbeError:
            for version in versions:
                with suppress(ProbeError):
                    self.disarm(version, io)
            raise

    def armed(self, versions: Sequence[str], io: Io) -> None:
        """Raises ProbeError unless the jobs stand as they were asked for."""
        for version in versions:
            if wrong := self._differs(version, self._found(version, io), io):
                raise unverified(f"the job for version {version} reads back with another {wrong}")

    def disarm(self, version: str, io: Io) -> None:
        """Delete the job, if it is there. Raises ProbeError."""
        insistent(partial(self._delete, version, io), self.sleep)

    def dismiss(self, version: str, io: Io) -> None:
        """As `disarm`, when the version is back: a failure is no restore that failed, and `left` tells it."""
        with suppress(ProbeError):
            self.disarm(version, io)

    def left(self, version: str, io: Io) -> str:
        """Whether the job still stands, in words for people; empty when it does not."""
        try:
            there = self._found(version, io) is not None
        except ProbeError as error:
            return f"not known whether the dead-man {self.name(version)} is gone: {error}"
        return f"the dead-man {self.name(version)} still stands: delete it" if there else ""

    def parent(self) -> str:
        """Where the jobs are: the service account's project, as Cloud Scheduler demands. Raises ProbeError."""
        found = _ACTOR.fullmatch(self.man.actor)
        if found is None:
            raise ProbeError(
                Reason.UNSUPPORTED,
                "the `dead_man` of a Google key is a service account: `actor: serviceAccount:NAME@PROJECT.iam.gservice"
                "account.com`",
            )
        return f"projects/{found['project']}/locations/{self.man.location or self.key.location}"

    def name(self, version: str) -> str:
        """Of the job for one version."""
        return f"{self.parent()}/jobs/{name_of(self.drill, version)}"

    def delete_command(self, version: str) -> str:
        """What a person types when the version is back."""
        _, project, _, location, _, job = self.name(version).split("/")
        return vendor_text(f"gcloud scheduler jobs delete {job} --project {project} --location {location} --quiet")

    def _when(self) -> datetime:
        """The minute after the deadline and its grace."""
        moment = (self.deadline + GRACE).astimezone(UTC)
        whole = moment.replace(second=0, microsecond=0)
        return whole if whole == moment else whole + timedelta(minutes=1)

    def _rest(self, io: Io) -> Rest:
        ref = self.subject.identities.restore
        return Rest.of("cloudscheduler", clients.identity_of(ref, io).scheduler_endpoint, ref, io, self.sleep)

    def _asked(self, version: str, io: Io) -> dict[str, Any]:
        universe, when = clients.identity_of(self.subject.identities.restore, io).universe_domain, self._when()
        version_name = f"{self.key.full}/cryptoKeyVersions/{version}"
        return {
            "name": self.name(version),
            "description": f"keycheck drill {self.drill}: enables version {version} again",
            "schedule": f"{when.minute} {when.hour} {when.day} {when.month} *",
            "timeZone": "Etc/UTC",
            "attemptDeadline": "30s",
            "retryConfig": {"retryCount": 5},
            "httpTarget": {
                "uri": f"https://cloudkms.{universe}/v1/{version_name}?updateMask=state",
                "httpMethod": "PATCH",
                "headers": {"Content-Type": "application/json"},
                "body": _STATE,
                "oauthToken": {
                    "serviceAccountEmail": self.man.actor.removeprefix("serviceAccount:"),
                    "scope": _SCOPE,
                },
            },
        }

    def _create(self, version: str, io: Io) -> None:
        try:
            self._rest(io).ask(
                "POST", f"{self.parent()}/jobs", self._asked(version, io), f"make the dead-man of version {version}"
            )
        except RestError as error:
            if error.status == 400:
                raise unverified(f"Cloud Scheduler refuses it: {error}") from error
            if error.status != 409:  # what is there already is compared when it is read back
                raise

    def _delete(self, version: str, io: Io) -> None:
        try:
            self._rest(io).ask("DELETE", self.name(version), None, f"delete the dead-man of version {version}")
        except RestError as error:
            if error.status != 404:
                raise

    def _found(self, version: str, io: Io) -> Answer | None:
        try:
            return self._rest(io).ask("GET", self.name(version), None, f"get the dead-man of version {version}")
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def _job(self, version: str, io: Io) -> Answer:
        found = self._found(version, io)
        if found is None:
            raise unverified(f"the job for version {version} is gone again")
        return found

    def _ran(self, version: str, before: object, io: Io) -> bool:
        """Whether an attempt after `before` ended well. Raises ProbeError(unsupported) when one ended otherwise."""
        job = self._job(version, io)
        last, status = job.get("lastAttemptTime"), job.get("status")
        if not isinstance(last, str) or last == before or not isinstance(status, dict):
            return False
        code = status.get("code", 0)
        if code == -1:  # under way
            return False
        if isinstance(code, bool) or code != 0:
            raise unverified(
                f"the job for version {version} fired, and its call ended with code {str(code)[:10]} of "
                "google.rpc.Code: see that the service account may enable the version"
            )
        return True

    def _differs(self, version: str, job: Answer | None, io: Io) -> str:
        """The first field that is not as asked; empty when all are. What the service adds is left alone."""
        if job is None:
            return "name"
        asked = self._asked(version, io)
        for name, value in asked.items():
            if not _holds(job.get(name), value):
                return name
        target = job.get("httpTarget")
        if job.get("state") != "ENABLED" or (isinstance(target, dict) and "oidcToken" in target):
            return "state"
        try:
            return "" if parse_instant(job.get("scheduleTime")) == self._when() else "scheduleTime"
        except ValueError:
            return "scheduleTime"


def _holds(found: object, wanted: object) -> bool:
    """Whether everything wanted is there, with the same values."""
    if isinstance(wanted, Mapping):
        return isinstance(found, dict) and all(_holds(found.get(name), value) for name, value in wanted.items())
    return type(found) is type(wanted) and found == wanted
