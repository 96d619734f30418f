"""Timelines: from reads to when access ended and came back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.keys.timeline import MAX_OUTAGES, Path, PathTimeline, Sample, Saw, fold, fold_all

SECOND = 1_000_000
R, W, D, U = Saw.READABLE, Saw.WITHHELD, Saw.DENIED, Saw.UNAVAILABLE


def at(second: float, saw: Saw, took: float = 0.05) -> Sample:
    return Sample(Path.VENDOR_WARM, round(second * SECOND), round(took * SECOND), saw, f"said {saw}")


def line(*samples: Sample, quiet: float = 10, undo: float | None = 1000) -> PathTimeline:
    return fold(samples, round(quiet * SECOND), None if undo is None else round(undo * SECOND))


def test_eight_pods_with_a_cache_of_300_seconds_are_timed_by_their_last_success() -> None:
    filled = (-262, -255, -241, -190, -150, -120, -72, -33)  # when each pod last asked for the data key
    chance = random.Random(4)  # the load balancer
    samples = [
        at(t / 4, R if t < 0 or t / 4 < 300 + filled[pod] else W)
        for t in range(-40, 2400)
        for pod in [chance.randrange(8)]
    ]
    seen = line(*samples, undo=600)
    assert seen.first_refusal is not None
    assert seen.last_success is not None
    assert 38 * SECOND <= seen.first_refusal.at_us < 42 * SECOND
    assert 262 * SECOND <= seen.last_success.at_us < 267 * SECOND
    assert seen.refused is not None
    assert seen.last_success.at_us < seen.refused.at_us <= seen.last_success.at_us + 2 * SECOND
    assert seen.confirmed
    assert seen.resolution_us == SECOND // 4
    assert not seen.outages


def test_no_quiet_period_confirms_nothing() -> None:
    seen = line(at(-1, R), at(1, R), at(2, W), at(5, W), quiet=10)
    assert (seen.quiet_us, seen.confirmed) == (3 * SECOND, False)


def test_a_path_that_fails_open_never_refuses() -> None:
    seen = line(*(at(t, R) for t in range(-5, 900)))
    assert seen.refused is None
    assert not seen.confirmed
    assert seen.latency_us == 899 * SECOND


def test_flapping_is_timed_by_the_last_success() -> None:
    seen = line(*(at(t, R if t < 0 or t in (40, 90) else W) for t in range(-5, 200)))
    assert seen.latency_us == 90 * SECOND
    assert seen.refused is not None
    assert seen.refused.at_us == 91 * SECOND
    assert seen.quiet_us == 108 * SECOND


def test_an_outage_is_no_refusal_and_no_quiet() -> None:
    outage = [at(t, U, took=1) for t in range(50, 60)]
    seen = line(at(-1, R), at(1, R), *(at(t, W) for t in range(2, 50)), *outage, *(at(t, W) for t in range(60, 200)))
    assert (seen.unknown, seen.quiet_us, seen.confirmed) == (10, 0, False)
    assert [(o.from_us, o.until_us, o.reads) for o in seen.outages] == [(50 * SECOND, 60 * SECOND, 10)]
    assert seen.words == (f"said {U}", f"said {W}")


def test_an_outage_before_the_last_success_hides_nothing() -> None:
    seen = line(at(-1, R), at(3, U), at(10, R), *(at(t, W) for t in range(11, 60)))
    assert seen.confirmed
    assert len(seen.outages) == 1


def test_a_read_that_was_still_running_puts_off_the_quiet() -> None:
    slow = at(100, R, took=30)
    seen = line(at(-1, R), slow, *(at(t, W) for t in range(101, 200)))
    assert seen.refused is not None
    assert seen.refused.at_us == 130 * SECOND


def test_reads_astride_the_act_and_the_undo_count_to_no_wrong_side() -> None:
    seen = line(
        at(-0.5, R, took=2), at(-0.4, W, took=2), *(at(t, W) for t in range(3, 100)), at(99.5, R, took=2),
        at(102, R), at(103, R), undo=100,
    )  # fmt: skip
    assert (seen.before.readable, seen.before.refused) == (1, 0)
    assert seen.first_refusal is not None
    assert seen.first_refusal.at_us < 0
    assert seen.last_success is None
    assert seen.astride.readable == 1
    assert seen.again is not None
    assert seen.again.at_us == 102 * SECOND


def test_recovery_is_the_first_success_after_the_last_trouble() -> None:
    seen = line(at(-1, R), at(5, W), at(101, R), at(102, W), at(103, U), at(104, R), at(110, R), undo=100)
    assert seen.again is not None
    assert seen.again.at_us == 101 * SECOND
    assert seen.steady is not None
    assert (seen.steady.at_us, seen.steady_us) == (104 * SECOND, 6 * SECOND)
    assert seen.last_refusal_after is not None
    assert seen.last_refusal_after.at_us == 102 * SECOND


def test_the_gap_to_the_first_read_is_a_gap() -> None:
    assert line(at(-1, R), at(7, W), at(8, W)).resolution_us == 7 * SECOND
    assert line(at(-1, R)).resolution_us is None


def test_outages_are_bounded() -> None:
    seen = line(*(at(t, U if t % 2 else R) for t in range(400)))
    assert len(seen.outages) == MAX_OUTAGES
    assert seen.more_outages == 200 - MAX_OUTAGES


def test_what_is_no_timeline_is_refused() -> None:
    other = replace(at(1, R), path=Path.SEARCH)
    for samples in ([], [at(1, R), other], [replace(at(1, R), took_us=-1)]):
        with pytest.raises(ValueError, match=r"timeline|negative"):
            fold(samples, 0, None)
    assert [t.path for t in fold_all([at(1, R), other], 0, None)] == [Path.SEARCH, Path.VENDOR_WARM]


SAMPLES = st.lists(
    st.builds(at, st.integers(-20, 200), st.sampled_from(Saw), st.sampled_from((0.05, 3.0))), min_size=1, max_size=30
)


@settings(max_examples=300, deadline=None)
@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_samples_never_matters(samples: list[Sample], chance: random.Random) -> None:
    mixed = list(samples)
    chance.shuffle(mixed)
    assert line(*samples, undo=100) == line(*mixed, undo=100)


@settings(max_examples=300, deadline=None)
@given(SAMPLES, st.integers(1, 90))
def test_a_later_success_never_shortens_the_latency(samples: list[Sample], second: int) -> None:
    before = line(*samples, undo=100)
    after = line(*samples, at(second, R), undo=100)
    assert after.latency_us >= max(before.latency_us, second * SECOND)
    assert after.quiet_us <= before.quiet_us or before.unknown


@settings(max_examples=300, deadline=None)
@given(SAMPLES, st.data())
def test_what_is_unavailable_never_counts_as_withheld(samples: list[Sample], data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, len(samples) - 1))
    whole = line(*samples, undo=100)
    less = line(*(replace(s, saw=U) if i == lost else s for i, s in enumerate(samples)), undo=100)
    assert less.during.refused <= whole.during.refused
    assert whole.confirmed or not less.confirmed
    assert line(*(replace(s, saw=U) for s in samples), undo=100).refused is None
