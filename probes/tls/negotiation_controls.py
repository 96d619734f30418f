"""Controls over what an endpoint negotiates: versions, suites, groups, post-quantum key exchange. Pure.

All four read the same proof. A forbidden value that was accepted in any try fails. A pass needs every other
forbidden value refused, on this address, beside an accepted positive twin, and something allowed seen to work.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Kind, Verdict, failed, passed
from probes.tls.answer_facts import (
    SSL2,
    TLS13,
    NoAnswerFact,
    Purpose,
    QuestionFacts,
    State,
)
from probes.tls.endpoint_control import ACTIVE, EndpointControl, nobody_served, scope, unauthorized, unknown
from probes.tls.facts import Aspect, TlsFacts
from probes.tls.parameters import GroupName, SuiteName, VersionName, codes, listed
from probes.tls.wire.codepoints import ANY_SUITE, GROUPS, VERSIONS, is_post_quantum

KNOWN_VERSIONS: Final = frozenset(VERSIONS)


def _versions_doubt(facts: TlsFacts, versions: frozenset[int]) -> tuple[QuestionFacts, ...]:
    asked = facts.evidence
    return tuple(q for q in asked.of(Purpose.VERSIONS) if q.cap in versions and not asked.refusal_proved(q))


class Protocols(EndpointControl, id="tls.protocols", version=1):
    """The endpoint speaks only the protocol versions listed in `only`."""

    technique = ACTIVE
    proves = (
        "Every other version from SSLv2 to TLS 1.3 was offered alone, with every known suite of its age, and "
        "refused, while the same hello with an allowed version was accepted on the same address under the same "
        "name. The claim reads 'none of these N suites in that version'. SSLv2 counts as refused by any alert and, "
        "since nobody who dropped it is bound to answer it, by an end of the connection in place of its answer."
    )
    does_not_prove = (
        "Nothing about suites that no registry knows, about addresses not in the census, about clients that are "
        "treated differently, or about times other than the observation's."
    )
    example = "{control: tls.protocols@1, for: endpoints, with: {only: [TLSv1.3]}}"
    sources = ("RFC 8446 appendix D", "RFC 8996", "RFC 7568 (SSLv3)", "RFC 6176 (SSLv2)", "RFC 9325 section 3.1")

    only: Annotated[SortedSet[VersionName], Tighter("subset"), Field(min_length=1)]

    def judge(self, facts: TlsFacts) -> Verdict:
        """Fails by any accepted version outside `only`."""
        only, accepted = codes(VERSIONS, self.only), facts.accepted_versions()
        if extra := accepted - only:
            return failed(f"also accepts {listed(VERSIONS, extra)}{_by_what(facts, extra)}")
        if not facts.authorized:
            return unauthorized()
        if nobody := nobody_served(facts):
            return nobody
        if missing := facts.unproved_versions(KNOWN_VERSIONS - only):
            doubtful = _versions_doubt(facts, missing)
            return unknown(facts, doubtful, f"{listed(VERSIONS, missing)} could not be ruled out")
        if not accepted & only:
            return unknown(facts, _twins(facts), "no allowed version was seen to work")
        return passed(
            f"accepts {listed(VERSIONS, accepted)}; refuses {_refusals(facts, only)}{_ssl2_words(facts)}{scope(facts)}"
        )


def _by_what(facts: TlsFacts, versions: frozenset[int]) -> str:
    """How a breach was seen, by the suite chosen in it."""
    found = [a for a in facts.evidence.acceptances() if a.version in versions and a.version != SSL2]
    if not found:
        return ""
    first = found[0]
    return f" ({VERSIONS.name(first.version)} with {ANY_SUITE.name(first.suite)})"


def _refusals(facts: TlsFacts, only: frozenset[int]) -> str:
    """`TLSv1.2 (none of 401 suites), ...`."""
    counts: dict[int, int] = {}
    for question in facts.evidence.of(Purpose.VERSIONS):
        if question.cap not in only:
            counts[question.cap] = counts.get(question.cap, 0) + len(question.suites)
    words = [f"{VERSIONS.name(v)} (none of {n} suites)" for v, n in sorted(counts.items(), reverse=True)]
    return ", ".join(words)


def _ssl2_words(facts: TlsFacts) -> str:
    """SSLv2's weaker refusal, said as it was seen."""
    closed = [
        a.answer.how
        for q in facts.evidence.of(Purpose.VERSIONS)
        if q.cap == SSL2
        for a in q.answers
        if isinstance(a.answer, NoAnswerFact)
    ]
    if not closed:
        return ""
    return f"; to SSLv2 it gave no alert: it ended the connection ({closed[0]}) in place of an answer"


def _twins(facts: TlsFacts) -> tuple[QuestionFacts, ...]:
    return tuple(q for q in facts.evidence.of(Purpose.TWIN) if q.state is not State.ACCEPTED)


