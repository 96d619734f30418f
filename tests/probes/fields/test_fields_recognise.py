"""What a value is, what a column is, and what must never pass for ciphertext."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import os
import pickle
import random
import uuid
import zlib
from collections import Counter

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats.catalogue import by_id
from probes.fields.readable import ALARM_BITS, human_bits, telltale, text_of
from probes.fields.recognise import ciphertext, classify, propose

PEOPLE = (
    "Anna", "Margaret Smith", "JohnSmith123", "J\u00fcrgen M\u00fcller", "anna@example.org", "+49 151 23456789",
    "4111111111111111", "DE89370400440532013000", "1985-03-12", "AB123456C", "12 Main Street, Springfield",
    "\u5c71\u7530\u592a\u90ce", "\u0410\u043d\u043d\u0430 \u0418\u0432\u0430\u043d\u043e\u0432\u0430",
    "ALICE", "x", "0", "deadbeef",
    "49151234567890", "true", "MargaretHildaThatcherRoberts", "0123456789012345678901234567890123456789",
)  # fmt: skip
"""Names, numbers and addresses; some of them valid base64 or hex by accident."""


@pytest.mark.parametrize("text", PEOPLE)
def test_what_people_write_is_plaintext(text: str) -> None:
    assert classify(text.encode()).kind == "plaintext"


@pytest.mark.parametrize("text", [text for text in PEOPLE if len(text) > 5])
def test_encoding_is_no_encryption(text: str) -> None:
    value = text.encode()
    written = [
        (base64.b64encode(value), ("base64",)),
        (b"\\x" + value.hex().encode(), ("bytea",)),
        (base64.b64encode(base64.b64encode(value)), ("base64", "base64")),
        (json.dumps(base64.b64encode(value).decode()).encode(), ("json", "base64")),
    ]
    for encoded, encodings in written:
        found = classify(encoded)
        assert found.kind == "plaintext"
        assert found.encodings[: len(encodings)] == encodings


@pytest.mark.parametrize("text", ["anna@example.org", "J\u00fcrgen M\u00fcller", "Hauptstrasse 12, 10115 Berlin"])
def test_other_ways_to_write_text_are_plaintext(text: str) -> None:
    for value in (
        text.encode("utf-16-le"),
        text.encode("utf-16"),
        text.encode("latin-1"),
        gzip.compress(text.encode()),
        base64.b64encode(zlib.compress(text.encode())),
        bz2.compress(text.encode()),
        lzma.compress(text.encode()),
        b"\x0a" + bytes([len(text) + 6]) + b"name: " + text.encode("utf-8") + b"\x10\x96\x01" + os.urandom(8),
        pickle.dumps({"name": f"{text}, Berlin", "id": 7}),
    ):
        assert classify(value).kind == "plaintext"


def test_frames_that_cannot_be_decompressed_here_are_plaintext_all_the_same() -> None:
    zstd = bytes.fromhex("28b52ffd2010810000") + b"anna@example.org"
    lz4 = bytes.fromhex("04224d186040820d000080") + os.urandom(13) + bytes(4)
    assert (classify(zstd).kind, classify(lz4).kind) == ("plaintext", "plaintext")
    assert classify(zstd + b"\xff\xfe").encodings == ()


@pytest.mark.parametrize("size", [16, 20, 28, 32, 64])
def test_random_bytes_are_opaque_however_they_are_written(size: int) -> None:
    drawn = random.Random(size)
    for _ in range(300):
        value = drawn.randbytes(size)
        assert classify(value).kind == "opaque"
        assert classify(value.hex().encode()).encodings == ("hex",)
        assert classify(value.hex().encode()).kind == "opaque"
        assert classify(base64.b64encode(value)).kind == "opaque"
        assert classify(base64.urlsafe_b64encode(value).rstrip(b"=")).kind == "opaque"


def test_parts_side_by_side_are_opaque_and_show_their_bytes() -> None:
    iv, tag, body = os.urandom(12), os.urandom(16), os.urandom(21)
    for text in (
        f"{iv.hex()}:{tag.hex()}:{body.hex()}",
        f"v1:{base64.b64encode(iv).decode()}:{base64.b64encode(body).decode()}",
        json.dumps({"v": 1, "iv": iv.hex(), "ct": body.hex()}),
    ):
        found = classify(text.encode())
        assert (found.kind, found.variant) == ("opaque", "parts")
        assert body in found.content
    assert classify(str(uuid.uuid4()).encode()).kind == "opaque"


@pytest.mark.parametrize(
    "name", ["anna", "Margaret", "anna.schmidt", "MargaretThatcher", "4111111111111111", "v1:anna"]
)
def test_a_name_beside_random_parts_is_plaintext(name: str) -> None:
    assert classify(f"{name}:{os.urandom(32).hex()}".encode()).kind == "plaintext"
    assert classify(json.dumps({"name": name, "ct": os.urandom(32).hex()}).encode()).kind == "plaintext"


def test_a_format_is_found_under_its_encodings() -> None:
    token = Fernet(Fernet.generate_key()).encrypt(b"anna")
    for value, encodings in (
        (token, ()),
        (base64.b64encode(token), ("base64",)),
        (b"\\x" + token.hex().encode(), ("bytea",)),
        (json.dumps(token.decode()).encode(), ("json",)),
        (json.dumps({"t": token.decode()}).encode(), ("json-member",)),
    ):
        found = classify(value)
        assert (found.kind, found.encodings) == ("fernet", encodings)
        assert found.parsed is not None
        assert len(ciphertext(found.content, found.parsed)) == 16


def test_plaintext_dressed_up_is_plaintext() -> None:
    long = b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin, Germany, +49 151 23456789, anna@example.org, born 1985"
    dressed = b"vault:v1:" + base64.b64encode(long)
    found = classify(dressed, by_id("vault-transit"))
    assert (found.kind, found.variant) == ("plaintext", "vault-transit")
    assert classify(dressed).kind == "plaintext"
    cell = b"\x01" + long[: 48 + 32]
    assert classify(cell, by_id("always-encrypted")).kind == "plaintext"
    assert classify(cell).kind == "plaintext"
    words = b"vault:v1:" + b"MargaretHildaThatcherRobertsDowningStreetTen" * 2
    assert classify(words, by_id("vault-transit")).kind == "plaintext"


def test_a_weak_format_needs_a_column_or_a_declaration() -> None:
    cell = b"\x01" + os.urandom(80)
    assert classify(cell).kind in {"opaque", "tink"}
    assert classify(cell, by_id("always-encrypted")).kind == "always-encrypted"
    assert classify(b"\x01 Anna Schmidt", by_id("always-encrypted")).kind == "plaintext"


def test_a_damaged_value_is_malformed() -> None:
    token = Fernet(Fernet.generate_key()).encrypt(b"anna")
    found = classify(token[:-8], by_id("fernet"))
    assert (found.kind, found.variant) == ("malformed", "fernet")
    assert found.refused is not None
    assert classify(token[:-8]).kind == "malformed"
    assert classify(b"").kind == "empty"


def test_the_expected_chain_is_tried_first_and_others_still_work() -> None:
    token = Fernet(Fernet.generate_key()).encrypt(b"anna")
    fernet = by_id("fernet")
    assert classify(base64.b64encode(token), fernet, ("base64",)).kind == "fernet"
    assert classify(token, fernet, ("base64",)).kind == "fernet"
    assert classify(b"vault:v1:" + base64.b64encode(os.urandom(40)), fernet, ()).kind == "vault-transit"


def vault() -> bytes:
    return b"vault:v1:" + base64.b64encode(os.urandom(40))


def test_a_column_is_of_a_format_if_nearly_all_values_are() -> None:
    found = propose([vault() for _ in range(1000)])
    assert (found.kind, found.encodings, found.fits, found.values) == ("vault-transit", (), 1000, 1000)
    assert found.format is by_id("vault-transit")
    assert propose([vault() for _ in range(999)] + [b"anna"]).kind == "vault-transit"
    mixed = propose([vault() for _ in range(99)] + [b"anna"])
    assert (mixed.kind, mixed.format, dict(mixed.counts)) == ("mixed", None, {"vault-transit": 99, "plaintext": 1})


def test_one_chain_is_found_for_values_that_are_spelt_alike_by_accident() -> None:
    values = [base64.urlsafe_b64encode(b"\x01" + os.urandom(80)).rstrip(b"=") for _ in range(60)]
    found = propose(values)
    assert (found.kind, found.fits) == ("always-encrypted", 60)
    assert found.encodings in {("base64url",), ("base64url-unpadded",)}
    values = [base64.urlsafe_b64encode(b"Salted__" + os.urandom(size)) for size in range(40, 90)]
    assert propose(values).encodings == ("base64url",)


def test_a_first_byte_in_front_of_random_ones_is_no_tink() -> None:
    assert propose([b"\x01" + os.urandom(60) for _ in range(100)]).kind == "opaque"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([os.urandom(40) for _ in range(50)], "opaque"),
        ([f"anna{at}@example.org".encode() for at in range(50)], "plaintext"),
        ([base64.b64encode(f"anna{at}@example.org".encode()) for at in range(50)], "plaintext"),
        ([os.urandom(32).hex().encode() for _ in range(50)], "opaque"),
        ([b"", b""], "empty"),
        ([], "empty"),
    ],
)
def test_columns_without_a_format(values: list[bytes], kind: str) -> None:
    found = propose(values)
    assert (found.kind, found.format) == (kind, None)


@given(
    st.one_of(st.binary(max_size=120), st.text(max_size=120).map(lambda text: text.encode("utf-8", "surrogatepass")))
)
@settings(max_examples=500, deadline=None)
def test_anything_is_classified(value: bytes) -> None:
    found = classify(value)
    assert found.kind in {"opaque", "plaintext", "malformed", "empty"} or by_id(found.kind) is not None
    assert (found.kind == "empty") == (value == b"")
    for expected in ("tink", "always-encrypted", "vault-transit"):
        classify(value, by_id(expected), ("base64",))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=15))
@settings(max_examples=300, deadline=None)
def test_short_printed_text_is_never_opaque(text: str) -> None:
    assert classify(text.encode()).kind != "opaque"


def test_random_bytes_reach_the_alarm_no_more_often_than_it_says() -> None:
    drawn = random.Random(3)
    reached = Counter(int(human_bits(drawn.randbytes(12), 8)) >= bits for bits in (4, 8) for _ in range(20_000))
    assert reached[True] <= 20_000 * (2.0**-4 + 2.0**-8) * 1.2
    assert not any(telltale(drawn.randbytes(600)) for _ in range(5_000))
    assert telltale(drawn.randbytes(300) + b"anna.schmidt@example.org" + drawn.randbytes(300))
    assert ALARM_BITS >= 30


def test_text_is_told_to_the_last_byte() -> None:
    assert text_of("J\u00fcrgen".encode()) == "J\u00fcrgen"
    assert text_of("J\u00fcrgen".encode("utf-16-be")) == "J\u00fcrgen"
    assert text_of(b"anna\x00") is None
    assert text_of(b"anna\xff") is None
