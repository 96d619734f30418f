"""Items of the AWS Database Encryption SDK as others recorded them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import dbesdk
from probes.fields.formats.seam import Commitment, Parsed, Refused

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
ITEMS = DATA / "vectors" / "dbesdk-java-32.json"
needs_data = pytest.mark.skipif(not ITEMS.exists(), reason="no shared data: set KEYCHECK_DATA")


def attributes() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Name, bytes, and what the writer was told to do."""
    for test in json.loads(ITEMS.read_text())["tests"].values():
        for name, value in test["encrypted"].items():
            if "B" in value:
                yield name, base64.b64decode(value["B"]), test["config"]["attributeActionsOnEncrypt"]


def part(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def header(legend: bytes = b"es", provider: bytes = b"aws-kms", keys: int = 1, version: int = 1) -> bytes:
    key = part(provider) + part(b"arn:aws:kms:eu-central-1:111122223333:key/1") + part(bytes(48) + b"blob")
    context = b"\0\1" + part(b"tenant") + part(b"17")
    return bytes([version, 0]) + bytes(range(32)) + part(legend) + context + bytes([keys]) + key * keys + bytes(32)


@needs_data
def test_recorded_items() -> None:
    seen = set[str]()
    for name, data, _ in attributes():
        found = dbesdk.parse(data)
        if name == "aws_dbe_foot" and len(data) == 48:
            assert found is None
            continue
        assert isinstance(found, Parsed)
        seen.add(found.variant)
        if name == "aws_dbe_head":
            assert found.variant == "header-v1"
            assert [(key.provider, key.length, len(key.blob)) for key in found.wrapped] == [
                ("aws-kms-hierarchy", 32, 140)
            ]
            assert {key.fingerprint for key in found.wrapped} == {"e9ce18a3edb542729f861cacb7997ff6"}
            assert found.commitment is Commitment.YES
            assert found.unit == data[2:34]
            assert set(dbesdk.legend(data)) <= {"e", "s"}
            for cut in range(len(data)):
                # Shorter, it is as good as an attribute: 12 bits say little.
                assert isinstance(dbesdk.parse(data[:cut]), Refused) or cut < 39
            assert isinstance(dbesdk.parse(data + b"\0"), Refused)
        elif name == "aws_dbe_foot":
            assert found.variant == "footer"
        else:
            assert found.variant == "attribute"
            assert found.plain_length == len(data) - 18
    assert seen == {"header-v1", "footer", "attribute"}


@needs_data
def test_the_legend_tells_which_attributes_are_encrypted() -> None:
    first = next(data for name, data, _ in attributes() if name == "aws_dbe_head")
    assert dbesdk.legend(first) == "ees"  # Junk, Stuff, RecNum
    assert dbesdk.legend(first[:-1]) == ""


def test_headers_by_hand() -> None:
    found = dbesdk.parse(header(b"ecs", version=2, keys=2))
    assert isinstance(found, Parsed)
    assert (found.variant, len(found.wrapped), found.context) == ("header-v2", 2, (("tenant", "17"),))
    assert found.wrapped[0].length is None  # its blob is no blob of KMS
    for broken in (
        header(b""),
        header(b"ex"),
        header(b"ec"),
        header(keys=0),
        header(provider=b"nobody"),
        header()[:-1],
    ):
        assert not isinstance(dbesdk.parse(broken), Parsed)


def test_attributes_are_weak_evidence() -> None:
    found = dbesdk.parse(b"\0\1" + bytes(20))
    assert isinstance(found, Parsed)
    assert (found.bits, found.plain_length, found.wrapped) == (12, 4, ())
    assert dbesdk.parse(b"\0\1" + bytes(15)) is None
    assert dbesdk.parse(b"\0\7" + bytes(20)) is None


def test_the_predecessor_is_recognised() -> None:
    pairs = {
        "amzn-ddb-env-alg": "AES/256",
        "amzn-ddb-env-key": base64.b64encode(b"x" * 60).decode(),
        "amzn-ddb-wrap-alg": "kms",
    }
    texts = [text.encode() for pair in pairs.items() for text in pair]
    data = bytes(4) + b"".join(len(text).to_bytes(4, "big") + text for text in texts)
    found = dbesdk.parse(data)
    assert isinstance(found, Parsed)
    assert (found.variant, found.cipher.bits, found.remarks) == ("material-description", 256, ("old",))
    assert [key.provider for key in found.wrapped] == ["aws-kms"]
    for cut in range(len(data)):
        told = dbesdk.parse(data[:cut])
        whole = data[:cut].endswith((b"AES/256", b"eHh4"))  # it has no length of its own
        assert not isinstance(told, Parsed) or told.variant == "attribute" or whole


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", b"\0\1", header()[:38], header()[:60], bytes(7)]), st.binary(max_size=300))
def test_whatever_the_bytes_nothing_is_raised(head: bytes, rest: bytes) -> None:
    found = dbesdk.parse(head + rest)
    assert found is None or isinstance(found, (Parsed, Refused))
    dbesdk.legend(head + rest)


def test_a_damaged_header_shows_unless_only_its_commitment_covers_it() -> None:
    data = header()
    sound = dbesdk.parse(data)
    assert isinstance(sound, Parsed)
    hidden = {36, 37} | set(range(len(data) - 32, len(data)))  # letters of the legend, and the commitment
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x16  # makes an `s` of an `e`
        assert dbesdk.parse(bytes(damaged)) != sound or place in hidden, place
