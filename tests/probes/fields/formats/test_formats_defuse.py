"""defuse/php-encryption."""

from __future__ import annotations

import os

from probes.fields.formats import ciphers
from probes.fields.formats.defuse import FORMAT, HEADER
from probes.fields.formats.seam import Parsed, Refused


def test_hex_and_bytes_say_the_same() -> None:
    content = HEADER + os.urandom(48 + 9 + 32)
    for value in (content, content.hex().encode()):
        found = FORMAT.parse(value)
        assert isinstance(found, Parsed)
        assert (found.cipher, found.unit, found.plain_length) == (ciphers.AES_256_CTR_HMAC, content[4:52], 9)


def test_what_is_too_short_or_readable_is_refused() -> None:
    assert isinstance(FORMAT.parse((HEADER + os.urandom(79)).hex().encode()), Refused)
    assert isinstance(FORMAT.parse((HEADER + os.urandom(90)).hex().encode()[:-1]), Refused)
    plain = HEADER + os.urandom(48) + b"Anna Schmidt, Hauptstrasse 12" + os.urandom(32)
    assert isinstance(FORMAT.parse(plain.hex().encode()), Refused)
    assert FORMAT.parse(b"def5") is None
