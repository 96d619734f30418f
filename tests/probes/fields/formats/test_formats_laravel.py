"""Laravel's Encrypter, all four ciphers that it knows."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from probes.fields.formats.laravel import FORMAT
from probes.fields.formats.seam import Parsed, Refused


def value(**members: Any) -> bytes:
    written = {name: base64.b64encode(one).decode() if isinstance(one, bytes) else one for name, one in members.items()}
    return base64.b64encode(json.dumps(written, separators=(",", ":")).encode())


def test_cbc_and_gcm_show_their_mode_and_not_the_size_of_the_key() -> None:
    cbc = FORMAT.parse(value(iv=os.urandom(16), value=os.urandom(32), mac=os.urandom(32).hex(), tag=""))
    old = FORMAT.parse(value(iv=os.urandom(16), value=os.urandom(32), mac=os.urandom(32).hex()))
    gcm = FORMAT.parse(value(iv=os.urandom(12), value=os.urandom(9), mac="", tag=os.urandom(16)))
    assert isinstance(cbc, Parsed)
    assert isinstance(old, Parsed)
    assert isinstance(gcm, Parsed)
    assert (cbc.cipher.name, old.cipher.name, gcm.cipher.name) == ("AES-CBC-HMAC", "AES-CBC-HMAC", "AES-GCM")
    assert (cbc.cipher.bits, gcm.plain_length) == (None, 9)


@pytest.mark.parametrize(
    "damaged",
    [
        value(iv=os.urandom(16), value=os.urandom(31), mac=os.urandom(32).hex(), tag=""),
        value(iv=os.urandom(16), value=os.urandom(32), mac="Anna Schmidt", tag=""),
        value(iv=os.urandom(16), value=os.urandom(32), mac=os.urandom(32).hex(), tag="", name="Anna"),
        value(iv=os.urandom(12), value=os.urandom(9), mac="", tag="Anna"),
        value(iv=os.urandom(12), value=b"Anna Schmidt, Hauptstrasse 12", mac="", tag=os.urandom(16)),
        value(iv=os.urandom(16), value=b"", mac=os.urandom(32).hex(), tag=""),
        value(iv=os.urandom(12), value=os.urandom(9), mac="", tag=os.urandom(16))[:-4],
        value(iv=7, value=1, mac="", tag=os.urandom(16)).replace(b"eyJpdiI6N", b"eyJpdiI6I"),
    ],
)
def test_anything_else_is_refused(damaged: bytes) -> None:
    assert isinstance(FORMAT.parse(damaged), Refused)
