"""What google-auth sends token requests through: bounded bytes, one deadline over all of it, nothing followed.

Token services are asked over TLS, through the vantage's proxy and with its trust store. Without TLS only this machine
and a cloud's metadata service are asked, whoever names them, and directly. Sources: RFC 9112; RFC 9110 section 9.3.6.
"""

from __future__ import annotations

import base64
import http.client
import io
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from probes.clouds.gcp.errors import no_answer
from probes.clouds.gcp.files import read_regular
from probes.clouds.gcp.universes import METADATA, split

MAX_ANSWER: Final = 65_536
MAX_BUNDLE: Final = 4 * 1024 * 1024
_MAX_HEAD: Final = MAX_ANSWER
"""Bytes of an answer's head."""
_MAX_ADDRESSES: Final = 4


@dataclass(frozen=True, slots=True)
class Room:
    """How large an answer may be, and a question."""

    bytes: int = MAX_ANSWER
    brackets: int = 200
    """In it; answers are parsed by libraries that do not bound them."""
    url: int = 2000
    """Characters of what is asked for: page tokens are long."""


TOKEN: Final = Room()


@dataclass(frozen=True, slots=True)
class Answer:
    """As google-auth reads one. Its body may hold a token."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: bytes = field(repr=False)


class TokenTransport:
    """Answers google-auth's requests until a moment of the monotonic clock."""

    def __init__(self, io: Io, seconds: float, room: Room = TOKEN) -> None:
        self._io = io
        self._room = room
        self._until = io.monotonic() + seconds

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **given: object,
    ) -> Answer:
        """One request. Raises google-auth's TransportError, whose words hold nothing sent or received."""
        if given.get("cert") is not None:
            raise no_answer("client certificates are not used for tokens")
        try:
            return self._ask(url, method, body.encode() if isinstance(body, str) else body, headers or {})
        except _OddError as error:
            raise no_answer(str(error)) from None
        except ProbeError:
            raise no_answer("its name does not resolve") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise no_answer(f"no whole answer ({type(error).__name__})") from None

    def _left(self) -> float:
        left = self._until - self._io.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _ask(self, url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        parts = split(url, self._room.url)
        if parts is None:
            raise _OddError("its address is no URL")
        encrypted = parts.scheme == "https"
        with self._connected(parts, encrypted=encrypted) as plain:
            if not encrypted:
                return self._exchange(plain, parts, method, body, headers)
            plain.settimeout(self._left())
            with self._context().wrap_socket(plain, server_hostname=parts.hostname) as secure:
                return self._exchange(secure, parts, method, body, headers)

    def _exchange(
        self, sock: socket.socket, parts: SplitResult, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or _port(parts))
        connection.sock = cast(socket.socket, _Wire(sock, self))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(method, path, skip_accept_encoding=True, skip_host=True)
        sent = {"host": parts.netloc, "connection": "close", "content-length": str(len(body or b""))}
        sent.update({name.lower(): value for name, value in headers.items()})
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        data = reply.read(self._room.bytes + 1)
        if len(data) > self._room.bytes or data.count(b"[") + data.count(b"{") > self._room.brackets:
            raise _OddError("its answer is too large")
        if reply.length:
            raise _OddError("its answer was cut short")
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)

    def _connected(self, parts: SplitResult, *, encrypted: bool) -> socket.socket:
        host, port = parts.hostname or "", parts.port or _port(parts)
        proxy = self._proxy(host) if encrypted else None
        if proxy is None:
            return self._dialled(host, port, local=not encrypted)
        sock = self._dialled(proxy.hostname or "", proxy.port or 80, local=False)
        with ExitStack() as held:
            held.callback(sock.close)
            self._tunnel(sock, f"{host}:{port}" if ":" not in host else f"[{host}]:{port}", proxy)
            held.pop_all()
        return sock

    def _dialled(self, host: str, port: int, *, local: bool) -> socket.socket:
        addresses = self._addresses(host)
        if local and not all(each in METADATA or ipaddress.ip_address(each).is_loopback for each in addresses):
            raise _OddError("without TLS only this machine is asked")
        failed: OSError = ConnectionError()
        for index, address in enumerate(addresses):
            try:
                return socket.create_connection((address, port), self._left() / (len(addresses) - index))
            except OSError as error:
                failed = error
        raise failed

    def _addresses(self, host: str) -> tuple[str, ...]:
        if host == "localhost":
            return ("127.0.0.1",)
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            return tuple(self._io.resolver(host, self._left()))[:_MAX_ADDRESSES]

    def _proxy(self, host: str) -> SplitResult | None:
        """The vantage's; without one, the environment's, as gRPC does it."""
        named = self._io.vantage.proxy
        if named is None:
            named = None if proxy_bypass(host) else getproxies_environment().get("https")
        if not named:
            return None
        parts = urlsplit(named if "://" in named else f"http://{named}")
        if parts.scheme != "http" or not parts.hostname:
            raise _OddError("the proxy of the environment is none of http")
        return parts

    def _tunnel(self, sock: socket.socket, to: str, proxy: SplitResult) -> None:
        lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
        if proxy.username is not None:
            user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
        sock.settimeout(self._left())
        sock.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to TLS
            sock.settimeout(self._left())
            byte = sock.recv(1)
            if not byte or len(head) > 16_384:
                raise _OddError("the proxy gave no answer to CONNECT")
            head += byte
        if not bytes(head[:10]).startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
            raise _OddError("the proxy refused the tunnel")

    def _context(self) -> ssl.SSLContext:
        bundle = self._io.vantage.ca_bundle
        if bundle is None:
            return ssl.create_default_context()
        return ssl.create_default_context(cadata=read_regular(self._io.base / bundle, MAX_BUNDLE).decode("ascii"))


class _OddError(Exception):
    """The words are ours."""


def _port(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


class _Wire:
    """A socket as http.client wants it, on which every wait ends at the deadline."""

    def __init__(self, sock: socket.socket, transport: TokenTransport) -> None:
        self._sock = sock
        self._transport = transport

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._transport._left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._transport))

    def close(self) -> None:
        """Whoever opened the socket closes it."""


class _Incoming(io.RawIOBase):
    """A stranger's bytes: counted, and only until the deadline, however slowly they drip."""

    def __init__(self, sock: socket.socket, transport: TokenTransport) -> None:
        self._sock = sock
        self._transport = transport
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(self._transport._left())
        size = self._sock.recv_into(buffer)
        self._bytes += size
        if self._bytes > self._transport._room.bytes + _MAX_HEAD:
            raise _OddError("its answer is too large")
        return size
