"""Hand-written first answers of servers that no library serves any more.

A stub answers only hellos that its old server would take up, as far as a client can tell the two apart: the
choice of version, suite and compression, a certificate, and the end of the first flight. Nothing can be
negotiated to the end; the connection then stays open until the client gives up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from keycheck.lab.config import Stub
from keycheck.lab.hello import SSL_2, ClientHello

Answer = Callable[[ClientHello, Sequence[bytes]], bytes | None]
"""A hello and the server's chain (DER, leaf first) -> what to send, or None: not a case for this stub."""

_SSL_3, _TLS_1_2 = 0x0300, 0x0303
_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE, _HELLO_DONE = 2, 11, 14
# RSA key exchange needs no ServerKeyExchange, so that the first flight is complete without a signature.
_RSA_SSL_3 = (0x0035, 0x002F, 0x000A, 0x0005, 0x0004)
_RSA_TLS_1_2 = (0x009D, 0x009C, 0x003D, 0x003C, *_RSA_SSL_3)
_SSL_2_KINDS = (0x0700C0, 0x030080, 0x010080, 0x060040, 0x020080, 0x040080)
_NULL_SUITES = (0xC0B4, 0xC0B5)
_SERVED_SUITES = (0x1302, 0x1303)
_X25519, _P256 = 29, 23
_EMPTY_RENEGOTIATION_INFO = 0x00FF
_DEFLATE = 1
_HELLO_RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def alert(description: int, *, level: int = 2, version: int = 0x0303) -> bytes:
    """One alert record; level 2 is fatal, 1 a warning."""
    return _record(_ALERT, bytes([level, description]), version)


def _ssl_2(hello: ClientHello, chain: Sequence[bytes]) -> bytes | None:
    if not hello.ssl_2_form or hello.version != SSL_2:
        return None
    kinds = [kind for kind in _SSL_2_KINDS if kind in hello.suites]
    listed = b"".join(kind.to_bytes(3, "big") for kind in kinds)
    connection = hashlib.sha256(listed).digest()[:16]
    lengths = b"".join(_number(len(part)) for part in (chain[0], listed, connection))
    # SERVER-HELLO, no session hit, X.509 certificate, version 0.2
    body = b"\x04\x00\x01\x00\x02" + lengths + chain[0] + listed + connection
    return _number(0x8000 | len(body)) + body


def _ssl_3(hello: ClientHello, chain: Sequence[bytes]) -> bytes | None:
    if hello.speaks_tls_1_3 or hello.version < _SSL_3:
        return None
    return _old_flight(hello, chain, _SSL_3, _RSA_SSL_3, compression=0)


def _compression(hello: ClientHello, chain: Sequence[bytes]) -> bytes | None:
    if hello.speaks_tls_1_3 or hello.version < _TLS_1_2 or _DEFLATE not in hello.compressions:
        return None
    return _old_flight(hello, chain, _TLS_1_2, _RSA_TLS_1_2, compression=_DEFLATE)


def _null_suite(hello: ClientHello, chain: Sequence[bytes]) -> bytes | None:
    """RFC 9150: authentication and integrity, no encryption. Served where nothing better is offered."""
    del chain
    suite = next((each for each in _NULL_SUITES if each in hello.suites), None)
    if not hello.speaks_tls_1_3 or suite is None or any(each in hello.suites for each in _SERVED_SUITES):
        return None
    versions = _extension(43, b"\x03\x04")
    if _X25519 in hello.shares:
        share = _number(_X25519) + _vector(hashlib.sha256(b"lab share").digest())
        body = _server_hello(hello, _TLS_1_2, suite, 0, versions + _extension(51, share))
        return _record(_HANDSHAKE, body, _TLS_1_2)
    group = next((each for each in (_X25519, _P256) if each in hello.groups), None)
    if group is None:
        return alert(40)
    retry = _server_hello(hello, _TLS_1_2, suite, 0, versions + _extension(51, _number(group)), random=_HELLO_RETRY)
    return _record(_HANDSHAKE, retry, _TLS_1_2)


STUBS: Mapping[Stub, Answer] = {
    Stub.SSL_2: _ssl_2,
    Stub.SSL_3: _ssl_3,
    Stub.NULL_SUITE: _null_suite,
    Stub.COMPRESSION: _compression,
}


def _old_flight(
    hello: ClientHello, chain: Sequence[bytes], version: int, suites: Sequence[int], *, compression: int
) -> bytes | None:
    suite = next((each for each in suites if each in hello.suites), None)
    if suite is None:
        return None
    secure = _EMPTY_RENEGOTIATION_INFO in hello.suites
    extensions = _extension(0xFF01, b"\x00") if secure else b""
    certificates = b"".join(len(each).to_bytes(3, "big") + each for each in chain)
    listed = len(certificates).to_bytes(3, "big") + certificates
    flight = (
        _server_hello(hello, version, suite, compression, extensions)
        + _message(_CERTIFICATE, listed)
        + _message(_HELLO_DONE, b"")
    )
    return _record(_HANDSHAKE, flight, version)


def _server_hello(
    hello: ClientHello, version: int, suite: int, compression: int, extensions: bytes, random: bytes = b""
) -> bytes:
    body = _number(version) + (random or hashlib.sha256(b"lab" + hello.session).digest())
    body += bytes([len(hello.session)]) + hello.session + _number(suite) + bytes([compression])
    return _message(_SERVER_HELLO, body + (_vector(extensions) if extensions else b""))


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _record(kind: int, body: bytes, version: int) -> bytes:
    return bytes([kind]) + _number(version) + _vector(body)


def _extension(kind: int, body: bytes) -> bytes:
    return _number(kind) + _vector(body)


def _vector(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")
