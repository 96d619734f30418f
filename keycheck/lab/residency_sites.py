"""The endpoints of the practice vendor that have a place, as a plan: where each stands, before any socket exists.

Defects are functions from a site to a site. What the deployment file says is always the honest plan's, except for what
vendors disclose truthfully (an origin's place).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from keycheck.lab.config import DnsManner, WebManner
from keycheck.lab.defect import Defect
from keycheck.lab.residency_parts import RESIDENCY
from keycheck.lab.residency_places import (
    ASHBURN,
    DUBLIN,
    EDGE_FASTLY,
    EDGE_HELSINKI,
    EDGE_REUNION,
    EDGE_STOCKHOLM,
    FRANKFURT,
    FRANKFURT_O,
    PARIS,
    SOVEREIGN,
    STOCKHOLM,
    WARSAW,
    PointOfPresence,
    Region,
    Somewhere,
)
from keycheck.lab.vendor import DOMAIN

HERE, OVERSEAS, OUTERMOST = "frankfurt", "ashburn", "saint-denis"
"""Ids of the vantages."""
FRESH: Final = "/fresh/{nonce}"
STATIC: Final = "/static/logo.svg"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network in whose name is asked, and where its clients are."""

    network: str
    country: str


GERMANS: Final = Subnet("192.0.2.0/24", "DE")
FRENCH: Final = Subnet("198.51.100.0/24", "FR")
AMERICANS: Final = Subnet("203.0.113.0/24", "US")
SUBNETS: Final = (GERMANS, FRENCH, AMERICANS)


class RangesManner(StrEnum):
    """The ranges file that the lab writes."""

    FRESH = "fresh"
    STALE = "stale"
    """It is two hundred days old."""
    DEFAULT_ROUTE = "default-route"
    """It holds 0.0.0.0/0."""
    ANYCAST = "anycast"
    """It announces the site's own addresses from everywhere."""


@dataclass(frozen=True, slots=True)
class Stand:
    """One server behind one address. ``at`` is what the address is labelled, by its number; ``really`` are the places
    that answer, the nearest to each client."""

    at: Somewhere
    really: tuple[Somewhere, ...] = ()

    @property
    def places(self) -> tuple[Somewhere, ...]:
        """Where it stands."""
        return self.really or (self.at,)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A content delivery network in front: where the edge is, and what stands behind it. ``disclosed`` is what the
    vendor names as its origin's region, where that is not where it is."""

    pop: PointOfPresence
    origin: Region
    disclosed: Region | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """Clients of a network are told of this server alone."""

    clients: Subnet
    to: Stand


@dataclass(frozen=True, slots=True)
class PlacedSite:
    """One endpoint with a place."""

    id: str
    region: Region
    """As the contract has it."""
    stands: tuple[Stand, ...]
    host: str = ""
    alias: str = ""
    """The cloud's own name that the host is an alias of."""
    delivery: Delivery | None = None
    sent: tuple[Sent, ...] = ()
    """Clients that are sent elsewhere."""
    v6: tuple[str, ...] = ()
    dns: DnsManner = DnsManner.HONEST
    recursive_lie: Stand | None = None
    """What the recursive resolver tells instead."""
    ranges: RangesManner = RangesManner.FRESH
    web: WebManner = WebManner.HONEST
    number: int = 0
    """The third octet of its addresses."""
    seen_from: tuple[str, ...] = (HERE,)
    """Vantages."""

    @property
    def standing(self) -> tuple[tuple[str, Stand], ...]:
        """Everybody's addresses, and who answers there."""
        return tuple((stand.at.address(self.number, host), stand) for host, stand in enumerate(self.stands, 1))

    @property
    def others(self) -> tuple[tuple[Sent, str], ...]:
        """Addresses that some clients alone are told."""
        return tuple((sent, sent.to.at.address(self.number, host)) for host, sent in enumerate(self.sent, 101))

    @property
    def lie(self) -> tuple[str, Stand] | None:
        """The address that the recursive resolver tells instead."""
        stand = self.recursive_lie
        return None if stand is None else (stand.at.address(self.number, 201), stand)

    @property
    def name(self) -> str:
        """The host name that clients use."""
        return f"{self.host or self.id}.{DOMAIN}"

    def moved(self, at: Somewhere, alias: str | None = None) -> PlacedSite:
        """The same with every server there."""
        stands = tuple(Stand(at) for _ in self.stands)
        return replace(self, stands=stands, alias=self.alias if alias is None else alias)


class PlaceDefect(Defect[PlacedSite]):
    """A defect of where an endpoint is, or of what is told about it."""

    __slots__ = ()
    section = "endpoints"
    served = RESIDENCY


_BOTH_SHORES: Final = (HERE, OVERSEAS)
_FROM_AFAR: Final = {
    "eu-api": _BOTH_SHORES,
    "eu-portal": _BOTH_SHORES,
    "eu-desk": _BOTH_SHORES,
    "edge-cloudfront": _BOTH_SHORES,
    "outermost": (HERE, OUTERMOST),
}


def clean_places() -> tuple[PlacedSite, ...]:
    """Every placed endpoint of the honest vendor, with all that looks like a breach and is none."""
    sites = (
        _site("eu-api", FRANKFURT, 4, alias="eu-api-1a2b3c.eu-central-1.elb.amazonaws.com"),
        # clients in America are served in America
        replace(_site("eu-portal", FRANKFURT, 2), sent=(Sent(AMERICANS, Stand(ASHBURN)),)),
        # called London, and in Dublin
        replace(_site("eu-desk", DUBLIN), host="london"),
        # a border group outside Germany, and inside the Union
        _site("eu-warsaw", WARSAW),
        _site("eu-paris", PARIS),
        _site("eu-oracle", FRANKFURT_O),
        _site("eu-sovereign", SOVEREIGN, alias="eu-sov-9f8e.eusc-de-east-1.elb.amazonaws.eu"),
        _edge("edge-cloudfront", EDGE_STOCKHOLM, STOCKHOLM),
        _edge("edge-fastly", EDGE_FASTLY, STOCKHOLM),
        _edge("edge-cloudflare", EDGE_HELSINKI, STOCKHOLM),
        # clients on La Reunion, outermost region of the Union, meet an edge there
        replace(
            _edge("outermost", EDGE_HELSINKI, STOCKHOLM),
            stands=(Stand(EDGE_HELSINKI, (EDGE_HELSINKI, EDGE_REUNION)),),
        ),
    )
    return tuple(
        replace(site, number=number, seen_from=_FROM_AFAR.get(site.id, (HERE,))) for number, site in enumerate(sites, 1)
    )


def _site(id: str, region: Region, count: int = 1, alias: str = "") -> PlacedSite:
    return PlacedSite(id, region, tuple(Stand(region) for _ in range(count)), alias=alias)


def _edge(id: str, pop: PointOfPresence, origin: Region) -> PlacedSite:
    return PlacedSite(id, origin, (Stand(pop),), delivery=Delivery(pop, origin))
