"""Controls over what shows through, or beside, the encryption: equality, length, and plain text. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import Name, SortedSet
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.fields.facts import ColumnFacts, Detected, Hit
from probes.fields.field_control import (
    UNRECOGNISED,
    FieldControl,
    all_told,
    at,
    counted,
    remarked,
    unmapped,
    values,
    whole,
)
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement


class Deterministic(FieldControl, id="fields.deterministic", version=1):
    """Equal values do not become equal ciphertexts."""

    proves = (
        "No value is of a format that says it encrypts equal plaintexts alike, none carries a searchable hash, and the "
        "values were compared exactly over the whole data set: none equals another row's to the last byte."
    )
    does_not_prove = (
        "That no index elsewhere tells equal values apart (fields.plaintext seeks unsalted hashes). Equal values in a "
        "few rows may be copies of rows: those leave it undecided up to `copies_per_mille`, and beyond it they tell "
        "equal values apart whatever they are."
    )
    example = "{control: fields.deterministic@1, for: datasets}"
    sources = (
        "Naveed, Kamara, Wright: Inference Attacks on Property-Preserving Encrypted Databases, CCS 2015",
        "RFC 5297",
    )

    copies_per_mille: Annotated[int, Field(ge=0, le=1000), Tighter("lower")] = 10

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """By what formats say, and by what is equal."""
        if facts.deterministic.count:
            found.breach(f"values that are deterministic by their format: {counted(facts.deterministic)}")
        if beacons := remarked(facts, "beacon"):
            found.breach(f"{beacons} values are beacons: truncated hashes that tell equal values apart")
        units = facts.units
        if units is None:
            found.doubt("values were not compared with each other")
            return ""
        all_told(facts, units.compared + units.hidden, "equality is known", found)
        copies = units.copies
        if 1000 * copies.count > self.copies_per_mille * values(facts):
            found.breach(f"values that equal another row's to the last byte: {counted(copies)} of {values(facts)}")
        elif copies.count:
            found.doubt(
                f"{counted(copies)} values equal another row's to the last byte: copies of rows, or equal values"
            )
        return f"no two of {values(facts)} values are equal"


class LengthLeak(FieldControl, id="fields.length-leak", version=1):
    """A field that holds one of a few values does not tell by its length which."""

    proves = "What is encrypted has `lengths` different lengths at most over all rows, though the field has few values."
    does_not_prove = (
        "That length tells nothing in a field with many values: names and free text always leak theirs, and so does "
        "every field that is compressed."
    )
    example = "{control: fields.length-leak@1, for: datasets, with: {applies: declared}}"
    sources = ("RFC 8446 section 5.4 (padding)", "NIST SP 800-38D: the ciphertext is as long as the plaintext")

    lengths: Annotated[int, Field(ge=1, le=1000), Tighter("lower")] = 1
    applies: Annotated[Literal["declared", "always"], Tighter("order", ("declared", "always"))] = "always"
    """`declared`: does not concern fields of which the field map does not say that they have few `values`; otherwise
    more than one length leaves those undecided."""

    def exempt(self, facts: ColumnFacts, rule: FieldRule) -> str:
        """With many values, where that was agreed."""
        if self.applies == "declared" and rule.values is None:
            return "the field map does not say that it has few values (`values: N`)"
        return ""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Lengths against values."""
        lengths = facts.lengths
        if lengths is None:
            found.doubt("lengths were not counted")
            return ""
        all_told(facts, lengths.rows, "the length is known", found)
        if not lengths.distinct:
            found.doubt("no length was seen", Reason.NO_POSITIVE)
        if lengths.distinct > self.lengths:
            told = f"{lengths.distinct} lengths, the rarest in {lengths.smallest} of {lengths.rows} rows"
            if rule.values is None:
                found.doubt(f"{told}: say `values: N` in the field map where the field has few values")
            else:
                found.breach(f"{told}, tell the field's {rule.values} values apart: pad them before encrypting")
        return f"{lengths.rows} values of {lengths.distinct} length{'s' if lengths.distinct != 1 else ''}"


SEVERAL: Final = 3
"""Different names of people or mailboxes in one place, which chance does not explain."""


