"""Envelopes and prefixes that Tink itself makes here."""

from __future__ import annotations

import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from made_blobs import aws_blob, gcp_blob
from tink import aead

from probes.fields.formats import tink as tink_format
from probes.fields.formats.seam import Commitment, Parsed, Refused

aead.register()
TEMPLATES = aead.aead_key_templates
PLAINTEXT = b"somebody@example.org"
AWS, GCP = aws_blob(2, 34), gcp_blob(34)


class Kms(aead.Aead):
    """A key service that answers with a blob of the right layout around the key, which it keeps."""

    def __init__(self, head: bytes, over: int) -> None:
        self.head, self.over = head, over

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return self.head if len(plaintext) == 34 else b"?" * (len(plaintext) + self.over)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        raise NotImplementedError


def parsed(data: bytes) -> Parsed:
    found = tink_format.parse(data)
    assert isinstance(found, Parsed), found
    return found


@pytest.mark.parametrize(
    ("blob", "provider", "bits"), [(AWS, "aws-kms", 255), (GCP, "gcp-kms", 72)], ids=["aws", "gcp"]
)
def test_an_envelope_under_a_key_service(blob: bytes, provider: str, bits: int) -> None:
    data = aead.KmsEnvelopeAead(TEMPLATES.AES256_GCM, Kms(blob, 27)).encrypt(PLAINTEXT, b"row 17")
    found = parsed(data)
    assert (found.variant, found.bits, found.cipher.name) == (f"envelope-{provider}", bits, "unstated")
    assert [(key.provider, key.length, key.expected) for key in found.wrapped] == [(provider, 34, 34)]
    assert found.wrapped[0].blob == blob
    assert found.unit == data[4 + len(blob) :][:12]
    assert found.remarks == ("unbound-wrap",)
    assert found.commitment is Commitment.NO
    for cut in range(4 + len(blob), 4 + len(blob) + 28):
        assert isinstance(tink_format.parse(data[:cut]), Refused)


@pytest.mark.parametrize(
    ("template", "length", "expected", "bits"),
    [
        ("AES256_GCM", 34, 34, None),
        ("XCHACHA20_POLY1305", 34, 34, None),
        ("AES128_GCM", 18, 34, 128),
        ("AES256_CTR_HMAC_SHA256", 82, 82, 256),
        ("AES128_CTR_HMAC_SHA256", 66, 82, 128),
        ("AES256_EAX", 38, 38, 256),
        ("AES128_EAX", 22, 38, 128),
    ],
)
def test_the_length_of_the_wrapped_key_tells_what_it_can(
    template: str, length: int, expected: int, bits: int | None
) -> None:
    kek = tink.new_keyset_handle(TEMPLATES.AES256_GCM).primitive(aead.Aead)
    data = aead.KmsEnvelopeAead(getattr(TEMPLATES, template), kek).encrypt(PLAINTEXT, b"")
    found = parsed(data)
    assert found.variant == "envelope-tink"
    assert [(key.length, key.expected) for key in found.wrapped] == [(length, expected)]
    assert found.cipher.bits == bits
    assert found.plain_length in (None, len(PLAINTEXT))


def test_a_prefix_is_weak_and_names_its_key() -> None:
    handle = tink.new_keyset_handle(TEMPLATES.AES128_GCM)
    found = parsed(handle.primitive(aead.Aead).encrypt(PLAINTEXT, b""))
    assert (found.variant, found.bits, found.cipher.bits) == ("prefix", 8, None)
    assert int(found.static_key, 16) == handle.keyset_info().primary_key_id
    assert found.deterministic is None
    assert "no-envelope" in found.remarks
    assert tink_format.parse(b"\1" + bytes(31)) is None
    assert tink_format.parse(b"\2" + bytes(40)) is None


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"\1", b"\0\0\0\x43\1", len(AWS).to_bytes(4, "big") + AWS, b"\0\0\0\0"]),
    st.binary(max_size=200),
)
def test_whatever_the_bytes_nothing_is_raised(head: bytes, rest: bytes) -> None:
    found = tink_format.parse(head + rest)
    assert found is None or isinstance(found, (Parsed, Refused))
