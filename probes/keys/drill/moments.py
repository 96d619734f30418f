"""When what happened in a drill, on both clocks: the wall's for the log, a monotonic one for lengths."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from keycheck.drill.records import Found, Record
from keycheck.model.drill import Where
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.keys.drill_facts import Mark


@dataclass(slots=True)
class Moments:
    """When each kind of the journal's records was first about to be written. `intended` is the zero of all
    microseconds."""

    io: Io
    at: dict[str, tuple[datetime, float]] = field(default_factory=dict)

    def saw(self, record: Record) -> None:
        """Called before each line of the journal."""
        kind: str = record.type
        if isinstance(record, Found):
            kind = f"found-{record.where}" if "undo-intended" in self.at or record.where is Where.FOREIGN else ""
        if kind:
            self.at.setdefault(kind, (self.io.clock(), self.io.monotonic()))

    @property
    def zero(self) -> float:
        """When the act was about to begin, on the monotonic clock. Only after it was."""
        return self.at["intended"][1]

    def us(self, kind: str) -> int | None:
        """Microseconds from zero; None: it never happened."""
        found = self.at.get(kind)
        return None if found is None else round((found[1] - self.zero) * 1e6)

    def mark(self, kind: str) -> Mark | Unseen:
        """A moment as the facts state it."""
        us = self.us(kind)
        if us is None:
            return Unseen(reason=Reason.NOT_RECORDED, detail=f"{kind} never happened")
        return Mark(at=self.at[kind][0], at_us=us)

    def walls(self) -> dict[str, datetime]:
        """The wall clock's moments."""
        return {kind: at for kind, (at, _) in self.at.items()}
