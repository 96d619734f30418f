"""Controls over what happens in a session: HSTS, 0-RTT, renegotiation, compression, client certificates. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from keycheck.model.control import Tighter
from keycheck.model.types import Duration
from keycheck.model.verdict import Kind, Reason, Verdict, failed, inconclusive, not_applicable, passed
from probes.tls.answer_facts import TLS13, NoAnswerFact, Purpose, RefusedAnswer, StumbledAnswer
from probes.tls.endpoint_control import ACTIVE, EndpointControl, nobody_served, scope, unauthorized, unknown
from probes.tls.facts import (
    Aspect,
    HandshakeDone,
    HandshakeOutcome,
    HandshakeStopped,
    HttpAnswered,
    HttpNone,
    NotTried,
    RedirectFacts,
    RenegotiationFacts,
    TlsFacts,
)
from probes.tls.hsts import Invalid, read_hsts
from probes.tls.parameters import listed
from probes.tls.wire.codepoints import ALERTS, VERSIONS

CLIENT_CERTIFICATE_STATUSES: Final = frozenset({400, 401, 403, 495, 496})
"""HTTP statuses by which servers demand a client certificate after a completed handshake (495 and 496: nginx)."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CERTIFICATE_ALERTS: Final = frozenset({40, 42, 43, 44, 45, 46, 48, 49, 116})
"""handshake_failure, the certificate alerts, access_denied and certificate_required (RFC 8446 section 6.2)."""


def only_right_name(facts: TlsFacts) -> Verdict | None:
    """Promises about the endpoint under its name say nothing about other names."""
    if facts.name_sent == "right":
        return None
    return not_applicable("concerns the endpoint under its own name only")


def _no_handshake(facts: TlsFacts) -> Verdict:
    """Why no real handshake completed, as a verdict."""
    outcomes = [t.outcome for t in facts.handshakes if isinstance(t.outcome, HandshakeStopped)]
    if not outcomes:
        return inconclusive(Reason.NOT_COVERED, "no handshake was completed without a demand for a certificate")
    why = outcomes[0].why
    match why:
        case NoAnswerFact(how="timeout"):
            reason, words = Reason.TIMEOUT, "no answer in time"
        case NoAnswerFact(how=how):
            reason, words = Reason.UNREACHABLE, how
        case RefusedAnswer(alert=alert) | StumbledAnswer(alert=alert):
            reason, words = Reason.NO_POSITIVE, f"alert {ALERTS.name(alert)}"
        case None:
            said = ", ".join(outcomes[0].library) or "our library gave up"
            reason, words = Reason.UNSUPPORTED, said
        case _:
            reason, words = Reason.MALFORMED, "bytes that are no handshake"
    return inconclusive(reason, f"no handshake completed: {words}")


