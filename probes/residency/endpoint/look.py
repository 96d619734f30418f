"""The facts of one address: what others say of it, and what was measured there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.places.whereabouts import NONCE, Fresh, Whereabouts
from probes.residency.endpoint.edges import best_edge
from probes.residency.endpoint.handshakes import Signed
from probes.residency.endpoint.owners import owner_of
from probes.residency.endpoint.reach import reach_of
from probes.residency.endpoint.requests import Request
from probes.residency.endpoint.said import range_answer
from probes.residency.endpoint.special import never_connected, special_of
from probes.residency.endpoint.standpoint import standpoint_of
from probes.residency.endpoint.visit import Handshakes, Requests, Visit, tries_of, unseen
from probes.residency.endpoint_facts import (
    AddressFacts,
    EdgeSeen,
    FreshTimes,
    NetworkOwner,
    NoEdge,
    NotAsked,
    RangeAnswer,
    Reach,
    SignedTimes,
    Times,
)
from probes.residency.references import References
from probes.tls.chain import chain_facts
from probes.tls.chain_facts import ChainFacts, ExtensionFacts
from probes.tls.subjects import Endpoint
from probes.tls.wire.codepoints import SIGNATURE_SCHEMES

NONCE_BYTES: Final = 16
MAX_LEAVES: Final = 64
MAX_TIMES: Final = 64


class Look:
    """One address of an endpoint. `facts` makes all connections.

    What others say of the address is told also where nothing can be measured: it may be abroad and silent.
    """

    def __init__(self, subject: Endpoint, ip: str, port: int, io: Io, references: References) -> None:
        self._subject = subject
        self._ip, self._port = ip, port
        self._io = io
        self._references = references
        self._declared = subject.whereabouts or Whereabouts()
        self._standpoint = standpoint_of(io.vantage)

    def facts(self) -> AddressFacts:
        """Everything. Raises ProbeError for files of the deployment that cannot be used."""
        forbidden = never_connected(self._ip)
        if forbidden is not None:
            detail = vendor_text(f"{self._ip} is {forbidden}: keycheck does not connect there")
            return self._unvisited(Unseen(reason=Reason.NOT_COVERED, detail=detail))
        return self._visited(Visit(self._subject, self._ip, self._port, self._io))

    def _unvisited(self, why: Unseen, connect: Times | Unseen | None = None) -> AddressFacts:
        """Nothing comes from there, or nothing is asked for."""
        fresh = NotAsked() if self._declared.fresh is None else why
        return self._made(connect=connect or why, signed=why, request=why, edge=why, fresh=fresh)

    def _visited(self, visit: Visit) -> AddressFacts:
        wanted = tries_of(self._io)
        shaken = visit.handshakes(wanted)
        chains = self._chains(visit, shaken.signed)
        interceptor = next((chain.intercepted_by for chain in chains.values() if chain.intercepted_by), None)
        if interceptor is not None:
            detail = vendor_text(f"{interceptor} intercepts on our own side: this says nothing about the vendor")
            return self._unvisited(Unseen(reason=Reason.INTERCEPTED, detail=detail))
        signed, variously = self._signed(shaken, chains)
        if shaken.nobody and isinstance(signed, Unseen):
            return self._unvisited(signed, self._connected(shaken))
        request, edge = self._requested(visit, wanted)
        first = next(iter(chains.values()), None)
        leaf = None if first is None else first.leaf
        names = leaf.extensions.dns_names if leaf is not None and isinstance(leaf.extensions, ExtensionFacts) else ()
        return self._made(
            connect=self._connected(shaken),
            signed=signed,
            variously=variously,
            request=request,
            edge=edge,
            fresh=self._fresh(visit, wanted),
            names=names,
            issuer=None if leaf is None else leaf.issuer,
        )

    def _made(
        self,
        *,
        connect: Times | Unseen,
        signed: SignedTimes | Unseen,
        request: Times | Unseen,
        edge: EdgeSeen | NoEdge | Unseen,
        fresh: FreshTimes | NotAsked | Unseen,
        variously: Sequence[SignedTimes] = (),
        names: Sequence[str] = (),
        issuer: str | None = None,
    ) -> AddressFacts:
        io, ip = self._io, self._ip
        return AddressFacts(
            host=vendor_text(self._subject.place.host),
            address=ip,
            port=self._port,
            special=special_of(ip),
            declared=self._declared,
            standpoint=self._standpoint,
            ranges=range_answer(self._references.ranges, ip, io.clock()),
            network=self._owner(),
            connect=connect,
            signed=signed,
            signed_variously=tuple(variously),
            reach=self._reach(signed),
            request=request,
            edge=edge,
            fresh=fresh,
            certificate_names=tuple(names),
            certificate_issuer=issuer,
            origin_ranges=self._origin(),
        )

    # -- what others say --------------------------------------------------------------------------------------------

    def _owner(self) -> NetworkOwner | NotAsked | Unseen:
        return owner_of(self._references.owners, self._ip)

    def _origin(self) -> RangeAnswer | NotAsked:
        origin = self._declared.origin
        if origin is None or origin.address is None:
            return NotAsked()
        return range_answer(self._references.ranges, origin.address, self._io.clock())

    def _reach(self, signed: SignedTimes | Unseen) -> Reach | NotAsked | Unseen:
        borders = self._references.borders
        if isinstance(borders, NotAsked | Unseen):
            return borders
        if isinstance(signed, Unseen):
            return signed
        return reach_of(borders, self._standpoint, signed) or NotAsked()

    # -- what was measured ------------------------------------------------------------------------------------------

    def _connected(self, shaken: Handshakes) -> Times | Unseen:
        if self._standpoint.proxied:
            return Unseen(reason=Reason.UNSUPPORTED, detail="connections go through our own proxy")
        if not shaken.connected_us:
            return self._none(shaken)
        return times(shaken.connected_us)

    def _signed(
        self, shaken: Handshakes, chains: dict[str, ChainFacts]
    ) -> tuple[SignedTimes | Unseen, tuple[SignedTimes, ...]]:
        by: dict[str, list[Signed]] = {}
        for one in shaken.signed:
            by.setdefault(_leaf(one), []).append(one)
        made = [_signed_times(leaf, ones, chains[leaf]) for leaf, ones in by.items()]
        match made:
            case []:
                return self._none(shaken), ()
            case [only]:
                return only, ()
            case _:
                detail = f"{len(made)} certificates were shown in {len(shaken.signed)} handshakes"
                return Unseen(reason=Reason.CONFLICTING, detail=detail), tuple(made[:MAX_LEAVES])

    def _none(self, shaken: Handshakes) -> Unseen:
        last = shaken.last
        if last is None:
            return Unseen(reason=Reason.TIMEOUT, detail="no time was left to connect")
        return unseen(last.why, last.how, Reason.UNSUPPORTED if last.refused else Reason.MALFORMED)

    def _chains(self, visit: Visit, signed: Sequence[Signed]) -> dict[str, ChainFacts]:
        found: dict[str, ChainFacts] = {}
        for one in signed:
            leaf = _leaf(one)
            if leaf not in found:
                found[leaf] = self._chain(visit, one)
        return found

    def _chain(self, visit: Visit, one: Signed) -> ChainFacts:
        flight, materials = one.flight, visit.materials
        host = self._subject.place.host
        try:
            return chain_facts(
                flight.chain,
                materials.anchors,
                host,
                self._io.clock(),
                staple=flight.ocsp_staple,
                sct_list=flight.sct_list,
                interception_cas_der=materials.interception_cas,
            )
        except ValueError as error:  # the host, never the chain
            raise ProbeError(Reason.UNSUPPORTED, f"{host} cannot stand in a certificate: {error}") from error

    def _requested(self, visit: Visit, wanted: int) -> tuple[Times | Unseen, EdgeSeen | NoEdge | Unseen]:
        if (other := self._no_http()) is not None:
            return other, other
        place = self._subject.place
        path = self._declared.static or place.path
        # one more: the first finds connections behind the server cold
        found = visit.requests(place.host_header, [Request(path)] * (wanted + 1))
        if not found.answers:
            none = unseen(found.trouble, found.how)
            return none, none
        measured = found.answers[1:] or found.answers
        return times([answer.us for answer in measured]), best_edge(answer.head for answer in found.answers)

    def _fresh(self, visit: Visit, wanted: int) -> FreshTimes | NotAsked | Unseen:
        fresh = self._declared.fresh
        if fresh is None:
            return NotAsked()
        if (other := self._no_http()) is not None:
            return other
        requests = [self._nonced(fresh) for _ in range(wanted)]
        found = visit.requests(self._subject.place.host_header, requests)
        return _fresh_times(found, fresh)

    def _nonced(self, fresh: Fresh) -> Request:
        nonce = self._io.entropy(NONCE_BYTES).hex()
        return Request(fresh.path.replace(NONCE, nonce), nonce.encode("ascii") if fresh.echoed else b"")

    def _no_http(self) -> Unseen | None:
        scheme = self._subject.place.scheme
        if scheme == "https":
            return None
        return Unseen(reason=Reason.NOT_COVERED, detail=f"no HTTP is spoken at {scheme}://")


def times(all_us: Iterable[int]) -> Times:
    """Measurements of one thing, in the order in which they were made."""
    measured = tuple(all_us)[:MAX_TIMES]
    # whole microseconds are written, whatever finer the clock tells
    resolution = max(1000, int(time.get_clock_info("monotonic").resolution * 1_000_000_000))
    return Times(least_us=min(measured), all_us=measured, resolution_ns=resolution)


def _signed_times(leaf: str, ones: Sequence[Signed], chain: ChainFacts) -> SignedTimes:
    fastest = min(ones, key=lambda one: one.us)
    return SignedTimes(
        times=times(one.us for one in ones),
        version="TLSv1.3",
        signature_scheme=SIGNATURE_SCHEMES.name(fastest.flight.signature or 0),
        certificate=leaf,
        trusted=chain.trust.verified,
        stamped=all(one.stamped for one in ones),
    )


def _leaf(one: Signed) -> str:
    return sha256(one.flight.chain[0] if one.flight.chain else b"").hexdigest()


def _fresh_times(found: Requests, fresh: Fresh) -> FreshTimes | Unseen:
    good = [answer for answer in found.answers if answer.head.status < 400]
    if not good:
        if found.answers:
            status = found.answers[0].head.status
            return Unseen(reason=Reason.NO_POSITIVE, detail=f"the fresh request was answered with {status}")
        return unseen(found.trouble, found.how)
    edge = best_edge(answer.head for answer in good)
    if isinstance(edge, Unseen):
        return edge
    return FreshTimes(
        times=times(answer.us for answer in good),
        echoed=fresh.echoed and all(answer.found for answer in good),
        edge=edge,
    )
