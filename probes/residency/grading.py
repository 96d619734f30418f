"""The verdict lattice over where something is: signals of different strength in, one grade out. Pure.

Nothing but physics and what operators state under authentication or publish lifts a grade. Third parties' databases and
names lower it at most: they can take an affirmation back that rests on published data alone, and are reported as
suspicions beside anything stronger.

=============  ========================================================================================================
PROVEN_OUT     physics, or the cloud's own authenticated word, puts it outside. Nothing outvotes that.
CONTRADICTED   what the operator publishes puts it outside, or speaks against a stronger word for inside.
UNDETERMINED   nothing carries, or nothing but databases and names does.
AFFIRMED       the cloud's authenticated word or published data put it inside, and nothing speaks against that.
PROVEN_IN      physics leaves no place outside, and nothing published speaks against that.
=============  ========================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from probes.places.extents import Permitted, Standing


class Grade(StrEnum):
    """Whether something lies where it must, from worst to best."""

    PROVEN_OUT = "proven-out"
    CONTRADICTED = "contradicted"
    UNDETERMINED = "undetermined"
    AFFIRMED = "affirmed"
    PROVEN_IN = "proven-in"

    @property
    def rung(self) -> int:
        """0 for the worst."""
        return tuple(Grade).index(self)


class Strength(StrEnum):
    """What a signal can carry, from strongest to weakest."""

    PROOF = "P"
    """Physics or cryptography: cannot be forged in that direction."""
    AUTHENTICATED = "A"
    """The operator's control plane, read by us under authentication."""
    PUBLISHED = "S"
    """Signed or published by the operator about its addresses."""
    CLAIM = "C"
    """A third party's claim."""
    HINT = "H"
    """A name that someone chose."""

    @property
    def carries(self) -> bool:
        """Whether it can lift a grade."""
        return self in _STRONG


_STRONG: Final = (Strength.PROOF, Strength.AUTHENTICATED, Strength.PUBLISHED)
_ORDER: Final = tuple(Strength)


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that was learnt about where something is.

    Either `countries`: it is in one of these, and not known in which, or with `every` in each of them (copies). Or
    `supports`: the grade that whoever made the signal worked out against the scope, as geometry does; it counts at most
    for what the strength carries. Neither says nothing about the place.
    """

    strength: Strength
    what: str
    """In a few words: `AWS ranges of 2026-08-22: eu-central-1`."""
    countries: frozenset[str] = frozenset()
    every: bool = False
    supports: Grade | None = None
    premises: str = ""
    """What a reader needs to work it out again."""

    def __post_init__(self) -> None:
        if self.countries and self.supports is not None:
            raise ValueError("a signal names countries or the grade that it supports, not both")


class Why(StrEnum):
    """Why a grade is what it is."""

    PROVEN_OUTSIDE = "proven-outside"
    STATED_OUTSIDE = "stated-outside"
    PUBLISHED_OUTSIDE = "published-outside"
    CONFLICT = "conflict"
    """Strong signals speak for inside and for outside."""
    SUSPECTED = "suspected"
    """A database or a name speaks for outside."""
    CONDITIONAL = "conditional"
    """Inside only under a legal predicate that is not shown."""
    PARTLY = "partly"
    """It may be inside or outside."""
    NOTHING = "nothing"
    """No signal says where it is."""
    STATED_INSIDE = "stated-inside"
    PUBLISHED_INSIDE = "published-inside"
    PROVEN_INSIDE = "proven-inside"


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade, why, and the signals that say something about the place, strongest first."""

    grade: Grade
    why: tuple[Why, ...]
    used: tuple[Signal, ...]

    @property
    def conflict(self) -> bool:
        """Whether strong signals disagree."""
        return Why.CONFLICT in self.why

    def worded(self) -> str:
        """For people: the grade and what it rests on."""
        return f"{self.grade}: {'; '.join(signal.what for signal in self.used) or 'no signal says where it is'}"


def standing(signal: Signal, scope: Permitted, shown: Collection[str] = ()) -> Standing:
    """How the places that a signal leaves lie to the scope. Copies of which one is outside are outside."""
    match signal.supports:
        case Grade.PROVEN_OUT | Grade.CONTRADICTED:
            return Standing.OUTSIDE
        case Grade.AFFIRMED | Grade.PROVEN_IN:
            return Standing.INSIDE
        case Grade.UNDETERMINED:
            return Standing.PARTLY
        case None:
            found = scope.contains(signal.countries, shown).standing
            return Standing.OUTSIDE if signal.every and found is Standing.PARTLY else found


def grade(signals: Iterable[Signal], scope: Permitted, shown: Collection[str] = ()) -> Graded:
    """The grade that the signals support together, against what the contract permits.

    The order of the signals does not matter. `shown` names the legal predicates that were shown to hold.
    """
    placed = [(signal, standing(signal, scope, shown)) for signal in signals]
    said = sorted((pair for pair in placed if pair[1] is not Standing.UNKNOWN), key=_by_strength)
    outside = {signal.strength for signal, where in said if where is Standing.OUTSIDE}
    inside = {signal.strength for signal, where in said if where is Standing.INSIDE}
    strong_in = inside.intersection(_STRONG)
    suspected = bool(outside - {*_STRONG})
    why: set[Why] = {Why.SUSPECTED} if suspected else set()
    if outside.intersection(_STRONG):
        why |= {_OUT[strength] for strength in outside if strength.carries}
        why |= {Why.CONFLICT} if strong_in else set()
        decided = outside & {Strength.PROOF, Strength.AUTHENTICATED}
        found = Grade.PROVEN_OUT if decided else Grade.CONTRADICTED
    elif strong_in:
        why |= {_IN[strength] for strength in strong_in}
        found = Grade.PROVEN_IN if Strength.PROOF in strong_in else Grade.AFFIRMED
        if suspected and strong_in == {Strength.PUBLISHED}:
            found = Grade.UNDETERMINED
    else:
        found = Grade.UNDETERMINED
        strong = {where for signal, where in said if signal.strength.carries}
        why |= {Why.CONDITIONAL} if Standing.CONDITIONAL in strong else set()
        why |= {Why.PARTLY} if Standing.PARTLY in strong else set()
        why |= set() if strong else {Why.NOTHING}
    return Graded(found, tuple(sorted(why)), tuple(signal for signal, _ in said))


def _by_strength(pair: tuple[Signal, Standing]) -> tuple[int, str, list[str], bool, str, str]:
    signal, _ = pair
    return (
        _ORDER.index(signal.strength),
        signal.what,
        sorted(signal.countries),
        signal.every,
        signal.supports or "",
        signal.premises,
    )


_OUT: Final = {
    Strength.PROOF: Why.PROVEN_OUTSIDE,
    Strength.AUTHENTICATED: Why.STATED_OUTSIDE,
    Strength.PUBLISHED: Why.PUBLISHED_OUTSIDE,
}
_IN: Final = {
    Strength.PROOF: Why.PROVEN_INSIDE,
    Strength.AUTHENTICATED: Why.STATED_INSIDE,
    Strength.PUBLISHED: Why.PUBLISHED_INSIDE,
}
