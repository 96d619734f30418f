"""What a worker hands back is what it found, in fewer bytes."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.scan.tokens import Tokens

FIELDS = ("row", "unit", "check", "content", "key", "own", "tenant", "stratum")
ROWS = st.lists(st.integers(0, 2**32 - 1), max_size=9) | st.tuples(st.integers(0, 2**31), st.integers(0, 9)).map(
    lambda told: list(range(told[0], told[0] + told[1]))
)


def _tokens(rows: list[int], same: bool, seed: int) -> Tokens:
    rng = np.random.default_rng(seed)

    def numbers(kind: type[np.generic]) -> np.ndarray:
        found = rng.integers(0, 1 if same else 256, len(rows))
        return found.astype(kind)

    kinds = (np.uint64, np.uint32, np.uint32, np.uint64, np.bool_, np.uint64, np.uint16)
    return Tokens(np.array(rows, np.uint32), *map(numbers, kinds))


@settings(deadline=None)
@given(ROWS, st.booleans(), st.integers(0, 99))
def test_tokens_come_back_as_they_were(rows: list[int], same: bool, seed: int) -> None:
    sent = _tokens(rows, same, seed)
    came = pickle.loads(pickle.dumps(sent, 5))
    for name in FIELDS:
        one, other = getattr(sent, name), getattr(came, name)
        assert (one.dtype, one.tolist()) == (other.dtype, other.tolist())


def test_a_value_takes_24_bytes_where_only_hashes_differ() -> None:
    rng = np.random.default_rng(1)
    count = 10_000
    sent = Tokens(
        np.arange(count, dtype=np.uint32),
        rng.integers(0, 1 << 63, count, np.uint64),
        rng.integers(0, 1 << 32, count, np.uint32),
        rng.integers(0, 1 << 32, count, np.uint32),
        rng.integers(0, 1 << 63, count, np.uint64),
        np.ones(count, np.bool_),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint16),
    )
    assert len(pickle.dumps(sent, 5)) < 24.2 * count
