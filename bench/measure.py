"""Clocks, counters and the machine: what every part of the benchmark measures with."""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
_SNMP: Final = Path("/proc/net/snmp")
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Timing:
    """Repeated runs of one thing. Seconds; `connections` is the least seen in any run, None: not countable."""

    seconds: tuple[float, ...]
    connections: int | None = None

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """Fastest to slowest."""
        return f"{shown_time(min(self.seconds))} to {shown_time(max(self.seconds))}"


@dataclass(frozen=True, slots=True)
class Finished:
    """One run of a program. `exit_code` None: killed at its time limit."""

    seconds: float
    exit_code: int | None
    connections: int | None
    peak_kib: int | None = None
    """Greatest resident memory of the program's own process, where it was asked for and can be read."""
    output: bytes = b""


def passive_opens() -> int | None:
    """TCP connections that servers in this network namespace have accepted since it began (RFC 4022,
    tcpPassiveOpens). It counts everybody's: take the least of several runs, or run in a namespace of your
    own. None where the system does not tell (anything but Linux)."""
    try:
        lines = [line.split() for line in _SNMP.read_text().splitlines() if line.startswith("Tcp:")]
    except OSError:
        return None
    names, values = lines
    return int(values[names.index("PassiveOpens")])


def _since(before: int | None) -> int | None:
    now = passive_opens()
    return None if before is None or now is None else now - before


def timed(work: Callable[[], T], runs: int, *, warm: int = 1) -> tuple[Timing, T]:
    """Call `work` that often after `warm` calls that do not count; the last result comes back too."""
    for _ in range(warm):
        work()
    seconds, counts, results = [], [], deque[T](maxlen=1)
    for _ in range(runs):
        before, start = passive_opens(), time.perf_counter()
        results.append(work())
        seconds.append(time.perf_counter() - start)
        counts.append(_since(before))
    known = [count for count in counts if count is not None]
    return Timing(tuple(seconds), min(known) if known else None), results[-1]


def execute(
    argv: Sequence[str],
    *,
    limit: float,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    memory: bool = False,
) -> Finished:
    """Run a program to its end or to its limit in seconds; its whole process group ends with it."""
    before, start = passive_opens(), time.perf_counter()
    scratch = cwd / "stdout"
    with scratch.open("wb") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        warden = _Warden(process, limit, memory)
        warden.start()
        # Not `wait(timeout)`: that looks only every 50 ms, and what is timed here may take less.
        try:
            exit_code = process.wait()
        except KeyboardInterrupt:
            _kill(process)
            raise
        seconds = time.perf_counter() - start
        warden.over.set()
        warden.join()
    ended = None if warden.killed else exit_code
    return Finished(seconds, ended, _since(before), warden.peak_kib, scratch.read_bytes())


class _Warden(threading.Thread):
    """Ends a process group at its limit and, where asked to, looks at the process's memory until then."""

    def __init__(self, process: subprocess.Popen[bytes], limit: float, memory: bool) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.killed = False
        self.peak_kib: int | None = None
        self._process = process
        self._until = time.monotonic() + limit
        self._memory = memory

    def run(self) -> None:
        """Until the process is over."""
        while (left := self._until - time.monotonic()) > 0:
            if self._memory:
                self.peak_kib = high_water_kib(self._process.pid) or self.peak_kib
            if self.over.wait(min(left, _LOOK_S) if self._memory else left):
                return
        self.killed = True
        _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def high_water_kib(pid: int | None = None) -> int | None:
    """Greatest resident memory of a process so far; None where the system does not tell. Not `ru_maxrss`: on
    Linux a child inherits its parent's over fork and exec."""
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) if found else None


def repeated(run: Callable[[], Finished], runs: int) -> tuple[Timing, Finished]:
    """A program several times; the last run comes back too."""
    done = [run() for _ in range(runs)]
    known = [each.connections for each in done if each.connections is not None]
    return Timing(tuple(each.seconds for each in done), min(known) if known else None), done[-1]


def machine() -> str:
    """One line about where this ran."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    python = platform.python_version()
    return (
        f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}, Python {python}, load {load:.1f}"
    )


def busy() -> str | None:
    """A warning where others are using the machine; None where they are not, or the system does not tell."""
    if not hasattr(os, "getloadavg") or os.getloadavg()[0] <= (os.cpu_count() or 1) / 2:
        return None
    return "The machine is busy: times may be too long. Connections and answers hold."


def shown_time(seconds: float) -> str:
    """`4.2 ms`, `1.36 s`, `33 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
