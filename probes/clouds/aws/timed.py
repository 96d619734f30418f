"""Answers that take a bounded time as a whole.

A read timeout of the SDK starts anew with every byte. So whoever waits can be cut: when its time is over, its
connection is closed under it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from botocore.client import BaseClient

_TICK: Final = 0.1
"""Seconds; how late a cut may come."""


class Cut:
    """One request's connection, and whether its time was over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.late = False

    def holds(self, connection: socket.socket | None) -> None:
        """This request uses `connection`."""
        with self._lock:
            self._connection = connection
            if self.late:
                self._shut()

    def now(self) -> None:
        """Its time is over."""
        with self._lock:
            self.late = True
            self._shut()

    def done(self) -> None:
        """Its answer was read, and others may use the connection."""
        with self._lock:
            self._connection = None

    def _shut(self) -> None:
        if self._connection is None:
            return
        try:
            # Not the method of TLS sockets, which takes the TLS away from the thread that reads.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        except OSError:
            """It is closed already."""


class Watchdog:
    """Cuts what is late. Its thread lives only while somebody waits."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._waits: dict[Cut, float] = {}
        self._runs = False

    @contextmanager
    def cutting(self, at: float) -> Iterator[Cut]:
        """Within, whatever connection the cut holds is closed at the moment `at`."""
        cut = Cut()
        with self._lock:
            self._waits[cut] = at
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._watch, name="keycheck-watchdog", daemon=True).start()
        try:
            yield cut
        finally:
            with self._lock:
                self._waits.pop(cut, None)
            cut.done()

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK)
            with self._lock:
                now = self._monotonic()
                late = [cut for cut, at in self._waits.items() if at <= now]
                for cut in late:
                    del self._waits[cut]
                if not self._waits and not late:
                    self._runs = False
                    return
            for cut in late:
                cut.now()


_CUT: Final[ContextVar[Cut | None]] = ContextVar("cut", default=None)


@contextmanager
def held_by(cut: Cut) -> Iterator[None]:
    """Requests that this thread makes within are the cut's."""
    token = _CUT.set(cut)
    try:
        yield
    finally:
        _CUT.reset(token)


class _HttpSession(Protocol):
    _pool_classes_by_scheme: dict[str, type]


def cuttable(client: BaseClient) -> None:
    """Make the connections of `client` tell the cut of the thread that uses them. Its pools have no public door."""
    from botocore.awsrequest import (
        AWSHTTPConnection,
        AWSHTTPConnectionPool,
        AWSHTTPSConnection,
        AWSHTTPSConnectionPool,
    )

    class Http(AWSHTTPConnection):
        def request(self, *arguments: object, **named: object) -> None:  # type: ignore[override]
            cast("Callable[..., None]", super().request)(*arguments, **named)
            _tell(self.sock)

    class Https(AWSHTTPSConnection):
        def request(self, *arguments: object, **named: object) -> None:  # type: ignore[override]
            cast("Callable[..., None]", super().request)(*arguments, **named)
            _tell(self.sock)

    class HttpPool(AWSHTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(AWSHTTPSConnectionPool):
        ConnectionCls = Https

    session = cast(_HttpSession, client._endpoint.http_session)  # type: ignore[attr-defined]
    session._pool_classes_by_scheme.update(http=HttpPool, https=HttpsPool)


def _tell(connection: socket.socket | None) -> None:
    if (cut := _CUT.get()) is not None:
        cut.holds(connection)
