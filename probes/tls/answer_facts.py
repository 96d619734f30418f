"""Fact types of the questions asked: what a hello offered, what came back, and when a refusal counts.

Pure models. Accepted, refused, stumbled, garbage and no answer are different facts; only the first two say
anything about what the server supports, and a refusal only beside an accepted twin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from keycheck.model.types import Count, Digest, Model, VendorText

Code: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFFFF)]
"""A code point: version, suite, group, extension; 24 bits for an SSLv2 cipher kind."""
Alert: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFF)]
QuestionId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]

SSL2, TLS13 = 0x0002, 0x0304


class AcceptedAnswer(Model):
    """The server chose something that the hello offered."""

    kind: Literal["accepted"] = "accepted"
    version: Code
    suite: Code
    group: Code | None
    """None: no named group was used, or the answer does not tell."""
    dh_bits: Count | None
    """Prime size of a finite-field exchange before TLS 1.3."""
    retry: bool
    """Chosen by HelloRetryRequest: no key was exchanged."""
    compression: Code
    extensions: tuple[Code, ...]
    sentinel: Literal["none", "DOWNGRD-01", "DOWNGRD-00"]
    """Downgrade mark in ServerHello.random (RFC 8446 section 4.1.3): the server can do better."""


class RefusedAnswer(Model):
    """A fatal alert that says no to what was offered."""

    kind: Literal["refused"] = "refused"
    alert: Alert
    ssl2: bool
    """The number is an SSLv2 error, not a TLS alert."""


class StumbledAnswer(Model):
    """An alert that says something broke: it answered, and that proves nothing about the offer."""

    kind: Literal["stumbled"] = "stumbled"
    alert: Alert
    ssl2: bool


class GarbageAnswer(Model):
    """Bytes that are no answer to the question."""

    kind: Literal["garbage"] = "garbage"
    what: VendorText
    """`not-tls`, `bad-record` and so on; `not-offered` when the server chose what nobody offered."""


class NoAnswerFact(Model):
    """Nothing that could be an answer came."""

    kind: Literal["no-answer"] = "no-answer"
    how: VendorText
    """`reset`, `timeout`, `closed`, `unreachable`, `starttls-refused`, `proxy-refused` and so on."""
    phase: VendorText
    detail: VendorText


AnswerFact: TypeAlias = Annotated[
    AcceptedAnswer | RefusedAnswer | StumbledAnswer | GarbageAnswer | NoAnswerFact,
    Field(discriminator="kind"),
]


class Answered(Model):
    """One distinct answer and how many tries got it."""

    answer: AnswerFact
    tries: Annotated[int, Field(ge=1)]


class Tests(StrEnum):
    """What a question is about."""

    TWIN = "twin"
    """Offers what the contract allows: that it is answered makes the refusals count."""
    VERSIONS = "versions"
    """A protocol version that the contract forbids, with every suite of its age."""
    SUITES = "suites"
    """Suites that the contract forbids, in a version that it allows."""
    GROUPS = "groups"
    """Groups that the contract forbids, with suites that it allows."""
    COMPRESSION = "compression"
    """An accepted question again with compression offered."""


class State(StrEnum):
    """All tries of a question in one word."""

    ACCEPTED = "accepted"
    """In at least one try."""
    REFUSED = "refused"
    """In every try."""
    UNKNOWN = "unknown"


class QuestionFacts(Model):
    """One hello, and what came back in each try. All tries sent the same bytes."""

    id: QuestionId
    tests: Tests
    name: Literal["own", "right"] = "own"
    """`right`: asked with the right name on behalf of a part that sends none or a wrong one."""
    cap: Code
    """Highest version offered."""
    suites: tuple[Code, ...]
    """Sorted; SSLv2 cipher kinds where `cap` is SSLv2."""
    groups: tuple[Code, ...]
    compressions: tuple[Code, ...]
    twins: tuple[QuestionId, ...]
    """The same hello with only the tested value exchanged for an allowed one; one accepted is enough."""
    sent: Digest
    """SHA-256 of the bytes sent after connection and STARTTLS."""
    answers: tuple[Answered, ...]
    """Distinct answers, in the order first seen; empty: not sent."""
    asked_again: Count
    """Tries without an answer that were repeated, alone and slower; their last outcome is in `answers`."""

    @property
    def tries(self) -> int:
        """Tries that are accounted for in `answers`."""
        return sum(answered.tries for answered in self.answers)

    @property
    def answered_tries(self) -> int:
        """Tries that were accepted or refused."""
        return sum(a.tries for a in self.answers if isinstance(a.answer, AcceptedAnswer | RefusedAnswer))

    @property
    def accepted(self) -> tuple[AcceptedAnswer, ...]:
        """The distinct acceptances."""
        return tuple(a.answer for a in self.answers if isinstance(a.answer, AcceptedAnswer))

    @property
    def state(self) -> State:
        """Accepted once is accepted; refused only when every try was."""
        if self.accepted:
            return State.ACCEPTED
        if self.answers and all(_refusal(self.cap, a) for a in self.answers):
            return State.REFUSED
        return State.UNKNOWN


def _refusal(cap: int, answered: Answered) -> bool:
    """Whether an answer says no. SSLv2 has its own rule, because nobody who dropped it is bound to answer it:
    an alert of any number is TLS and so not SSLv2, and an end of the connection in place of SERVER-HELLO (RST
    included, which a close with unread bytes becomes) is no SSLv2 either. Silence stays unknown."""
    match answered.answer:
        case RefusedAnswer():
            return True
        case StumbledAnswer():
            return cap == SSL2
        case NoAnswerFact(how=how, phase=phase):
            return cap == SSL2 and how in ("closed", "reset") and phase == "first-byte"
        case _:
            return False


class Asked:
    """The questions of one part, with what they prove together. Pure."""

    def __init__(self, questions: Iterable[QuestionFacts]) -> None:
        self.all = tuple(questions)
        self.own = tuple(q for q in self.all if q.name == "own")
        self._by_id: Mapping[str, QuestionFacts] = {q.id: q for q in self.all}

    def twin_accepted(self, question: QuestionFacts) -> bool:
        """Whether a positive twin was answered on the same address under the same name."""
        twins = (self._by_id.get(twin) for twin in question.twins)
        return any(t is not None and t.name == "own" and t.state is State.ACCEPTED for t in twins)

    def twins_of(self, question: QuestionFacts) -> tuple[QuestionFacts, ...]:
        """The twins that were asked."""
        return tuple(t for twin in question.twins if (t := self._by_id.get(twin)) is not None)

    def refusal_proved(self, question: QuestionFacts) -> bool:
        """Refused in every try, beside an accepted twin."""
        return question.state is State.REFUSED and self.twin_accepted(question)

    def forbidden(self, *tests: Tests) -> tuple[QuestionFacts, ...]:
        """The questions of these kinds."""
        return tuple(q for q in self.own if q.tests in tests)

    def acceptances(self) -> tuple[AcceptedAnswer, ...]:
        """Everything the server chose under this part's own name."""
        return tuple(answer for q in self.own for answer in q.accepted)

    def ruled_out_versions(self) -> frozenset[int]:
        """Versions of which every question was refused and the refusal counts. A version that the contract
        allows is ruled out when its own base hello was refused too, and all its suites with it."""
        asked: dict[int, bool] = {}
        for question in self.forbidden(Tests.VERSIONS):
            asked[question.cap] = asked.get(question.cap, True) and self.refusal_proved(question)
        for base in (q for q in self.forbidden(Tests.TWIN) if q.cap < TLS13 and q.twins):
            suites = (q for q in self.forbidden(Tests.SUITES) if q.cap == base.cap)
            asked[base.cap] = all(map(self.refusal_proved, (base, *suites)))
        return frozenset(version for version, proved in asked.items() if proved)

    def ruled_out_suites(self) -> frozenset[int]:
        """Suites refused, countably, at every version at which they were offered."""
        return self._ruled_out(
            (q.cap, q.suites, self.refusal_proved(q))
            for q in self.forbidden(Tests.VERSIONS, Tests.SUITES)
            if q.cap != SSL2
        )

    def ruled_out_groups(self) -> frozenset[int]:
        """Groups refused, countably, at every version at which they were asked about."""
        return self._ruled_out((q.cap, q.groups, self.refusal_proved(q)) for q in self.forbidden(Tests.GROUPS))

    @staticmethod
    def _ruled_out(rows: Iterable[tuple[int, tuple[int, ...], bool]]) -> frozenset[int]:
        offered: set[tuple[int, int]] = set()
        refused: set[tuple[int, int]] = set()
        for cap, codes, proved in rows:
            pairs = {(cap, code) for code in codes}
            offered |= pairs
            if proved:
                refused |= pairs
        left = {code for _, code in offered - refused}
        return frozenset(code for _, code in offered if code not in left)

    def offered_suites(self) -> frozenset[int]:
        """Every TLS suite that any question offered."""
        return frozenset(suite for q in self.own if q.cap != SSL2 for suite in q.suites)

    def offered_groups(self) -> frozenset[int]:
        """Every group that a question about groups or its twin offered."""
        about = self.forbidden(Tests.GROUPS)
        twins = [twin for q in about for twin in self.twins_of(q)]
        return frozenset(group for q in (*about, *twins) for group in q.groups)
