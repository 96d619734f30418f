"""The algebra of permitted places: which countries, for each activity and class of data, and under which condition.

An `Extent` is what a `Scope` means. Extents form a distributive lattice: `&` permits what both permit, `|` what either
permits, `<=` holds where everything that the left permits the right permits too. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from probes.places.countries import with_parts

Condition: TypeAlias = frozenset[frozenset[str]]
"""When a place is permitted: one of these sets of legal predicates must hold whole (a monotone formula as its minimal
terms). No set: never. The empty set alone: always."""

NEVER: Final[Condition] = frozenset()
ALWAYS: Final[Condition] = frozenset({frozenset[str]()})


def when(*predicates: str) -> Condition:
    """All of the predicates must hold."""
    return frozenset({frozenset(predicates)})


def _minimal(terms: Iterable[frozenset[str]]) -> Condition:
    kept = frozenset(terms)
    return frozenset(term for term in kept if not any(other < term for other in kept))


def either(a: Condition, b: Condition) -> Condition:
    """Permitted where one of the two permits."""
    return _minimal(a | b)


def both(a: Condition, b: Condition) -> Condition:
    """Permitted where both permit."""
    return _minimal(x | y for x in a for y in b)


def implies(a: Condition, b: Condition) -> bool:
    """Whether whatever satisfies `a` satisfies `b`."""
    return all(any(weaker <= term for weaker in b) for term in a)


class Activity(StrEnum):
    """What is done with data or keys at a place."""

    STORE = "store"
    PROCESS = "process"
    INFER = "infer"
    ADMINISTER = "administer"
    KEY_USE = "key-use"
    BACK_UP = "back-up"


class Standing(StrEnum):
    """How a set of places lies to what is permitted. Only INSIDE may ever lead to a pass."""

    INSIDE = "inside"
    CONDITIONAL = "conditional"
    """No place is outside, but some are permitted only under a legal predicate that is not shown to hold."""
    PARTLY = "partly"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"
    """No place is known."""


@dataclass(frozen=True, slots=True)
class Contained:
    """A set of places held against a scope: its standing, what is outside, and what only conditions permit."""

    standing: Standing
    outside: frozenset[str] = frozenset()
    conditional: Mapping[str, Condition] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def demanded(self) -> frozenset[str]:
        """The legal predicates of which some would have to be shown."""
        return frozenset(name for terms in self.conditional.values() for term in terms for name in term)


@dataclass(frozen=True, slots=True)
class Permitted:
    """The countries that one activity with one class of data may be in. Never holds a country with `NEVER`."""

    countries: Mapping[str, Condition]

    @classmethod
    def of(cls, conditions: Iterable[tuple[str, Condition]]) -> Permitted:
        """Conditions of the same country are alternatives."""
        merged: dict[str, Condition] = {}
        for code, condition in conditions:
            merged[code] = either(merged.get(code, NEVER), condition)
        return cls(MappingProxyType({code: merged[code] for code in sorted(merged) if merged[code] != NEVER}))

    def condition(self, code: str) -> Condition:
        """When data may be in the country."""
        return self.countries.get(code, NEVER)

    def contains(self, places: Collection[str], shown: Collection[str] = ()) -> Contained:
        """Hold countries against this. `shown` names the legal predicates that were shown to hold.

        A country's name stands for its parts too: data in PT may be on the Azores. The empty set is UNKNOWN.
        """
        if not places:
            return Contained(Standing.UNKNOWN)
        held = frozenset(shown)
        outside: set[str] = set()
        waiting: dict[str, Condition] = {}
        inside = 0
        for code in sorted(with_parts(places)):
            condition = self.condition(code)
            if condition == NEVER:
                outside.add(code)
            elif any(term <= held for term in condition):
                inside += 1
            else:
                waiting[code] = condition
        if outside:
            standing = Standing.PARTLY if inside or waiting else Standing.OUTSIDE
        else:
            standing = Standing.CONDITIONAL if waiting else Standing.INSIDE
        return Contained(standing, frozenset(outside), MappingProxyType(waiting))

    def __and__(self, other: Permitted) -> Permitted:
        shared = self.countries.keys() & other.countries.keys()
        return Permitted.of((code, both(self.countries[code], other.countries[code])) for code in shared)

    def __or__(self, other: Permitted) -> Permitted:
        return Permitted.of([*self.countries.items(), *other.countries.items()])

    def __le__(self, other: Permitted) -> bool:
        return all(implies(condition, other.condition(code)) for code, condition in self.countries.items())

    def without(self, codes: Collection[str]) -> Permitted:
        """The same, with these countries and their parts left out."""
        gone = with_parts(codes)
        return Permitted.of((code, condition) for code, condition in self.countries.items() if code not in gone)

    def __hash__(self) -> int:
        return hash(frozenset(self.countries.items()))


@dataclass(frozen=True, slots=True)
class Extent:
    """What a scope permits, for each activity and class of data.

    `named` holds a `Permitted` for each activity and class with a rule of its own; `other` one for each activity,
    for every other class.
    """

    other: Mapping[Activity, Permitted]
    named: Mapping[tuple[Activity, str], Permitted]

    @property
    def classes(self) -> frozenset[str]:
        """The classes of data with a rule of their own."""
        return frozenset(data for _, data in self.named)

    def at(self, activity: Activity | None = None, data: str | None = None) -> Permitted:
        """What is permitted for an activity with a class of data.

        None stands for "not known which": then only what is permitted for every one.
        """
        first, *others = {id(cell): cell for cell in self._cells(activity, data)}.values()
        for cell in others:
            first = first & cell
        return first

    def _cells(self, activity: Activity | None, data: str | None) -> Iterator[Permitted]:
        for one in Activity if activity is None else (activity,):
            if data is None:
                yield self.other[one]
                yield from (self.named[one, each] for each in sorted(self.classes))
            else:
                yield self.named.get((one, data), self.other[one])

    def contains(
        self,
        places: Collection[str],
        activity: Activity | None = None,
        data: str | None = None,
        shown: Collection[str] = (),
    ) -> Contained:
        """Hold countries against what is permitted for an activity with a class of data; see `Permitted.contains`."""
        return self.at(activity, data).contains(places, shown)

    def _with(self, classes: frozenset[str]) -> Mapping[tuple[Activity, str], Permitted]:
        return {(one, data): self.named.get((one, data), self.other[one]) for one in Activity for data in classes}

    def __and__(self, other: Extent) -> Extent:
        a, b = (each._with(self.classes | other.classes) for each in (self, other))
        return extent({one: self.other[one] & other.other[one] for one in Activity}, {k: a[k] & b[k] for k in a})

    def __or__(self, other: Extent) -> Extent:
        a, b = (each._with(self.classes | other.classes) for each in (self, other))
        return extent({one: self.other[one] | other.other[one] for one in Activity}, {k: a[k] | b[k] for k in a})

    def __le__(self, other: Extent) -> bool:
        a, b = (each._with(self.classes | other.classes) for each in (self, other))
        return all(self.other[one] <= other.other[one] for one in Activity) and all(a[key] <= b[key] for key in a)

    def __hash__(self) -> int:
        return hash((frozenset(self.other.items()), frozenset(self.named.items())))


def extent(other: Mapping[Activity, Permitted], named: Mapping[tuple[Activity, str], Permitted]) -> Extent:
    """An extent in its one form: classes whose every rule is that of the unnamed classes are not named."""
    own = {data for (one, data), permitted in named.items() if permitted != other[one]}
    return Extent(
        MappingProxyType({one: other[one] for one in Activity}),
        MappingProxyType({(one, data): named[one, data] for one in Activity for data in sorted(own)}),
    )
