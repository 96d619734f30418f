"""What the values of a column are bound to, row by row: encryption context and associated data, and another row's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from probes.fields.formats.seam import Parsed
from probes.fields.opening.associated import Made, associated_data, entries, esdk_context
from probes.fields.opening.tampering import OtherRow
from probes.fields.subjects import FieldRule

Own: TypeAlias = Mapping[str, str] | None
"""The entries of a row's context, by the field map; None where the row lacks a column of them."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What goes to the key service beside a wrapped key."""

    context: Mapping[str, str] = field(repr=False)
    """AWS's encryption context."""
    associated: bytes = field(default=b"", repr=False)
    """Google's additional authenticated data."""
    unshown: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Entries of `context` that the value does not show (a required encryption context)."""
    how: str = Made.NONE
    """How `associated` was made."""


class Bindings:
    """Of one column: its rule, and what of all drawn rows it speaks of."""

    def __init__(self, rule: FieldRule, rows: Sequence[Mapping[str, str | None]]) -> None:
        self.rule = rule
        self._rows = tuple(own for row in rows if (own := entries(rule, row)) is not None)

    def own(self, row: Mapping[str, str | None]) -> Own:
        """The entries of this row."""
        return entries(self.rule, row)

    def direct(self, own: Own, service: str) -> tuple[Binding, ...]:
        """Of a value that the key service itself encrypted, and that shows no context: the declared one first, then
        every other way, as with `candidates`."""
        if service == "aws-kms":
            return (Binding(own), Binding({})) if own else (Binding({}),)
        ways: dict[bytes, Binding] = {}
        for how in self._ways(own):
            associated = associated_data(self.rule, own or {}, how)
            ways.setdefault(associated, Binding({}, associated, how=how))
        return tuple(ways.values())

    def wrapped(self, own: Own, parsed: Parsed) -> tuple[Binding, ...]:
        """Of a wrapped data key: the context that the value shows; and where it lacks entries of the field map, that
        context with them, as a required encryption context is sent and not stored."""
        shown = dict(parsed.context or ())
        unshown = {name: value for name, value in (own or {}).items() if name not in shown}
        alone = Binding(shown)
        return (
            (alone, Binding({**shown, **unshown}, b"", unshown)) if parsed.context is not None and unshown else (alone,)
        )

    def candidates(self, own: Own, parsed: Parsed, sent: Binding) -> tuple[bytes, ...]:
        """Associated data that a value may have been sealed with: the declared one first, then every other way. A wrong
        field map must not accuse anybody, and a binding that is declared and not there must show when rows are
        swapped."""
        if parsed.context is not None:
            return (esdk_context(sent.unshown),)
        return tuple(dict.fromkeys(associated_data(self.rule, own or {}, how) for how in self._ways(own)))

    def other(self, sent: Binding, own: Own) -> Binding | None:
        """What to send in the place of `sent`, under which it must not be unwrapped: another row's entries where the
        rows differ in any that were sent, else an entry changed. None where nothing was sent to bind it."""
        changed = self._other_entries(own) or {}
        if sent.associated:
            associated = associated_data(self.rule, changed, sent.how)
            return Binding({}, associated if associated != sent.associated else sent.associated + b"-")
        if not sent.context:
            return None
        swapped = {name: changed.get(name, value) for name, value in sent.context.items()}
        if swapped == dict(sent.context):
            name = min(sent.context)
            swapped[name] = sent.context[name] + "-"
        return Binding(swapped)

    def other_row(self, own: Own, parsed: Parsed, sent: Binding, associated: bytes) -> OtherRow | None:
        """How a reader would bind the value in another row; None where the field map binds it to no row, or where no
        drawn row differs."""
        changed = self._other_entries(own)
        if changed is None or own is None:
            return None
        if parsed.context is not None:
            differ = {name: value for name, value in changed.items() if sent.context.get(name, value) != value}
            unshown = {name: differ.get(name, value) for name, value in sent.unshown.items()}
            shown = {name: value for name, value in differ.items() if name not in unshown}
            return OtherRow(esdk_context(unshown), shown, bound=bool(differ))
        for made in (self.rule.associated, *Made):
            if associated_data(self.rule, own, made) == associated:
                theirs = associated_data(self.rule, changed, made)
                return OtherRow(theirs, bound=theirs != associated)
        return None

    def _ways(self, own: Own) -> list[str]:
        every: tuple[str, ...] = (self.rule.associated, *Made)
        return [how for how in every if own is not None or how in (Made.NONE, Made.PATH)]

    def _other_entries(self, own: Own) -> Mapping[str, str] | None:
        return next((each for each in self._rows if each != own), None) if own is not None else None
