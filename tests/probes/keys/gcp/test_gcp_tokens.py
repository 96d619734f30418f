"""Token services that misbehave, and tokens that come back: bounded in bytes and time, over the vantage's own way."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from gcp_company import Company
from google.auth.exceptions import RefreshError, TransportError
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp.errors import heard
from probes.clouds.gcp.token_http import MAX_ANSWER, TokenTransport
from probes.clouds.gcp.tokens import AGAIN_S, Spoken, Tokens
from probes.keys import gcp
from probes.keys.aspects import ALWAYS

Handle = Callable[[socket.socket, bytes], None]


class Authority(Protocol):
    pem: bytes

    def leaf(self, name: str) -> tuple[bytes, bytes]: ...


def whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@contextmanager
def serving(handle: Handle, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server of one exchange a connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def one(connection: socket.socket) -> None:
            try:
                with connection if context is None else context.wrap_socket(connection, server_side=True) as sock:
                    data = b""
                    # a connection that is closed before all was read is reset, and its answer lost
                    while not whole(data):
                        received = sock.recv(65_536)
                        if not received:
                            return
                        data += received
                    handle(sock, data)
            except OSError:
                pass

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def answering(body: object, status: str = "200 OK", head: str = "") -> Handle:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handle(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode() + data)

    return handle


def endless(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        sock.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")


def dripping(start: bytes, drop: bytes) -> Handle:
    def handle(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(start)
        while True:
            sock.sendall(drop)
            time.sleep(0.05)

    return handle


@pytest.mark.parametrize(
    "handle",
    [
        endless,
        answering(b"x" * (MAX_ANSWER + 1)),
        answering(b"[" * 1_000),
        dripping(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" "),
        dripping(b"", b""),
        lambda sock, _: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
        lambda sock, _: sock.sendall(b"\0" * 100),
        lambda sock, _: None,
    ],
    ids=["endless", "long", "nested", "slow-head", "slow-body", "silent", "cut", "noise", "closed"],
)
def test_an_answer_is_whole_small_and_in_time(company: Company, handle: Handle) -> None:
    began = time.monotonic()
    with serving(handle) as port, pytest.raises(TransportError):
        TokenTransport(company.io(), 0.6)(f"http://127.0.0.1:{port}/token", method="POST", body=b"a=b")
    assert time.monotonic() - began < 2


def test_a_redirect_is_not_followed(company: Company) -> None:
    heard_there: list[bytes] = []
    with serving(lambda sock, data: heard_there.append(data)) as other:
        place = f"Location: http://127.0.0.1:{other}/stolen\r\n"
        with serving(answering(b"{}", "307 x", place)) as port:
            answer = TokenTransport(company.io(), 2)(f"http://127.0.0.1:{port}/token", method="POST", body=b"secret")
    assert (answer.status, heard_there) == (307, [])
    assert "Location" not in repr(answer)


def test_without_tls_only_this_machine_is_asked(company: Company) -> None:
    io = replace(company.io(), resolver=lambda host, seconds: ("192.0.2.1",))
    with pytest.raises(TransportError) as caught:
        TokenTransport(io, 2)("http://sts.example/token", method="POST", body=b"secret")
    assert "this machine" in str(caught.value)


def partners(company: Company, authority: Authority, port: int, **vantage: object) -> Io:
    """An identity of another universe, whose token service is at the port."""
    (company.home / "ca.pem").write_bytes(authority.pem)
    (company.home / "subject.txt").write_text("subject-secret")
    document = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"https://sts.partner.test:{port}/v1/token",
        "universe_domain": "partner.test",
        "credential_source": {"file": "subject.txt"},
    }
    (company.home / "pool.json").write_text(json.dumps(document))
    identity = company.named(
        credentials="file:pool.json", universe_domain="partner.test", unsafe_foreign_endpoints=True
    )

    def resolver(host: str, seconds: float) -> Sequence[str]:
        assert host == "sts.partner.test"
        return ("127.0.0.1",)

    here = HERE.model_copy(update={"ca_bundle": "ca.pem", **vantage})
    return replace(company.io(identity), resolver=resolver, vantage=here)


def tls(home: Path, authority: Authority, name: str) -> ssl.SSLContext:
    key, certificate = authority.leaf(name)
    (home / "leaf.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "leaf.pem")
    return context


def denied(company: Company, io: Io) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        gcp.key(company.subject(company.seed()), "europe-west3", ALWAYS, io)
    return caught.value


def test_tokens_are_had_with_the_vantages_trust_store(company: Company, authority: Authority) -> None:
    asked: list[bytes] = []

    def handle(sock: socket.socket, data: bytes) -> None:
        asked.append(data)
        answering({"access_token": "t" * 40, "expires_in": 3600, "token_type": "Bearer"})(sock, data)

    with serving(handle, tls(company.home, authority, "sts.partner.test")) as port:
        error = denied(company, partners(company, authority, port))
        # the lab's cloud knows no such token: it was asked with one
        assert (error.reason, len(asked)) == (Reason.PERMISSION_DENIED, 1)
        assert "does not accept" in str(error)
        untrusting = partners(company, authority, port, ca_bundle=None)
        assert denied(company, untrusting).reason is Reason.UNREACHABLE
    with serving(handle, tls(company.home, authority, "other.test")) as port:
        assert denied(company, partners(company, authority, port)).reason is Reason.UNREACHABLE
    assert len(asked) == 1


def test_tokens_are_had_through_the_vantages_proxy(company: Company, authority: Authority) -> None:
    lines: list[bytes] = []

    def refuse(sock: socket.socket, data: bytes) -> None:
        lines.append(data.split(b"\r\n")[0])
        sock.sendall(b"HTTP/1.1 403 no\r\n\r\n")

    with serving(refuse) as proxy:
        io = partners(company, authority, 443, proxy=f"http://127.0.0.1:{proxy}")
        assert denied(company, io).reason is Reason.UNREACHABLE
    assert lines == [b"CONNECT sts.partner.test:443 HTTP/1.1"]


ODD = (
    {"access_token": "abc\nx" * 9, "expires_in": 3600},
    {"access_token": "\u00e9" * 40, "expires_in": 3600},
    {"access_token": None, "expires_in": 3600},
    {"access_token": {"a": 1}, "expires_in": 3600},
    {"access_token": "t" * 40, "expires_in": "never"},
    {"access_token": "t" * 40, "expires_in": 10**30},
    {"access_token": "t" * 40, "expires_in": float("nan")},
    b"<html>",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'"x"',
    {"error": [1]},
    {"error": {"a": 1}, "error_description": {"x": 2}},
)


@pytest.mark.parametrize("status", ["200 OK", "400 no"])
@pytest.mark.parametrize("body", ODD, ids=lambda body: str(body)[:40])
def test_odd_answers_are_a_denial(company: Company, authority: Authority, body: object, status: str) -> None:
    with serving(answering(body, status), tls(company.home, authority, "sts.partner.test")) as port:
        assert denied(company, partners(company, authority, port)).reason is Reason.PERMISSION_DENIED


class Slow:
    """A credential whose token service answers when it likes."""

    valid = False

    def __init__(self, failure: Exception) -> None:
        self.asked = 0
        self.failure = failure

    def refresh(self, request: object) -> None:
        self.asked += 1
        raise self.failure

    def apply(self, headers: dict[str, str]) -> None:
        headers["authorization"] = "Bearer x"


def test_a_failure_is_not_met_again_by_every_key() -> None:
    now = [0.0]
    held = Slow(RefreshError("refused"))  # type: ignore[no-untyped-call]
    tokens = Tokens(held, lambda seconds: None, lambda: now[0], Spoken())
    for _ in range(3):
        with pytest.raises(RefreshError):
            tokens.ready(1)
    assert held.asked == 1
    now[0] = AGAIN_S + 1
    with pytest.raises(RefreshError):
        tokens.headers(1)
    assert held.asked == 2


def test_another_keys_wait_for_a_token_is_not_waited_for_without_end() -> None:
    begun, ended = threading.Event(), threading.Event()

    class Hanging(Slow):
        def refresh(self, request: object) -> None:
            begun.set()
            ended.wait(5)

    tokens = Tokens(Hanging(RefreshError("x")), lambda seconds: None, time.monotonic, Spoken())  # type: ignore[no-untyped-call]
    first = threading.Thread(target=lambda: tokens.ready(9), daemon=True)
    first.start()
    assert begun.wait(5)
    with pytest.raises(ProbeError) as caught:
        tokens.ready(0.05)
    assert caught.value.reason is Reason.TIMEOUT
    ended.set()
    first.join(5)


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."


@given(st.text(LETTERS, min_size=40, max_size=400), st.integers(0, 8), st.text(max_size=50))
def test_a_long_piece_of_a_token_is_known_again(token: str, start: int, around: str) -> None:
    spoken = Spoken()
    spoken.add(token)
    piece = token[start : start + 31]
    assert spoken.within(f"{around}{piece}{around}".encode())


def test_what_is_no_token_is_not_taken_for_one() -> None:
    spoken = Spoken()
    assert not spoken.within(b"anything")
    spoken.add("t")  # would be found in everything
    spoken.add("a-token-of-more-than-sixteen-characters")
    assert not spoken.within(b"the token of another kind, a-token-of")


@pytest.mark.parametrize("run", ["QUJD" * 12, "x9_-" * 20])
def test_a_long_run_of_letters_is_withheld(run: str) -> None:
    assert run[:20] not in heard(f"you sent {run} here")
    assert heard("denied on projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok").endswith("byok")
