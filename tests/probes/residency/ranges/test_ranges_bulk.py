"""Lookups by the million give the same answers as one by one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_ranges import edges_of, imports, label, nestings, source

from probes.residency.ranges import bulk
from probes.residency.ranges.bulk import MALFORMED, Bulk
from probes.residency.ranges.index import Index
from probes.residency.ranges.prefixes import Prefix
from probes.residency.ranges.table import Imported, table_of


def index_of(*layers: dict[Prefix, str]) -> Index:
    rows = {prefix: label(region) for layer in layers for prefix, region in layer.items()}
    return Index(table_of([Imported(source("aws"), rows)]))


@settings(max_examples=25, deadline=None)
@given(nestings(4, least=1), nestings(6, least=1), st.lists(st.integers(0, 2**128 - 1), max_size=20))
def test_bulk_is_single_lookups(four: dict[Prefix, str], six: dict[Prefix, str], more: list[int]) -> None:
    index = index_of(four, six)
    ready = Bulk(index)
    v4 = np.array([*edges_of(four, 4), *(each >> 96 for each in more)], np.uint32)
    v6 = [each for each in (*edges_of(six, 6), *more) if each >> 32 != 0xFFFF]
    halves = (
        np.array([each >> 64 for each in v6], np.uint64),
        np.array([each & (1 << 64) - 1 for each in v6], np.uint64),
    )
    texts = [str(IPv4Address(int(each))) for each in v4] + [str(IPv6Address(each)) for each in v6]
    wanted = [index.lookup(text) for text in texts]
    assert [ready.answer(int(each)) for each in [*ready.find4(v4), *ready.find6(*halves)]] == wanted
    assert [ready.answer(int(each)) for each in ready.find(texts)] == wanted
    assert [ready.answer(int(each)) for each in ready.find(texts[: len(v4)])] == wanted[: len(v4)]


def test_tables_wide_and_too_large_answer_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    four = {Prefix(4, int(each), 32): "a" for each in rng.integers(0, 2**32, 40_000, np.uint32)}
    index = index_of({**four, Prefix(4, 0x08000000, 8): "b"})
    addresses = np.concatenate(
        [rng.integers(0, 2**32, 5_000, np.uint32), np.array(list(four), object)[:5000, 1].astype(np.uint32)]
    )
    wide = Bulk(index).find4(addresses)
    assert wide.dtype == np.uint32
    monkeypatch.setattr(bulk, "_MOST_ROWS", 10)
    assert (Bulk(index).find4(addresses) == wide).all()
    assert (
        wide
        == np.searchsorted(
            np.array([int.from_bytes(key, "big") for key in index.table.cells[4].keys], np.uint32), addresses, "right"
        )
        - 1
    ).all()


def test_what_is_no_address_has_a_number_of_its_own_and_no_answer() -> None:
    ready = Bulk(Index(table_of([imports("aws", {"3.0.0.0/8": "a", "2a05::/16": "b"})])))
    numbers = ready.find(["3.1.1.1", "x", "", "3.1.1.1 ", "2a05::1", "::ffff:3.1.1.1", "4.4.4.4", "3.1.1.1\0"])
    assert [number == MALFORMED for number in numbers] == [False, True, True, True, False, False, False, True]
    assert [[each.region for each in ready.answer(int(number))] for number in numbers] == [
        ["a"], [], [], [], ["b"], ["a"], [], [],
    ]  # fmt: skip
    assert len(ready.find([])) == 0
    assert len(ready.find4(np.empty(0, np.uint32))) == 0
