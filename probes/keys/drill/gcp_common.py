"""What the mechanisms of Google Cloud share."""

from __future__ import annotations

from datetime import datetime

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.probe import Io
from keycheck.model.types import Model, vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_common import written
from probes.keys.subjects import Key


def change_of(
    kind: str, drill: str, subject: Key, parameters: Model, deadline: datetime, by_hand: tuple[str, ...]
) -> Change:
    """The change of a mechanism, as the journal keeps it."""
    return Change(
        kind=kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=written(subject),
        parameters=written(parameters),
        deadline=deadline,
        by_hand=tuple(vendor_text(command) for command in by_hand),
    )


def in_time(deadline: datetime, io: Io) -> None:
    """Raises ProbeError(not-covered) when the deadline is over."""
    if io.clock() >= deadline:
        raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