class Plaintext(FieldControl, id="fields.plaintext", version=1):
    """Nothing sensitive lies in the clear: not in its own column, and not in this one."""

    by_format: ClassVar[bool] = False
    proves = (
        "No value of a sensitive column is plain text. In this column nothing was found, in any of the encodings "
        "sought, of the canaries that stand in the export or of the values that the sample opened to, not even an "
        "unsalted hash; and nothing that a checksum or a grammar proves to be personal data, except `allowed` kinds."
    )
    does_not_prove = (
        "That nothing else is sensitive here: only what was sought can be found, values too short to be told from "
        "chance are not sought, and a salted hash or another encryption hides them. An empty dictionary finds nothing "
        "and so proves nothing."
    )
    example = "{control: fields.plaintext@1, for: datasets, with: {allowed: [email]}}"
    sources = ("ISO/IEC 7812-1 annex B (Luhn)", "ISO 13616-1 (IBAN)", "NIST SP 800-122")

    allowed: Annotated[SortedSet[Name], Tighter("subset")] = frozenset()
    """Kinds of personal data that may stand in the clear in columns that the field map calls `none`."""

    def judge(self, facts: ColumnFacts) -> Verdict:
        """Concerns every column: sensitive, plain or unmapped."""
        rule = facts.rule if facts.role == "sensitive" else None
        if rule is not None and self.classes and rule.class_ not in self.classes:
            return super().judge(facts)
        found = Judgement()
        self._findings(facts, found)
        whole(facts, found)
        if facts.role == "plain" and _vacant(facts) and not found.breaches and not found.doubts:
            return not_applicable("holds no value in any row, and nothing sensitive is declared to be in it")
        if not values(facts) and not facts.hunt.bytes:
            found.doubt("holds no value in any row: nothing was seen", Reason.NO_POSITIVE)
        if facts.role != "plain" and rule is None:
            found.doubts.append(unmapped(facts))
        self._sought(facts, found)
        if rule is None:
            return found.verdict("nothing that was sought is in this column")
        return found.verdict(self.weigh(facts, rule, found))

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """The values of a sensitive column themselves."""
        for kind in facts.kinds:
            if kind.kind == "plaintext" and kind.count:
                found.breach(f"{kind.count} of {values(facts)} values {UNRECOGNISED['plaintext']}{at(kind.places)}")
            elif kind.kind == "malformed" and kind.count:
                found.doubt(f"{kind.count} values {UNRECOGNISED['malformed']}{at(kind.places)}", Reason.MALFORMED)
        if marks := remarked(facts, "placeholder"):
            found.breach(f"{marks} values are placeholders, which hold the plaintext")
        if isinstance(facts.opened, Unseen) and facts.opened.reason not in _NOT_MEANT:
            found.doubt(f"its opened values could not be sought: {facts.opened.detail}", facts.opened.reason)
        return f"no value of {rule.class_} is plain text, and nothing that was sought is in this column"

    def _findings(self, facts: ColumnFacts, found: Judgement) -> None:
        # One value may meet itself in its own row by chance, where a column has few values.
        home = len({hit.digest for hit in facts.hunt.hits if hit.home}) > 1
        words = len({hit.digest for hit in facts.hunt.hits if hit.weak == "word"})
        for hit in facts.hunt.hits:
            chance = hit.weak == "number" or (hit.weak == "word" and words < SEVERAL)
            if hit.sought == "truth" and chance and not home:
                found.doubt(f"{_told(hit)}, in other rows than its own: chance, or a copy", Reason.CONFLICTING)
            else:
                found.breach(_told(hit))
        if facts.hunt.more:
            found.breach(f"{facts.hunt.more} more findings of the hunt")
        for kind in facts.detected:
            self._detected(kind, facts, found)

    def _detected(self, kind: Detected, facts: ColumnFacts, found: Judgement) -> None:
        seen = f"{kind.kind} in the clear: {kind.count}{at(kind.places)}"
        if kind.kind in self.allowed and facts.role == "plain":
            found.lean(f"{seen}, allowed here")
        elif kind.certain and kind.count:
            found.breach(seen)
        elif kind.count:
            found.lean(f"{kind.count} values look like {kind.kind}, which nothing proves")

    @staticmethod
    def _sought(facts: ColumnFacts, found: Judgement) -> None:
        hunt = facts.hunt
        if not hunt.canaries and not hunt.truths:
            found.doubt("nothing was sought: no canary is planted and no sample was opened", Reason.NO_POSITIVE)
        elif not hunt.truths and not hunt.present:
            found.doubt(
                f"{hunt.canaries} canaries were sought, and the row of none is in this export", Reason.NO_POSITIVE
            )
        elif not hunt.bytes and values(facts):
            found.doubt("no byte of it was searched", Reason.NO_POSITIVE)
        short = f", {hunt.short} more are too short, or could not be told from chance" if hunt.short else ""
        found.lean(f"{hunt.canaries} canaries and {hunt.truths} opened values sought in {hunt.bytes} bytes{short}")


_NOT_MEANT: Final = frozenset({Reason.NOT_COVERED, Reason.UNSUPPORTED, Reason.NOT_SELECTED})
"""Nothing of the column was to be opened, or nothing of it can be: then canaries alone are sought."""


def _vacant(facts: ColumnFacts) -> bool:
    """Whether every row was read and holds nothing. A file beside the export, which no rule names, may have no row."""
    nothing = facts.rows <= facts.nulls + facts.empties and not values(facts) and not facts.left_out
    return nothing and (facts.rows > 0 or facts.rule is None)


def _told(hit: Hit) -> str:
    what = "canary" if hit.sought == "canary" else "value"
    return f"{what} of {hit.of} as {hit.encoding}: {hit.count}{at(hit.places)}, digest {hit.digest[:12]}"
