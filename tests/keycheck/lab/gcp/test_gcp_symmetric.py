"""The layout of the lab's Cloud KMS ciphertexts, held against a real one."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab.gcp.symmetric import opened, sealed, version_id, version_of

KEY = b"k" * 32
NAME = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


def made(plaintext: bytes, aad: bytes = b"", number: int = 1, name: str = NAME) -> bytes:
    return sealed(KEY, name, number, plaintext, aad, os.urandom)


def framing(data: bytes) -> tuple[bytes, int, int, int, int]:
    """What of a ciphertext is not random, for lengths that take two octets: see the layout."""
    length = data[39] & 0x7F | data[40] << 7
    return data[:3], data[38], data[41], length, len(data) - 41


def test_the_framing_is_that_of_a_real_ciphertext() -> None:
    root = Path(os.environ.get("KEYCHECK_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
    if not (root / "vectors").is_dir():
        pytest.skip(f"no vectors in {root}: set KEYCHECK_DATA")
    real = json.loads((root / "vectors" / "mongo_corpus-key-gcp.json").read_text())
    blob = base64.b64decode(real["keyMaterial"]["$binary"]["base64"])
    assert framing(made(b"d" * 96)) == framing(blob) == (b"\x0a\x24\x00", 0x12, 0, 137, 137)


@pytest.mark.parametrize(("plain", "field"), [(32, 73), (34, 75), (96, 137)])
def test_the_second_field_is_41_octets_longer_than_the_plaintext(plain: int, field: int) -> None:
    data = made(b"d" * plain)
    assert len(data) == 39 + (1 if field < 128 else 2) + field
    assert base64.b64encode(data).startswith(b"CiQA")


def test_ciphertexts_of_one_version_share_its_id_and_nothing_else() -> None:
    one, other = made(b"x" * 32), made(b"x" * 32)
    assert one[3:7] == other[3:7] == version_id(NAME, 1) == version_of(one)
    assert one[7:38] != other[7:38]
    assert len({version_id(NAME, 1), version_id(NAME, 2), version_id(f"{NAME}2", 1)}) == 3


@given(st.binary(max_size=20_000), st.binary(max_size=100))
def test_what_was_sealed_opens_and_nothing_else_does(plaintext: bytes, aad: bytes) -> None:
    data = made(plaintext, aad)
    assert opened(KEY, NAME, data, aad) == plaintext
    assert opened(KEY, NAME, data, aad + b"x") is None
    assert opened(KEY, f"{NAME}2", data, aad) is None
    assert opened(b"w" * 32, NAME, data, aad) is None


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_octet_can_be_changed(at: int, bits: int) -> None:
    data = bytearray(made(b"d" * 32, b"a"))
    data[at % len(data)] ^= bits
    assert opened(KEY, NAME, bytes(data), b"a") is None


@given(st.binary(max_size=120))
def test_junk_is_no_ciphertext(junk: bytes) -> None:
    assert version_of(junk) is None
    assert opened(KEY, NAME, b"\x0a\x24\x00" + junk, b"") is None
