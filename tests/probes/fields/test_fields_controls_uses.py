"""Controls over use, binding, leaks and openings: a clean column, one change, the exact verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

import pytest
from made_columns import (
    CLEAN,
    DENIED,
    EXPORT,
    FAIL,
    HUNT,
    NA,
    NEW,
    OLD,
    OPENED,
    PASS,
    PLACE,
    PLAIN,
    ROTATED,
    ROWS,
    TALLY,
    TESTS,
    UNITS,
    VENDORS,
    Case,
    but,
    case_id,
    control,
    judged_as,
    kinds,
    opened,
    rule,
    unsure,
    wrapped,
)

from keycheck.model.control import Sighting, Sightings
from keycheck.model.types import Model
from keycheck.model.verdict import Assurance, Kind, Reason
from probes.fields.facts import (
    ColumnFacts,
    Detected,
    Export,
    Hit,
    Hunt,
    LeftOut,
    Refusals,
    Tally,
    Undeclared,
    WrappedCount,
)
from probes.fields.subjects import ContextRule, Limits

Cases: TypeAlias = list[Case]


def inside(field: str, **changes: object) -> ColumnFacts:
    """The clean column with another part."""
    part = getattr(CLEAN, field)
    assert isinstance(part, Model)
    return but(CLEAN, **{field: but(part, **changes)})


def alarmed(facts: ColumnFacts, name: str) -> ColumnFacts:
    return but(facts, tests=tuple(but(test, alarm=test.name == name) for test in TESTS))


def limits(**changes: object) -> ColumnFacts:
    return but(CLEAN, export=but(EXPORT, limits=Limits.model_validate(changes)))


HIDDEN = inside("units", compared=0, hidden=ROWS, unit_bits=0)
NONCE: Cases = [
    ("reused", {}, inside("units", reused=TALLY), FAIL, PLACE),
    ("across columns", {}, inside("units", across=TALLY), FAIL, "another"),
    ("hidden", {}, HIDDEN, unsure(Reason.NO_POSITIVE, Reason.NOT_COVERED), "hide"),
    ("hidden and repeated", {}, alarmed(HIDDEN, "top-bit"), FAIL, "top-bit"),
    ("some hidden", {}, inside("units", compared=ROWS - 1, hidden=1), unsure(), "1 values hide"),
    ("visible, with an alarm of the payload", {}, alarmed(CLEAN, "top-bit"), PASS, ""),
    ("short", {}, inside("units", unit_bits=64), FAIL, "64 random bits"),
    ("short, as agreed", {"bits": 64}, inside("units", unit_bits=64), PASS, ""),
    ("counters", {}, inside("units", counters=1), unsure(), "restart"),
    (
        "counters, as agreed",
        {"counters": "allowed"},
        alarmed(inside("units", counters=1), "unit-chi-square"),
        PASS,
        "as agreed",
    ),
    ("neither random nor counting", {}, alarmed(CLEAN, "unit-chi-square"), unsure(Reason.CONFLICTING), "neither"),
    ("not compared", {}, but(CLEAN, units=None), unsure(), "not compared"),
    ("compared in part", {}, inside("units", compared=ROWS - 1), unsure(), "values only"),
]
USE: Cases = [
    ("used too often", {"at_most": 10}, inside("data_keys", most_uses=11), FAIL, "11"),
    ("used too often by the data set's limit", {}, inside("data_keys", most_uses=1_001), FAIL, "1000 are allowed"),
    ("as often as agreed", {"at_most": 10}, inside("data_keys", most_uses=10), PASS, "of at most 10"),
    (
        "beyond 2^32",
        {},
        but(inside("data_keys", most_uses=(1 << 32) + 1), export=but(EXPORT, limits=Limits())),
        FAIL,
        str(1 << 32),
    ),
    ("one for all", {}, inside("data_keys", distinct=1, most_uses=900), FAIL, "all 10000 values"),
    ("one for all, as agreed", {"single": "allowed"}, inside("data_keys", distinct=1, most_uses=900), PASS, ""),
    ("tenants share", {}, inside("data_keys", tenants_sharing=TALLY), FAIL, PLACE),
    ("tenants unread", {}, inside("data_keys", tenants=None), unsure(), "tenant"),
    ("no tenant's column", {}, but(inside("data_keys", tenants=None), tenants_declared=False), PASS, ""),
    (
        "no tenant's column, demanded",
        {"tenants": "required"},
        but(CLEAN, tenants_declared=False),
        unsure(),
        "tenant: COLUMN",
    ),
    ("not counted", {}, but(CLEAN, data_keys=None), unsure(), "not counted"),
    ("not all visible", {}, inside("data_keys", visible=ROWS - 1), unsure(), "values only"),
    ("kms itself", {}, but(CLEAN, kinds=kinds(**{"gcp-kms": ROWS}), wrapped=(), unwrapped=ROWS), NA, "no data key"),
]
ONE = (ContextRule(name="id", column="id"),)
UNBOUND = inside("contexts", shown=0, hidden=ROWS, rules=(), distinct=0)
BOUND = but(UNBOUND, rule=rule(associated="context-json"))


def more(values: int, distinct: int | None = None) -> ColumnFacts:
    """With an entry in contexts that the field map does not name."""
    told = Undeclared(
        values=Tally(count=values, places=(PLACE,) if values else ()),
        names=("purpose",) if values else (),
        distinct=values if distinct is None else distinct,
    )
    return inside("contexts", undeclared=told, by_entries=0)


CONTEXT: Cases = [
    (
        "of another row",
        {},
        inside("contexts", rules=({"name": "id", "equal": ROWS - 3, "differs": TALLY, "absent": Tally()},)),
        FAIL,
        PLACE,
    ),
    (
        "missing",
        {},
        inside("contexts", rules=({"name": "id", "equal": ROWS - 3, "differs": Tally(), "absent": TALLY},)),
        FAIL,
        "missing",
    ),
    ("not compared", {}, inside("contexts", rules=()), unsure(), "not compared"),
    (
        "compared in part",
        {},
        inside("contexts", rules=({"name": "id", "equal": 9, "differs": Tally(), "absent": Tally()},)),
        unsure(),
        "9 of",
    ),
    ("constant", {}, inside("contexts", distinct=1), FAIL, "one context for all"),
    ("shared by rows", {}, inside("contexts", distinct=ROWS - 1), FAIL, "change places"),
    (
        "shared by copies of rows",
        {},
        but(inside("contexts", distinct=ROWS - 3), units=UNITS.model_copy(update={"copies": TALLY})),
        PASS,
        "",
    ),
    ("shared by rows, as agreed", {"binds": "declared"}, inside("contexts", distinct=7), PASS, ""),
    ("very many", {}, inside("contexts", distinct=ROWS, many=True), PASS, ""),
    ("very many, not told apart", {}, inside("contexts", distinct=5, many=True), unsure(), "more than 5"),
    ("very many, as agreed", {"binds": "declared"}, inside("contexts", distinct=5, many=True), PASS, "more than 5"),
    ("only what is declared", {"entries": "declared"}, more(0), PASS, ""),
    ("more than declared", {}, more(5), PASS, "5 (contacts"),
    ("more than declared, and not agreed", {"entries": "declared"}, more(5), unsure(), "'purpose'"),
    ("more, not recorded", {"entries": "declared"}, CLEAN, unsure(Reason.NOT_RECORDED), "not recorded"),
    ("told apart by what is not declared", {}, more(5, distinct=1), unsure(), "only entries that the field map"),
    ("the same, as agreed", {"binds": "declared"}, more(5, distinct=1), PASS, "stand in the clear"),
    ("signed in part", {}, inside("contexts", by_entries=7), unsure(), "signer's key"),
    ("no rule", {}, but(CLEAN, rule=rule(context=())), unsure(), "context: [{"),
    ("not read", {}, but(CLEAN, contexts=None), unsure(), "not read"),
    ("hidden, nothing declared", {}, UNBOUND, unsure(), "associated"),
    ("hidden, shown by the sample", {}, BOUND, PASS, "60 swaps are refused"),
    (
        "hidden, a swap opens",
        {},
        but(BOUND, opened=but(OPENED, refusals=(Refusals(name="row-swapped", tried=9, opened=TALLY),))),
        FAIL,
        PLACE,
    ),
    ("hidden, no swap tried", {}, but(BOUND, opened=but(OPENED, refusals=())), unsure(Reason.NO_POSITIVE), "no swap"),
    (
        "hidden, undecided",
        {},
        but(BOUND, opened=but(OPENED, refusals=(Refusals(name="row-swapped", tried=9, opened=Tally(), undecided=2),))),
        unsure(),
        "2 of 9",
    ),
    ("hidden, not opened", {}, but(BOUND, opened=DENIED), unsure(Reason.PERMISSION_DENIED), "not allowed"),
]
COMMITMENT: Cases = [
    ("none", {}, but(CLEAN, committed=(ROWS - 1, 1, 0)), FAIL, "1 of"),
    ("not told", {}, but(CLEAN, committed=(ROWS - 1, 0, 1)), unsure(Reason.UNSUPPORTED), "1 values"),
    ("counted in part", {}, but(CLEAN, committed=(ROWS - 1, 0, 0)), unsure(), "values only"),
    ("never", {}, but(CLEAN, committed=(0, 0, 0)), unsure(Reason.NO_POSITIVE, Reason.NOT_COVERED), "no value"),
]
BEFORE, AFTER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC)
JUST = datetime(2026, 6, 1, 0, 30, tzinfo=UTC)


def materials(*classes: WrappedCount) -> ColumnFacts:
    return but(CLEAN, wrapped=classes)


ROTATION: Cases = [
    ("old material afterwards", {}, materials(wrapped(OLD, BEFORE, AFTER), wrapped(NEW, AFTER, AFTER)), FAIL, OLD[:12]),
    ("within the grace", {}, materials(wrapped(OLD, BEFORE, JUST), wrapped(NEW, AFTER, AFTER)), PASS, NEW[:12]),
    ("within no grace", {"grace": "PT5M"}, materials(wrapped(OLD, BEFORE, JUST), wrapped(NEW, AFTER, AFTER)), FAIL, ""),
    (
        "no older row",
        {},
        materials(wrapped(NEW, AFTER, AFTER, ROWS)),
        unsure(Reason.NO_POSITIVE),
        "before the rotation",
    ),
    (
        "no newer row",
        {},
        materials(wrapped(OLD, BEFORE, BEFORE, ROWS)),
        unsure(Reason.NO_POSITIVE),
        "after the rotation",
    ),
    (
        "several new ones",
        {},
        materials(wrapped(OLD, BEFORE, BEFORE), wrapped(NEW, AFTER, AFTER), wrapped("cc", AFTER, AFTER)),
        unsure(),
        "2 key materials",
    ),
    (
        "no fingerprint",
        {},
        materials(wrapped(OLD, BEFORE, BEFORE), wrapped(NEW, AFTER, AFTER), wrapped("", AFTER, AFTER)),
        unsure(Reason.UNSUPPORTED),
        "apart",
    ),
    (
        "no times",
        {},
        materials(wrapped(OLD, BEFORE, BEFORE), but(wrapped(NEW, AFTER, AFTER), first_written=None)),
        unsure(Reason.NO_POSITIVE, Reason.NOT_COVERED),
        "written:",
    ),
    (
        "under another key",
        {},
        materials(wrapped(OLD, BEFORE, AFTER).model_copy(update={"key": VENDORS, "count": ROWS})),
        unsure(Reason.NO_POSITIVE, Reason.NOT_COVERED),
        "another key",
    ),
    ("no rotation", {}, limits(), unsure(), "limits:"),
    ("no rotation, as agreed", {"applies": "declared"}, limits(), NA, "no rotation"),
    ("declared", {"applies": "declared"}, limits(rotated=ROTATED), PASS, NEW[:12]),
]
DETERMINISTIC: Cases = [
    ("by its format", {}, but(CLEAN, deterministic=TALLY), FAIL, PLACE),
    ("beacons", {}, but(CLEAN, remarks=(("beacon", 5),)), FAIL, "beacons"),
    ("many equal", {}, inside("units", copies=Tally(count=101, places=(PLACE,))), FAIL, PLACE),
    ("few equal", {}, inside("units", copies=Tally(count=100, places=(PLACE,))), unsure(), PLACE),
    ("few equal, none agreed", {"copies_per_mille": 0}, inside("units", copies=Tally(count=1)), FAIL, "1 of"),
    ("not compared", {}, but(CLEAN, units=None), unsure(), "not compared"),
]
LENGTHS: Cases = [
    ("one to one", {}, inside("lengths", distinct=4, smallest=17), FAIL, "4 values apart"),
    ("two", {}, inside("lengths", distinct=2), FAIL, "2 lengths"),
    ("two, as agreed", {"lengths": 2}, inside("lengths", distinct=2), PASS, "2 lengths"),
    ("many values, one length", {}, but(CLEAN, rule=rule()), PASS, ""),
    ("many values, many lengths", {}, but(inside("lengths", distinct=40), rule=rule()), unsure(), "values: N"),
    (
        "many values, as agreed",
        {"applies": "declared"},
        but(inside("lengths", distinct=40), rule=rule()),
        NA,
        "values: N",
    ),
    ("not counted", {}, but(CLEAN, lengths=None), unsure(), "not counted"),
]
TAG: Cases = [
    ("bad", {}, opened(bad_tags=TALLY), FAIL, PLACE),
    ("none", {}, opened(tags=0), unsure(Reason.NO_POSITIVE), "no value"),
    ("few", {}, opened(tags=298), unsure(), "299 are needed"),
    ("without a plaintext", {}, opened(opened=0, fitting=0, canaries=0), PASS, "valid tag"),
]
TAMPER: Cases = [
    (
        "a flipped tag opens",
        {},
        opened(refusals=(*OPENED.refusals, Refusals(name="nonce-flipped", tried=3, opened=TALLY))),
        FAIL,
        "nonce-flipped",
    ),
    ("one not tried", {}, opened(refusals=OPENED.refusals[:-1]), unsure(), "wrapped-flipped"),
    (
        "one not tried, as agreed",
        {"tests": ["tag-flipped"]},
        opened(refusals=OPENED.refusals[:-1]),
        PASS,
        "tag-flipped 30",
    ),
    (
        "undecided",
        {},
        opened(
            refusals=(*OPENED.refusals[:-1], Refusals(name="wrapped-flipped", tried=3, opened=Tally(), undecided=3))
        ),
        unsure(),
        "not decided",
    ),
    ("nothing opens anyway", {}, opened(opened=0), unsure(Reason.NO_POSITIVE), "refusals prove nothing"),
]
HIT = Hit(sought="canary", of="email", encoding="sha256-hex", count=2, places=(PLACE,), digest="d" * 32)
SEEN = (Detected(kind="iban", certain=True, count=4, places=(PLACE,)),)
GUESS = (Detected(kind="phone", certain=False, count=4, places=(PLACE,)),)
PLAINTEXT: Cases = [
    ("a plain value", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, plaintext=1)), FAIL, PLACE),
    ("a placeholder", {}, but(CLEAN, remarks=(("placeholder", 1),)), FAIL, "placeholders"),
    ("a hash beside", {}, but(PLAIN, hunt=but(HUNT, hits=(HIT,))), FAIL, "sha256-hex"),
    ("a hit nobody told", {}, but(PLAIN, hunt=but(HUNT, more=1)), FAIL, "1 more"),
    (
        "a hit in an unmapped column",
        {},
        but(PLAIN, role="unmapped", rule=None, hunt=but(HUNT, hits=(HIT,))),
        FAIL,
        PLACE,
    ),
    ("an iban in a plain column", {}, but(PLAIN, detected=SEEN), FAIL, "iban"),
    ("an iban that may be there", {"allowed": ["iban"]}, but(PLAIN, detected=SEEN), PASS, "allowed"),
    (
        "an iban in an unmapped column",
        {"allowed": ["iban"]},
        but(PLAIN, role="unmapped", rule=None, detected=SEEN),
        FAIL,
        "iban",
    ),
    ("looks like a phone", {}, but(PLAIN, detected=GUESS), PASS, "look like"),
    ("a plain column", {}, PLAIN, PASS, "300 opened values"),
    (
        "an empty dictionary",
        {},
        but(CLEAN, hunt=Hunt(canaries=0, truths=0, bytes=9)),
        unsure(Reason.NO_POSITIVE),
        "nothing was sought",
    ),
    (
        "canaries of other rows",
        {},
        but(CLEAN, hunt=Hunt(canaries=5, truths=0, bytes=9)),
        unsure(Reason.NO_POSITIVE),
        "the row of none",
    ),
    ("canaries only", {}, but(CLEAN, hunt=Hunt(canaries=5, truths=0, bytes=9, present=1)), PASS, "5 canaries"),
    ("nothing searched", {}, but(CLEAN, hunt=but(HUNT, bytes=0)), unsure(Reason.NO_POSITIVE), "no byte"),
    ("a plain column without values", {}, but(PLAIN, kinds=(), nulls=ROWS, hunt=but(HUNT, bytes=0)), NA, "no value"),
    ("a file beside", {}, but(PLAIN, rule=None), PASS, ""),
    ("an empty file beside", {}, but(PLAIN, rule=None, rows=0, kinds=(), hunt=but(HUNT, bytes=0)), NA, "no value"),
    ("truncated values", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, malformed=1)), unsure(Reason.MALFORMED), PLACE),
]
CASES = [
    (name, case)
    for name, cases in (
        ("nonce", NONCE),
        ("data-key-use", USE),
        ("context", CONTEXT),
        ("commitment", COMMITMENT),
        ("rotation", ROTATION),
        ("deterministic", DETERMINISTIC),
        ("length-leak", LENGTHS),
        ("tag", TAG),
        ("tamper", TAMPER),
        ("plaintext", PLAINTEXT),
    )
    for case in cases
]


@pytest.mark.parametrize(("name", "case"), CASES, ids=case_id)
def test_one_change_has_its_verdict(name: str, case: Case) -> None:
    judged_as(name, case)


def of(export: Export) -> ColumnFacts:
    return but(CLEAN, export=export)


OWN = but(EXPORT.origin, made_by="customer", digests=(), rows=None)
COVERAGE = [
    ("whole", {}, (CLEAN, PLAIN), PASS, "2 columns"),
    ("unmapped", {}, (CLEAN, but(PLAIN, role="unmapped", rule=None)), unsure(), "'notes'"),
    ("other files", {}, (of(but(EXPORT, origin_digests="differ")),), unsure(Reason.CONFLICTING), "differ"),
    ("no digests", {}, (of(but(EXPORT, origin_digests="not-stated")),), unsure(), "origin.digests"),
    ("read by ourselves", {}, (of(but(EXPORT, origin_digests="not-stated", origin=OWN)),), PASS, "customer"),
    ("fewer rows", {}, (of(but(EXPORT, rows=ROWS - 1)),), unsure(Reason.CONFLICTING), "9999 rows"),
    ("more rows", {}, (of(but(EXPORT, rows=ROWS + 1)),), unsure(Reason.CONFLICTING), "10001 rows"),
    ("no count", {}, (of(but(EXPORT, origin=but(EXPORT.origin, rows=None))),), unsure(), "origin.rows"),
    (
        "rows left out",
        {},
        (of(but(EXPORT, left_out=(LeftOut(why="truncated", rows=0, places=("a.json",)),))),),
        unsure(Reason.MALFORMED),
        "a.json",
    ),
    ("a class is missing", {"classes": ["email", "iban"]}, (CLEAN, PLAIN), unsure(), "iban"),
    ("a class misspelt", {"classes": ["e-mail"]}, (CLEAN, PLAIN), unsure(), "e-mail: is it email?"),
    ("not tied, and why", {"canaries": "tied"}, (of(but(EXPORT, canaries="untied", tie="busy")),), unsure(), "(busy)"),
    ("tied by time", {"canaries": "tied"}, (of(but(EXPORT, tie="by the moments")),), PASS, "by the moments"),
    (
        "a class without values",
        {"classes": ["email"]},
        (but(CLEAN, kinds=(), nulls=ROWS), PLAIN),
        unsure(Reason.NOT_COVERED, Reason.NO_POSITIVE),
        "email",
    ),
    ("no canaries", {}, (but(CLEAN, hunt=but(HUNT, present=0)),), unsure(), "canary plant"),
    ("no canaries, as agreed", {"canaries": "optional"}, (but(CLEAN, hunt=but(HUNT, present=0)),), PASS, ""),
    ("not tied", {}, (of(but(EXPORT, canaries="untied")),), PASS, ""),
    ("not tied, demanded", {"canaries": "tied"}, (of(but(EXPORT, canaries="untied")),), unsure(), "ties"),
    (
        "two exports",
        {},
        (CLEAN, but(PLAIN, export=but(EXPORT, manifest="9" * 64))),
        unsure(Reason.CONFLICTING),
        "2 different",
    ),
    ("nothing", {}, (), unsure(Reason.NO_POSITIVE), "no column"),
    (
        "no rows",
        {},
        (of(but(EXPORT, rows=0, origin=but(EXPORT.origin, rows=0))),),
        unsure(Reason.NO_POSITIVE),
        "no row",
    ),
]


@pytest.mark.parametrize(("case", "parameters", "columns", "expected", "said"), COVERAGE, ids=[c[0] for c in COVERAGE])
def test_coverage_of_a_data_set(
    case: str,
    parameters: dict[str, object],
    columns: tuple[ColumnFacts, ...],
    expected: tuple[Kind, tuple[Reason, ...]],
    said: str,
) -> None:
    sightings = tuple(Sighting(facts.column, "here", Assurance.OBSERVED, facts) for facts in columns)
    verdict = control("coverage", **parameters).judge(Sightings(sightings))
    assert (verdict.kind, verdict.reasons) == expected, verdict
    assert said in verdict.message
