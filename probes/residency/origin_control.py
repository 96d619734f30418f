"""The control over what stands behind a content delivery network. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from keycheck.model.control import Sightings, Tighter
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.places.tables import TABLES
from probes.places.whereabouts import Origin as Declared
from probes.residency.address_cases import cases, of_network
from probes.residency.address_signals import heard, unread
from probes.residency.bounds import left_of, origin_disc
from probes.residency.endpoint_controls import EndpointControl
from probes.residency.endpoint_facts import AddressFacts, EdgeSeen, FreshTimes, NamesFacts, NotAsked, Ranged
from probes.residency.grading import Grade, grade
from probes.residency.physics.discs import Speed
from probes.weighing import Judgement, shown


class Origin(EndpointControl, id="residency.origin", version=1):
    """What stands behind the content delivery network is in the jurisdiction."""

    proves = (
        "The origin that the vendor declares is in the jurisdiction, by its Region and by the ranges that hold its "
        "address where one is declared; and answers to fresh requests came through an edge in so short a time, by the "
        "network's "
        "own clock, that of all the provider's places only such in the jurisdiction are near enough."
    )
    does_not_prove = (
        "That requests of another kind, or of other clients, end there too; that the origin has no origin of its own, "
        "or is the declared provider's at all where its address is not declared. A program at the edge can give fresh "
        "text back without any origin: `fresh` must be a path of which that is excluded. "
        "The network's clock is the network's, and the vendor may be able to rewrite its headers. A long time proves "
        "nothing, for whoever answers can wait; near a border even a short one leaves places on both sides of it."
    )
    example = "{control: residency.origin@1, for: endpoints, with: {jurisdiction: [EU]}}"
    sources = (
        "Fastly: X-Timer; CloudFront: Server-Timing; Cloudflare: Server-Timing",
        "Gill et al., Dude, where's that IP?, USENIX Security 2010: delay can be added and never taken away",
    )

    speed: Annotated[Literal["vacuum", "fibre"], Tighter("order", order=("fibre", "vacuum"))] = "vacuum"
    """How fast signals are taken to travel at most: `vacuum` is the only strict bound; `fibre` holds where the whole
    path between edge and origin is ordinary fibre, and leaves fewer places."""

    def judge(self, seen: Sightings) -> Verdict:
        """The declaration, the declared address, and the time that edges needed."""
        found = Judgement()
        looked = seen.of(AddressFacts)
        behind = any(isinstance(facts.edge, EdgeSeen) or facts.declared.cdn for facts in looked)
        declared = next((names.declared for names in seen.of(NamesFacts)), None)
        if not behind and (declared is None or declared.cdn is None):
            if looked and all(self._plain(facts) for facts in looked):
                return not_applicable(
                    "no content delivery network is declared, and neither answers nor ranges show one"
                )
            found.doubt("no answer told whether a content delivery network stands before it")
            return found.verdict("")
        origin = None if declared is None else declared.origin
        if origin is None:
            found.doubt("a content delivery network answers: declare `whereabouts.origin`, and a `fresh` request")
            return found.verdict("")
        self._declared(origin, found)
        self._address(looked, found)
        bounded = self._times(looked, origin, found)
        home = {case.address for case in cases(seen, self.jurisdiction) if not case.foreign}
        if bounded and (silent := home - bounded.keys()):
            found.doubt(f"behind {shown(silent)} nothing bounds where the origin is")
        if not bounded and not found.doubts:
            found.doubt(
                "nothing bounds where the origin is: no answer that needed it told the time that the edge waited "
                "(`whereabouts.fresh`, and the network's timing header)"
            )
        return found.verdict(f"{origin.provider} {origin.region}, as declared; {shown(bounded.values(), '; ')}")

    def _plain(self, facts: AddressFacts) -> bool:
        """Whether nothing that is known here stands before it: ranges announce the address from one place or say
        nothing of it, and answers tell of no network; without an answer ranges must give it one Region."""
        told = heard(facts.ranges, self.ranges_max_age) if isinstance(facts.ranges, Ranged) else None
        if told is not None and told.anycast:
            return False
        return not isinstance(facts.edge, Unseen) or (told is not None and bool(told.signals))

    def _declared(self, origin: Declared, found: Judgement) -> None:
        outside = self.outside(origin.provider, (origin.region,))
        if outside is None:
            found.doubt(f"keycheck does not know where {origin.provider} {origin.region} is")
        elif outside:
            found.breach(f"the origin is declared in {outside}")

    def _address(self, looked: tuple[AddressFacts, ...], found: Judgement) -> None:
        permitted = self.jurisdiction.extent().at(self.activity)
        for facts in looked:
            match facts.origin_ranges:
                case Ranged() as ranges:
                    told = heard(ranges, self.ranges_max_age)
                    graded = grade(told.signals, permitted)
                    if graded.grade in (Grade.PROVEN_OUT, Grade.CONTRADICTED):
                        found.breach(f"the origin's address is outside: {graded.worded()}")
                    elif told.stale:
                        found.doubt(f"the origin's address: {'; '.join(told.stale)}", Reason.STALE)
                    elif graded.grade is Grade.UNDETERMINED:
                        found.doubt("no ranges tell where the origin's address is")
                case Unseen() as unseen:
                    found.doubt(f"the origin's address: {unread(unseen)}", unseen.reason)
                case NotAsked():
                    found.lean("its address is not declared")

    def _times(self, looked: tuple[AddressFacts, ...], origin: Declared, found: Judgement) -> dict[str, str]:
        """What edges waited for fresh answers, by address, where that leaves places in the jurisdiction only."""
        bounded: dict[str, str] = {}
        for facts in looked:
            fresh = facts.fresh
            if isinstance(fresh, Unseen):
                found.doubt(f"{facts.address}: no fresh answer: {unread(fresh)}", fresh.reason)
            if not isinstance(fresh, FreshTimes) or not fresh.echoed or not isinstance(fresh.edge, EdgeSeen):
                continue
            if fresh.edge.cdn != facts.declared.cdn or not of_network(facts.declared.cdn, (facts.ranges,)):
                found.doubt(
                    f"{facts.address} answers as {fresh.edge.cdn}, and ranges do not give it to the network that is "
                    f"declared: whose clock that is nobody knows",
                    Reason.CONFLICTING,
                )
                continue
            bound = origin_disc(fresh.edge, Speed(self.speed))
            if bound is None:
                continue
            region = TABLES.region(origin.provider, origin.region)
            if region is not None and region.city and bound.excludes(region.city.point, region.city.radius_m):
                found.doubt(
                    f"the edge {fresh.edge.pop} had an answer so soon that light does not reach {origin.provider} "
                    f"{origin.region} and come back: something nearer answered ({bound.worded()})",
                    Reason.CONFLICTING,
                )
                continue
            left = left_of(origin.provider, bound)
            graded = grade((left,), self.jurisdiction.extent().at(self.activity))
            if graded.grade is Grade.AFFIRMED:
                bounded[facts.address] = f"behind {fresh.edge.pop}, within {bound.radius_m // 1000} km: {left.what}"
            else:
                found.doubt(
                    f"behind the edge {fresh.edge.pop} the origin may be up to {bound.radius_m // 1000} km away, "
                    f"which also "
                    f"leaves places outside, or of which nobody knows where they are: {left.what}"
                )
        return bounded
