"""Local executors. The engine knows only `concurrent.futures.Executor` and a factory for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
PoolKind: TypeAlias = Literal["threads", "processes"]
Factory: TypeAlias = Callable[[PoolKind, int], Executor]
"""`(kind, workers) -> a fresh executor`; called again after a pool broke."""


class DaemonThreads(Executor):
    """Threads that never keep the process alive. A thread that hangs is simply left behind: the next
    submission gets a new one, because the engine bounds what is in flight, not the pool."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in an idle thread, or in a new one when none is idle."""
        if self._closed:
            raise RuntimeError("cannot submit after shutdown")
        future: Future[T] = Future()

        def item() -> None:
            if not future.set_running_or_notify_cancel():
                self._idle.release()
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - an executor hands every exception to its future
                self._idle.release()
                future.set_exception(error)
            else:
                # Idle before the result is known: whoever submits on seeing it must not need another thread.
                self._idle.release()
                future.set_result(result)

        self._work.put(item)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, daemon=True, name="keycheck-worker").start()
        return future

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            item()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Idle threads end; busy ones end with their work or with the process. Never waits."""
        self._closed = True
        while self._idle.acquire(blocking=False):
            self._work.put(None)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Processes(ProcessPoolExecutor):
    """Spawned worker processes that leave Ctrl-C to the engine and are killed, not waited for."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill the workers: whatever still runs is overdue, and its result is not wanted."""
        processes: dict[int, Any] = dict(getattr(self, "_processes", None) or {})
        super().shutdown(wait=False, cancel_futures=True)
        for process in processes.values():
            with contextlib.suppress(OSError, ValueError):
                process.kill()


def local(kind: PoolKind, workers: int) -> Executor:
    """Executors of this machine."""
    return DaemonThreads() if kind == "threads" else Processes(workers)
