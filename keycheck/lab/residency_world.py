"""Everything of the lab that has a place, up: endpoints with their distances, name servers, clouds and papers.

Built from `clean_places`, with the chosen defects in it; the entries for the deployment file are the honest plan's. The
stores and models of `residency_clouds` are one more part.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from keycheck.lab.children import Child
from keycheck.lab.config import (
    Config,
    Dns,
    DnsHost,
    DnsManner,
    DnsRecord,
    Edge,
    From,
    Listener,
    Relay,
    TlsConfig,
    Upstream,
    Version,
    Web,
)
from keycheck.lab.defect import Defect
from keycheck.lab.defects import Choice
from keycheck.lab.errors import LabError
from keycheck.lab.pki import LeafSpec, Pki
from keycheck.lab.places import Place, Places
from keycheck.lab.residency_borders import BORDERS_FILE, borders_file
from keycheck.lab.residency_operators import OperatorDefect, clean_operators, write_operator
from keycheck.lab.residency_parts import Added, Entry, Part
from keycheck.lab.residency_places import EVERYWHERE, VANTAGES, Somewhere, one_way_us
from keycheck.lab.residency_prompts import PromptDefect, clean_prompts, write_prompts
from keycheck.lab.residency_ranges import RANGES_FILE, RANGES_SOURCE, ranges_file
from keycheck.lab.residency_rosters import RosterDefect, clean_rosters, write_roster
from keycheck.lab.residency_sites import (
    FRESH,
    STATIC,
    SUBNETS,
    PlaceDefect,
    PlacedSite,
    Stand,
    clean_places,
)
from keycheck.lab.store_sites import in_clouds
from keycheck.lab.vendor import APPROVED_SUITES, HSTS, Groups

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

VANTAGE_IDS: Final = ("frankfurt", "ashburn")
_COUNTRIES: Final = ("DE", "US")
_TRIES: Final = 32


class Network:
    """The placed endpoints and the name servers, up once it is made."""

    def __init__(self, home: Path, agreed: Sequence[PlacedSite], really: Sequence[PlacedSite], pki: Pki):
        self._home = home
        self._pki = pki
        self._places = Places()
        self._children: list[Child] = []
        self._servers: list[Listener] = []
        self._relays: list[Listener] = []
        with ExitStack() as held:
            held.callback(self.close)
            ports = {site.id: self._site(site) for site in really}
            authoritative = self._name_server(really, recursive=False)
            recursive = self._name_server(really, recursive=True)
            self._start()
            held.pop_all()
        by_id = {site.id: site for site in really}
        nameservers = (
            {"address": _hash(authoritative), "role": "authoritative"},
            {"address": _hash(recursive), "role": "recursive"},
        )
        entries = tuple(_entry(site, by_id[site.id], ports[site.id], nameservers, pki.ca.name) for site in agreed)
        self.added = Added(sections={"endpoints": entries})

    @property
    def pids(self) -> tuple[int, ...]:
        """The serving processes."""
        return tuple(child.pid for child in self._children)

    def close(self) -> None:
        """End the servers."""
        while self._children:
            self._children.pop().close()
        self._places.close()

    def _site(self, site: PlacedSite) -> int:
        """Serve one endpoint; the port of all its addresses."""
        stands = [*site.standing, *((address, sent.to) for sent, address in site.others)]
        if site.lie is not None:
            stands.append(site.lie)
        places = self._places.at([address for address, _ in stands])
        for place, (_, stand) in zip(places, stands, strict=True):
            self._far(place, stand.places, Web(self._tls(site), HSTS, self._edge(site, place, stand), site.web))
        return places[0].port

    def _edge(self, site: PlacedSite, place: Place, stand: Stand) -> Edge | None:
        """The edge that answers there, with its origin up behind it."""
        delivery = site.delivery
        if delivery is None:
            return None
        (origin,) = self._places.at([delivery.origin.address(site.number, 251)])
        self._far(origin, (delivery.origin,), Web())
        source = stand.places[0].address(site.number, 252)
        return Edge(delivery.pop.cdn, delivery.pop.code, Upstream(origin.host, origin.port, source))

    def _far(self, place: Place, where: Sequence[Somewhere], service: Web) -> None:
        """Serve at an address as from these places: a relay listens there, and the server behind it."""
        (behind,) = self._places.claim(1)
        for each in (place, behind):
            each.listen()
        relay = Relay(behind.host, behind.port, 0, _distances(where), shaken=False)
        self._relays.append(Listener(place.socket.fileno(), relay))
        self._servers.append(Listener(behind.socket.fileno(), service))

    def _tls(self, site: PlacedSite) -> TlsConfig:
        issued = self._pki.issue(LeafSpec((site.name,)))
        return TlsConfig(
            chain=str(issued.chain),
            key=str(issued.key),
            versions=(Version.TLS_1_3,),
            suites=APPROVED_SUITES,
            staple=None if issued.staple is None else str(issued.staple),
        )

    def _name_server(self, sites: Sequence[PlacedSite], *, recursive: bool) -> Place:
        records = tuple(record for site in sites for record in _records(site, recursive=recursive))
        hosts = tuple(DnsHost(site.name, site.dns) for site in sites if site.dns is not DnsManner.HONEST)
        place, datagrams = self._both()
        place.listen()
        service = Dns(records, hosts, recursive)
        self._servers += [Listener(each.fileno(), service) for each in (place.socket, datagrams)]
        return place

    def _both(self) -> tuple[Place, socket.socket]:
        """A port for TCP and UDP alike."""
        for _ in range(_TRIES):
            (place,) = self._places.claim(1)
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                datagrams.bind((place.host, place.port))
            except OSError:
                datagrams.close()
                continue
            return place, self._places.keep(datagrams)
        raise LabError("no port is free for UDP and TCP alike", advice="close other servers and try again")

    def _start(self) -> None:
        for name, listeners in (("places", self._servers), ("distances", self._relays)):
            child = Child(f"serve-{name}", self._home, Groups.CLEAN.value)
            self._children.append(child)
            child.start(Config(tuple(listeners)))
        self._places.release()
        for child in self._children:
            child.ready()


_RANGES: Final[Entry] = {
    "id": "ranges",
    "what": {"kind": "ranges", "file": RANGES_FILE, "source": RANGES_SOURCE, "allow_private": True},
}


class Statements:
    """What is published, stated and captured: ranges, rosters, operators, prompts, as files in the lab's home."""

    def __init__(
        self,
        home: Path,
        only: Collection[str] | None,
        choices: Sequence[Choice],
        placed: Sequence[PlacedSite],
        now: datetime,
    ) -> None:
        (home / RANGES_FILE).write_text(ranges_file(placed, now), encoding="utf-8")
        (home / BORDERS_FILE).write_text(borders_file(), encoding="utf-8")
        rosters = _really(_chosen(clean_rosters(), RosterDefect, only), RosterDefect, choices)
        operators = _really(_chosen(clean_operators(), OperatorDefect, only), OperatorDefect, choices)
        prompts = _really(_chosen(clean_prompts(), PromptDefect, only), PromptDefect, choices)
        self.added = Added(
            sections={
                "references": (_RANGES, _BORDERS),
                "subprocessors": tuple(write_roster(home, site, now) for site in rosters),
                "operators": tuple(write_operator(home, site, now) for site in operators),
                "prompts": tuple(write_prompts(home, site) for site in prompts),
            }
        )

    def close(self) -> None:
        """Files stay as long as the lab's home does."""