class Hsts(EndpointControl, id="tls.hsts", version=1):
    """The endpoint tells browsers to use TLS only, for at least `min_age`."""

    proves = (
        "One GET on a TLS connection was answered with a valid Strict-Transport-Security header of at least `min_age`, "
        "in every try; and, where the deployment names a plain-text `redirect_url`, that it redirects to https."
    )
    does_not_prove = "Nothing about other paths of the site, preload lists, or clients that do not know HSTS."
    example = "{control: tls.hsts@1, for: endpoints, with: {min_age: P365D, include_subdomains: true}}"
    sources = ("RFC 6797",)

    min_age: Annotated[Duration, Tighter("higher")] = timedelta(days=180)
    include_subdomains: Annotated[bool, Tighter("order", ("False", "True"))] = False

    def judge(self, facts: TlsFacts) -> Verdict:
        """Every answer to a GET must carry the header; a GET without an answer decides nothing."""
        if other := only_right_name(facts):
            return other
        if facts.scheme == "tls":
            return inconclusive(
                Reason.NOT_COVERED,
                "declared as tls://, so HTTP was not asked for: write https:// if it speaks HTTP",
            )
        if facts.scheme != "https":
            return not_applicable(f"the deployment declares a {facts.scheme} endpoint, which speaks no HTTP")
        answers = self._answers(facts)
        breaches = [b for a in answers if isinstance(a, HttpAnswered) and (b := self._breach(a))]
        redirect = _redirect(facts)
        if redirect is not None:
            breaches.append(redirect)
        for breach in sorted(breaches, key=lambda verdict: verdict.kind is not Kind.FAIL):
            return breach
        if not answers:
            return _no_handshake(facts)
        if any(isinstance(answer, HttpNone) for answer in answers):
            return inconclusive(Reason.NOT_COVERED, "a GET was not answered by HTTP/1.1")
        also = f"; {facts.redirect.url} redirects" if isinstance(facts.redirect, RedirectFacts) else ""
        first = answers[0]
        said = first.hsts[0] if isinstance(first, HttpAnswered) else ""
        return passed(f"sends {said!r}{also}{scope(facts)}")

    @staticmethod
    def _answers(facts: TlsFacts) -> tuple[HttpAnswered | HttpNone, ...]:
        """Without a client certificate; where one is required, with it."""
        certified = facts.client_auth.with_certificate
        if facts.client_auth.declared == "required" and isinstance(certified, HandshakeDone):
            return (certified.http,)
        return tuple(done.http for done in facts.completed)

    def _breach(self, answer: HttpAnswered) -> Verdict | None:
        if not answer.hsts:
            if answer.truncated:
                return inconclusive(Reason.MALFORMED, "the head of the answer is longer than keycheck reads")
            return failed(f"sends no Strict-Transport-Security (HTTP status {answer.status})")
        policy = read_hsts(answer.hsts[0])
        if isinstance(policy, Invalid):
            return failed(f"sends a Strict-Transport-Security that clients must ignore: {policy.why}")
        if timedelta(seconds=policy.max_age_s) < self.min_age:
            wanted = int(self.min_age.total_seconds())
            return failed(f"max-age is {policy.max_age_s} seconds, less than {wanted}")
        if self.include_subdomains and not policy.include_subdomains:
            return failed("Strict-Transport-Security lacks includeSubDomains")
        return None


def _redirect(facts: TlsFacts) -> Verdict | None:
    """None when the redirect works, or none is declared."""
    match facts.redirect:
        case NotTried():
            return None
        case RedirectFacts(http=HttpAnswered(status=status, location=location), url=url):
            target = urlsplit(location[0]) if location else None
            if status in _REDIRECTS and target is not None and target.scheme.lower() == "https":
                return None
            return failed(f"{url} does not redirect to https (HTTP status {status})")
        case RedirectFacts(url=url, why=why):
            return inconclusive(Reason.UNREACHABLE, f"{url} gave no answer: {why}")


class EarlyData(EndpointControl, id="tls.early-data", version=1):
    """The endpoint accepts no 0-RTT data, which an attacker can replay."""

    proves = (
        "No session ticket of a completed handshake allows early data; the connection was read until an answer to a "
        "GET or until the server closed. Or TLS 1.3, the only version with 0-RTT, was offered and not chosen."
    )
    does_not_prove = "Nothing about pre-shared keys configured outside the handshake, or tickets sent later."
    example = "{control: tls.early-data@1, for: endpoints}"
    sources = ("RFC 8446 sections 2.3, 4.2.10 and 8",)

    def judge(self, facts: TlsFacts) -> Verdict:
        """Fails by any ticket that allows early data."""
        certified = facts.client_auth.with_certificate
        done = [*facts.completed, *([certified] if isinstance(certified, HandshakeDone) else [])]
        for handshake in done:
            for ticket in handshake.tickets:
                if ticket.max_early_data:
                    return failed(f"tickets allow {ticket.max_early_data} bytes of replayable early data")
        if nobody := nobody_served(facts):
            return nobody
        # A handshake that ended for want of a certificate left no session to resume; one with it counts instead.
        sessions = [h for h in done if _without(h) != "demands one" or isinstance(h.http, HttpAnswered)]
        stopped = [t.outcome for t in facts.handshakes if isinstance(t.outcome, HandshakeStopped)]
        if not sessions or any(_without(outcome) != "demands one" for outcome in stopped):
            return _no_handshake(facts)
        unread = [h for h in sessions if h.version == TLS13 and not h.tickets and not _read_to_the_end(h)]
        if unread or any(h.trouble for h in sessions):
            return inconclusive(Reason.NOT_COVERED, "the handshake was not read far enough to see its tickets")
        tickets = sum(len(h.tickets) for h in sessions)
        if all(h.version != TLS13 for h in sessions):
            return passed("chose a version without early data when TLSv1.3 was offered")
        seen = f"{tickets} tickets, none of which allows early data" if tickets else "sends no tickets"
        return passed(f"{seen}{scope(facts)}")


