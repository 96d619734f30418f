"""The facts of a TLS endpoint: what one address, asked under one name, answered. Never a verdict.

Pure models and pure derivations; nothing here touches the network, parses bytes or loads OpenSSL.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Model, VendorText
from probes.tls.answer_facts import (
    SSL2,
    AcceptedAnswer,
    AnswerFact,
    Code,
    CodeSet,
    KnownCodes,
    Purpose,
    QuestionFacts,
    State,
)
from probes.tls.chain_facts import ChainFacts
from probes.tls.proof import Proof, proof_of

MAX_CHAINS = 8
"""Distinct chains kept when repetitions met more than one."""

NameSent: TypeAlias = Literal["right", "none", "wrong"]
"""What stood in server_name: the endpoint's name, nothing, or a name that exists nowhere."""


class Aspect(StrEnum):
    """What raw questions were asked about, completely."""

    VERSIONS = "versions"
    SUITES = "suites"
    GROUPS = "groups"


class TicketFacts(Model):
    """A session ticket (RFC 8446 section 4.6.1)."""

    lifetime_s: Count
    max_early_data: Count | None
    """Bytes of 0-RTT data that the ticket allows; None: the ticket does not allow any."""


class HttpAnswered(Model):
    """Head of the answer to one GET. The body is not kept."""

    kind: Literal["answered"] = "answered"
    status: Count
    hsts: tuple[VendorText, ...]
    """Values of all Strict-Transport-Security headers, as sent."""
    location: tuple[VendorText, ...]
    truncated: bool


class HttpNone(Model):
    """No answer to a GET."""

    kind: Literal["none"] = "none"
    why: Literal["not-http", "not-asked", "no-response"]


HttpFacts: TypeAlias = Annotated[HttpAnswered | HttpNone, Field(discriminator="kind")]


class HandshakeDone(Model):
    """A real handshake that completed on our side."""

    kind: Literal["completed"] = "completed"
    version: Code
    suite: Code
    group: Code | None
    """None: no key exchange by a named group, or one that the library does not name."""
    retried: bool
    resumed: bool
    compression: Code
    extensions: CodeSet
    alpn: VendorText
    signature: Code | None
    tickets: tuple[TicketFacts, ...]
    client_certificate_requested: bool
    end: VendorText
    """`open`: we closed; `alert`, `closed`, `reset`, `timeout`."""
    end_alert: Count | None
    http: HttpFacts
    complete: bool
    """The recorded bytes were read up to the server's Finished."""
    trouble: VendorText
    """Why reading the recorded bytes stopped early, or empty."""


class HandshakeStopped(Model):
    """A real handshake that did not complete."""

    kind: Literal["stopped"] = "stopped"
    why: Annotated[AnswerFact, Field(discriminator="kind")] | None
    """None: our own library gave up; see `library`."""
    library: tuple[VendorText, ...]
    our_alert: Count | None
    client_certificate_requested: bool


HandshakeOutcome: TypeAlias = Annotated[HandshakeDone | HandshakeStopped, Field(discriminator="kind")]


class HandshakeTries(Model):
    """One distinct outcome of the real handshake and how many tries had it."""

    outcome: HandshakeOutcome
    tries: Annotated[int, Field(ge=1)]


class NotTried(Model):
    """Something was not done, and why."""

    kind: Literal["not-tried"] = "not-tried"
    why: VendorText


class ClientAuthFacts(Model):
    """What the contract says about client certificates, and how the endpoint treats one. How it treats
    their absence stands in `handshakes`."""

    declared: Literal["none", "required"]
    with_certificate: Annotated[HandshakeDone | HandshakeStopped | NotTried, Field(discriminator="kind")]


class RedirectFacts(Model):
    """What the plain-text address that must redirect answered."""

    kind: Literal["asked"] = "asked"
    url: VendorText
    http: HttpFacts
    why: VendorText
    """Why there was no answer, or empty."""


class RenegotiationFacts(Model):
    """Client-initiated renegotiation in an established connection before TLS 1.3."""

    kind: Literal["asked"] = "asked"
    outcome: Literal["accepted", "refused", "closed", "no-answer", "not-applicable", "handshake-stopped"]


class OurSide(Model):
    """What on our own side could colour the answers."""

    library: VendorText
    """Versions of the TLS library that made the real handshakes."""
    neutralised: tuple[VendorText, ...]
    """Environment variables that would have changed the library's behaviour and were removed."""
    proxied: bool


class BackEnds(StrEnum):
    """What repetitions showed about who answers behind the address."""

    UNKNOWN = "unknown"
    """One try: nothing to compare."""
    ALIKE = "alike"
    """All tries looked alike: one back end, several alike ones, or stickiness that kept us on one. The
    tries cannot be called independent."""
    DIFFERENT = "different"
    """Different answers or certificates: tries were not stuck to one back end."""


