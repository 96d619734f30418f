"""Listings end, whatever comes, and never look complete when they are not; calls keep their distance."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.aws.pace import Deadline, Pace
from probes.clouds.aws.pages import Page, collect, whole


def pages(*sizes: int, last: str | None = None) -> Callable[[str | None], Page[int]]:
    """Pages of so many items each; the last one has the token `last`."""

    def fetch(token: str | None) -> Page[int]:
        number = 0 if token is None else int(token)
        more = str(number + 1) if number + 1 < len(sizes) else last
        return Page(tuple(range(sizes[number])), more)

    return fetch


def test_all_pages_are_followed() -> None:
    listing = collect("x", pages(3, 0, 2))
    assert listing.items == (0, 1, 2, 0, 1)
    assert whole(listing) == listing.items


def test_a_circle_is_malformed() -> None:
    listing = collect("x", pages(1, 1, 1, last="1"))
    assert listing.short is not None
    assert listing.short.reason is Reason.MALFORMED
    assert len(listing.items) == 3
    with pytest.raises(ProbeError, match="circle"):
        whole(listing)


def endless(token: str | None) -> Page[int]:
    return Page((1,), str(int(token or "0") + 1))


@pytest.mark.parametrize(("limits", "found"), [({"max_pages": 7}, 7), ({"max_items": 5}, 5)])
def test_pages_that_never_end_are_not_covered(limits: dict[str, int], found: int) -> None:
    listing = collect("x", endless, **limits)
    assert listing.short is not None
    assert listing.short.reason is Reason.NOT_COVERED
    assert len(listing.items) == found


def test_a_listing_that_ends_exactly_at_the_bound_is_complete() -> None:
    assert collect("x", pages(3, 2), max_items=5).short is None


def test_a_later_page_that_fails_leaves_its_reason() -> None:
    def fetch(token: str | None) -> Page[int]:
        if token == "2":
            raise ProbeError(Reason.THROTTLED, "too fast")
        return endless(token)

    listing = collect("x", fetch)
    assert listing.items == (1, 1)
    assert listing.short is not None
    assert listing.short.reason is Reason.THROTTLED


def test_a_first_page_that_fails_is_a_failure() -> None:
    def fetch(token: str | None) -> Page[int]:
        raise ProbeError(Reason.PERMISSION_DENIED, "no")

    with pytest.raises(ProbeError):
        collect("x", fetch)


def test_a_huge_token_is_malformed() -> None:
    listing = collect("x", lambda token: Page((1,), "x" * 10_000))
    assert listing.short is not None
    assert listing.short.reason is Reason.MALFORMED


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 12), st.integers(1, 20))
def test_a_listing_is_complete_only_when_everything_is_there(sizes: list[int], max_pages: int, max_items: int) -> None:
    listing = collect("x", pages(*sizes), max_pages=max_pages, max_items=max_items)
    assert len(listing.items) <= max_items
    if listing.short is None:
        assert len(listing.items) == sum(sizes)


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_turns_are_evenly_spaced() -> None:
    time = FakeTime()
    pace, deadline = Pace(2, time.monotonic, time.sleep), Deadline(1000, time.monotonic)
    taken = []
    for _ in range(5):
        pace.turn("x", deadline)
        taken.append(time.now)
    assert taken == [100, 100.5, 101, 101.5, 102]


def test_a_turn_beyond_the_deadline_is_refused_at_once_and_not_kept() -> None:
    time = FakeTime()
    pace = Pace(1, time.monotonic, time.sleep)
    pace.turn("x", Deadline(200, time.monotonic))
    with pytest.raises(ProbeError) as caught:
        pace.turn("x", Deadline(100.5, time.monotonic))
    assert caught.value.reason is Reason.THROTTLED
    assert time.slept == []
    pace.turn("x", Deadline(200, time.monotonic))
    assert time.now == 101


def test_threads_share_one_pace() -> None:
    lock, slept = threading.Lock(), []

    def sleep(seconds: float) -> None:
        with lock:
            slept.append(seconds)

    pace, deadline = Pace(10, lambda: 0.0, sleep), Deadline(1000, lambda: 0.0)
    threads = [threading.Thread(target=pace.turn, args=("x", deadline)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == pytest.approx([number / 10 for number in range(1, 20)])


def test_the_deadline_keeps_a_tenth_of_the_budget() -> None:
    time = FakeTime()
    deadline = Deadline.of(10, time.monotonic)
    deadline.check("x")
    time.now += 9.5
    with pytest.raises(ProbeError) as caught:
        deadline.check("x")
    assert caught.value.reason is Reason.TIMEOUT
