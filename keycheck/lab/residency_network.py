"""The placed endpoints, up: each behind a relay that is as late as its place is far, and name servers for all of them.

The entries for the deployment file are the honest plan's, whatever was built.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

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
from keycheck.lab.errors import LabError
from keycheck.lab.pki import LeafSpec, Pki
from keycheck.lab.places import Place, Places
from keycheck.lab.residency_parts import Added, Entry
from keycheck.lab.residency_places import EVERYWHERE, PointOfPresence, Somewhere, one_way_us
from keycheck.lab.residency_sites import FRESH, STATIC, SUBNETS, PlacedSite
from keycheck.lab.vendor import APPROVED_SUITES, HSTS, Groups

_TRIES: Final = 32
_ORIGIN, _UPSTREAM = 251, 252
"""Hosts of a site's network that its origin answers at, and that its edges leave from."""


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
            (origin,) = self._places.at([delivery.origin.address(site.number, _ORIGIN)])
            self._origins[site.id] = origin
            self._far(origin, {delivery.origin: Web()})
        origin = self._origins[site.id]
        return Edge(
            pop.cdn, pop.code, Upstream(origin.host, origin.port, where.address(site.number, _UPSTREAM)), pop.timed
        )

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


def _entry(site: PlacedSite, really: PlacedSite, port: int, nameservers: Sequence[Entry], ca: str) -> Entry:
    """The endpoint as the deployment file has it: the honest plan's, but for an origin that is disclosed."""
    where: dict[str, object] = {
        "provider": site.region.provider,
        "region": site.region.name,
        "nameservers": [dict(each) for each in nameservers],
        "subnets": [{"network": subnet.network, "country": subnet.country} for subnet in SUBNETS],
    }
    if site.delivery is not None and really.delivery is not None:
        told = really.delivery.disclosed or site.delivery.origin
        where |= {
            "cdn": site.delivery.pop.cdn.value,
            "origin": {
                "provider": told.provider,
                "region": told.name,
                "address": told.address(site.number, _ORIGIN),
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
