"""IronCore documents, as their library wrote them."""

from __future__ import annotations

import os

from probes.fields.formats.ironcore import FORMAT, HEAD_BITS
from probes.fields.formats.seam import Parsed, Refused

# ironcore-alloy 0.16.1, standalone: a wrapped key, a document of `hello`, and both in one.
KEY = bytes.fromhex(
    "0000000182000a240a20fdbbd634858f5b78e02978e9522d03e5bb1c8d28bd8b1146c89b178498b047591001124712451a430a0c230847df5486"
    "5f7c49e5fa971230b67454c9555b710a7288a2beaf35d6995f5271d8b72c0581eb2bfdafddb180377f21e8fa6f6c2af9061e8f4e62d73ab41a01"
    "31"
)
DOCUMENT = bytes.fromhex("0049524f4e04af9e73cd855e7bc8f453530d63e9b6bfa999b9748c64e99efc88085dd0fc1858")
ATTACHED = bytes.fromhex(
    "000000018200006f0a240a206231108961ceed0c3ca725ed66f112b277f8fa4bef7f773f189ef8bc9b9c84211001124712451a430a0cb361e507"
    "0fb065847d3036f71230679b3918ab2ddb06e3393078df2969678a49bd5c01e01abb89571db4cd230aa968fa6d4135c32a1cec742db75090227b"
    "1a01317629517235171c9687bdb06f833950e5cdaf3c1b3b1325a320e255b1516a8c9b1b"
)


def test_wrapped_keys_show_their_length_and_id() -> None:
    for value, variant in ((KEY, "v5-key"), (ATTACHED, "v5-attached")):
        found = FORMAT.parse(value)
        assert isinstance(found, Parsed)
        assert (found.variant, found.cipher.bits) == (variant, 256)
        assert [(one.provider, one.key, one.length, one.expected) for one in found.wrapped] == [
            ("ironcore-own", "1", 32, 32)
        ]


def test_a_document_by_itself_shows_its_iv() -> None:
    found = FORMAT.parse(DOCUMENT)
    assert isinstance(found, Parsed)
    assert (found.unit, found.plain_length, found.wrapped) == (DOCUMENT[5:17], 5, ())


def test_the_third_version_names_its_tenant_and_nothing_else() -> None:
    header = b"\x0a\x1c" + os.urandom(28) + b"\x1a\x0a\x0a\x08tenantId"
    sealed = os.urandom(12 + 5 + 16)
    found = FORMAT.parse(b"\x03IRON\x00\x2a" + header + sealed)
    assert isinstance(found, Parsed)
    assert (found.variant, found.static_key, found.plain_length) == ("v3", "tenantId", 5)
    assert isinstance(FORMAT.parse(b"\x03IRON\x00\x00" + sealed), Parsed)
    assert isinstance(FORMAT.parse(b"\x03IRON\x00\x30" + header + b"\x22\x04Anna" + sealed), Refused)
    assert isinstance(FORMAT.parse(b"\x03IRON\x00\x10" + os.urandom(16) + sealed), Refused)


def test_deterministic_fields_are_weak_evidence_and_say_what_they_are() -> None:
    found = FORMAT.parse(b"\x00\x01\x19\x40\x80\x00" + os.urandom(16 + 5))
    assert isinstance(found, Parsed)
    assert (found.deterministic, found.static_key, found.bits) == (True, "72000", HEAD_BITS)


def test_no_truncated_header_passes() -> None:
    for end in range(len(KEY)):
        assert not isinstance(FORMAT.parse(KEY[:end]), Parsed)
    for end in range(len(ATTACHED) - 33 + 28):
        assert not isinstance(FORMAT.parse(ATTACHED[:end]), Parsed)
    assert isinstance(FORMAT.parse(KEY + b"Anna"), Refused)
    assert isinstance(FORMAT.parse(DOCUMENT[:32]), Refused)
    assert isinstance(FORMAT.parse(b"\x00IRONAnna Schmidt, Hauptstrasse 12, Berlin"), Refused)
