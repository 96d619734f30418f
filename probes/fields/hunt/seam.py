"""What is sought in the clear, and what a search tells. Values stay in the process that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Sought: TypeAlias = Literal["canary", "truth"]


@dataclass(frozen=True, slots=True)
class Needle:
    """One spelling of one sought value, as bytes."""

    sought: Sought
    of: str
    """Class of the canary, or column of the opened value."""
    encoding: str
    """`raw`, `lower`, `base64+1`, `hex`, `utf-16-le`, `sha256-hex`, …"""
    value: int
    """Number of the sought value: its spellings share it."""
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sighted:
    """A needle seen in a row (or at a byte of a file)."""

    needle: int
    """Index in the dictionary."""
    at: int


@dataclass(frozen=True, slots=True)
class Truth:
    """A value that a sample was opened to. Never pickled to a worker, never spilled, never shown."""

    column: str
    of: str
    """Class of the field."""
    value: bytes = field(repr=False)
    shard: str = ""
    row: int = 0
    """Where its ciphertext lies."""