_BORDERS: Final[Entry] = {"id": "borders", "what": {"kind": "borders", "file": BORDERS_FILE}}


class _Named(Protocol):
    @property
    def id(self) -> str: ...


S = TypeVar("S", bound=_Named)


def _chosen(sites: Sequence[S], kind: type[Defect[S]], only: Collection[str] | None) -> tuple[S, ...]:
    """The sites that are served."""
    return tuple(site for site in sites if only is None or f"{kind.section}/{site.id}" in only)


def _really(sites: Sequence[S], kind: type[Defect[S]], choices: Sequence[Choice]) -> tuple[S, ...]:
    """The sites with the defects in them."""
    for choice in choices:
        defect: object = choice.defect
        if isinstance(defect, kind):
            sites = [defect.change(site) if site.id == choice.at else site for site in sites]
    return tuple(sites)


class Residency:
    """All parts, up. `only` are the subjects that are served, None for all."""

    def __init__(
        self,
        home: Path,
        only: Collection[str] | None,
        choices: Sequence[Choice],
        clock: Callable[[], datetime],
        pki: Pki,
        clouds: Clouds | None = None,
    ) -> None:
        self._parts: list[Part] = []
        agreed = _chosen(clean_places(), PlaceDefect, only)
        really = _really(agreed, PlaceDefect, choices)
        with ExitStack() as held:
            held.callback(self.close)
            self._parts.append(Statements(home, only, choices, really, clock()))
            if agreed:
                self._parts.append(Network(home, agreed, really, pki))
            if clouds is not None and in_clouds(only):
                from keycheck.lab.residency_clouds import make_clouds

                self._parts.append(make_clouds(home, only, choices, clouds))
            held.pop_all()

    @property
    def identities(self) -> tuple[Entry, ...]:
        """What the deployment file names under `identities`."""
        return tuple(entry for part in self._parts for entry in part.added.identities)

    def section(self, name: str) -> tuple[Entry, ...]:
        """What it names in a section."""
        return tuple(entry for part in self._parts for entry in part.added.sections.get(name, ()))

    @property
    def vantages(self) -> tuple[Entry, ...]:
        """From where the places are looked at."""
        return tuple(
            {
                "id": id,
                "place": where.city,
                "coordinates": where.coordinates,
                "country": country,
                "source": where.address(0),
                "egress": where.address(0),
            }
            for id, country, where in zip(VANTAGE_IDS, _COUNTRIES, VANTAGES, strict=True)
        )

    def close(self) -> None:
        """End them all."""
        while self._parts:
            self._parts.pop().close()


