"""The addresses of one endpoint, with everything that every vantage and resolver saw of each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keycheck.model.control import Sightings
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.places.extents import Activity, Permitted, Standing
from probes.places.scopes import Scope
from probes.residency.address_signals import Heard, edge_place, excluded, heard, named, physics, suspicions, unread
from probes.residency.bounds import all_discs, pop_city
from probes.residency.endpoint_facts import AddressFacts, DnsAnswer, DnsSilence, EdgeSeen, NamesFacts, RangeAnswer
from probes.residency.grading import Grade, Graded, Signal, Why, grade, standing
from probes.weighing import Judgement


@dataclass(frozen=True, slots=True)
class Case:
    """One address, and what was seen of it."""

    address: str
    special: str | None
    ranges: tuple[RangeAnswer, ...]
    seen: tuple[AddressFacts, ...]
    names: tuple[NamesFacts, ...]
    foreign: bool
    """Only answers in the name of clients outside the jurisdiction hold it."""

    def edges(self) -> Iterator[EdgeSeen]:
        """Content delivery networks that answered there."""
        return (facts.edge for facts in self.seen if isinstance(facts.edge, EdgeSeen))


def cases(seen: Sightings, scope: Scope) -> tuple[Case, ...]:
    """The addresses of an endpoint, sorted."""
    looked, names = seen.of(AddressFacts), seen.of(NamesFacts)
    told = [(answer, found) for facts in names for answer in answers(facts) for found in answer.addresses]
    everybodys = {found.address for answer, found in told if not _abroad(answer, scope)}
    abroad = {found.address for answer, found in told if _abroad(answer, scope)} - everybodys
    all_ = {facts.address for facts in looked} | {found.address for _, found in told}
    return tuple(
        Case(
            address,
            next(
                (
                    one
                    for one in (
                        *(facts.special for facts in looked if facts.address == address),
                        *(found.special for _, found in told if found.address == address),
                    )
                    if one
                ),
                None,
            ),
            tuple(
                dict.fromkeys(
                    (
                        *(facts.ranges for facts in looked if facts.address == address),
                        *(found.ranges for _, found in told if found.address == address),
                    )
                )
            ),
            tuple(facts for facts in looked if facts.address == address),
            names,
            address in abroad,
        )
        for address in sorted(all_)
    )


def answers(facts: NamesFacts) -> tuple[DnsAnswer, ...]:
    """Resolvers' answers."""
    return tuple(answer for answer in facts.answers if isinstance(answer, DnsAnswer))


def _abroad(answer: DnsAnswer, scope: Scope) -> bool:
    """Whether it was asked in the name of clients who are not in the jurisdiction, and is for them alone: an answer
    without a scope, or of scope 0, is for everybody (RFC 7871, section 7.2.1)."""
    if answer.subnet_country is None or not answer.subnet_scope:
        return False
    return scope.contains({answer.subnet_country}, Activity.PROCESS).standing is not Standing.INSIDE


