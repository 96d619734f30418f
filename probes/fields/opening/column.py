"""The sample of one column: one drawn value after the other under its unwrapped data key, counted and forgotten."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.facts import Negative
from probes.fields.formats.catalogue import by_id
from probes.fields.formats.seam import Parsed
from probes.fields.opening.binding import Binding, Bindings, Own
from probes.fields.opening.counting import Count
from probes.fields.opening.judging import Fit, judge
from probes.fields.opening.openers import DIRECT, OPENERS, request
from probes.fields.opening.rows import Row
from probes.fields.opening.sealed import (
    Message,
    MisfitError,
    Opener,
    UnsupportedError,
    plaintext,
    tags_hold,
    unverified,
)
from probes.fields.opening.tampering import attempts, flipped, row_swapped
from probes.fields.opening.unwrap import Answer, Declined, Unanswered, Unwrapped, Unwrapper, chosen
from probes.fields.recognise import PLAINTEXT, classify
from probes.fields.scan.seam import Canary
from probes.fields.subjects import FieldRule

Ask = Callable[[bytes, Binding], tuple[Answer, int]]
"""One question to the key service, and how many calls it took."""

_INSIDE = 20
"""Bytes from the end of a wrapped key at which its ciphertext or tag lies, whichever the service."""
_UNREAD = Unseen(reason=Reason.MALFORMED, detail="a drawn value is of no known format when read again")
_DRESSED = Unseen(
    reason=Reason.MALFORMED, detail="the ciphertext of a drawn value is readable text: there is nothing to open"
)

_UNDECLARED = Unseen(
    reason=Reason.NOT_COVERED,
    detail="values decrypt under their data key, and their tags do not hold: their associated data is made in another "
    "way than the field map says; declare it under `associated` and `context`",
)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One drawn value, ready to be asked about."""

    content: bytes = field(repr=False)
    parsed: Parsed = field(repr=False)
    blob: bytes = field(repr=False)
    fingerprint: str
    own: Own = field(repr=False)
    ways: tuple[Binding, ...] = field(repr=False)
    direct: bool


@dataclass(frozen=True, slots=True)
class _Again:
    """What was unwrapped once, to be asked again changed."""

    place: str
    blob: bytes = field(repr=False)
    sent: Binding = field(repr=False)
    other: Binding | None = field(repr=False)
    direct: bool
    """The key service itself encrypted the value: the blob is its ciphertext and tag."""


