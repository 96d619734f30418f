"""The seven rules as properties: no evidence never passes, a definite verdict never flips, order is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.judge import roll_up
from keycheck.model.verdict import (
    Kind,
    Reason,
    Verdict,
    because,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    passed,
)

reasons = st.sampled_from(list(Reason))
verdicts = st.one_of(
    st.builds(passed, st.text(max_size=3)),
    st.builds(failed, st.text(max_size=3)),
    st.builds(not_applicable, st.text(max_size=3)),
    st.builds(because, reasons, st.text(max_size=3)),
)
members = st.lists(verdicts, max_size=6)
DEFINITE = (Kind.PASS, Kind.FAIL)
UNKNOWN = (Kind.INCONCLUSIVE, Kind.NOT_TESTED)


def test_every_reason_belongs_to_exactly_one_verdict() -> None:
    assert {reason.kind for reason in Reason} == {Kind.INCONCLUSIVE, Kind.NOT_TESTED, Kind.ERROR}
    for reason in Reason:
        for kind in Kind:
            if kind is reason.kind:
                assert Verdict(kind, (reason,)).reasons == (reason,)
            else:
                with pytest.raises(ValueError, match=r"cannot carry|needs a reason"):
                    Verdict(kind, (reason,))


def test_an_unknown_verdict_without_a_reason_cannot_be_made() -> None:
    for kind in (Kind.INCONCLUSIVE, Kind.NOT_TESTED, Kind.ERROR):
        with pytest.raises(ValueError, match="needs a reason"):
            Verdict(kind)


def test_nothing_to_judge_is_not_tested_and_never_vacuously_true() -> None:
    assert roll_up([]).kind is Kind.NOT_TESTED
    assert roll_up([]).reasons == (Reason.NO_SUBJECT,)


@given(members)
def test_a_pass_needs_every_member_to_pass_or_to_be_proved_not_applicable(all_of: list[Verdict]) -> None:
    kinds = {verdict.kind for verdict in all_of}
    expected = Kind.PASS in kinds and kinds <= {Kind.PASS, Kind.NOT_APPLICABLE}
    assert (roll_up(all_of).kind is Kind.PASS) == expected


@given(members, reasons, st.data())
def test_a_member_replaced_by_an_unknown_never_yields_a_pass(
    all_of: list[Verdict], reason: Reason, data: st.DataObject
) -> None:
    if not all_of:
        return
    index = data.draw(st.integers(0, len(all_of) - 1))
    replaced = [*all_of[:index], because(reason, ""), *all_of[index + 1 :]]
    assert roll_up(replaced).kind is not Kind.PASS


@given(members, st.sampled_from([passed(), failed("x")]), st.data())
def test_resolving_an_unknown_never_flips_a_definite_verdict(
    all_of: list[Verdict], resolved: Verdict, data: st.DataObject
) -> None:
    before = roll_up(all_of).kind
    unknown = [i for i, verdict in enumerate(all_of) if verdict.kind in (*UNKNOWN, Kind.ERROR)]
    if before not in DEFINITE or not unknown:
        return
    index = data.draw(st.sampled_from(unknown))
    after = roll_up([*all_of[:index], resolved, *all_of[index + 1 :]]).kind
    assert after is before


@given(members, st.randoms(use_true_random=False))
def test_the_order_of_members_never_matters(all_of: list[Verdict], random: object) -> None:
    shuffled = list(all_of)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert roll_up(shuffled) == roll_up(all_of)


@given(members)
def test_a_breach_is_never_outvoted(all_of: list[Verdict]) -> None:
    assert roll_up([*all_of, failed("breach")]).kind is Kind.FAIL


@given(members)
def test_rolling_up_a_roll_up_changes_nothing(all_of: list[Verdict]) -> None:
    once = roll_up(all_of)
    again = roll_up([once])
    assert (again.kind, again.reasons) == (once.kind, once.reasons)


@given(members, members)
def test_grouping_never_makes_a_pass_out_of_what_is_none(left: list[Verdict], right: list[Verdict]) -> None:
    """Findings roll up to clauses: no way of cutting members into groups may hide one."""
    if not left or not right:
        return
    flat = roll_up([*left, *right]).kind
    grouped = roll_up([roll_up(left), roll_up(right)]).kind
    assert (flat is Kind.PASS) == (grouped is Kind.PASS)
    assert (flat is Kind.FAIL) == (grouped is Kind.FAIL)


def test_one_passed_and_nine_not_tested_is_inconclusive_and_says_so() -> None:
    verdict = roll_up([passed(), *[not_tested(Reason.INTERRUPTED, f"p{i}") for i in range(9)]])
    assert verdict.kind is Kind.INCONCLUSIVE
    assert verdict.reasons == (Reason.NOT_COVERED,)
    assert "p0" in verdict.message
    assert "6 more" in verdict.message


def test_an_error_outranks_what_is_merely_unknown() -> None:
    mixed = [passed(), inconclusive(Reason.TIMEOUT, ""), because(Reason.WORKER_LOST, "")]
    assert roll_up(mixed).reasons == (Reason.WORKER_LOST,)
