"""Controls over what a value is bound to: its row, and its key. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from keycheck.model.control import Tighter
from keycheck.model.types import NotRecorded
from keycheck.model.verdict import Reason
from probes.fields.facts import ColumnFacts, Contexts
from probes.fields.field_control import FieldControl, all_told, counted, recognised, sample
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement, shown

SWAPS: Final = ("context-swapped", "row-swapped")
"""Negative tests that show a binding which the values themselves do not."""


class Context(FieldControl, id="fields.context", version=1):
    """Every value is bound to its own row: its encryption context holds what the field map says, in every row."""

    proves = (
        "In every row each entry of the declared context is there and equals the row's own column or the agreed text, "
        "and with `binds: row` no context stands in two rows; what of a context the field map does not name is told, "
        "and with `entries: declared` passes nothing. Where a format shows no context, values of the sample "
        "open with the declared associated data and with no other row's."
    )
    does_not_prove = (
        "That the service checks the context when it reads: try a swapped value at its own front door. A context that "
        "the value shows is authenticated only when it is opened (fields.tamper)."
    )
    example = "{control: fields.context@1, for: datasets, with: {binds: row}}"
    sources = ("AWS Encryption SDK: Encryption context", "NIST SP 800-38D section 5.2 (additional authenticated data)")

    binds: Annotated[Literal["declared", "row"], Tighter("order", ("declared", "row"))] = "row"
    """`row`: no two rows have the same context, or values can change places among them."""
    entries: Annotated[Literal["any", "declared"], Tighter("order", ("any", "declared"))] = "any"
    """`declared`: the context holds nothing that the field map does not name, besides the format's own entries."""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Each declared entry over all rows; the sample where nothing is shown."""
        if not rule.context and rule.associated in ("none", "column-path"):
            found.doubt(
                f"the field map declares no context for it: add `context: [{{name: …, column: …}}]` to {facts.column!r}"
            )
        contexts = facts.contexts
        if contexts is None:
            found.doubt("contexts were not read")
            return ""
        all_told(facts, contexts.shown + contexts.hidden, "the context is known", found)
        if not contexts.shown + contexts.hidden:
            found.doubt("no context was seen", Reason.NO_POSITIVE)
        if contexts.shown:
            self._rules(rule, contexts, found)
            self._undeclared(facts, contexts, found)
            self._binds(facts, contexts, found)
        if contexts.hidden:
            self._hidden(facts, rule, contexts, found)
        names = ", ".join(entry.name for entry in rule.context)
        if not contexts.shown:
            return f"{contexts.hidden} values show no context"
        return f"{contexts.shown} values show their context, {names} as declared in every row"

    @staticmethod
    def _rules(rule: FieldRule, contexts: Contexts, found: Judgement) -> None:
        counts = {count.name: count for count in contexts.rules}
        for entry in rule.context:
            count = counts.get(entry.name)
            wanted = f"column {entry.column}" if entry.column else "the agreed text"
            if count is None:
                found.doubt(f"the entry {entry.name!r} was not compared")
                continue
            if count.differs.count:
                found.breach(f"{entry.name!r} is not {wanted} of its row: {counted(count.differs)}")
            if count.absent.count:
                found.breach(f"{entry.name!r} is missing: {counted(count.absent)}")
            if count.equal + count.differs.count + count.absent.count < contexts.shown:
                found.doubt(f"{entry.name!r} was compared in {count.equal} of {contexts.shown} values only")

    def _undeclared(self, facts: ColumnFacts, contexts: Contexts, found: Judgement) -> None:
        """Entries beyond the map bind a value to something that nobody compared, and stand in the clear."""
        more = contexts.undeclared
        if isinstance(more, NotRecorded):
            if self.entries == "declared":
                found.doubt("whether contexts hold more than is declared was not recorded", Reason.NOT_RECORDED)
            return
        if not more.values.count:
            return
        names = f"{shown(repr(name) for name in more.names)}{' and more' if more.more else ''}"
        words = (
            f"entries that the field map does not name, {names}, stand in the clear in the context of "
            f"{counted(more.values)} values"
        )
        if self.entries == "declared":
            found.doubt(f"{words}: add them to `context`, or have them left out")
        else:
            found.lean(words)
        copies = facts.units.copies.count if facts.units is not None else 0
        if self.binds == "row" and not more.many and more.distinct + copies < more.values.count:
            found.doubt(
                f"only entries that the field map does not name, {names}, tell the contexts of {more.values.count} "
                f"values apart ({more.distinct} without them): whether these follow from the row nobody has compared"
            )

    def _binds(self, facts: ColumnFacts, contexts: Contexts, found: Judgement) -> None:
        if self.binds == "declared":
            if contexts.many:
                found.lean(f"more than {contexts.distinct} different contexts")
            return
        copies = facts.units.copies.count if facts.units is not None else 0
        if not isinstance(contexts.by_entries, NotRecorded) and 0 < contexts.by_entries < contexts.shown:
            found.doubt(
                f"{contexts.by_entries} of {contexts.shown} contexts have entries of the format's own, a signer's key, "
                "and others have not: whether one context stands in a row of each kind was not compared"
            )
        if contexts.many:
            if contexts.shown > contexts.distinct + copies:
                found.doubt(
                    f"more than {contexts.distinct} different contexts were not told apart: whether each of "
                    f"{contexts.shown} values has its own is not known"
                )
            return
        if contexts.distinct == 1 and contexts.shown > 1 + copies:
            found.breach(f"one context for all {contexts.shown} values: they can change places")
        elif contexts.distinct + copies < contexts.shown:
            found.breach(f"{contexts.distinct} contexts for {contexts.shown} values: values can change places")
        else:
            found.lean(f"{contexts.distinct} different contexts")

    @staticmethod
    def _hidden(facts: ColumnFacts, rule: FieldRule, contexts: Contexts, found: Judgement) -> None:
        """Formats that show no context are bound only if other rows' associated data is refused."""
        hidden = f"{contexts.hidden} values show no context"
        if rule.associated == "none":
            if rule.context:
                found.doubt(f"{hidden}: declare how it is made (`associated: …`), so that a sample can show it")
            return
        opened = sample(facts, found)
        if opened is None:
            return
        swaps = [test for test in opened.refusals if test.name in SWAPS and test.tried]
        for test in swaps:
            if test.opened.count:
                found.breach(f"values open with another row's associated data: {counted(test.opened)}")
            if test.undecided:
                found.doubt(f"{test.undecided} of {test.tried} attempts {test.name} were not decided")
        if not swaps:
            found.doubt(f"{hidden}, and no swap was tried", Reason.NO_POSITIVE)
        if not opened.opened:
            found.doubt(f"{hidden}, and none opened with the declared associated data", Reason.NO_POSITIVE)
        tried = sum(test.tried for test in swaps)
        found.lean(
            f"without showing it, {opened.opened} values of the sample open with the declared one and {tried} swaps "
            "are refused"
        )


