"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def heading(text: str) -> None:
    """A section."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they must be; the last one is never padded."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip(), flush=True)


def count(connections: int | None) -> str:
    """A number of connections, or that they cannot be counted."""
    return "unavailable" if connections is None else str(connections)


def ratio(theirs: float | int | None, ours: float | int | None) -> str:
    """How many times as much."""
    if not theirs or not ours:
        return "-"
    times = theirs / ours
    return f"{times:.1f}x" if times < 10 else f"{times:.0f}x"


def target(value: float, limit: float) -> str:
    """Whether a target was met: said, never enforced."""
    return "met" if value < limit else "MISSED"
