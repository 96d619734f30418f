"""How far something can be, from how soon it answered: discs, and the premises that a reader recomputes them from.

    one way <= round trip / 2, so distance <= speed * round trip / 2

Only the speed of light in a vacuum is a law; that in ordinary fibre is an assumption about what the path is made of,
which microwave links, satellites and hollow-core fibre break.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from probes.places.cities import City, Point
from probes.residency.physics.sphere import at_least_m

LIGHT_M_PER_S: Final = 299_792_458
"""The speed of light in a vacuum, exactly."""
FIBRE_M_PER_S: Final = 204_220_000
"""Light in fibre with the group index 1.468 of ITU-T G.652, rounded up."""

MAX_ROUND_TRIP_US: Final = 3_600_000_000


class Speed(StrEnum):
    """The grade of a bound: how fast signals are taken to travel at most."""

    VACUUM = "vacuum"
    """149.896 km per millisecond of round trip: the only strict bound."""
    FIBRE = "fibre"
    """102.11 km per millisecond of round trip: a bound where all of the path is ordinary fibre."""

    @property
    def metres_per_second(self) -> int:
        """One way."""
        match self:
            case Speed.VACUUM:
                return LIGHT_M_PER_S
            case Speed.FIBRE:
                return FIBRE_M_PER_S
            case _:
                assert_never(self)

    @property
    def worded(self) -> str:
        """The constant, for people."""
        match self:
            case Speed.VACUUM:
                return f"light in a vacuum, {LIGHT_M_PER_S} m/s"
            case Speed.FIBRE:
                return f"light in fibre of group index 1.468, {FIBRE_M_PER_S} m/s"
            case _:
                assert_never(self)


def reach_m(round_trip_us: int, speed: Speed) -> int:
    """The farthest that something can be that answers within `round_trip_us` microseconds, in metres, rounded up.

    Raises ValueError for a negative or an absurd time: a clock went wrong.
    """
    if not 0 <= round_trip_us <= MAX_ROUND_TRIP_US:
        raise ValueError(f"a round trip of {round_trip_us} us is no measurement: look at the clock")
    return -(-speed.metres_per_second * round_trip_us // 2_000_000)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """The shortest of `tries` round trips from a vantage: in whole microseconds, by a clock of a known resolution."""

    vantage: str
    at: Point
    off_m: int
    """How far from `at` the vantage may be."""
    minimum_us: int
    tries: int
    resolution_us: int
    timed: str
    """From what to what: `ClientHello to verified CertificateVerify`."""

    def __post_init__(self) -> None:
        if min(self.off_m, self.resolution_us) < 0 or self.tries < 1 or self.resolution_us > MAX_ROUND_TRIP_US:
            raise ValueError("a round trip has at least one try, and no negative uncertainties")

    @property
    def longest_us(self) -> int:
        """What the minimum may truly have been: a tick more."""
        return self.minimum_us + self.resolution_us


@dataclass(frozen=True, slots=True)
class Bound:
    """A disc in which something is, how it was worked out, and every premise in words and numbers."""

    centre: Point
    radius_m: int
    speed: Speed
    premises: tuple[str, ...]
    stated: bool = False
    """Whether it rests on what a header says, and not on our own clock and a known vantage alone."""

    @property
    def strict(self) -> bool:
        """Whether it is proof: our own measurement, and no assumption but the speed of light in a vacuum."""
        return self.speed is Speed.VACUUM and not self.stated

    def excludes(self, point: Point, radius_m: int = 0) -> bool:
        """Whether nothing within `radius_m` of a point can be in the disc."""
        return at_least_m(self.centre, point) > self.radius_m + radius_m

    def apart_from(self, other: Bound) -> bool:
        """Whether the discs have no point in common: then two things answered (anycast, or more sites than one)."""
        return self.excludes(other.centre, other.radius_m)

    def worded(self) -> str:
        """The premises as one text, for evidence and reports."""
        return "; ".join(self.premises)


def from_round_trip(trip: RoundTrip, speed: Speed) -> Bound:
    """The disc round the vantage in which whatever answered is."""
    reach = reach_m(trip.longest_us, speed)
    return Bound(
        trip.at,
        reach + trip.off_m,
        speed,
        (
            *_of_trip(trip),
            f"{speed.worded}: {speed.metres_per_second} * ({trip.minimum_us} + {trip.resolution_us}) / 2000000 = "
            f"{reach} m, rounded up",
            f"so what answered is within {reach} + {trip.off_m} = {reach + trip.off_m} m of ({trip.at.worded()})",
        ),
    )


def from_edge(edge: City, origin_time_us: int, resolution_us: int, source: str, speed: Speed) -> Bound:
    """The disc round a CDN's edge in which the origin is, from the time that the edge says the origin took.

    `resolution_us` is what the CDN cuts off: 1000 for Fastly's `VE`, whole milliseconds. The edge's clock and its
    header are the CDN's word, and vendors may rewrite response headers.
    """
    reach = reach_m(origin_time_us + resolution_us, speed)
    radius = reach + edge.radius_m
    return Bound(
        edge.point,
        radius,
        speed,
        (
            f"{source}: the edge {edge.name} waited {origin_time_us} us for the origin, cut off to {resolution_us} us",
            _of_city(edge),
            f"{speed.worded}: {speed.metres_per_second} * ({origin_time_us} + {resolution_us}) / 2000000 = {reach} m, "
            "rounded up",
            f"so the origin is within {reach} + {edge.radius_m} = {radius} m of ({edge.point.worded()})",
        ),
        stated=True,
    )


def through_edge(trip: RoundTrip, edge: City, speed: Speed) -> Bound | None:
    """The disc round a CDN's edge in which the origin is, from a whole request on a warm connection that needed it.

        d(vantage, edge) + d(edge, origin) <= speed * T / 2

    A sound bound where the answer could come from the origin alone and the edge is where its code says: with the edge
    known, what is left of the path is a disc round it. None where the time does not even reach the edge: then the edge
    is not where its code says.
    """
    reach = reach_m(trip.longest_us, speed) + trip.off_m
    least = max(0, at_least_m(trip.at, edge.point) - edge.radius_m)
    if reach < least:
        return None
    left = reach - least
    radius = left + edge.radius_m
    return Bound(
        edge.point,
        radius,
        speed,
        (
            *_of_trip(trip),
            _of_city(edge),
            f"{speed.worded}: {speed.metres_per_second} * ({trip.minimum_us} + {trip.resolution_us}) / 2000000 + "
            f"{trip.off_m} = {reach} m for vantage to edge to origin",
            f"vantage to edge is at least {least} m",
            f"so the origin is within {left} + {edge.radius_m} = {radius} m of ({edge.point.worded()})",
        ),
        stated=True,
    )


def apart(bounds: tuple[Bound, ...]) -> tuple[Bound, Bound] | None:
    """The first two discs without a common point, or None where all meet in pairs (which does not show one site)."""
    for index, one in enumerate(bounds):
        for other in bounds[index + 1 :]:
            if one.apart_from(other):
                return one, other
    return None


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Where a hop can be on a path of at most `length_m` between two known points."""

    one: Point
    other: Point
    length_m: int

    def excludes(self, point: Point, radius_m: int = 0) -> bool:
        """Whether nothing within `radius_m` of a point can be the hop."""
        return at_least_m(self.one, point) + at_least_m(point, self.other) - 2 * radius_m > self.length_m


def _of_trip(trip: RoundTrip) -> tuple[str, str]:
    return (
        f"{trip.vantage} stands within {trip.off_m} m of ({trip.at.worded()})",
        f"{trip.timed}: minimum {trip.minimum_us} us of {trip.tries}, clock resolution {trip.resolution_us} us",
    )


def _of_city(city: City) -> str:
    return f"{city.name} stands for within {city.radius_m} m of ({city.point.worded()})"
