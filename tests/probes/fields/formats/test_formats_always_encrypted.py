"""Always Encrypted: one byte of magic is weak evidence, and says so."""

from __future__ import annotations

import os
import random

from probes.fields.formats.always_encrypted import BITS, FORMAT
from probes.fields.formats.seam import Parsed, Refused


def test_a_cell_is_walked() -> None:
    cell = b"\x01" + os.urandom(32 + 16 + 32)
    found = FORMAT.parse(cell)
    assert isinstance(found, Parsed)
    assert (found.cipher.bits, found.unit, found.bits) == (256, cell[33:49], BITS)
    assert FORMAT.parse(cell[:-1]) is None
    assert FORMAT.parse(cell[:49]) is None


def test_plaintext_behind_the_byte_is_refused() -> None:
    cell = b"\x01" + (b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin, Deutschland. " * 4)[: 48 + 32]
    assert isinstance(FORMAT.parse(cell), Refused)


def test_random_bytes_pass_as_often_as_the_bits_say() -> None:
    drawn = random.Random(7)
    tries = 200_000
    passed = sum(isinstance(FORMAT.parse(drawn.randbytes(drawn.randrange(65, 97))), Parsed) for _ in range(tries))
    expected = tries * 2.0**-BITS
    assert expected / 2 < passed < expected * 2
