"""The fast paths and the slow one tell the same of every value."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_stage import ARN, OTHER_ARN, MemoryExport, b64, esdk, jwe, kms_blob, plan, rule, tink, vault

from probes.fields.readable import telltale
from probes.fields.readable import wordy as readable_wordy
from probes.fields.scan.column import scan_shard
from probes.fields.scan.hashing import Hasher, Regions
from probes.fields.scan.paths import Paths
from probes.fields.scan.result import ShardResult
from probes.fields.scan.suspicion import suspicious, wordy
from probes.fields.scan.tallies import Bounded


def plain(value: object) -> object:
    """A result as nested tuples that compare."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Bounded):
        return tuple((plain(key), plain(kept)) for key, kept in value.items())
    if isinstance(value, dict):
        return tuple(sorted(((repr(key), plain(one)) for key, one in value.items())))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple((field.name, plain(getattr(value, field.name))) for field in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    return value


def both(values: Sequence[bytes | None], **more: object) -> tuple[ShardResult, ShardResult]:
    ids = [str(number).encode() for number in range(len(values))]
    tenants = [b"t%d" % (number % 3) for number in range(len(values))]
    export = MemoryExport({"a": {"id": ids, "mail": list(values), "tenant": tenants}}, rows=40)
    context = ({"name": "id", "column": "id"}, {"name": "field", "value": "mail"})
    scan = plan(rule("mail", context=context, **more), tenant="tenant", written="id")
    shard = export.shard("a")
    return scan_shard(export, shard, scan), scan_shard(export, shard, scan, fast=False)


def some(kind: str, rng: random.Random, number: int) -> bytes:
    context = {"id": str(number if number % 7 else 1), "field": "mail"}
    arn = OTHER_ARN if number % 11 == 0 else ARN
    size = rng.choice((0, 5, 20, 33, 90))
    match kind:
        case "esdk":
            return esdk(rng, size, context, keys=(arn,), blob=kms_blob(rng, material=bytes([number % 3]) * 32))
        case "esdk-v1":
            return esdk(rng, size, context if number % 5 else None, version=1)
        case "esdk-two":
            return esdk(rng, size, {"id": "é" * (number % 3)}, keys=(ARN, OTHER_ARN))
        case "esdk-signed":
            return esdk(rng, size, context, signed=True)
        case "esdk-v1-signed":
            return esdk(rng, size, context, version=1, signed=True)
        case "esdk-frames":
            return esdk(rng, 50 + size, context, frame=64)
        case "tink":
            return tink(rng, size)
        case "kms":
            return kms_blob(rng, size or 1, generation=1 + number % 2)
        case "vault":
            return vault(rng, size, 1 + number % 2)
        case "jwe":
            return jwe(rng, size, f"k{number % 2}", "A256GCM")
        case _:
            return [b"anna@example.org", b"Call back on Monday, please.", b"+49 30 901820", b"12", b"Anna Schmidt"][
                number % 5
            ]


KINDS = (
    "esdk", "esdk-v1", "esdk-signed", "esdk-v1-signed", "esdk-two", "esdk-frames",
    "tink", "kms", "vault", "jwe", "plain",
)  # fmt: skip


def damaged(value: bytes, how: int, at: float, byte: int) -> bytes:
    place = int(at * len(value))
    match how:
        case 0:
            return value
        case 1:
            return value[:place]
        case 2:
            return value + bytes([byte])
        case 3:
            return value[:place] + bytes([byte]) + value[place + 1 :]
        case 4:
            return value[:place] + b"This is a sentence that anybody can read." + value[place + 41 :]
        case _:
            return value[:place] + value[place + 1 :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoded", [False, True])
def test_sound_values_take_the_fast_path_and_tell_the_same(kind: str, encoded: bool) -> None:
    rng = random.Random(kind)
    values = [some(kind, rng, number) for number in range(120)]
    fast, slow = both([b64(value) for value in values] if encoded else values)
    assert plain(fast) == plain(slow)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.floats(0, 0.999), st.integers(0, 255), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(KINDS),
    st.sampled_from(["", "aws-esdk", "aws-kms", "tink", "vault-transit", "jwe"]),
    st.booleans(),
    st.integers(0, 1 << 30),
)
def test_mixed_and_damaged_columns_tell_the_same(
    odd: list[tuple[str, int, float, int, bool]], kind: str, declared: str, encoded: bool, seed: int
) -> None:
    rng = random.Random(seed)
    values: list[bytes | None] = [some(kind, rng, number) for number in range(50)]
    if encoded:
        values = [b64(value) for value in values if value is not None]
    for number, (other, how, at, byte, inside) in enumerate(odd):
        value = some(other, rng, number)
        value = b64(damaged(value, how, at, byte)) if inside and encoded else damaged(value, how, at, byte)
        values.insert(rng.randrange(len(values)), value)
    values.insert(3, None)
    fast, slow = both(values, **({"format": declared} if declared else {}))
    assert plain(fast) == plain(slow)


@pytest.mark.parametrize(
    ("kind", "encoded", "most"),
    [
        ("esdk", True, 12),
        ("esdk-v1", False, 12),
        ("esdk-signed", True, 12),
        ("esdk-v1-signed", False, 12),
        ("tink", True, 12),
        ("kms", False, 30),
    ],
)
def test_the_fast_path_leaves_little(kind: str, encoded: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import probes.fields.scan.paths as module

    left: list[int] = []
    walk = module.walk  # type: ignore[attr-defined]

    def counted(values, *args, **more):  # type: ignore[no-untyped-def]
        left.append(len(values))
        return walk(values, *args, **more)

    monkeypatch.setattr(module, "walk", counted)
    rng = random.Random(9)
    values = [some(kind, rng, number) for number in range(400)]
    export = MemoryExport({"a": {"mail": [b64(value) for value in values] if encoded else values}}, rows=400)
    scan_shard(export, export.shard("a"), plan(rule("mail")))
    assert sum(left) <= most
    assert Paths is module.Paths


WORDS = st.sampled_from(
    ["invoice", "Anna Schmidt", "straße 12", "письмо", "2026-11-22", "the quick brown fox", "王小明"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WORDS.map(str.encode), st.binary(max_size=40)), min_size=1, max_size=9), st.integers(0, 3))
def test_nothing_readable_passes_for_random(parts: list[bytes], zeros: int) -> None:
    content = b"".join(parts) + bytes(zeros)
    wide = b"".join(parts).decode("utf-8", "ignore").encode("utf-16-le")
    for value in (content, wide):
        text = b64(value).rstrip(b"=")
        if telltale(value):
            assert suspicious(Regions.of([b"", value, value[:3]]))[1]
        for spelt in (text, value):
            if readable_wordy(spelt, 6):
                assert wordy(Regions.of([b"", spelt]))[1]


def test_random_bytes_are_hardly_ever_suspicious() -> None:
    rng = random.Random(8)
    values = [rng.randbytes(rng.randrange(10, 80)) for _ in range(4000)]
    assert suspicious(Regions.of(values)).mean() < 0.005
    assert wordy(Regions.of([b64(value) for value in values])).mean() < 0.005


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=12), st.integers(0, 60))
def test_a_hash_does_not_depend_on_what_lies_beside(values: list[bytes], size: int) -> None:
    hasher = Hasher(b"key", "test")
    together = hasher.regions(Regions.of([*values, b"x" * size])).tolist()
    alone = [int(hasher.regions(Regions.of([value]))[0]) for value in [*values, b"x" * size]]
    assert together == alone
    same = dict(zip([*values, b"x" * size], alone, strict=True))
    assert len(set(same.values())) == len(same)
