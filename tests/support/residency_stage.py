"""Real servers on loopback for the tests of residency: name servers that lie, HTTPS servers with heads of edges."""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason

Answers = Callable[[dns.message.Message, bool], "bytes | dns.message.Message | list[bytes] | None"]
"""From a question, and whether it came over TCP, to what is sent: nothing, a message, bytes, several datagrams."""


def an_io(**changed: object) -> Io:
    """An Io whose resolver knows no name."""

    def nobody(host: str, seconds: float) -> tuple[str, ...]:
        raise ProbeError(Reason.UNREACHABLE, f"{host} does not resolve")

    io = Io(
        vantage=HERE,
        budget=30.0,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=Path("/"),
        environment={},
        resolver=nobody,
        clock=lambda: datetime.now(UTC),
        entropy=secrets.token_bytes,
    )
    return replace(io, **changed)  # type: ignore[arg-type]


def has_ipv6() -> bool:
    """Whether servers can stand on `::1` here."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# -- names ----------------------------------------------------------------------------------------------------------


def reply(query: dns.message.Message, *records: str, authoritative: bool = True) -> dns.message.Message:
    """An answer with records as in a zone file: `a.test. 60 IN A 192.0.2.1`."""
    message = dns.message.make_response(query)
    if authoritative:
        message.flags |= dns.flags.AA
    for record in records:
        name, ttl, _, kind, value = record.split(maxsplit=4)
        message.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, value))
    return message


@dataclass
class NameServer:
    """A name server on one port of UDP and TCP. `asked` are the questions that came."""

    answers: Answers
    asked: list[dns.message.Message] = field(default_factory=list)
    over_tcp: int = 0
    address: str = ""

    def _serve_udp(self, sock: socket.socket) -> None:
        while True:
            try:
                data, peer = sock.recvfrom(4096)
            except OSError:
                return
            if not data:  # a socket that was shut down
                return
            for each in self._said(data, over_tcp=False):
                with suppress(OSError):
                    sock.sendto(each, peer)

    def _serve_tcp(self, sock: socket.socket) -> None:
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(2)
                size = struct.unpack("!H", connection.recv(2))[0]
                self.over_tcp += 1
                for each in self._said(connection.recv(size), over_tcp=True):
                    connection.sendall(struct.pack("!H", len(each)) + each)

    def _said(self, data: bytes, *, over_tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(data)
        self.asked.append(query)
        said = self.answers(query, over_tcp)
        if said is None:
            return []
        if isinstance(said, dns.message.Message):
            return [said.to_wire(max_size=65535)]
        return [said] if isinstance(said, bytes) else said


def _bound(host: str) -> tuple[socket.socket, socket.socket]:
    """A port that is free for both."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        udp.bind((host, 0))
        try:
            tcp.bind((host, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp
    raise RuntimeError("no port is free for both UDP and TCP")


@contextmanager
def name_server(answers: Answers, host: str = "127.0.0.1") -> Iterator[NameServer]:
    """Started, until the block ends."""
    server = NameServer(answers)
    udp, tcp = _bound(host)
    tcp.listen()
    server.address = f"{host}#{udp.getsockname()[1]}"
    threads = [
        threading.Thread(target=server._serve_udp, args=(udp,), daemon=True),
        threading.Thread(target=server._serve_tcp, args=(tcp,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        for sock in (udp, tcp):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in threads:
            thread.join(2)


# -- edges ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """A certificate, its key and the CA beside it, as files."""

    chain: Path
    key: Path
    ca: Path


def identity(directory: Path, *names: str, label: str = "server") -> Identity:
    """A fresh CA and a leaf for these names and addresses."""
    now = datetime.now(UTC) - timedelta(hours=1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name.from_rfc4514_string(f"CN=Stage CA {label}")

    def built(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    root = built(ca_name, ca_key.public_key(), ca=True).sign(ca_key, hashes.SHA256())
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    leaf = (
        built(x509.Name([]), key.public_key(), ca=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    made = Identity(directory / f"{label}.pem", directory / f"{label}.key", directory / f"{label}-ca.pem")
    made.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    return made


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Site:
    """An HTTPS server. `answers` turns the path of each request into the bytes of an answer; None closes."""

    answers: Callable[[str], bytes | None]
    delay: float = 0.0
    """Seconds from a ClientHello to what follows, and from a request to its answer."""
    resets: int = 0
    """How many connections are reset before one is served."""
    host: str = ""
    port: int = 0
    paths: list[str] = field(default_factory=list)
    handshakes: int = 0
    peers: list[str] = field(default_factory=list)

    def _serve(self, listener: socket.socket, contexts: list[ssl.SSLContext]) -> None:
        number = 0
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            if len(self.peers) <= self.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                continue
            context = contexts[number % len(contexts)]
            number += 1
            threading.Thread(target=self._talk, args=(connection, context), daemon=True).start()

    def _talk(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        with raw, suppress(OSError, ssl.SSLError, ValueError):
            raw.settimeout(5)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.recv(1, socket.MSG_PEEK)
            time.sleep(self.delay)
            with context.wrap_socket(raw, server_side=True) as connection:
                self.handshakes += 1
                while self._answer_one(connection):
                    pass

    def _answer_one(self, connection: ssl.SSLSocket) -> bool:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(4096)
            if not data:
                return False
            request += data
        path = request.split(b" ", 2)[1].decode("ascii")
        self.paths.append(path)
        time.sleep(self.delay)
        said = self.answers(path)
        if said is None:
            return False
        connection.sendall(said)
        return b"connection: close" not in said.lower()


@contextmanager
def site(
    answers: Callable[[str], bytes | None],
    *identities: Identity,
    host: str = "127.0.0.1",
    delay: float = 0.0,
    resets: int = 0,
    only: ssl.TLSVersion | None = None,
    demands: Path | None = None,
) -> Iterator[Site]:
    """Started, until the block ends. Several identities take turns by connection; clients need a certificate of the CA
    in `demands`."""
    contexts = []
    for each in identities:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(each.chain, each.key)
        if only is not None:
            context.minimum_version = context.maximum_version = only
        if demands is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(demands)
        contexts.append(context)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=256)
    served = Site(answers, delay, resets, host, listener.getsockname()[1])
    thread = threading.Thread(target=served._serve, args=(listener, contexts), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