def _entry(site: PlacedSite, really: PlacedSite, port: int, nameservers: Sequence[Entry], ca: str) -> Entry:
    """The endpoint as the deployment file has it: the honest plan's, but for an origin that is disclosed."""
    where: dict[str, object] = {
        "provider": site.region.provider,
        "region": site.region.name,
        "nameservers": [dict(each) for each in nameservers],
        "subnets": [{"network": subnet.network, "country": subnet.country} for subnet in SUBNETS],
        "steered_from": [VANTAGE_IDS[0]],
    }
    if site.delivery is not None and really.delivery is not None:
        told = really.delivery.disclosed or site.delivery.origin
        where |= {
            "cdn": site.delivery.pop.cdn.value,
            "origin": {
                "provider": told.provider,
                "region": told.name,
                "address": told.address(site.number, 251),
            },
            "fresh": {"path": FRESH},
            "static": STATIC,
        }
    return {
        "id": site.id,
        "url": f"https://{site.name}:{port}",
        "ca": ca,
        "vantages": list(VANTAGE_IDS if site.far else VANTAGE_IDS[:1]),
        "whereabouts": where,
    }


def _records(site: PlacedSite, *, recursive: bool) -> list[DnsRecord]:
    """What is told of a site's name. Its home clients are told the same as everybody, and told that it is for them."""
    last = site.alias or site.name
    records = [DnsRecord(site.name, "CNAME", site.alias)] if site.alias else []
    everybody = [address for address, _ in site.standing]
    lie = site.lie if recursive else None
    if lie is not None:
        everybody = [lie[0]]
    records += [DnsRecord(last, "A", address) for address in everybody]
    records += [DnsRecord(last, "AAAA", address) for address in site.v6]
    records += [DnsRecord(last, "AAAA", address, subnet.network) for subnet in SUBNETS for address in site.v6]
    elsewhere = {sent.clients: address for sent, address in site.others}
    for subnet in SUBNETS:
        own = [elsewhere[subnet]] if subnet in elsewhere else everybody
        records += [DnsRecord(last, "A", address, subnet.network) for address in own]
    return records


def _distances(where: Sequence[Somewhere]) -> tuple[From, ...]:
    """How far clients of every place are from the nearest of these."""
    return tuple(From(each.network, min(one_way_us(each, place) for place in where)) for each in EVERYWHERE)


def _hash(place: Place) -> str:
    return f"{place.host}#{place.port}"
