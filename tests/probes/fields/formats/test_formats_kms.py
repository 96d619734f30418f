"""Ciphertexts of AWS KMS and Google Cloud KMS: recorded ones, and damaged ones."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_blobs import aws_blob, gcp_blob

from probes.fields.formats import aws_kms, ciphers, gcp_kms
from probes.fields.formats.seam import Parse, Parsed, Refused

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")

AWS_1, AWS_2, GCP = aws_blob(1, 32), aws_blob(2, 32), gcp_blob(32)


def recorded(name: str) -> bytes:
    file = DATA / "vectors" / f"mongo_corpus-key-{name}.json"
    if not file.exists():
        pytest.skip("no shared data: set KEYCHECK_DATA")
    return base64.b64decode(json.loads(file.read_text())["keyMaterial"]["$binary"]["base64"])


def test_generations_and_lengths() -> None:
    for blob, variant, size, unit_bits in ((AWS_1, "gen1", 167, 96), (AWS_2, "gen2", 184, 224)):
        assert len(blob) == size
        found = aws_kms.parse(blob)
        assert isinstance(found, Parsed)
        assert (found.variant, found.plain_length, found.cipher) == (variant, 32, ciphers.AES_256_GCM)
        assert (found.static_key, found.unit_bits, 8 * len(found.unit)) == ("ab" * 32, unit_bits, unit_bits)
        assert found.payload == (size - 59, size)
        key = aws_kms.wrapped(blob, "arn")
        assert (key.provider, key.key, key.length, key.expected, key.fingerprint) == (
            "aws-kms",
            "arn",
            32,
            32,
            "ab" * 32,
        )
    google = gcp_kms.parse(GCP)
    assert isinstance(google, Parsed)
    assert (google.static_key, google.plain_length) == ("5bc042d8", 32)


def test_recorded_blobs_wrap_96_bytes() -> None:
    assert aws_kms.wrapped(recorded("aws"), "", 96).length == 96
    assert gcp_kms.wrapped(recorded("gcp"), "", 96).length == 96
    assert aws_kms.wrapped(recorded("gcp"), "").length is None
    assert aws_kms.parse(recorded("azure")) is None
    assert gcp_kms.parse(recorded("kmip")) is None


@pytest.mark.parametrize(("blob", "parse"), [(AWS_1, aws_kms.parse), (AWS_2, aws_kms.parse), (GCP, gcp_kms.parse)])
def test_truncated_lengthened_damaged(blob: bytes, parse: Parse) -> None:
    sound = parse(blob)
    assert isinstance(sound, Parsed)
    for cut in range(len(blob)):
        found = parse(blob[:cut])
        assert isinstance(found, Refused) or (found is None and cut < 5)
    assert isinstance(parse(blob + b"\0"), Refused)
    # what a tag covers; of Google unknown bytes; of AWS the byte that tells Encrypt from GenerateDataKey
    hidden = set(range(*sound.payload)) | (set(range(7, 38)) if parse is gcp_kms.parse else {2})
    for place in range(len(blob)):
        damaged = bytearray(blob)
        damaged[place] ^= 1
        found = parse(bytes(damaged))
        assert found != sound or place in hidden, place
        if isinstance(found, Parsed):
            assert found.plain_length == sound.plain_length


def test_lengths_of_der_are_in_their_shortest_form() -> None:
    assert b"\x80\x3b" in AWS_2
    longer = AWS_2.replace(b"\x80\x3b", b"\x80\x81\x3b")
    assert isinstance(aws_kms.parse(longer), Refused)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", AWS_1[:5], AWS_2[:58], AWS_1[:60], GCP[:3], GCP[:40]]), st.binary(max_size=300))
def test_whatever_the_bytes_nothing_is_raised(head: bytes, rest: bytes) -> None:
    for parse in (aws_kms.parse, gcp_kms.parse):
        found = parse(head + rest)
        assert found is None or isinstance(found, (Parsed, Refused))
    aws_kms.wrapped(head + rest, "key")
    gcp_kms.wrapped(head + rest, "key")
