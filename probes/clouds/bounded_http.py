"""One HTTP/1.1 request with bounded bytes and a deadline over all of it. The server is a stranger.

Nothing is followed, kept alive, cached or decompressed. What goes wrong comes back as words that never hold what was
sent or received. Sources: RFC 9110, RFC 9112; RFC 9110 section 9.3.6 for the tunnel through a proxy.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

from keycheck.errors import ProbeError
from keycheck.model.probe import Resolver
from keycheck.model.types import vendor_text

MAX_BODY: Final = 1 << 20
_MORE: Final = 1 << 17
"""How many bytes head and body together may have beyond the most of a body, as they come out of the connection."""
MAX_BYTES: Final = MAX_BODY + _MORE
MAX_ADDRESSES: Final = 4
_MAX_HEAD: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points. `proxy` is the host and port of an HTTP CONNECT proxy."""

    encrypted: bool
    host: str
    port: int
    path: str
    proxy: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. Headers and body are secret: they stand in no repr. `Content-Length` is the caller's."""

    target: Target
    method: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    max_body: int = MAX_BODY
    """The most bytes of a reply's body."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. The body is a stranger's and stays out of every message."""

    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoReply:
    """There was none, or not a whole one, and why."""

    words: str


def parse_target(url: str, proxy: str | None = None) -> Target:
    """A URL in pieces. Raises ValueError, without the URL in it."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("the url holds spaces or characters that are not ASCII: percent-encode them")
    try:
        parts = urlsplit(url)
        given = parts.port
        (parts.hostname or "").encode("idna")  # as TLS will: labels of 64 and more raise
    except ValueError:
        raise ValueError("the url's host and port are not valid") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the url holds credentials: put them into a header by reference")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the url names no host")
    encrypted = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    through: tuple[str, int] | None = None
    if proxy is not None:
        where = urlsplit(proxy)
        through = (where.hostname or "", where.port or 80)
    return Target(encrypted, parts.hostname, given or (443 if encrypted else 80), path, through)


def ask(
    request: Request,
    seconds: float,
    *,
    context: ssl.SSLContext | None,
    resolver: Resolver,
    monotonic: Callable[[], float],
) -> Reply | NoReply:
    """One request, over within `seconds`; a name that resolves slowly may take the resolver's own time on top."""
    deadline = monotonic() + seconds

    def left() -> float:
        rest = deadline - monotonic()
        if rest <= 0:
            raise TimeoutError
        return rest

    try:
        with _connected(request.target, resolver, left) as plain:
            if request.target.proxy is not None:
                _tunnel(plain, request.target, left)
            if not request.target.encrypted:
                return _exchange(plain, request, left)
            if context is None:
                return NoReply("no TLS context was given")
            plain.settimeout(left())
            # A stream that just ends was cut: without the peer's close_notify its end proves nothing.
            with context.wrap_socket(
                plain, server_hostname=request.target.host, suppress_ragged_eofs=False
            ) as encrypted:
                return _exchange(encrypted, request, left)
    except _TooLargeError:
        return NoReply(f"more than {request.max_body + _MORE} bytes")
    except _RefusedError as error:
        return NoReply(str(error))
    except ProbeError as error:
        return NoReply(vendor_text(str(error), 200))
    except ssl.SSLCertVerificationError as error:
        return NoReply(vendor_text(f"its certificate is not trusted: {error.verify_message}", 200))
    except TimeoutError:
        return NoReply(f"no whole reply within {seconds:g} s")
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, http.client.IncompleteRead, http.client.RemoteDisconnected):
        return NoReply("the connection ended before the reply was whole")
    except ssl.SSLError as error:
        return NoReply(vendor_text(f"no TLS: {error.reason}", 200))
    except http.client.HTTPException as error:
        return NoReply(f"not a valid HTTP reply ({type(error).__name__})")
    except OSError as error:
        return NoReply(f"no connection: {error.strerror or type(error).__name__}")


class _RefusedError(Exception):
    """The words are ours."""


class _TooLargeError(Exception):
    pass


def _connected(target: Target, resolver: Resolver, left: Callable[[], float]) -> socket.socket:
    host, port = target.proxy or (target.host, target.port)
    addresses = _addresses(host, resolver, left)
    if not target.encrypted and not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise _RefusedError("without TLS only an address of this machine is asked")
    failed: OSError | None = None
    for index, address in enumerate(addresses):
        try:
            return socket.create_connection((address, port), left() / (len(addresses) - index))
        except OSError as error:
            failed = error
    raise failed or _RefusedError("the name has no address")


def _addresses(host: str, resolver: Resolver, left: Callable[[], float]) -> Sequence[str]:
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return tuple(resolver(host, left()))[:MAX_ADDRESSES]


def _tunnel(plain: socket.socket, target: Target, left: Callable[[], float]) -> None:
    host = f"[{target.host}]" if ":" in target.host else target.host
    plain.settimeout(left())
    plain.sendall(f"CONNECT {host}:{target.port} HTTP/1.1\r\nHost: {host}:{target.port}\r\n\r\n".encode("ascii"))
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):  # byte by byte, as what follows belongs to TLS
        plain.settimeout(left())
        byte = plain.recv(1)
        if not byte or len(head) > _MAX_HEAD:
            raise _RefusedError("the proxy gave no answer to CONNECT")
        head += byte
    status = bytes(head[:12])
    if not status.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
        raise _RefusedError("the proxy refused the tunnel")


def _exchange(sock: socket.socket, request: Request, left: Callable[[], float]) -> Reply | NoReply:
    connection = http.client.HTTPConnection(request.target.host, request.target.port)
    connection.sock = cast(socket.socket, _Wire(sock, left, request.max_body + _MORE))
    connection.putrequest(request.method, request.target.path, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value)
    connection.endheaders(request.body or None)
    reply = connection.getresponse()
    body = reply.read(request.max_body + 1)
    if len(body) > request.max_body:
        raise _TooLargeError
    if reply.length:
        return NoReply("the connection ended before the reply was whole")
    if reply.getheader("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return NoReply("the reply is compressed, although that was not asked for")
    return Reply(reply.status, body)


class _Wire:
    """A socket as http.client wants it, on which every wait ends at the deadline."""

    def __init__(self, sock: socket.socket, left: Callable[[], float], limit: int) -> None:
        self._sock = sock
        self._left = left
        self._limit = limit

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._left, self._limit))

    def close(self) -> None:
        """Whoever opened the socket closes it."""


class _Incoming(io.RawIOBase):
    """Bytes from a stranger: counted, and only until the deadline, however slowly they drip."""

    def __init__(self, sock: socket.socket, left: Callable[[], float], limit: int) -> None:
        self._sock = sock
        self._left = left
        self._limit = limit
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(self._left())
        size = self._sock.recv_into(buffer)
        self._bytes += size
        if self._bytes > self._limit:
            raise _TooLargeError
        return size
