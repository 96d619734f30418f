"""Parquet modular encryption, as pyarrow writes it."""

from __future__ import annotations

import base64
import io
import json
import os
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption as pe

from probes.fields.formats.pme import FORMAT
from probes.fields.formats.seam import Parsed, Refused


class Kms(pe.KmsClient):  # type: ignore[misc]
    """A key service in memory that wraps by base64: only the layout matters here."""

    def __init__(self, _: object) -> None:
        pe.KmsClient.__init__(self)

    def wrap_key(self, key: bytes, master: str) -> bytes:
        return base64.b64encode(os.urandom(28) + key)

    def unwrap_key(self, wrapped: bytes, master: str) -> bytes:
        return base64.b64decode(wrapped)[28:]


def write(bits: int, algorithm: str = "AES_GCM_V1", double: bool = True) -> bytes:
    settings = pe.EncryptionConfiguration(
        footer_key="footer-key",
        column_keys={"email-key": ["email"]},
        encryption_algorithm=algorithm,
        data_key_length_bits=bits,
        double_wrapping=double,
        cache_lifetime=timedelta(minutes=5),
    )
    properties = pe.CryptoFactory(Kms).file_encryption_properties(pe.KmsConnectionConfig(), settings)
    table = pa.table({"email": ["anna@example.org"] * 10})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(("bits", "length"), [(128, 16), (192, 24), (256, 32)])
def test_a_file_shows_the_size_of_its_footer_key(bits: int, length: int) -> None:
    found = FORMAT.parse(write(bits))
    assert isinstance(found, Parsed)
    assert (found.variant, found.cipher.bits) == ("file", None)
    assert [(one.key, one.length, one.expected) for one in found.wrapped] == [("footer-key", length, 32)]


def test_counter_mode_leaves_the_pages_unauthenticated() -> None:
    found = FORMAT.parse(write(256, "AES_GCM_CTR_V1"))
    assert isinstance(found, Parsed)
    assert (found.variant, found.cipher.authenticated, found.remarks) == ("file-ctr", False, ("pages-unauthenticated",))


def test_single_wrapping_shows_no_length() -> None:
    found = FORMAT.parse(write(256, double=False))
    assert isinstance(found, Parsed)
    assert [one.length for one in found.wrapped] == [None]


def test_no_truncated_or_lengthened_file_passes() -> None:
    value = write(256)
    for end in range(0, len(value), 7):
        assert not isinstance(FORMAT.parse(value[:end]), Parsed)
        assert not isinstance(FORMAT.parse(value[end:]), Parsed) or end == 0
    assert isinstance(FORMAT.parse(value + b"PARE"), Refused)


def metadata(**members: Any) -> bytes:
    key = base64.b64encode(os.urandom(60)).decode()
    standard = {
        "keyMaterialType": "PKMT1",
        "internalStorage": True,
        "isFooterKey": False,
        "doubleWrapping": True,
        "masterKeyID": "email-key",
        "keyEncryptionKeyID": base64.b64encode(os.urandom(16)).decode(),
        "wrappedKEK": key,
        "wrappedDEK": key,
    }
    return json.dumps({name: value for name, value in {**standard, **members}.items() if value is not None}).encode()


def test_metadata_of_a_column_key() -> None:
    found = FORMAT.parse(metadata())
    assert isinstance(found, Parsed)
    assert [(one.provider, one.key, one.length) for one in found.wrapped] == [("parquet-kek", "email-key", 32)]
    short = FORMAT.parse(metadata(wrappedDEK=base64.b64encode(os.urandom(44)).decode()))
    assert isinstance(short, Parsed)
    assert short.wrapped[0].length == 16
    outside = FORMAT.parse(b'{"keyMaterialType":"PKMT1","internalStorage":false,"keyReference":"k0"}')
    assert isinstance(outside, Parsed)
    assert outside.wrapped == ()


@pytest.mark.parametrize(
    "members",
    [
        {"name": "Anna"},
        {"wrappedDEK": "Anna"},
        {"wrappedDEK": None},
        {"masterKeyID": 7},
        {"doubleWrapping": "Anna"},
        {"wrappedDEK": base64.b64encode(b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin").decode()},
        {"doubleWrapping": False},
    ],
)
def test_other_members_are_refused(members: dict[str, Any]) -> None:
    assert isinstance(FORMAT.parse(metadata(**members)), Refused)
