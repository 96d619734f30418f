"""What a journal means: records in, what must happen next out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from keycheck.drill.records import (
    Acted,
    Closed,
    Closing,
    Found,
    Halt,
    Halted,
    Intended,
    Observed,
    Planned,
    Record,
    UndoIntended,
)
from keycheck.errors import IntegrityError


class Phase(StrEnum):
    """What must happen next."""

    UNPLANNED = "unplanned"
    """Nothing: the world was at most looked at."""
    PLANNED = "planned"
    """Nothing was taken away; what the rehearsal may have left is to be tidied up."""
    OWED = "owed"
    """The change may have been made: it must be undone, and seen to be."""
    STOPPED = "stopped"
    """The same, but somebody else changed the same thing: nothing is undone unless it reads as ours alone again."""
    CLOSED = "closed"
    """Nothing, ever."""


@dataclass(frozen=True, slots=True)
class State:
    """What the records say so far."""

    phase: Phase = Phase.UNPLANNED
    plan: Planned | None = None
    acted: bool = False
    """The change was accepted; false says only that nobody wrote so."""
    undoing: bool = False
    """An undo was issued, or was about to be."""
    last: Record | None = None


def fold(records: Iterable[Record]) -> State:
    """The state after all records. Raises IntegrityError for an order that no drill writes."""
    state = State()
    for record in records:
        state = step(state, record)
    return state


def step(state: State, record: Record) -> State:
    """The state after one more record. Raises IntegrityError for one that cannot follow."""
    if state.phase is Phase.CLOSED:
        raise _unexpected(state, record)
    after = replace(state, last=record)
    match record:
        case Planned():
            if state.phase is not Phase.UNPLANNED:
                raise _unexpected(state, record)
            return replace(after, phase=Phase.PLANNED, plan=record)
        case Closed():
            owed = state.phase in (Phase.OWED, Phase.STOPPED)
            possible = {
                Closing.UNTOUCHED: not owed,
                Closing.RESTORED: state.plan is not None,
                Closing.DISMISSED: True,
            }
            if not possible[record.outcome]:
                raise _unexpected(state, record)
            return replace(after, phase=Phase.CLOSED)
        case _ if state.plan is None:
            raise _unexpected(state, record)
        case Intended():
            if state.phase is not Phase.PLANNED:
                raise _unexpected(state, record)
            return replace(after, phase=Phase.OWED, undoing=False)  # an undo before the act undid nothing of it
        case Acted():
            if state.phase is not Phase.OWED or state.acted or state.undoing:
                raise _unexpected(state, record)
            return replace(after, acted=True)
        case UndoIntended():
            again = Phase.OWED if state.phase is Phase.STOPPED else state.phase
            return replace(after, phase=again, undoing=True)
        case Halted():
            return replace(after, phase=Phase.STOPPED if record.why is Halt.FOREIGN else Phase.OWED)
        case Observed() | Found():
            return after
        case _:
            assert_never(record)


def _unexpected(state: State, record: Record) -> IntegrityError:
    return IntegrityError(
        f"the journal says `{record.type}` where the drill is {state.phase.value}",
        advice="it was not written by a drill: compare the subject with what it should be by hand",
    )
