"""Tink's envelopes, opened by our own code as Tink opens them."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import aead

from probes.fields.opening.sealed import MisfitError, Mode, UnsupportedError, plaintext, tags_hold
from probes.fields.opening.tink_open import open_envelope

aead.register()
PLAIN, BOUND = b"anna@beispiel.example", b'{"record":"c-1"}'


class Remote(aead.Aead):  # type: ignore[misc]
    """Wraps nothing, so that a test has the data key."""

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        assert associated_data == b""
        return plaintext

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return ciphertext


def sealed(template: Any, plain: bytes = PLAIN, associated: bytes = BOUND) -> tuple[bytes, bytes]:
    value = bytes(aead.KmsEnvelopeAead(template, Remote()).encrypt(plain, associated))
    return value, value[4 : 4 + int.from_bytes(value[:4], "big")]


templates = aead.aead_key_templates
KINDS = [
    (templates.AES128_GCM, "AES-128-GCM", True),
    (templates.AES256_GCM, "AES-256-GCM", True),
    (templates.AES128_CTR_HMAC_SHA256, "AES-128-CTR-HMAC", True),
    (templates.AES256_CTR_HMAC_SHA256, "AES-256-CTR-HMAC", True),
    (templates.AES256_GCM_SIV, "AES-256-GCM-SIV", None),
    (templates.XCHACHA20_POLY1305, "XChaCha20-Poly1305", None),
]


@pytest.mark.parametrize(("template", "cipher", "tags"), KINDS, ids=[each[1] for each in KINDS])
@pytest.mark.parametrize("plain", [b"", PLAIN, os.urandom(1000)], ids=["nothing", "mail", "long"])
def test_envelopes_open(template: Any, cipher: str, tags: bool | None, plain: bytes) -> None:
    value, key = sealed(template, plain)
    found = open_envelope(value, key, BOUND)
    assert (found.cipher, tags_hold(found), plaintext(found)) == (cipher, tags, plain)
    assert found.aes is (found.mode is not Mode.XCHACHA)
    assert plaintext(open_envelope(value, key, b'{"record":"c-2"}')) is None


def test_eax_is_unsupported_and_so_is_what_is_no_key() -> None:
    value, key = sealed(templates.AES256_EAX)
    with pytest.raises(UnsupportedError):
        open_envelope(value, key, BOUND)
    for nonsense in (b"", b"\xff" * 40, b"\x1a\x7f", b"\x0d\x00\x00\x00\x00", b"\x80" * 70):
        with pytest.raises((UnsupportedError, MisfitError)):
            open_envelope(value, nonsense, BOUND)


def test_a_bare_key_in_the_same_layout_opens() -> None:
    nonce = os.urandom(12)
    value = (3).to_bytes(4, "big") + b"abc" + nonce + AESGCM(b"k" * 32).encrypt(nonce, PLAIN, BOUND)
    assert plaintext(open_envelope(value, b"k" * 32, BOUND)) == PLAIN


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([templates.AES256_GCM, templates.AES256_CTR_HMAC_SHA256]), st.data())
def test_no_changed_byte_of_the_payload_opens(template: Any, data: st.DataObject) -> None:
    value, key = sealed(template)
    at = data.draw(st.integers(4 + len(key), len(value) - 1))
    changed = value[:at] + bytes((value[at] ^ (1 << data.draw(st.integers(0, 7))),)) + value[at + 1 :]
    assert plaintext(open_envelope(changed, key, BOUND)) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=90))
def test_nothing_makes_it_fall(value: bytes, key: bytes) -> None:
    try:
        found = open_envelope(value, key, b"")
    except (MisfitError, UnsupportedError):
        return
    tags_hold(found)
    assert plaintext(found) is None


def test_the_subkey_of_xchacha_is_the_drafts() -> None:
    """draft-irtf-cfrg-xchacha-03, appendix A.3.1."""
    key = bytes(range(0x80, 0xA0))
    nonce = bytes(range(0x40, 0x58))
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    sealed_ = bytes.fromhex("bd6d179d3e83d43b9576579493c0e939")
    from probes.fields.opening.sealed import _hchacha20

    subkey = _hchacha20(key, nonce[:16])
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would "
        b"be it."
    )
    made = ChaCha20Poly1305(subkey).encrypt(bytes(4) + nonce[16:], text, associated)
    assert made[:16] == sealed_
    assert made[-16:] == bytes.fromhex("c0875924c1c7987947deafd8780acf49")


def test_one_value_opens_under_two_data_keys_with_one_mac_key() -> None:
    """Why even encrypt-then-MAC does not commit to a data key: half of it never enters the tag."""
    value, key = sealed(templates.AES256_CTR_HMAC_SHA256)
    first = open_envelope(value, key, BOUND)
    other = key.replace(first.key, os.urandom(32))
    assert other != key
    opened = plaintext(open_envelope(value, other, BOUND))
    assert opened is not None
    assert opened != plaintext(first) == PLAIN
