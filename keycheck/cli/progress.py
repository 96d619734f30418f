"""Progress on stderr: one living line on a terminal, a few quiet lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Final, TextIO

from keycheck.cli.show import is_terminal
from keycheck.model.facts import Census, Unseen
from keycheck.model.observation import Observation
from keycheck.units import Advance

STEP: Final = 0.1
QUIET_STEP: Final = 10.0


class Progress:
    """Counts what was observed. Satisfies `keycheck.session.Watch`."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = is_terminal(stream)
        self._expected = 0
        self._subjects: set[tuple[str, str]] = set()
        self._parts = 0
        self._unseen: Counter[str] = Counter()
        self._began = self._last = self._since = time.monotonic()
        self._at = ""

    def begin(self, expected: int) -> None:
        """Say what is about to happen."""
        self._expected = expected
        self._began = self._last = time.monotonic()
        if not self._live:
            self._put(f"observing {expected} subjects\n")

    def saw(self, observation: Observation) -> None:
        """Count one more."""
        if observation.schema_id == Census.schema_id:
            self._subjects.add((observation.subject, observation.vantage))
        else:
            self._parts += 1
        if isinstance(observation.outcome, Unseen):
            self._unseen[observation.outcome.reason] += 1
        now = time.monotonic()
        if now - self._last >= (STEP if self._live else QUIET_STEP):
            self._last = now
            self._write(observation.subject)

    def advanced(self, advance: Advance) -> None:
        """Rows a second and the time left, of the work that is under way."""
        now = time.monotonic()
        if self._at != advance.subject or advance.done == 1:
            self._at, self._since = advance.subject, now
        if now - self._last < (STEP if self._live else QUIET_STEP) and advance.done < advance.units:
            return
        self._last = now
        self._write(pace(advance, now - self._since))

    def end(self) -> None:
        """Say what was observed."""
        self._write("")
        if self._live:
            self._put("\n")

    def _write(self, at: str) -> None:
        unseen = f", unseen: {', '.join(f'{n} {r}' for r, n in sorted(self._unseen.items()))}" if self._unseen else ""
        seconds = time.monotonic() - self._began
        subjects = f"{len(self._subjects)}/{self._expected} subjects surveyed"
        line = f"{subjects}, {self._parts} parts observed{unseen}, {seconds:.1f} s"
        if self._live:
            self._put(f"\r\x1b[K{line}{f'  {at}' if at else ''}")
        else:
            self._put(line + "\n")

    def _put(self, text: str) -> None:
        with suppress(OSError):  # a full disk under the log must not end the run
            self._stream.write(text)
            self._stream.flush()


def pace(advance: Advance, seconds: float) -> str:
    """`datasets/contacts 3/40 pieces, 1,200,000 rows, 400,000 rows/s, about 37 s left`."""
    shown = f"{advance.subject} {advance.done}/{advance.units} pieces"
    if advance.rows:
        shown += f", {advance.rows:,} rows"
        if seconds > 0:
            shown += f", {advance.rows / seconds:,.0f} rows/s"
    left = seconds / advance.done * (advance.units - advance.done) if advance.done else 0.0
    return shown + (f", about {left:.0f} s left" if left >= 1 else "")
