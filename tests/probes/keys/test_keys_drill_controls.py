"""Controls over a revoke drill, on hand-made drills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_drills import BEGAN, ORDINARY, SECOND, UNDO, changed, drill, honest, mark, poll, until, use, uses, without
from made_keys import ADMIN, G_AGREED, G_APP, OTHER, VENDOR
from pydantic import ValidationError

from keycheck.model.facts import Unseen, seen
from keycheck.model.verdict import Assurance, Kind, Reason, Verdict
from probes.keys.drill_controls import AvailabilityCopy, Recovery, Revocation
from probes.keys.drill_facts import (
    AvailabilityAnswer,
    Markers,
    Match,
    RevocationFacts,
    Scope,
    Stop,
    Unsupported,
)
from probes.keys.subjects import Agreed
from probes.keys.timeline import VENDOR_PATHS, Path, Sample, Saw, fold

R, W, D, U = Saw.READABLE, Saw.WITHHELD, Saw.DENIED, Saw.UNAVAILABLE
REVOKED = Revocation(within=timedelta(minutes=5))
RECOVERED = Recovery(within=timedelta(seconds=30))
NO_COPY = AvailabilityCopy()
RULES = (REVOKED, RECOVERED, NO_COPY)


def revoked(samples: list[Sample] | None = None, rule: Revocation = REVOKED, **fields: object) -> Verdict:
    return rule.judge(drill(samples, **fields))


def doubts(verdict: Verdict, reason: Reason, words: str = "") -> None:
    assert (verdict.kind, reason in verdict.reasons) == (Kind.INCONCLUSIVE, True), verdict
    assert words in verdict.message


def fails(verdict: Verdict, words: str) -> None:
    assert verdict.kind is Kind.FAIL, verdict
    assert words in verdict.message


@pytest.mark.parametrize("rule", RULES)
def test_an_honest_vendor_passes(rule: Revocation) -> None:
    verdict = rule.judge(drill())
    assert verdict.kind is Kind.PASS, verdict


def test_the_facts_are_caused_canonical_and_count_their_reads() -> None:
    facts = drill()
    outcome = seen(facts)
    assert outcome.assurance is Assurance.CAUSED
    assert RevocationFacts.model_validate(outcome.facts.parsed()) == facts
    assert facts.samples() == len(honest())
    assert facts.resolution_us == 2 * SECOND
    assert {(path, late) for path, _, late in facts.recovered() if path in VENDOR_PATHS} == {
        (path, 4 * SECOND + 40_000) for path in (Path.VENDOR_COLD, Path.VENDOR_WARM, Path.SEARCH)
    }


def test_a_cache_is_judged_by_the_bound_and_named_with_its_last_success() -> None:
    assert "4 min 26 s" in revoked().message
    fails(revoked(rule=Revocation(within=timedelta(minutes=4))), "vendor-warm read the canary 4 min 26 s after the act")


def test_a_bound_between_what_is_sure_for_and_against_the_vendor_is_open() -> None:
    # last read at 266 s, sentinel denied by 4.04 s: 261.96 s are surely the vendor's
    fails(revoked(rule=Revocation(within=timedelta(seconds=261))), "after our own principal was stably denied")
    doubts(revoked(rule=Revocation(within=timedelta(seconds=263))), Reason.PROPAGATION_PENDING)
    doubts(revoked(rule=Revocation(within=timedelta(seconds=267))), Reason.NOT_COVERED, "first seen refused")
    assert revoked(rule=Revocation(within=timedelta(seconds=269))).kind is Kind.PASS


@pytest.mark.parametrize("path", [Path.VENDOR_COLD, Path.VENDOR_WARM, Path.SEARCH, Path.EXPORT])
def test_a_path_that_stays_open_fails_also_where_the_others_refuse(path: Path) -> None:
    samples = [*without(honest(), path), *poll(path, lambda _: R)]
    fails(revoked(samples), str(path))


def test_a_hard_coded_copy_fails_only_with_a_log_whose_silence_counts() -> None:
    samples = honest()
    for path in (Path.VENDOR_COLD, Path.VENDOR_WARM, Path.SEARCH):
        samples = [*without(samples, path), *poll(path, lambda _: R)]
    fails(revoked(samples), "vendor-cold")
    awaiting = uses(*ORDINARY, state="awaiting", why_not="entries may take fifteen minutes")
    doubts(revoked(samples, log=awaiting), Reason.NOT_COVERED, "unless the restriction never met the vendor")
    contextless = uses(*ORDINARY, use(500, match=Match.NONE))
    doubts(revoked(samples, log=contextless), Reason.CONFLICTING, "may not have met it")


def test_before_the_sentinel_is_stably_denied_a_readable_record_says_nothing() -> None:
    samples = [*without(honest(), Path.SENTINEL), *poll(Path.SENTINEL, lambda _: R)]
    samples = [*without(samples, Path.VENDOR_WARM), *poll(Path.VENDOR_WARM, lambda _: R)]
    doubts(revoked(samples), Reason.PROPAGATION_PENDING)
    flapping = changed(honest(), Path.SENTINEL, R, 960, 970)
    doubts(revoked(flapping), Reason.PROPAGATION_PENDING, "sentinel was refused for 28.000 s only")


def test_a_cloud_that_is_slower_than_the_bound_condemns_nobody() -> None:
    samples = [*poll(Path.CONTROL_RECORD, lambda _: R), *poll(Path.SENTINEL, until(420, D))]
    samples += [s for path in (Path.VENDOR_COLD, Path.VENDOR_WARM) for s in poll(path, until(430))]
    doubts(revoked(samples), Reason.PROPAGATION_PENDING)


def test_a_sentinel_that_never_read_or_is_missing_in_a_region_measures_nothing() -> None:
    doubts(revoked(changed(honest(), Path.SENTINEL, D, -20, 3)), Reason.NO_POSITIVE, "sentinel never read")
    two = Scope(context_names=("keycheck-canary",), regions=2)
    doubts(revoked(scope=two), Reason.NOT_COVERED, "watched in 1 of 2 Regions")


@pytest.mark.parametrize(
    ("start", "end"), [(100, 104), (UNDO - 4, UNDO), (0, UNDO)], ids=["blip", "at the end", "throughout"]
)
@pytest.mark.parametrize("path", [Path.CONTROL_RECORD, Path.SENTINEL, Path.VENDOR_COLD])
def test_an_outage_never_reads_as_revocation(path: Path, start: int, end: int) -> None:
    doubts(revoked(changed(honest(), path, U, start, end)), Reason.UNREACHABLE)


def test_an_outage_of_everything_is_an_outage() -> None:
    samples = [replace(s, saw=U) if s.at_us >= 0 else s for s in honest()]
    for rule in RULES:
        doubts(rule.judge(drill(samples)), Reason.UNREACHABLE)


def test_a_refused_control_record_is_a_wider_effect_than_was_meant() -> None:
    doubts(revoked(changed(honest(), Path.CONTROL_RECORD, W, 100, 200)), Reason.CONFLICTING)
    doubts(revoked(without(honest(), Path.CONTROL_RECORD)), Reason.NOT_COVERED, "may have been an outage")
    short = [s for s in honest() if s.path is not Path.CONTROL_RECORD or s.at_us < 500 * SECOND]
    doubts(revoked(short), Reason.NOT_COVERED, "no longer watched")


def test_a_witness_that_never_worked_proves_nothing() -> None:
    never = [*without(honest(), Path.VENDOR_COLD), *poll(Path.VENDOR_COLD, lambda _: W)]
    doubts(revoked(never), Reason.NO_POSITIVE)
    dead = [*without(honest(), Path.VENDOR_COLD), *poll(Path.VENDOR_COLD, lambda _: U)]
    doubts(revoked(dead), Reason.NO_POSITIVE)
    doubts(revoked(changed(honest(), Path.VENDOR_COLD, W, -10, -6)), Reason.CONFLICTING, "before the act, too")
    doubts(revoked(changed(honest(), Path.VENDOR_COLD, U, -10, -6)), Reason.UNREACHABLE, "before the act, too")


def test_no_quiet_period_is_open() -> None:
    rule = Revocation(within=timedelta(minutes=5), quiet=timedelta(minutes=15))
    doubts(revoked(changed(honest(), Path.VENDOR_COLD, R, 290, 292), rule), Reason.NOT_COVERED, "not for 15 min 0 s")


def test_flapping_within_the_bound_passes_and_beyond_it_fails() -> None:
    assert revoked(changed(honest(), Path.VENDOR_COLD, R, 200, 202)).kind is Kind.PASS
    fails(revoked(changed(honest(), Path.VENDOR_COLD, R, 700, 702)), "vendor-cold read the canary 11 min 40 s")


def test_paths_that_were_not_looked_at_are_named_with_the_reason() -> None:
    why = Unsupported(path=Path.VENDOR_COLD, why="the vendor caches by tenant")
    doubts(revoked(without(honest(), Path.VENDOR_COLD), unsupported=(why,)), Reason.NOT_COVERED, "caches by tenant")


def test_sparse_reads_are_stated_and_refused() -> None:
    gap = [s for s in honest() if s.path is not Path.VENDOR_WARM or not 400 <= s.at_us / SECOND < 500]
    doubts(revoked(gap), Reason.NOT_COVERED, "1 min 42 s at a time")


def test_stop_conditions_leave_it_open() -> None:
    stop = Stop(at=BEGAN, what="a record outside the scope was refused")
    doubts(revoked(stops=(stop,)), Reason.NOT_COVERED, "stopped early")


def test_a_use_of_the_key_on_the_canary_after_stable_denial_fails() -> None:
    late = uses(*ORDINARY, use(1, 600, match=Match.CANARY, count=40))
    fails(revoked(log=late), "with the canary's context, after our own principal was stably denied")
    near = uses(*ORDINARY, use(0, 5.5, match=Match.CANARY))  # within what two clocks can differ
    assert revoked(log=near).kind is Kind.PASS
    at_the_undo = uses(*ORDINARY, use(1, UNDO - 1, match=Match.CANARY))
    doubts(revoked(log=at_the_undo), Reason.CONFLICTING, "too close to the undo")
    ours = uses(*ORDINARY, use(600, match=Match.CANARY, principal="arn:aws:iam::111122223333:role/drill"))
    doubts(revoked(log=ours), Reason.CONFLICTING, "while the sentinel was denied")


def test_an_undeclared_principal_fails_whatever_it_read() -> None:
    fails(revoked(log=uses(*ORDINARY, use(500, principal=OTHER))), f"{OTHER} did Decrypt")
    theirs = revoked(log=uses(*ORDINARY, use(500, principal=ADMIN)))
    doubts(theirs, Reason.CONFLICTING, "the customer's own, and not declared to use the key")
    by_grant = use(500, principal=OTHER, grant="0c237476b39f8bc44e45212e08498fbe")
    fails(revoked(log=uses(*ORDINARY, by_grant)), "through grant 0c23")
    granted = use(500, grant="0c237476b39f8bc44e45212e08498fbe")
    doubts(revoked(log=uses(*ORDINARY, granted)), Reason.CONFLICTING, "which no declaration covers")
    mine = "arn:aws:iam::111122223333:role/keycheck-sentinel"
    assert revoked(log=uses(*ORDINARY, use(500, principal=mine)), ours=(mine,)).kind is Kind.PASS


def test_a_caller_known_by_its_account_only_is_open_until_that_is_accepted() -> None:
    log = uses(*ORDINARY, use(500, principal=VENDOR))
    doubts(revoked(log=log), Reason.NOT_COVERED, "by account 444455556666 only")
    accepted = Revocation(within=timedelta(minutes=5), callers="account")
    assert revoked(rule=accepted, log=log).kind is Kind.PASS
    late = uses(*ORDINARY, use(500, principal=VENDOR, match=Match.CANARY))
    fails(revoked(rule=accepted, log=late), "with the canary's context")


def test_google_cloud_principals_are_known_by_their_address() -> None:
    log = uses(use(0, 2, principal=G_APP.partition(":")[2], match=Match.CANARY))
    assert revoked(provider="gcp", agreed=G_AGREED, log=log).kind is Kind.PASS
    fails(revoked(provider="gcp", agreed=G_AGREED, log=uses(use(9, principal="x@y.example"))), "x@y.example")
    grouped = Agreed(vendor=("group:crm@vendor.example",))
    doubts(revoked(provider="gcp", agreed=grouped, log=log), Reason.NOT_COVERED, "in the declared groups")


@pytest.mark.parametrize("place", ["before", "during", "after"])
def test_silence_counts_only_between_marks_that_arrived(place: str) -> None:
    marks = {"before": "arrived", "during": "arrived", "after": "arrived"} | {place: "missing"}
    doubts(revoked(markers=Markers.model_validate(marks)), Reason.NOT_COVERED, place)


def test_a_log_that_is_muted_denied_or_without_declared_vendor_passes_nothing() -> None:
    doubts(revoked(log=uses(*ORDINARY, muted=("kms.amazonaws.com events",))), Reason.NOT_COVERED, "silent about")
    denied = Unseen(reason=Reason.PERMISSION_DENIED, detail="cloudtrail:LookupEvents")
    doubts(revoked(log=denied), Reason.PERMISSION_DENIED)
    doubts(revoked(markers=denied), Reason.PERMISSION_DENIED)
    doubts(revoked(agreed=Agreed()), Reason.NOT_COVERED, "agreed.vendor")
    doubts(revoked(acted=denied), Reason.PERMISSION_DENIED)


def test_the_sooner_the_undo_the_less_is_proved() -> None:
    hasty = [s for s in honest() if s.at_us < 200 * SECOND]
    doubts(revoked(hasty), Reason.NOT_COVERED, "vendor-warm was never seen refused")


def test_recovery_is_the_vendors_and_within_its_bound() -> None:
    slow = [*without(honest(), Path.SEARCH), *poll(Path.SEARCH, until(30, back=UNDO + 50))]
    fails(RECOVERED.judge(drill(slow)), "search was still withheld")
    never = [*without(honest(), Path.SEARCH), *poll(Path.SEARCH, until(30, back=9999))]
    fails(RECOVERED.judge(drill(never)), "search was still withheld")
    down = changed(honest(), Path.SEARCH, U, UNDO, 9999)
    doubts(RECOVERED.judge(drill(down)), Reason.UNREACHABLE, "not seen to read steadily")
    late = changed(honest(), Path.SEARCH, U, UNDO, UNDO + 40)
    doubts(RECOVERED.judge(drill(late)), Reason.UNREACHABLE, "after the undo")
    short = [s for s in honest() if s.at_us < (UNDO + 6) * SECOND]
    doubts(RECOVERED.judge(drill(short)), Reason.NOT_COVERED, "only")


def test_without_our_own_restore_no_vendor_is_blamed() -> None:
    never = [*without(honest(), Path.SEARCH), *poll(Path.SEARCH, until(30, back=9999))]
    unproved = Unseen(reason=Reason.PERMISSION_DENIED, detail="kms:GetKeyPolicy")
    doubts(RECOVERED.judge(drill(never, restored=unproved)), Reason.PERMISSION_DENIED)
    doubts(RECOVERED.judge(drill(never, undone=unproved)), Reason.PERMISSION_DENIED)
    ours = [*without(never, Path.SENTINEL), *poll(Path.SENTINEL, until(3, D, back=9999))]
    doubts(RECOVERED.judge(drill(ours)), Reason.PROPAGATION_PENDING)


def test_a_host_that_slept_blames_nobody_and_proves_nothing() -> None:
    slept = {
        name: mark(second).model_copy(update={"at": BEGAN + timedelta(seconds=second + 60)})
        for name, second in (("acted", 1), ("undoing", UNDO), ("undone", UNDO + 1))
    }
    before_it_spread = uses(*ORDINARY, use(30, match=Match.CANARY))
    doubts(revoked(log=before_it_spread, **slept), Reason.CLOCK_UNTRUSTED, "slept")
    doubts(revoked(**slept), Reason.CLOCK_UNTRUSTED)
    doubts(RECOVERED.judge(drill(**slept)), Reason.CLOCK_UNTRUSTED)


def test_a_refusal_now_and_then_is_no_loss_that_could_be_recovered() -> None:
    samples = honest()
    for path in sorted(VENDOR_PATHS):
        samples = changed(changed(samples, path, R, 0, UNDO), path, W, 100, 101)
    doubts(RECOVERED.judge(drill(samples)), Reason.NO_POSITIVE, "for good")


def test_what_was_lost_while_our_own_principal_read_on_was_lost_for_another_reason() -> None:
    doubts(RECOVERED.judge(drill(changed(honest(), Path.SENTINEL, R, 0, UNDO))), Reason.NOT_COVERED, "another cause")
    doubts(RECOVERED.judge(drill(without(honest(), Path.SENTINEL))), Reason.NOT_COVERED, "another cause")


def test_what_was_never_lost_proves_no_recovery() -> None:
    samples = [*without(honest(), *VENDOR_PATHS), *poll(Path.VENDOR_WARM, lambda _: R)]
    doubts(RECOVERED.judge(drill(samples)), Reason.NO_POSITIVE)
    unread = changed(honest(), Path.SEARCH, U, -20, 0)
    doubts(RECOVERED.judge(drill(unread)), Reason.NO_POSITIVE, "search never read its record")


def answer(end: float) -> AvailabilityAnswer:
    line = fold(poll(Path.OTHER, until(end), "dr"), 60 * SECOND, UNDO * SECOND)
    return AvailabilityAnswer(resource="arn:aws:kms:eu-west-1:444455556666:key/dr", seen=line)


def test_a_declared_copy_that_still_answers_fails() -> None:
    assert NO_COPY.judge(drill(availability=(answer(4),))).kind is Kind.PASS
    fails(NO_COPY.judge(drill(availability=(answer(9999),))), "key/dr gave the canary out")
    unsupported = Unseen(reason=Reason.UNSUPPORTED, detail="the vendor offers no way to ask it")
    unasked = AvailabilityAnswer(resource="arn:aws:kms:eu-west-1:444455556666:key/dr", seen=unsupported)
    doubts(NO_COPY.judge(drill(availability=(unasked,))), Reason.UNSUPPORTED)


def test_a_copy_that_is_not_declared_is_open_where_a_path_stays_readable() -> None:
    samples = [*without(honest(), Path.SEARCH), *poll(Path.SEARCH, lambda _: R)]
    doubts(NO_COPY.judge(drill(samples)), Reason.NOT_COVERED, "search was never seen refused")


def test_a_sentinel_that_was_never_allowed_blames_no_copy() -> None:
    samples = changed(honest(), Path.SENTINEL, D, -20, 3)
    doubts(NO_COPY.judge(drill(samples, availability=(answer(9999),))), Reason.NO_POSITIVE)


def test_only_paths_of_the_vendor_can_be_demanded() -> None:
    for paths in (["sentinel"], []):
        with pytest.raises(ValidationError, match="paths of the vendor"):
            Revocation.model_validate({"within": "PT5M", "paths": paths})


OUTCOMES = st.sampled_from(Saw)
PATHS = st.sampled_from((Path.SENTINEL, Path.CONTROL_RECORD, Path.VENDOR_COLD, Path.VENDOR_WARM, Path.SEARCH))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PATHS, OUTCOMES, st.integers(-20, 1060), st.integers(1, 300)), max_size=4), st.data())
def test_losing_a_read_never_makes_a_pass(changes: list[tuple[Path, Saw, int, int]], data: st.DataObject) -> None:
    samples = [s for s in honest() if s.at_us % (20 * SECOND) == 0]
    for path, saw, start, length in changes:
        samples = changed(samples, path, saw, start, start + length)
    lost = data.draw(st.integers(0, len(samples) - 1))
    fewer = [replace(s, saw=U) if i == lost else s for i, s in enumerate(samples)]
    wide = timedelta(seconds=50)
    rules = (Revocation(within=timedelta(seconds=300), resolution=wide), RECOVERED, AvailabilityCopy(resolution=wide))
    for rule in rules:
        before, after = rule.judge(drill(samples)), rule.judge(drill(fewer))
        assert after.kind is not Kind.PASS or before.kind is Kind.PASS, (before, after)
        assert after.kind is not Kind.FAIL or before.kind is Kind.FAIL, (before, after)
