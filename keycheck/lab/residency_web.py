"""Web servers that keep connections open, and the edges of content delivery networks in front of some.

An edge answers what is below ``/static/`` by itself. Everything else it asks its origin for, over one connection for
each of its clients', and tells in its head what real networks tell: the place that answered, whether a cache did, and
how long the origin took. Sources of the heads: AWS, CloudFront developer guide, "Server-Timing header"; Fastly
documentation of X-Timer, X-Served-By, X-Cache; Cloudflare documentation of CF-Ray, CF-Cache-Status, Server-Timing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from OpenSSL import SSL

from keycheck.lab.config import Edge, EdgeKind, Upstream, Web, WebManner
from keycheck.lab.kept import kept
from keycheck.lab.reactor import CHUNK, Want
from keycheck.lab.secure import Secure, make_context

_LONGEST_HEAD = 16_384
_LONGEST_BODY = 65_536
_LIFETIME = 30.0
_ENDLESS_LINES = 20_000
_STRANGE = "X-Served-By: cache-fra2140-FRA\r\nX-Timer: S1.000001,VS0,VE1\r\nCF-Ray: 8f1c2d3e4f5a6b7c-FRA\r\n"
"""Of two networks more, in Frankfurt."""
_PAGES: dict[str, object] = {
    "/": {"service": "practice CRM", "version": "1"},
    "/healthz": {"status": "ok"},
    "/contacts/1": {"id": 1, "name": "Ada Example"},
}
_FRESH = "/fresh/"
_STATIC = "/static/"
_LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>\n'
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 502: "Bad Gateway"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    type: str
    body: bytes


async def web(service: Web, listener: socket.socket) -> asyncio.Server:
    """Start serving; the server closes with the loop."""
    context = None if service.tls is None else make_context(service.tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LIFETIME):
                await _converse(service, context, reader, writer)
        writer.close()

    listener.setblocking(False)
    return await asyncio.start_server(kept(serve), sock=listener, limit=CHUNK)


class _Wire:
    """One client's bytes, in the clear or inside TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._secure: Secure | None = None

    async def shake(self, context: SSL.Context) -> bool:
        """Begin TLS."""
        self._secure = Secure(self, context)
        return await self._run(self._secure.handshake(b""))

    def send(self, data: bytes) -> None:
        """Bytes as they go over the wire."""
        self._writer.write(data)

    async def read(self) -> bytes:
        """Clear bytes; b"" at the end."""
        if self._secure is None:
            return await self._reader.read(CHUNK)
        return await self._run(self._secure.read())

    async def write(self, data: bytes) -> None:
        """Send clear bytes."""
        if self._secure is None:
            self._writer.write(data)
        else:
            self._secure.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Nothing more is sent."""
        if self._secure is not None:
            self._secure.end()

    async def _run(self, steps: Generator[Want, bytes, T]) -> T:
        try:
            next(steps)
            while True:
                steps.send(await self._reader.read(CHUNK))
        except StopIteration as done:
            result: T = done.value
            return result


async def _converse(
    service: Web, context: SSL.Context | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    wire = _Wire(reader, writer)
    if context is not None and not await wire.shake(context):
        return
    origin = None if service.edge is None else _Origin(service.edge.origin)
    try:
        held = b""
        while (request := await _head(wire.read, held)) is not None:
            head, held = request
            words = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
            if len(words) != 3 or not words[1].startswith("/"):
                break
            if service.manner is WebManner.ENDLESS_HEAD:
                await _endless(wire)
                break
            reply, said = await _answer(service.edge, origin, words[0], words[1])
            if service.manner is WebManner.TWO_NETWORKS:
                said += _STRANGE
            last = b"connection: close" in head.lower() or words[2] != "HTTP/1.1"
            if service.hsts:
                said += f"Strict-Transport-Security: {service.hsts}\r\n"
            await wire.write(_written(reply, said, body=words[0] != "HEAD", last=last))
            if last:
                break
        wire.end()
    finally:
        if origin is not None:
            origin.close()


async def _endless(wire: _Wire) -> None:
    await wire.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(_ENDLESS_LINES):
        await wire.write(b"X-Padding: " + b"0" * 1000 + b"\r\n")


async def _head(read: Callable[[], Awaitable[bytes]], held: bytes) -> tuple[bytes, bytes] | None:
    """A message's head, and what was read beyond it. None at the end."""
    while b"\r\n\r\n" not in held:
        data = await read()
        if not data or len(held) > _LONGEST_HEAD:
            return None
        held += data
    head, _, rest = held.partition(b"\r\n\r\n")
    return head, rest


