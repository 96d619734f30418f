"""The lab's Cloud Scheduler over plain HTTP: it takes what Google takes, and really calls the target."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from keycheck.lab.gcp.cron import Cron
from keycheck.lab.gcp.store import State

ACTOR = "key-dead-man@acme.iam.gserviceaccount.com"
KEEPER = "serviceAccount:restore@acme.iam.gserviceaccount.com"
PARENT = "projects/acme/locations/europe-west3"
JOB = f"{PARENT}/jobs/keycheck-d1-1"
VERSION = f"{PARENT}/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
URI = f"https://cloudkms.googleapis.com/v1/{VERSION}?updateMask=state"


def ask(estate, method: str, path: str, body: object = None, *, who: str = KEEPER, token: str | None = None):
    """Status and JSON."""
    connection = http.client.HTTPConnection(estate.cloud.rest_address, timeout=5)
    sent = None if body is None else json.dumps(body)
    headers = {"Authorization": f"Bearer {token or estate.cloud.token(who)}", "Content-Type": "application/json"}
    connection.request(method, f"/v1/{path}", sent, headers)
    reply = connection.getresponse()
    try:
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def job(**changed: object) -> dict[str, object]:
    target = {
        "uri": URI,
        "httpMethod": "PATCH",
        "headers": {"Content-Type": "application/json"},
        "body": base64.b64encode(b'{"state":"ENABLED"}').decode(),
        "oauthToken": {"serviceAccountEmail": ACTOR, "scope": "https://www.googleapis.com/auth/cloudkms"},
    }
    return {
        "name": JOB,
        "schedule": "5 12 22 11 *",
        "timeZone": "Etc/UTC",
        "httpTarget": target,
        "retryConfig": {"retryCount": 2},
        "attemptDeadline": "30s",
        **changed,
    }


def soon(done: Callable[[], object]) -> None:
    """In real seconds, by the lab's own thread."""
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


@pytest.fixture
def disabled(estate):
    """The version, disabled; a service account that may enable it; and who may plan."""
    iam = estate.cloud.iam
    iam.role("projects/acme/roles/enables", ["cloudkms.cryptoKeyVersions.update"])
    iam.bind(VERSION.partition("/cryptoKeyVersions/")[0], "projects/acme/roles/enables", f"serviceAccount:{ACTOR}")
    iam.bind("projects/acme", "roles/cloudscheduler.admin", KEEPER)
    iam.bind(f"projects/acme/serviceAccounts/{ACTOR}", "roles/iam.serviceAccountUser", KEEPER)
    version = estate.cloud.kms.version(VERSION)
    version.state = State.DISABLED
    return version


def test_it_fires_when_due_as_the_service_account(estate, disabled) -> None:
    status, made = ask(estate, "POST", f"{PARENT}/jobs", job())
    assert (status, made["state"], made["scheduleTime"]) == (200, "ENABLED", "2026-11-22T12:05:00Z")
    assert "lastAttemptTime" not in made
    estate.pass_time(minutes=4, seconds=59)
    time.sleep(0.1)
    assert disabled.state is State.DISABLED
    estate.pass_time(seconds=1)
    soon(lambda: disabled.state is State.ENABLED)
    soon(lambda: "lastAttemptTime" in ask(estate, "GET", JOB)[1])
    shown = ask(estate, "GET", JOB)[1]
    assert (shown["status"], shown["scheduleTime"]) == ({}, "2027-11-22T12:05:00Z")
    assert [each.code for each in estate.cloud.scheduler.attempts] == [0]
    assert (f"serviceAccount:{ACTOR}", "cloudkms.cryptoKeyVersions.update") in estate.cloud.iam.asked()
    logged = [entry for entry in estate.cloud.logs.entries() if entry.method == "UpdateCryptoKeyVersion"]
    assert [entry.principal for entry in logged] == [f"serviceAccount:{ACTOR}"]


def test_it_runs_when_asked(estate, disabled) -> None:
    ask(estate, "POST", f"{PARENT}/jobs", job())
    assert ask(estate, "POST", f"{JOB}:run", {})[0] == 200
    soon(lambda: disabled.state is State.ENABLED)
    soon(lambda: ask(estate, "GET", JOB)[1].get("status") == {})
    assert ask(estate, "GET", JOB)[1]["scheduleTime"] == "2026-11-22T12:05:00Z"


def test_a_service_account_without_rights_is_told(estate, disabled) -> None:
    estate.cloud.iam.role("projects/acme/roles/enables", [])
    ask(estate, "POST", f"{PARENT}/jobs", job(retryConfig={"retryCount": 0}))
    ask(estate, "POST", f"{JOB}:run", {})
    soon(lambda: "status" in ask(estate, "GET", JOB)[1])
    assert ask(estate, "GET", JOB)[1]["status"]["code"] == 7
    assert disabled.state is State.DISABLED


