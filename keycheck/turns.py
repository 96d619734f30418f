"""Taking turns: of the threads of a run, one works while the others wait for answers.

What threads do between two waits is Python, of which only one can run anyway. Left to themselves, a dozen threads hand
the interpreter to each other at every system call, and on more than one core that costs more than the work: measured
with 16 threads and 1,000 servers, 258,000 switches of context and 10.4 s of CPU instead of 6,000 and 6.2 s on one core.

A turn makes things fast, never right: whoever waits too long for one goes on without it. So no thread that hangs in its
turn can stop the others, and nothing may rely on being alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Final

PATIENCE: Final = 0.5
"""Seconds to wait for a turn. Work between two waits takes milliseconds."""

_LOCK: Final = Lock()
"""One for the process, as the interpreter is."""
_THREAD: Final = local()


@contextmanager
def turn() -> Iterator[None]:
    """Around what only computes. Within a turn of the same thread another is the same."""
    mine = not _has_turn()
    if mine:
        _take()
    try:
        yield
    finally:
        if mine:
            _give()


@contextmanager
def waiting() -> Iterator[None]:
    """Around each wait within a turn: others may take theirs meanwhile. Outside of one it does nothing."""
    had = _has_turn()
    if had:
        _give()
    try:
        yield
    finally:
        if had:
            _take()


def _has_turn() -> bool:
    return getattr(_THREAD, "has_turn", False)


def _take() -> None:
    _THREAD.has_turn = _LOCK.acquire(timeout=PATIENCE)


def _give() -> None:
    if _has_turn():
        _THREAD.has_turn = False
        _LOCK.release()
