"""The negotiation and session controls over facts of modelled servers: what may pass, and what never may."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.model.control import Control
from keycheck.model.facts import Unseen, seen
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.tls.answer_facts import (
    CLOSING,
    SSL2,
    TLS13,
    AcceptedAnswer,
    Answered,
    AnswerFact,
    NoAnswerFact,
    Purpose,
    QuestionFacts,
    RefusedAnswer,
    StumbledAnswer,
)
from probes.tls.facts import (
    Aspect,
    ClientAuthFacts,
    HandshakeDone,
    HandshakeStopped,
    HandshakeTries,
    HttpAnswered,
    NotTried,
    OurSide,
    TicketFacts,
    TlsFacts,
)
from probes.tls.follow_ups import after_legacy, eliminate, with_right_name
from probes.tls.negotiation_controls import Groups, PostQuantum, Protocols, Suites
from probes.tls.questions import KNOWN, Ask, contract, first_questions
from probes.tls.session_controls import ClientAuth, Compression, EarlyData, Hsts, Renegotiation
from probes.tls.wire.codepoints import GROUPS13, SUITES, SUITES13, is_post_quantum

SUITES_ALLOWED = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
GROUPS_ALLOWED = ("X25519MLKEM768", "x25519", "secp256r1")
PROTOCOLS = Protocols(only=frozenset({"TLSv1.3"}))
SUITE_LIST = Suites(only=frozenset(SUITES_ALLOWED))
GROUP_LIST = Groups(only=frozenset(GROUPS_ALLOWED))
PREFERRED = PostQuantum(mode="preferred")
SESSIONS: tuple[Control, ...] = (Renegotiation(), Compression())
NEGOTIATION: tuple[Control, ...] = (PROTOCOLS, SUITE_LIST, GROUP_LIST, PREFERRED)
DEMANDS = NEGOTIATION + SESSIONS
BREAKABLE = {Purpose.VERSIONS: PROTOCOLS, Purpose.SUITES: SUITE_LIST, Purpose.GROUPS: GROUP_LIST}


@dataclass(frozen=True)
class Server:
    """A server that follows the rules: newest common version, first own suite, first own group."""

    versions: tuple[int, ...] = (0x0304,)
    suites: tuple[int, ...] = (0x1302, 0x1303)
    groups: tuple[int, ...] = (0x11EC, 0x001D, 0x0017)
    silent_to: frozenset[str] = frozenset()
    stumbles_over: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    compresses: bool = False

    def answer(self, ask: Ask) -> AnswerFact:
        if ask.id in self.silent_to:
            return NoAnswerFact(how="timeout", phase="first-byte", detail="")
        if ask.id in self.stumbles_over:
            return StumbledAnswer(alert=80, ssl2=False)
        if ask.id in self.refuses:
            return RefusedAnswer(alert=40, ssl2=False)
        spoken = [v for v in self.versions if v < TLS13 and v <= ask.cap]
        offered = getattr(ask.hello, "supported_versions", None)
        if offered:
            spoken = [v for v in self.versions if v in offered]
        if not spoken:
            return RefusedAnswer(alert=70, ssl2=False)
        version = max(spoken)
        age = SUITES13 if version == TLS13 else SUITES
        suite = next((s for s in self.suites if s in age and s in ask.suites), None)
        group = next((g for g in self.groups if g in ask.groups), None)
        if suite is None or (group is None and version == TLS13):
            return RefusedAnswer(alert=40, ssl2=False)
        return _accepted(version, suite, group, compression=int(self.compresses and 1 in _compressions(ask)))


def _compressions(ask: Ask) -> tuple[int, ...]:
    return getattr(ask.hello, "compressions", ())


def _accepted(version: int, suite: int, group: int | None, compression: int = 0) -> AcceptedAnswer:
    return AcceptedAnswer(
        version=version,
        suite=suite,
        group=group,
        dh_bits=None,
        retry=version == TLS13,
        compression=compression,
        extensions=(0xFF01,),
        sentinel="none",
    )


def _question(ask: Ask, answer: AnswerFact) -> QuestionFacts:
    return QuestionFacts(
        id=ask.id,
        tests=ask.tests,
        name=ask.name,
        cap=ask.cap,
        suites=tuple(sorted(ask.suites)),
        groups=tuple(sorted(ask.groups)),
        compressions=_compressions(ask),
        twins=ask.twins,
        sent="0" * 64,
        answers=(Answered(answer=answer, tries=1),),
        asked_again=0,
    )


def handshake(server: Server, **changed: object) -> HandshakeDone:
    version = max(server.versions)
    age = SUITES13 if version == TLS13 else SUITES
    return HandshakeDone.model_validate(
        {
            "version": version,
            "suite": next(s for s in server.suites if s in age),
            "group": server.groups[0],
            "retried": False,
            "resumed": False,
            "compression": 0,
            "extensions": (),
            "alpn": "",
            "signature": None,
            "tickets": (TicketFacts(lifetime_s=7200, max_early_data=None),),
            "client_certificate_requested": False,
            "end": "open",
            "end_alert": None,
            "http": HttpAnswered(status=200, hsts=("max-age=31536000",), location=(), truncated=False),
            "complete": True,
            "trouble": "",
            **changed,
        }
    )


def observe(server: Server, demands: tuple[Control, ...] = DEMANDS, **changed: object) -> TlsFacts:
    """What the probe would record of a server, eliminations and follow-ups included."""
    terms = contract(demands)
    questions: dict[str, QuestionFacts] = {}

    def put(ask: Ask, round_: int = 1) -> None:
        answer = server.answer(ask)
        questions[ask.id] = _question(ask, answer)
        if isinstance(answer, AcceptedAnswer):
            if (further := eliminate(ask, answer, round_)) is not None:
                put(further, round_ + 1)
            if 0x0300 <= answer.version < TLS13 and ask.tests is not Purpose.COMPRESSION:
                for raised in after_legacy(terms, ask, answer):
                    if raised.id not in questions:
                        put(raised)

    for ask in first_questions(terms):
        put(ask)
    return TlsFacts.model_validate(
        {
            "host": "api.example",
            "port": 443,
            "address": "192.0.2.7",
            "scheme": "https",
            "name_sent": "right",
            "name": "api.example",
            "balanced": "unknown",
            "authorized": True,
            "asked": tuple(Aspect),
            "known": KNOWN,
            "questions": tuple(questions.values()),
            "demanded_tries": 1,
            "handshakes": (HandshakeTries(outcome=handshake(server), tries=1),),
            "chain": Unseen(reason=Reason.NO_POSITIVE, detail="not modelled"),
            "other_chains": (),
            "chains_not_kept": 0,
            "client_auth": ClientAuthFacts(declared="none", with_certificate=NotTried(why="none declared")),
            "renegotiation": NotTried(why="not modelled"),
            "redirect": NotTried(why="none declared"),
            "our_side": OurSide(library="model", neutralised=(), proxied=False),
            **changed,
        }
    )


def judge(control: Control, facts: TlsFacts) -> Verdict:
    verdict = control.judge(facts)
    assert isinstance(verdict, Verdict)
    return verdict


HONEST = Server()
EVERYWHERE, DECLARED = ClientAuth(), ClientAuth(applies="declared")


@pytest.mark.parametrize("control", [*NEGOTIATION, *SESSIONS, EarlyData(), Hsts()], ids=lambda c: c.id)
def test_an_honest_server_passes(control: Control) -> None:
    verdict = judge(control, observe(HONEST))
    assert verdict.kind is Kind.PASS, verdict.message


def test_facts_survive_the_evidence() -> None:
    facts = observe(HONEST)
    assert TlsFacts.model_validate_json(seen(facts).facts) == facts


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303])
def test_an_old_version_beside_tls13_fails(version: int) -> None:
    server = replace(HONEST, versions=(version, TLS13), suites=(0x1302, 0x1303, 0x002F))
    facts = observe(server)
    assert judge(PROTOCOLS, facts).kind is Kind.FAIL
    assert judge(SUITE_LIST, facts).kind is Kind.FAIL
    assert version in facts.accepted_versions()


@given(extra=st.sampled_from(sorted(set(SUITES13) - {0x1302, 0x1303})))
def test_any_extra_tls13_suite_fails(extra: int) -> None:
    server = replace(HONEST, suites=(0x1302, 0x1303, extra))
    assert judge(SUITE_LIST, observe(server)).kind is Kind.FAIL
    assert judge(PROTOCOLS, observe(server)).kind is Kind.PASS


@given(extra=st.sampled_from(sorted(GROUPS13 - {0x11EC, 0x1D, 0x17})))
def test_any_extra_group_fails(extra: int) -> None:
    assert judge(GROUP_LIST, observe(replace(HONEST, groups=(*HONEST.groups, extra)))).kind is Kind.FAIL


@given(
    versions=st.sets(st.sampled_from([0x0301, 0x0302, 0x0303]), max_size=2),
    suite=st.sampled_from(sorted(SUITES)),
)
@settings(max_examples=40)
def test_what_an_old_version_accepts_never_passes(versions: set[int], suite: int) -> None:
    server = replace(HONEST, versions=(*versions, TLS13), suites=(0x1302, 0x1303, suite))
    verdict = judge(PROTOCOLS, observe(server))
    # Older than TLS 1.2 the model may lack a suite of its age; then the version is not spoken at all.
    spoken = any(a.version < TLS13 for a in observe(server).evidence.acceptances())
    assert verdict.kind is (Kind.FAIL if spoken else Kind.PASS), verdict.message


def _forbidden_ids() -> list[tuple[str, Purpose]]:
    return [(ask.id, ask.tests) for ask in first_questions(contract(DEMANDS)) if ask.tests is not Purpose.TWIN]


@pytest.mark.parametrize(("ident", "tests"), _forbidden_ids())
@pytest.mark.parametrize("how", ["silent_to", "stumbles_over"])
def test_one_unanswered_question_takes_the_pass_away(ident: str, tests: Purpose, how: str) -> None:
    if how == "stumbles_over" and ident.startswith("sslv2"):
        pytest.skip("any TLS alert is no SSLv2")
    server = replace(HONEST, **{how: frozenset({ident})})
    verdict = judge(BREAKABLE[tests], observe(server))
    assert verdict.kind is Kind.INCONCLUSIVE, verdict.message
    assert Reason.TIMEOUT in verdict.reasons or Reason.MALFORMED in verdict.reasons


@pytest.mark.parametrize("control", DEMANDS, ids=lambda c: c.id)
def test_a_server_that_refuses_everything_proves_nothing(control: Control) -> None:
    everything = frozenset(ask.id for ask in first_questions(contract(DEMANDS)))
    facts = observe(replace(HONEST, refuses=everything), handshakes=())
    verdict = judge(control, facts)
    assert verdict.kind is Kind.INCONCLUSIVE
    assert Reason.NO_POSITIVE in verdict.reasons


@pytest.mark.parametrize("control", DEMANDS, ids=lambda c: c.id)
def test_a_silent_server_proves_nothing(control: Control) -> None:
    everything = frozenset(ask.id for ask in first_questions(contract(DEMANDS)))
    verdict = judge(control, observe(replace(HONEST, silent_to=everything), handshakes=()))
    assert verdict.kind is Kind.INCONCLUSIVE
    assert Reason.TIMEOUT in verdict.reasons


def test_refusals_without_their_twins_prove_nothing() -> None:
    twins = frozenset(ask.id for ask in first_questions(contract(DEMANDS)) if ask.tests is Purpose.TWIN)
    facts = observe(replace(HONEST, refuses=twins))
    for control in (PROTOCOLS, SUITE_LIST, GROUP_LIST):
        assert judge(control, facts).reasons == (Reason.NO_POSITIVE,)


@given(st.data())
@settings(max_examples=60)
def test_dropping_any_question_never_makes_a_pass_out_of_a_failure(data: st.DataObject) -> None:
    server = replace(HONEST, versions=(0x0303, TLS13), suites=(0x1302, 0x1303, 0xC02F), groups=(*HONEST.groups, 0x19))
    facts = observe(server, handshakes=())
    kept = data.draw(st.lists(st.sampled_from(facts.questions), unique_by=lambda q: q.id))
    fewer = facts.model_copy(update={"questions": tuple(kept)})
    for control in (PROTOCOLS, SUITE_LIST, GROUP_LIST):
        assert judge(control, fewer).kind is not Kind.PASS


@given(st.data())
@settings(max_examples=60)
def test_unproved_is_never_a_pass(data: st.DataObject) -> None:
    facts = observe(HONEST)
    silent = NoAnswerFact(how="timeout", phase="first-byte", detail="")
    hit = data.draw(st.sets(st.sampled_from([q.id for q in facts.questions]), min_size=1))
    questions = tuple(
        q.model_copy(update={"answers": (Answered(answer=silent, tries=1),)}) if q.id in hit else q
        for q in facts.questions
    )
    changed = facts.model_copy(update={"questions": questions})
    if changed.unproved_versions(frozenset({SSL2, 0x0300, 0x0301, 0x0302, 0x0303})):
        assert judge(PROTOCOLS, changed).kind is not Kind.PASS
    if changed.unproved_suites() - {0x1302, 0x1303}:
        assert judge(SUITE_LIST, changed).kind is not Kind.PASS
    if changed.unproved_groups() - {0x11EC, 0x1D, 0x17}:
        assert judge(GROUP_LIST, changed).kind is not Kind.PASS


def test_an_amended_narrower_profile_is_not_proved_by_old_evidence() -> None:
    server = replace(HONEST, suites=(0x1302,), groups=(0x11EC,))
    facts = observe(server)
    assert judge(Suites(only=frozenset(SUITES_ALLOWED[:1])), facts).kind is Kind.INCONCLUSIVE
    assert judge(Groups(only=frozenset(GROUPS_ALLOWED[:1])), facts).kind is Kind.INCONCLUSIVE


def test_tls12_allowed_and_not_spoken_still_passes() -> None:
    both = Protocols(only=frozenset({"TLSv1.2", "TLSv1.3"}))
    suites = Suites(only=frozenset({*SUITES_ALLOWED, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}))
    demands: tuple[Control, ...] = (both, suites, GROUP_LIST, *SESSIONS)
    facts = observe(HONEST, demands)
    for control in demands:
        assert judge(control, facts).kind is Kind.PASS, (control.id, judge(control, facts).message)


class TestPostQuantum:
    def test_required(self) -> None:
        required = PostQuantum(mode="required")
        demands: tuple[Control, ...] = (required,)
        only = replace(HONEST, groups=(0x11EC,))
        assert judge(required, observe(only, demands)).kind is Kind.PASS
        assert judge(required, observe(HONEST, demands)).kind is Kind.FAIL

    def test_forbidden(self) -> None:
        forbidden = PostQuantum(mode="forbidden")
        classical = replace(HONEST, groups=(0x1D, 0x17))
        assert judge(forbidden, observe(classical, (forbidden,))).kind is Kind.PASS
        assert judge(forbidden, observe(HONEST, (forbidden,))).kind is Kind.FAIL

    def test_preferred_needs_the_servers_own_choice(self) -> None:
        classical_first = replace(HONEST, groups=(0x1D, 0x11EC))
        assert judge(PREFERRED, observe(classical_first)).kind is Kind.FAIL
        assert judge(PREFERRED, observe(replace(HONEST, groups=(0x1D,)))).kind is Kind.FAIL

    def test_allowed_needs_something_seen(self) -> None:
        allowed = PostQuantum(mode="allowed")
        assert judge(allowed, observe(HONEST, (allowed,))).kind is Kind.PASS
        everything = frozenset(ask.id for ask in first_questions(contract((allowed,))))
        nothing = observe(replace(HONEST, refuses=everything), (allowed,), handshakes=())
        assert judge(allowed, nothing).kind is not Kind.PASS

    def test_names_of_both_kinds_exist(self) -> None:
        assert any(map(is_post_quantum, GROUPS13))
        assert not all(map(is_post_quantum, GROUPS13))


class TestNameRejecting:
    """A server that serves nobody without the right name."""

    def facts(self, **changed: object) -> TlsFacts:
        asks = first_questions(contract(DEMANDS))
        rejecting = replace(HONEST, refuses=frozenset(ask.id for ask in asks))
        facts = observe(rejecting, name_sent="wrong", name="wrong.invalid", handshakes=())
        right = with_right_name(asks[0])
        twin = _question(right, HONEST.answer(asks[0]))
        return facts.model_copy(update={"questions": (*facts.questions, twin), **changed})

    @pytest.mark.parametrize("control", [*DEMANDS, EarlyData()], ids=lambda c: c.id)
    def test_is_not_applicable(self, control: Control) -> None:
        assert judge(control, self.facts()).kind is Kind.NOT_APPLICABLE

    def test_needs_the_twin(self) -> None:
        facts = self.facts()
        without = facts.model_copy(update={"questions": tuple(q for q in facts.questions if q.name == "own")})
        assert judge(PROTOCOLS, without).kind is Kind.INCONCLUSIVE

    def test_needs_every_answer(self) -> None:
        facts = self.facts()
        silent = Answered(answer=NoAnswerFact(how="reset", phase="first-byte", detail=""), tries=1)
        first, *rest = facts.questions
        changed = facts.model_copy(update={"questions": (first.model_copy(update={"answers": (silent,)}), *rest)})
        assert judge(PROTOCOLS, changed).kind is Kind.INCONCLUSIVE

    def test_an_accepted_forbidden_version_still_fails(self) -> None:
        facts = self.facts()
        bad = Answered(answer=_accepted(0x0301, 0x002F, None), tries=1)
        questions = tuple(
            q.model_copy(update={"answers": (bad,)}) if q.id == "tls1.0-versions-1" else q for q in facts.questions
        )
        assert judge(PROTOCOLS, facts.model_copy(update={"questions": questions})).kind is Kind.FAIL


class TestSsl2:
    """Nobody who dropped SSLv2 is bound to answer it."""

    def verdict(self, answer: AnswerFact) -> Verdict:
        facts = observe(HONEST)
        answers = (Answered(answer=answer, tries=1),)
        questions = tuple(q.model_copy(update={"answers": answers}) if q.cap == SSL2 else q for q in facts.questions)
        return judge(PROTOCOLS, facts.model_copy(update={"questions": questions}))

    @pytest.mark.parametrize("how", ["closed", "reset"])
    def test_an_ended_connection_is_no_ssl2_and_is_said(self, how: str) -> None:
        verdict = self.verdict(NoAnswerFact(how=how, phase="first-byte", detail=""))
        assert verdict.kind is Kind.PASS
        assert f"it ended the connection ({how})" in verdict.message

    def test_an_alert_is_no_ssl2(self) -> None:
        assert self.verdict(StumbledAnswer(alert=10, ssl2=False)).kind is Kind.PASS

    @pytest.mark.parametrize(("how", "phase"), [("timeout", "first-byte"), ("reset", "connect"), ("closed", "answer")])
    def test_silence_stays_unknown(self, how: str, phase: str) -> None:
        assert self.verdict(NoAnswerFact(how=how, phase=phase, detail="")).kind is Kind.INCONCLUSIVE


class TestWithoutAuthorization:
    def facts(self, server: Server) -> TlsFacts:
        return observe(server, authorized=False, asked=(), questions=())

    @pytest.mark.parametrize("control", DEMANDS, ids=lambda c: c.id)
    def test_is_not_tested(self, control: Control) -> None:
        verdict = judge(control, self.facts(HONEST))
        assert (verdict.kind, verdict.reasons) == (Kind.NOT_TESTED, (Reason.NOT_AUTHORIZED,))

    def test_the_handshake_alone_can_show_a_breach(self) -> None:
        old = Server(versions=(0x0303,), suites=(0xC02F,), groups=(0x19,))
        for control in (PROTOCOLS, SUITE_LIST, GROUP_LIST, PREFERRED):
            assert judge(control, self.facts(old)).kind is Kind.FAIL


class TestSessions:
    def tried(self, *outcomes: HandshakeDone, **changed: object) -> TlsFacts:
        return observe(HONEST, handshakes=tuple(HandshakeTries(outcome=o, tries=1) for o in outcomes), **changed)

    def test_early_data_in_any_ticket_fails(self) -> None:
        bad = handshake(HONEST, tickets=(TicketFacts(lifetime_s=1, max_early_data=16384),))
        assert judge(EarlyData(), self.tried(handshake(HONEST), bad)).kind is Kind.FAIL

    def test_no_ticket_and_nothing_read_after_the_handshake_is_unknown(self) -> None:
        unread = handshake(HONEST, tickets=(), end="timeout", http={"kind": "none", "why": "no-response"})
        assert judge(EarlyData(), self.tried(unread)).kind is Kind.INCONCLUSIVE
        assert judge(EarlyData(), self.tried(handshake(HONEST, tickets=()))).kind is Kind.PASS

    def test_compression_fails_and_its_absence_passes(self) -> None:
        both = replace(HONEST, versions=(0x0303, TLS13), suites=(0x1302, 0xC02F))
        assert judge(Compression(), observe(both)).kind is Kind.PASS
        assert judge(Compression(), observe(replace(both, compresses=True))).kind is Kind.FAIL

    @pytest.mark.parametrize(
        ("outcome", "kind"),
        [("accepted", Kind.FAIL), ("refused", Kind.PASS), ("closed", Kind.PASS), ("no-answer", Kind.INCONCLUSIVE)],
    )
    def test_renegotiation(self, outcome: str, kind: Kind) -> None:
        both = replace(HONEST, versions=(0x0303, TLS13), suites=(0x1302, 0xC02F))
        facts = observe(both, renegotiation={"kind": "asked", "outcome": outcome})
        assert judge(Renegotiation(), facts).kind is kind

    @pytest.mark.parametrize(
        ("hsts", "kind"),
        [
            (("max-age=31536000; includeSubDomains",), Kind.PASS),
            (("max-age=31536000; includeSubDomains", "max-age=0"), Kind.PASS),
            (("max-age=60; includeSubDomains",), Kind.FAIL),
            (("max-age=31536000",), Kind.FAIL),
            (("max-age=1; max-age=31536000; includeSubDomains",), Kind.FAIL),
            ((), Kind.FAIL),
        ],
    )
    def test_hsts(self, hsts: tuple[str, ...], kind: Kind) -> None:
        head = HttpAnswered(status=200, hsts=hsts, location=(), truncated=False)
        facts = self.tried(handshake(HONEST, http=head))
        assert judge(Hsts(include_subdomains=True), facts).kind is kind

    def test_hsts_of_plain_tls_is_not_covered(self) -> None:
        assert judge(Hsts(), observe(HONEST, scheme="tls")).reasons == (Reason.NOT_COVERED,)
        assert judge(Hsts(), observe(HONEST, scheme="smtp")).kind is Kind.NOT_APPLICABLE

    def test_hsts_without_an_answer_is_unknown(self) -> None:
        facts = self.tried(handshake(HONEST, http={"kind": "none", "why": "no-response"}))
        assert judge(Hsts(), facts).kind is Kind.INCONCLUSIVE

    def test_a_redirect_that_stays_in_plain_text_fails(self) -> None:
        head = HttpAnswered(status=301, hsts=(), location=("http://api.example/",), truncated=False)
        redirect = {"kind": "asked", "url": "http://api.example/", "http": head, "why": ""}
        assert judge(Hsts(), observe(HONEST, redirect=redirect)).kind is Kind.FAIL
        head = head.model_copy(update={"location": ("https://api.example/",)})
        assert judge(Hsts(), observe(HONEST, redirect={**redirect, "http": head})).kind is Kind.PASS


class TestClientAuth:
    demanding: HandshakeDone = handshake(
        HONEST,
        end="alert",
        end_alert=116,
        http={"kind": "none", "why": "no-response"},
        client_certificate_requested=True,
    )
    by_status: HandshakeDone = handshake(
        HONEST, http=HttpAnswered(status=400, hsts=(), location=(), truncated=False), client_certificate_requested=True
    )

    served = handshake(HONEST, client_certificate_requested=True)

    def verdict(
        self, without: HandshakeDone, with_: object, declared: str = "required", rule: ClientAuth = EVERYWHERE
    ) -> Verdict:
        auth = {"declared": declared, "with_certificate": with_}
        tries = (HandshakeTries(outcome=without, tries=1),)
        return judge(rule, observe(HONEST, handshakes=tries, client_auth=auth))

    def test_both_halves_pass(self) -> None:
        for without in (self.demanding, self.by_status):
            assert self.verdict(without, self.served).kind is Kind.PASS

    def test_working_without_fails(self) -> None:
        assert self.verdict(handshake(HONEST), handshake(HONEST)).kind is Kind.FAIL

    def test_refusing_everybody_proves_nothing(self) -> None:
        assert self.verdict(self.demanding, self.demanding).kind is Kind.INCONCLUSIVE
        assert self.verdict(self.demanding, NotTried(why="none given")).kind is Kind.INCONCLUSIVE

    def test_declared_none(self) -> None:
        none = NotTried(why="none given")
        assert self.verdict(handshake(HONEST), none, "none").kind is Kind.FAIL
        assert self.verdict(handshake(HONEST), none, "none", DECLARED).kind is Kind.NOT_APPLICABLE
        for rule in (EVERYWHERE, DECLARED):
            assert self.verdict(self.demanding, none, "none", rule).reasons == (Reason.CONFLICTING,)

    def test_where_declared_the_parameter_excuses_nothing(self) -> None:
        assert self.verdict(handshake(HONEST), handshake(HONEST), rule=DECLARED).kind is Kind.FAIL
        assert self.verdict(self.demanding, self.served, rule=DECLARED).kind is Kind.PASS

    @pytest.mark.parametrize("status", [400, 403])
    def test_a_status_counts_only_if_tls_asked(self, status: int) -> None:
        head = HttpAnswered(status=status, hsts=(), location=(), truncated=False)
        unasked = handshake(HONEST, http=head)
        asked = handshake(HONEST, http=head, client_certificate_requested=True)
        assert self.verdict(unasked, self.served).kind is Kind.INCONCLUSIVE
        assert self.verdict(asked, self.served).kind is Kind.PASS
        assert self.verdict(asked, handshake(HONEST)).kind is Kind.INCONCLUSIVE


class TestClosingTwin:
    """A server that refuses by alert what comes too often proves nothing by it."""

    both = Protocols(only=frozenset({"TLSv1.2", "TLSv1.3"}))

    def limited(self, server: Server, demands: tuple[Control, ...]) -> TlsFacts:
        asks = first_questions(contract(demands))
        served = {ask.id for ask in asks if ask.tests is Purpose.TWIN and not ask.id.startswith(CLOSING)}
        return observe(replace(server, refuses=frozenset(a.id for a in asks if a.id not in served)), demands)

    @pytest.mark.parametrize("control", [PROTOCOLS, SUITE_LIST, GROUP_LIST], ids=lambda c: c.id)
    def test_a_refused_closing_twin_takes_every_pass_away(self, control: Control) -> None:
        facts = self.limited(HONEST, DEMANDS)
        assert not facts.evidence.steady
        verdict = judge(control, facts)
        assert verdict.reasons == (Reason.NO_POSITIVE,)
        assert "asked again afterwards" in verdict.message

    @pytest.mark.parametrize("versions", [(0x0303,), (TLS13,), (0x0303, TLS13), (0x0301, 0x0303)])
    def test_whichever_allowed_version_is_spoken(self, versions: tuple[int, ...]) -> None:
        server = Server(versions=versions, suites=(0x1302, 0xC02F, 0x002F))
        assert judge(self.both, self.limited(server, (self.both,))).kind is Kind.INCONCLUSIVE
        calm = judge(self.both, observe(server, (self.both,)))
        assert calm.kind is (Kind.FAIL if 0x0301 in versions else Kind.PASS), calm.message

    def test_every_try_of_it_counts(self) -> None:
        facts = observe(HONEST)
        refused = Answered(answer=RefusedAnswer(alert=40, ssl2=False), tries=1)
        questions = tuple(
            q.model_copy(update={"answers": (*q.answers, refused)}) if q.id.startswith(CLOSING) else q
            for q in facts.questions
        )
        assert judge(PROTOCOLS, facts).kind is Kind.PASS
        assert judge(PROTOCOLS, facts.model_copy(update={"questions": questions})).kind is Kind.INCONCLUSIVE

    def test_without_it_nothing_is_refused(self) -> None:
        facts = observe(HONEST)
        kept = tuple(q for q in facts.questions if not q.id.startswith(CLOSING))
        assert judge(PROTOCOLS, facts.model_copy(update={"questions": kept})).kind is Kind.INCONCLUSIVE


class TestRepetition:
    def test_only_completed_handshakes_count(self) -> None:
        stopped = HandshakeStopped(
            why=RefusedAnswer(alert=40, ssl2=False), library=(), our_alert=None, client_certificate_requested=False
        )
        tries = (HandshakeTries(outcome=handshake(HONEST), tries=2), HandshakeTries(outcome=stopped, tries=9))
        assert observe(HONEST, handshakes=tries).handshake_tries == 2

    @pytest.mark.parametrize(("tries", "bound"), [(11, 239), (29, 99), (59, 50), (299, 10)])
    def test_the_bound_is_stated(self, tries: int, bound: int) -> None:
        facts = observe(HONEST, demanded_tries=tries)
        repeated = tuple(
            q.model_copy(update={"answers": tuple(a.model_copy(update={"tries": tries}) for a in q.answers)})
            for q in facts.questions
        )
        shakes = tuple(t.model_copy(update={"tries": tries}) for t in facts.handshakes)
        facts = facts.model_copy(update={"questions": repeated, "handshakes": shakes})
        assert facts.samples() == tries
        verdict = judge(PROTOCOLS, facts)
        assert f"above {bound} per mille" in verdict.message
        assert "only if they were not all sent to the same back end" in verdict.message

    def test_accepted_once_is_accepted(self) -> None:
        facts = observe(HONEST)
        bad = Answered(answer=_accepted(0x0303, 0xC02F, 0x1D), tries=1)
        questions = tuple(
            q.model_copy(update={"answers": (*q.answers, bad)}) if q.id == "tls1.2-versions-3" else q
            for q in facts.questions
        )
        assert judge(PROTOCOLS, facts.model_copy(update={"questions": questions})).kind is Kind.FAIL
