"""Fact types of the questions asked: what a hello offered, what came back, and when a refusal counts.

Pure models. Accepted, refused, stumbled, garbage and no answer are different facts; only the first two say
anything about what the server supports, and a refusal only beside an accepted twin.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from keycheck.model.types import Count, Digest, Model, VendorText

Code: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFFFF)]
"""A code point: version, suite, group, extension; 24 bits for an SSLv2 cipher kind."""
_RANGE: Final = re.compile(r"([0-9a-f]{4,6})(?:-([0-9a-f]{4,6}))?")


@lru_cache(maxsize=512)
def format_codes(codes: tuple[int, ...]) -> str:
    """Sorted code points as hexadecimal ranges: `0017-0019 001d`."""
    pieces: list[str] = []
    start = previous = -1
    for code in codes:
        if code != previous + 1 or start < 0:
            if start >= 0:
                pieces.append(f"{start:04x}" if start == previous else f"{start:04x}-{previous:04x}")
            start = code
        previous = code
    if start >= 0:
        pieces.append(f"{start:04x}" if start == previous else f"{start:04x}-{previous:04x}")
    return " ".join(pieces)


@lru_cache(maxsize=512)
def read_codes(text: str) -> tuple[int, ...]:
    """The code points of `format_codes`. Raises ValueError for any other spelling, so that there is only one."""
    codes: list[int] = []
    for piece in text.split():
        match = _RANGE.fullmatch(piece)
        first = int(match[1], 16) if match else 0
        last = int(match[2], 16) if match and match[2] else first
        if match is None or last - first > MAX_CODES or len(codes) > MAX_CODES:
            raise ValueError(f"{piece!r} is no range of code points such as 0017-0019")
        codes.extend(range(first, last + 1))
    found = tuple(codes)
    if list(found) != sorted(set(found)) or format_codes(found) != text:
        raise ValueError("code points are written once each, in order, as the widest ranges")
    return found


def _codes(value: object, items: ValidatorFunctionWrapHandler) -> object:
    # What `read_codes` returns is in order by its making: its thousands of numbers need no second look.
    return read_codes(value) if isinstance(value, str) else items(value)


MAX_CODES: Final = 4096
CodeSet: TypeAlias = Annotated[
    tuple[Code, ...],
    WrapValidator(_codes),
    PlainSerializer(format_codes, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["0017-0019 001d"]}),
]
"""Sorted code points, written as hexadecimal ranges: a hundred suites are one short line of evidence."""
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
    extensions: CodeSet
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


class Purpose(StrEnum):
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


CLOSING: Final = "closing-"
"""Prefix of the id of the twin that is asked after everything else of a pass: the hello of the twin of that name, or,
where twins of two versions were asked, one that offers what either of them does."""


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
    tests: Purpose
    name: Literal["own", "right"] = "own"
    """`right`: asked with the right name on behalf of a part that sends none or a wrong one."""
    cap: Code
    """Highest version offered."""
    suites: CodeSet
    """SSLv2 cipher kinds where `cap` is SSLv2."""
    groups: CodeSet
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


class KnownCodes(Model):
    """Every code point that keycheck knew when it asked: what a claim of 'no other' must cover, also years later."""

    tls13: CodeSet
    tls12: CodeSet
    """Suites of TLS 1.2 and older."""
    tls10: CodeSet
    """Those of them that can be negotiated in TLS 1.1 and 1.0."""
    ssl3: CodeSet
    ssl2: CodeSet
    """SSLv2 cipher kinds."""
    groups13: CodeSet
    groups12: CodeSet
    """Groups that can be negotiated before TLS 1.3."""

    def suites(self, version: int) -> frozenset[int]:
        """The suites of a version; SSLv2's kinds for SSLv2."""
        ages = {TLS13: self.tls13, 0x0303: self.tls12, 0x0300: self.ssl3, SSL2: self.ssl2}
        return frozenset(ages.get(version, self.tls10))

    def groups(self, version: int) -> frozenset[int]:
        """The groups of a version."""
        return frozenset(self.groups13 if version == TLS13 else self.groups12)
