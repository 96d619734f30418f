"""The conversation with one address under one name: which connections, in which order, and the facts of it.

First everything side by side: the handshake, the contract's complement and its twins. Then what the answers
raise: eliminations, the groups and compression of an old version that was accepted, a twin that is missing.
Then the repetitions that the profile demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keycheck.model.authorization import Technique
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.tls.answer_facts import CLOSING, AcceptedAnswer, Purpose, QuestionFacts, State
from probes.tls.asker import REPEATING, Asker, Job, Spoken, Tried, timed_out, unanswered
from probes.tls.chain import chain_facts
from probes.tls.chain_facts import ChainFacts
from probes.tls.facts import (
    MAX_CHAINS,
    Aspect,
    ClientAuthFacts,
    HandshakeOutcome,
    NameSent,
    NotTried,
    OurSide,
    RedirectFacts,
    RenegotiationFacts,
    TlsFacts,
)
from probes.tls.follow_ups import after_legacy, eliminate, missing_twins, rest_of_version, with_right_name
from probes.tls.materials import Materials
from probes.tls.plain_get import PlainGet
from probes.tls.questions import KNOWN, Ask, contract, first_questions
from probes.tls.record import answer_fact, as_handshake, handshake_tries, http_fact, outcome_of, question_fact
from probes.tls.subjects import Endpoint, Place, read_redirect_url
from probes.tls.wire.answers import Accepted
from probes.tls.wire.codepoints import SSL2, SSL3, TLS10, TLS12, TLS13
from probes.tls.wire.context import ClientContext
from probes.tls.wire.flight import ServerFlight
from probes.tls.wire.handshake import Completed, Handshake, Renegotiate, Renegotiation, Stopped
from probes.tls.wire.hello import encode_as
from probes.tls.wire.http_head import HttpHead
from probes.tls.wire.question import Question
from probes.tls.wire.transport import Address, Conversation, Exchange, Prelude

HANDSHAKE, CERTIFIED, REDIRECT = "handshake", "handshake-certified", "redirect"
RENEGOTIATIONS = ("renegotiation", "renegotiation-2", "renegotiation-3", "renegotiation-4")
CLOSE_PATIENCE_US = 300_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a part stands for."""

    place: Place
    ip: str
    port: int
    name: NameSent
    sni: str | None
    right_name: str | None


