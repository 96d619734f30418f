"""A slow path on loopback, for benchmarks: a relay that adds a delay each way."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from keycheck.lab.children import Child
from keycheck.lab.config import Config, Listener, Relay
from keycheck.lab.errors import LabError
from keycheck.lab.places import Places
from keycheck.lab.vendor import Groups


class DelayRelay:
    """Listens on loopback and passes everything on to ``target`` ("ip:port"), ``one_way_ms`` late each way.

    The TCP handshake's round trip is part of the delay: a client that sends at once after connecting has its
    answer after two round trips. Runs as a process of its own, so that it does not slow what it measures.
    ``address`` is where to connect instead of ``target``.
    """

    def __init__(self, target: str, one_way_ms: float) -> None:
        host, colon, port = target.rpartition(":")
        if not colon or not port.isdecimal() or one_way_ms < 0:
            raise LabError(f"cannot delay {target!r} by {one_way_ms} ms", advice="name an ip:port and a positive delay")
        self._home = tempfile.TemporaryDirectory(prefix="keycheck-relay-")
        self._places = Places()
        self._child = Child("relay", Path(self._home.name), Groups.CLEAN.value)
        with ExitStack() as held:
            held.callback(self.close)
            (place,) = self._places.claim(1)
            place.listen()
            self.address = str(place)
            relay = Relay(host, int(port), round(one_way_ms * 1000))
            self._child.start(Config((Listener(place.socket.fileno(), relay),)))
            self._places.release()
            self._child.ready()
            held.pop_all()

    @property
    def pid(self) -> int:
        """The relaying process."""
        return self._child.pid

    def close(self) -> None:
        """End the relay."""
        self._child.close()
        self._places.close()
        self._home.cleanup()

    def __enter__(self) -> DelayRelay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
