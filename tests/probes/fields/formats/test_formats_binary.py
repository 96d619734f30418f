"""Every parser of a binary envelope: false alarms as seldom as its bits say, linear time, places inside the value."""

from __future__ import annotations

import random
import time

import pytest

from probes.fields.formats import aws_kms, cose, dbesdk, esdk, gcp_kms, jose, mongo, s3ec, tink
from probes.fields.formats.seam import Format, Parsed, Refused

FORMATS = [module.FORMAT for module in (esdk, dbesdk, aws_kms, gcp_kms, s3ec, tink, jose, cose, mongo)]
by_id = pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.id)


@by_id
def test_random_bytes_pass_as_seldom_as_its_bits_say(one: Format) -> None:
    source = random.Random(5)
    values = [source.randbytes(size) for size in (18, 48, 82, 98, 160, 178, 366, 620) for _ in range(4000)]
    counted: dict[int, int] = {}
    for value in values:
        found = one.parse(value)
        if isinstance(found, Parsed):
            counted[found.bits] = counted.get(found.bits, 0) + 1
            start, end = found.payload
            assert 0 <= start <= end <= len(value)
        elif isinstance(found, Refused):
            counted[found.bits] = counted.get(found.bits, 0) + 1
    for bits in counted:
        count = sum(number for level, number in counted.items() if level >= bits)
        expected = len(values) / 2**bits
        assert count <= expected + 5 * expected**0.5 + 1, (bits, count)


LONG = 1 << 20
HOSTILE = {
    "one frame a byte": b"\2\4\x78"
    + bytes(32)
    + b"\0\0\0\1\0\1a\0\1b\0\1c\2\0\0\0\1"
    + bytes(48)
    + (b"\0\0\0\1" + bytes(29)) * (LONG // 33),
    "pairs": b"\1\x80\1\x78" + bytes(16) + b"\xff\xff\xff\xff" + bytes(LONG),
    "keys": b"\1\x80\1\x78" + bytes(16) + b"\0\0\0\x40" + bytes(LONG),
    "braces": b"{" * LONG,
    "quotes": b'{"x-amz-key-v2":' + b'"\\"' * (LONG // 3),
    "brackets in strings": b'{"ciphertext":"' + b"[" * LONG,
    "dots": b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0" + b"." * LONG,
    "digits": b'{"x-amz-iv":' + b"9" * (LONG - 20) + b"}",
    "nested tags": b"\xd8\x60" * LONG,
    "nested arrays": b"\x9f" * LONG,
    "chunks": b"\xd0\x83\x5f" + b"\x40" * LONG,
    "bson": b"\0" + (LONG + 5).to_bytes(4, "little") + b"\x0a\0" * (LONG // 2) + b"\0",
    "varints": b"\x0a\x24" + bytes(36) + b"\x12" + b"\xff" * LONG,
    "legend": b"\1\0" + bytes(32) + b"\xff\xff" + b"e" * LONG,
    "zeros": bytes(LONG),
    "ones": b"\1" * LONG,
}


@by_id
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_megabytes_are_told_in_no_time(one: Format, name: str) -> None:
    before = time.perf_counter()
    found = one.parse(HOSTILE[name])
    assert time.perf_counter() - before < 2
    assert not isinstance(found, Parsed) or found.bits < 24


@by_id
def test_formats_say_who_they_are(one: Format) -> None:
    assert one.sources
    assert one.parse(b"") is None
    for length in range(64):
        assert one.parse(bytes(length)) is None or one.id in ("aws-dbesdk", "mongo")
