"""Breaches and doubts of a control that finds many, as they are found. Pure."""

from __future__ import annotations

from keycheck.model.verdict import Reason, Verdict, inconclusive, passed
from probes.keys.key_control import settle


class Judgement:
    """Breaches and doubts as they are found, and what a pass leans on."""

    __slots__ = ("breaches", "doubts", "leans")

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.doubts: list[Verdict] = []
        self.leans: set[str] = set()

    def doubt(self, message: str, reason: Reason = Reason.NOT_COVERED) -> None:
        """Something that cannot be decided."""
        self.doubts.append(inconclusive(reason, message))

    def breach(self, message: str, sure: bool = True, why_not: str = "a Deny or a condition may take it away") -> None:
        """Something that is broken, or may be."""
        if sure:
            self.breaches.append(message)
        else:
            self.doubt(f"{message}, unless {why_not}")

    def verdict(self, words: str) -> Verdict:
        """What all of it comes to."""
        return settle(
            self.breaches, self.doubts, passed(f"{words}{''.join(f'; {lean}' for lean in sorted(self.leans))}")
        )