class Commitment(FieldControl, id="fields.commitment", version=1):
    """Every value commits to its data key: it cannot be made to open to two plaintexts."""

    proves = "Every value is of a format and algorithm suite that binds the ciphertext to one data key."
    does_not_prove = (
        "That the commitment of every value is right: it is checked where a value is opened (fields.tag, headers)."
    )
    example = "{control: fields.commitment@1, for: datasets}"
    sources = (
        "CVE-2020-8897",
        "Len, Grubbs, Ristenpart: Partitioning Oracle Attacks, USENIX Security 2021",
        "Albertini et al.: How to Abuse and Fix Authenticated Encryption Without Key Commitment, USENIX Security 2022",
        "Menda, Len, Grubbs, Ristenpart: Context Discovery and Commitment Attacks, EUROCRYPT 2023 (EAX)",
    )

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """By what the formats say."""
        yes, no, unknown = facts.committed
        if no:
            found.breach(f"{no} of {recognised(facts)} values do not commit to their key")
        if unknown:
            found.doubt(f"{unknown} values are of a format that does not tell", Reason.UNSUPPORTED)
        if not yes:
            found.doubt("no value was seen that commits to its key", Reason.NO_POSITIVE)
        all_told(facts, yes + no + unknown, "the commitment is known", found)
        return f"{yes} values commit to their data key"
