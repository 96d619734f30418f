"""A client of the lab's own tests: hand-built hellos over raw sockets, and real handshakes with pyOpenSSL."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL

from keycheck.lab.world import Lab, LabEndpoint

OLD_SUITES = (0xC02C, 0xC030, 0xC00A, 0xC014, 0x009D, 0x0035, 0x002F, 0x00FF)
NEW_SUITES = (0x1302, 0x1303)
GROUPS = (0x11EC, 29, 23, 24)
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0203, 0x0201)


def vector(data: bytes, size: int = 2) -> bytes:
    return len(data).to_bytes(size, "big") + data


def numbers(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def hello(
    *,
    version: int = 0x0303,
    versions: Sequence[int] = (0x0304,),
    suites: Sequence[int] = NEW_SUITES,
    groups: Sequence[int] = GROUPS,
    name: str = "",
    compressions: bytes = b"\x00",
) -> bytes:
    """A ClientHello record with an empty key share; without ``versions`` an old one."""
    extensions = {10: vector(numbers(groups)), 13: vector(numbers(SIGNATURES)), 11: b"\x01\x00", 23: b""}
    if versions:
        extensions |= {43: vector(numbers(versions), 1), 51: b"\x00\x00"}
    if name:
        extensions[0] = vector(b"\x00" + vector(name.encode()))
    listed = b"".join(kind.to_bytes(2, "big") + vector(body) for kind, body in extensions.items())
    body = version.to_bytes(2, "big") + os.urandom(32) + vector(os.urandom(32), 1)
    body += vector(numbers(suites)) + vector(compressions, 1) + vector(listed)
    return b"\x16\x03\x01" + vector(b"\x01" + vector(body, 3))


def old_hello(version: int = 0x0303, **more: object) -> bytes:
    return hello(version=version, versions=(), suites=OLD_SUITES, **more)


def dial(address: str, starttls: str | None = None, timeout: float = 3.0) -> socket.socket:
    """A connection that is ready for TLS."""
    host, _, port = address.partition(":")
    sock = socket.create_connection((host, int(port)), timeout=timeout)
    match starttls:
        case "smtp":
            assert sock.recv(999).startswith(b"220 ")
            sock.sendall(b"EHLO test\r\n")
            assert b"STARTTLS" in sock.recv(999)
            sock.sendall(b"STARTTLS\r\n")
            assert sock.recv(999).startswith(b"220 ")
        case "imap":
            assert b"STARTTLS" in sock.recv(999)
            sock.sendall(b"a STARTTLS\r\n")
            assert sock.recv(999).startswith(b"a OK")
        case "postgres":
            sock.sendall(bytes.fromhex("0000000804d2162f"))
            assert sock.recv(1) == b"S"
    return sock


def ask(address: str, data: bytes, starttls: str | None = None, timeout: float = 3.0) -> bytes:
    """What comes back first: one record, or what there was before the end. Raise TimeoutError on silence."""
    with dial(address, starttls, timeout) as sock:
        sock.sendall(data)
        got = b""
        while len(got) < 5 or len(got) < 5 + int.from_bytes(got[3:5], "big"):
            if not (more := sock.recv(65_536)):
                break
            got += more
        return got


@dataclass
class Seen:
    """What a real handshake showed."""

    version: str
    suite: str
    group: str | None
    chain: list[x509.Certificate]
    verified: bool
    staple: bytes
    answer: bytes = b""
    session: SSL.Session | None = field(default=None, repr=False)
    context: SSL.Context | None = field(default=None, repr=False)


def shake(
    endpoint: LabEndpoint,
    *,
    address: str | None = None,
    name: str | None = None,
    request: bytes = b"",
    client: tuple[Path, Path] | None = None,
) -> Seen:
    """Shake hands as an ordinary client does; the chain is checked against the endpoint's CA, not enforced.

    Raise SSL.Error when refused.
    """
    errors: list[int] = []
    staples: list[bytes] = []
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
    context.load_verify_locations(str(endpoint.ca))
    context.set_verify(SSL.VERIFY_PEER, lambda _c, _x, error, _d, ok: bool(ok or errors.append(error) or 1))
    context.set_ocsp_client_callback(lambda _c, staple, _d: staples.append(staple) or True)
    if client is not None:
        context.use_certificate_chain_file(str(client[0]))
        context.use_privatekey_file(str(client[1]))
    with dial(address or endpoint.addresses[0], endpoint.starttls) as sock:
        tls = SSL.Connection(context, None)
        tls.set_connect_state()
        tls.set_tlsext_host_name((endpoint.host if name is None else name).encode())
        tls.request_ocsp()
        pump(tls, sock, tls.do_handshake)
        answer = b""
        if request:
            tls.sendall(request)
            answer = pump(tls, sock, lambda: tls.recv(65_536))
        chain = tls.get_peer_cert_chain(as_cryptography=True) or []
        return Seen(
            tls.get_protocol_version_name(),
            str(tls.get_cipher_name()),
            tls.get_group_name(),
            chain,
            not errors,
            b"".join(staples),
            answer or b"",
            tls.get_session(),
            context,
        )


def pump(tls, sock, step):
    """Do one step of TLS over a blocking socket."""
    while True:
        try:
            result = step()
        except SSL.WantReadError:
            flush(tls, sock)
            if not (data := sock.recv(65_536)):
                raise SSL.SysCallError(-1, "Unexpected EOF") from None
            tls.bio_write(data)
        else:
            flush(tls, sock)
            return result


def flush(tls, sock) -> None:
    try:
        sock.sendall(tls.bio_read(1 << 20))
    except SSL.WantReadError:
        return


def complaints(home: Path) -> list[str]:
    """What the serving processes wrote to their logs: nothing, unless something broke in them."""
    return [text for log in home.glob("*.log") if (text := log.read_text())]


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True)
class Wire:
    """The helpers above, for tests in other files."""

    hello = staticmethod(hello)
    old_hello = staticmethod(old_hello)
    dial = staticmethod(dial)
    ask = staticmethod(ask)
    shake = staticmethod(shake)
    pump = staticmethod(pump)
    complaints = staticmethod(complaints)
    GET = GET
    OLD_SUITES = OLD_SUITES
    NEW_SUITES = NEW_SUITES


@pytest.fixture(scope="session")
def wire() -> Wire:
    return Wire()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("clean")) as lab:
        yield lab
    assert complaints(lab.home) == []
