"""The time of a drill, as logs are compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SLACK: Final = timedelta(seconds=2)
"""Before the undo: a drill goes on holding for so long after it has seen enough."""
SECOND: Final = timedelta(seconds=1)
"""Events of CloudTrail carry whole seconds; and what our clock and a cloud's differ by before a drill may start."""


@dataclass(frozen=True, slots=True)
class Window:
    """The moments of a drill, by our own wall clock."""

    began: datetime
    acted: datetime
    undoing: datetime
    undone: datetime

    def holds(self, at: datetime) -> bool:
        """Whether something logged counts as between act and undo. What is closer to the undo cannot be told from what
        came after it."""
        return self.began - SECOND <= at < self.undoing - SLACK
