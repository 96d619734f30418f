"""Reads ClientHellos on the server's side: enough to see what a client offers, and nothing more.

RFC 8446 section 4.1.2 for TLS, the SSL 2.0 draft (Hickman, 1995) section 2.5 for its CLIENT-HELLO. Written
for the lab alone, so that the prober's parser never agrees with itself.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 65_536
TLS_1_3 = 0x0304
SSL_2 = 0x0002
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME, _GROUPS, _VERSIONS, _KEY_SHARE = 0, 10, 43, 51


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers. ``server_name`` is "" when it names none."""

    version: int
    session: bytes = b""
    suites: tuple[int, ...] = ()
    compressions: bytes = b""
    server_name: str = ""
    versions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    ssl_2_form: bool = False

    @property
    def speaks_tls_1_3(self) -> bool:
        """Whether TLS 1.3 is among the offered versions."""
        return TLS_1_3 in self.versions


class Unfinished(Exception):  # noqa: N818  a state of the stream, not an error
    """More bytes are needed."""


class NotAHelloError(ValueError):
    """These bytes do not begin a TLS or SSL 2.0 connection."""


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise NotAHelloError("a length runs past the end")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def parse(data: bytes) -> ClientHello:
    """The hello at the start of ``data``. Raise Unfinished or NotAHelloError."""
    if len(data) < 5:
        raise Unfinished
    if data[0] & 0x80 and data[2] == _CLIENT_HELLO:
        return _ssl_2(data)
    message = b""
    rest = data
    while rest[:1] == bytes([_HANDSHAKE]):
        if len(rest) < 5:
            raise Unfinished
        size = int.from_bytes(rest[3:5], "big")
        if len(rest) < 5 + size:
            raise Unfinished
        message += rest[5 : 5 + size]
        rest = rest[5 + size :]
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            break
    else:
        if rest or not message:
            raise NotAHelloError("not a handshake record")
        raise Unfinished
    if message[0] != _CLIENT_HELLO:
        raise NotAHelloError("not a ClientHello")
    return _tls(_Cursor(message[4:]))


def _tls(body: _Cursor) -> ClientHello:
    version = body.number(2)
    body.take(32)
    session, suites, compressions = body.vector(1), body.vector(2), body.vector(1)
    extensions = _Cursor(body.vector(2) if body.rest else b"")
    seen: dict[int, bytes] = {}
    while extensions.rest:
        kind = extensions.number(2)
        seen[kind] = extensions.vector(2)
    return ClientHello(
        version=version,
        session=session,
        suites=_numbers(suites),
        compressions=compressions,
        server_name=_server_name(seen.get(_SERVER_NAME, b"")),
        versions=_numbers(_Cursor(seen[_VERSIONS]).vector(1)) if seen.get(_VERSIONS) else (),
        groups=_numbers(_Cursor(seen[_GROUPS]).vector(2)) if seen.get(_GROUPS) else (),
        shares=_shares(seen.get(_KEY_SHARE, b"")),
    )


def _ssl_2(data: bytes) -> ClientHello:
    size = int.from_bytes(data[:2], "big") & 0x7FFF
    if len(data) < 2 + size:
        raise Unfinished
    body = _Cursor(data[3 : 2 + size])
    version = body.number(2)
    suites_size, session_size = body.number(2), body.number(2)
    body.number(2)
    suites = body.take(suites_size)
    kinds = tuple(int.from_bytes(suites[at : at + 3], "big") for at in range(0, len(suites) - 2, 3))
    return ClientHello(version=version, session=body.take(session_size), suites=kinds, ssl_2_form=True)


def _numbers(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))


def _server_name(data: bytes) -> str:
    if not data:
        return ""
    names = _Cursor(_Cursor(data).vector(2))
    while names.rest:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name.decode("ascii", "replace").lower()
    return ""


def _shares(data: bytes) -> tuple[int, ...]:
    if not data:
        return ()
    shares = _Cursor(_Cursor(data).vector(2))
    groups: list[int] = []
    while shares.rest:
        groups.append(shares.number(2))
        shares.vector(2)
    return tuple(groups)
