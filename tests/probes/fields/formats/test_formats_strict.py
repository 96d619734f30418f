"""One spelling each, and bounds."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.fields.formats import strict
from probes.fields.formats.der import ecdsa_signature


@given(st.binary(max_size=40))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert strict.b64(base64.b64encode(data)) == data
    assert strict.b64url(base64.urlsafe_b64encode(data).rstrip(b"=")) == data


@given(st.binary(max_size=12) | st.text("AQRgw_-+/= \n\0é", max_size=9).map(str.encode))
@example(b"QQ")
@example(b"QR")
@example(b"QUI")
@example(b"QUJ")
def test_whatever_is_decoded_is_encoded_again_to_the_same(text: bytes) -> None:
    padded, url = strict.b64(text), strict.b64url(text)
    assert padded is None or base64.b64encode(padded) == text
    assert url is None or base64.urlsafe_b64encode(url).rstrip(b"=") == text
    assert strict.b64url(text.decode("utf-8", "replace")) == url or not text.isascii()


def test_json_that_readers_could_read_in_two_ways_is_not_read() -> None:
    assert strict.json_object(b'{"a": [1, {"b": "\\u00fc"}]}') == {"a": [1, {"b": "ü"}]}
    assert strict.json_pairs(b'{"a": "b"}') == (("a", "b"),)
    assert strict.json_pairs(b'{"a": 1}') is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a": "' + b"x" * strict.JSON_BYTES + b'"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b' {"a": 1}',
        b"[]",
        b"{",
        b"",
    ],
)
def test_other_json_is_not_read(text: bytes) -> None:
    assert strict.json_object(text) is None


def test_brackets_in_strings_are_no_depth() -> None:
    text = json.dumps({"a": '[{\\"' * 40}).encode()
    assert strict.json_object(text) is not None


def test_shapes_of_signatures() -> None:
    sound = b"\x30\x08\x02\x02\x00\x80\x02\x02\x11\x22"
    assert ecdsa_signature(sound, 32)
    for broken in (
        sound[:-1],
        sound + b"\0",
        b"\x30\x08\x02\x02\x00\x7f\x02\x02\x11\x22",
        b"\x30\x08\x02\x02\x80\x00\x02\x02\x11\x22",
        b"\x30\x08\x02\x04\x11\x22\x33\x44\x02\x00",
    ):
        assert not ecdsa_signature(broken, 32)
    assert not ecdsa_signature(sound, 0)