def _read_to_the_end(handshake: HandshakeDone) -> bool:
    """Tickets follow the handshake at once (RFC 8446 section 4.6.1): an answer or the server's own close came
    after where they would have stood."""
    return isinstance(handshake.http, HttpAnswered) or handshake.end == "closed"


class Renegotiation(EndpointControl, id="tls.renegotiation", version=1):
    """No client-initiated renegotiation, and none that is insecure, in versions before TLS 1.3."""

    technique = ACTIVE
    proves = (
        "TLS 1.3, which has no renegotiation, is all that is spoken; or, where an older version is, that the server "
        "announces secure renegotiation and did not carry out a renegotiation that the client asked for."
    )
    does_not_prove = "Nothing about renegotiation that the server itself starts."
    example = "{control: tls.renegotiation@1, for: endpoints}"
    sources = ("RFC 5746", "CVE-2009-3555", "CVE-2011-1473")

    def judge(self, facts: TlsFacts) -> Verdict:
        """Needs to know which older versions are spoken."""
        match facts.renegotiation:
            case RenegotiationFacts(outcome="accepted"):
                return failed("carries out renegotiation at a client's wish")
            case _:
                pass
        old = [a for a in facts.evidence.acceptances() if 0x0300 <= a.version < TLS13]
        insecure = frozenset(a.version for a in old if 0xFF01 not in a.extensions)
        if insecure:
            return failed(f"does not announce secure renegotiation in {listed(VERSIONS, insecure)}")
        if settled := _only_tls13(facts, "renegotiation"):
            return settled
        match facts.renegotiation:
            case RenegotiationFacts(outcome="refused" | "closed" as outcome):
                return passed(f"announces secure renegotiation; asked for one, it {outcome}{scope(facts)}")
            case RenegotiationFacts(outcome=outcome):
                return inconclusive(Reason.NOT_COVERED, f"asked for a renegotiation: {outcome}")
            case NotTried(why=why):
                return inconclusive(Reason.NOT_COVERED, f"no renegotiation was asked for: {why}")


def _only_tls13(facts: TlsFacts, what: str) -> Verdict | None:
    """The verdict where older versions are not spoken or cannot be judged; None where one is spoken."""
    if not facts.authorized:
        return unauthorized()
    if nobody := nobody_served(facts):
        return nobody
    spoken = frozenset(v for v in facts.accepted_versions() if 0x0300 <= v < TLS13)
    doubtful = facts.legacy_possible() - spoken
    if not spoken and not doubtful:
        if TLS13 not in facts.accepted_versions():
            return inconclusive(Reason.NO_POSITIVE, "nothing was seen to work")
        return passed(f"speaks nothing before TLSv1.3, which has no {what}{scope(facts)}")
    if not spoken or (doubtful and Aspect.VERSIONS not in facts.asked):
        asked = facts.evidence
        about = tuple(q for q in asked.of(Purpose.VERSIONS) if q.cap in doubtful and not asked.refusal_proved(q))
        return unknown(facts, about, f"{listed(VERSIONS, doubtful)} could not be ruled out")
    return None


class Compression(EndpointControl, id="tls.compression", version=1):
    """The endpoint never compresses records, which would leak secrets by their length (CRIME)."""

    technique = ACTIVE
    proves = (
        "TLS 1.3, which has no compression, is all that is spoken; or DEFLATE was offered in every older version that "
        "is spoken and the server chose no compression."
    )
    does_not_prove = "Nothing about compression of HTTP bodies (BREACH), nor about methods other than DEFLATE."
    example = "{control: tls.compression@1, for: endpoints}"
    sources = ("RFC 3749", "RFC 7525 section 3.3", "CVE-2012-4929")

    def judge(self, facts: TlsFacts) -> Verdict:
        """Fails by any answer that chose compression."""
        raw = facts.evidence.acceptances()
        if any(a.compression for a in raw) or any(h.compression for h in facts.completed):
            return failed("compresses records")
        if settled := _only_tls13(facts, "compression"):
            return settled
        spoken = frozenset(v for v in facts.accepted_versions() if 0x0300 <= v < TLS13)
        offered = frozenset(a.version for q in facts.evidence.own if 1 in q.compressions for a in q.accepted)
        if missing := (spoken | facts.legacy_possible()) - offered:
            return unknown(facts, (), f"compression in {listed(VERSIONS, missing)} could not be ruled out")
        return passed(f"was offered DEFLATE in {listed(VERSIONS, offered)} and chose none{scope(facts)}")


