"""The controls over who is sent where: steering of clients, and addresses that are in many places. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final

from keycheck.model.control import Sightings, Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Reason, Verdict
from probes.places.extents import Activity, Standing
from probes.places.whereabouts import Cdn
from probes.residency.address_cases import Case, Placed, answers, cases, of_declared_network, placed
from probes.residency.address_signals import unread
from probes.residency.bounds import all_discs, pop_city
from probes.residency.endpoint_controls import EdgesControl, EndpointControl
from probes.residency.endpoint_facts import DnsAnswer, DnsSilence, NamesFacts
from probes.residency.physics.discs import apart
from probes.weighing import Judgement, shown

_RFC_7871: Final = "RFC 7871 (client subnet in DNS queries)"


class Steering(EdgesControl, id="residency.steering", version=1):
    """Clients of the jurisdiction are sent to addresses in the jurisdiction."""

    proves = (
        "Every answer that resolvers gave in the name of a client network that is declared to be in the jurisdiction, "
        "and that they say is for that network, holds addresses in the jurisdiction only; so does every answer to a "
        "vantage that stands there."
    )
    does_not_prove = (
        "What other resolvers, at other times or for other networks, answer; nor that the networks are where the "
        "deployment says. Clients elsewhere may be sent elsewhere."
    )
    example = "{control: residency.steering@1, for: endpoints, with: {jurisdiction: [EU]}}"
    sources = (_RFC_7871,)

    def judge(self, seen: Sightings) -> Verdict:
        """All that clients at home were answered."""
        found = Judgement()
        by_address = {case.address: case for case in cases(seen, self.jurisdiction)}
        asked: set[str] = set()
        told: dict[tuple[str, str], int] = {}
        for names in seen.of(NamesFacts):
            self._silences(names, found)
            for answer in answers(names):
                if (who := self._client(names, answer)) is not None:
                    asked.add(who)
                    told[who, answer.resolver] = told.get((who, answer.resolver), 0) + len(answer.addresses)
                    self._answer(answer, who, by_address, found)
                elif answer.subnet_scope == 0 and self._home(answer.subnet_country):
                    self._for_everybody(answer, by_address, found)
        for (who, resolver), count in told.items():
            if not count:
                found.doubt(f"{resolver} tells {who} no address", Reason.NO_POSITIVE)
        literal = [names for names in seen.of(NamesFacts) if names.literal]
        for host in sorted({names.host for names in literal if not _is_address(names.host)}):
            found.doubt(
                f"the addresses of {host} are declared, and so nobody was asked where its clients are sent: leave "
                f"`addresses` away"
            )
        if literal and len(literal) == len(seen.of(NamesFacts)):
            found.lean("the endpoint names an address: nobody is steered by name")
            asked.add("everybody")
            if not by_address:
                found.doubt("no address was seen", Reason.NO_POSITIVE)
            for case in by_address.values():
                self.stands(placed(case, self.jurisdiction, self.ranges_max_age), found)
        if not asked and not found.doubts:
            found.doubt(
                "nothing was asked in the name of a client of the jurisdiction: declare `whereabouts.subnets` and a "
                "nameserver that heeds them, or a vantage with its `country`"
            )
        return found.verdict(f"{shown(sorted(asked))} are sent to addresses in {self.jurisdiction.worded()}")

    def _silences(self, names: NamesFacts, found: Judgement) -> None:
        home = self._home(names.standpoint.country)
        # the servers of the zone itself know better than the system's resolver
        zone = {each.record for each in answers(names) if each.role == "authoritative" and each.subnet is None}
        for answer in names.answers:
            if isinstance(answer, DnsSilence) and answer.subnet is not None and self._home(answer.subnet_country):
                found.doubt(f"{answer.resolver} for {answer.subnet}: {unread(answer.why)}", answer.why.reason)
            elif isinstance(answer, DnsSilence) and answer.role == "system" and answer.record not in zone and home:
                found.doubt(f"the vantage {names.standpoint.vantage}: {unread(answer.why)}", answer.why.reason)
            elif isinstance(answer, DnsAnswer) and self._home(answer.subnet_country) and not answer.subnet_scope:
                found.lean(f"{answer.resolver} did not heed the network {answer.subnet}")

    def _home(self, country: str | None) -> bool:
        if country is None:
            return False
        return self.jurisdiction.contains({country}, Activity.PROCESS).standing is Standing.INSIDE

    def _client(self, names: NamesFacts, answer: DnsAnswer) -> str | None:
        """Who of the jurisdiction the answer was for; None: nobody known to be of it."""
        if answer.subnet is not None:
            heeded = bool(answer.subnet_scope)
            return f"clients of {answer.subnet}" if heeded and self._home(answer.subnet_country) else None
        if answer.role == "system" and self._home(names.standpoint.country):
            return f"the vantage {names.standpoint.vantage}"
        return None

    def _answer(self, answer: DnsAnswer, who: str, by_address: dict[str, Case], found: Judgement) -> None:
        for told in answer.addresses:
            inner = Judgement()
            self.stands(placed(by_address[told.address], self.jurisdiction, self.ranges_max_age), inner)
            found.breaches += [f"{breach} (told to {who})" for breach in inner.breaches]
            found.doubts += inner.doubts

    def _for_everybody(self, answer: DnsAnswer, by_address: dict[str, Case], found: Judgement) -> None:
        """Of scope 0: good for every client, those at home among them, or chosen by where the resolver stands."""
        inner = Judgement()
        self._answer(answer, f"clients of {answer.subnet}", by_address, inner)
        for breach in inner.breaches:
            found.doubt(f"{answer.resolver}, of scope 0: {breach}", Reason.CONFLICTING)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Anycast(EndpointControl, id="residency.anycast", version=1):
    """No address of the endpoint is in several places at once, save those of networks that are allowed."""

    proves = (
        "Published ranges give each address one Region, no range announces it from many places, and no two vantages "
        "had "
        "answers from it sooner than one place could give them both."
    )
    does_not_prove = (
        "That it is unicast: anycast within a country or a continent shows from far-off vantages alone, and two "
        "vantages "
        "close together show none."
    )
    example = "{control: residency.anycast@1, for: endpoints, with: {jurisdiction: [EU]}, evidence: {vantages: 2}}"
    sources = ("Cicalese et al., Latency-based anycast geolocation (iGreedy), 2015",)

    allowed: Annotated[SortedSet[Cdn], Tighter("subset")] = frozenset()
    """Content delivery networks whose addresses may be in many places, where the deployment declares them."""

    def judge(self, seen: Sightings) -> Verdict:
        """Every address, from all vantages together."""
        found = Judgement()
        single: list[str] = []
        allowed: list[str] = []
        for case in cases(seen, self.jurisdiction):
            place = placed(case, self.jurisdiction, self.ranges_max_age)
            if {facts.declared.cdn for facts in case.seen} & self.allowed and of_declared_network(place):
                allowed.append(case.address)
                continue
            self._discs(case, found)
            self._pops(case, found)
            if self._ranges(place, found):
                single.append(case.address)
        if not single and not allowed and not found.breaches and not found.doubts:
            found.doubt("no address was seen", Reason.NO_POSITIVE)
        told = [f"{shown(single)}: each in one Region by its ranges"] if single else []
        told += [f"{shown(allowed)}: of a content delivery network that is allowed"] if allowed else []
        return found.verdict("; ".join(told))

    @staticmethod
    def _ranges(place: Placed, found: Judgement) -> bool:
        address = place.case.address
        if place.heard.anycast:
            found.breach(f"{address} is announced from many places, by {', '.join(place.heard.anycast)}")
        elif place.heard.stale:
            found.doubt(f"{address}: {'; '.join(place.heard.stale)}", Reason.STALE)
        elif not any(signal.strength.carries for signal in place.heard.signals):
            found.doubt(f"no ranges give {address} a Region: it may be in many places")
        else:
            return True
        return False

    @staticmethod
    def _discs(case: Case, found: Judgement) -> None:
        bounds = tuple(bound for facts in case.seen for bound in all_discs(facts))
        if (two := apart(bounds)) is not None:
            found.breach(f"{case.address} is in two places at least: {two[0].worded()}; and {two[1].worded()}")
        for facts in case.seen:
            if isinstance(facts.signed, Unseen) and not facts.signed_variously:
                found.lean(f"{case.address} was not timed from {facts.standpoint.vantage}")

    @staticmethod
    def _pops(case: Case, found: Judgement) -> None:
        pops = sorted({edge.pop for edge in case.edges() if edge.pop})
        if len({pop_city(pop) or pop for pop in pops}) > 1:
            # a head may come from a network behind the address: no proof
            found.doubt(f"{case.address} answered from {', '.join(pops)}, by its heads", Reason.CONFLICTING)
