"""Reading a list page by page, within bounds. What is cut short says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.gcp.errors import unseen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One answer of a list call."""

    items: Sequence[T]
    token: str
    """Of the next page; empty on the last."""
    total: int = 0
    """How many there are in all, where the cloud counts; 0: it does not say."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a list is read."""

    pages: int
    items: int


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What was read of a list."""

    items: tuple[T, ...]
    rest: Unseen | None
    """Why there may be more; None when this is all of it."""


def read_all(fetch: Callable[[str], Page[T]], bounds: Bounds) -> Listing[T]:
    """Follow page tokens to the end or to the bounds. Raises what `fetch` raises for the first page; a later page
    that fails leaves what was read, and the reason."""
    items: list[T] = []
    seen = {""}
    token = ""
    total = 0
    for number in range(bounds.pages):
        try:
            page = fetch(token)
        except ProbeError as error:
            if number == 0:
                raise
            return Listing(tuple(items), unseen(error))
        items.extend(page.items[: bounds.items + 1 - len(items)])
        total = max(total, page.total)
        if len(items) > bounds.items:
            return _cut(items[: bounds.items], f"there are more than the {bounds.items} that are read")
        if not page.token:
            if len(items) < total:
                return _cut(items, f"the cloud counts {total} and listed {len(items)}")
            return Listing(tuple(items), None)
        if page.token in seen:
            looped = Unseen(reason=Reason.MALFORMED, detail="a page token came back: the pages never end")
            return Listing(tuple(items), looped)
        seen.add(page.token)
        token = page.token
    return _cut(items, f"there are more than the {bounds.pages} pages that are read")


def _cut(items: list[T], why: str) -> Listing[T]:
    return Listing(tuple(items), Unseen(reason=Reason.NOT_COVERED, detail=why))
