"""Answers that are too large, too long on their way, or never come: one of them never costs the rest of a key."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys import aws
from probes.keys.aspects import Aspect
from probes.keys.aws.configuration import fitting
from probes.keys.subjects import Key

NAME = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{NAME}"
METADATA = {
    "AWSAccountId": "111122223333",
    "KeyId": NAME,
    "Arn": ARN,
    "CreationDate": 1_700_000_000,
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeyState": "Enabled",
    "Origin": "AWS_KMS",
    "KeyManager": "CUSTOMER",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "MultiRegion": False,
}


def subject(resource: str = ARN) -> Key:
    return Key.model_validate({"id": "k", "provider": "aws", "resource": resource, "model": "direct-kms"})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)


@pytest.fixture
def io(script, configure, make_io):
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "x", None))
    script.replies["DescribeKey"] = {"KeyMetadata": METADATA}
    return make_io()


def grants(io) -> object:
    return aws.key(subject(), "eu-central-1", frozenset({Aspect.GRANTS}), io)[0].grants


@pytest.mark.parametrize(
    "body",
    [
        b'{"Grants": [], "x": "' + b" " * 2**20 + b'"}',
        b'{"Grants": [], "x": [' + b"{}," * 100_000 + b"{}]}",
        b'{"Grants": [], "x": [' + b"[]," * 100_000 + b"[]]}",
        b'{"Grants": [], "x": [' + b"1," * 500_001 + b"1]}",
        b'{"Grants": [{"GrantId": "a", "CreationDate": "' + b"1 " * 21 + b'"}]}',
        b'{"Grants": [' + b'{"GrantId": "a"},' * 1000 + b"{}]}",
        b'{"Grants": [{"Constraints": {"EncryptionContextEquals": {'
        + b",".join(b'"%d": "a"' % n for n in range(1001))
        + b"}}}]}",
    ],
    ids=["long", "objects", "lists", "members", "time", "entries", "mapping"],
)
def test_a_body_that_costs_too_much_is_malformed_at_once(script, io, body: bytes) -> None:
    script.replies["ListGrants"] = (200, body)
    started = time.process_time()
    found = grants(io)
    assert isinstance(found, Unseen)
    assert found.reason is Reason.MALFORMED
    assert time.process_time() - started < 2
    assert [operation for operation, _ in script.asked].count("ListGrants") == 1


def test_more_grants_than_a_line_of_evidence_holds_cost_the_grants_alone(script, io) -> None:
    def page(body: dict[str, object]) -> dict[str, object]:
        number = int(str(body.get("Marker") or 0))
        one = {"GranteePrincipal": "arn:aws:iam::444455556666:role/app", "Operations": ["Decrypt", "Encrypt"]}
        listed = [{"GrantId": f"{number}-{n:062x}", **one} for n in range(100)]
        return {"Grants": listed, "Truncated": number < 39, **({"NextMarker": str(number + 1)} if number < 39 else {})}

    script.replies["ListGrants"] = page
    script.replies["ListResourceTags"] = {"Tags": []}
    facts, _ = aws.key(subject(), "eu-central-1", frozenset({Aspect.GRANTS, Aspect.TAGS}), io)
    assert isinstance(facts.grants, Unseen)
    assert facts.grants.reason is Reason.NOT_COVERED
    assert "4000 of them" in facts.grants.detail
    assert facts.tags == ()
    assert len(facts.model_dump_json()) < 10_000


def test_what_fits_is_handed_on() -> None:
    assert fitting("tags", 20, lambda: (("a", "b"),))() == (("a", "b"),)


@pytest.fixture
def hanging() -> Iterator[Callable[[bytes, bytes], str]]:
    """Servers that say `first` and then, ten times a second, `again`, and never anything else."""
    stop = threading.Event()
    listeners: list[socket.socket] = []

    def answer(connection: socket.socket, first: bytes, again: bytes) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(first)
                while not stop.wait(0.1):
                    if again:
                        connection.sendall(again)
            except OSError:
                """Hung up at last."""

    def serve(listening: socket.socket, first: bytes, again: bytes) -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection, first, again), daemon=True).start()

    def start(first: bytes, again: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        listeners.append(listening)
        threading.Thread(target=serve, args=(listening, first, again), daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    stop.set()
    for listening in listeners:
        listening.close()


DRIPS = {
    "silent": (b"", b""),
    "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n{}", b" "),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_trickle_is_cut_and_costs_no_other_answer(script, io, make_io, hanging, monkeypatch, drip) -> None:
    """STS trickles and KMS answers: the key is known but for who asked, within the time for one key."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", hanging(*drip))
    script.replies["ListResourceTags"] = {"Tags": []}
    started = time.monotonic()
    asked = frozenset({Aspect.CALLER, Aspect.TAGS})
    facts, _ = aws.key(subject(), "eu-central-1", asked, make_io(budget=2.5))
    assert facts.tags == ()
    assert isinstance(facts.caller, Unseen)
    assert facts.caller.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 2


def test_the_silence_of_a_service_costs_time_once(script, io, make_io, hanging, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", hanging(*DRIPS["headers"]))
    shared = make_io(budget=2.5)
    seen = []
    for _ in range(2):
        started = time.monotonic()
        facts, blobs = aws.key(subject(), "eu-central-1", frozenset({Aspect.CALLER}), shared)
        seen.append((facts.caller, time.monotonic() - started))
        assert b"GetCallerIdentity" in blobs[-1].content
    assert seen[0][0] == seen[1][0]
    assert seen[1][1] < 0.5 < seen[0][1]


def test_what_was_found_is_handed_over_when_all_else_is_silent(script, make_io, io) -> None:
    def hang(_: object) -> tuple[int, bytes]:
        time.sleep(4)
        return 200, b"{}"

    asked = frozenset({Aspect.GRANTS, Aspect.TAGS, Aspect.ALIASES, Aspect.ROTATION})
    for operation in ("ListGrants", "ListResourceTags", "ListAliases", "GetKeyRotationStatus"):
        script.replies[operation] = hang
    started = time.monotonic()
    facts, _ = aws.key(subject(), "eu-central-1", asked, make_io(budget=3.0))
    assert time.monotonic() - started < 3.0
    assert facts.description.state == "Enabled"
    assert {facts.grants.reason, facts.tags.reason, facts.aliases.reason} == {Reason.TIMEOUT}


def test_events_may_be_large(script, io) -> None:
    from datetime import UTC, datetime, timedelta

    script.replies["LookupEvents"] = (200, json.dumps({"Events": [], "x": "y" * 2**21}).encode())
    script.replies["GetCallerIdentity"] = (
        200,
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>'
        b"arn:aws:iam::111122223333:user/x</Arn><UserId>A</UserId><Account>111122223333</Account>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>",
    )
    now = datetime.now(UTC)
    window = (now - timedelta(days=1), now)
    _, events, _, _ = aws.log(subject(), "eu-central-1", frozenset({Aspect.EVENTS}), window, io)
    assert not isinstance(events, Unseen)
    assert events.complete
