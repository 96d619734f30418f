"""Nested prefixes as disjoint intervals in which the longest prefix has won. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from probes.residency.ranges.prefixes import BITS, Prefix

Cut: TypeAlias = tuple[int, int]
"""The first address of an interval, and what holds from there to the next cut: a number, `NOTHING` for no prefix."""
NOTHING = -1


def flattened(prefixes: Iterable[tuple[Prefix, int]], family: int) -> list[Cut]:
    """The intervals of prefixes of one family, each prefix once; the first begins at address 0."""
    cuts: list[Cut] = [(0, NOTHING)]
    open_: list[tuple[int, int]] = []
    """Ends and values of the prefixes that we are inside of, the longest last."""

    def cut(start: int, value: int) -> None:
        if cuts[-1][0] == start:
            cuts.pop()
        if not cuts or cuts[-1][1] != value:
            cuts.append((start, value))

    def close(until: int) -> None:
        while open_ and open_[-1][0] <= until:
            end, _ = open_.pop()
            cut(end, open_[-1][1] if open_ else NOTHING)

    for prefix, value in sorted(prefixes):
        close(prefix.value)
        cut(prefix.value, value)
        open_.append((prefix.end, value))
    close(1 << BITS[family])
    if cuts[-1][0] == 1 << BITS[family]:
        cuts.pop()
    return cuts


def overlaid(layers: Sequence[Sequence[Cut]]) -> list[tuple[int, tuple[int, ...]]]:
    """Several flattenings as one: where any of them changes, what each of them holds there (`NOTHING` left out)."""
    changes = sorted((start, layer, value) for layer, cuts in enumerate(layers) for start, value in cuts)
    holds = [NOTHING] * len(layers)
    found: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    for start, layer, value in changes:
        holds[layer] = value
        now = tuple(each for each in holds if each != NOTHING)
        if found[-1][0] == start:
            found.pop()
        if not found or found[-1][1] != now:
            found.append((start, now))
    return found
