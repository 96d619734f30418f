"""CipherSweet's three back ends."""

from __future__ import annotations

import base64
import os

import pytest

from probes.fields.formats.ciphersweet import FORMAT
from probes.fields.formats.seam import Parsed, Refused


@pytest.mark.parametrize(
    ("prefix", "fixed", "family", "unit"),
    [(b"fips:", 96, "AES", 48), (b"brng:", 56, "ChaCha20", 24), (b"nacl:", 40, "ChaCha20", 24)],
)
def test_each_back_end(prefix: bytes, fixed: int, family: str, unit: int) -> None:
    blob = os.urandom(fixed + 11)
    found = FORMAT.parse(prefix + base64.urlsafe_b64encode(blob))
    assert isinstance(found, Parsed)
    assert (found.cipher.family, found.plain_length, found.unit) == (family, 11, blob[:unit])
    assert isinstance(FORMAT.parse(prefix + base64.urlsafe_b64encode(os.urandom(fixed - 1))), Refused)
    assert isinstance(FORMAT.parse(prefix + base64.urlsafe_b64encode(blob) + b"!"), Refused)
    plain = b"Anna Schmidt, Hauptstrasse 12, Berlin. " * 4
    assert isinstance(FORMAT.parse(prefix + base64.urlsafe_b64encode(plain)), Refused)


def test_other_words_before_a_colon_are_something_else() -> None:
    assert FORMAT.parse(b"name:Anna") is None
    assert FORMAT.parse(b"") is None
