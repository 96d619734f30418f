"""The probe of an endpoint's names: what each resolver says, and what names and addresses say of places."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Final

from keycheck.model.authorization import Technique
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import WHOLE, Io, Observed, SimpleProbe, Touch
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.places.hosts import region_named_by
from probes.places.realms import realm_of_host
from probes.places.whereabouts import Whereabouts
from probes.residency.endpoint.resolving import (
    WAIT_SECONDS,
    Asked,
    Saying,
    Sayings,
    Told,
    plan,
    sayings_of,
)
from probes.residency.endpoint.said import range_answer
from probes.residency.endpoint.special import special_of
from probes.residency.endpoint.standpoint import standpoint_of
from probes.residency.endpoint_facts import AddressAnswered, DnsAnswer, DnsSilence, NamedRegion, NamesFacts
from probes.residency.ranges.seam import Ranges
from probes.residency.references import ranges_of
from probes.tls.subjects import Endpoint

MAX_NAMED: Final = 512
"""Hints beyond these are left out: no more are needed to doubt."""


class NamesProbe(SimpleProbe[Endpoint]):
    """An endpoint's name, asked of the system's resolver and of every declared server, for A and AAAA each.

    Proves what these servers told this vantage at that moment. Names are chosen by whoever owns them: they prove no
    place, and other clients may be told other addresses. DNSSEC is not validated here: a resolver's word that it did is
    recorded as such.
    """

    id = "residency.names"
    version = 1
    section = "endpoints"
    facts: ClassVar[type[Facts]] = NamesFacts

    def touches(self, subject: Endpoint, io: Io) -> Iterable[Touch]:
        """DNS questions."""
        return dns_touches(subject)

    def observe(self, subject: Endpoint, io: Io) -> Observed:
        """All answers and silences."""
        place = subject.place
        literal = is_literal(subject)
        sayings = Sayings(place.host, ()) if literal else sayings_of(subject, io)
        ranges = ranges_of(io)
        at = io.clock()
        answers = [_fact(saying, ranges, at) for saying in sayings.all]
        if sayings.left_out:
            answers.append(_left_out(sayings.all[-1].asked, sayings.left_out))
        names = tuple(dict.fromkeys((place.host, *_names(sayings.all))))
        ends = {saying.answer.chain[-1] for saying in sayings.all if isinstance(saying, Told)} or {place.host}
        realms = sorted({realm.name for end in ends if (realm := realm_of_host(end)) is not None})
        facts = NamesFacts(
            host=vendor_text(place.host),
            literal=literal,
            declared=subject.whereabouts or Whereabouts(),
            standpoint=standpoint_of(io.vantage),
            answers=tuple(answers),
            named_regions=tuple(_regions(names))[:MAX_NAMED],
            realm=realms[0] if len(realms) == 1 else None,
        )
        return Observed(WHOLE, facts)


def is_literal(subject: Endpoint) -> bool:
    """Whether no DNS is in it: an address in the URL, or declared addresses."""
    return bool(subject.addresses) or subject.place.is_address


def dns_touches(subject: Endpoint) -> Iterable[Touch]:
    """What asking for the name will touch."""
    if is_literal(subject):
        return
    host = subject.place.host
    asked = plan(subject.whereabouts or Whereabouts())
    servers = sorted({one.resolver for one in asked if one.role != "system"})
    others = f", and {', '.join(servers)}" if servers else ""
    yield Touch(
        what=f"the system's resolver{others}: DNS questions for {host}",
        credential="none",
        changes=False,
        technique=Technique.PASSIVE,
        connections=len(asked),
        seconds=int(2 * WAIT_SECONDS) * (1 + len(asked) // 32),
    )


def _fact(saying: Saying, ranges: Ranges | Unseen, at: datetime) -> DnsAnswer | DnsSilence:
    asked = saying.asked
    subnet = asked.subnet
    if not isinstance(saying, Told):
        return DnsSilence(
            resolver=asked.resolver,
            role=asked.role,
            record=asked.record,
            subnet=None if subnet is None else subnet.network,
            subnet_country=None if subnet is None else subnet.country,
            why=Unseen(reason=saying.why.reason, detail=vendor_text(saying.why.detail)),
        )
    answer = saying.answer
    return DnsAnswer(
        resolver=asked.resolver,
        role=asked.role,
        record=asked.record,
        subnet=None if subnet is None else subnet.network,
        subnet_country=None if subnet is None else subnet.country,
        subnet_scope=answer.scope,
        chain=tuple(map(vendor_text, answer.chain)),
        addresses=tuple(
            AddressAnswered(address=ip, special=special_of(ip), ranges=range_answer(ranges, ip, at))
            for ip in answer.addresses
        ),
        dnssec="unknown",
        ttl=answer.ttl,
        claimed_authentic=answer.authentic,
        finished_by=saying.finished_by,
    )


def _left_out(last: Asked, count: int) -> DnsSilence:
    why = f"{count} more questions were not asked: declare fewer name servers or client subnets"
    return DnsSilence(
        resolver=last.resolver,
        role=last.role,
        record=last.record,
        subnet=None,
        subnet_country=None,
        why=Unseen(reason=Reason.NOT_COVERED, detail=why),
    )


def _names(sayings: Iterable[Saying]) -> Iterable[str]:
    for saying in sayings:
        yield from saying.answer.chain if isinstance(saying, Told) else saying.why.chain


def _regions(names: Iterable[str]) -> Iterable[NamedRegion]:
    for name in names:
        found = region_named_by(name)
        if found is not None:
            yield NamedRegion(name=vendor_text(name), provider=found.provider, region=found.region)
