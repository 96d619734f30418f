"""What the controls over columns share: what is judged at all, how breaches and doubts become one verdict. Pure."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import Field

from keycheck.model.control import Control
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Name, SortedSet
from keycheck.model.verdict import Reason, Verdict, inconclusive, not_applicable
from probes.fields.facts import ColumnFacts, Opened, Tally
from probes.fields.opening.seed import upper_bound
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement

PLACES_SHOWN: Final = 2
CONFIDENCE: Final = 0.95
"""Of every bound that a sample is said to give."""

CAVEAT: Final = (
    "what was read is an export: of the vendor's live store it says as much as the export's origin carries, for a "
    "vendor can encrypt while exporting (docs/fields.md). The layouts of AWS's and Google's wrapped keys are observed, "
    "not documented by their owners, and keycheck was never exercised against a real cloud account (docs/fidelity.md)"
)
"""True until a recording of a real cloud says otherwise."""

UNRECOGNISED: Final = {
    "opaque": "are of no format that keycheck knows",
    "plaintext": "are not encrypted",
    "malformed": "begin as a known format and do not end as it",
}
"""Kinds of values that no format's grammar walked to the end."""
EMPTY: Final = "empty"
DIRECT: Final = frozenset({"aws-kms", "gcp-kms"})
"""Formats of values that the key service encrypts itself, without a data key."""

OneIn: TypeAlias = Annotated[int, Field(ge=2, le=100_000)]
"""`N`: the sample must rule out, at 95 %, that 1 in N values is otherwise. 100 needs 299 of them, or all."""


class FieldControl(Control):
    """Base of the controls over one column: what is common to all of them is judged here.

    A column that the field map calls `none` is not concerned, by the customer's own map; one that it does not name is
    undecided; so is one without any value. Nothing passes while a row or a value could not be read.
    """

    needs: ClassVar[tuple[type[Facts], ...]] = (ColumnFacts,)
    section: ClassVar[str] = "datasets"
    caveat: ClassVar[str] = CAVEAT
    by_format: ClassVar[bool] = True
    """Whether it reads what formats tell: values that no format explains then leave it undecided."""

    classes: SortedSet[Name] = frozenset()
    """Judges only columns of these classes of the field map; empty: every class but `none`."""

    @abstractmethod
    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Adds breaches and doubts about a sensitive column with values; returns the words of a pass."""

    def exempt(self, facts: ColumnFacts, rule: FieldRule) -> str:
        """Why a sensitive column is proved not to be concerned; empty where it is concerned."""
        return ""

    def judge(self, facts: ColumnFacts) -> Verdict:
        """The verdict on one column."""
        if facts.role == "plain":
            return not_applicable("the field map says `none`: nothing sensitive is in this column")
        if facts.role == "unmapped" or facts.rule is None:
            return unmapped(facts)
        if self.classes and facts.rule.class_ not in self.classes:
            if meant := alike(facts.rule.class_, self.classes):
                return inconclusive(
                    Reason.NOT_COVERED,
                    f"the field map says {facts.rule.class_}, the requirement {meant}: if they are one, spell them "
                    "alike, for a slip of the pen must not put a column out of the contract",
                )
            return not_applicable(f"of the class {facts.rule.class_}, which this requirement does not concern")
        if why := self.exempt(facts, facts.rule):
            return not_applicable(why)
        found = Judgement()
        whole(facts, found)
        if not values(facts):
            found.doubt("holds no value in any row: nothing was seen", Reason.NO_POSITIVE)
        if self.by_format:
            explained(facts, found)
        known = tuple(found.doubts)
        words = self.weigh(facts, facts.rule, found)
        if self.by_format and not recognised(facts):
            found.doubts[:] = known  # what follows from nothing being recognised would only bury it
        return found.verdict(words)


def alike(name: str, others: Iterable[str]) -> str:
    """The class among these that a person may have meant by the name; empty where there is none. Short names differ by
    a letter from many."""
    near = [
        each for each in get_close_matches(name, sorted(others), n=1, cutoff=_ALIKE) if min(len(name), len(each)) > 3
    ]
    return near[0] if near else ""


_ALIKE: Final = 0.8


def unmapped(facts: ColumnFacts) -> Verdict:
    """Nobody has said what the column holds."""
    return inconclusive(
        Reason.NOT_COVERED,
        f"the field map has no line for it: add `- {{column: {facts.column!r}, class: …}}`, with `class: none` where "
        "nothing sensitive is in it",
    )


def whole(facts: ColumnFacts, found: Judgement) -> None:
    """Doubts about everything that was left out."""
    for left in facts.export.left_out:
        rows = str(left.rows) if left.rows else "an unknown number of"
        found.doubt(f"{rows} rows were not read: {left.why}{at(left.places)}", _lost(left.why))
    if facts.left_out:
        found.doubt(f"{facts.left_out} values could not be looked at", Reason.MALFORMED)
    if (told := values(facts) + facts.nulls + facts.empties + facts.left_out) < facts.rows:
        found.doubt(f"only {told} of {facts.rows} rows are accounted for")


def _lost(why: str) -> Reason:
    """What the engine lost says its reason first (`timeout: …`); what cannot be read is malformed."""
    return next((reason for reason in Reason if why.startswith(f"{reason.value}: ")), Reason.MALFORMED)


def values(facts: ColumnFacts) -> int:
    """Values that were told the kind of, without null and empty ones."""
    return sum(kind.count for kind in facts.kinds if kind.kind != EMPTY)


def recognised(facts: ColumnFacts) -> int:
    """Values that a format's grammar walked to their last byte."""
    return sum(kind.count for kind in facts.kinds if kind.kind not in UNRECOGNISED and kind.kind != EMPTY)


