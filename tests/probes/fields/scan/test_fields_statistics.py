"""The tests of a column against known values, against many random columns, and against eight broken schemes."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable, Iterable
from random import Random

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields import facts
from probes.fields.scan import statistics
from probes.fields.scan.statistics import (
    BLOCKS,
    FAMILY,
    TESTS_PER_COLUMN,
    Blocks,
    Hashes,
    Histograms,
    chi_square,
    log_gamma_q,
    position_counts,
    share,
)

KEY = bytes(32)
ROWS = 5_000


def outcome(seen: Histograms, columns: int) -> tuple[facts.Test, ...]:
    return statistics.tests_of(seen, columns)


def emails(rows: int = ROWS, seed: int = 5) -> list[bytes]:
    """As they come: few first names and families, so that beginnings are alike."""
    random = Random(seed)
    firsts = [f"{a}{b}" for a in ("anna", "bernd", "chris", "dora", "emil", "frieda") for b in ("", "lena", "marie")]
    families = [f"{a}{b}" for a in ("becker", "fischer", "hoff", "klein", "lang", "meyer") for b in ("", "mann", "sen")]
    hosts = ("example.com", "example.org", "mail.example.net")
    return [
        f"{random.choice(firsts)}.{random.choice(families)}{random.randrange(10_000)}@{random.choice(hosts)}".encode()
        for _ in range(rows)
    ]


def padded(value: bytes) -> bytes:
    fill = 16 - len(value) % 16
    return value + bytes([fill]) * fill


def aes(key: bytes, mode: modes.CBC | modes.ECB, value: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), mode).encryptor()
    return encryptor.update(padded(value)) + encryptor.finalize()


def alarms(payloads: Iterable[bytes], columns: int = 200) -> set[str]:
    return {test.name for test in outcome(Histograms.of(payloads, (), KEY), columns) if test.alarm}


@pytest.mark.parametrize(
    ("dof", "statistic", "p"),
    [
        (1, 3.841458820694124, 0.05),
        (1, 10.827566170662733, 0.001),
        (2, 2 * math.log(1e9), 1e-9),
        (15, 24.995790139728616, 0.05),
        (15, 37.69729821835383, 0.001),
        (255, 293.24783508, 0.05),
        (255, 190.0, 0.99913),
    ],
)
def test_the_incomplete_gamma_function_is_that_of_the_tables(dof: int, statistic: float, p: float) -> None:
    assert math.exp(log_gamma_q(dof / 2, statistic / 2)) == pytest.approx(p, rel=1e-4)


@given(st.floats(0, 2000), st.integers(1, 100))
def test_the_gamma_function_of_whole_numbers_is_the_poisson_sum(x: float, a: int) -> None:
    """Q(a, x) = e^-x * sum of x^k / k! for k < a."""
    terms = [k * math.log(x) - math.lgamma(k + 1) - x for k in range(a)] if x else [0.0]
    top = max(terms)
    expected = top + math.log(sum(math.exp(term - top) for term in terms))
    assert log_gamma_q(a, x) == pytest.approx(min(0.0, expected), rel=1e-6, abs=1e-9)


def test_a_hopeless_column_has_a_probability_all_the_same() -> None:
    log_p, statistic = chi_square(np.array([10**9] + [0] * 255))
    assert statistic == pytest.approx(255e9)
    assert -2e11 < log_p < -1e11


def test_random_columns_raise_no_alarm() -> None:
    """200 columns of random bytes, of which most have few values: what is really seen."""
    random = np.random.default_rng(11)
    for column in range(200):
        rows = (20, 100, 1_500, 5_000)[column % 4]
        payload = random.integers(0, 256, (rows, 64), dtype=np.uint8)
        blocks = payload.view(np.uint64)[:, ::2].ravel()
        seen = Histograms(
            position_counts(payload, 64),
            position_counts(payload[:, :12], 32),
            Blocks.of(blocks, random.integers(0, 1 << 63, blocks.shape, dtype=np.uint64)),
        )
        found = outcome(seen, columns=200)
        assert {"top-bit", "unit-chi-square", "repeated-blocks"} <= {test.name for test in found}
        assert not [test for test in found if test.alarm], column


def xored(value: bytes) -> bytes:
    stream = Random(3).randbytes(64)
    return bytes(a ^ b for a, b in zip(value, stream, strict=False))


FIXED = Random(1).randbytes(32)
NONCES = Random(2)
SOUND: dict[str, Callable[[bytes], bytes]] = {
    "gcm": lambda value: AESGCM(FIXED).encrypt(NONCES.randbytes(12), value, None)[:-16],
    "cbc": lambda value: aes(FIXED, modes.CBC(NONCES.randbytes(16)), value),
}
BROKEN: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "fixed hidden nonce": (
        lambda value: AESGCM(FIXED).encrypt(bytes(12), value, None)[:-16],
        {"position-chi-square", "top-bit"},
    ),
    "ecb": (lambda value: aes(FIXED, modes.ECB(), value), {"repeated-blocks"}),
    "fixed iv": (lambda value: aes(FIXED, modes.CBC(bytes(16)), value), {"repeated-blocks"}),
    "xor": (xored, {"position-chi-square", "top-bit"}),
    "zlib": (zlib.compress, {"position-chi-square"}),
    "base64": (base64.b64encode, {"position-chi-square", "top-bit"}),
}


@pytest.mark.parametrize("scheme", SOUND)
def test_a_sound_scheme_raises_no_alarm(scheme: str) -> None:
    assert alarms(map(SOUND[scheme], emails())) == set()


@pytest.mark.parametrize("scheme", BROKEN)
def test_a_broken_scheme_is_caught(scheme: str) -> None:
    encrypt, expected = BROKEN[scheme]
    assert expected <= alarms(map(encrypt, emails()))


def test_few_values_are_tested_bit_by_bit_and_a_fixed_keystream_still_shows() -> None:
    found = outcome(Histograms.of(map(BROKEN["xor"][0], emails(60)), (), KEY), 1)
    assert {test.name for test in found} == {"bits-chi-square", "top-bit", "repeated-blocks"}
    assert {test.name for test in found if test.alarm} >= {"top-bit", "bits-chi-square"}


def test_nonces_that_count_are_not_random_and_the_payload_is_not_blamed() -> None:
    random = Random(7)
    units = [count.to_bytes(12, "big") for count in range(2_000)]
    found = outcome(Histograms.of((random.randbytes(32) for _ in units), units, KEY), 10)
    assert {test.name for test in found if test.alarm} == {"unit-chi-square"}


def test_a_row_that_stands_in_an_export_twice_repeats_no_block() -> None:
    random = Random(9)
    values = [random.randbytes(48) for _ in range(500)]
    seen = Histograms.of(values, (), KEY) + Histograms.of(values, (), KEY)
    assert seen.blocks.repeated == 0
    assert seen.blocks.seen == 3_000


def test_a_block_that_repeats_within_one_value_is_seen() -> None:
    random = Random(9)
    assert alarms([random.randbytes(16) * 2 for _ in range(3)]) == {"repeated-blocks"}


def test_nothing_counted_is_nothing_tested() -> None:
    assert outcome(Histograms(), 5) == ()


def test_every_test_has_its_share_of_the_error() -> None:
    assert share(40) * 40 * TESTS_PER_COLUMN == pytest.approx(FAMILY)


def same(a: Histograms, b: Histograms) -> bool:
    blocks = zip(
        (a.blocks.hashes, a.blocks.first, a.blocks.last),
        (b.blocks.hashes, b.blocks.first, b.blocks.last),
        strict=True,
    )
    return (
        np.array_equal(a.positions, b.positions)
        and np.array_equal(a.units, b.units)
        and a.blocks.seen == b.blocks.seen
        and all(np.array_equal(x, y) for x, y in blocks)
    )


SHARD = st.lists(st.binary(max_size=40), max_size=8).map(lambda values: Histograms.of(values, values, KEY))


@settings(max_examples=50)
@given(SHARD, SHARD, SHARD)
def test_shards_add_up_in_any_order_and_grouping(a: Histograms, b: Histograms, c: Histograms) -> None:
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + Histograms(), a)


def test_the_sample_of_blocks_is_bounded_and_the_same_in_any_order() -> None:
    random = np.random.default_rng(4)

    def some() -> tuple[Hashes, Hashes]:
        return tuple(random.integers(0, 1 << 63, BLOCKS, dtype=np.uint64) for _ in range(2))  # type: ignore[return-value]

    shards = [Blocks.of(*some()) for _ in range(3)]
    forth = shards[0] + shards[1] + shards[2]
    back = shards[2] + (shards[1] + shards[0])
    assert len(forth.hashes) == BLOCKS
    assert forth.seen == 3 * BLOCKS
    assert np.array_equal(forth.hashes, back.hashes)
    assert np.array_equal(forth.last, back.last)
