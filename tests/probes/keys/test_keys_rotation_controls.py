"""Controls over a rotation drill, on hand-made drills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_drills import BEGAN, changed, mark
from made_keys import APP, OTHER, VENDOR
from made_rotations import (
    NEW,
    OLD,
    OLDER,
    ORDINARY,
    SWITCHED,
    escrow,
    log,
    logged,
    material,
    reads,
    rotation,
    stored,
    under,
    write,
    writes,
)

from keycheck.model.facts import Unseen, seen
from keycheck.model.verdict import Assurance, Kind, Reason, Verdict
from probes.keys.drill_facts import Markers, Stop
from probes.keys.rotation_controls import Escrow, Rotation
from probes.keys.rotation_facts import Role, RotationFacts, Stored, Write
from probes.keys.timeline import Path, Saw

ROTATED = Rotation(within=timedelta(seconds=20))
ESCROWED = Escrow()
LOST = Unseen(reason=Reason.UNREACHABLE, detail="no answer")


def doubts(verdict: Verdict, reason: Reason, words: str = "") -> None:
    assert (verdict.kind, reason in verdict.reasons) == (Kind.INCONCLUSIVE, True), verdict
    assert words in verdict.message, verdict


def fails(verdict: Verdict, words: str) -> None:
    assert verdict.kind is Kind.FAIL, verdict
    assert words in verdict.message


def judged(found: tuple[Write, ...] | None = None, rule: Rotation = ROTATED, **fields: object) -> Verdict:
    return rule.judge(rotation(found, **fields))


def test_an_honest_vendor_passes_and_is_told_apart_from_its_key() -> None:
    verdict = judged()
    assert verdict.kind is Kind.PASS, verdict
    assert "49 writes in a row" in verdict.message
    assert "canaries alone" in verdict.message
    assert "canaries alone" not in judged(canary=False).message


def test_the_facts_are_caused_and_canonical() -> None:
    facts = rotation()
    outcome = seen(facts)
    assert outcome.assurance is Assurance.CAUSED
    assert RotationFacts.model_validate(outcome.facts.parsed()) == facts
    assert (facts.old_material, facts.new_material) == (OLD, NEW)
    assert facts.samples() > len(facts.writes)


def test_a_cache_passes_within_the_bound_and_fails_beyond_it() -> None:
    cached = writes(lambda second: NEW if second >= 11 else OLD)
    verdict = judged(cached)
    assert verdict.kind is Kind.PASS
    assert "the last old write ended 10.050 s after the act" in verdict.message
    short = Rotation(within=timedelta(seconds=5))
    wrapped_late = log(logged(*range(12, 100, 2)))
    fails(judged(cached, short, log=wrapped_late), "wrote 9.000 s after the switch under the old material")
    doubts(judged(cached, short), Reason.NOT_COVERED, "lags behind what is stored")
    doubts(judged(cached, Rotation(within=timedelta(seconds=8))), Reason.NOT_COVERED, "may be of the write before")


def test_the_old_material_for_ever_fails_by_what_the_cloud_says_of_the_stored_record() -> None:
    fails(judged(writes(lambda _: OLD)), "under the old material")
    fails(judged(writes(lambda _: OLDER)), "under the old material")


def test_the_old_material_for_ever_fails_by_the_silence_of_a_whole_log_alone() -> None:
    denied = tuple(
        each.model_copy(update={"stored": LOST}) if each.at_us >= 0 else each for each in writes(lambda _: OLD)
    )
    ours = log(ORDINARY[1])
    fails(judged(denied, log=ours), "no data key had been wrapped under the new material")
    doubts(judged(denied, log=log(ORDINARY[1], state="awaiting", why_not="15 minutes")), Reason.UNREACHABLE)
    missing = Markers(before="arrived", during="missing", after="arrived")
    doubts(judged(denied, log=ours, markers=missing), Reason.NOT_COVERED, "during")
    unnamed = logged(3, material=None)
    doubts(judged(denied, log=log(unnamed)), Reason.UNREACHABLE)
    somebody = logged(3, principal=OTHER)
    doubts(judged(denied, log=log(somebody)), Reason.UNREACHABLE)


def test_another_key_fails_once_it_is_late_and_is_no_baseline() -> None:
    fails(judged(writes(lambda s: Role.OTHER_KEY if s >= 0 else OLD)), "under another key")
    verdict = judged(tuple(w for w in writes(lambda s: Role.OTHER_KEY if s < 0 else NEW)))
    doubts(verdict, Reason.NO_POSITIVE, "not seen to write under the key just before")


def test_google_cloud_says_only_whether_it_was_the_primary_version() -> None:
    honest = writes(lambda s: Role.PRIMARY)
    names = {"provider": "gcp", "before": material("k/1"), "after": material("k/2"), "previous": ("k/1",)}
    uses = (logged(*range(2, 100, 2), material="k/2", operation="Encrypt"),)
    assert judged(honest, log=log(*uses), **names).kind is Kind.PASS
    kept = writes(lambda s: Role.PRIMARY if s < 0 else Role.NOT_PRIMARY)
    fails(judged(kept, log=log(*uses), **names), "under the old material")
    explicit = logged(90, material="k/1", operation="Encrypt", principal=APP)
    fails(judged(honest, log=log(*uses, explicit), **names), "did Encrypt under the old material")
    # Tidying up makes the old version primary again: what the vendor writes from then on is not held against it.
    tidied = logged(99.8, 101, material="k/1", operation="Encrypt", principal=APP)
    assert judged(honest, log=log(*uses, tidied), **names).kind is Kind.PASS


def test_where_nothing_is_shown_the_log_must_account_for_every_late_write() -> None:
    blind = writes(lambda _: None)
    accepted = Rotation(within=timedelta(seconds=20), callers="account")
    assert judged(blind).kind is Kind.PASS
    by_account = log(logged(*range(2, 100, 2), principal=VENDOR))
    doubts(judged(blind, log=by_account), Reason.UNSUPPORTED)
    assert judged(blind, accepted, log=by_account).kind is Kind.PASS
    once = log(logged(2))
    doubts(judged(blind, log=once), Reason.UNSUPPORTED)
    doubts(judged(blind, canary=False), Reason.UNSUPPORTED)  # it may be another record's data key
    doubts(judged(blind, clock_us=3_000_000), Reason.UNSUPPORTED)  # the writes cannot be told apart
    unknown = tuple(each.model_copy(update={"stored": LOST}) for each in blind)
    assert judged(unknown).kind is Kind.INCONCLUSIVE  # declared, and not seen: the log does not stand in for it


def test_a_stored_record_of_which_the_log_knows_nothing_conflicts() -> None:
    doubts(judged(log=log(ORDINARY[1])), Reason.CONFLICTING, "of which the log knows nothing")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"after": material(OLD)}, Reason.NO_POSITIVE),
        ({"after": material(OLDER)}, Reason.NO_POSITIVE),
        ({"after": material(NEW, OLD)}, Reason.PROPAGATION_PENDING),
        ({"after": LOST}, Reason.UNREACHABLE),
        ({"before": LOST}, Reason.UNREACHABLE),
        ({"switched_us": None}, Reason.PROPAGATION_PENDING),
        ({"acted": LOST}, Reason.UNREACHABLE),
        ({"restored": LOST}, Reason.UNREACHABLE),
        ({"log": LOST}, Reason.UNREACHABLE),
        ({"markers": LOST}, Reason.UNREACHABLE),
        ({"log": log(*ORDINARY, muted=("x",))}, Reason.NOT_COVERED),
        ({"stops": (Stop(at=BEGAN, what="a record under another key was refused"),)}, Reason.NOT_COVERED),
        ({"writes": ()}, Reason.NOT_COVERED),
        ({"timelines": ()}, Reason.NOT_COVERED),
    ],
)  # fmt: skip
def test_what_is_not_known_is_never_a_pass(fields: dict[str, object], reason: Reason) -> None:
    doubts(ROTATED.judge(rotation(**fields)), reason)


def test_a_write_under_the_old_material_begins_the_count_anew() -> None:
    last = writes(lambda second: OLD if second < SWITCHED or second == 16 else NEW)
    assert "41 writes in a row" in judged(last).message
    doubts(judged(last, Rotation(within=timedelta(seconds=20), writes=45)), Reason.NOT_COVERED, "41 writes in a row")


def test_too_few_writes_or_too_short_a_time_is_open() -> None:
    doubts(judged(rule=Rotation(within=timedelta(seconds=20), writes=60)), Reason.NOT_COVERED, "not 60")
    doubts(judged(rule=Rotation(within=timedelta(seconds=20), quiet=timedelta(minutes=5))), Reason.NOT_COVERED)
    broken = tuple(
        each if each.at_us != 96_000_000 else write(96, stored(96, under(OLD, 96), anew=False)) for each in writes()
    )
    doubts(judged(broken), Reason.CONFLICTING, "same stored value")
    gap = tuple(each for each in writes() if not 0 <= each.at_us < 50_000_000)
    doubts(judged(gap), Reason.NOT_COVERED, "only seen")


@pytest.mark.parametrize(("said", "words"), [("refused", "was refused"), ("unavailable", "was not acknowledged")])
def test_writes_that_the_vendor_does_not_take_are_open(said: str, words: str) -> None:
    found = tuple(write(2 * n, LOST, said=said) if n > 20 else write(2 * n) for n in range(-5, 45))
    verdict = judged(found)
    assert verdict.kind is Kind.INCONCLUSIVE
    assert words in verdict.message


def test_old_records_must_stay_readable() -> None:
    lost = changed(reads(), Path.OTHER, Saw.WITHHELD, 5, 1060)
    fails(ROTATED.judge(rotation(samples=lost)), "old record (old) was refused")
    doubts(ROTATED.judge(rotation(samples=lost, restored=LOST)), Reason.NOT_COVERED, "not us either")
    down = changed(reads(), Path.OTHER, Saw.UNAVAILABLE, 5, 9)
    doubts(ROTATED.judge(rotation(samples=down)), Reason.UNREACHABLE)
    other = changed(reads(), Path.CONTROL_RECORD, Saw.WITHHELD, 5, 9)
    doubts(ROTATED.judge(rotation(samples=other)), Reason.CONFLICTING)


def test_escrow_is_proved_for_every_material_of_the_key_itself() -> None:
    doubts(ESCROWED.judge(rotation()), Reason.NOT_COVERED, "only a canary's own key")
    whole: dict[str, object] = {"canary": False}
    assert ESCROWED.judge(rotation(**whole)).kind is Kind.PASS
    assert ESCROWED.judge(rotation(**whole, incoming="sealed")).kind is Kind.PASS
    doubts(ESCROWED.judge(rotation(**whole, incoming="unkept")), Reason.NOT_COVERED, "kept nowhere")
    for left in (OLDER, OLD):
        some = escrow(*({OLDER, OLD} - {left}))
        doubts(ESCROWED.judge(rotation(canary=False, escrow=some)), Reason.NOT_COVERED, "was not tried")
    denied = Unseen(reason=Reason.PERMISSION_DENIED, detail="kms:ImportKeyMaterial")
    refused = (*escrow(OLDER), escrow(OLD)[0].model_copy(update={"proof": denied}))
    doubts(ESCROWED.judge(rotation(canary=False, escrow=refused)), Reason.PERMISSION_DENIED)
    assert ESCROWED.judge(rotation(canary=False, imported=False, escrow=())).kind is Kind.NOT_APPLICABLE
    doubts(ESCROWED.judge(rotation(**whole, after=LOST)), Reason.UNREACHABLE)


WORSE = st.sampled_from(("under", "stored", "said", "markers", "log", "after", "before", "restored", "escrow", "read"))
RULES = st.sampled_from((OLD, NEW, OLDER, Role.OTHER_KEY, Role.PRIMARY, Role.NOT_PRIMARY))


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, min_size=11, max_size=11), WORSE, st.integers(0, 10), st.booleans())
def test_less_evidence_never_makes_a_pass(what: list[str | Role], worse: str, at: int, quiet_log: bool) -> None:
    found = writes(lambda s: what[int((s + 10) // 10)] if s >= 0 else OLD, step=5)
    fields: dict[str, object] = {"canary": False}
    if quiet_log:
        fields["log"] = log(ORDINARY[1])
    before = rotation(found, **fields)
    after = _less(before, worse, at)
    rule = Rotation(within=timedelta(seconds=10), writes=2)
    for control in (rule, ESCROWED):
        with_all, with_less = control.judge(before), control.judge(after)
        assert with_less.kind is not Kind.PASS or with_all.kind is Kind.PASS, (with_all, with_less)
        assert with_less.kind is not Kind.FAIL or with_all.kind is Kind.FAIL, (with_all, with_less)


def _less(facts: RotationFacts, worse: str, at: int) -> RotationFacts:
    if worse in ("markers", "log", "after", "before", "restored"):
        return facts.model_copy(update={worse: LOST})
    if worse == "escrow":
        return facts.model_copy(update={"escrow": facts.escrow[: at % 2]})
    if worse == "read":
        samples = [replace(s, saw=Saw.UNAVAILABLE) if i == at else s for i, s in enumerate(reads())]
        return facts.model_copy(update={"timelines": rotation(samples=samples).timelines})
    kept = list(facts.writes)
    one = kept[at * 2 % len(kept)]
    kept[at * 2 % len(kept)] = one.model_copy(update=_lost(one, worse))
    return facts.model_copy(update={"writes": tuple(kept)})


def _lost(one: Write, worse: str) -> dict[str, object]:
    if worse == "said":
        return {"said": "unavailable"}
    if worse == "under" and isinstance(one.stored, Stored):
        return {"stored": one.stored.model_copy(update={"under": LOST})}
    return {"stored": LOST}


def test_a_host_that_slept_blames_nobody_and_proves_nothing() -> None:
    """Sixty seconds that only the wall's clock saw: every wrap is logged that much later than it was measured."""
    slept = {
        name: mark(second).model_copy(update={"at": BEGAN + timedelta(seconds=second + 60)})
        for name, second in (("acted", 0.5), ("undoing", 100), ("undone", 101))
    }
    shifted = log(logged(*range(62, 160, 2)))
    doubts(judged(writes(lambda _: None), log=shifted, **slept), Reason.CLOCK_UNTRUSTED, "slept")
    doubts(judged(**slept), Reason.CLOCK_UNTRUSTED)
