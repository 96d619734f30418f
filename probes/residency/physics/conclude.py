"""What discs mean for the places that a contract permits: signals for the grading. Pure.

A disc in a vacuum from our own clock is proof. A disc in fibre rests on what cables are made of, one round a CDN's edge
on the CDN's headers, and elimination on the operator's list of its places: they count as published. Proof for inside
counts only what is permitted without conditions; proof for outside takes conditional places for permitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.places.extents import ALWAYS, Permitted
from probes.residency.grading import Grade, Signal, Strength
from probes.residency.physics.borders import TOLERANCE_M, Lies, Territory, lies, territory
from probes.residency.physics.discs import Bound
from probes.residency.physics.elimination import Remaining
from probes.residency.physics.polygons import Polygons


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scope on the map: prepare it once and hold many discs against it."""

    always: Territory
    """What is permitted without a condition."""
    ever: Territory
    """What is permitted at all."""
    premises: str


def draw(polygons: Polygons, scope: Permitted, tolerance_m: int = TOLERANCE_M, *, on_land: bool = False) -> Drawn:
    """A scope on a user's polygons, which are taken to be off by at most `tolerance_m`.

    `on_land` takes for granted that nothing answers from the high seas.
    """
    always = {code for code, condition in scope.countries.items() if condition == ALWAYS}
    return Drawn(
        territory(polygons, always, tolerance_m, on_land=on_land),
        territory(polygons, scope.countries.keys(), tolerance_m),
        f"polygons sha256 {polygons.sha256}, taken to be off by at most {tolerance_m} m"
        + (", and nothing stands outside of every polygon" if on_land else ""),
    )


def by_borders(bounds: Sequence[Bound], drawn: Drawn) -> tuple[Signal, ...]:
    """One signal for each disc that lies certainly inside or outside of the scope; none for those that do not.

    A disc bounds the place of whatever answered and nothing else: no copy, no backup, nobody who reads along.
    """
    found: list[Signal] = []
    for bound in bounds:
        if lies(bound, drawn.ever) is Lies.OUTSIDE:
            says, where = Grade.PROVEN_OUT, "outside"
        elif lies(bound, drawn.always) is Lies.INSIDE:
            says, where = Grade.PROVEN_IN, "inside"
        else:
            continue
        what = f"disc of {bound.radius_m} m ({bound.speed}) {where}"
        found.append(Signal(strength_of(bound), what, supports=says, premises=f"{bound.worded()}; {drawn.premises}"))
    return tuple(found)


def by_elimination(remaining: Remaining, bounds: Sequence[Bound]) -> Signal:
    """What is left of a provider's places, for an address that is the provider's.

    Countries only where all that is left is known; an empty or open list says nothing about the place.
    """
    return Signal(
        Strength.PUBLISHED,
        remaining.worded(),
        countries=remaining.countries if remaining.complete else frozenset(),
        premises="; ".join([*(bound.worded() for bound in bounds), remaining.premises()]),
    )


def strength_of(bound: Bound) -> Strength:
    """Only the speed of light is a law, and only our own clock is ours."""
    return Strength.PROOF if bound.strict else Strength.PUBLISHED