class ClientAuth(EndpointControl, id="tls.client-auth", version=1):
    """The endpoint demands a client certificate, and works with the one that the contract names."""

    proves = (
        "Without a client certificate the handshake fails by an alert, or the GET is answered by HTTP 400, 401, 403, "
        "495 or 496 after the server asked for one in TLS, in every try; with the certificate, again asked for, the "
        "same succeeds. Both halves are needed: a server that refuses everybody proves nothing."
    )
    does_not_prove = "Nothing about which other certificates are accepted, or what a certificate may do."
    example = "{control: tls.client-auth@1, for: endpoints, with: {applies: declared}}"
    sources = ("RFC 8446 sections 4.3.2 and 6.2",)

    applies: Annotated[Literal["declared", "everywhere"], Tighter("order", ("declared", "everywhere"))] = "everywhere"
    """`everywhere`: every endpoint that the requirement is for; `declared`: only those that the deployment, the
    customer's own file, says the contract means."""

    def judge(self, facts: TlsFacts) -> Verdict:
        """Not applicable only where the requirement leaves it to the deployment, and that declares none."""
        if other := only_right_name(facts):
            return other
        without = [_without(t.outcome) for t in facts.handshakes]
        if facts.client_auth.declared == "none":
            if "demands one" in without:
                return inconclusive(
                    Reason.CONFLICTING,
                    "demands a client certificate, and the deployment declares none: set client_auth: required",
                )
            if set(without) == {"works without"} and self.applies == "declared":
                return not_applicable("the deployment declares no client certificates, and none is demanded")
            if "works without" in without and self.applies == "everywhere":
                return failed("works without a client certificate; the deployment declares none")
            return _no_handshake(facts)
        if "works without" in without:
            return failed("works without a client certificate")
        if set(without) != {"demands one"}:
            return _no_handshake(facts)
        match facts.client_auth.with_certificate:
            case NotTried(why=why):
                return inconclusive(Reason.NO_POSITIVE, f"demands a client certificate; with one: {why}")
            case outcome if _with(outcome):
                return passed(f"refuses without a client certificate and works with one{scope(facts)}")
            case _:
                return inconclusive(
                    Reason.NO_POSITIVE, "refuses without a client certificate, and also with the one given"
                )


def _without(outcome: HandshakeOutcome) -> str:
    """What one handshake without a certificate says."""
    match outcome:
        case HandshakeDone(end="alert", end_alert=alert) if alert in _CERTIFICATE_ALERTS:
            return "demands one"
        case HandshakeDone(http=HttpAnswered(status=status)) if status in CLIENT_CERTIFICATE_STATUSES:
            # A status alone may be anything; only a certificate that TLS asked for can be what was missed.
            return "demands one" if outcome.client_certificate_requested else "unclear"
        case HandshakeDone(http=HttpAnswered()):
            return "works without"
        case HandshakeDone(http=HttpNone(why="not-http"), end="open" | "closed"):
            # Nothing was asked of the application: a certificate that was requested may still be missed later.
            return "unclear" if outcome.client_certificate_requested else "works without"
        case HandshakeStopped(why=RefusedAnswer(alert=alert) | StumbledAnswer(alert=alert)):
            demanded = outcome.client_certificate_requested and alert in _CERTIFICATE_ALERTS
            return "demands one" if demanded else "unclear"
        case _:
            return "unclear"


def _with(outcome: HandshakeOutcome) -> bool:
    """Whether the endpoint worked with the certificate."""
    match outcome:
        case HandshakeDone(client_certificate_requested=False):
            return False
        case HandshakeDone(http=HttpAnswered(status=status)):
            return status not in CLIENT_CERTIFICATE_STATUSES
        case HandshakeDone(http=HttpNone(why="not-http"), end="open" | "closed"):
            return True
        case _:
            return False
