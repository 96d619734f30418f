"""Rails: envelope or not, and no member that could hold anything else."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from probes.fields.formats import ciphers
from probes.fields.formats.rails import FORMAT
from probes.fields.formats.seam import Parsed, Refused


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def message(size: int = 20, **headers: Any) -> dict[str, Any]:
    return {"p": b64(os.urandom(size)), "h": {"iv": b64(os.urandom(12)), "at": b64(os.urandom(16)), **headers}}


def parse(value: dict[str, Any], **layout: Any) -> object:
    return FORMAT.parse(json.dumps(value, **layout).encode())


def test_one_key_of_the_application_is_no_envelope() -> None:
    found = parse(message(i=b64(b"a1b2")), separators=(",", ":"))
    assert isinstance(found, Parsed)
    assert (found.variant, found.static_key, found.cipher) == ("static-key", "a1b2", ciphers.AES_256_GCM)
    assert (found.wrapped, found.plain_length, len(found.unit)) == ((), 20, 12)
    assert "no-envelope" in found.remarks


@pytest.mark.parametrize(("size", "length"), [(32, 32), (16, 16)])
def test_the_size_of_a_wrapped_data_key_shows(size: int, length: int) -> None:
    found = parse(message(k=message(size, i=b64(b"00ff"))))
    assert isinstance(found, Parsed)
    assert [(one.key, one.length, one.expected) for one in found.wrapped] == [("00ff", length, 32)]


def test_compression_is_remarked() -> None:
    found = parse(message(c=True))
    assert isinstance(found, Parsed)
    assert "compressed" in found.remarks
    assert found.plain_length is None


def test_a_jsonb_column_may_order_the_members_its_own_way() -> None:
    value = message()
    assert isinstance(parse({"h": value["h"], "p": value["p"]}), Parsed)


@pytest.mark.parametrize(
    "value",
    [
        {**message(), "plain": "Anna"},
        message(note=b64(b"Anna")),
        message(i=b64(b"Anna Schmidt")),
        message(e=b64(b"Anna Schmidt")),
        message(c="Anna"),
        message(k={"p": "", "h": {}}),
        message(k=message(32, k=message(32))),
        {"p": "AnnaSchmidtHauptstrasse12Berlin", "h": message()["h"]},
        {"p": "Anna.", "h": message()["h"]},
        {"p": b64(b"x"), "h": {"iv": b64(bytes(11)), "at": b64(bytes(16))}},
        {"p": b64(b"Anna Schmidt, Hauptstrasse 12"), "h": message()["h"]},
    ],
)
def test_what_rails_does_not_write_is_refused(value: dict[str, Any]) -> None:
    assert isinstance(parse(value), Refused)


def test_a_member_named_twice_is_no_message() -> None:
    value = json.dumps(message())
    assert not isinstance(FORMAT.parse((value[:-1] + ',"p":"eA=="}').encode()), Parsed)
