"""MongoDB's binary subtype 6: the corpus of its drivers with its key vault, and values by layout."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import bson, mongo
from probes.fields.formats.seam import Parsed, Refused

DATA = (
    Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data") / "vectors"
)
needs_data = pytest.mark.skipif(
    not (DATA / "mongo_corpus-encrypted.json").exists(), reason="no shared data: set KEYCHECK_DATA"
)
KEY = bytes(range(16))


def parsed(data: bytes) -> Parsed:
    found = mongo.parse(data)
    assert isinstance(found, Parsed), found
    return found


def document(*members: tuple[int, bytes, bytes]) -> bytes:
    body = b"".join(bytes([kind]) + name + b"\0" + value for kind, name, value in members)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


@needs_data
def test_the_corpus_of_the_drivers() -> None:
    vault = {}
    for name in ("aws", "azure", "gcp", "kmip", "local"):
        key = mongo.vault_key((DATA / f"mongo_corpus-key-{name}.json").read_bytes())
        assert key is not None
        assert key.names == (name,)
        vault[key.id] = key
    variants: Counter[str] = Counter()
    for case in json.loads((DATA / "mongo_corpus-encrypted.json").read_text()).values():
        value = case.get("value") if isinstance(case, dict) else None
        if not isinstance(value, dict) or "$binary" not in value:
            continue
        data = base64.b64decode(value["$binary"]["base64"])
        found = parsed(data)
        variants[found.variant] += 1
        assert found.deterministic == (case["algo"] == "det")
        assert bool(found.unit) == (case["algo"] == "rand")
        assert vault[found.static_key].names == (case["kms"],)
        assert mongo.parse(data[:-1]) is None
        assert mongo.parse(data + b"\0") is None
    assert variants == {"csfle-random": 377, "csfle-deterministic": 197}


@needs_data
def test_key_vaults_name_who_holds_the_key() -> None:
    told = {}
    for name in ("aws", "azure", "gcp", "kmip", "local"):
        key = mongo.vault_key((DATA / f"mongo_corpus-key-{name}.json").read_bytes())
        assert key is not None
        told[name] = (key.wrapped.provider, key.wrapped.length, key.wrapped.expected)
        assert key.wrapped.key or name == "local"
    assert told == {
        "aws": ("aws-kms", 96, 96),
        "azure": ("azure-key-vault", None, 96),
        "gcp": ("gcp-kms", 96, 96),
        "kmip": ("kmip", 96, 96),
        "local": (mongo.VENDOR_HELD, 96, 96),
    }
    assert mongo.vault_key(b'{"_id": 1}') is None
    assert mongo.vault_key(b"[]") is None


@pytest.mark.parametrize(
    ("data", "variant", "plain"),
    [
        (b"\6" + KEY + b"\2" + bytes(48 + 7), "qe1-unindexed", 7),
        (b"\7" + KEY + b"\2" + bytes(16 + 8 + 16 + 48 + 7 + 8 + 96), "qe1-equality", 7),
        (b"\x0e" + KEY + b"\2" + bytes(32 + 48 + 16 + 96), "qe-equality", None),
        (b"\x0f" + KEY + b"\2\3" + bytes(32 + 48 + 16 + 3 * 96), "qe-range", None),
        (b"\x10" + KEY + b"\2" + bytes(48 + 32), "qe-unindexed", None),
        (b"\x11" + KEY + b"\2" + b"\4\0\0\0\1\0\0\0\2\0\0\0" + bytes(32 + 48 + 16 + 4 * 96), "qe-text", None),
    ],
)
def test_queryable_encryption_by_layout(data: bytes, variant: str, plain: int | None) -> None:
    found = parsed(data)
    assert (found.variant, found.plain_length, found.static_key) == (variant, plain, KEY.hex())
    assert found.cipher.bits == 256
    start, end = found.payload
    assert 18 < start < end <= len(data)
    if plain is None:
        assert mongo.parse(data + b"\0") is None
    assert mongo.parse(data[:17] + b"\x63" + data[18:]) is None


def test_a_placeholder_is_plaintext_and_said_so() -> None:
    marking = document((0x10, b"a", bytes(4)), (0x05, b"ki", b"\x10\0\0\0\4" + KEY), (0x02, b"v", b"\4\0\0\0Bob\0"))
    assert parsed(b"\0" + marking).remarks == ("placeholder",)
    second = document((0x10, b"t", bytes(4)), (0x10, b"a", bytes(4)), (0x02, b"v", b"\4\0\0\0Bob\0"))
    assert parsed(b"\3" + second).remarks == ("placeholder",)
    assert parsed(b"\4" + marking).variant == "insert-payload"
    assert parsed(b"\x12" + marking).variant == "find-payload"
    for cut in range(1, len(marking)):
        assert mongo.parse(b"\0" + marking[:cut]) is None
    assert isinstance(mongo.parse(b"\0" + marking.replace(b"v\0", b"w\0")), Refused)
    assert isinstance(mongo.parse(b"\0" + marking[:4] + b"\x63" + marking[5:]), Refused)


def test_bson_is_walked_by_its_sizes() -> None:
    whole = document(
        (0x01, b"d", bytes(8)),
        (0x03, b"o", document()),
        (0x0B, b"r", b"a.*\0i\0"),
        (0x0C, b"p", b"\2\0\0\0x\0" + bytes(12)),
        (0x0A, b"n", b""),
    )
    assert bson.members(whole) == {"d": 1, "o": 3, "r": 11, "p": 12, "n": 10}
    assert bson.members(document((0x0A, b"n", b""), (0x0A, b"n", b""))) is None
    assert bson.members(document((0x02, b"s", b"\xff\xff\xff\x7fx\0"))) is None
    assert bson.members(document(*[(0x0A, str(n).encode(), b"") for n in range(65)])) is None


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 20), st.sampled_from([b"", KEY + b"\2", document((1, b"v", bytes(8)))]), st.binary(max_size=400))
def test_whatever_the_bytes_nothing_is_raised(kind: int, head: bytes, rest: bytes) -> None:
    found = mongo.parse(bytes([kind]) + head + rest)
    assert found is None or isinstance(found, (Parsed, Refused))
    bson.members(head + rest)
    mongo.vault_key(head + rest)
