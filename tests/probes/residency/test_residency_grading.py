"""The verdict lattice: what lifts a grade, what lowers it, and what nothing outvotes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.places.extents import Activity, Permitted, Standing
from probes.places.scopes import Scope
from probes.residency.grading import Grade, Signal, Strength, Why, grade, standing

EU = Scope.model_validate(["EU", "adequacy@2026-01-01"]).extent().at(Activity.STORE, "customer")
WEAK = (Strength.CLAIM, Strength.HINT)

countries = st.frozensets(st.sampled_from(["DE", "FR", "CN", "TR", "US"]), max_size=3)
signals = st.builds(
    lambda strength, codes, every, supports: Signal(
        strength, "signal", codes if supports is None else frozenset(), every, supports
    ),
    st.sampled_from(Strength),
    countries,
    st.booleans(),
    st.none() | st.sampled_from(Grade),
)
many = st.lists(signals, max_size=6)


def says(strength: Strength, *codes: str, every: bool = False) -> Signal:
    return Signal(strength, f"{strength} {' '.join(codes)}", frozenset(codes), every)


@settings(max_examples=300)
@given(many, signals.filter(lambda one: one.strength in WEAK))
def test_a_claim_or_hint_never_raises_a_grade(given_: list[Signal], weak: Signal) -> None:
    assert grade([*given_, weak], EU).grade.rung <= grade(given_, EU).grade.rung


@settings(max_examples=200)
@given(many, st.randoms())
def test_the_order_does_not_matter(given_: list[Signal], random: object) -> None:
    shuffled = list(given_)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grade(shuffled, EU) == grade(given_, EU)


@settings(max_examples=200)
@given(many, signals)
def test_what_is_proven_out_cannot_be_outvoted(given_: list[Signal], more: Signal) -> None:
    if grade(given_, EU).grade is Grade.PROVEN_OUT:
        assert grade([*given_, more], EU).grade is Grade.PROVEN_OUT
    proof = Signal(Strength.PROOF, "disc", supports=Grade.PROVEN_OUT)
    assert grade([*given_, proof], EU).grade is Grade.PROVEN_OUT


@settings(max_examples=200)
@given(many)
def test_a_grade_above_undetermined_wants_a_strong_signal_inside(given_: list[Signal]) -> None:
    graded = grade(given_, EU)
    inside = {one.strength for one in given_ if standing(one, EU) is Standing.INSIDE}
    if graded.grade is Grade.PROVEN_IN:
        assert Strength.PROOF in inside
    if graded.grade.rung > Grade.UNDETERMINED.rung:
        assert inside - {*WEAK}
        assert not graded.conflict
    assert grade([one for one in given_ if one.strength in WEAK], EU).grade is Grade.UNDETERMINED


def test_without_a_signal_nothing_is_determined() -> None:
    assert grade([], EU).grade is Grade.UNDETERMINED
    assert grade([], EU).why == (Why.NOTHING,)
    silent = Signal(Strength.AUTHENTICATED, "the cloud names no region")
    assert grade([silent], EU).why == (Why.NOTHING,)
    assert grade([silent], EU).used == ()


P, A, S, C, H = Strength


@pytest.mark.parametrize(
    ("given_", "expected", "why"),
    [
        ([says(S, "DE")], Grade.AFFIRMED, [Why.PUBLISHED_INSIDE]),
        ([says(A, "DE")], Grade.AFFIRMED, [Why.STATED_INSIDE]),
        ([says(P, "DE", "FR")], Grade.PROVEN_IN, [Why.PROVEN_INSIDE]),
        ([says(P, "CN")], Grade.PROVEN_OUT, [Why.PROVEN_OUTSIDE]),
        ([says(A, "CN")], Grade.PROVEN_OUT, [Why.STATED_OUTSIDE]),
        ([says(S, "TR")], Grade.CONTRADICTED, [Why.PUBLISHED_OUTSIDE]),
        ([says(S, "TR"), says(A, "DE")], Grade.CONTRADICTED, [Why.CONFLICT, Why.PUBLISHED_OUTSIDE]),
        ([says(S, "TR"), says(P, "DE")], Grade.CONTRADICTED, [Why.CONFLICT, Why.PUBLISHED_OUTSIDE]),
        ([says(A, "CN"), says(P, "DE")], Grade.PROVEN_OUT, [Why.CONFLICT, Why.STATED_OUTSIDE]),
        ([says(S, "DE"), says(C, "CN")], Grade.UNDETERMINED, [Why.PUBLISHED_INSIDE, Why.SUSPECTED]),
        ([says(A, "DE"), says(C, "CN")], Grade.AFFIRMED, [Why.STATED_INSIDE, Why.SUSPECTED]),
        ([says(C, "DE"), says(H, "DE")], Grade.UNDETERMINED, [Why.NOTHING]),
        ([says(C, "CN"), says(H, "CN")], Grade.UNDETERMINED, [Why.NOTHING, Why.SUSPECTED]),
        ([says(A, "DE", "CN")], Grade.UNDETERMINED, [Why.PARTLY]),
        ([says(A, "DE", "CN", every=True)], Grade.PROVEN_OUT, [Why.STATED_OUTSIDE]),
        ([says(A, "US")], Grade.UNDETERMINED, [Why.CONDITIONAL]),
        ([says(A, "US", "CN", every=True)], Grade.PROVEN_OUT, [Why.STATED_OUTSIDE]),
        ([says(P, "DE", "CN"), says(S, "DE")], Grade.AFFIRMED, [Why.PUBLISHED_INSIDE]),
    ],
)
def test_the_lattice_by_example(given_: list[Signal], expected: Grade, why: list[Why]) -> None:
    graded = grade(given_, EU)
    assert graded.grade is expected
    assert list(graded.why) == sorted(why)


def test_a_condition_that_is_shown_lets_a_place_in() -> None:
    assert grade([says(A, "US")], EU, shown=["eu-us-dpf"]).grade is Grade.AFFIRMED


def test_the_signals_are_named_strongest_first() -> None:
    graded = grade([says(H, "CN"), says(S, "DE"), says(A, "DE")], EU)
    assert [one.strength for one in graded.used] == [A, S, H]
    assert graded.worded() == "affirmed: A DE; S DE; H CN"


def test_a_signal_says_one_thing() -> None:
    with pytest.raises(ValueError, match="not both"):
        Signal(P, "both", frozenset({"DE"}), supports=Grade.PROVEN_IN)


def test_every_pair_of_strong_signals_has_a_grade() -> None:
    for one, two in itertools.product((P, A, S), repeat=2):
        graded = grade([says(one, "DE"), says(two, "CN")], EU)
        assert graded.conflict
        assert graded.grade is (Grade.CONTRADICTED if two is S else Grade.PROVEN_OUT)


def test_a_scope_that_permits_nothing_is_never_met() -> None:
    nowhere = Permitted.of(())
    assert grade([says(P, "DE")], nowhere).grade is Grade.PROVEN_OUT
