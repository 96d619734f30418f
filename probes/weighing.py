"""How breaches and doubts that a control finds become one verdict. Pure; shared by the areas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keycheck.model.verdict import Kind, Reason, Verdict, because, failed, passed

MAX_SHOWN: Final = 4
"""Longest list in a message; the rest is counted."""


class Judgement:
    """Breaches and doubts as they are found, and what a pass leans on."""

    __slots__ = ("breaches", "doubts", "leans")

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.doubts: list[Verdict] = []
        self.leans: list[str] = []

    def breach(self, message: str) -> None:
        """Something that is broken."""
        self.breaches.append(message)

    def doubt(self, message: str, reason: Reason = Reason.NOT_COVERED) -> None:
        """Something that cannot be decided."""
        self.doubts.append(because(reason, message))

    def lean(self, message: str) -> None:
        """Something that whoever reads a pass must know."""
        self.leans.append(message)

    def verdict(self, words: str) -> Verdict:
        """A proved breach stands whatever could not be read; without one, any doubt is the verdict; else a pass."""
        if self.breaches:
            return failed(shown(self.breaches, "; "))
        for kind in (Kind.ERROR, Kind.INCONCLUSIVE, Kind.NOT_TESTED):
            if worst := [doubt for doubt in self.doubts if doubt.kind is kind]:
                reasons = tuple(reason for doubt in worst for reason in doubt.reasons)
                return Verdict(kind, reasons, shown((doubt.message for doubt in worst), "; "))
        return passed("; ".join((words, *self.leans)))


def shown(items: Iterable[str], separator: str = ", ") -> str:
    """Distinct items, sorted, the first few: so that the order of facts changes no message."""
    distinct = sorted(set(items))
    more = f"{separator}and {len(distinct) - MAX_SHOWN} more" if len(distinct) > MAX_SHOWN else ""
    return separator.join(distinct[:MAX_SHOWN]) + more


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 vault`, `2 vaults`; `plural` where it is not made by an s."""
    return f"1 {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