class Suites(EndpointControl, id="tls.suites", version=1):
    """The endpoint negotiates only the cipher suites listed in `only`, in every version."""

    technique = ACTIVE
    proves = (
        "Every other suite that keycheck knows, for TLS 1.3 (RFC 9150's NULL suites, SM4, AEGIS and GOST included) "
        "and for older versions, was offered without any approved one and refused, beside the same hello with "
        "approved suites that was accepted on the same address."
    )
    does_not_prove = "Nothing about the server's order among approved suites, or about suites in no registry."
    example = (
        "{control: tls.suites@1, for: endpoints, with: {only: [TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256]}}"
    )
    sources = ("RFC 8446 appendix B.4", "RFC 9150", "IANA TLS Cipher Suites registry", "RFC 9325 section 4")

    only: Annotated[SortedSet[SuiteName], Tighter("subset"), Field(min_length=1)]

    def judge(self, facts: TlsFacts) -> Verdict:
        """Fails by any accepted suite outside `only`."""
        only, accepted = codes(ANY_SUITE, self.only), facts.accepted_suites()
        if extra := accepted - only:
            return failed(f"also negotiates {listed(ANY_SUITE, extra)}")
        if not facts.authorized:
            return unauthorized()
        if nobody := nobody_served(facts):
            return nobody
        if Aspect.SUITES not in facts.asked:
            return unknown(facts, (), "suites could not be ruled out")
        if missing := facts.unproved_suites() - only:
            doubtful = _doubt(facts, missing, Purpose.VERSIONS, Purpose.SUITES)
            return unknown(facts, doubtful, f"{len(missing)} suites could not be ruled out")
        if not accepted & only:
            return unknown(facts, _twins(facts), "no allowed suite was seen to work")
        ruled_out = facts.evidence.known_suites() - accepted - only
        return passed(f"negotiates {listed(ANY_SUITE, accepted)}; none of {len(ruled_out)} other suites{scope(facts)}")


def _doubt(facts: TlsFacts, missing: frozenset[int], *tests: Purpose) -> tuple[QuestionFacts, ...]:
    asked = facts.evidence
    return tuple(
        q
        for q in asked.of(*tests)
        if q.cap != SSL2
        and not asked.refusal_proved(q)
        and missing.intersection(q.groups if q.tests is Purpose.GROUPS else q.suites)
    )


class Groups(EndpointControl, id="tls.groups", version=1):
    """The endpoint exchanges keys only over the named groups listed in `only`."""

    technique = ACTIVE
    proves = (
        "Every other group that keycheck knows was offered without any approved one, with an empty key share in TLS "
        "1.3 so that a HelloRetryRequest names the offender, and refused, beside the same hello with approved groups "
        "that was accepted on the same address. Where a version before TLS 1.3 is spoken, the same there."
    )
    does_not_prove = (
        "Nothing about private or unregistered groups. Before TLS 1.3 a server with an ECDSA certificate refuses a "
        "hello without the certificate's curve: there a forbidden group was also offered first, with the allowed ones "
        "behind it, which shows it only where the server follows the client's order."
    )
    example = "{control: tls.groups@1, for: endpoints, with: {only: [X25519MLKEM768, x25519, secp256r1]}}"
    sources = ("RFC 8446 section 4.2.7", "RFC 7919", "RFC 8422", "IANA TLS Supported Groups registry")

    only: Annotated[SortedSet[GroupName], Tighter("subset"), Field(min_length=1)]

    def judge(self, facts: TlsFacts) -> Verdict:
        """Fails by any accepted group outside `only`."""
        only = codes(GROUPS, self.only)
        if broken := _group_breach(facts, only):
            return broken
        if not facts.authorized:
            return unauthorized()
        return (
            nobody_served(facts)
            or _group_doubt(facts, only)
            or passed(
                f"uses {listed(GROUPS, facts.accepted_groups())}; none of "
                f"{len(facts.evidence.known_groups() - facts.accepted_groups() - only)} other groups{scope(facts)}"
            )
        )


def _group_breach(facts: TlsFacts, only: frozenset[int]) -> Verdict | None:
    if extra := facts.accepted_groups() - only:
        return failed(f"also uses {listed(GROUPS, extra)}")
    finite = {code for code in only if 0x100 <= code <= 0x1FF}
    if (unnamed := facts.unnamed_groups()) and not finite:
        sizes = ", ".join(str(bits) for bits in sorted(unnamed))
        return failed(f"exchanges keys over a finite field of {sizes} bits, and no finite-field group is allowed")
    return None


def _group_doubt(facts: TlsFacts, only: frozenset[int]) -> Verdict | None:
    """What stands between the facts and 'no other group', or None."""
    if Aspect.GROUPS not in facts.asked:
        return unknown(facts, (), "groups could not be ruled out")
    if missing := facts.unproved_groups() - only:
        doubtful = _doubt(facts, missing, Purpose.GROUPS) or _versions_doubt(facts, facts.legacy_possible())
        return unknown(facts, doubtful, f"{len(missing)} groups could not be ruled out")
    if facts.unnamed_groups():
        return unknown(facts, (), "a finite-field exchange before TLS 1.3 does not name its group")
    if not facts.accepted_groups() & only:
        return unknown(facts, _twins(facts), "no allowed group was seen to work")
    return None


