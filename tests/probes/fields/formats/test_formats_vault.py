"""Vault transit: what shows, and what must not pass for it."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Parsed, Refused
from probes.fields.formats.vault import FORMAT
from probes.fields.readable import READABLE


def sealed(plaintext: bytes, version: int = 3) -> tuple[bytes, bytes]:
    nonce = os.urandom(12)
    blob = nonce + AESGCM(os.urandom(32)).encrypt(nonce, plaintext, None)
    return b"vault:v%d:" % version + base64.b64encode(blob), nonce


def test_the_nonce_and_the_version_show_and_the_size_of_the_key_does_not() -> None:
    value, nonce = sealed(b"anna@example.org")
    found = FORMAT.parse(value)
    assert isinstance(found, Parsed)
    assert (found.unit, found.static_key, found.plain_length) == (nonce, "v3", 16)
    assert (found.cipher.family, found.cipher.bits) == (ciphers.UNSTATED.family, None)
    assert "no-envelope" in found.remarks
    assert len(found.body) == 16
    assert found.bits > 100


def test_a_wrapped_data_key_has_its_own_size() -> None:
    found = FORMAT.parse(sealed(os.urandom(32))[0])
    assert isinstance(found, Parsed)
    assert found.variant == "data-key-size"


def test_rsa_sizes_show_no_nonce() -> None:
    found = FORMAT.parse(b"vault:v1:" + base64.b64encode(os.urandom(256)))
    assert isinstance(found, Parsed)
    assert (found.unit, found.cipher.authenticated) == (b"", None)


@pytest.mark.parametrize(
    "value",
    [
        b"vault:v0:" + base64.b64encode(bytes(40)),
        b"vault:v01:" + base64.b64encode(os.urandom(40)),
        b"vault:v1:" + base64.b64encode(os.urandom(27)),
        b"vault:v1:" + base64.b64encode(os.urandom(40)) + b"\n",
        b"vault:v1:" + base64.b64encode(os.urandom(40)).rstrip(b"="),
        b"vault:v1:",
        b"vault:v1",
        b"vault:v1:anna@example.org",
    ],
)
def test_a_damaged_value_is_refused(value: bytes) -> None:
    assert isinstance(FORMAT.parse(value), Refused)


def test_readable_text_behind_the_prefix_is_refused() -> None:
    found = FORMAT.parse(b"vault:v1:" + base64.b64encode(b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin"))
    assert isinstance(found, Refused)
    assert found.why == READABLE


def test_a_second_spelling_is_refused() -> None:
    blob = base64.b64encode(bytes(range(200, 231)))
    assert blob.endswith(b"==")
    second = blob[:-3] + bytes([blob[-3] + 1]) + b"=="
    assert base64.b64decode(second) == base64.b64decode(blob)
    assert isinstance(FORMAT.parse(b"vault:v1:" + second), Refused)
