"""What facts of an address say to the geometry of delay. Pure; the geometry is in `probes.residency.physics`."""

from __future__ import annotations

from typing import Final

from probes.places.cities import City, Point
from probes.places.pops import pop
from probes.places.tables import TABLES
from probes.residency.endpoint_facts import AddressFacts, EdgeSeen, SignedTimes, Standpoint
from probes.residency.grading import Signal
from probes.residency.physics.conclude import by_elimination
from probes.residency.physics.discs import Bound, RoundTrip, Speed, from_edge, from_round_trip
from probes.residency.physics.elimination import eliminate

STANDPOINT_OFF_M: Final = 10_000
"""How far off the declared coordinates of a vantage may be: written to a tenth of a degree, as people do."""
_AIRPORT: Final = 3
_HEADER_RESOLUTION_US: Final = 0
"""The probe has rounded what a network tells up to its resolution."""


def signed_disc(facts: AddressFacts) -> Bound | None:
    """Where the holder of the certificate's private key can be; None where nothing bounds it.

    Nothing bounds it behind a proxy, from a vantage without coordinates, or under a certificate that nobody vouches
    for: somebody else's key may be anywhere.
    """
    return _disc(facts.standpoint, facts.signed) if isinstance(facts.signed, SignedTimes) else None


def all_discs(facts: AddressFacts) -> tuple[Bound, ...]:
    """The discs of every certificate that was shown: where several were, each holds somebody who answers there. They
    may convict, and affirm nothing of the others."""
    shown = (facts.signed, *facts.signed_variously)
    found = (_disc(facts.standpoint, one) for one in shown if isinstance(one, SignedTimes))
    return tuple(one for one in found if one is not None)


def _disc(standpoint: Standpoint, signed: SignedTimes) -> Bound | None:
    if standpoint.point is None or standpoint.proxied or not signed.trusted:
        return None
    times = signed.times
    trip = RoundTrip(
        vantage=standpoint.vantage,
        at=Point(standpoint.point.latitude, standpoint.point.longitude),
        off_m=STANDPOINT_OFF_M,
        minimum_us=times.least_us,
        tries=len(times.all_us),
        resolution_us=-(-times.resolution_ns // 1000),
        timed="ClientHello to verified CertificateVerify",
    )
    return from_round_trip(trip, Speed.VACUUM)


def origin_disc(edge: EdgeSeen, speed: Speed) -> Bound | None:
    """Where the origin behind an edge can be, by the network's own clock; None where its header tells too little."""
    city = None if edge.pop is None else pop_city(edge.pop)
    if city is None or edge.origin_us is None:
        return None
    return from_edge(
        city, edge.origin_us, _HEADER_RESOLUTION_US, f"{edge.cdn} {edge.origin_header or ''}".strip(), speed
    )


def left_of(provider: str, bound: Bound) -> Signal:
    """What a disc leaves of a provider's places."""
    return by_elimination(eliminate(TABLES.listing(provider), (bound,)), (bound,))


def pop_city(code: str) -> City | None:
    """Where a point of presence is, by the airport's code that it begins with: `FRA56-P4`."""
    return pop(code[:3]).city if len(code) >= _AIRPORT else None
