"""The tree against its definition, the known roots of certificate transparency, and forged proofs."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import IntegrityError
from keycheck.evidence.merkle import (
    CompactRange,
    inclusion_proof,
    leaf_hash,
    leaf_hasher,
    leaf_prefix,
    root_of,
    verify_inclusion,
)

LEAVES = st.integers(1, 70).map(lambda n: [sha256(b"%d" % i).digest() for i in range(n)])


def naive(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*naive_path(index, leaves[:split]), naive(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive(leaves[:split])]


def test_known_roots() -> None:
    # The eight leaves of the reference tests of Certificate Transparency; untyped, so hashed here.
    leaves = [sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )]  # fmt: skip
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert root_of(leaves[:size]).hex() == root
    assert root_of([]) == sha256(b"").digest()


@given(LEAVES)
def test_streaming_root_equals_the_definition(leaves: list[bytes]) -> None:
    assert root_of(leaves) == naive(leaves)


@given(LEAVES, st.data())
def test_proofs_equal_the_definition_and_hold(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_proof(leaves, index)
    assert list(path) == naive_path(index, leaves)
    verify_inclusion(leaves[index], index, len(leaves), path, naive(leaves))


@given(LEAVES, st.data())
def test_forged_proofs_are_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = list(inclusion_proof(leaves, index)), naive(leaves)
    other = sha256(b"other").digest()
    forged: list[tuple[bytes, int, int, list[bytes], bytes]] = [
        (other, index, len(leaves), path, root),
        (leaves[index], index, len(leaves), path, other),
        (leaves[index], index, len(leaves), [*path, other], root),
        (leaves[index], len(leaves), len(leaves), path, root),
        (leaves[index], -1, len(leaves), path, root),
    ]
    if path:
        spot = data.draw(st.integers(0, len(path) - 1))
        forged.append((leaves[index], index, len(leaves), path[:-1], root))
        forged.append((leaves[index], index, len(leaves), [*path[:spot], other, *path[spot + 1 :]], root))
        forged.append((leaves[index], (index + 1) % len(leaves), len(leaves), path, root))
    for case in forged:
        with pytest.raises(IntegrityError):
            verify_inclusion(*case)


def test_leaves_carry_their_type() -> None:
    assert leaf_hash("a", b"x") == sha256(b"\x00a\x00x").digest()
    assert leaf_hash("a", b"x") != leaf_hash("ax", b"")
    hasher = leaf_hasher("a")
    hasher.update(b"x")
    assert hasher.digest() == leaf_hash("a", b"x")
    for tag in ("", "é", "a\x00b"):
        with pytest.raises(ValueError, match="tag"):
            leaf_prefix(tag)


def test_no_leaf_outside_the_tree() -> None:
    with pytest.raises(IndexError):
        inclusion_proof([], 0)


def test_speed() -> None:
    leaf = sha256().digest()
    tree = CompactRange()
    start = time.perf_counter()
    for _ in range(100_000):
        tree.append(leaf)
    tree.root()
    assert time.perf_counter() - start < 2  # 0.05 s by hand; a busy machine is no reason to fail
