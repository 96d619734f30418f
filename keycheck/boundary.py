"""The boundary to foreign code: plugins, probes, controls. One of the two places that catch everything.

A crash on the other side becomes a value, so that one broken plugin never stops the others. The value
names the exception's type and place, never its message: messages of SDKs carry credentials.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Crash:
    """Foreign code raised what it should not have."""

    kind: str
    """Type of the exception."""
    place: str
    """File name, line and function of the innermost frame."""

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}"


def guarded(call: Callable[[], T]) -> T | Crash:
    """The result of `call`, or the crash. SystemExit counts as a crash; Ctrl-C does not."""
    try:
        return call()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else "?"
        return Crash(type(error).__name__, place)
