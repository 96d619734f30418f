"""The probe of an endpoint's addresses: what ranges say of each, how soon it answers, and what answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.probe import Io, Observed, PartProbe, Touch
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import Reason
from keycheck.turns import turn
from probes.places.whereabouts import Whereabouts
from probes.residency.endpoint.look import Look
from probes.residency.endpoint.resolving import Sayings, Told, Untold, sayings_of
from probes.residency.endpoint.visit import SPARE, tries_of
from probes.residency.endpoint_facts import AddressFacts
from probes.residency.references import references_of
from probes.tls.subjects import Endpoint, read_address

MAX_ADDRESSES: Final = 64


class AddressProbe(PartProbe[Endpoint]):
    """Every address that anybody tells for an endpoint: the system's resolver, and each declared server and subnet.

    Proves, by the time of full TLS 1.3 handshakes, that the holder of the certificate's private key was within that
    time's reach of the vantage, given where that stands. Nothing is proved about where data is stored or who reads
    along, about other back ends behind the same address, or about how far away anything is: delay can be added. What
    ranges, networks' owners and heads of answers say is what others say.
    """

    id = "residency.address"
    version = 1
    section = "endpoints"
    facts: ClassVar[type[Facts]] = AddressFacts

    def touches(self, subject: Endpoint, io: Io) -> Iterable[Touch]:
        """Handshakes and ordinary requests: nothing that needs an authorization. The DNS questions are those of
        `residency.names`, whose answers are shared."""
        place = subject.place
        declared = subject.whereabouts or Whereabouts()
        addresses = len(subject.addresses) or 1
        each = " and every other address behind the name" if not subject.addresses and not place.is_address else ""
        tries = tries_of(io)
        kinds = 0 if place.scheme != "https" else 1 if declared.fresh is None else 2
        asked = f" and {kinds * tries + 1} GETs" if kinds else ""
        yield Touch(
            what=f"{place.host} port {place.port}{each}: {tries} TLS handshakes{asked}, one after another",
            credential=(
                "none" if subject.client_certificate is None else f"client certificate {subject.client_certificate}"
            ),
            changes=False,
            technique=Technique.PASSIVE,
            # a server that closes after each answer is connected to again for the next
            connections=addresses * (tries + SPARE + kinds * (tries + 1)),
            seconds=addresses * int(self.limit),
        )

    def survey(self, subject: Endpoint, io: Io) -> Census:
        """The addresses: as declared, or all that anybody told. Who told nothing leaves the census open."""
        place = subject.place
        if subject.addresses:
            found = [read_address(address, place.port) for address in subject.addresses]
            return _census(found, ())
        if place.is_address:
            return _census([(str(ipaddress.ip_address(place.host)), place.port)], ())
        sayings = sayings_of(subject, io)
        return _census([(ip, place.port) for ip in sayings.addresses], tuple(_unknown(sayings)))

    def lane(self, subject: Endpoint, part: PartName) -> str:
        """The address, so that nothing else of ours is measured along."""
        return part

    def work(self, subject: Endpoint, part: PartName, io: Io) -> Observed:
        """One address."""
        try:
            ip, port = read_address(part, subject.place.port)
        except ValueError as error:
            raise ProbeError(Reason.UNSUPPORTED, f"{part!r} is no part of an endpoint") from error
        references = references_of(io)
        with turn():
            return Observed(part, Look(subject, ip, port, io, references).facts())


def _census(found: list[tuple[str, int]], open_: tuple[Unseen, ...]) -> Census:
    found = list(dict.fromkeys(found))
    if not found and not open_:
        open_ = (Unseen(reason=Reason.UNREACHABLE, detail="nobody tells an address"),)
    if len(found) > MAX_ADDRESSES:
        many = f"{len(found)} addresses; {MAX_ADDRESSES} are looked at"
        open_ = (*open_, Unseen(reason=Reason.NOT_COVERED, detail=many))
    parts = tuple(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in found[:MAX_ADDRESSES])
    return Census(parts=parts, open=open_)


def _unknown(sayings: Sayings) -> Iterator[Unseen]:
    """Who told nothing, so that addresses may be missing. Where servers of the zone itself answer, the system's
    resolver may be silent: they know better."""
    told = [one.asked for one in sayings.all if isinstance(one, Told)]
    zone = {asked.record for asked in told if asked.role == "authoritative" and asked.subnet is None}
    seen: set[tuple[str, str]] = set()
    for one in sayings.all:
        if isinstance(one, Untold) and not (one.asked.role == "system" and one.asked.record in zone):
            subnet = "" if one.asked.subnet is None else f" for {one.asked.subnet.network}"
            key = (one.asked.resolver + subnet, one.why.detail)
            if key not in seen:
                seen.add(key)
                detail = vendor_text(f"{one.asked.resolver} on {one.asked.record}{subnet}: {one.why.detail}")
                yield Unseen(reason=one.why.reason, detail=detail)
    if sayings.left_out:
        yield Unseen(reason=Reason.NOT_COVERED, detail=f"{sayings.left_out} questions were not asked: too many")
