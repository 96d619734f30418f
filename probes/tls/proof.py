"""What the questions of one part prove together: which versions, suites and groups are ruled out. Pure.

Ruled out means: offered in this version, refused in every try, and a positive twin was answered on the same
address under the same name. Everything known that was neither accepted nor ruled out is unproved.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from probes.tls.answer_facts import CLOSING, SSL2, TLS13, AcceptedAnswer, KnownCodes, Purpose, QuestionFacts, State

TLS_VERSIONS: Final = (TLS13, 0x0303, 0x0302, 0x0301)
BEFORE_TLS13: Final = (0x0303, 0x0302, 0x0301)
SSL3: Final = 0x0300
VERSIONS: Final = (*TLS_VERSIONS, SSL3, SSL2)


class Proof:
    """The questions of one part and what they prove."""

    def __init__(self, questions: tuple[QuestionFacts, ...], known: KnownCodes) -> None:
        self.known = known
        self.all = questions
        self.own = tuple(q for q in self.all if q.name == "own")
        self._by_id: Mapping[str, QuestionFacts] = {q.id: q for q in self.all}
        # By identity: two questions of a stranger's evidence may carry the same id.
        self._states: Mapping[int, State] = {id(q): q.state for q in self.all}

    def _state(self, question: QuestionFacts) -> State:
        return self._states.get(id(question)) or question.state

    def of(self, *purposes: Purpose) -> tuple[QuestionFacts, ...]:
        """The questions of these kinds under the part's own name."""
        return tuple(q for q in self.own if q.tests in purposes)

    def acceptances(self) -> tuple[AcceptedAnswer, ...]:
        """Everything the server chose under this part's own name."""
        return self._acceptances

    @cached_property
    def _acceptances(self) -> tuple[AcceptedAnswer, ...]:
        return tuple(answer for q in self.own for answer in q.accepted)

    @cached_property
    def answered_tries(self) -> tuple[int, ...]:
        """Answered tries of each question that was not accepted, twins and SSLv2 (which nobody must answer) aside."""
        return tuple(
            q.answered_tries
            for q in self.all
            if q.cap != SSL2 and q.tests is not Purpose.TWIN and self._state(q) is not State.ACCEPTED
        )

    def twins_of(self, question: QuestionFacts) -> tuple[QuestionFacts, ...]:
        """The twins that were asked."""
        return tuple(t for twin in question.twins if (t := self._by_id.get(twin)) is not None)

    def twin_accepted(self, question: QuestionFacts) -> bool:
        """Whether a positive twin was answered on the same address under the same name. Twins are symmetric: of
        two hellos that differ in the version alone, either shows that the server answers such hellos."""
        if any(twin.name == "own" and self._state(twin) is State.ACCEPTED for twin in self.twins_of(question)):
            return True
        others = (q for q in self.of(Purpose.VERSIONS) if q.cap not in (SSL2, question.cap))
        match question.tests:
            case Purpose.VERSIONS:
                return any(self._state(q) is State.ACCEPTED for q in others)
            case Purpose.TWIN:
                return any(self._state(q) is State.ACCEPTED and question.id in q.twins for q in others)
            case _:
                return False

    def refusal_proved(self, question: QuestionFacts) -> bool:
        """Refused in every try, beside an accepted twin; or beside the proof that TLS 1.3 is not spoken."""
        if self._state(question) is not State.REFUSED or not self.steady:
            return False
        return self.twin_accepted(question) or (question.cap == TLS13 and self._tls13_refused())

    @cached_property
    def steady(self) -> bool:
        """Whether the allowed hello fared at the end of every pass as it did at the beginning. If not, the server
        refused us for how often we came, not for what we offered, and none of its refusals counts."""
        closing = [q for q in self.of(Purpose.TWIN) if q.id.startswith(CLOSING)]
        return bool(closing) and all(map(self._as_before, closing))

    def _as_before(self, closing: QuestionFacts) -> bool:
        opening = self._by_id.get(closing.id.removeprefix(CLOSING))
        if opening is None or not closing.answers:
            return False
        if any(self._state(twin) is State.ACCEPTED for twin in self._opening_twins):
            return len(closing.accepted) == len(closing.answers)
        return self._state(closing) is self._state(opening)

    @cached_property
    def _opening_twins(self) -> tuple[QuestionFacts, ...]:
        return tuple(q for q in self.of(Purpose.TWIN) if not q.id.startswith(CLOSING))

    def _tls13_refused(self) -> bool:
        """Every allowed TLS 1.3 hello was refused, and a hello that differs from one in the version was not."""
        twins = [q for q in self._opening_twins if q.cap == TLS13]
        return (
            bool(twins) and all(self._state(q) is State.REFUSED for q in twins) and any(map(self.twin_accepted, twins))
        )

    def ruled_out_versions(self) -> frozenset[int]:
        """Versions that are not spoken: in each, every suite known to it was refused countably, or the question was
        answered in an older version (a server answers with the newest that it has, RFC 5246 appendix E.1)."""
        return self._ruled_out_versions

    @cached_property
    def _ruled_out_versions(self) -> frozenset[int]:
        return frozenset(version for version in VERSIONS if self._not_spoken(version))

    def _not_spoken(self, version: int) -> bool:
        about = [q for q in (*self.of(Purpose.VERSIONS, Purpose.SUITES), *self._opening_twins) if q.cap == version]
        if not about or not all(map(self._shows_absence, about)):
            return False
        offered: set[int] = set().union(*(q.suites for q in about))
        return self.known.suites(version) <= offered

    def _shows_absence(self, question: QuestionFacts) -> bool:
        """Whether the question shows that its highest version is not spoken."""
        if self._state(question) is State.ACCEPTED:
            return len(question.accepted) == len(question.answers) and all(
                answer.version < question.cap for answer in question.accepted
            )
        return self.refusal_proved(question)

    def unproved_suites(self, accepted: frozenset[int]) -> frozenset[int]:
        """Known suites neither accepted nor ruled out in some version that is, or may be, spoken."""
        absent = self.ruled_out_versions()
        left: set[int] = set()
        for version in (*TLS_VERSIONS, SSL3):
            if version not in absent:
                asked = (q for q in self.of(Purpose.VERSIONS, Purpose.SUITES) if q.cap == version)
                refused: set[int] = set().union(*(q.suites for q in asked if self.refusal_proved(q)))
                left |= self.known.suites(version) - accepted - refused
        return frozenset(left)

    def unproved_groups(self, accepted: frozenset[int]) -> frozenset[int]:
        """Known groups neither accepted nor ruled out, in TLS 1.3 or before it, as far as either may be spoken.

        Servers have one list of groups for all versions before TLS 1.3: one of them stands for the others.
        """
        absent = self.ruled_out_versions()
        left: set[int] = set()
        for storey in ((TLS13,), BEFORE_TLS13):
            if not absent.issuperset(storey):
                refused = {
                    group
                    for q in self.of(Purpose.GROUPS)
                    if q.cap in storey and self.refusal_proved(q)
                    for group in q.groups
                }
                left |= self.known.groups(storey[0]) - accepted - refused
        return frozenset(left)

    def known_suites(self) -> frozenset[int]:
        """Every TLS suite that was known."""
        return frozenset(self.known.tls13) | frozenset(self.known.tls12)

    def known_groups(self) -> frozenset[int]:
        """Every group that counts in a version that is, or may be, spoken."""
        absent = self.ruled_out_versions()
        groups: frozenset[int] = frozenset()
        for storey in ((TLS13,), BEFORE_TLS13):
            if not absent.issuperset(storey):
                groups |= self.known.groups(storey[0])
        return groups


class _Latest:
    """The proof made last. Questions are told apart by identity: comparing them would cost as much as proving anew."""

    __slots__ = ("_proof",)

    def __init__(self) -> None:
        self._proof: Proof | None = None

    def of(self, questions: tuple[QuestionFacts, ...], known: KnownCodes) -> Proof:
        proof = self._proof
        if proof is None or proof.all is not questions or proof.known is not known:
            self._proof = proof = Proof(questions, known)
        return proof


proof_of: Final = _Latest().of
"""The proof of these questions, made once for all the controls that ask one after another."""
