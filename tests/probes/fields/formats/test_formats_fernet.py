"""Fernet tokens are AES-128, always."""

from __future__ import annotations

import base64
import os
import time

import pytest
from cryptography.fernet import Fernet

from probes.fields.formats.fernet import FORMAT
from probes.fields.formats.seam import Parsed, Refused


@pytest.mark.parametrize("size", [0, 1, 15, 16, 200])
def test_a_token_is_aes_128_as_text_and_as_bytes(size: int) -> None:
    token = Fernet(Fernet.generate_key()).encrypt(os.urandom(size))
    for value in (token, base64.urlsafe_b64decode(token)):
        found = FORMAT.parse(value)
        assert isinstance(found, Parsed)
        assert (found.cipher.name, found.cipher.bits) == ("AES-128-CBC-HMAC", 128)
        assert found.unit == base64.urlsafe_b64decode(token)[9:25]
    text, binary = FORMAT.parse(token), FORMAT.parse(base64.urlsafe_b64decode(token))
    assert isinstance(text, Parsed)
    assert isinstance(binary, Parsed)
    assert text.body == base64.urlsafe_b64decode(token)[binary.payload[0] : binary.payload[1]]
    assert text.bits > binary.bits


def test_every_truncation_is_refused() -> None:
    token = Fernet(Fernet.generate_key()).encrypt(b"anna")
    for end in range(len(token)):
        assert not isinstance(FORMAT.parse(token[:end]), Parsed)
    for end in range(0, len(token), 3):
        assert not isinstance(FORMAT.parse(token + token[:end] + b"="), Parsed)


def test_another_century_and_readable_ciphertext_are_refused() -> None:
    at = int(time.time()).to_bytes(8, "big")
    plain = b"\x80" + at + os.urandom(16) + b"Anna Schmidt, Hauptstrasse 12, 1" + os.urandom(32)
    assert isinstance(FORMAT.parse(base64.urlsafe_b64encode(plain)), Refused)
    assert FORMAT.parse(b"\x80" + bytes(8) + os.urandom(64)) is None
