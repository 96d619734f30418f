"""Google's REST APIs answer what they like: it stays bounded, and is never taken for more than it is."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from gcp_company import Company, founded

from keycheck.errors import ProbeError
from keycheck.lab.aws.wire import Answer, Request, Reset, Server
from keycheck.model.verdict import Reason
from probes.clouds.gcp.rest import Rest, RestError
from probes.clouds.gcp.token_http import Room


class Stranger:
    """Says one thing to everybody, and remembers what it was told."""

    def __init__(self) -> None:
        self.says: Answer | Reset = Answer(200, b"{}")
        self.heard: list[Request] = []
        self.server = Server(self._answer)

    def _answer(self, request: Request) -> Answer | Reset:
        self.heard.append(request)
        return self.says


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    made.server.start()
    yield made
    made.server.close()


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with founded(tmp_path) as found:
        yield found


def rest(company: Company, stranger: Stranger) -> Rest:
    endpoint = f"127.0.0.1:{stranger.server.port}"
    return Rest.of("cloudscheduler", endpoint, "inspector", company.io(), lambda seconds: None)


def told(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"error": {"code": status, "message": message}}).encode())


def test_a_good_answer_under_a_token_that_was_fetched(company: Company, stranger: Stranger) -> None:
    stranger.says = Answer(200, b'{"name": "j"}')
    door = rest(company, stranger)
    assert door.ask("POST", "projects/p/x", {"a": 1}, "make x") == {"name": "j"}
    (request,) = stranger.heard
    assert (request.method, request.path, json.loads(request.body)) == ("POST", "/v1/projects/p/x", {"a": 1})
    assert request.headers["authorization"].startswith("Bearer ya29.")
    assert "ya29" not in repr(door)


@pytest.mark.parametrize(
    ("says", "reason", "tries"),
    [
        (Answer(200, b"not json"), Reason.MALFORMED, 1),
        (Answer(200, b"[]"), Reason.MALFORMED, 1),
        (Answer(200, b"[" * 150 + b"]" * 150), Reason.MALFORMED, 1),
        (Answer(200, b'{"a":' * 201 + b"1" + b"}" * 201), Reason.UNREACHABLE, 3),
        (Answer(200, b"{" + b" " * 70_000 + b"}"), Reason.UNREACHABLE, 3),
        (Answer(200, b'{"name": "j"}', cut=4), Reason.UNREACHABLE, 3),
        (Reset(), Reason.UNREACHABLE, 3),
        (told(400, "no"), Reason.MALFORMED, 1),
        (told(401, "no"), Reason.PERMISSION_DENIED, 1),
        (told(403, "no"), Reason.PERMISSION_DENIED, 1),
        (told(404, "no"), Reason.UNREACHABLE, 1),
        (told(429, "no"), Reason.THROTTLED, 3),
        (told(503, "no"), Reason.UNREACHABLE, 3),
        (Answer(302, b"{}", headers={"Location": "https://example.org"}), Reason.MALFORMED, 1),
    ],
)
def test_whatever_else_is_a_reason(
    company: Company, stranger: Stranger, says: Answer | Reset, reason: Reason, tries: int
) -> None:
    stranger.says = says
    with pytest.raises(ProbeError) as caught:
        rest(company, stranger).ask("GET", "projects/p/x", None, "get x")
    assert (caught.value.reason, len(stranger.heard)) == (reason, tries), caught.value


def test_a_token_that_is_said_back_is_not_repeated(company: Company, stranger: Stranger) -> None:
    stranger.says = told(403, f"I heard Bearer {'ya29.lab-' + 'a' * 48} from you\x1b[2J")
    with pytest.raises(RestError) as caught:
        rest(company, stranger).ask("GET", "projects/p/x", None, "get x")
    assert "ya29" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.status == 403


def test_whom_a_token_is_shown(company: Company) -> None:
    open_ = company.named(unsafe_plaintext_to_loopback=False)
    for identity, endpoint in (
        (open_, "scheduler.example.org"),
        (company.identity, "10.0.0.1:80"),
        (company.identity, None),
    ):
        with pytest.raises(ProbeError) as caught:
            Rest.of("cloudscheduler", endpoint, "inspector", company.io(identity), lambda seconds: None)
        assert caught.value.reason is Reason.UNSUPPORTED


def test_a_listing_may_be_larger_and_lie_elsewhere(company: Company, stranger: Stranger) -> None:
    endpoint = f"127.0.0.1:{stranger.server.port}"
    room = Room(bytes=1_000_000, brackets=5_000)
    door = Rest.of("storage", endpoint, "inspector", company.io(), lambda _: None, prefix="storage/v1", room=room)
    stranger.says = Answer(200, json.dumps({"items": [{"n": "x" * 100} for _ in range(2_000)]}).encode())
    found = door.ask("GET", "b?project=p", None, "list")
    assert isinstance(found["items"], list)
    assert stranger.heard[0].path == "/storage/v1/b?project=p"
    for says in (b'{"a":"' + b" " * 1_000_000 + b'"}', b"[" * 3_000 + b"]" * 3_000, b'{"a":' * 6_000):
        stranger.says = Answer(200, says)
        with pytest.raises(ProbeError) as caught:
            door.ask("GET", "b", None, "list")
        assert caught.value.reason in (Reason.UNREACHABLE, Reason.MALFORMED)


@pytest.mark.parametrize(
    ("error", "reason", "why"),
    [
        (
            {"details": [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "A"}]},
            Reason.PERMISSION_DENIED,
            "A",
        ),
        ({"errors": [{"reason": "accessNotConfigured"}]}, Reason.PERMISSION_DENIED, "accessNotConfigured"),
        ({"errors": [{"reason": "rateLimitExceeded"}]}, Reason.THROTTLED, "rateLimitExceeded"),
        ({"errors": [{"reason": "x" * 100}], "details": "no"}, Reason.PERMISSION_DENIED, ""),
        ({}, Reason.PERMISSION_DENIED, ""),
    ],
)
def test_why_it_was_refused(
    company: Company, stranger: Stranger, error: dict[str, object], reason: Reason, why: str
) -> None:
    stranger.says = Answer(403, json.dumps({"error": {"code": 403, "message": "no", **error}}).encode())
    with pytest.raises(RestError) as caught:
        rest(company, stranger).ask("GET", "projects/p/x", None, "get x")
    assert (caught.value.reason, caught.value.told) == (reason, why)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, again.status, again.told, str(again)) == (reason, 403, why, str(caught.value))