class ColumnSample:
    """Opens the drawn values of one column. `rows`: what stands beside each of them."""

    def __init__(
        self,
        rule: FieldRule,
        who: Unwrapper,
        count: Count,
        rows: Sequence[Mapping[str, str | None]],
        canaries: Sequence[Canary],
    ) -> None:
        self.rule = rule
        self.count = count
        self._who = who
        self._bindings = Bindings(rule, rows)
        self._canaries = [each for each in canaries if each.column == rule.column]
        self._planted = frozenset(each.value for each in self._canaries)
        self._expected = by_id(rule.format) if rule.format else None
        self._again: list[_Again] = []
        self._blind = os.urandom(32)
        self._seen: dict[bytes, bytes] = {}
        """By a digest of the data key that nobody can repeat: the first wrapped key that held it."""
        self._unbound: list[str] = []
        """Values that would open if only their associated data were known."""

    def open(self, row: Row, place: str, ask: Ask) -> bytes | None:
        """Unwrap, check, open and count one value; its plaintext where it is worth looking for elsewhere."""
        drawn = self._drawn(row)
        if isinstance(drawn, Unseen):
            self.count.unanswered[drawn] += 1
            return None
        answer, sent = self._asked(drawn, ask)
        match answer:
            case Declined():
                self.count.refused.add(place)
                return None
            case Unanswered(why):
                self.count.unanswered[why] += 1
                return None
            case Unwrapped():
                try:
                    return self._unwrapped(row, place, drawn, sent, answer)
                finally:
                    answer.forget()

    def content(self, value: bytes) -> bytes:
        """What the scan hashed of a value: what lies under its encodings."""
        return classify(value, self._expected).content

    def ask_changed(self, number: int, ask: Ask) -> None:
        """Ask once more about the `number`th value that was unwrapped: under another row's context, and with a bit
        flipped. Each must be refused."""
        again = self._again[number]
        if again.other is not None:
            self._changed("context-swapped", again, again.blob, again.other, ask)
        if again.direct:
            self._changed("tag-flipped", again, flipped(again.blob, len(again.blob) - 1), again.sent, ask)
        inside = flipped(again.blob, max(0, len(again.blob) - _INSIDE))
        self._changed("ciphertext-flipped" if again.direct else "wrapped-flipped", again, inside, again.sent, ask)

    def conclude(self) -> None:
        """Decide about values whose tags do not hold and that decrypt all the same: where no value of the column opens,
        the field map may err about their associated data; where others do, it does not, and these were changed."""
        for place in self._unbound:
            if self.count.opened:
                self.count.bad_tags.add(place)
                self.count.bad.add(place)
            else:
                self.count.notes[_UNDECLARED] += 1
        self._unbound.clear()

    @property
    def unwrapped(self) -> int:
        """How many can be asked about once more."""
        return len(self._again)

    def _asked(self, drawn: _Drawn, ask: Ask) -> tuple[Answer, Binding]:
        """The answer, and under which binding: the first that is not refused."""
        for sent in drawn.ways[:-1]:
            answer, made = ask(drawn.blob, sent)
            self.count.calls += made
            if not isinstance(answer, Declined) or answer.other_key:
                return answer, sent
        answer, made = ask(drawn.blob, drawn.ways[-1])
        self.count.calls += made
        return answer, drawn.ways[-1]

    def _drawn(self, row: Row) -> _Drawn | Unseen:
        found = classify(row.value, self._expected)
        parsed = found.parsed
        if parsed is None:
            return _DRESSED if found.kind == PLAINTEXT else _UNREAD
        own = self._bindings.own(row.beside)
        if parsed.format in DIRECT:
            if parsed.format != self._who.provider:
                return _unsupported(parsed)
            ways = self._bindings.direct(own, self._who.provider)
            return _Drawn(found.content, parsed, found.content, parsed.static_key, own, ways, direct=True)
        wrapped = chosen(parsed.wrapped, self._who)
        if isinstance(wrapped, Unseen):
            return _unsupported(parsed) if wrapped.reason is Reason.UNSUPPORTED else wrapped
        ways = self._bindings.wrapped(own, parsed)
        return _Drawn(found.content, parsed, wrapped.blob, wrapped.fingerprint, own, ways, direct=False)

    def _unwrapped(self, row: Row, place: str, drawn: _Drawn, sent: Binding, answer: Unwrapped) -> bytes | None:
        count = self.count
        count.unwrapped += 1
        count.key_ids.add(answer.key_id)
        if answer.material:
            count.materials.add(f"{drawn.fingerprint or 'unknown'}={answer.material}")
        self._again.append(_Again(place, drawn.blob, sent, self._bindings.other(sent, drawn.own), drawn.direct))
        key = bytes(answer.key)
        if drawn.direct:
            return self._judged(row, place, key)
        count.lengths[len(key)] += 1
        self._compared(key, drawn.blob, place)
        opener = OPENERS.get(drawn.parsed.format)
        if opener is None:
            count.notes[_unsupported(drawn.parsed)] += 1
            return None
        try:
            candidates = self._bindings.candidates(drawn.own, drawn.parsed, sent)
            associated, message, opened = _tried(opener, drawn.content, key, candidates)
        except UnsupportedError as error:
            count.notes[Unseen(reason=Reason.UNSUPPORTED, detail=vendor_text(f"cannot be opened: {error}"))] += 1
            return None
        except MisfitError:
            count.bad.add(place)
            return None
        if opened is None and drawn.parsed.context is None and self._decrypts(row, message):
            self._unbound.append(place)
            return None
        self._checked(place, message)
        if opened is None:
            count.bad.add(place)
            return None
        count.ciphers[message.cipher] += 1
        if not message.aes:
            count.notes[_other_cipher(message)] += 1
            return None
        for attempt in attempts(opener, drawn.content, key, associated, message):
            count.tried(attempt.name, place, opened=attempt.opened)
        if (other := self._bindings.other_row(drawn.own, drawn.parsed, sent, associated)) is not None:
            swapped = row_swapped(opener, drawn.content, key, other)
            count.tried(swapped.name, place, opened=swapped.opened)
        return self._judged(row, place, opened)

    def _compared(self, key: bytes, blob: bytes, place: str) -> None:
        """Whether another wrapping held this data key, and whether it is one that somebody typed."""
        digest = blake2b(key, key=self._blind, digest_size=16).digest()
        if self._seen.setdefault(digest, blob) != blob:
            self.count.repeated.add(place)
        if len(set(key)) <= 2 or all(32 <= byte < 127 for byte in key.rstrip(b"\0")):
            self.count.weak.add(place)

    def _decrypts(self, row: Row, message: Message) -> bool:
        """Whether it would open to plaintext of its class if only its associated data were known."""
        would = unverified(message)
        if not would:
            return False
        return judge(self.rule.class_, would, self._planted_in(row), self._planted) in (Fit.CANARY, Fit.FITTING)

    def _checked(self, place: str, message: Message) -> None:
        """What holds without the plaintext."""
        if message.header:
            self.count.headers += 1
        match tags_hold(message):
            case True:
                self.count.tags += 1
            case False:
                self.count.bad_tags.add(place)
            case None:
                """This cipher's tag cannot be checked so."""

    def _judged(self, row: Row, place: str, opened: bytes) -> bytes | None:
        count = self.count
        count.opened += 1
        fit = judge(self.rule.class_, opened, self._planted_in(row), self._planted)
        match fit:
            case Fit.CANARY:
                count.canaries += 1
                count.fitting += 1
            case Fit.FITTING:
                count.fitting += 1
            case Fit.UNFITTING:
                count.unfitting.add(place)
                return None
            case Fit.UNJUDGED:
                count.unjudged += 1
        return opened

    def _planted_in(self, row: Row) -> str | None:
        """The canary that was planted in this very row."""
        for each in self._canaries:
            if each.row and all(row.beside.get(name) == value for name, value in each.row):
                return each.value
        return None

    def _changed(self, name: Negative, again: _Again, blob: bytes, sent: Binding, ask: Ask) -> None:
        answer, made = ask(blob, sent)
        self.count.calls += made
        if isinstance(answer, Unwrapped):
            answer.forget()
        opened = None if isinstance(answer, Unanswered) else isinstance(answer, Unwrapped)
        self.count.tried(name, again.place, opened=opened)


def _tried(
    opener: Opener, content: bytes, key: bytes, candidates: Sequence[bytes]
) -> tuple[bytes, Message, bytes | None]:
    """The message under the first associated data that opens it, else under the declared one. Raises what `opener`
    does."""
    for associated in candidates:
        message = opener(content, key, associated)
        opened = plaintext(message)
        if opened is not None:
            return associated, message, opened
    return candidates[0], opener(content, key, candidates[0]), None


def _unsupported(parsed: Parsed) -> Unseen:
    return Unseen(reason=Reason.UNSUPPORTED, detail=vendor_text(request(parsed)))


def _other_cipher(message: Message) -> Unseen:
    words = f"values are sealed with {message.cipher}, which is not AES; they were not judged further"
    return Unseen(reason=Reason.UNSUPPORTED, detail=words)
