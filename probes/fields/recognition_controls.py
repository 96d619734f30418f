"""Controls over what the values are: whether they are encrypted, and with what. Pure."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import NotRecorded, SortedSet
from keycheck.model.verdict import Reason
from probes.fields.facts import CipherCount, ColumnFacts, Opened
from probes.fields.field_control import (
    UNRECOGNISED,
    FieldControl,
    OneIn,
    alarms,
    all_told,
    at,
    bounded,
    counted,
    direct,
    formats,
    recognised,
    remarked,
    sample,
    values,
)
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement, shown

BITS: Final = 256
"""Size of an AES-256 key."""
UNFIT_PER_MILLE: Final = 50
"""More of the opened values than this that are not of their class are no slips of single rows."""


class Encrypted(FieldControl, id="fields.encrypted", version=1):
    """Every value of the column is an encryption envelope, nothing about the ciphertext says otherwise, and a sample
    decrypts to what the column holds."""

    by_format: ClassVar[bool] = False
    proves = (
        "Every value was walked to its last byte by the grammar of one envelope format, with more evidence over the "
        "column than `bits`; position by position the ciphertext is as random bytes are, at a family-wise error of "
        "1e-6 for the export; and, with `proof: opened`, so many values that the bound holds decrypt, "
        "in keycheck's own process, to plaintext of the field's class or to the very canary."
    )
    does_not_prove = (
        "Of the values that were not drawn more than the stated bound. With `proof: grammar` nothing is opened, and "
        "anybody can write a header over anything. Neither proves that the vendor holds no other key and no other copy."
    )
    example = "{control: fields.encrypted@1, for: datasets, with: {proof: opened, one_in: 100}}"
    sources = (
        "NIST SP 800-38D (a valid tag authenticates any bytes for whoever holds the key)",
        "AWS Encryption SDK message format reference",
        "Clopper, Pearson: The use of confidence or fiducial limits, Biometrika 1934",
    )

    proof: Annotated[Literal["grammar", "opened"], Tighter("order", ("grammar", "opened"))] = "opened"
    """`opened`: a sample must decrypt to plaintext of the field's class."""
    bits: Annotated[int, Field(ge=32, le=1 << 20), Tighter("higher")] = 64
    """Evidence that the column is of its format: -log2 that random bytes would be taken for it."""
    one_in: Annotated[OneIn, Tighter("higher")] = 100

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """The ladder: not plaintext, of a format, random, opened."""
        self._kinds(facts, rule, found)
        if found.breaches and len(formats(facts)) > 1:  # a breach hides doubts, and of this one nobody should not know
            found.breach(f"besides, the column mixes formats: {shown(formats(facts))}")
        alarms(facts, found, "the ciphertext is not random")
        words = f"{recognised(facts)} values are {shown(formats(facts))}, {facts.evidence_bits} bits of evidence"
        if self.proof == "grammar":
            return f"{words}; nothing was opened"
        opened = sample(facts, found)
        if opened is None:
            return words
        fit = bounded(self._good(opened), opened, self.one_in, "opens to plaintext of its class", found)
        undecryptable(opened, found)
        all_opened(opened, found)
        self._fit(rule, opened, found)
        _planted(opened, found)
        return f"{words}; {fit}; {opened.canaries} are planted canaries"

    def _kinds(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> None:
        for kind in facts.kinds:
            if kind.kind not in UNRECOGNISED or not kind.count:
                continue
            message = f"{kind.count} of {values(facts)} values {UNRECOGNISED[kind.kind]}{at(kind.places)}"
            match kind.kind:
                case "plaintext":
                    found.breach(message)
                case "malformed":
                    found.doubt(message, Reason.MALFORMED)
                case _:
                    found.doubt(f"{message}: it is not plain text, and more cannot be said", Reason.UNSUPPORTED)
        if marks := remarked(facts, "placeholder"):
            found.breach(f"{marks} values are placeholders, which hold the plaintext and only ask to be encrypted")
        seen = formats(facts)
        if len(seen) > 1:
            found.doubt(f"the column mixes formats: {shown(seen)}", Reason.CONFLICTING)
        if rule.format is not None and (others := [name for name in seen if name != rule.format]):
            found.doubt(f"the field map says {rule.format}, the values are {shown(others)}", Reason.CONFLICTING)
        if facts.unwrapped and not direct(facts):
            found.doubt(f"{facts.unwrapped} values carry no wrapped data key of their own: they are no envelopes")
        if seen and facts.evidence_bits < self.bits:
            found.doubt(f"only {facts.evidence_bits} bits of evidence for {shown(seen)}, {self.bits} are demanded")
        if not seen:
            found.doubt("no value is of a known format", Reason.NO_POSITIVE)
        missing = facts.nulls + facts.empties
        if missing and not rule.optional:
            found.doubt(f"{missing} rows hold no value: say `optional: true` in the field map where that is agreed")
        elif missing:
            found.lean(f"{missing} of {facts.rows} rows hold no value")

    @staticmethod
    def _good(opened: Opened) -> int:
        """Values without a form count where canaries of the very column came out right."""
        return opened.fitting + (opened.unjudged if _right(opened) else 0)

    @staticmethod
    def _fit(rule: FieldRule, opened: Opened, found: Judgement) -> None:
        if (unfit := opened.unfitting.count) and 1000 * unfit > UNFIT_PER_MILLE * (unfit + opened.fitting):
            found.breach(f"{counted(opened.unfitting)} values decrypt to something else than {rule.class_}")
        elif unfit:
            message = f"{counted(opened.unfitting)} values decrypt to something else than {rule.class_}"
            found.doubt(message, Reason.CONFLICTING)
        if opened.unjudged and _right(opened):
            found.lean(f"{opened.unjudged} open to a form that keycheck cannot judge, beside canaries that are right")
        elif 1000 * opened.unjudged > UNFIT_PER_MILLE * (opened.unjudged + opened.fitting):
            found.doubt(
                f"{opened.unjudged} values open to a form that keycheck cannot judge as {rule.class_}: plant canaries "
                "in the column (`keycheck canary plant`)",
                Reason.UNSUPPORTED,
            )
        elif opened.unjudged:
            found.lean(f"{opened.unjudged} more open to text of another form")


def _right(opened: Opened) -> int:
    """Values of the column that open to the very canary which was planted there, drawn or not."""
    return opened.canaries + (0 if isinstance(opened.planted, NotRecorded) else opened.planted.canaries)


def _planted(opened: Opened, found: Judgement) -> None:
    """What we planted is opened whatever is drawn, and says nothing of a share: no bound is over it."""
    planted = opened.planted
    if isinstance(planted, NotRecorded) or not planted.found:
        return
    if planted.refused.count:
        found.doubt(f"values that we planted do not open, their data keys are refused: {counted(planted.refused)}")
    if planted.bad.count:
        found.breach(f"values that we planted do not decrypt under their own data key: {counted(planted.bad)}")
    if planted.others.count:
        found.doubt(
            f"values that we planted open to something else than what we planted: {counted(planted.others)}; ask how "
            "the vendor writes what it is sent",
            Reason.CONFLICTING,
        )
    if planted.undecided:
        found.doubt(f"{planted.undecided} of {planted.tried} values that we planted were not decided")
    found.lean(f"of {planted.found} values that we planted, {planted.canaries} open to the very canary")


def undecryptable(opened: Opened, found: Judgement) -> None:
    """Values that their own data key does not open were not encrypted under it as they say."""
    if opened.bad.count:
        found.breach(f"{counted(opened.bad)} values do not decrypt under their own data key as they declare")


def all_opened(opened: Opened, found: Judgement) -> None:
    """A doubt where data keys were unwrapped and their values not opened, with the reasons."""
    closed = opened.unwrapped - opened.opened - opened.bad.count
    if closed <= 0 or opened.unanswered:
        return
    for unseen in opened.why_unanswered or (Unseen(reason=Reason.NOT_COVERED, detail="no reason was recorded"),):
        found.doubt(f"{closed} values were not opened: {unseen.detail or unseen.reason}", unseen.reason)


_AES: Final = re.compile(r"^AES-(\d+)-")


def shows_aes(opened: Opened, found: Judgement) -> bool:
    """Whether every value that opened did so as AES-256, whatever it declares; a breach for each that was weaker."""
    others = 0
    for name, count in opened.ciphers:
        size = _AES.match(name)
        others += 0 if size and int(size[1]) >= BITS else count
        if size and int(size[1]) < BITS and count:
            found.breach(f"{count} values of the sample are really sealed with {name}")
    shown_by = sum(count for _, count in opened.ciphers)
    return not others and 0 < opened.opened <= shown_by


Family: TypeAlias = Literal["AES", "ChaCha20"]


class Algorithm(FieldControl, id="fields.algorithm", version=1):
    """Every value declares an authenticated cipher with a key of 256 bits, and a sample decrypts with just that."""

    proves = (
        "Each value of the column names, or its format fixes, a cipher of the agreed `families` with a 256-bit key and "
        "an authentication tag. With `proof: opened`, values of the sample decrypted with the cipher that they "
        "declare, under data keys whose length was measured; so where a format does not state the cipher or the size "
        "of its key, the sample does, with the bound of `one_in`."
    )
    does_not_prove = (
        "With `proof: declared`, that the declaration is true. That an implementation has no fault, or that a module "
        "is validated."
    )
    example = "{control: fields.algorithm@1, for: datasets, with: {proof: opened}}"
    sources = ("FIPS 197", "NIST SP 800-38D", "NIST SP 800-38A appendix C", "RFC 7518 section 5", "RFC 8439")

    families: Annotated[SortedSet[Family], Field(min_length=1), Tighter("subset")] = frozenset({"AES"})
    proof: Annotated[Literal["declared", "opened"], Tighter("order", ("declared", "opened"))] = "opened"
    one_in: Annotated[OneIn, Tighter("higher")] = 100
    """Where only the sample tells the cipher."""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Every declaration, then the sample."""
        opened = None if self.proof == "declared" else sample(facts, found)
        shows = opened is not None and self._sample(facts, opened, found)
        for cipher in facts.ciphers:
            self._cipher(cipher, shows, found)
        if pages := remarked(facts, "pages-unauthenticated"):
            found.breach(f"{pages} values are encrypted in a mode that leaves their pages unauthenticated")
        all_told(facts, sum(cipher.count for cipher in facts.ciphers), "the cipher is known", found)
        declared = f"declared: {shown(cipher.name for cipher in facts.ciphers)}"
        if opened is None:
            return declared
        if shows and any(_silent(cipher) for cipher in facts.ciphers):
            declared += f"; {bounded(opened.opened, opened, self.one_in, 'decrypts as AES-256', found)}"
        return f"{declared}; {opened.opened} values decrypted as they declare"

    def _sample(self, facts: ColumnFacts, opened: Opened, found: Judgement) -> bool:
        """Whether the sample shows AES-256 by itself."""
        undecryptable(opened, found)
        if not opened.opened:
            found.doubt("no value of the sample was decrypted", Reason.NO_POSITIVE)
        for name, count in opened.ciphers:
            if count and "ChaCha20" in name and "ChaCha20" not in self.families:
                found.breach(f"{count} values of the sample are really sealed with {name}")
        right = shows_aes(opened, found)
        return (direct(facts) or measured_right(facts, opened, found)) and right

    def _cipher(self, cipher: CipherCount, shows: bool, found: Judgement) -> None:
        silent = cipher.family == "unknown" and cipher.bits is None
        these = f"{cipher.count} values " + ("are of an unstated cipher" if silent else f"are declared {cipher.name}")
        if cipher.family not in (*self.families, "unknown"):
            found.breach(f"{these}, which is not {shown(self.families, ' or ')}")
        if cipher.bits is not None and cipher.bits < BITS:
            found.breach(f"{these}: {cipher.bits} bits")
        if cipher.authenticated is False:
            found.breach(f"{these}, which is not authenticated")
        if _silent(cipher) and not shows:
            found.doubt(
                f"{these}, which leaves open cipher, size of key or authentication: only an opened sample shows them",
                Reason.UNSUPPORTED,
            )


def _silent(cipher: CipherCount) -> bool:
    """Whether a declaration leaves something open."""
    return cipher.family == "unknown" or cipher.bits is None or cipher.authenticated is None


def right_lengths(facts: ColumnFacts) -> frozenset[int]:
    """Bytes that the data keys of the column have when they are of 256 bits, by the formats seen."""
    return frozenset(wrapped.expected for wrapped in facts.wrapped if wrapped.expected is not None) or frozenset({32})


def measured_right(facts: ColumnFacts, opened: Opened, found: Judgement) -> bool:
    """Whether every unwrapped data key has a length of 256 bits; a breach for each that is shorter."""
    right = right_lengths(facts)
    for length, count in opened.lengths:
        if count and length < min(right):
            found.breach(
                f"{count} unwrapped data keys have {length} bytes, where 256 bits take {shown(map(str, right))}"
            )
        elif count and length not in right:
            message = f"{count} unwrapped data keys have {length} bytes, where {shown(map(str, right))} were expected"
            found.doubt(message, Reason.CONFLICTING)
    measured = sum(count for _, count in opened.lengths)
    if measured < opened.unwrapped:
        found.doubt(f"the length of {opened.unwrapped - measured} unwrapped data keys was not recorded")
    return bool(measured) and measured >= opened.unwrapped and all(length in right for length, n in opened.lengths if n)
