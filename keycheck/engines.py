"""Where bulk work runs: `--engine`. What is held here only (clients of key services, opened values) stays in threads of
this process, whatever is chosen.

    processes, processes:N    worker processes of this machine (the default)
    threads                   everything in this process
    dask, dask:N              a Dask cluster of N workers on this machine, for the run
    dask://HOST:PORT          a Dask scheduler that is there; `dask+tls://` with Dask's own TLS configuration
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from keycheck.errors import UsageError
from keycheck.executors import DaemonThreads, Factory, PoolKind, local

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")
_NAMED: Final = re.compile(r"(?P<kind>processes|dask)(:(?P<count>[1-9]\d{0,3}))?")
_SCHEDULER: Final = re.compile(r"dask(?P<tls>\+tls)?://(?P<place>[A-Za-z0-9.:\[\]-]{1,300}:\d{1,5})")


@dataclass(frozen=True, slots=True)
class Workers:
    """A factory of executors, and how many worker processes stand behind it."""

    factory: Factory
    processes: int


@contextmanager
def engine(name: str, patience: float = 20.0) -> Iterator[Workers]:
    """The workers that `--engine` names, for as long as the context lasts. `patience`: seconds for a scheduler to
    answer. Raises UsageError."""
    if name == "threads":
        yield Workers(_threads, os.cpu_count() or 1)
        return
    with ExitStack() as held:
        if found := _SCHEDULER.fullmatch(name):
            client = held.enter_context(_client(f"{'tls' if found['tls'] else 'tcp'}://{found['place']}", patience))
            yield _dask(client)
        elif not (found := _NAMED.fullmatch(name)):
            raise UsageError(
                f"there is no engine {name!r}",
                advice="write processes, processes:N, threads, dask, dask:N or dask://HOST:PORT",
            )
        elif found["kind"] == "processes":
            yield Workers(local, int(found["count"] or os.cpu_count() or 1))
        else:
            yield _dask(held.enter_context(_cluster(int(found["count"] or os.cpu_count() or 1))))


class Cluster(Executor):
    """A Dask cluster as an executor. Work that keeps killing its workers comes back as a broken pool, as local workers
    report it, so that the engine runs it alone and names the guilty."""

    def __init__(self, client: Client) -> None:
        self._inner: Executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` on some worker."""
        from distributed import CancelledError, KilledWorker

        outer: Future[T] = Future()
        outer.set_running_or_notify_cancel()

        def landed(inner: Future[T]) -> None:
            if inner.cancelled():
                outer.set_exception(BrokenExecutor("cancelled with its pool"))
                return
            error = inner.exception()
            if isinstance(error, KilledWorker | CancelledError):
                error = BrokenExecutor("the worker died")
            if error is None:
                outer.set_result(inner.result())
            else:
                outer.set_exception(error)

        self._inner.submit(fn, *args, **kwargs).add_done_callback(landed)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nobody waits for what still runs."""
        self._inner.shutdown(wait=False)


def _threads(kind: PoolKind, workers: int) -> Executor:
    return DaemonThreads()


def _dask(client: Client) -> Workers:
    def factory(kind: PoolKind, workers: int) -> Executor:
        return DaemonThreads() if kind == "threads" else Cluster(client)

    threads = sum(client.nthreads().values())
    if not threads:
        raise UsageError("the Dask cluster has no worker", advice="start `dask worker SCHEDULER` and try again")
    return Workers(factory, threads)


@contextmanager
def _client(address: str, patience: float) -> Iterator[Client]:
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=patience, set_as_default=False)
    except OSError as error:
        raise UsageError(
            f"no Dask scheduler answers at {address}", advice="start `dask scheduler`, or name another address"
        ) from error
    with client:
        yield client


@contextmanager
def _cluster(workers: int) -> Iterator[Client]:
    distributed = _distributed()
    # One thread a worker: what is scanned holds the interpreter's lock for much of its time.
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _distributed() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise UsageError(
            f"a Dask engine needs {error.name}, which is not installed", advice="pip install 'keycheck[dask]'"
        ) from error
    return distributed
