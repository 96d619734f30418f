"""Witnesses, against real servers and programs on this machine, honest and hostile."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.model.deployment import CommandWitness, HttpWitness, Vantage
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds import bounded_http
from probes.keys.timeline import Path, Saw
from probes.keys.witness import Reading, open_witness, sample

SECRET = "Bearer hunter2-planted-secret"
CANARY = "kc-canary-5d0c2f"
READABLE, WITHHELD = '"status":"open"', "KEY_UNAVAILABLE"
Handler = Callable[[socket.socket, bytes], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A directory with a certificate for localhost that is its own CA."""
    home = tmp_path_factory.mktemp("witness")
    for name in ("server", "stranger"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lab {name}")])
        now = dt.datetime.now(dt.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (home / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (home / f"{name}.key").write_bytes(pem)
    (home / "token").write_text(SECRET + "\n")
    return home


@contextmanager
def serving(handler: Handler, tls: FilePath | None, heard: list[bytes] | None = None) -> Iterator[int]:
    """A server on a free port of 127.0.0.1; every connection in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(10)
            sock = connection if context is None else context.wrap_socket(connection, server_side=True)
            with sock:
                request = b""
                while b"\r\n\r\n" not in request:
                    if not (piece := sock.recv(65536)):
                        return
                    request += piece
                if heard is not None:
                    heard.append(request)
                handler(sock, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=one, args=(listener.accept()[0],), daemon=True)
                threads.append(thread)
                thread.start()

    loop = threading.Thread(target=accept, daemon=True)
    loop.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        loop.join(5)
        for thread in threads:
            thread.join(5)


def says(status: int, body: str, *headers: str) -> Handler:
    raw = body.encode()
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", *headers, "", ""])
    return lambda sock, _: sock.sendall(head.encode() + raw)


def loopback(_host: str, _seconds: float) -> Sequence[str]:
    return ("127.0.0.1",)


def io_at(home: FilePath, resolver: Callable[[str, float], Sequence[str]] = loopback, **vantage: object) -> Io:
    made = Vantage.model_validate({"id": "here", "ca_bundle": "server.pem"} | vantage)
    return Io(
        vantage=made, budget=60, demands=(), samples=1, authorized=frozenset(), base=home, environment={},
        resolver=resolver, clock=lambda: dt.datetime.now(dt.UTC), entropy=os.urandom,
    )  # fmt: skip


def witness(port: int, **fields: object) -> HttpWitness:
    made: dict[str, object] = {
        "id": "crm", "kind": "http", "url": f"https://localhost:{port}/contacts/7?full=1",
        "headers": (("Authorization", "file:token"),), "readable": READABLE, "withheld": WITHHELD,
    }  # fmt: skip
    return HttpWitness.model_validate(made | fields)


def read(home: FilePath, handler: Handler, canary: str = CANARY, seconds: float = 5, **vantage: object) -> Reading:
    with serving(handler, home) as port:
        reading = open_witness(witness(port), io_at(home, **vantage), {}, canary).read(seconds)
    assert "hunter2" not in reading.words
    assert CANARY not in reading.words
    return reading


OPEN = f'{{{READABLE},"note":"{CANARY}"}}'
CLOSED = f'{{"error":"{WITHHELD}"}}'


def test_a_reply_with_the_declared_text_and_the_canary_is_readable(home: FilePath) -> None:
    heard: list[bytes] = []
    with serving(says(200, OPEN), home, heard) as port:
        made = witness(port, method="POST")
        reader = open_witness(made, io_at(home), {}, CANARY)
        seen = sample(reader, Path.VENDOR_WARM, "crm", began=time.monotonic(), seconds=5, monotonic=time.monotonic)
    assert (seen.saw, seen.path, seen.by, seen.words) == (Saw.READABLE, Path.VENDOR_WARM, "crm", "HTTP 200")
    assert 0 <= seen.at_us < 1_000_000
    assert 0 < seen.took_us < 5_000_000
    assert heard[0].startswith(b"POST /contacts/7?full=1 HTTP/1.1\r\n")
    assert f"Authorization: {SECRET}\r\n".encode() in heard[0]
    assert heard[0].count(b"Host: localhost:") == 1
    assert "hunter2" not in repr(reader)
    assert CANARY not in repr(reader)


@pytest.mark.parametrize("status", [200, 403, 409, 423, 500, 503])
def test_the_declared_signature_is_withheld_whatever_the_status(home: FilePath, status: int) -> None:
    assert read(home, says(status, CLOSED)).saw is Saw.WITHHELD


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404, 429, 500, 502, 503])
def test_everything_without_a_signature_is_unavailable(home: FilePath, status: int) -> None:
    page = "" if status == 204 else "<h1>Down for maintenance, back soon</h1>"
    seen = read(home, says(status, page))
    assert (seen.saw, str(status) in seen.words) == (Saw.UNAVAILABLE, True)


@pytest.mark.parametrize("status", [401, 407, 429])
def test_a_witness_that_was_not_let_in_says_nothing_about_the_key(home: FilePath, status: int) -> None:
    assert read(home, says(status, CLOSED)).saw is Saw.UNAVAILABLE
    assert read(home, says(status, OPEN)).saw is Saw.UNAVAILABLE


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (says(200, OPEN + CLOSED), "at once"),
        (says(403, f"{WITHHELD} {CANARY}"), "at once"),
        (says(200, READABLE), "without the canary's value"),
        (says(200, CANARY), "without any"),
        (says(500, OPEN), "no success"),
        (says(302, OPEN, "Location: https://localhost/again"), "redirect"),
        (says(200, OPEN, "Content-Encoding: gzip"), "compressed"),
    ],
)
def test_what_is_not_plain_is_unavailable(home: FilePath, handler: Handler, words: str) -> None:
    seen = read(home, handler)
    assert (seen.saw, words in seen.words) == (Saw.UNAVAILABLE, True), seen


def test_a_redirect_loop_is_one_request(home: FilePath) -> None:
    heard: list[bytes] = []
    with serving(says(307, "", "Location: /contacts/7?full=1"), home, heard) as port:
        assert open_witness(witness(port), io_at(home), {}).read(5).saw is Saw.UNAVAILABLE
    assert len(heard) == 1


def truncated(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{OPEN}".encode())


def cut_chunks(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(OPEN):x}\r\n{OPEN}\r\n".encode())


def cut_without_goodbye(sock: socket.socket, _: bytes) -> None:
    """The body ends with the connection, and TLS does not say so: anybody on the way may have cut it."""
    sock.sendall(f"HTTP/1.1 200 OK\r\n\r\n{OPEN}".encode())


def short_with_goodbye(sock: socket.socket, _: bytes) -> None:
    truncated(sock, _)
    assert isinstance(sock, ssl.SSLSocket)
    sock.unwrap()


def endless_body(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\n\r\n{OPEN}".encode())
    while True:
        sock.sendall(b"x" * 65536)


def endless_head(sock: socket.socket, _: bytes) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X-Again: " + b"y" * 1000 + b"\r\n")


def endless_go_on(sock: socket.socket, _: bytes) -> None:
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def huge_promise(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {10**15}\r\n\r\n{OPEN}".encode())


def huge_chunk(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n{OPEN}".encode())


def not_http(sock: socket.socket, _: bytes) -> None:
    sock.sendall(f"{SECRET} {CANARY}\r\n\r\n".encode())


def nothing(_sock: socket.socket, _: bytes) -> None:
    return


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (truncated, "before the reply was whole"),
        (short_with_goodbye, "before the reply was whole"),
        (cut_chunks, "before the reply was whole"),
        (cut_without_goodbye, "before the reply was whole"),
        (endless_body, "more than"),
        (endless_head, "not a valid HTTP reply"),
        (endless_go_on, "more than"),
        (huge_promise, "before the reply was whole"),
        (huge_chunk, "before the reply was whole"),
        (not_http, "not a valid HTTP reply"),
        (nothing, "before the reply was whole"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_hostile_and_broken_replies_are_bounded_and_unavailable(home: FilePath, handler: Handler, words: str) -> None:
    start = time.monotonic()
    seen = read(home, handler)
    assert (seen.saw, words in seen.words) == (Saw.UNAVAILABLE, True), seen
    assert time.monotonic() - start < 4


def test_a_whole_reply_that_ends_with_the_connection_counts(home: FilePath) -> None:
    def goodbye(sock: socket.socket, _: bytes) -> None:
        sock.sendall(f"HTTP/1.1 200 OK\r\n\r\n{OPEN}".encode())
        assert isinstance(sock, ssl.SSLSocket)
        sock.unwrap()

    assert read(home, goodbye).saw is Saw.READABLE


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_slow_drip_ends_at_the_deadline(home: FilePath, start: bytes) -> None:
    def drip(sock: socket.socket, _: bytes) -> None:
        sock.sendall(start)
        for _round in range(60):
            sock.sendall(b"z")
            time.sleep(0.05)

    began = time.monotonic()
    seen = read(home, drip, seconds=0.4)
    assert (seen.saw, seen.words) == (Saw.UNAVAILABLE, "no whole reply within 0.4 s")
    assert time.monotonic() - began < 5  # the server's own drip is joined
    with serving(lambda _sock, _request: time.sleep(1), home) as port:
        reader = open_witness(witness(port), io_at(home), {})
        began = time.monotonic()
        assert reader.read(0.3).saw is Saw.UNAVAILABLE
        assert time.monotonic() - began < 0.6


def test_a_server_that_we_do_not_trust_or_that_is_not_there_is_unavailable(home: FilePath) -> None:
    assert "not trusted" in read(home, says(200, OPEN), ca_bundle="stranger.pem").words
    with serving(says(200, OPEN), home) as port:
        other = open_witness(witness(port, url=f"https://crm.example:{port}/"), io_at(home), {})
        assert "not trusted" in other.read(5).words  # the name does not match
    closed = open_witness(witness(port), io_at(home), {}).read(5)
    assert (closed.saw, closed.words) == (Saw.UNAVAILABLE, "no connection: Connection refused")

    def unknown(host: str, _seconds: float) -> Sequence[str]:
        raise ProbeError(Reason.UNREACHABLE, f"{host} does not resolve")

    assert open_witness(witness(1), io_at(home, unknown), {}).read(5).words == "localhost does not resolve"
    with serving(says(200, OPEN), None) as port:
        assert open_witness(witness(port), io_at(home), {}).read(2).saw is Saw.UNAVAILABLE


def test_connections_go_through_the_vantages_proxy(home: FilePath) -> None:
    heard: list[bytes] = []

    def relay(sock: socket.socket, request: bytes) -> None:
        port = int(request.split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, sock), daemon=True)
            back.start()
            pump(sock, onward)
            back.join(5)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    with serving(says(200, OPEN), home) as port, serving(relay, None, heard) as proxy:
        where = io_at(home, proxy=f"http://127.0.0.1:{proxy}")
        assert open_witness(witness(port), where, {}, CANARY).read(5) == Reading(Saw.READABLE, "HTTP 200")
        assert heard == [f"CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()]
    for refusal in (says(407, OPEN), says(502, CLOSED), nothing):
        with serving(refusal, None) as proxy:
            where = io_at(home, proxy=f"http://127.0.0.1:{proxy}")
            seen = open_witness(witness(1), where, {}).read(5)
            assert (seen.saw, "the proxy" in seen.words) == (Saw.UNAVAILABLE, True)


def test_plain_http_goes_to_this_machine_only_and_only_when_asked_for(home: FilePath) -> None:
    with pytest.raises(ValidationError, match="must begin with https"):
        witness(1, url="http://localhost:1/")
    with serving(says(200, OPEN), None) as port:
        plain = witness(port, url=f"http://localhost:{port}/", unsafe_plaintext_to_loopback=True)
        assert open_witness(plain, io_at(home), {}, CANARY).read(5).saw is Saw.READABLE
        elsewhere = io_at(home, lambda _host, _seconds: ("127.0.0.1", "192.0.2.7"))
        seen = open_witness(plain, elsewhere, {}, CANARY).read(5)
        assert (seen.saw, seen.words) == (Saw.UNAVAILABLE, "without TLS only an address of this machine is asked")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headers": (("Authorization", "env:NOT_THERE"),)}, "env:NOT_THERE holds no line"),
        ({"headers": (("Authorization", "file:nowhere"),)}, "file:nowhere cannot be read"),
        ({"headers": (("Authorization", "env:TWO_LINES"),)}, "env:TWO_LINES holds no line"),
        ({"headers": (("Host", "env:TOKEN"),)}, "keycheck's own"),
        ({"headers": (("X-Note", "env:CANARY"),)}, "an echo would look like data"),
        ({"url": f"https://crm.example/search?q={CANARY}"}, "an echo would look like data"),
        ({"url": "https://me:hunter2@crm.example/"}, "holds credentials"),
        ({"url": "https://crm.example:hunter2/"}, "host and port"),
        ({"url": "https://crm.example/a b"}, "percent-encode"),
        ({"url": "https:///x"}, "names no host"),
        ({"url": f"https://{'a' * 64}.example/"}, "host and port"),
        ({"readable": "KEY_UNAVAILABLE soon"}, "part of the other"),
    ],
)
def test_what_must_be_mended_is_said_before_anything_is_asked(
    home: FilePath, fields: dict[str, object], words: str
) -> None:
    environment = {"TOKEN": SECRET, "TWO_LINES": f"a\r\nX-Injected: {SECRET}", "CANARY": f"re {CANARY}"}
    with pytest.raises(ProbeError) as caught:
        open_witness(witness(1, **fields), io_at(home), environment, CANARY)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_trust_store_that_is_none_is_said_before_anything_is_asked(home: FilePath) -> None:
    for bundle in ("nowhere.pem", "token"):
        with pytest.raises(ProbeError, match="ca_bundle cannot be used"):
            open_witness(witness(1), io_at(home, ca_bundle=bundle), {})


def command(home: FilePath, code: str, seconds: float = 5, **environment: str) -> Reading:
    made = CommandWitness(id="cli", kind="command", argv=(sys.executable, "-c", code))
    reader = open_witness(made, io_at(home), environment)
    reading = reader.read(seconds)
    assert "hunter2" not in reading.words + repr(reader)
    return reading


@pytest.mark.parametrize(
    ("code", "saw"),
    [
        ("", Saw.READABLE),
        ("raise SystemExit(1)", Saw.WITHHELD),
        ("raise SystemExit(2)", Saw.UNAVAILABLE),
        ("import os; os.kill(os.getpid(), 9)", Saw.UNAVAILABLE),
        ("import os; raise SystemExit(os.environ != {**os.environ, 'TOKEN': 'hunter2'})", Saw.READABLE),
        ("import sys; sys.stdin.read(); print('x' * 10**7); print('hunter2', file=sys.stderr)", Saw.READABLE),
    ],
)
def test_a_command_speaks_by_its_exit_code(home: FilePath, code: str, saw: Saw) -> None:
    assert command(home, code, TOKEN="hunter2").saw is saw


def test_a_command_is_no_shell_and_may_be_missing(home: FilePath) -> None:
    for argv in (("./nowhere",), ("echo $HOME; exit 1",), ("a\0b",)):
        made = CommandWitness(id="cli", kind="command", argv=argv)
        seen = open_witness(made, io_at(home), {}).read(5)
        assert (seen.saw, "cannot be started" in seen.words) == (Saw.UNAVAILABLE, True)
    program = home / "here.sh"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    made = CommandWitness(id="cli", kind="command", argv=("./here.sh",))
    assert open_witness(made, io_at(home), {}).read(5).saw is Saw.WITHHELD  # beside the deployment file


def test_a_command_that_does_not_end_is_killed_with_its_children(home: FilePath) -> None:
    pid_file = home / "grandchild"
    code = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen([sys.executable, '-c', 'import signal, time; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)']); "
        f"open({str(pid_file)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    start = time.monotonic()
    seen = command(home, code, seconds=1)
    assert (seen.saw, seen.words) == (Saw.UNAVAILABLE, "the command did not end within 1 s")
    assert time.monotonic() - start < 3
    grandchild = int(pid_file.read_text())
    for _ in range(100):
        if not alive(grandchild):
            break
        time.sleep(0.02)
    assert not alive(grandchild)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        return FilePath(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_bounds_are_what_the_words_say() -> None:
    assert bounded_http.MAX_BODY < bounded_http.MAX_BYTES <= 2 * bounded_http.MAX_BODY
