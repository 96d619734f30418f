"""What can go wrong with a log of the lab's clouds, beside being late for a fixed time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class LogTrouble:
    """Switches, to be set at any time while a cloud runs. One for each door to a log: an API, a bucket."""

    late: timedelta = timedelta(0)
    """Entries are there so much later than the cloud's own lag."""
    since: datetime | None = None
    """Only entries of calls from then on are late; None: all."""
    reordered: bool = False
    """Entries and files come in another order than that of time."""
    truncated: bool = False
    """An API's pages after a short first one never come; of a bucket's newest file the second half is missing."""
    missing: Callable[[str], bool] | None = None
    """Names of a bucket's files that were never written."""
    excluded: frozenset[str] = field(default_factory=frozenset)
    """Operations (`Decrypt`) that are left out."""

    def there(self, at: datetime, now: datetime) -> bool:
        """Whether the entry of a call at that time is there by now, as far as `late` goes."""
        return not self.late or at + self.late <= now or (self.since is not None and at < self.since)

    def ordered(self, items: list[T]) -> list[T]:
        """The items in the order in which they are told."""
        return [*items[1::2], *items[::2]] if self.reordered else items

    def clear(self) -> None:
        """Everything works again."""
        self.late, self.since = timedelta(0), None
        self.reordered = self.truncated = False
        self.missing = None
        self.excluded = frozenset()


SHORT_PAGE = 10
"""Entries of the only page that comes when pages are truncated."""
