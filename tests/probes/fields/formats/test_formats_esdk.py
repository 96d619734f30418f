"""AWS Encryption SDK messages: recorded ones of others, ones that the SDK makes here, and damaged ones."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aws_encryption_sdk
import pytest
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.internal.formatting.deserialize import deserialize_header
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import esdk
from probes.fields.formats.seam import Commitment, Parsed, Refused

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
V1 = DATA / "vectors" / "esdk-v1-python-1.3.5.zip"
V2 = DATA / "vectors" / "esdk-v2-net-4.0.0.zip"
needs_data = pytest.mark.skipif(not (V1.exists() and V2.exists()), reason="no shared data: set KEYCHECK_DATA")

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BITS = {"AES-128-GCM": 16, "AES-192-GCM": 24, "AES-256-GCM": 32}


class Raw(RawMasterKeyProvider):
    """Wraps under AES keys that are made of their name."""

    provider_id = "raw-tests"

    def _get_raw_key(self, key_id: bytes) -> WrappingKey:
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=key_id.ljust(32, b"\1")[:32],
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def message(
    algorithm: Algorithm = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    plaintext: bytes = b"somebody@example.org" * 15,
    frame: int = 4096,
    keys: tuple[str, ...] = ("key-1",),
    context: dict[str, str] | None = None,
) -> bytes:
    provider = Raw()
    for key in keys:
        provider.add_master_key(key)
    client = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
        if algorithm.message_format_version == 1
        else CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    )
    made, _ = client.encrypt(
        source=plaintext,
        key_provider=provider,
        algorithm=algorithm,
        frame_length=frame,
        encryption_context={"row": "17", "tenant": "ü"} if context is None else context,
    )
    return bytes(made)


def parsed(data: bytes) -> Parsed:
    found = esdk.parse(data)
    assert isinstance(found, Parsed), found
    return found


def recorded(archive: Path, manifest: str) -> Iterator[tuple[bytes, int, list[str]]]:
    """Message, length of its plaintext, names of its keys."""
    with zipfile.ZipFile(archive) as files:
        sizes = {info.filename: info.file_size for info in files.infolist()}
        for test in json.loads(files.read(manifest))["tests"].values():
            data = files.read(test["ciphertext"].removeprefix("file://"))
            plain = test.get("plaintext") or test["result"]["output"]["plaintext"]
            yield data, sizes[plain.removeprefix("file://")], [key["key"] for key in test["master-keys"]]


@needs_data
def test_recorded_version_1_messages_are_walked_to_the_last_byte() -> None:
    with zipfile.ZipFile(V1) as files:
        arns = {name: key.get("key-id", "") for name, key in json.loads(files.read("keys.json"))["keys"].items()}
    fingerprints: set[str] = set()
    suites: Counter[str] = Counter()
    for data, size, keys in recorded(V1, "decrypt_message.json"):
        found = parsed(data)
        suites[found.cipher.name] += 1
        assert found.variant == "v1"
        assert found.plain_length == size
        assert {one.key for one in found.wrapped} <= {arns[key] for key in keys}
        assert [one.provider for one in found.wrapped] == ["aws-kms"] * len(found.wrapped)
        assert {one.length for one in found.wrapped} == {BITS[found.cipher.name]}
        fingerprints |= {one.fingerprint for one in found.wrapped}
        assert isinstance(esdk.parse(data + b"\0"), Refused)
        assert isinstance(esdk.parse(data[:-1]), Refused)
    assert sum(suites.values()) == 360
    assert len(suites) == 3
    assert len(fingerprints) == 1


@needs_data
def test_recorded_messages_of_another_implementation() -> None:
    found = Counter(parsed(data).variant for data, _, _ in recorded(V2, "manifest.json"))
    assert found == {"v1": 3, "v2": 2}
    for data, size, _ in recorded(V2, "manifest.json"):
        told = parsed(data)
        assert told.plain_length == size
        assert [one.provider for one in told.wrapped] == ["raw-aes"]
        assert [one.length for one in told.wrapped] == [BITS[told.cipher.name]]


@needs_data
def test_headers_say_what_the_sdk_reads_in_them() -> None:
    for data, _, _ in [*recorded(V1, "decrypt_message.json"), *recorded(V2, "manifest.json")]:
        theirs, raw = deserialize_header(io.BytesIO(data))
        ours = esdk.parse_header(data)
        assert ours is not None
        assert ours.suite == theirs.algorithm.algorithm_id
        assert ours.message_id == theirs.message_id
        assert dict(ours.context) == theirs.encryption_context
        assert data[: ours.authenticated] == raw
        assert {(p, i, data[s:e]) for p, i, s, e in ours.keys} == {
            (key.key_provider.provider_id.encode(), key.key_provider.key_info, key.encrypted_data_key)
            for key in theirs.encrypted_data_keys
        }


@pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda one: one.name)
@pytest.mark.parametrize("frame", [0, 128, 4096])
def test_every_suite_framed_and_not(algorithm: Algorithm, frame: int) -> None:
    found = parsed(message(algorithm, frame=frame, keys=("key-1", "escrow")))
    assert found.variant == f"v{algorithm.message_format_version}"
    assert found.cipher.bits == algorithm.data_key_len * 8
    assert {one.key for one in found.wrapped} == {"raw-tests/key-1", "raw-tests/escrow"}
    assert {one.length for one in found.wrapped} == {algorithm.kdf_input_len}
    assert dict(found.context or ())["tenant"] == "ü"
    assert ("aws-crypto-public-key" in dict(found.context or ())) == algorithm.is_signing()
    assert found.commitment is (Commitment.YES if algorithm.is_committing() else Commitment.NO)
    assert found.plain_length == 300
    start, end = found.payload
    assert end - start == (128 if frame == 128 else 300)


def test_without_key_derivation_the_nonce_is_a_counter() -> None:
    one = parsed(message(Algorithm.AES_256_GCM_IV12_TAG16))
    two = parsed(message(Algorithm.AES_256_GCM_IV12_TAG16))
    assert one.unit == two.unit
    assert (len(one.unit), one.unit_bits) == (12, 96)
    assert one.wrapped[0].blob != two.wrapped[0].blob
    derived = parsed(message(Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256))
    assert derived.unit_bits == 128
    assert len(derived.unit) == 16


def test_a_truncated_message_is_never_taken() -> None:
    for algorithm in (Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, Algorithm.AES_256_GCM_IV12_TAG16):
        data = message(algorithm, frame=128)
        for cut in range(len(data)):
            found = esdk.parse(data[:cut])
            assert not isinstance(found, Parsed)
            assert isinstance(found, Refused) or cut < 40
        assert isinstance(esdk.parse(data + b"\0"), Refused)


def test_a_damaged_byte_shows_unless_only_a_tag_covers_it() -> None:
    for algorithm in (Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256):
        data = message(algorithm, frame=0)
        header = esdk.parse_header(data)
        assert header is not None
        sound = parsed(data)
        covered = set(range(header.commitment_at[0], header.end))  # commitment, IV and tag of the header
        covered |= set(range(*sound.payload)) | set(range(len(data) - 16, len(data)))
        wrap_iv = header.keys[0][2] - 2 - 12  # of the raw AES key, at the end of its information
        covered |= set(range(wrap_iv, wrap_iv + 12))
        if header.version == 1:
            covered |= set(range(header.end, header.end + 12))  # an IV that some writers drew at random
        for place in range(len(data)):
            for flip in (1, 0x80):
                damaged = bytearray(data)
                damaged[place] ^= flip
                found = esdk.parse(bytes(damaged))
                assert found != sound or place in covered, place


def test_frames_are_counted() -> None:
    data = message(Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, frame=128)
    header = esdk.parse_header(data)
    assert header is not None
    size = 4 + 12 + 128 + 16
    first, second = data[header.end : header.end + size], data[header.end + size : header.end + 2 * size]
    swapped = data[: header.end] + second + first + data[header.end + 2 * size :]
    assert esdk.parse(swapped) == Refused("aws-esdk", "Its frames are out of order.", 56)
    other_iv = data[: header.end + 4] + bytes(12) + data[header.end + 16 :]
    assert isinstance(esdk.parse(other_iv), Refused)


def test_an_iv_is_not_repeated_within_a_message() -> None:
    data = message(Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256, frame=128)
    header = esdk.parse_header(data)
    assert header is not None
    frames = bytearray(data)
    for number, drawn in ((0, b"A"), (1, b"B")):
        at = header.end + number * 160 + 4
        frames[at : at + 12] = drawn * 12
    assert isinstance(esdk.parse(bytes(frames)), Parsed)
    frames[header.end + 164 : header.end + 176] = b"A" * 12
    assert esdk.parse(bytes(frames)) == Refused("aws-esdk", "It repeats an IV within its body.", 101)


def edited(keys: list[tuple[bytes, bytes, bytes]], context: bytes = b"") -> bytes:
    """A message of version 2 whose header says this; nothing in it is encrypted."""
    data = b"\x02\x04\x78" + bytes(range(32)) + len(context).to_bytes(2, "big") + context
    data += len(keys).to_bytes(2, "big")
    for parts in keys:
        data += b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    data += b"\x02" + (4096).to_bytes(4, "big") + bytes(48)
    return data + b"\xff" * 4 + b"\0\0\0\1" + bytes(11) + b"\1" + b"\0\0\0\5" + b"12345" + bytes(16)


def test_wrapped_keys_by_provider() -> None:
    branch = bytes(28) + bytes(range(16)) + bytes(48)
    rsa = bytes(512)
    found = parsed(
        edited(
            [
                (b"aws-kms-hierarchy", b"branch-1", branch),
                (b"aws-kms-rsa", ARN.encode(), rsa),
                (b"vendor", b"escrow", rsa),
                (b"vendor", b"odd", b"x" * 77),
                (b"aws-kms", ARN.encode(), b"not a blob of KMS"),
            ]
        )
    ).wrapped
    assert [(one.provider, one.key, one.length) for one in found] == [
        ("aws-kms-hierarchy", "branch-1", 32),
        ("aws-kms-rsa", ARN, None),
        ("raw-rsa", "vendor/escrow", None),
        ("unknown", "vendor/odd", None),
        ("aws-kms", ARN, None),
    ]
    assert found[0].fingerprint == bytes(range(16)).hex()


def test_contexts_that_cannot_be() -> None:
    key = [(b"aws-kms", ARN.encode(), b"x")]
    twice = b"\0\2" + b"\0\1a\0\1b" * 2
    assert parsed(edited(key, b"\0\1\0\1a\0\1b")).context == (("a", "b"),)
    assert parsed(edited(key)).context == ()
    for context in (twice, b"\0\0", b"\0\2\0\1a\0\1b", b"\0\1\0\1a\0\1\xff", b"\0\1\0\1a\0\1bx"):
        assert not isinstance(esdk.parse(edited(key, context)), Parsed)
    assert not isinstance(esdk.parse(edited([])), Parsed)
    assert not isinstance(esdk.parse(edited(key * 65)), Parsed)


def string(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)


@settings(max_examples=100, deadline=None)
@given(
    st.booleans(),
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.lists(st.tuples(NAMES, st.binary(max_size=9), st.binary(min_size=1, max_size=40)), min_size=1, max_size=3),
    st.binary(max_size=50),
    st.integers(0, 16),
)
def test_what_is_written_is_what_is_read(
    second: bool, context: dict[str, str], keys: list[tuple[str, bytes, bytes]], plain: bytes, frame: int
) -> None:
    """Messages of any shape, written here by the specification."""
    pairs = b"".join(string(text.encode()) for pair in context.items() for text in pair)
    identity = bytes(range(32 if second else 16))
    data = (b"\2\4\x78" if second else b"\1\x80\1\x78") + identity
    data += string(len(context).to_bytes(2, "big") + pairs if context else b"")
    data += len(keys).to_bytes(2, "big")
    data += b"".join(string(name.encode()) + string(info) + string(blob) for name, info, blob in keys)
    data += (b"\2" if frame else b"\1") + (b"" if second else b"\0\0\0\0\x0c") + frame.to_bytes(4, "big")
    data += bytes(48 if second else 28)
    number = 1
    if not frame:
        data += bytes(11) + b"\1" + len(plain).to_bytes(8, "big") + plain + bytes(16)
    else:
        rest = plain
        while len(rest) > frame:
            data += number.to_bytes(4, "big") + number.to_bytes(12, "big") + rest[:frame] + bytes(16)
            rest, number = rest[frame:], number + 1
        data += b"\xff" * 4 + number.to_bytes(4, "big") + number.to_bytes(12, "big")
        data += len(rest).to_bytes(4, "big") + rest + bytes(16)
    found = parsed(data)
    assert (found.unit, found.plain_length) == (identity, len(plain))
    assert dict(found.context or ()) == context
    assert [one.blob for one in found.wrapped] == [blob for _, _, blob in keys]
    first = plain[:frame] if number > 1 else plain
    assert data[slice(*found.payload)] == first
    assert isinstance(esdk.parse(data + b"\0"), Refused)
    assert not isinstance(esdk.parse(data[:-1]), Parsed)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.sampled_from([b"", b"\1\x80\1\x78", b"\2\4\x78" + bytes(32), edited([])[:37]]))
def test_whatever_the_bytes_nothing_is_raised(rest: bytes, head: bytes) -> None:
    found = esdk.parse(head + rest)
    assert found is None or isinstance(found, (Parsed, Refused))
    esdk.HeaderReader().fields(head + rest)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_reader_of_a_column_answers_as_the_walk(data: st.DataObject) -> None:
    reader = esdk.HeaderReader()
    known = [
        edited([(b"aws-kms", ARN.encode(), b"x" * 184)], b"\0\1\0\1a\0\1b"),
        edited([(b"aws-kms", ARN.encode(), b"x" * 184), (b"vendor", b"escrow", b"y" * 9)], b"\0\1\0\1a\0\1b"),
        message(Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256),
    ]
    for one in known:
        assert reader.fields(one) == esdk.header_fields(one)
    damaged = bytearray(data.draw(st.sampled_from(known)))
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for one in (bytes(damaged), cut):
        assert reader.fields(one) == esdk.header_fields(one)