class TlsFacts(Facts, schema="tls.endpoint/1"):
    """One address of an endpoint, asked under one name."""

    host: VendorText
    port: Count
    address: VendorText
    scheme: Literal["https", "tls", "smtp", "imap", "postgresql"]
    name_sent: NameSent
    name: VendorText | None
    """What was sent in server_name; None: nothing."""
    balanced: Literal["unknown", "balanced", "single"]
    """The deployment's claim about this address."""

    authorized: bool
    """Whether raw questions were allowed. If not, there are none, and facts rest on the handshake alone."""
    asked: tuple[Aspect, ...]
    """About what raw questions were asked completely; nothing is proved about the rest."""
    known: KnownCodes
    questions: tuple[QuestionFacts, ...]
    demanded_tries: Annotated[int, Field(ge=1)]

    handshakes: tuple[HandshakeTries, ...]
    """Distinct outcomes of the real handshake without a client certificate, in the order first seen."""
    chain: Annotated[ChainFacts | Unseen, Field(union_mode="left_to_right")]
    """From the first handshake that showed one."""
    other_chains: tuple[ChainFacts, ...]
    """Chains met in repetitions that differ from `chain`, at most `MAX_CHAINS` with it."""
    chains_not_kept: Count

    client_auth: ClientAuthFacts
    renegotiation: Annotated[RenegotiationFacts | NotTried, Field(discriminator="kind")]
    redirect: Annotated[RedirectFacts | NotTried, Field(discriminator="kind")]
    our_side: OurSide

    def samples(self) -> int:
        """Tries that every statement here rests on: the least of any question and of the handshake that got
        an answer. Independent only if the address does not stick clients to back ends."""
        counts = [n for n in self.evidence.answered_tries if n] or [self.demanded_tries]
        return max(1, min([*counts, self.handshake_tries or self.demanded_tries]))

    @property
    def handshake_tries(self) -> int:
        """Real handshakes without a client certificate that completed: one that was stopped shows nothing."""
        return sum(tried.tries for tried in self.handshakes if isinstance(tried.outcome, HandshakeDone))

    @property
    def evidence(self) -> Proof:
        """The questions with what they prove together."""
        return proof_of(self.questions, self.known)

    @property
    def chains(self) -> tuple[ChainFacts | Unseen, ...]:
        """Every distinct chain seen: a certificate control holds for all of them or for none."""
        return (self.chain, *self.other_chains)

    @property
    def completed(self) -> tuple[HandshakeDone, ...]:
        """The distinct completed handshakes."""
        return tuple(t.outcome for t in self.handshakes if isinstance(t.outcome, HandshakeDone))

    @property
    def back_ends(self) -> BackEnds:
        """Whether repetitions met differences."""
        kinds = [len(q.answers) for q in self.questions]
        if self.other_chains or max(kinds, default=0) > 1 or len(self.handshakes) > 1:
            return BackEnds.DIFFERENT
        return BackEnds.ALIKE if self.demanded_tries > 1 else BackEnds.UNKNOWN

    def accepted_versions(self) -> frozenset[int]:
        """Protocol versions seen to work, in raw answers or real handshakes."""
        return frozenset(a.version for a in self._accepted()) | {done.version for done in self.completed}

    def unproved_versions(self, known: frozenset[int]) -> frozenset[int]:
        """Of `known`: neither seen nor ruled out."""
        return known - self.accepted_versions() - self.evidence.ruled_out_versions()

    def accepted_suites(self) -> frozenset[int]:
        """TLS suites the server chose."""
        raw = {a.suite for a in self._accepted() if a.version != SSL2}
        return frozenset(raw | {done.suite for done in self.completed})

    def unproved_suites(self) -> frozenset[int]:
        """Of all known suites: neither chosen nor ruled out."""
        return self.evidence.unproved_suites(self.accepted_suites())

    def accepted_groups(self) -> frozenset[int]:
        """Named groups the server chose."""
        raw = {a.group for a in self._accepted()} | {done.group for done in self.completed}
        return frozenset(group for group in raw if group is not None)

    def unproved_groups(self) -> frozenset[int]:
        """Of all known groups: neither chosen nor ruled out."""
        return self.evidence.unproved_groups(self.accepted_groups())

    def unnamed_groups(self) -> frozenset[int]:
        """Prime sizes of finite-field exchanges that used no named group."""
        return frozenset(a.dh_bits for a in self._accepted() if a.group is None and a.dh_bits is not None)

    def legacy_possible(self) -> frozenset[int]:
        """Versions before TLS 1.3 (SSLv2 aside) that were seen or could not be ruled out."""
        old = frozenset({0x0300, 0x0301, 0x0302, 0x0303})
        return old - self.evidence.ruled_out_versions()

    def serves_nobody(self) -> bool:
        """Proved that this address serves nobody under this name: every question was refused by an alert, no
        handshake completed, and an allowed hello that it refused was accepted with the right name."""
        own, right = self.evidence.own, [q for q in self.questions if q.name == "right"]
        if self.name_sent == "right" or self.completed or not own:
            return False
        asked = [q for q in own if q.cap != SSL2]
        if not all(q.state is State.REFUSED for q in asked) or any(q.accepted for q in own):
            return False
        twins = {_offer(q) for q in asked if q.tests is Purpose.TWIN}
        return any(q.state is State.ACCEPTED and _offer(q) in twins for q in right)

    def _accepted(self) -> tuple[AcceptedAnswer, ...]:
        return self.evidence.acceptances()


def _offer(question: QuestionFacts) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return question.cap, question.suites, question.groups
