"""One job of Cloud Scheduler, from the JSON that creates it to the JSON that shows it.

Shapes: Cloud Scheduler API reference, REST resource v1.projects.locations.jobs. The lab takes HTTP targets with an
OAuth token alone, which that page allows for `*.googleapis.com` only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from keycheck.lab.gcp.cron import Cron
from keycheck.lab.gcp.errors import invalid

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

NAME: Final = re.compile(
    r"(?P<parent>projects/(?P<project>[a-z0-9-]{1,63})/locations/(?P<location>[a-z0-9-]{1,40}))/jobs/[A-Za-z0-9_-]{1,500}"
)
_REGION: Final = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_URI: Final = re.compile(r"https://(?P<host>[a-z0-9.-]+\.googleapis\.com)(?P<path>/[!-~]*)")
_ACCOUNT: Final = re.compile(r"[a-z0-9-]{1,63}@(?P<project>[a-z0-9-]{1,63})\.iam\.gserviceaccount\.com")
_SECONDS: Final = re.compile(r"(\d{1,6})s")
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_JOB: Final = frozenset(
    {"name", "description", "schedule", "timeZone", "httpTarget", "retryConfig", "attemptDeadline", "state"}
    | {"scheduleTime", "lastAttemptTime", "userUpdateTime", "status"}
)
_TARGET: Final = frozenset({"uri", "httpMethod", "headers", "body", "oauthToken"})
_METHODS: Final = ("POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
_RETRIES: Final[Mapping[str, Json]] = {
    "maxRetryDuration": "0s",
    "minBackoffDuration": "5s",
    "maxBackoffDuration": "3600s",
    "maxDoublings": 5,
}


@dataclass(slots=True)
class Job:
    """One job."""

    name: str
    project: str
    description: str
    cron: Cron
    host: str
    path: str
    uri: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    account: str
    scope: str
    deadline: timedelta
    retries: int
    changed: datetime
    next: datetime | None
    """By its schedule."""
    due: datetime | None
    """When it is attempted next: by its schedule, again after a failure, or because somebody asked."""
    tries: int = 0
    attempted: datetime | None = None
    status: dict[str, Json] | None = None
    """Of the last attempt; empty when it went well."""

    def shown(self) -> dict[str, Json]:
        """As the API answers it."""
        found: dict[str, Json] = {
            "name": self.name,
            "schedule": self.cron.text,
            "timeZone": self.cron.zone,
            "userUpdateTime": written(self.changed),
            "state": "ENABLED",
            "attemptDeadline": f"{self.deadline.total_seconds():.0f}s",
            "retryConfig": {**_RETRIES, **({"retryCount": self.retries} if self.retries else {})},
            "httpTarget": {
                "uri": self.uri,
                "httpMethod": self.method,
                "headers": {**self.headers, "User-Agent": "Google-Cloud-Scheduler"},
                "body": base64.b64encode(self.body).decode(),
                "oauthToken": {"serviceAccountEmail": self.account, "scope": self.scope},
            },
        }
        if self.description:
            found["description"] = self.description
        if self.next is not None:
            found["scheduleTime"] = written(self.next)
        if self.attempted is not None:
            found["lastAttemptTime"] = written(self.attempted)
        if self.status is not None:
            found["status"] = dict(self.status)
        return found


def job_of(given: Mapping[str, Json], parent: str, now: datetime) -> Job:
    """Raises INVALID_ARGUMENT."""
    if unknown := sorted(given.keys() - _JOB):
        raise invalid(f"Invalid JSON payload received. Unknown name {unknown[0]!r}: Cannot find field.")
    name = _text(given, "name")
    found = NAME.fullmatch(name)
    if found is None or found["parent"] != parent:
        raise invalid("Job name must be formatted: projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>.")
    if _REGION.fullmatch(found["location"]) is None:
        raise invalid(f"Location {found['location']} is not a valid location.")
    try:
        cron = Cron(_text(given, "schedule"), _text(given, "timeZone", "Etc/UTC"))
    except ValueError:
        raise invalid("Schedule or time zone is not valid.") from None
    target = given.get("httpTarget")
    if not isinstance(target, dict) or not target.keys() <= _TARGET:
        raise invalid("The lab takes an http_target with an oauth_token alone.")
    uri = _text(target, "uri")
    where = _URI.fullmatch(uri)
    if where is None:
        raise invalid("HttpTarget.oauth_token is for URIs of *.googleapis.com.")
    method = target.get("httpMethod", "POST")
    if isinstance(method, int) and 0 < method <= len(_METHODS):  # Google's own clients write enums as numbers
        method = _METHODS[method - 1]
    if not isinstance(method, str) or method not in _METHODS:
        raise invalid("HttpTarget.http_method is not valid.")
    account, scope = _token(target, found["project"])
    due = cron.after(now)
    return Job(
        name=name,
        project=found["project"],
        description=_text(given, "description", "")[:500],
        cron=cron,
        host=where["host"],
        path=where["path"],
        uri=uri,
        method=method,
        headers=_headers(target),
        body=_body(target),
        account=account,
        scope=scope,
        deadline=_deadline(given),
        retries=_retries(given),
        changed=now,
        next=due,
        due=due,
    )


def written(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _token(target: Mapping[str, Json], project: str) -> tuple[str, str]:
    token = target.get("oauthToken")
    if not isinstance(token, dict):
        raise invalid("The lab takes an http_target with an oauth_token alone.")
    account = _text(token, "serviceAccountEmail")
    found = _ACCOUNT.fullmatch(account)
    if found is None or found["project"] != project:
        raise invalid("The service account must be within the same project as the job.")
    return account, _text(token, "scope", _SCOPE)


def _headers(target: Mapping[str, Json]) -> Mapping[str, str]:
    headers = target.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(each, str) for each in headers.values()):
        raise invalid("HttpTarget.headers is not valid.")
    return {name: str(value) for name, value in headers.items()}


def _body(target: Mapping[str, Json]) -> bytes:
    try:
        return base64.b64decode(_text(target, "body", ""), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("HttpTarget.body: Base64 decoding failed.") from None


def _deadline(given: Mapping[str, Json]) -> timedelta:
    found = _SECONDS.fullmatch(_text(given, "attemptDeadline", "180s"))
    if found is None or not 15 <= int(found[1]) <= 1800:
        raise invalid("attempt_deadline must be in the interval [15 seconds, 30 minutes].")
    return timedelta(seconds=int(found[1]))


def _retries(given: Mapping[str, Json]) -> int:
    config = given.get("retryConfig", {})
    count = config.get("retryCount", 0) if isinstance(config, dict) else None
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 5:
        raise invalid("RetryConfig.retry_count must be between 0 and 5.")
    return count


def _text(given: Mapping[str, Json], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or (default is None and not value):
        raise invalid(f"{name} must be set to a string.")
    return value
