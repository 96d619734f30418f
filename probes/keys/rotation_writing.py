"""Makes the vendor write, again and again while a key is rotated, and looks at what it stored.

One write at a time, in a thread of its own. Each is a request of a witness that the deployment declares for that; the
record it writes is the customer's canary. What the vendor shows of the stored record is a stranger's, and only digests
of it are kept.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final, Literal, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.deployment import HttpWitness
from keycheck.model.drill import Desk
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.ways import READ
from probes.keys.rotation_facts import MAX_WRITES, Stored, Under, Write
from probes.keys.rotation_opening import Opened, Opener, told
from probes.keys.rotation_stored import value_at, wrapped_keys
from probes.keys.subjects import RotationWrite, StoredValue
from probes.keys.timeline import Saw
from probes.keys.witness import HttpReader, Reading, open_http

GRACE: Final = 15.0
"""Seconds that a write which is under way at the end is waited for."""
_Said: TypeAlias = Literal["acknowledged", "refused", "unavailable"]
_SAID: Final[Mapping[Saw, _Said]] = {
    Saw.READABLE: "acknowledged",
    Saw.WITHHELD: "refused",
    Saw.DENIED: "refused",
    Saw.UNAVAILABLE: "unavailable",
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """The vendor's view of a stored record, on the monotonic clock."""

    value: str
    wrapped: str
    opened: Opened | Unseen
    at: float


@dataclass(frozen=True, slots=True)
class _Written:
    by: str
    start: float
    end: float
    reading: Reading
    shown: _Shown | Unseen
    anew: bool


@dataclass(slots=True)
class _Pen:
    """One record that is written anew."""

    by: str
    writer: HttpReader
    stored: StoredValue | None
    viewer: HttpReader | None
    last: str = ""
    """Digest of the value that was shown last."""

    def show(self, opener: Opener, monotonic: Callable[[], float]) -> _Shown | Unseen:
        if self.stored is None or self.viewer is None:
            return Unseen(reason=Reason.UNSUPPORTED, detail="the deployment declares no witness of the stored record")
        reading, body = self.viewer.fetch(READ)
        if reading.saw is not Saw.READABLE:
            return Unseen(reason=Reason.UNREACHABLE, detail=vendor_text(f"the stored record: {reading.words}"))
        try:
            value = value_at(body, self.stored.pointer)
            keys = wrapped_keys(value, self.stored.layout)
        except ProbeError as error:
            return Unseen(reason=error.reason, detail=vendor_text(str(error)))
        at = monotonic()
        opened = told(lambda: opener.open(keys))
        return _Shown(_digest(value), _digest(b"".join(each.blob for each in keys)), opened, at)


@dataclass(slots=True)
class Writing:
    """Writes on all ways in turn, one begun every `every` seconds at most."""

    pens: Sequence[_Pen]
    opener: Opener
    every: float
    monotonic: Callable[[], float]
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _written: list[_Written] = field(default_factory=list)

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._go_on, name="writes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write no more; what is under way is waited for, within bounds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(GRACE)

    def writes(self, zero: float) -> tuple[Write, ...]:
        """Everything written so far, counted from `zero`."""
        with self._lock:
            written = tuple(self._written)
        return tuple(_fact(each, zero) for each in written)

    def acknowledged(self) -> Mapping[str, int]:
        """How many writes on each way were."""
        with self._lock:
            good = [each.by for each in self._written if each.reading.saw is Saw.READABLE]
        return {pen.by: good.count(pen.by) for pen in self.pens}

    def trouble(self, by: str) -> str:
        """What the last write on one way was like, and what was shown of it."""
        with self._lock:
            last = next((each for each in reversed(self._written) if each.by == by), None)
        if last is None:
            return "no answer"
        return last.reading.words + (f"; {last.shown.detail}" if isinstance(last.shown, Unseen) else "")

    def _go_on(self) -> None:
        for pen in self.pens:  # so that what is shown after the first write that counts can be compared
            pen.writer.read(READ)
            shown = pen.show(self.opener, self.monotonic)
            pen.last = shown.value if isinstance(shown, _Shown) else ""
        for _, pen in zip(range(MAX_WRITES), cycle(self.pens), strict=False):
            if self._stop.is_set():
                return
            start = self.monotonic()
            reading = pen.writer.read(READ)
            end = self.monotonic()
            shown = pen.show(self.opener, self.monotonic)
            anew = False
            if isinstance(shown, _Shown):
                anew, pen.last = pen.last not in ("", shown.value), shown.value
            with self._lock:
                self._written.append(_Written(pen.by, start, end, reading, shown, anew))
            self._stop.wait(max(0.01, self.every - (self.monotonic() - start)))


def pens(writes: Sequence[RotationWrite], io: Io, desk: Desk) -> tuple[_Pen, ...]:
    """The ways to write, ready. Raises ProbeError for a witness that cannot be used."""
    return tuple(
        _Pen(
            each.witness,
            _http(each.witness, io, desk),
            each.stored,
            None if each.stored is None else _http(each.stored.witness, io, desk),
        )
        for each in writes
    )


def _http(name: str, io: Io, desk: Desk) -> HttpReader:
    witness = next((each for each in desk.deployment.witnesses if each.id == name), None)
    if not isinstance(witness, HttpWitness):
        raise ProbeError(Reason.UNSUPPORTED, f"a rotation writes and looks through HTTP witnesses, and {name} is none")
    return open_http(witness, io, os.environ)


def _fact(written: _Written, zero: float) -> Write:
    shown = written.shown
    stored: Stored | Unseen
    if isinstance(shown, _Shown):
        opened = shown.opened
        under = (
            Under(role=opened.role, material=opened.material, at_us=_us(shown.at - zero))
            if isinstance(opened, Opened)
            else opened
        )
        stored = Stored(value=shown.value, wrapped=shown.wrapped, anew=written.anew, under=under)
    else:
        stored = shown
    return Write(
        by=vendor_text(written.by),
        at_us=_us(written.start - zero),
        end_us=_us(written.end - zero),
        said=_SAID[written.reading.saw],
        words=vendor_text(written.reading.words),
        stored=stored,
    )


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