def test_it_tries_again(estate, disabled) -> None:
    estate.cloud.faults.fail("InvokeTarget", grpc.StatusCode.UNAVAILABLE, times=1)
    ask(estate, "POST", f"{PARENT}/jobs", job())
    ask(estate, "POST", f"{JOB}:run", {})
    soon(lambda: estate.cloud.scheduler.attempts)
    estate.pass_time(seconds=5)
    soon(lambda: disabled.state is State.ENABLED)
    soon(lambda: [each.code for each in estate.cloud.scheduler.attempts] == [14, 0])


def test_a_service_that_stands_still(estate, disabled) -> None:
    estate.cloud.scheduler.stalled = True
    ask(estate, "POST", f"{PARENT}/jobs", job())
    ask(estate, "POST", f"{JOB}:run", {})
    estate.pass_time(hours=1)
    time.sleep(0.1)
    assert disabled.state is State.DISABLED
    assert "lastAttemptTime" not in ask(estate, "GET", JOB)[1]


def test_listed_changed_and_deleted(estate, disabled) -> None:
    assert ask(estate, "GET", f"{PARENT}/jobs") == (200, {})
    ask(estate, "POST", f"{PARENT}/jobs", job())
    assert ask(estate, "POST", f"{PARENT}/jobs", job())[0] == 409
    assert [each["name"] for each in ask(estate, "GET", f"{PARENT}/jobs")[1]["jobs"]] == [JOB]
    assert ask(estate, "PATCH", JOB, job(schedule="9 12 22 11 *"))[1]["scheduleTime"] == "2026-11-22T12:09:00Z"
    assert ask(estate, "DELETE", JOB) == (200, {})
    for method in ("GET", "DELETE"):
        assert ask(estate, method, JOB)[0] == 404
    estate.pass_time(hours=1)
    time.sleep(0.1)
    assert disabled.state is State.DISABLED


def test_who_may(estate, disabled) -> None:
    iam = estate.cloud.iam
    assert ask(estate, "GET", JOB, token="ya29.wrong")[0] == 401
    status, told = ask(estate, "POST", f"{PARENT}/jobs", job(), who="serviceAccount:x@acme.iam.gserviceaccount.com")
    assert (status, told["error"]["status"]) == (403, "PERMISSION_DENIED")
    iam.unbind(f"projects/acme/serviceAccounts/{ACTOR}", "roles/iam.serviceAccountUser", KEEPER)
    status, told = ask(estate, "POST", f"{PARENT}/jobs", job())
    assert (status, "iam.serviceAccounts.actAs" in told["error"]["message"]) == (403, True)
    assert estate.cloud.scheduler.names() == ()


def test_what_it_refuses(estate, disabled) -> None:
    target = job()["httpTarget"]
    assert isinstance(target, dict)
    stranger = {"serviceAccountEmail": "x@other.iam.gserviceaccount.com"}
    for wrong in (
        {"schedule": "whenever"},
        {"schedule": "99 12 * * *"},
        {"timeZone": "Middle/Earth"},
        {"attemptDeadline": "5s"},
        {"retryConfig": {"retryCount": 9}},
        {"name": JOB.replace("acme", "other")},
        {"surprise": 1},
        {"httpTarget": {**target, "uri": "https://example.org/"}},
        {"httpTarget": {**target, "uri": URI.replace("https", "http")}},
        {"httpTarget": {**target, "body": "?"}},
        {"httpTarget": {**target, "oauthToken": stranger}},
    ):
        assert ask(estate, "POST", f"{PARENT}/jobs", job(**wrong))[0] == 400, wrong
    assert (
        ask(estate, "POST", "projects/acme/locations/global/jobs", job(name=JOB.replace("europe-west3", "global")))[0]
        == 400
    )
    assert ask(estate, "GET", "projects/acme/locations")[0] == 501
    estate.cloud.faults.throttle("CreateJob", times=1)
    assert ask(estate, "POST", f"{PARENT}/jobs", job())[0] == 429


@pytest.mark.parametrize(
    ("text", "zone", "after"),
    [
        ("5 12 22 11 *", "Etc/UTC", "2026-11-22T12:05:00"),
        ("0 12 22 11 *", "Etc/UTC", "2027-11-22T12:00:00"),
        ("30 14 * * *", "Europe/Berlin", "2026-11-22T13:30:00"),
        ("0 0 29 2 *", "Etc/UTC", "2028-02-29T00:00:00"),
        ("0,30 * * * 1", "Etc/UTC", "2026-11-23T00:00:00"),
        ("0 0 1 * 7", "Etc/UTC", "2026-11-29T00:00:00"),
    ],
)
def test_cron(text: str, zone: str, after: str) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert Cron(text, zone).after(noon) == datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert Cron("0 0 31 2 *", zone).after(noon + timedelta(0)) is None
