"""What a defect is: one change to the plan of the practice world, and what a run on it must show.

A promise is a (control, verdict) pair other than ``pass`` on the changed subject. A run must show every
promised pair and no other beyond those of the clean world, where endpoints without HTTP have no HSTS, and
so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

S = TypeVar("S")
"""The plan that it changes: a Site or a KeySite."""

Promise = tuple[str, str]
"""A control id and a verdict."""


@dataclass(frozen=True, slots=True)
class Defect(Generic[S]):
    """One way to break, or seem to break, a promise.

    ``clause`` is the clause it must break, "" for an honest vendor that looks odd. ``at`` is the subject that
    it sits on unless asked for elsewhere; one that is not ``movable`` makes sense only there.
    ``intercepts``: the fault is on the customer's own side.
    """

    id: str
    title: str
    clause: str
    promises: frozenset[Promise]
    change: Callable[[S], S]
    at: str = "api"
    movable: bool = True
    intercepts: bool = False

    section: ClassVar[str] = ""
    """The deployment section that it sits in."""
    served: ClassVar[str] = ""
    """What the lab has to serve for it, where that is called otherwise than the section."""

    @property
    def among(self) -> str:
        """Which subjects of the lab it can be on: all of its section, or those that are served together."""
        return f"{self.served}/{self.section}" if self.served else self.section


def fails(*controls: str) -> frozenset[Promise]:
    """These controls fail."""
    return frozenset((control, "fail") for control in controls)


def beside(*controls: str) -> frozenset[Promise]:
    """These controls no longer apply."""
    return frozenset((control, "not-applicable") for control in controls)


def unknown(*controls: str) -> frozenset[Promise]:
    """These controls cannot be decided."""
    return frozenset((control, "inconclusive") for control in controls)
