"""Things that are made once in a run and shared by its units of work: cloud clients, paces, listings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Once:
    """A memo with one maker a key: whoever asks while it is being made waits for it.

    What is made lives as long as the run. A maker that raises leaves nothing behind, so the next one tries
    again. A maker that asks for its own key, or for one whose maker waits for it, would wait for ever: that raises
    RuntimeError. Pickles empty: another process makes its own.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._made: dict[Hashable, object] = {}
        self._makers: dict[Hashable, int] = {}
        """Thread that makes a key now."""
        self._waiters: dict[int, Hashable] = {}
        """Key that a thread waits for."""

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned the first time for this key. Raises what `make` raises."""
        with self._guard:
            if key in self._made:
                return cast(T, self._made[key])
            lock = self._locks.setdefault(key, threading.Lock())
            me = threading.get_ident()
            if self._leads_to(key, me):
                raise RuntimeError(f"making {key!r} waits for itself")
            self._waiters[me] = key
        try:
            lock.acquire()
        finally:
            with self._guard:
                del self._waiters[me]
        try:
            with self._guard:
                if key in self._made:
                    return cast(T, self._made[key])
                self._makers[key] = me
            made = make()
            with self._guard:
                self._made[key] = made
            return made
        finally:
            with self._guard:
                self._makers.pop(key, None)
            lock.release()

    def _leads_to(self, key: Hashable, thread: int) -> bool:
        """Whether `thread` itself must finish before the key can be made. Called under the guard."""
        seen: set[Hashable] = set()
        at: Hashable | None = key
        while at is not None and at not in seen:
            seen.add(at)
            maker = self._makers.get(at)
            if maker == thread:
                return True
            at = None if maker is None else self._waiters.get(maker)
        return False

    def __reduce__(self) -> tuple[type[Once], tuple[()]]:
        return (Once, ())