async def _answer(edge: Edge | None, origin: _Origin | None, method: str, path: str) -> tuple[_Reply, str]:
    if edge is None or origin is None:
        return _own(method, path), ""
    if path.startswith(_STATIC):
        return _own(method, path), _told(edge, None)
    start = time.perf_counter_ns()
    try:
        reply = await origin.fetch(path)
    except (OSError, ValueError):
        reply = _Reply(502, "application/json", b'{"error": "the origin does not answer"}\n')
    return reply, _told(edge, (time.perf_counter_ns() - start) // 1000)


def _own(method: str, path: str) -> _Reply:
    """What the application itself answers."""
    plain = path.partition("?")[0]
    if method not in ("GET", "HEAD"):
        return _Reply(405, "application/json", b'{"error": "read only"}\n')
    if plain.startswith(_STATIC):
        return _Reply(200, "image/svg+xml", _LOGO)
    page = {"echo": plain.removeprefix(_FRESH)} if plain.startswith(_FRESH) else _PAGES.get(plain)
    body = json.dumps({"error": "no such record"} if page is None else page).encode() + b"\n"
    return _Reply(404 if page is None else 200, "application/json", body)


def _written(reply: _Reply, said: str, *, body: bool, last: bool) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}\r\n"
        f"Content-Type: {reply.type}\r\nContent-Length: {len(reply.body)}\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n{said}\r\n"
    )
    return head.encode() + (reply.body if body else b"")


class _Origin:
    """An edge's connection to its origin, opened when it is first needed."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._held = b""

    async def fetch(self, path: str) -> _Reply:
        """Ask for a path. Raises OSError or ValueError."""
        if self._streams is None:
            upstream = self._upstream
            self._streams = await asyncio.open_connection(
                upstream.host, upstream.port, local_addr=(upstream.source, 0), limit=CHUNK
            )
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: origin\r\n\r\n".encode())
        found = await _head(lambda: reader.read(CHUNK), self._held)
        if found is None:
            raise ConnectionResetError("the origin ended the connection")
        head, body = found
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = int(fields.get("content-length", "0"))
        if not 0 <= size <= _LONGEST_BODY:
            raise ValueError("the origin's answer is too long")
        while len(body) < size:
            if not (data := await reader.read(CHUNK)):
                raise ConnectionResetError("the origin ended the connection")
            body += data
        self._held = body[size:]
        return _Reply(int(lines[0].split(" ")[1]), fields.get("content-type", "text/plain"), body[:size])

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()


def _told(edge: Edge, waited_us: int | None) -> str:
    """The lines that the network adds; ``waited_us`` for the origin, or None where its cache answered."""
    hit = waited_us is None
    waited_ms = 0 if waited_us is None else waited_us // 1000
    untold = () if edge.timed else ("Server-Timing", "X-Timer")
    lines = _lines(edge, waited_ms, hit=hit)
    return "".join(f"{line}\r\n" for line in lines if not line.startswith(untold))


def _lines(edge: Edge, waited_ms: int, *, hit: bool) -> list[str]:
    match edge.cdn:
        case EdgeKind.CLOUDFRONT:
            layer = 'cdn-upstream-layer;desc="EDGE",'
            asked = f"{layer}cdn-upstream-connect;dur=0,cdn-upstream-fbl;dur={waited_ms},cdn-cache-miss"
            timing = f'{"cdn-cache-hit" if hit else asked},cdn-pop;desc="{edge.pop}"'
            return [
                "Via: 1.1 8c1f5e2d9b7a4c60.cloudfront.net (CloudFront)",
                f"X-Amz-Cf-Pop: {edge.pop}",
                f"X-Amz-Cf-Id: {secrets.token_urlsafe(42)}",
                f"X-Cache: {'Hit' if hit else 'Miss'} from cloudfront",
                f"Server-Timing: {timing}",
            ]
        case EdgeKind.FASTLY:
            now = time.time_ns() // 1000
            return [
                "Via: 1.1 varnish",
                f"X-Served-By: cache-{edge.pop.lower()}2140-{edge.pop}",
                f"X-Cache: {'HIT' if hit else 'MISS'}",
                f"X-Cache-Hits: {int(hit)}",
                f"X-Timer: S{now // 1_000_000}.{now % 1_000_000:06},VS0,VE{waited_ms}",
            ]
        case EdgeKind.CLOUDFLARE:
            return [
                "Server: cloudflare",
                f"CF-Ray: {secrets.token_hex(8)}-{edge.pop}",
                f"CF-Cache-Status: {'HIT' if hit else 'DYNAMIC'}",
                f"Server-Timing: cfEdge;dur=1,cfOrigin;dur={waited_ms}",
            ]
