"""What holds for every control over columns, whatever the facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_columns import CLEAN, DENIED, EXPORT, LOST, PLACE, PLAIN, ROWS, TALLY, but, kinds, opened, rule
from made_drills import drill

from keycheck.canonical import dumps
from keycheck.model.control import Control, Group, Neighbour, Sighting, Sightings
from keycheck.model.facts import Unseen, seen
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.fields.controls import CONTROLS
from probes.fields.facts import ColumnFacts, Hunt, Opened
from probes.fields.field_control import FieldControl, needed

IDS = [
    "fields.encrypted",
    "fields.algorithm",
    "fields.data-key-length",
    "fields.key",
    "fields.escrow",
    "fields.nonce",
    "fields.data-key-use",
    "fields.context",
    "fields.commitment",
    "fields.rotation",
    "fields.deterministic",
    "fields.length-leak",
    "fields.tag",
    "fields.tamper",
    "fields.plaintext",
    "fields.coverage",
    "fields.revoked",
]
RULES = [control() for control in CONTROLS]
OF_COLUMNS = [control for control in RULES if isinstance(control, FieldControl)]
OF_FORMATS = [control for control in OF_COLUMNS if control.id != "fields.plaintext"]


def judged(control: Control, facts: ColumnFacts) -> Verdict:
    """The verdict, of one column or of a data set that has only this one."""
    if control.group_by is Group.PART:
        return control.judge(facts)
    sightings = (Sighting(facts.column, "here", ColumnFacts.assurance, facts),)
    return control.judge(Sightings(sightings, (Neighbour("keys/contacts", drill()),)))


def test_the_controls_are_those_that_a_profile_may_name() -> None:
    assert [control.id for control in CONTROLS] == IDS
    for control in CONTROLS:
        assert control.proves, control.id
        assert control.does_not_prove, control.id
        assert control.caveat, control.id
        assert control.example, control.id
        assert control.sources, control.id
        assert control.needs == (ColumnFacts,)


@pytest.mark.parametrize("control", RULES, ids=lambda control: control.id)
def test_a_clean_column_passes(control: Control) -> None:
    verdict = judged(control, CLEAN)
    assert (verdict.kind, verdict.message) == (Kind.PASS, verdict.message), verdict
    assert verdict.message


@pytest.mark.parametrize("control", OF_FORMATS, ids=lambda control: control.id)
def test_a_column_that_the_map_calls_none_is_not_concerned(control: Control) -> None:
    assert judged(control, PLAIN).kind is Kind.NOT_APPLICABLE


@pytest.mark.parametrize("control", RULES, ids=lambda control: control.id)
def test_a_column_that_nobody_mapped_is_undecided_and_told_what_to_add(control: Control) -> None:
    verdict = judged(control, but(CLEAN, role="unmapped", rule=None))
    assert (verdict.kind, verdict.reasons) == (Kind.INCONCLUSIVE, (Reason.NOT_COVERED,))
    assert "'email'" in verdict.message
    assert "class: none" in verdict.message


@pytest.mark.parametrize("control", OF_COLUMNS, ids=lambda control: control.id)
def test_another_class_is_not_concerned(control: FieldControl) -> None:
    narrowed = type(control).model_validate({"classes": ["iban"]})
    assert judged(narrowed, CLEAN).kind is Kind.NOT_APPLICABLE
    assert judged(type(control).model_validate({"classes": ["email"]}), CLEAN).kind is Kind.PASS


@pytest.mark.parametrize("control", OF_FORMATS, ids=lambda control: control.id)
@pytest.mark.parametrize("changes", [{"rows": 0}, {"nulls": ROWS}, {"empties": ROWS}])
def test_a_column_without_any_value_proves_nothing(control: Control, changes: dict[str, object]) -> None:
    empty: dict[str, object] = {"kinds": (), "ciphers": (), "wrapped": (), "committed": (0, 0, 0), **changes}
    verdict = judged(control, but(CLEAN, **empty))
    assert verdict.kind is Kind.INCONCLUSIVE
    assert Reason.NO_POSITIVE in verdict.reasons


@pytest.mark.parametrize("control", RULES, ids=lambda control: control.id)
@pytest.mark.parametrize(
    "facts",
    [
        but(CLEAN, left_out=3, kinds=kinds(esdk=ROWS - 3)),
        but(CLEAN, export=but(EXPORT, left_out=(LOST,))),
        but(CLEAN, kinds=kinds(esdk=ROWS - 3)),
    ],
    ids=["values", "rows", "unaccounted"],
)
def test_what_was_left_out_never_passes_and_is_counted(control: Control, facts: ColumnFacts) -> None:
    verdict = judged(control, facts)
    assert verdict.kind is Kind.INCONCLUSIVE
    assert set(verdict.reasons) <= {Reason.MALFORMED, Reason.NOT_COVERED}
    assert "3 " in verdict.message or str(ROWS - 3) in verdict.message


def test_a_breach_stands_beside_what_was_left_out() -> None:
    facts = but(CLEAN, left_out=3, kinds=kinds(esdk=ROWS - 8, plaintext=5))
    (encrypted,) = (control for control in RULES if control.id == "fields.encrypted")
    verdict = judged(encrypted, facts)
    assert verdict.kind is Kind.FAIL
    assert PLACE in verdict.message


def hidden(field: str) -> Callable[[ColumnFacts], ColumnFacts]:
    """Nothing is known of one field."""
    default = ColumnFacts.model_fields[field].get_default()
    return lambda facts: but(facts, **{field: default})


UNKNOWN: dict[str, Callable[[ColumnFacts], ColumnFacts]] = {
    name: hidden(name)
    for name, field in ColumnFacts.model_fields.items()
    if not field.is_required() and name not in ("remarks", "deterministic", "detected", "left_out", "static_keys")
}
UNKNOWN |= {
    "kinds": lambda facts: but(facts, kinds=()),
    "some kinds": lambda facts: but(facts, kinds=facts.kinds[:-1]),
    "hunt": lambda facts: but(facts, hunt=Hunt(canaries=0, truths=0, bytes=0, hits=facts.hunt.hits)),
    "opened": lambda facts: but(facts, opened=DENIED),
    "answers": lambda facts: (
        but(facts, opened=but(facts.opened, unanswered=40, unwrapped=260, fitting=260, opened=260, tags=260))
        if isinstance(facts.opened, Opened)
        else facts
    ),
    "negative tests": lambda facts: (
        but(facts, opened=but(facts.opened, refusals=())) if isinstance(facts.opened, Opened) else facts
    ),
    "lengths": lambda facts: (
        but(facts, opened=but(facts.opened, lengths=())) if isinstance(facts.opened, Opened) else facts
    ),
    "wrapped classes": lambda facts: but(facts, wrapped=facts.wrapped[:1], wrapped_more=ROWS // 2),
    "more": lambda facts: but(facts, left_out=facts.left_out + 1),
}
FACTS = [
    CLEAN,
    PLAIN,
    but(CLEAN, kinds=kinds(esdk=ROWS - 5, opaque=5)),
    but(CLEAN, kinds=kinds(esdk=ROWS - 5, plaintext=5)),
    but(CLEAN, deterministic=TALLY),
    but(CLEAN, key_resource=""),
    but(CLEAN, rule=rule(optional=True), nulls=10, kinds=kinds(esdk=ROWS - 10)),
    opened(bad=TALLY, opened=297),
]


@pytest.mark.parametrize("control", RULES, ids=lambda control: control.id)
@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_turns_nothing_into_a_pass(control: Control, what: str) -> None:
    for facts in FACTS:
        full, less = judged(control, facts), judged(control, UNKNOWN[what](facts))
        if less.kind is Kind.PASS:
            assert full.kind is Kind.PASS


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(RULES),
    st.sampled_from(FACTS),
    st.lists(st.sampled_from(sorted(UNKNOWN)), max_size=4),
    st.sampled_from(Reason),
)
def test_no_set_of_unknowns_passes(control: Control, facts: ColumnFacts, unknown: list[str], reason: Reason) -> None:
    less = facts
    for name in unknown:
        less = UNKNOWN[name](less)
    if isinstance(less.opened, Unseen):
        less = but(less, opened=Unseen(reason=reason, detail="said why"))
    if judged(control, less).kind is Kind.PASS:
        assert judged(control, facts).kind is Kind.PASS


@pytest.mark.parametrize("reason", [Reason.PERMISSION_DENIED, Reason.NOT_AUTHORIZED, Reason.WORKER_LOST])
def test_the_reason_for_which_nothing_was_opened_is_the_verdicts(reason: Reason) -> None:
    facts = but(CLEAN, opened=Unseen(reason=reason, detail="said why"))
    for control in RULES:
        if control.id in ("fields.encrypted", "fields.key", "fields.tag", "fields.tamper", "fields.algorithm"):
            verdict = judged(control, facts)
            assert (verdict.kind, verdict.reasons) == (reason.kind, (reason,))
            assert "said why" in verdict.message


def test_the_order_of_facts_changes_no_verdict() -> None:
    shuffled = but(CLEAN, wrapped=CLEAN.wrapped[::-1], tests=CLEAN.tests[::-1])
    for control in RULES:
        assert judged(control, shuffled) == judged(control, CLEAN)


def test_facts_survive_their_own_writing() -> None:
    for facts in FACTS:
        written = dumps(seen(facts).facts.parsed())  # type: ignore[arg-type]
        assert ColumnFacts.model_validate_json(written) == facts


@pytest.mark.parametrize(("one_in", "tries"), [(4, 11), (10, 29), (20, 59), (100, 299), (1000, 2995), (10_000, 29_956)])
def test_how_many_tries_rule_a_share_out(one_in: int, tries: int) -> None:
    assert needed(one_in) == tries


def test_every_negative_test_of_the_facts_can_be_demanded() -> None:
    from probes.fields.facts import Refusals
    from probes.fields.opening_controls import Negative

    assert get_args(Negative) == get_args(Refusals.model_fields["name"].annotation)
