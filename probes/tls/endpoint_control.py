"""What the controls over an endpoint's facts share: their base, and the words for what is not proved. Pure."""

from __future__ import annotations

from typing import ClassVar, Final

from keycheck.model.control import Control
from keycheck.model.facts import Facts
from keycheck.model.verdict import Kind, Reason, Verdict, not_applicable, not_tested
from probes.tls.answer_facts import GarbageAnswer, NoAnswerFact, QuestionFacts, State, StumbledAnswer
from probes.tls.facts import BackEnds, TlsFacts

ACTIVE: Final = "active-tls"

_HOW_REASONS: Final = {
    "timeout": Reason.TIMEOUT,
    "flooded": Reason.MALFORMED,
    "prelude-garbage": Reason.MALFORMED,
    "starttls-refused": Reason.UNSUPPORTED,
}


class EndpointControl(Control):
    """Base of the controls over one endpoint's facts."""

    needs: ClassVar[tuple[type[Facts], ...]] = (TlsFacts,)
    section: ClassVar[str] = "endpoints"


def unauthorized() -> Verdict:
    """Raw questions were not allowed, and the handshake alone shows no breach."""
    return not_tested(
        Reason.NOT_AUTHORIZED,
        "what the contract forbids was not asked about: the authorization does not cover the technique active-tls",
    )


def nobody_served(facts: TlsFacts) -> Verdict | None:
    """Not applicable, proved by a twin, when the address serves nobody under the name sent."""
    if not facts.serves_nobody():
        return None
    how = "without a server name" if facts.name_sent == "none" else "under a wrong name"
    return not_applicable(
        f"serves nobody {how}: every hello was refused by an alert, and the same allowed hello was accepted "
        "with the right name"
    )


def unknown(facts: TlsFacts, doubtful: tuple[QuestionFacts, ...], what: str) -> Verdict:
    """Inconclusive over questions whose answers prove nothing, with every reason that applies."""
    reasons: set[Reason] = set()
    details: list[str] = []
    for question in doubtful:
        found, detail = _why(facts, question)
        reasons |= found
        if detail not in details:
            details.append(detail)
    if not reasons:
        reasons, details = {Reason.NOT_COVERED}, ["it was not asked about in this run"]
    more = f" and {len(details) - 3} more" if len(details) > 3 else ""
    return Verdict(Kind.INCONCLUSIVE, tuple(reasons), f"{what}: {'; '.join(details[:3])}{more}")


def _why(facts: TlsFacts, question: QuestionFacts) -> tuple[set[Reason], str]:
    """Why one question proves nothing."""
    if question.state is State.REFUSED:
        if not facts.evidence.steady:
            return {Reason.NO_POSITIVE}, "refused, but so was the allowed hello when it was asked again afterwards"
        twins = facts.evidence.twins_of(question)
        silent = [t for t in twins if t.state is State.UNKNOWN]
        if silent:
            found, detail = _unanswered(silent[0])
            return found | {Reason.NO_POSITIVE}, f"refused, but the allowed hello got no answer ({detail})"
        return {Reason.NO_POSITIVE}, "refused, but so was the same hello with allowed values"
    if question.state is State.ACCEPTED:
        return {Reason.NOT_COVERED}, "the server accepted other values, and not all of the rest were ruled out"
    return _unanswered(question)


def _unanswered(question: QuestionFacts) -> tuple[set[Reason], str]:
    reasons: set[Reason] = set()
    details: list[str] = []
    for answered in question.answers:
        match answered.answer:
            case NoAnswerFact(how=how, phase=phase):
                reasons.add(_HOW_REASONS.get(how, Reason.UNREACHABLE))
                details.append(f"{how} at {phase}, also when asked again" if question.asked_again else how)
            case StumbledAnswer(alert=alert):
                reasons.add(Reason.MALFORMED)
                details.append(f"alert {alert}, which refuses nothing")
            case GarbageAnswer(what=what):
                reasons.add(Reason.MALFORMED)
                details.append(f"bytes that are no answer ({what})")
            case _:
                pass
    if not reasons:
        return {Reason.NOT_COVERED}, "not asked"
    return reasons, f"{question.id}: {', '.join(dict.fromkeys(details))}"


def scope(facts: TlsFacts) -> str:
    """What a pass may claim about back ends, for the end of its message."""
    if facts.balanced == "single":
        return ""
    tries = facts.samples()
    if tries == 1:
        return "; one try: says nothing about other back ends behind this address"
    bound = _bound_per_mille(tries)
    if facts.back_ends is BackEnds.DIFFERENT:
        return f"; {tries} tries met different back ends: rules out a dissenting share above {bound} per mille at 95 %"
    return (
        f"; {tries} tries looked alike: rules out a dissenting share above {bound} per mille at 95 % "
        "only if they were not all sent to the same back end"
    )


def _bound_per_mille(tries: int) -> int:
    """1 - 0.05^(1/n), rounded up, in integers only: the least b with (1 - b/1000)^n <= 1/20."""
    return next(b for b in range(1001) if 20 * (1000 - b) ** tries <= 1000**tries)
