"""Everything of the lab that has a place, up: endpoints with their distances, name servers, clouds and papers.

Built from `clean_places`, with the chosen defects in it; the entries for the deployment file are the honest plan's. The
stores and models of `residency_clouds` are one more part.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
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
from keycheck.lab.residency_places import EVERYWHERE, VANTAGES, PointOfPresence, Somewhere, one_way_us
from keycheck.lab.residency_prompts import PromptDefect, clean_prompts, write_prompts
from keycheck.lab.residency_ranges import RANGES_ENTRY, RANGES_FILE, ranges_file
from keycheck.lab.residency_rosters import RosterDefect, clean_rosters, write_roster
from keycheck.lab.residency_sites import (
    FRESH,
    HERE,
    OUTERMOST,
    OVERSEAS,
    STATIC,
    SUBNETS,
    PlaceDefect,
    PlacedSite,
    clean_places,
)
from keycheck.lab.store_sites import in_clouds
from keycheck.lab.vendor import APPROVED_SUITES, HSTS, Groups

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

_VANTAGES: Final = tuple(zip((HERE, OVERSEAS, OUTERMOST), ("DE", "US", "RE"), VANTAGES, strict=True))
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
        self._origins: dict[str, Place] = {}
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
            webs = {where: Web(self._tls(site), HSTS, self._edge(site, where), site.web) for where in stand.places}
            self._far(place, webs)
        return places[0].port

    def _edge(self, site: PlacedSite, where: Somewhere) -> Edge | None:
        """The edge that answers there, with its origin up behind it."""
        delivery = site.delivery
        if delivery is None:
            return None
        pop = where if isinstance(where, PointOfPresence) else delivery.pop
        if site.id not in self._origins:
            (origin,) = self._places.at([delivery.origin.address(site.number, 251)])
            self._origins[site.id] = origin
            self._far(origin, {delivery.origin: Web()})
        origin = self._origins[site.id]
        return Edge(pop.cdn, pop.code, Upstream(origin.host, origin.port, where.address(site.number, 252)), pop.timed)

    def _far(self, place: Place, webs: Mapping[Somewhere, Web]) -> None:
        """Serve at an address as from these places: a relay listens there, and the servers behind it, of which the
        nearest answers each client."""
        behind = self._places.claim(len(webs))
        hosts = {where: each.host for where, each in zip(webs, behind, strict=True)}
        for each in (place, *behind):
            each.listen()
        relay = Relay(behind[0].host, behind[0].port, 0, _distances(hosts), shaken=False)
        self._relays.append(Listener(place.socket.fileno(), relay))
        self._servers += [Listener(each.socket.fileno(), web) for each, web in zip(behind, webs.values(), strict=True)]

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
                "references": (RANGES_ENTRY, _BORDERS),
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
            for id, country, where in _VANTAGES
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
        "steered_from": [HERE],
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
        "vantages": list(site.seen_from),
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


def _distances(hosts: Mapping[Somewhere, str]) -> tuple[From, ...]:
    """How far clients of every place are from the nearest of these, and the host that stands for it."""
    nearest = {each: min(hosts, key=lambda where: one_way_us(each, where)) for each in EVERYWHERE}
    return tuple(From(each.network, one_way_us(each, where), hosts[where]) for each, where in nearest.items())


def _hash(place: Place) -> str:
    return f"{place.host}#{place.port}"
