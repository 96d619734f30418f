"""Every defect of where endpoints are, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.config import DnsManner, WebManner
from keycheck.lab.defect import Promise, fails, unknown
from keycheck.lab.residency_places import (
    ASHBURN,
    DUBLIN,
    EDGE_LONDON,
    EDGE_STOCKHOLM,
    FRANKFURT,
    ISTANBUL,
    LONDON,
    LONDON_G,
    NOWHERE,
    SERBIA,
    STOCKHOLM,
    ZURICH,
    Region,
)
from keycheck.lab.residency_sites import (
    GERMANS,
    Delivery,
    PlaceDefect,
    PlacedSite,
    RangesManner,
    Sent,
    Stand,
)

Change: TypeAlias = Callable[[PlacedSite], PlacedSite]

_ABROAD: Final = fails("residency.endpoints", "residency.steering")
"""Clients at home are sent there, too."""
_OPEN: Final = unknown("residency.endpoints", "residency.steering", "residency.anycast")
"""Nothing tells where it is, or whether it is in one place."""
_UNRESOLVED: Final = _OPEN | unknown("residency.origin")
"""Nobody tells its addresses."""
_UNTIMED: Final = unknown("residency.anycast")
"""An address that does not answer: from how far off it would is not known."""
_AMERICAN_DESK: Final = "eu-desk-4d5e6f.us-east-1.elb.amazonaws.com"
_AMERICAN: Final = "eu-api-1a2b3c.us-east-1.elb.amazonaws.com"


def _place(
    id: str,
    title: str,
    promises: frozenset[Promise],
    change: Change,
    at: str = "eu-api",
    clause: str = "PROCESSED",
) -> PlaceDefect:
    return PlaceDefect(id, title, clause if promises else "", promises, change, at, False)


def _to(region: Region, alias: str | None = None) -> Change:
    return lambda site: site.moved(region, alias)


def _last(stand: Stand) -> Change:
    return lambda site: replace(site, stands=(*site.stands[:-1], stand))


def _ranges(manner: RangesManner) -> Change:
    return lambda site: replace(site, ranges=manner)


def _dns(manner: DnsManner) -> Change:
    return lambda site: replace(site, dns=manner)


def _web(manner: WebManner) -> Change:
    return lambda site: replace(site, web=manner)


def _origin(origin: Region, disclosed: Region | None = None) -> Change:
    def change(site: PlacedSite) -> PlacedSite:
        pop = EDGE_STOCKHOLM if site.delivery is None else site.delivery.pop
        return replace(site, delivery=Delivery(pop, origin, disclosed))

    return change


def _edge_in_london(site: PlacedSite) -> PlacedSite:
    return replace(site.moved(EDGE_LONDON), delivery=Delivery(EDGE_LONDON, STOCKHOLM))


PLACE_DEFECTS: Final[tuple[PlaceDefect, ...]] = (
    _place("api-abroad", "a name in the EU, and servers in us-east-1", _ABROAD, _to(ASHBURN, "")),
    _place("one-address-abroad", "one of four addresses is in us-east-1", _ABROAD, _last(Stand(ASHBURN))),
    _place("ipv6-abroad", "IPv4 at home, IPv6 in us-east-1", _ABROAD | _UNTIMED,
           lambda site: replace(site, v6=("::1",))),
    _place("cname-abroad", "the name is an alias of a load balancer in us-east-1", _ABROAD, _to(ASHBURN, _AMERICAN)),
    _place("cname-contradicts", "the alias says us-east-1, the address eu-west-1",
           unknown("residency.endpoints", "residency.steering"),
           lambda site: replace(site, alias=_AMERICAN_DESK), "eu-desk"),
    # Called eu-…, and not in the Union.
    _place("eu-region-in-london", "eu-west-2 is London", _ABROAD, _to(LONDON), "eu-desk"),
    _place("eu-region-in-zurich", "eu-central-2 is Zurich", _ABROAD, _to(ZURICH), "eu-desk"),
    _place("europe-west2-is-london", "Google's europe-west2 is London", _ABROAD, _to(LONDON_G), "eu-paris"),
    _place("eu-region-in-serbia", "Oracle's eu-jovanovac-1 is in Serbia", _ABROAD, _to(SERBIA), "eu-oracle"),
    _place("border-group-istanbul", "region eu-central-1, border group eu-central-1-ist-1: Istanbul", _ABROAD,
           _to(ISTANBUL), "eu-warsaw"),
    _place("commercial-realm", "the commercial cloud in Frankfurt instead of the sovereign one",
           fails("residency.realm"), _to(FRANKFURT, "eu-sov-9f8e.eu-central-1.elb.amazonaws.com"), "eu-sovereign",
           "REALM"),
    # What only delay shows, and what it cannot show.
    _place("anycast", "one address answers from Frankfurt and from Ashburn", _ABROAD | fails("residency.anycast"),
           _last(Stand(DUBLIN, (FRANKFURT, ASHBURN))), "eu-desk"),
    _place("stands-abroad", "ranges say Dublin, and it answers from Ashburn", _ABROAD,
           _last(Stand(DUBLIN, (ASHBURN,))), "eu-desk"),
    _place("announced-from-everywhere", "ranges say that the address is announced from many places",
           fails("residency.anycast") | unknown("residency.endpoints", "residency.steering"),
           _ranges(RangesManner.ANYCAST), "eu-desk"),
    # Content delivery networks.
    _place("edge-abroad", "the edge that answers is in London",
           # from where Stockholm is so far that no time bounds the origin
           _ABROAD | unknown("residency.origin"), _edge_in_london,
           "edge-cloudfront"),
    _place("origin-abroad", "an edge at home, its origin in us-east-1, and the vendor says so",
           fails("residency.origin"), _origin(ASHBURN, ASHBURN), "edge-fastly"),
    _place("origin-hidden-abroad", "an edge at home, its origin in us-east-1, and the vendor says Stockholm",
           # a long time proves nothing: whoever answers can wait
           unknown("residency.origin"), _origin(ASHBURN), "edge-cloudfront"),
    _place("hidden-edge", "a content delivery network in front that nobody declared", unknown("residency.origin"),
           _origin(DUBLIN), "eu-desk"),
    _place("two-networks", "heads of three content delivery networks in one answer",
           # nobody can say whose place and whose time they tell
           unknown("residency.endpoints", "residency.steering", "residency.origin"), _web(WebManner.TWO_NETWORKS),
           "edge-cloudfront"),
    _place("endless-head", "an answer's head without end",
           unknown("residency.endpoints", "residency.steering", "residency.origin"), _web(WebManner.ENDLESS_HEAD),
           "edge-fastly"),
    # Names.
    _place("steered-abroad", "clients in Germany, and they alone, are sent to us-east-1", _ABROAD,
           lambda site: replace(site, sent=(*site.sent, Sent(GERMANS, Stand(ASHBURN)))), "eu-portal"),
    _place("resolver-tells-otherwise", "a recursive resolver tells an address in us-east-1", _ABROAD,
           lambda site: replace(site, recursive_lie=Stand(ASHBURN)), "eu-desk"),
    _place("dns-silent", "the name servers do not answer", _UNRESOLVED, _dns(DnsManner.SILENT), "eu-paris"),
    _place("dns-truncated", "answers are cut off, and over TCP there is none", _UNRESOLVED, _dns(DnsManner.TRUNCATED),
           "eu-paris"),
    _place("dns-wrong-id", "answers are to other questions", _UNRESOLVED, _dns(DnsManner.WRONG_ID), "eu-paris"),
    _place("dns-loop", "the name is its own alias", _UNRESOLVED, _dns(DnsManner.LOOP), "eu-paris"),
    _place("dns-endless", "an alias of an alias, without end", _UNRESOLVED, _dns(DnsManner.ENDLESS), "eu-paris"),
    _place("private-address", "an address that no range holds", _OPEN, _last(Stand(NOWHERE)), "eu-paris"),
    _place("name-says-home", "addresses that no range holds, behind an alias that names eu-central-1",
           _OPEN,  # whoever answers for the name can put any addresses behind it
           lambda site: site.moved(NOWHERE)),
    # Ranges.
    _place("stale-ranges", "the ranges are two hundred days old", _OPEN, _ranges(RangesManner.STALE), "eu-paris"),
    _place("default-route-in-ranges", "the ranges hold 0.0.0.0/0", _OPEN, _ranges(RangesManner.DEFAULT_ROUTE),
           "eu-paris"),
)  # fmt: skip
"""In the order in which they are shown."""
