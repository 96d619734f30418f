"""The tag without the plaintext: the same as the real one, for every message."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.opening.tag import gcm_tag, tag_holds

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
WYCHEPROOF = DATA / "vectors" / "wycheproof-aes-gcm.json"

keys = st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
texts = st.binary(max_size=200)


@settings(max_examples=300, deadline=None)
@given(keys, st.binary(min_size=8, max_size=40), texts, texts)
def test_the_tag_is_the_librarys(key: bytes, nonce: bytes, associated: bytes, plaintext: bytes) -> None:
    sealed = AESGCM(key).encrypt(nonce, plaintext, associated)
    assert gcm_tag(key, nonce, associated, sealed[:-16]) == sealed[-16:]


@settings(max_examples=150, deadline=None)
@given(keys, texts, st.binary(min_size=1, max_size=100), st.data())
def test_whatever_is_changed_the_tag_does_not_hold(
    key: bytes, associated: bytes, plaintext: bytes, data: st.DataObject
) -> None:
    nonce = b"n" * 12
    sealed = AESGCM(key).encrypt(nonce, plaintext, associated)
    at, bit = data.draw(st.integers(0, len(sealed) - 1)), 1 << data.draw(st.integers(0, 7))
    changed = sealed[:at] + bytes((sealed[at] ^ bit,)) + sealed[at + 1 :]
    assert tag_holds(key, nonce, associated, sealed[:-16], sealed[-16:])
    assert not tag_holds(key, nonce, associated, changed[:-16], changed[-16:])
    assert not tag_holds(key, nonce, associated + b"\x00", sealed[:-16], sealed[-16:])
    assert not tag_holds(key, nonce, associated, sealed[:-16], sealed[-16:-1])


def test_a_valid_tag_is_no_encryption() -> None:
    """Clear text gets a valid tag from whoever holds the data key: why the tag alone passes nothing."""
    key, nonce, clear = b"k" * 32, b"n" * 12, b"anna@beispiel.example"
    assert tag_holds(key, nonce, b"", clear, gcm_tag(key, nonce, b"", clear))


def test_no_length_that_can_be_checked() -> None:
    for key, nonce in ((b"k" * 15, b"n" * 12), (b"k" * 32, b"n" * 7), (b"k" * 32, b"n" * 129)):
        with pytest.raises(ValueError, match=r".+"):
            gcm_tag(key, nonce, b"", b"")


@pytest.mark.skipif(not WYCHEPROOF.exists(), reason="no shared data: set KEYCHECK_DATA")
def test_wycheproof() -> None:
    seen = {"valid": 0, "invalid": 0}
    for group in json.loads(WYCHEPROOF.read_bytes())["testGroups"]:
        for case in group["tests"]:
            key, nonce, aad, sealed, tag = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "ct", "tag"))
            if not 8 <= len(nonce) <= 128:
                continue
            holds = tag_holds(key, nonce, aad, sealed, tag)
            assert holds is (case["result"] == "valid"), case["tcId"]
            seen[case["result"]] += 1
    assert min(seen.values()) > 30
