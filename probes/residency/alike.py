"""Many things of a kind, shown by a few of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Alike(Generic[T]):
    """One of several that are alike in all that is judged."""

    one: T
    more: int
    """Like it, and not shown; 0 for all but the last that is shown."""

    @property
    def note(self) -> str | None:
        """In words."""
        return f"and {self.more} alike" if self.more else None


def few(items: Iterable[T], kind: Callable[[T], K], most: int) -> tuple[Alike[T], ...]:
    """At most `most` of each kind, in the given order, so that thousands of a kind fit into evidence."""
    by_kind: dict[K, list[T]] = {}
    for item in items:
        by_kind.setdefault(kind(item), []).append(item)
    return tuple(
        Alike(one, len(found) - most if number == most else 0)
        for found in by_kind.values()
        for number, one in enumerate(found[:most], 1)
    )
