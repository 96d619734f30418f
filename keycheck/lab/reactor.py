"""Drives many connections in one thread: a session is a generator that yields what it waits for.

Faster than asyncio's own streams, because a refused hello costs one callback and a handful of system calls;
asyncio still owns the loop, its timers and the sockets' readiness.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Generator
from enum import Enum, auto

LIFETIME = 30.0
"""Seconds that any connection may live."""
CONNECTIONS = 8192
"""Connections one process holds at a time; more are reset."""
CHUNK = 65_536
_ACCEPTS = 64
_TIRED = 0.05


class Want(Enum):
    """What a session waits for: bytes from the client (b"" at the end), or its own bytes to be taken."""

    READ = auto()
    DRAIN = auto()


Session = Generator[Want, bytes, None]


class Peer:
    """The client of one connection, as its session sees it."""

    __slots__ = ("_born", "_finishing", "_loop", "_out", "_reactor", "_session", "_sock", "_want")

    def __init__(self, reactor: Reactor, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._reactor = reactor
        self._sock = sock
        self._loop = loop
        self._out = b""
        self._want = Want.READ
        self._born = loop.time()
        self._finishing = False
        self._session: Session | None = None

    def send(self, data: bytes) -> None:
        """Send, keeping what the client does not take yet; sessions that send much wait for DRAIN."""
        if self._out:
            self._out += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the client is gone; reading says so next
        if sent < len(data):
            self._out = data[sent:]
            self._loop.add_writer(self._sock, self._writable)

    def begin(self, session: Session) -> None:
        """Run the session to its first wait."""
        self._session = session
        self._loop.add_reader(self._sock, self._readable)
        self._step(None)

    def close(self) -> None:
        """Forget the connection at once."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
        if self._session is not None:
            self._session.close()
        self._reactor.forget(self)

    def older_than(self, seconds: float) -> bool:
        """Whether the connection was accepted longer ago than this."""
        return self._loop.time() - self._born > seconds

    def _readable(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self._finishing:
            if not data:
                self.close()
        elif self._want is Want.READ:
            self._step(data)
        elif not data:
            self.close()

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._out = self._out[sent:]
        if self._out:
            return
        self._loop.remove_writer(self._sock)
        if self._finishing:
            self._half_close()
        else:
            self._drained()

    def _drained(self) -> None:
        if self._want is Want.DRAIN and not self._finishing and self._sock.fileno() >= 0:
            self._step(b"")

    def _step(self, data: bytes | None) -> None:
        """Let the session run on. An error in it ends this connection only; the loop reports it."""
        session = self._session
        if session is None:
            raise RuntimeError("the session has not begun")
        going = False
        try:
            self._want = next(session) if data is None else session.send(data)
            going = True
            if self._want is Want.DRAIN and not self._out:
                self._loop.call_soon(self._drained)  # others get their turn in between
        except StopIteration:
            going = True
            self._finish(ended=data == b"")
        finally:
            if not going:
                self.close()

    def _finish(self, *, ended: bool) -> None:
        """The session is over. The client closes first, or bytes it has not read yet could be lost."""
        if ended or self._sock.fileno() < 0:
            self.close()
            return
        self._finishing = True
        if not self._out:
            self._half_close()

    def _half_close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)


class Reactor:
    """All listeners and connections of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._peers: set[Peer] = set()
        self._sweep()

    def listen(
        self,
        listener: socket.socket,
        open_session: Callable[[Peer], Session],
        admit: Callable[[], bool] = lambda: True,
    ) -> None:
        """Answer every connection on ``listener`` with a new session; reset those not admitted."""
        listener.setblocking(False)

        def resume() -> None:
            self._loop.add_reader(listener, accept)

        def accept() -> None:
            for _ in range(_ACCEPTS):
                try:
                    sock, _address = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    return
                except OSError:  # out of descriptors: let connections end before taking more
                    self._loop.remove_reader(listener)
                    self._loop.call_later(_TIRED, resume)
                    return
                if not admit() or len(self._peers) >= CONNECTIONS:
                    reset(sock)
                    continue
                sock.setblocking(False)
                peer = Peer(self, sock, self._loop)
                self._peers.add(peer)
                peer.begin(open_session(peer))

        resume()

    def forget(self, peer: Peer) -> None:
        """A connection is closed."""
        self._peers.discard(peer)

    def close(self) -> None:
        """Close every connection."""
        for peer in tuple(self._peers):
            peer.close()

    def _sweep(self) -> None:
        for peer in tuple(self._peers):
            if peer.older_than(LIFETIME):
                peer.close()
        self._loop.call_later(1.0, self._sweep)


NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER on and zero: closing sends a TCP reset instead of an orderly end."""


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()
