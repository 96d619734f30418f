"""SOPS values."""

from __future__ import annotations

import base64
import os

import pytest

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Parsed, Refused
from probes.fields.formats.sops import FORMAT


def value(data: bytes, iv: int = 32, tag: int = 16, kind: str = "str", extra: str = "") -> bytes:
    parts = [base64.b64encode(part).decode() for part in (data, os.urandom(iv), os.urandom(tag))]
    return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}{}]".format(*parts, kind, extra).encode()


@pytest.mark.parametrize("kind", ["str", "int", "int64", "float", "bool", "bytes", "comment", "time"])
def test_a_value_shows_its_iv_and_its_length(kind: str) -> None:
    found = FORMAT.parse(value(os.urandom(7), kind=kind))
    assert isinstance(found, Parsed)
    assert (found.cipher, found.plain_length, len(found.unit), found.unit_bits) == (ciphers.AES_256_GCM, 7, 32, 256)


@pytest.mark.parametrize(
    "damaged",
    [
        value(os.urandom(7), iv=12),
        value(os.urandom(7), tag=12),
        value(os.urandom(7), kind="Anna"),
        value(os.urandom(7), extra=",note:Anna"),
        value(os.urandom(7)) + b" ",
        value(os.urandom(7))[:-1],
        value(b"Anna Schmidt, Hauptstrasse 12"),
        b"ENC[AES256_GCM,data:Anna]",
    ],
)
def test_anything_else_is_refused(damaged: bytes) -> None:
    assert isinstance(FORMAT.parse(damaged), Refused)
