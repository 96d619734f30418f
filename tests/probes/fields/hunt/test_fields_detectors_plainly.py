"""What Rust's engine tells beyond doubt is what Python would have told."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.hunt import detectors
from probes.fields.hunt.detectors import DETECTORS, Found, Trigger, detect

SLOW = tuple(
    dataclasses.replace(
        each,
        plainly="",
        rough=each.rough or each.pattern,
        pattern=each.pattern.replace("(?s)^.+$", r"(?s)\A.+\Z"),
    )
    for each in DETECTORS
)
"""Every candidate is asked, and Rust's engine leaves the edges to Python's."""
PARTS = st.sampled_from(
    ["anna", "A-b", ".", "..", "-", "_", "+", "@", "@", "%40", "example", ".org", ".de", ".js", ".PNG", ".map",
     ".xn--p1ai", " ", "\n", "é", "ß", "Ümit", "Anna", "Schmidt", "x" * 64, "y" * 190, "1", "icon@2x.png",
     "4111 1111 1111 1111", "+32 475 12 34 56", "BE68 5390 0754 7034", "12345678Z", "85.07.30-033.28", "44051401359",
     "2a00:1450:400e:80c::200e", "93.184.216.34", "DEUTDEFF", "+4915112345678", "+999", "00", "078-05-1120",
     "0475 12 34 56", "1984-02-29"]
)  # fmt: skip


def _slowly(values: list[str]) -> tuple[Found, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "DETECTORS", SLOW)
        return detect(pa.array(values, pa.large_string()))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PARTS, max_size=8).map("".join), min_size=1, max_size=12))
def test_quickly_told_is_what_would_have_been_told_one_by_one(values: list[str]) -> None:
    assert detect(pa.array(values, pa.large_string())) == _slowly(values)


def test_only_kinds_that_learn_nothing_from_failures_are_told_quickly() -> None:
    quick = [each for each in DETECTORS if each.plainly]
    assert {each.kind for each in quick} == {"email", "phone"}
    assert all(each.sure or each.chance == 1 for each in quick)


def test_the_patterns_of_a_scan_are_no_more_than_polars_keeps_compiled() -> None:
    patterns = 1 + len(Trigger) + len(DETECTORS) + sum(bool(each.plainly) for each in DETECTORS)
    beside = 4  # those of the plain path
    assert patterns - 1 + beside <= 32  # names have none of their own