def formats(facts: ColumnFacts) -> tuple[str, ...]:
    """The formats seen, sorted."""
    return tuple(sorted({kind.kind for kind in facts.kinds if kind.kind not in UNRECOGNISED and kind.kind != EMPTY}))


def direct(facts: ColumnFacts) -> bool:
    """Whether the key service itself encrypted each value that was recognised: then there is no data key."""
    seen = formats(facts)
    return bool(seen) and DIRECT.issuperset(seen)


def without_data_keys(facts: ColumnFacts) -> str:
    """Why nothing about data keys concerns a column; empty where something does, or was left out."""
    rest = facts.left_out or facts.export.left_out or facts.wrapped or recognised(facts) < values(facts)
    return "" if rest or not direct(facts) else "the key service itself encrypts each value: there is no data key"


def explained(facts: ColumnFacts, found: Judgement) -> None:
    """Doubts about the values that no format explains."""
    for kind in facts.kinds:
        if kind.count and kind.kind in UNRECOGNISED:
            reason = Reason.MALFORMED if kind.kind == "malformed" else Reason.NOT_COVERED
            found.doubt(f"{kind.count} values {UNRECOGNISED[kind.kind]}{at(kind.places)}", reason)
    if values(facts) and not recognised(facts):
        found.doubt("no value is of a known format", Reason.NO_POSITIVE)


def all_told(facts: ColumnFacts, told: int, what: str, found: Judgement) -> None:
    """Doubt where something is known of fewer values than were recognised."""
    if told < (seen := recognised(facts)):
        found.doubt(f"{what} of {told} values only, of {seen}")


def remarked(facts: ColumnFacts, word: str) -> int:
    """Values of which a format remarks `word`."""
    return sum(count for remark, count in facts.remarks if remark == word)


def at(places: Sequence[str]) -> str:
    """Where, for people: ` (contacts.parquet[group 0]:row 3)`; the facts have more of them."""
    if not places:
        return ""
    return f" ({', '.join(places[:PLACES_SHOWN])}{', …' if len(places) > PLACES_SHOWN else ''})"


def counted(tally: Tally) -> str:
    """A count and its first places."""
    return f"{tally.count}{at(tally.places)}"


def copied(facts: ColumnFacts) -> bool:
    """Whether copies of rows are so many that they weigh on the counts of bytes by position."""
    return facts.units is not None and 256 * facts.units.copies.count**2 >= values(facts)


def alarms(facts: ColumnFacts, found: Judgement, means: str) -> None:
    """A breach where the statistics say that the ciphertext is not random; a doubt where there are none.

    Copies of rows weigh on the counts of positions, and may explain an alarm there; they do not repeat blocks.
    """
    if not [test for test in facts.tests if test.name not in _OF_NONCES and test.samples]:
        found.doubt("no statistics of the ciphertext were taken")
    # Copies add at most about 256 c^2 / n to a chi-square over n values, were all c of them of one value.
    for test in facts.tests:
        if not test.alarm or test.name in _OF_NONCES:
            continue
        message = f"{means}: {test.name} over {test.samples}, chance 10^-{test.log10 // 1000}"
        if copied(facts) and test.name != "repeated-blocks":
            found.doubt(f"{message}, unless copies of rows explain it", Reason.CONFLICTING)
        else:
            found.breach(message)


_OF_NONCES: Final = frozenset({"unit-chi-square"})


def sample(facts: ColumnFacts, found: Judgement) -> Opened | None:
    """What was opened; a doubt for the reason that nothing was, and for data keys that nobody decided on."""
    opened = facts.opened
    if isinstance(opened, Unseen):
        found.doubt(f"no sample: {opened.detail or opened.reason}", opened.reason)
        return None
    if not opened.unwrapped + opened.refused.count + opened.unanswered <= opened.drawn <= opened.population:
        found.doubt("the counts of the sample contradict each other", Reason.CONFLICTING)
    if opened.unanswered:
        reasons = opened.why_unanswered or (Unseen(reason=Reason.NOT_COVERED, detail="no reason was recorded"),)
        for unseen in reasons:
            told = unseen.detail or str(unseen.reason)
            found.doubt(f"{opened.unanswered} of {opened.drawn} drawn values were not decided: {told}", unseen.reason)
    if (decided := opened.unwrapped + opened.refused.count + opened.unanswered) < opened.drawn:
        found.doubt(f"{opened.drawn - decided} of {opened.drawn} values were drawn and never tried")
    return opened


def needed(one_in: int) -> int:
    """Independent tries without a failure that rule out, at 95 %, a share of 1 in `one_in`: 1 - alpha^(1/n)."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-1 / one_in))


def bounded(good: int, opened: Opened, one_in: int, what: str, found: Judgement) -> str:
    """What `good` successes and no failure say of all data keys; a doubt where they are too few for `one_in`.

    Clopper and Pearson 1934, for draws that are independent, or of a finite population without replacement, where it
    is on the safe side. All values of the population leave no room for others.
    """
    if not good:
        found.doubt(f"no value of the sample {what}", Reason.NO_POSITIVE)
        return ""
    if good >= opened.population:
        return f"all {opened.population} values, each {what}"
    decided = opened.drawn - opened.unanswered  # of the others there is a doubt already
    top, bottom = upper_bound(max(good, decided), max(good, decided) - good)
    if top * one_in > bottom:
        found.doubt(
            f"{good} of {opened.drawn} values drawn from {opened.population} {what}: to rule out at 95 % that 1 in "
            f"{one_in} is otherwise, {min(needed(one_in), opened.population)} are needed, and none otherwise "
            "(`opening.samples` and `opening.calls`)"
        )
    return (
        f"{good} of {opened.drawn} values, drawn from {opened.population}, each {what}: "
        f"at 95 % at most 1 in {bottom // top} is otherwise"
    )
