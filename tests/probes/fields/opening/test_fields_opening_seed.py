"""The seed that nobody can grind, and bounds that are never too good."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.opening.price import negative_count, planned_calls, price, reserved_calls
from probes.fields.opening.seed import SCALE, sample_size, seed, upper_bound


def tail(n: int, failures: int, share: Fraction) -> Fraction:
    return sum(
        (comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(failures + 1)),
        Fraction(0),
    )


def test_both_parts_make_the_seed() -> None:
    first = seed("ab" * 32, b"r" * 32)
    assert len(first) == 32
    assert len({first, seed("ac" * 32, b"r" * 32), seed("ab" * 32, b"s" * 32)}) == 3
    assert seed("ab" * 32, b"r" * 32) == first


@pytest.mark.parametrize(("digest", "random"), [("AB" * 32, b"r" * 32), ("ab" * 31, b"r" * 32), ("ab" * 32, b"r" * 31)])
def test_what_is_no_digest_or_no_randomness_makes_none(digest: str, random: bytes) -> None:
    with pytest.raises(ValueError, match="the"):
        seed(digest, random)


def test_known_bounds() -> None:
    """By closed form: 1 - 0.05^(1/n) without failures; tables of Clopper and Pearson with."""
    assert upper_bound(300, 0) == (9_936_082, SCALE)
    assert upper_bound(10, 1)[0] == pytest.approx(0.39416 * SCALE, rel=1e-4)
    assert upper_bound(0, 0) == upper_bound(7, 7) == (1, 1)
    assert [sample_size((1, each)) for each in (100, 1_000, 10_000, 1_000_000)] == [299, 2_995, 29_956, 2_995_731]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.data(), st.sampled_from([(95, 100), (99, 100), (1, 2), (999_999, 1_000_000)]))
def test_a_bound_is_exact_and_never_below(n: int, data: st.DataObject, confidence: tuple[int, int]) -> None:
    failures = data.draw(st.integers(0, n - 1))
    parts, scale = upper_bound(n, failures, confidence)
    error = 1 - Fraction(*confidence)
    assert tail(n, failures, Fraction(parts, scale)) <= error
    assert tail(n, failures, Fraction(parts - 2, scale)) > error


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 2_000))
def test_a_sample_size_is_the_smallest_that_does(one_in: int) -> None:
    n = sample_size((1, one_in))
    parts = SCALE // one_in
    assert (SCALE - parts) ** n * 20 <= SCALE**n
    assert (SCALE - parts) ** (n - 1) * 20 > SCALE ** (n - 1)


def test_large_samples_take_no_time_and_nonsense_is_refused() -> None:
    assert upper_bound(100_000, 3) > upper_bound(100_000, 2) > upper_bound(100_000, 0)
    for n, failures in ((-1, 0), (3, 4), (200_000, 1_001)):
        with pytest.raises(ValueError, match="draws"):
            upper_bound(n, failures)
    for share in ((0, 1), (2, 1), (1, 10**12)):
        with pytest.raises(ValueError, match="share"):
            sample_size(share)
    with pytest.raises(ValueError, match="confidence"):
        upper_bound(3, 0, (1, 1))


def test_calls_are_planned_with_their_price() -> None:
    assert (negative_count(0), negative_count(3), negative_count(300)) == (0, 3, 30)
    assert planned_calls(300) == 390
    assert reserved_calls([300, 300], 10_000) == 180
    assert reserved_calls([300, 300], 100) == 20
    assert price(390).startswith("about 0.01 USD")
    assert price(1_000_000).startswith("about 3.00 USD")
