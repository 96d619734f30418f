"""What records mean: once a change may have been made, nothing but proof (or a person) makes it not owed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from toy_mechanism import World, toy_change

from keycheck.drill.phases import Phase, State, fold, step
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
from keycheck.model.drill import Where
from keycheck.model.types import CanonicalJson

PLAN = Planned(
    change=toy_change(World(Path("world.json"))).model_copy(update={"deadline": datetime(2026, 11, 22, tzinfo=UTC)}),
    before=CanonicalJson.of({}),
    settle_ms=0,
    patience_ms=0,
)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.just(PLAN),
    st.just(Intended()),
    st.just(Acted()),
    st.just(Observed(words="x")),
    st.just(UndoIntended()),
    st.builds(Found, where=st.sampled_from(Where), words=st.just("x")),
    st.builds(Closed, outcome=st.sampled_from(Closing), words=st.just("x")),
    st.builds(Halted, why=st.sampled_from(Halt), words=st.just("x")),
)


def possible(records: list[Record]) -> list[Record]:
    """The records that a drill could have written, in their order: what cannot follow is left out."""
    kept: list[Record] = []
    state = State()
    for record in records:
        try:
            state = step(state, record)
        except IntegrityError:
            continue
        kept.append(record)
    return kept


SEQUENCES = st.lists(RECORDS, max_size=30).map(possible)


@given(st.lists(RECORDS, max_size=30))
def test_every_sequence_is_a_state_or_refused(records: list[Record]) -> None:
    with suppress(IntegrityError):
        assert isinstance(fold(records), State)


@given(SEQUENCES)
def test_after_the_intent_the_undo_is_owed_until_it_is_closed(records: list[Record]) -> None:
    state = State()
    intended = False
    for record in records:
        state = step(state, record)
        intended = intended or isinstance(record, Intended)
        if intended:
            assert state.phase in (Phase.OWED, Phase.STOPPED, Phase.CLOSED)
            assert (state.phase is Phase.CLOSED) == isinstance(record, Closed)
            assert not (isinstance(record, Closed) and record.outcome is Closing.UNTOUCHED)
            assert state.plan is PLAN


@given(SEQUENCES)
def test_every_prefix_of_a_possible_journal_is_possible_and_can_still_be_restored(records: list[Record]) -> None:
    for length in range(len(records) + 1):
        state = fold(records[:length])
        if state.phase in (Phase.OWED, Phase.STOPPED):
            for record in (UndoIntended(), Closed(outcome=Closing.RESTORED, words="x")):
                state = step(state, record)
            assert state.phase is Phase.CLOSED


@given(SEQUENCES, RECORDS)
def test_nothing_follows_a_closing(records: list[Record], more: Record) -> None:
    closed = [*records, Closed(outcome=Closing.DISMISSED, words="x")]
    if any(isinstance(record, Closed) for record in records):
        return
    assert fold(closed).phase is Phase.CLOSED
    try:
        fold([*closed, more])
    except IntegrityError:
        return
    raise AssertionError("a record followed a closing")


@given(SEQUENCES)
def test_finding_and_observing_never_change_what_is_owed(records: list[Record]) -> None:
    without = [record for record in records if not isinstance(record, (Found, Observed))]
    assert fold(records).phase is fold(without).phase


def test_only_a_foreign_change_stops() -> None:
    owed = [PLAN, Intended(), Acted(), UndoIntended()]
    assert fold([*owed, Halted(why=Halt.NOT_PROVED, words="x")]).phase is Phase.OWED
    assert fold([*owed, Halted(why=Halt.FOREIGN, words="x")]).phase is Phase.STOPPED
    assert fold([*owed, Halted(why=Halt.FOREIGN, words="x"), UndoIntended()]).phase is Phase.OWED


def test_an_undo_of_the_rehearsal_is_not_taken_for_one_of_the_act() -> None:
    assert not fold([PLAN, UndoIntended(), Intended()]).undoing
