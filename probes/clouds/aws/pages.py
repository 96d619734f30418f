"""Listings: every page of them, within bounds, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

T = TypeVar("T")
U = TypeVar("U")

MAX_PAGES: Final = 200
MAX_ITEMS: Final = 20_000
MAX_TOKEN: Final = 8192


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What one call gave."""

    items: tuple[T, ...]
    token: str | None
    """For the next page; None on the last."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What all calls gave together."""

    items: tuple[T, ...]
    short: Unseen | None
    """Why there may be more; None: this is everything."""


def collect(
    operation: str, fetch: Callable[[str | None], Page[T]], *, max_pages: int = MAX_PAGES, max_items: int = MAX_ITEMS
) -> Listing[T]:
    """Follow `fetch` from its first page (token None) to its last.

    Stops early, and says why: at a token that came before (malformed: the listing runs in a circle), at the
    bounds (not-covered), and when a page after the first fails. Raises ProbeError when the first one does.
    """
    items: list[T] = []
    seen: set[str] = set()
    token: str | None = None
    for number in range(1, max_pages + 1):
        try:
            page = fetch(token)
        except ProbeError as error:
            if token is None:
                raise
            return _short(items, error.reason, f"{error} (on page {number})")
        room = max_items - len(items)
        items.extend(page.items[:room])
        if len(page.items) > room or (page.token is not None and len(page.items) == room):
            return _short(items, Reason.NOT_COVERED, f"{operation}: more than {max_items} entries")
        if page.token is None:
            return Listing(tuple(items), None)
        if len(page.token) > MAX_TOKEN:
            return _short(items, Reason.MALFORMED, f"{operation}: a page token of {len(page.token)} characters")
        if page.token in seen:
            return _short(items, Reason.MALFORMED, f"{operation}: pages that run in a circle")
        seen.add(page.token)
        token = page.token
    return _short(items, Reason.NOT_COVERED, f"{operation}: more than {max_pages} pages")


def whole(listing: Listing[T]) -> tuple[T, ...]:
    """The items of a complete listing. Raises ProbeError with the reason why it is short: half a listing of grants
    must not look like all of them."""
    if listing.short is not None:
        raise ProbeError(listing.short.reason, listing.short.detail)
    return listing.items


def _short(items: list[T], reason: Reason, why: str) -> Listing[T]:
    return Listing(tuple(items), Unseen(reason=reason, detail=vendor_text(why)))