def resolved(seen: Sightings, found: Judgement) -> None:
    """Doubts about a name that some resolver did not tell the addresses of."""
    for facts in seen.of(NamesFacts):
        if facts.literal:
            continue
        told = {(answer.role, answer.record) for answer in answers(facts) if answer.subnet is None}
        if not told:
            found.doubt(f"nobody tells the addresses of {facts.host}", Reason.UNREACHABLE)
        for answer in facts.answers:
            if not isinstance(answer, DnsSilence) or answer.subnet is not None:
                continue
            where = f"{answer.resolver} on {answer.record} of {facts.host}: {unread(answer.why)}"
            if answer.role == "system" and ("authoritative", answer.record) in told:
                continue  # the servers of the zone itself know better
            found.doubt(where, answer.why.reason)
        if any(answer.dnssec == "bogus" for answer in answers(facts)):
            found.doubt(f"answers on {facts.host} bear signatures that do not verify", Reason.CONFLICTING)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an address is, as far as is known, and what keeps it from being known."""

    case: Case
    permitted: Permitted
    graded: Graded
    heard: Heard
    unread: tuple[Unseen, ...]
    excluded: tuple[str, ...]
    """Places that ranges name and that physics excludes."""
    edge: Graded | None
    """Of the points of presence that answered, where a content delivery network did."""


def placed(case: Case, scope: Scope, max_age: timedelta) -> Placed:
    """All signals of one address, graded."""
    spoke = [heard(answer, max_age) for answer in case.ranges if not isinstance(answer, Unseen)]
    silent = tuple(answer for answer in case.ranges if isinstance(answer, Unseen))
    permitted = scope.extent().at(Activity.PROCESS)
    signals = {signal for one in spoke for signal in one.signals}
    for facts in case.seen:
        signals |= {*physics(facts), *suspicions(facts)}
    for names in case.names:
        if any(found.address == case.address for answer in answers(names) for found in answer.addresses):
            elsewhere = _elsewhere(case.address, names)
            signals |= {*named(region for region in names.named_regions if region.name not in elsewhere)}
    edges = {signal for edge in case.edges() if (signal := edge_place(edge)) is not None}
    return Placed(
        case,
        permitted,
        grade(signals, permitted),
        _merged(spoke),
        silent,
        tuple(sorted({word for facts in case.seen for word in excluded(facts)})),
        grade(edges, permitted) if edges else None,
    )


def _elsewhere(address: str, names: NamesFacts) -> frozenset[str]:
    """Names that stand only in chains to other addresses: they say nothing of this one."""
    told = answers(names)
    here = {name for one in told if any(found.address == address for found in one.addresses) for name in one.chain}
    return frozenset(name for one in told for name in one.chain) - here


def _merged(spoke: Iterable[Heard]) -> Heard:
    all_ = tuple(spoke)
    return Heard(
        tuple(dict.fromkeys(signal for one in all_ for signal in one.signals)),
        tuple(sorted({word for one in all_ for word in one.stale})),
        tuple(sorted({word for one in all_ for word in one.anycast})),
        tuple(sorted({word for one in all_ for word in one.unplaced})),
        frozenset(provider for one in all_ for provider in one.providers),
    )


def judged(place: Placed, found: Judgement) -> str | None:
    """Breach or doubt about where one address is; the words of what affirms it, where nothing speaks against it."""
    address, graded = place.case.address, place.graded
    if place.excluded and graded.grade not in (Grade.PROVEN_OUT, Grade.CONTRADICTED):
        found.doubt(f"{address}: {'; '.join(place.excluded)}", Reason.CONFLICTING)
        return None
    inside = graded.grade in (Grade.AFFIRMED, Grade.PROVEN_IN)
    if inside and place.heard.anycast:
        found.doubt(f"{address} is announced from many places, by {', '.join(place.heard.anycast)}: it is nowhere")
        return None
    if inside and graded.grade is Grade.AFFIRMED and place.heard.unplaced:
        found.doubt(f"{address}: keycheck does not know where {', '.join(place.heard.unplaced)} is")
        return None
    match graded.grade:
        case Grade.PROVEN_OUT:
            found.breach(f"{address} is outside: {said(_of(place, Standing.OUTSIDE))}")
        case Grade.CONTRADICTED if not graded.conflict:
            found.breach(f"{address} is outside: {said(_of(place, Standing.OUTSIDE))}")
        case Grade.CONTRADICTED:
            found.doubt(f"{address}: what is told contradicts itself: {said(graded.used)}", Reason.CONFLICTING)
        case Grade.AFFIRMED | Grade.PROVEN_IN:
            return f"{address} {graded.grade.value}: {said(_of(place, Standing.INSIDE))}"
        case Grade.UNDETERMINED:
            _undetermined(place, found)
    return None


def _of(place: Placed, where: Standing) -> tuple[Signal, ...]:
    """The signals that say so: the others are in the evidence, and would bury these."""
    return tuple(signal for signal in place.graded.used if standing(signal, place.permitted) is where)


def _undetermined(place: Placed, found: Judgement) -> None:
    address, ranges = place.case.address, place.heard
    if ranges.stale:
        found.doubt(
            f"{address}: ranges are too old ({'; '.join(ranges.stale)}): `keycheck ranges update`", Reason.STALE
        )
    elif Why.SUSPECTED in place.graded.why:
        found.doubt(f"{address}: suspected elsewhere: {said(place.graded.used)}", Reason.CONFLICTING)
    elif ranges.anycast:
        found.doubt(f"{address} is announced from many places, by {', '.join(ranges.anycast)}: it is nowhere")
    elif ranges.unplaced:
        found.doubt(f"{address}: keycheck does not know where {', '.join(ranges.unplaced)} is")
    elif place.unread:
        for unseen in place.unread:
            found.doubt(f"{address}: {unread(unseen)}", unseen.reason)
    elif place.case.special and place.case.special != "global":
        found.doubt(
            f"{address} is {place.case.special}: ranges say nothing of it; where it must be so, give a list of your "
            f"own "
            "networks (`references`)"
        )
    elif place.graded.used:
        found.doubt(f"{address}: {said(place.graded.used)}")
    else:
        found.doubt(f"nothing says where {address} is: no published ranges hold it")


_OF_CDN: Final = {"cloudfront": "aws", "cloudflare": "cloudflare", "fastly": "fastly", "azure-front-door": "azure"}
_ACCELERATOR: Final = "GLOBALACCELERATOR"
"""Of AWS, announced from everywhere too: it passes connections on to whoever stands behind it, and is no CloudFront."""


def of_declared_network(place: Placed) -> bool:
    """Whether an address is the declared content delivery network's own, by the network's published ranges."""
    cdns = {facts.declared.cdn for facts in place.case.seen} | {names.declared.cdn for names in place.case.names}
    return bool(place.heard.anycast) and any(of_network(cdn, place.case.ranges) for cdn in cdns)


def of_network(cdn: str | None, ranges: Iterable[RangeAnswer]) -> bool:
    """Whether ranges give an address to a content delivery network: what a head says of networks anybody can write."""
    return any(
        says.anycast and says.provider == _OF_CDN.get(cdn or "") and _ACCELERATOR not in says.services
        for answer in ranges
        if not isinstance(answer, Unseen)
        for says in answer.says
    )


def edge_judged(place: Placed, found: Judgement) -> str | None:
    """Breach or doubt about the places of a network that answered us; the words of what affirms them."""
    address = place.case.address
    if place.graded.grade is Grade.PROVEN_OUT:
        found.breach(f"{address} is outside: {said(_of(place, Standing.OUTSIDE))}")
        return None
    if place.edge is None:
        found.doubt(f"{address} is of a content delivery network, and no answer told which place of it answered")
        return None
    match place.edge.grade:
        case Grade.AFFIRMED | Grade.PROVEN_IN:
            for facts in place.case.seen:
                if isinstance(facts.edge, EdgeSeen) and (why := _not_believed(facts, facts.edge)) is not None:
                    found.doubt(f"{address}: {why}", Reason.CONFLICTING)
                    return None
            return f"{address} answered us from inside: {said(place.edge.used)}"
        case Grade.UNDETERMINED:
            found.doubt(f"{address}: {said(place.edge.used)}")
        case _:
            found.breach(f"{address} answers from outside: {said(place.edge.used)}")
    return None


def _not_believed(facts: AddressFacts, edge: EdgeSeen) -> str | None:
    """Why what a head tells of an edge does not count."""
    if edge.cdn != facts.declared.cdn:
        return f"the head tells of {edge.cdn}, and {facts.declared.cdn or 'no network'} is declared"
    city = None if edge.pop is None else pop_city(edge.pop)
    if city is not None and any(bound.excludes(city.point, city.radius_m) for bound in all_discs(facts)):
        return f"the head says {edge.pop}, which is too far away for an answer so soon"
    return None


def said(signals: Iterable[Signal]) -> str:
    """Signals for people, the strongest first."""
    return "; ".join(dict.fromkeys(signal.what for signal in signals))
