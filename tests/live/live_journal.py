"""What was about to be created, on disk before it is; and signals that wait for a creation to be written down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Journal:
    """JSON lines, each on disk before `write` returns: `{"about": "create", …}`, then `{"about": "created", …}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def write(self, about: str, **more: str) -> None:
        line = json.dumps({"about": about, **more}, sort_keys=True) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


class Stopped(BaseException):  # an order like KeyboardInterrupt, which nothing may take for an error
    """A signal asked for the end."""


class Stop:
    """Turns SIGINT, SIGTERM and SIGHUP into `Stopped`: at once, after a creation, and never during the cleaning."""

    def __init__(self) -> None:
        self._held = False
        self._asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for each in _SIGNALS:
            self._before[each] = signal.signal(each, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal.signal gave it

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Signals wait until the block is left."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._asked:
            raise Stopped

    def deaf(self) -> None:
        """From here on signals are noted and do nothing: the cleaning runs to its end."""
        self._held = True

    def _heard(self, number: int, frame: FrameType | None) -> None:
        first = not self._asked
        self._asked = True
        if first and not self._held:
            raise Stopped