class PostQuantum(EndpointControl, id="tls.post-quantum", version=1):
    """Post-quantum key exchange is required, preferred, allowed or forbidden."""

    technique = ACTIVE
    proves = (
        "required: a post-quantum group (pure or hybrid) was seen to work, every classical group was offered alone "
        "and refused, and no version before TLS 1.3 is spoken. preferred: offered both, classical groups first, the "
        "server chose a post-quantum one, and so did the real handshake. allowed: the endpoint was seen to work; "
        "nothing more is demanded. forbidden: every post-quantum group was offered alone and refused."
    )
    does_not_prove = (
        "Nothing about clients that offer no post-quantum group (unless required), about signatures, which stay "
        "classical, or about the strength of the algorithms."
    )
    example = "{control: tls.post-quantum@1, for: endpoints, with: {mode: preferred}}"
    sources = ("RFC 8446 section 4.2.7", "draft-ietf-tls-ecdhe-mlkem", "FIPS 203")

    mode: Annotated[
        Literal["required", "preferred", "allowed", "forbidden"],
        Tighter("order", ("allowed", "preferred", "required")),
    ]

    def judge(self, facts: TlsFacts) -> Verdict:
        """By mode; see `proves`."""
        accepted = facts.accepted_groups()
        quantum = frozenset(code for code in accepted if is_post_quantum(code))
        every = frozenset(GROUPS) | facts.evidence.known_groups() | accepted
        hybrid = frozenset(code for code in every if is_post_quantum(code))
        match self.mode:
            case "required":
                return self._required(facts, hybrid)
            case "forbidden":
                if quantum:
                    return failed(f"uses {listed(GROUPS, quantum)}")
                return self._proved(facts, every - hybrid, "no post-quantum group")
            case "preferred":
                return self._preferred(facts, quantum)
            case "allowed":
                if not facts.authorized and not facts.completed:
                    return unauthorized()
                if not accepted and not facts.completed:
                    return nobody_served(facts) or unknown(facts, _twins(facts), "nothing was seen to work")
                return passed(f"uses {listed(GROUPS, accepted)}; post-quantum groups are allowed")

    def _required(self, facts: TlsFacts, hybrid: frozenset[int]) -> Verdict:
        accepted = facts.accepted_groups()
        if extra := accepted - hybrid:
            return failed(f"also uses {listed(GROUPS, extra)}, which a quantum computer breaks")
        if old := facts.accepted_versions() - {TLS13}:
            return failed(f"accepts {listed(VERSIONS, old)}, which has no post-quantum key exchange")
        verdict = self._proved(facts, hybrid, "only post-quantum groups")
        if verdict.kind is not Kind.PASS:
            return verdict
        if legacy := facts.legacy_possible():
            doubtful = _versions_doubt(facts, legacy)
            return unknown(facts, doubtful, f"{listed(VERSIONS, legacy)} could not be ruled out")
        return verdict

    def _proved(self, facts: TlsFacts, only: frozenset[int], claim: str) -> Verdict:
        if not facts.authorized:
            return unauthorized()
        if broken := _group_breach(facts, only):
            return broken
        if stopped := nobody_served(facts) or _group_doubt(facts, only):
            return stopped
        count = len(facts.evidence.known_groups() - facts.accepted_groups() - only)
        return passed(f"{claim}: uses {listed(GROUPS, facts.accepted_groups())}; none of {count} others{scope(facts)}")

    def _preferred(self, facts: TlsFacts, quantum: frozenset[int]) -> Verdict:
        asked = facts.evidence
        chances = [
            q
            for q in asked.of(Purpose.TWIN)
            if q.cap == TLS13
            and any(is_post_quantum(g) for g in q.groups)
            and not all(is_post_quantum(g) for g in q.groups)
        ]
        chosen = [(q, a) for q in chances for a in q.accepted if a.group is not None]
        classical = frozenset(a.group for _, a in chosen if a.group is not None and not is_post_quantum(a.group))
        handshakes = frozenset(h.group for h in facts.completed if h.group is not None)
        classical |= frozenset(g for g in handshakes if not is_post_quantum(g))
        if classical:
            return failed(f"was offered post-quantum groups and chose {listed(GROUPS, classical)}")
        if old := frozenset(h.version for h in facts.completed) - {TLS13}:
            return failed(f"was offered TLSv1.3 with post-quantum groups and chose {listed(VERSIONS, old)}")
        if not facts.authorized:
            return unauthorized()
        if nobody := nobody_served(facts):
            return nobody
        if not chosen:
            return unknown(facts, tuple(chances), "no choice between classical and post-quantum was seen")
        if any(q.state is State.UNKNOWN for q in chances):
            doubtful = tuple(q for q in chances if q.state is State.UNKNOWN)
            return unknown(facts, doubtful, "not every offer of both was answered")
        if not quantum & handshakes:
            return unknown(facts, (), "no real handshake with a post-quantum group was seen")
        return passed(
            f"offered both with classical groups first, chose {listed(GROUPS, quantum)}, and so did the real "
            f"handshake{scope(facts)}"
        )
