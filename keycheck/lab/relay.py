"""Passes bytes on late: a path with a round trip, between two loopback sockets.

The kernel accepts a loopback connection at once, so the time of the TCP handshake is added to what follows
it: nothing that a client sends is taken to have left before one round trip after it was accepted, and the
target is connected to when the client's last handshake segment would have reached it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket

from keycheck.lab.config import From, Relay
from keycheck.lab.kept import kept
from keycheck.lab.reactor import CHUNK, NO_LINGER


async def relay(service: Relay, listener: socket.socket) -> asyncio.Server:
    """Start relaying; the server closes with the loop."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pass_on(service, reader, writer)

    listener.setblocking(False)
    return await asyncio.start_server(kept(serve), sock=listener, limit=CHUNK)


def _clients(service: Relay, peer: object) -> From:
    """Whom this client is one of."""
    if service.by_source and isinstance(peer, tuple):
        address = ipaddress.ip_address(peer[0])
        for clients in service.by_source:
            if address in ipaddress.ip_network(clients.network):
                return clients
    return From("", service.one_way_us)


async def _pass_on(service: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    clients = _clients(service, writer.get_extra_info("peername"))
    one_way = clients.one_way_us / 1_000_000
    accepted = loop.time()
    established = accepted + (2 * one_way if service.shaken else 0.0)
    early = _Pump(reader, one_way, not_before=established)
    reading = asyncio.create_task(early.fill())
    try:
        await asyncio.sleep(established + one_way - loop.time())
        there, back = await asyncio.open_connection(clients.host or service.host, service.port, limit=CHUNK)
    except OSError:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        writer.transport.abort()
        return
    answers = _Pump(there, one_way)
    try:
        await asyncio.gather(reading, early.drain(back), answers.fill(), answers.drain(writer))
    except OSError:
        pass
    finally:
        for each in (back, writer):
            each.close()


class _Pump:
    """One direction: chunks with the time at which they arrive."""

    def __init__(self, source: asyncio.StreamReader, delay: float, *, not_before: float = 0.0) -> None:
        self._source = source
        self._delay = delay
        self._not_before = not_before
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

    async def fill(self) -> None:
        """Read until the end, b"" standing for it."""
        loop = asyncio.get_running_loop()
        data = b"more"
        while data:
            try:
                data = await self._source.read(CHUNK)
            except OSError:
                data = b""
            await self._queue.put((max(loop.time(), self._not_before) + self._delay, data))

    async def drain(self, sink: asyncio.StreamWriter) -> None:
        """Write each chunk when it is due."""
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                with contextlib.suppress(OSError):
                    sink.write_eof()
                return
            sink.write(data)
            await sink.drain()
