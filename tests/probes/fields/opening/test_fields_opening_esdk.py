"""Messages of the AWS Encryption SDK, all suites, opened by our own code as the SDK opens them."""

from __future__ import annotations

import base64
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_encryption_sdk as sdk
import pytest
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import esdk
from probes.fields.opening.associated import esdk_context
from probes.fields.opening.esdk_open import SIGNER, open_message
from probes.fields.opening.sealed import MisfitError, plaintext, tags_hold

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
VECTORS = DATA / "vectors" / "esdk-v2-net-4.0.0.zip"
KEK = bytes(range(32))
CONTEXT = {"tenant": "acme", "record": "c-1"}
SUITES = [each for each in Algorithm if each.is_committing() or each.algorithm_id < 0x0400]
WITH_COMMITMENT = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384


def seal(plain: bytes, suite: Algorithm, frame: int = 128, context: Mapping[str, str] = CONTEXT) -> bytes:
    policy = CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    if suite.is_committing():
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    wrapping = WrappingKey(WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, KEK, EncryptionKeyType.SYMMETRIC)
    provider = RawMasterKey(key_id="k", provider_id="test", wrapping_key=wrapping)
    message, _ = sdk.EncryptionSDKClient(commitment_policy=policy).encrypt(
        source=plain, key_provider=provider, encryption_context=dict(context), algorithm=suite, frame_length=frame
    )
    return bytes(message)


def data_key(message: bytes, kek: bytes = KEK, more: Mapping[str, str] | None = None) -> bytes:
    """As the raw keyring unwraps it."""
    header = esdk.parse_header(message)
    assert header is not None
    _, info, start, end = header.keys[0]
    return AESGCM(kek).decrypt(info[-12:], message[start:end], esdk_context({**dict(header.context), **(more or {})}))


@pytest.mark.parametrize("suite", SUITES, ids=lambda each: f"{each.algorithm_id:04x}")
@pytest.mark.parametrize(("size", "frame"), [(0, 128), (5, 128), (128, 128), (300, 128), (300, 0), (0, 0)])
def test_every_suite_opens(suite: Algorithm, size: int, frame: int) -> None:
    plain = os.urandom(size)
    message = seal(plain, suite, frame)
    found = open_message(message, data_key(message), b"")
    assert (found.header, tags_hold(found), plaintext(found)) == (True, True, plain)
    assert found.cipher == f"AES-{suite.data_key_len * 8}-GCM"


def test_all_eleven_suites_are_known() -> None:
    assert {each.algorithm_id for each in SUITES} == set(esdk.SUITES)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([Algorithm.AES_128_GCM_IV12_TAG16, WITH_COMMITMENT]), st.data())
def test_no_changed_byte_opens(suite: Algorithm, data: st.DataObject) -> None:
    message = MADE[suite]
    header = esdk.parse_header(message)
    assert header is not None
    at = data.draw(st.integers(0, len(message) - 1))
    changed = message[:at] + bytes((message[at] ^ (1 << data.draw(st.integers(0, 7))),)) + message[at + 1 :]
    try:
        found = open_message(changed, data_key(message), b"")
    except MisfitError:
        return
    assert plaintext(found) is None


MADE = {
    suite: seal(b"anna@beispiel.example" * 10, suite) for suite in (Algorithm.AES_128_GCM_IV12_TAG16, WITH_COMMITMENT)
}


def test_commitment_and_length_of_the_data_key_are_checked() -> None:
    message = MADE[WITH_COMMITMENT]
    assert open_message(message, b"x" * 32, b"").header is False
    with pytest.raises(MisfitError):
        open_message(message, data_key(message)[:16], b"")
    with pytest.raises(MisfitError):
        open_message(b"no message", b"x" * 32, b"")


def footer(message: bytes) -> bytes:
    size = next(size for size in range(106, 90, -1) if message[-size - 2 : -size] == size.to_bytes(2, "big"))
    return message[-size - 2 :]


def test_a_signature_of_somebody_else_does_not_hold() -> None:
    message = MADE[WITH_COMMITMENT]
    other = seal(b"anna@beispiel.example" * 10, WITH_COMMITMENT)
    header = esdk.parse_header(other)
    assert header is not None
    assert SIGNER in dict(header.context)
    assert open_message(message, data_key(message), b"").header is True
    forged = message[: -len(footer(message))] + footer(other)
    assert open_message(forged, data_key(message), b"").header is False


def test_another_rows_context_does_not_hold() -> None:
    message = seal(b"anna@beispiel.example", Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
    key = data_key(message)
    assert open_message(message, key, b"", {"record": "c-1"}).header is True
    assert open_message(message, key, b"", {"record": "c-2"}).header is False
    assert open_message(message, key, b"", {"more": "x"}).header is False
    bare = seal(b"x", Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, context={})
    assert open_message(bare, data_key(bare), b"", {}).header is True
    assert open_message(bare, data_key(bare), b"", {"record": "c-1"}).header is False


@pytest.mark.skipif(not VECTORS.exists(), reason="no shared data: set KEYCHECK_DATA")
def test_vectors_with_a_required_context() -> None:
    """The other implementation's messages, whose context is authenticated and not stored."""
    with zipfile.ZipFile(VECTORS) as archive:

        def read(reference: str) -> bytes:
            return archive.read(reference.removeprefix("file://"))

        manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
        keys = json.loads(archive.read("keys.json"))["keys"]
        for case in manifest["tests"].values():
            message, required = read(case["ciphertext"]), case["encryption-context"]
            kek = base64.b64decode("".join(keys[case["master-keys"][0]["key"]]["material"]))
            key = data_key(message, kek, required)
            found = open_message(message, key, esdk_context(required))
            assert (found.header, tags_hold(found)) == (True, True)
            assert plaintext(found) == read(case["result"]["output"]["plaintext"])
            assert open_message(message, key, b"").header is False
    assert len(manifest["tests"]) == 5