class Interview:
    """One part's connections and facts. `hold`, then `facts`."""

    def __init__(self, subject: Endpoint, target: Target, io: Io) -> None:
        self._subject = subject
        self._target = target
        self._io = io
        self._terms = contract(io.demands)
        self._authorized = Technique.ACTIVE_TLS in io.authorized
        self._tries = max(1, io.samples)
        self._wait_us = int(subject.answer_within.total_seconds() * 1_000_000)
        self._materials = Materials(subject, io)
        self._main_link = self._link(target.port)
        self._asks: dict[str, tuple[Ask, Question]] = {}
        self._facts: dict[tuple[str, int, int], QuestionFacts] = {}
        monotonic = io.monotonic

        def now() -> int:
            return int(monotonic() * 1_000_000)

        deadline = now() + int(io.budget * 900_000)
        self.asker = Asker(now, deadline, self._wait_us, source=io.vantage.source)
        self.plain_labels = frozenset({REDIRECT})

    def hold(self) -> None:
        """Make all connections."""
        try:
            self._converse()
        finally:
            self.asker.close()

    def _converse(self) -> None:
        asks = first_questions(self._terms) if self._authorized else ()
        jobs = [*self._ordinary_jobs(), *map(self._job, asks)]
        self.asker.ask(jobs, self._follow)
        if all(unanswered(exchange.answer) for exchange in self.asker.log if exchange.label != REDIRECT):
            return  # nobody answers, not even slowly: asking on would only wait
        twins = any(ask.tests is Purpose.TWIN for ask in asks)
        if twins:
            self.asker.ask(self._closed([self._job(ask) for ask in self._raised()]), self._follow)
        self._repeat()
        if twins:
            self._ask_what_repetition_raised()
            self._ask_for_renegotiation()

    # -- what to ask ----------------------------------------------------------------------------------

    def _ordinary_jobs(self) -> Iterator[Job]:
        yield self._plain_job(HANDSHAKE, self._handshake)
        if self._materials.client_context is not None:
            yield self._plain_job(CERTIFIED, self._certified_handshake)
        if self._target.name == "right" and self._subject.redirect_url is not None:
            host, port, path = read_redirect_url(self._subject.redirect_url)
            header = host if port == 80 else f"{host}:{port}"
            yield Job(
                REDIRECT,
                lambda: PlainGet(f"[{host}]" if ":" in host else header, path),
                self._link(port),
                lambda: self._tunnel(port),
            )

    def _plain_job(self, key: str, conversation: Callable[[], Conversation[Spoken]]) -> Job:
        return Job(key, conversation, self._main_link, self._prelude)

    def _job(self, ask: Ask) -> Job:
        sni = self._target.right_name if ask.name == "right" else self._target.sni
        hello = encode_as(ask.hello, self._io.entropy(32), sni)
        question = Question(hello, ask.until)
        self._asks[ask.id] = (ask, question)
        unused = [question]
        return self._asking(ask, lambda: unused.pop() if unused else Question(hello, ask.until))

    def _link(self, port: int) -> Address:
        return self._materials.link(self._target.ip, port)

    def _tunnel(self, port: int) -> Prelude | None:
        return self._materials.tunnel(self._target.ip, port)

    def _prelude(self) -> Prelude | None:
        return self._materials.prelude(self._target.ip, self._target.port, self._target.place.scheme)

    def _http_host(self) -> str | None:
        place = self._target.place
        if place.scheme != "https":
            return None
        match self._target.name:
            case "right":
                return place.host_header
            case "none":
                return f"[{self._target.ip}]" if ":" in self._target.ip else self._target.ip
            case "wrong":
                return self._target.sni

    def _handshake(self) -> Handshake:
        return self._handshake_with(self._materials.context)

    def _certified_handshake(self) -> Handshake:
        return self._handshake_with(self._materials.client_context or self._materials.context)

    def _handshake_with(self, context: ClientContext) -> Handshake:
        return Handshake(
            context,
            sni=self._target.sni,
            http_host=self._http_host(),
            http_path=self._target.place.path if self._target.name == "right" else "/",
            patience_us=self._wait_us,
            close_patience_us=CLOSE_PATIENCE_US,
        )

    # -- what the answers raise -----------------------------------------------------------------------

    def _follow(self, exchange: Exchange[Spoken]) -> Iterator[Job]:
        """Eliminations: the same question again without what was chosen."""
        found = self._asks.get(exchange.label)
        if found is None or not isinstance(exchange.answer, Accepted):
            return
        chosen = answer_fact(found[0], exchange.answer)
        _, _, number = exchange.label.partition(".round-")
        if isinstance(chosen, AcceptedAnswer):
            further = eliminate(found[0], chosen, int(number or 0) + 1)
            if further is not None:
                yield self._job(further)

    def _raised(self) -> Iterator[Ask]:
        """Questions that the first answers raise, each once."""
        asked = {ident: self._fact(ident) for ident in self._asks}
        old_groups = any(facts.tests is Purpose.GROUPS and facts.cap < TLS13 for facts in asked.values())
        raised: dict[str, Ask] = {}
        versions: set[int] = set()
        for ident, facts in asked.items():
            for answer in facts.accepted:
                if not SSL3 <= answer.version <= TLS12 or answer.version in versions:
                    continue
                versions.add(answer.version)
                for ask in after_legacy(self._terms, self._asks[ident][0], answer):
                    if ask.id not in asked and not (old_groups and ask.tests is Purpose.GROUPS):
                        raised.setdefault(ask.id, ask)
        yield from raised.values()
        closing = {ident for ident in asked if ident.startswith(CLOSING)}
        twins = [facts for ident, facts in asked.items() if facts.tests is Purpose.TWIN and ident not in closing]
        refused = [facts for facts in twins if facts.state is State.REFUSED]
        if self._target.name != "right" and self._target.right_name is not None and len(refused) == len(twins):
            yield with_right_name(self._asks[refused[0].id][0])
        for facts in refused:
            if facts.cap < TLS13 and any(twin.state is State.ACCEPTED for twin in twins):
                if any(twin.cap == TLS13 for twin in twins):
                    yield from (twin for twin in missing_twins(self._terms) if twin.id not in asked)
                if self._terms.sessions or self._terms.groups is not None:
                    yield from rest_of_version(self._terms, self._asks[facts.id][0])

    def _ask_for_renegotiation(self) -> None:
        """Where an old version is spoken; a few times, because another back end may not speak it."""
        if not self._terms.sessions or not self._old_versions():
            return
        one, *others = [self._plain_job(key, self._renegotiate) for key in RENEGOTIATIONS]
        # One connection at a time may meet the same wrong back end of a round robin for ever.
        for jobs in ([one], *([[one, *others]] * max(2, min(self._tries, 16)))):
            if any(isinstance(exchange.answer, Renegotiation) for exchange in self.asker.ask(jobs)):
                return

    def _renegotiate(self) -> Renegotiate:
        return Renegotiate(self._materials.legacy_context, sni=self._target.sni)

    def _old_versions(self) -> frozenset[int]:
        return frozenset(
            exchange.answer.version
            for ident in self._asks
            for exchange in self._tried(ident).finals
            if isinstance(exchange.answer, Accepted) and TLS10 <= exchange.answer.version <= TLS12
        )

    def _repeat(self) -> None:
        """The demanded tries of everything forbidden and of the handshake; what was accepted is decided."""
        for _ in range(self._tries - 1):
            jobs = [self._plain_job(HANDSHAKE, self._handshake)]
            for ident, (ask, question) in list(self._asks.items()):
                if ask.tests is not Purpose.TWIN and ask.name != "right" and not self._decided(ident, ask):
                    jobs.append(self._again(ask, question))
            if not self.asker.ask(self._closed(self._out_of_step(jobs)), None, REPEATING):
                return

    def _out_of_step(self, jobs: list[Job]) -> list[Job]:
        """A pass, with twins before it until its length has no factor 2 or 3 (the closing twin included): in step with
        a round robin, a question would meet the same back end in every pass, and its tries would count for nothing."""
        twins = [
            asked
            for ident, asked in self._asks.items()
            if asked[0].tests is Purpose.TWIN and asked[0].name == "own" and not ident.startswith(CLOSING)
        ]
        while twins and ((len(jobs) + 1) % 2 == 0 or (len(jobs) + 1) % 3 == 0):
            jobs = [self._again(*twins.pop()), *jobs]
        return jobs

    def _closed(self, jobs: list[Job]) -> list[Job]:
        """A pass, and the closing twin after it."""
        closing = [self._again(*asked) for ident, asked in self._asks.items() if ident.startswith(CLOSING)]
        return [*jobs, *closing] if jobs else []

    def _ask_what_repetition_raised(self) -> None:
        """A back end met only now: what it raises is asked until it is met again."""
        late = [self._job(ask).key for ask in self._raised()] if self._tries > 1 else []
        for _ in range(self._tries):
            left = [self._asks[key] for key in late if not self._accepted(key)]
            jobs = [self._again(ask, question) for ask, question in left]
            if not self.asker.ask(self._closed(jobs), None, REPEATING):
                return

    def _accepted(self, ident: str) -> bool:
        return any(isinstance(exchange.answer, Accepted) for exchange in self._tried(ident).finals)

    def _decided(self, ident: str, ask: Ask) -> bool:
        """Accepted once is accepted, and what gives no answer even when asked slowly is left in peace."""
        answers = [exchange.answer for exchange in self._tried(ident).finals]
        if self._accepted(ident):
            return True
        if not answers or timed_out(answers[-1]):
            return True
        return ask.cap != SSL2 and unanswered(answers[-1])

    def _again(self, ask: Ask, question: Question) -> Job:
        """The same bytes again."""
        return self._asking(ask, lambda: Question(question.start(), ask.until))

    def _asking(self, ask: Ask, conversation: Callable[[], Conversation[Spoken]]) -> Job:
        return Job(ask.id, conversation, self._main_link, self._prelude, close_is_usual=ask.cap == SSL2)

    def _fact(self, ident: str) -> QuestionFacts:
        """A question with its tries so far, made once for each state that it is in."""
        ask, question = self._asks[ident]
        tried = self._tried(ident)
        state = (ident, len(tried.finals), tried.asked_again)
        if state not in self._facts:
            self._facts[state] = question_fact(ask, question.start(), tried)
        return self._facts[state]

    # -- the facts ------------------------------------------------------------------------------------

    def _tried(self, key: str) -> Tried:
        return self.asker.tried.get(key) or Tried()

    def facts(self) -> TlsFacts:
        """Everything that was seen."""
        target, http = self._target, self._target.place.scheme == "https"
        handshakes = self._tried(HANDSHAKE).finals
        chain_, others, not_kept = self._chains()
        return TlsFacts.model_construct(
            host=target.place.host,
            port=target.port,
            address=target.ip,
            scheme=target.place.scheme,
            name_sent=target.name,
            name=target.sni,
            balanced=self._subject.balanced,
            authorized=self._authorized,
            asked=self._aspects(),
            known=KNOWN,
            questions=tuple(self._fact(ident) for ident in self._asks if self._tried(ident).finals),
            demanded_tries=self._tries,
            handshakes=handshake_tries(handshakes, asked=http),
            chain=chain_,
            other_chains=others,
            chains_not_kept=not_kept,
            client_auth=ClientAuthFacts(
                declared=self._subject.client_auth, with_certificate=self._with_certificate(http)
            ),
            renegotiation=self._renegotiation(),
            redirect=self._redirect(),
            our_side=OurSide(
                library=self._materials.library,
                neutralised=tuple(vendor_text(name) for name in sorted(self._io.environment)),
                proxied=self._materials.proxy is not None,
            ),
        )

    def _aspects(self) -> tuple[Aspect, ...]:
        if not self._authorized or not self._terms.raw:
            return ()
        aspects = [Aspect.VERSIONS]
        if self._terms.suites is not None:
            aspects.append(Aspect.SUITES)
        if self._terms.groups is not None:
            aspects.append(Aspect.GROUPS)
        return tuple(aspects)

    def _chains(self) -> tuple[ChainFacts | Unseen, tuple[ChainFacts, ...], int]:
        """Distinct chains, the first seen first."""
        flights: dict[tuple[tuple[bytes, ...], bytes | None], ServerFlight] = {}
        for key in (HANDSHAKE, CERTIFIED):
            for exchange in self._tried(key).finals:
                answer = as_handshake(exchange.answer)
                if isinstance(answer, Completed | Stopped) and (answer.flight.chain or answer.flight.complete):
                    flights.setdefault((answer.flight.chain, answer.flight.ocsp_staple), answer.flight)
        if not flights:
            return Unseen(reason=Reason.NO_POSITIVE, detail="no handshake showed a certificate"), (), 0
        found = [
            chain_facts(
                flight.chain,
                self._materials.anchors,
                self._target.place.host if self._target.name == "right" else None,
                self._io.clock(),
                staple=flight.ocsp_staple,
                sct_list=flight.sct_list,
                interception_cas_der=self._materials.interception_cas,
            )
            for flight in list(flights.values())[:MAX_CHAINS]
        ]
        return found[0], tuple(found[1:]), max(0, len(flights) - MAX_CHAINS)

    def _with_certificate(self, http: bool) -> HandshakeOutcome | NotTried:
        if finals := self._tried(CERTIFIED).finals:
            return outcome_of(as_handshake(finals[0].answer), asked=http)
        return NotTried(why="the deployment names no client_certificate")

    def _renegotiation(self) -> RenegotiationFacts | NotTried:
        answers = [exchange.answer for key in RENEGOTIATIONS for exchange in self._tried(key).finals]
        if not answers:
            return NotTried(why="not demanded, not authorized, or no version before TLS 1.3 was accepted")
        # Of several back ends the worst counts.
        match min(answers, key=_how_telling):
            case Renegotiation() as outcome:
                return RenegotiationFacts(outcome=outcome.value)
            case Stopped():
                return RenegotiationFacts(outcome="handshake-stopped")
            case _:
                return RenegotiationFacts(outcome="no-answer")

    def _redirect(self) -> RedirectFacts | NotTried:
        finals = self._tried(REDIRECT).finals
        if not finals or self._subject.redirect_url is None:
            return NotTried(why="the deployment names no redirect_url")
        answer = finals[0].answer
        head = answer if isinstance(answer, HttpHead) else None
        why = "" if head is not None else vendor_text(str(getattr(answer, "kind", "no HTTP")))
        return RedirectFacts(url=self._subject.redirect_url, http=http_fact(head, asked=True, http=True), why=why)


def _how_telling(answer: Spoken) -> int:
    """Rank of an attempt to renegotiate: a breach, what proves nothing, a refusal, then what met no old version."""
    match answer:
        case Renegotiation.ACCEPTED:
            return 0
        case Renegotiation.NO_ANSWER | Renegotiation.NOT_ASKED:
            return 1
        case Renegotiation():
            return 2
        case Stopped():
            return 3
        case _:
            return 4
