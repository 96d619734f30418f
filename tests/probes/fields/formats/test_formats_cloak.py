"""@47ng/cloak."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from probes.fields.formats import ciphers
from probes.fields.formats.cloak import FORMAT
from probes.fields.formats.seam import Parsed, Refused


def parts(plaintext: bytes) -> tuple[bytes, bytes]:
    iv = os.urandom(12)
    sealed = AESGCM(os.urandom(32)).encrypt(iv, plaintext, None)
    return base64.urlsafe_b64encode(iv), base64.urlsafe_b64encode(sealed)


def test_fingerprint_iv_and_length_show() -> None:
    iv, sealed = parts(b"anna")
    for body in (sealed, sealed.rstrip(b"=")):
        found = FORMAT.parse(b"v1.aesgcm256.710bb0e2." + iv + b"." + body)
        assert isinstance(found, Parsed)
        assert (found.cipher, found.static_key, found.plain_length) == (ciphers.AES_256_GCM, "710bb0e2", 4)


@pytest.mark.parametrize("fingerprint", [b"anna", b"710BB0E2", b"710bb0e2.x", b""])
def test_anything_else_is_refused(fingerprint: bytes) -> None:
    iv, sealed = parts(b"anna")
    assert isinstance(FORMAT.parse(b"v1.aesgcm256." + fingerprint + b"." + iv + b"." + sealed), Refused)
    assert isinstance(FORMAT.parse(b"v1.aesgcm256.710bb0e2." + iv + b"." + sealed + b".x"), Refused)
    assert isinstance(FORMAT.parse(b"v1.aesgcm256.710bb0e2." + iv + b"." + sealed[:16]), Refused)
    plain = base64.urlsafe_b64encode(b"Anna Schmidt, Hauptstrasse 12, Berlin")
    assert isinstance(FORMAT.parse(b"v1.aesgcm256.710bb0e2." + iv + b"." + plain), Refused)
