"""Drills on keys: what changes the world in a cloud, and what looks at its effect. One set of modules a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keycheck.model.verdict import Reason


class Sight(StrEnum):
    """What one look at the canary gave."""

    READABLE = "readable"
    DENIED = "denied"
    """Withheld in exactly the way that the drill's change withholds it."""
    UNAVAILABLE = "unavailable"
    """Anything else: throttled, unreachable, refused for another reason. Says nothing about the change."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the canary in one place."""

    place: str
    """Region or location."""
    sight: Sight
    words: str
    began: datetime
    """By our own clock, before the question went out."""
    took_us: int
    """Microseconds until the answer was read."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a drill does not start, before anything is changed."""

    reason: Reason
    words: str
    """What is wrong, and what to do about it."""
