"""Things that are made once in a run and shared by its units of work: cloud clients, paces, listings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Once:
    """A memo with one maker a key: whoever asks while it is being made waits for it.

    What is made lives as long as the run. A maker that raises leaves nothing behind, so the next one tries
    again. Pickles empty: another process makes its own.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._made: dict[Hashable, object] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned the first time for this key. Raises what `make` raises."""
        with self._guard:
            if key in self._made:
                return cast(T, self._made[key])
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._guard:
                if key in self._made:
                    return cast(T, self._made[key])
            made = make()
            with self._guard:
                self._made[key] = made
            return made

    def __reduce__(self) -> tuple[type[Once], tuple[()]]:
        return (Once, ())
