"""What holds for every format: no bytes make it raise, random bytes are not taken for it, and its name is a name."""

from __future__ import annotations

import base64
import os
import random
import re
import time

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats.catalogue import FORMATS, FORMATS_BY_ID, by_id
from probes.fields.formats.seam import Format, Parsed, Refused

STARTS = (
    b"vault:v1:",
    b'{"p":"',
    b'{"h":{"iv":"AAAAAAAAAAAAAAAA","at":"AAAAAAAAAAAAAAAAAAAAAA=="},"p":"',
    b'{"keyMaterialType":"PKMT1",',
    b'{"protected":"',
    b"ENC[AES256_GCM,",
    b"PARE",
    b"gAAAAAB",
    b"\x80\x00\x00\x00\x00\x68",
    b"age-encryption.org/v1\n-> ",
    b"-----BEGIN AGE ENCRYPTED FILE-----\n",
    b"-----BEGIN PGP MESSAGE-----\n\n",
    b"\xc3\x0d\x04\x07\x03\x02",
    b"\x8c\x0d\x04",
    b"\x85\x01\x0c\x03",
    b"eyJpdiI6I",
    b"eyJ",
    b"fips:",
    b"nacl:",
    b"v1.aesgcm256.00000000.",
    b"def50200",
    b"\xde\xf5\x02\x00",
    b"Salted__",
    b"ENC(",
    b"$ANSIBLE_VAULT;1.1;AES256\n",
    b"k8s:enc:kms:v2:x:",
    b"k8s:enc:aescbc:v1:x:",
    b"\x03IRON",
    b"\x00IRON",
    b"\x00\x00\x00\x01\x82\x00\x00\x6f\x0a\x24\x0a\x20",
    b"\x01",
    b"\x06",
    b"\x02\x04\x78",
    b"\x01\x80",
    b"\x0a\x24\x00",
    b"\x01\x02\x02\x00\x78",
    b"\xd8\x60\x84",
    b"\xd0\x83",
    b"\x00\x00\x00\x5d",
)
each_format = pytest.mark.parametrize("each", FORMATS, ids=[each.id for each in FORMATS])


def test_names_are_unique_and_fit_a_field_map() -> None:
    assert len(FORMATS_BY_ID) == len(FORMATS)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{1,40}", each.id) for each in FORMATS)
    assert all(each.sources and each.title for each in FORMATS)
    assert all(by_id(each.id) is each for each in FORMATS)
    assert by_id("anna") is None


@given(st.one_of(st.binary(max_size=300), st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=300))))
@settings(max_examples=600, deadline=None)
def test_no_bytes_make_a_parser_raise(value: bytes) -> None:
    for each in FORMATS:
        told = each.parse(value)
        assert told is None or (told.format == each.id and 0 <= told.bits <= 255)
        if isinstance(told, Parsed):
            start, end = told.payload
            assert 0 <= start <= end <= len(value)


@given(st.sampled_from(STARTS), st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_a_parser_raise(start: bytes, text: str) -> None:
    for each in FORMATS:
        each.parse(start + text.encode("utf-8", "surrogatepass"))


@each_format
def test_random_bytes_pass_no_more_often_than_the_bits_say(each: Format) -> None:
    drawn = random.Random(11)
    tries = 20_000
    found = [each.parse(drawn.randbytes(drawn.randrange(1, 130))) for _ in range(tries)]
    passed = [told for told in found if isinstance(told, Parsed)]
    weakest = min((told.bits for told in passed), default=255)
    assert len(passed) <= 5 + 4 * tries * 2.0**-weakest


@each_format
def test_refusals_are_sentences_without_the_value(each: Format) -> None:
    for start in STARTS:
        told = each.parse(start + b"Anna!Schmidt")
        assert not isinstance(told, Refused) or ("Anna" not in told.why and len(told.why) < 120)


@each_format
def test_long_values_take_linear_time(each: Format) -> None:
    began = time.perf_counter()
    for start in STARTS:
        each.parse(start + b"A" * 200_000)
        each.parse(start + b"[" * 100_000)
        each.parse(start + b"-> \n" * 50_000)
    assert time.perf_counter() - began < 10


def test_one_value_is_of_one_format() -> None:
    values = {
        "vault-transit": b"vault:v1:" + base64.b64encode(os.urandom(40)),
        "fernet": Fernet(Fernet.generate_key()).encrypt(b"anna"),
        "openssl-salted": b"Salted__" + os.urandom(40),
    }
    for name, value in values.items():
        assert [each.id for each in FORMATS if isinstance(each.parse(value), Parsed)] == [name]
