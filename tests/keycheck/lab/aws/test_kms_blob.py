"""The layout of ciphertexts, held against real ones."""

from __future__ import annotations

import base64
import json
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab.aws.kms import blob
from keycheck.lab.aws.kms.errors import KmsError

FINGERPRINT = bytes(range(32))
SECRET = b"k" * 32


def sealed(plaintext: bytes, context: dict[str, str] | None = None, made_by: int = blob.BY_ENCRYPT) -> bytes:
    return blob.seal(SECRET, FINGERPRINT, plaintext, context or {}, made_by=made_by, entropy=os.urandom)


def test_the_layout() -> None:
    data = sealed(b"d" * 32, made_by=blob.BY_DATA_KEY)
    assert len(data) == 184
    assert data[:5] == bytes.fromhex("0102030078")
    assert data[5:37] == FINGERPRINT
    assert data[37] == 1
    assert int.from_bytes(data[54:58], "big") == len(data) - 58
    assert base64.b64encode(data).startswith(b"AQIDAHg")
    assert bytes.fromhex("060960864801650304012e") in data[58:]


def test_the_der_is_that_of_real_blobs(vectors) -> None:
    """Everything but nonce and ciphertext agrees with a real blob in the SDK's vectors; those are of the generation
    without a salt, so only the DER at their end is compared."""
    mine = sealed(b"d" * 32)[58:]
    start = mine.index(b"\x04\x0c") + 2
    with zipfile.ZipFile(vectors / "esdk-v1-python-1.3.5.zip") as archive:
        for name in archive.namelist():
            data = archive.read(name) if "ciphertexts/" in name else b""
            at = data.find(mine[2:13])
            if at >= 2 and data[at - 1] == mine[1]:
                real = data[at - 2 : at - 2 + len(mine)]
                assert (real[:start], real[start + 12 : start + 17]) == (mine[:start], mine[start + 12 : start + 17])
                return
    pytest.fail("no KMS blob with a data key of 32 octets in the vectors")


@given(st.binary(max_size=4096), st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_what_was_sealed_opens(plaintext: bytes, context: dict[str, str]) -> None:
    assert blob.unseal(SECRET, blob.parse(sealed(plaintext, context)), context) == plaintext


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)
def test_contexts_differ_where_their_octets_do(one: dict[str, str], other: dict[str, str]) -> None:
    assert (one == other) is (blob.context_octets(one) == blob.context_octets(other))
    assert blob.context_octets(one) == blob.context_octets(dict(reversed(one.items())))


@given(st.binary(max_size=300))
def test_junk_is_no_ciphertext(data: bytes) -> None:
    for junk in (data, bytes.fromhex("0102020078") + data):
        with pytest.raises(KmsError) as caught:
            blob.parse(junk)
        assert caught.value.code == "InvalidCiphertextException"


def test_the_wrong_key_is_seen() -> None:
    with pytest.raises(KmsError):
        blob.unseal(b"w" * 32, blob.parse(sealed(b"x")), {})


def test_a_blob_says_nothing_of_key_material_ids(kms) -> None:
    """Whether AWS relates them is unknown, so nothing may rely on it."""
    key = kms.create_key()["KeyMetadata"]
    data = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")["CiphertextBlob"]
    assert data[5:37].hex() != key["CurrentKeyMaterialId"]
    assert json.dumps(key, default=str).count(data[5:37].hex()) == 0
