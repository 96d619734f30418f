"""The controls over where endpoints answer from: their addresses, and whose cloud it is. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from keycheck.model.control import Group, Sightings, Tighter
from keycheck.model.facts import Facts
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Reason, Verdict
from probes.places.realm_regions import REALM_NAMES, realm_of_region
from probes.places.realms import realm_of_host
from probes.residency.address_cases import (
    Placed,
    answers,
    cases,
    edge_judged,
    judged,
    of_declared_network,
    placed,
    resolved,
)
from probes.residency.endpoint_facts import AddressFacts, NamesFacts, Ranged
from probes.residency.residency_control import RangedControl
from probes.weighing import Judgement, counted, shown

_SOURCES: Final = (
    "published ranges of AWS, Google Cloud, Azure, Oracle, Cloudflare, Fastly",
    "AWS: network border groups",
    "ISO 3166-1; RFC 7871; RFC 6890",
)


class EndpointControl(RangedControl):
    """Base of the controls that see all sightings of an endpoint's names and addresses together."""

    needs: ClassVar[tuple[type[Facts], ...]] = (NamesFacts, AddressFacts)
    group_by: ClassVar[Group] = Group.SUBJECT
    section: ClassVar[str] = "endpoints"


class EdgesControl(EndpointControl):
    """Base of those that let the edge of a declared content delivery network count by the place that answered."""

    edges: Annotated[Literal["forbidden", "local"], Tighter("order", order=("local", "forbidden"))] = "forbidden"
    """`local`: addresses of the content delivery network that the deployment declares count by the place that answered;
    what stands behind it is for `residency.origin`."""

    def stands(self, place: Placed, found: Judgement) -> str | None:
        """Breach or doubt about where one address is; the words of what affirms it."""
        if self.edges == "local" and of_declared_network(place):
            return edge_judged(place, found)
        return judged(place, found)


class Endpoints(EdgesControl, id="residency.endpoints", version=1):
    """Every address at which the endpoint answers is in the jurisdiction."""

    proves = (
        "For every address that any resolver named, or that is declared: ranges that the provider publishes put it "
        "into "
        "the jurisdiction, by border group rather than Region; nothing of what the provider publishes puts it "
        "elsewhere; "
        "and no answer came sooner than light allows. Where delay bounds it to the jurisdiction, or excludes that, "
        "this "
        "is proved."
    )
    does_not_prove = (
        "That no copy is elsewhere, or that what answers does the work itself. Asked for are A and AAAA: HTTPS records "
        "(RFC 9460), alternative services (RFC 7838), redirects and UDP may lead clients elsewhere. What a list of "
        "your own says of a cloud counts like the cloud's own word. Delay proves where the holder of the "
        "certificate's private key is, and distance alone never proves anything for the vendor. With `edges: local` "
        "the "
        "edge of the declared content delivery network is judged by the point of presence that answered us: other "
        "clients meet others."
    )
    example = "{control: residency.endpoints@1, for: endpoints, with: {jurisdiction: [EU]}}"
    sources = _SOURCES

    def judge(self, seen: Sightings) -> Verdict:
        """Every address, by everything that was seen of it."""
        found = Judgement()
        resolved(seen, found)
        affirmed: list[str] = []
        elsewhere = 0
        for case in cases(seen, self.jurisdiction):
            if case.foreign:
                elsewhere += 1
                continue
            place = placed(case, self.jurisdiction, self.ranges_max_age)
            words = self.stands(place, found)
            affirmed += [words] if words else []
        if not affirmed and not found.breaches and not found.doubts:
            found.doubt("no address was seen", Reason.NO_POSITIVE)
        if elsewhere:
            found.lean(f"{counted(elsewhere, 'address', 'addresses')} only given to clients outside the jurisdiction")
        return found.verdict(f"{counted(len(affirmed), 'address', 'addresses')}: {shown(affirmed, '; ')}")


def _realm(value: str) -> str:
    if value not in REALM_NAMES:
        raise ValueError(f"{value!r} is no realm; keycheck knows {', '.join(sorted(REALM_NAMES))}")
    return value


class Realm(EndpointControl, id="residency.realm", version=1):
    """The endpoint stands in one of the named sovereign realms of a cloud."""

    proves = (
        "Each address that ranges attribute lies in a Region of the realm, and where the chain of names ends in a name "
        "of a cloud, its suffix is the realm's."
    )
    does_not_prove = (
        "Which room it is in, who works there, or whose law reaches them: a realm is a partition of a cloud."
    )
    example = "{control: residency.realm@1, for: endpoints, with: {jurisdiction: [EU], realms: [aws-eusc]}}"
    sources = ("botocore partitions; AWS European Sovereign Cloud; S3NS, Bleu, Delos, Oracle EU Sovereign Cloud",)

    realms: Annotated[
        SortedSet[Annotated[str, StringConstraints(max_length=40)]], Field(min_length=1), Tighter("subset")
    ]

    def judge(self, seen: Sightings) -> Verdict:
        """By the last names, and by every attributed address."""
        found = Judgement()
        resolved(seen, found)
        told: set[str] = set()
        for names in seen.of(NamesFacts):
            ends = {answer.chain[-1] for answer in answers(names) if answer.chain}
            # resolvers may differ: every end counts
            realms = {known.name for end in ends if (known := realm_of_host(end)) is not None}
            for realm in sorted(realms | ({names.realm} if names.realm is not None else set())):
                if realm not in self.realms:
                    found.breach(f"{names.host} leads to a name of {realm}")
                else:
                    told.add(realm)
        for case in cases(seen, self.jurisdiction):
            if not case.foreign:
                self._address(placed(case, self.jurisdiction, self.ranges_max_age), found, told)
        if not told and not found.breaches and not found.doubts:
            found.doubt("neither names nor ranges tell the realm", Reason.NO_POSITIVE)
        return found.verdict(f"in {', '.join(sorted(told))}")

    def _address(self, place: Placed, found: Judgement, told: set[str]) -> None:
        realms = {
            realm
            for answer in place.case.ranges
            if isinstance(answer, Ranged)
            for says in answer.says
            if says.region is not None and (realm := realm_of_region(says.provider, says.region)) is not None
        }
        if place.heard.stale:
            found.doubt(f"{place.case.address}: {'; '.join(place.heard.stale)}", Reason.STALE)
        elif outside := realms - self.realms:
            found.breach(f"{place.case.address} is of {', '.join(sorted(outside))}")
        elif not realms:
            found.doubt(f"no ranges tell the realm of {place.case.address}")
        told |= realms
