"""Metadata of encrypted objects, by the specification."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import s3ec
from probes.fields.formats.seam import Commitment, Parsed, Refused


def b64(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


V1 = {"x-amz-key": b64(48), "x-amz-iv": b64(16), "x-amz-matdesc": "{}", "x-amz-unencrypted-content-length": "20"}
V2 = {
    "x-amz-key-v2": b64(60),
    "x-amz-iv": b64(12),
    "x-amz-matdesc": '{"aws:x-amz-cek-alg": "AES/GCM/NoPadding"}',
    "x-amz-wrap-alg": "AES/GCM",
    "x-amz-cek-alg": "AES/GCM/NoPadding",
    "x-amz-tag-len": "128",
}
V3 = {
    "x-amz-c": "115",
    "x-amz-3": b64(184),
    "x-amz-t": '{"tenant": "a"}',
    "x-amz-w": "12",
    "x-amz-d": b64(28),
    "x-amz-i": b64(28),
}
AZURE = {
    "WrappedContentKey": {
        "KeyId": "https://vault.example/keys/k/1",
        "EncryptedKey": b64(256),
        "Algorithm": "RSA-OAEP-256",
    },
    "EncryptionAgent": {"Protocol": "2.0", "EncryptionAlgorithm": "AES_GCM_256"},
    "EncryptedRegionInfo": {"DataLength": 4194304, "NonceLength": 12},
    "KeyWrappingMetadata": {"EncryptionLibrary": "x"},
}


def parse(members: object) -> Parsed | Refused | None:
    return s3ec.parse(json.dumps(members).encode())


def parsed(members: object) -> Parsed:
    found = parse(members)
    assert isinstance(found, Parsed), found
    return found


def test_the_three_formats() -> None:
    one, two, three = parsed(V1), parsed(V2), parsed(V3)
    assert (one.variant, one.cipher.name, one.cipher.authenticated, one.remarks) == (
        "s3-v1",
        "AES-CBC",
        False,
        ("old",),
    )
    assert one.plain_length == 20
    assert (two.variant, two.cipher.name, two.wrapped[0].length) == ("s3-v2", "AES-GCM", 32)
    assert (three.variant, three.cipher.bits, three.commitment) == ("s3-v3", 256, Commitment.YES)
    assert three.context == (("tenant", "a"),)
    assert three.wrapped[0].provider == "aws-kms"
    assert (len(one.unit), len(two.unit), len(three.unit)) == (16, 12, 28)


def test_an_instruction_file_holds_only_the_key() -> None:
    found = parsed({name: V3[name] for name in ("x-amz-3", "x-amz-t", "x-amz-w")})
    assert (found.variant, found.unit, len(found.wrapped)) == ("s3-v3", b"", 1)
    assert isinstance(parse({name: V3[name] for name in ("x-amz-3", "x-amz-i", "x-amz-w")}), Refused)


def test_wrapping_that_is_not_bound_is_told() -> None:
    assert parsed({**V2, "x-amz-wrap-alg": "kms"}).remarks == ("unbound-wrap",)
    assert "sha1" in parsed({**V2, "x-amz-wrap-alg": "RSA-OAEP-SHA1"}).remarks
    assert parsed({**V2, "x-amz-wrap-alg": "AESWrap", "x-amz-key-v2": b64(24)}).wrapped[0].length == 16


def test_names_of_s3_and_beside_them() -> None:
    metadata = {f"X-Amz-Meta-{name}": value for name, value in V2.items()}
    assert parsed({**metadata, "owner": "x", "size": 3}).variant == "s3-v2"


@pytest.mark.parametrize("whole", [V2, V3], ids=["v2", "v3"])
def test_a_missing_or_damaged_field_is_refused(whole: dict[str, str]) -> None:
    optional = {"x-amz-matdesc", "x-amz-t"}
    key = {"x-amz-key-v2", "x-amz-3"} & whole.keys()
    for name in whole.keys() - optional - key:
        assert isinstance(parse({k: v for k, v in whole.items() if k != name}), Refused), name
        assert isinstance(parse({**whole, name: whole[name] + "?"}), Refused), name
    assert isinstance(parse({**whole, "x-amz-key": b64(48)}), Refused)
    assert isinstance(parse({**whole, "X-Amz-Meta-" + min(key): b64(48)}), Refused)


def test_azure() -> None:
    found = parsed(AZURE)
    assert (found.variant, found.cipher.name) == ("azure-v2", "AES-256-GCM")
    assert [(key.provider, key.key, key.length) for key in found.wrapped] == [
        ("azure-key-vault", "https://vault.example/keys/k/1", None)
    ]
    old = {**AZURE, "EncryptionAgent": {"EncryptionAlgorithm": "AES_CBC_256"}, "ContentEncryptionIV": b64(16)}
    assert (parsed(old).variant, parsed(old).remarks, len(parsed(old).unit)) == ("azure-v1", ("old",), 16)
    assert parsed({"encryptiondata": json.dumps(AZURE), "other": "x"}).variant == "azure-v2"
    assert isinstance(parse({**AZURE, "EncryptionAgent": "x"}), Refused)
    assert isinstance(parse({**AZURE, "WrappedContentKey": {"KeyId": "x"}}), Refused)


def test_other_metadata_is_not_taken() -> None:
    assert parse({"x-amz-server-side-encryption": "aws:kms"}) is None
    assert parse({"a": 1}) is None
    assert s3ec.parse(b"x-amz-key-v2") is None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([V1, V2, V3, AZURE]), st.data())
def test_whatever_the_bytes_nothing_is_raised(whole: dict[str, object], data: st.DataObject) -> None:
    text = bytearray(json.dumps(whole).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    found = s3ec.parse(bytes(text))
    assert found is None or isinstance(found, (Parsed, Refused))
    assert not isinstance(s3ec.parse(json.dumps(whole).encode()[:-1]), Parsed)
