"""What stands between a lab cloud and the drill that is tortured on it: counts calls, and lets things go wrong at one.

The cloud lives in this process and the drill in another, so that the drill can be killed between any two steps of a
call: before the cloud applied it, after it applied it and before it answered, and just after the answer.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Step(Enum):
    """Where in a call something happens."""

    ASKED = auto()
    APPLIED = auto()
    ANSWERED = auto()


class Weather(StrEnum):
    """What goes wrong with calls all the time."""

    CALM = "calm"
    BURSTS = "bursts of throttling"
    ERRORS = "random errors and lost answers"
    SESSIONS = "sessions that last two seconds"


class Fault(StrEnum):
    """What a call that went wrong gets."""

    THROTTLED = "throttled"
    INTERNAL = "internal"
    LOST = "lost"
    """No answer: the connection breaks."""


class FaultError(Exception):
    """Raised through the cloud's door, which makes the cloud's own kind of refusal of it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass
class Gate:
    """One drill's calls. Thread-safe. At rest it lets everything pass and counts."""

    total: int = 0
    """Calls of anybody, ever."""
    count: int = 0
    """Calls of the drill that is under way."""
    strike: Callable[[int, Step], bool] | None = None
    """Told of every step of the drill's calls; true when the drill is dead, and the call has nobody to answer to."""
    weather: Weather = Weather.CALM
    chance: random.Random = field(default_factory=random.Random)
    start: int = 0
    """From this call on the weather is bad."""
    _burst: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, strike: Callable[[int, Step], bool], weather: Weather, seed: int, start: int = 0) -> None:
        """A drill begins, or a recovery."""
        with self._lock:
            self.count, self.strike, self.weather, self.start, self._burst = 0, strike, weather, start, 0
            self.chance = random.Random(seed)

    def disarm(self) -> int:
        """The drill is over, the weather stays for whoever recovers; gives how many calls it made."""
        with self._lock:
            self.strike = None
            return self.count

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self.strike, self.weather, self._burst = None, Weather.CALM, 0

    def around(self, work: Callable[[], T]) -> T:
        """Do a call's work. Raises FaultError, and what the work raises."""
        with self._lock:
            self.total += 1
            number, strike = self.count, self.strike
            self.count += 1
            fault, late = self._fault() if number >= self.start else (None, False)
        if strike is not None and strike(number, Step.ASKED):
            raise FaultError(Fault.LOST)
        if fault is not None and not late:
            raise FaultError(fault)
        done = work()
        if strike is not None and strike(number, Step.APPLIED):
            raise FaultError(Fault.LOST)
        if fault is not None:
            raise FaultError(fault)
        if strike is not None:
            strike(number, Step.ANSWERED)
        return done

    def _fault(self) -> tuple[Fault | None, bool]:
        """What befalls the next call, and whether after it was applied."""
        if self.weather is Weather.BURSTS:
            if not self._burst and self.chance.random() < 0.08:
                self._burst = self.chance.randint(3, 8)
            if self._burst:
                self._burst -= 1
                return Fault.THROTTLED, False
        if self.weather is Weather.ERRORS and self.chance.random() < 0.15:
            return self.chance.choice(tuple(Fault)), self.chance.random() < 0.5
        return None, False


class Wire:
    """A TCP relay on loopback that can be cut: then it refuses connections, and those there were are reset."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._serve(self._listener)

    def cut(self, seconds: float) -> None:
        """Lost, and back after so many seconds."""
        self.close()
        timer = threading.Timer(seconds, self._mend)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Refuse, and reset."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            live, self._open = tuple(self._open), set()
        for sock in live:
            _reset(sock)

    def _mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._serve(self._listener)

    def _serve(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True, name="wire").start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                return
            there.settimeout(None)
            with self._lock:
                self._open |= {here, there}
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True, name="wire").start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            self._open -= {source, sink}
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(each) for each in tasks.read_text().split()]
    return found


def running(*words: str) -> bool:
    """Whether a process lives whose command line has all of these among its words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if {word.encode() for word in words} <= set(path.read_bytes().split(b"\0")):
                return True
    return False


def send(pids: list[int], number: signal.Signals) -> None:
    """A signal to processes that may have ended just now."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
