"""A control: a named, versioned, pure rule with typed parameters. Facts in, verdict out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Model, PartName, SubjectId
from keycheck.model.verdict import Assurance, Verdict

CONTROL_ID: Final = re.compile(r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$")


class Group(StrEnum):
    """What a control is asked about at once."""

    PART = "part"
    SUBJECT = "subject"


Direction: TypeAlias = Literal["subset", "superset", "lower", "higher", "order"]


@dataclass(frozen=True, slots=True)
class Tighter:
    """Declares, on a control's field, which change by an inheriting profile is a tightening.

    `Annotated[SortedSet[TlsVersion], Tighter("subset")]`: an heir may only remove versions. With `"order"`
    the values are listed from loosest to strictest; values that are not listed may not change. A field
    without a `Tighter` may not change at all.
    """

    direction: Direction
    order: tuple[str, ...] = ()

    def allows(self, old: object, new: object) -> bool:
        """Whether `new` is `old` or tighter."""
        if old == new:
            return True
        match self.direction, old, new:
            case "subset", frozenset(), frozenset():
                return new <= old
            case "superset", frozenset(), frozenset():
                return new >= old
            case "order", _, _:
                return (
                    str(old) in self.order
                    and str(new) in self.order
                    and self.order.index(str(new)) >= self.order.index(str(old))
                )
            case (("lower" | "higher"), None, _):
                return True  # no limit so far: any limit is tighter
            case "lower", (int() | timedelta()), (int() | timedelta()) if type(old) is type(new):
                return bool(new < old)  # type: ignore[operator]
            case "higher", (int() | timedelta()), (int() | timedelta()) if type(old) is type(new):
                return bool(new > old)  # type: ignore[operator]
            case _:
                return False


F = TypeVar("F", bound=Facts)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Typed facts as a `Group.SUBJECT` control sees them."""

    part: PartName | None
    vantage: str
    assurance: Assurance
    facts: Facts


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the same evidence says of another subject, or why it says nothing."""

    subject: SubjectId
    facts: Facts | Unseen


@dataclass(frozen=True, slots=True)
class Sightings:
    """Everything seen of one subject that a `Group.SUBJECT` control needs."""

    all: tuple[Sighting, ...]
    beside: tuple[Neighbour, ...] = ()
    """Of the subjects that `Control.neighbours` named, in the order of their sequence numbers. Empty: the evidence
    holds nothing about them, and nothing may be claimed of them."""

    def of(self, kind: type[F]) -> tuple[F, ...]:
        """The facts of one kind, in the order of their sequence numbers."""
        return tuple(s.facts for s in self.all if isinstance(s.facts, kind))


class Control(Model):
    """Subclass with `id` and `version`; fields are the parameters that a profile sets in `with:`.

        class Protocols(Control, id="tls.protocols", version=1):
            '''The endpoint speaks only the protocol versions listed in `only`.'''
            needs = (TlsFacts,)
            only: Annotated[SortedSet[TlsVersion], Tighter("subset")]

            def judge(self, facts: TlsFacts) -> Verdict: ...

    `judge` takes one value of the only type in `needs`, or `Sightings` when `group_by` is `Group.SUBJECT`.
    It has no clock, no network and no environment. Released versions are never deleted.
    """

    id: ClassVar[str] = ""
    version: ClassVar[int] = 0
    needs: ClassVar[tuple[type[Facts], ...]] = ()
    group_by: ClassVar[Group] = Group.PART
    beside: ClassVar[tuple[type[Facts], ...]] = ()
    """Facts of other subjects that a `Group.SUBJECT` control is told of where the evidence holds any. Nothing is
    observed on their account: another requirement has to ask for them."""
    section: ClassVar[str] = ""
    """The deployment section whose subjects it judges, as in `endpoints`."""
    technique: ClassVar[str] = ""
    """The technique that its evidence needs authorization for; empty when none is needed."""

    proves: ClassVar[str] = ""
    does_not_prove: ClassVar[str] = ""
    caveat: ClassVar[str] = ""
    """What whoever reads any verdict of it must know first; every report shows it."""
    example: ClassVar[str] = ""
    """A requirement as it would stand in a profile, in YAML."""
    sources: ClassVar[tuple[str, ...]] = ()

    judge: ClassVar[Callable[..., Verdict]]

    def __init_subclass__(cls, *, id: str = "", version: int = 0, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[arg-type]
        if not id:
            return
        if not CONTROL_ID.match(id) or version < 1:
            raise TypeError(f"{cls.__name__}: a control needs an id such as 'area.rule' and a version from 1")
        cls.id = id
        cls.version = version

    def neighbours(self, seen: Sightings) -> Iterable[SubjectId]:
        """Which other subjects a `Group.SUBJECT` control wants to be told of, by what was seen of its own."""
        return ()

    @classmethod
    def reference(cls) -> str:
        """`id@version`, as a profile writes it."""
        return f"{cls.id}@{cls.version}"

    @classmethod
    def tighteners(cls) -> Mapping[str, Tighter]:
        """The declared direction of each parameter that an heir may change."""
        return {
            name: mark
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Tighter)
        }
