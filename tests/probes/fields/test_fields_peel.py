"""Encodings are peeled in one spelling; second spellings are named as such; depth and width are bounded."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.peel import DEPTH, ENCODINGS, LOOSE, MAX_LAYERS, layers, peel


def mime(content: bytes, end: bytes = b"\n", width: int = 76) -> bytes:
    text = base64.b64encode(content)
    return end.join(text[at : at + width] for at in range(0, len(text), width)) + end


def mongo(content: bytes) -> bytes:
    return json.dumps({"$binary": {"base64": base64.b64encode(content).decode(), "subType": "06"}}).encode()


def mongo_v1(content: bytes) -> bytes:
    return json.dumps({"$binary": base64.b64encode(content).decode(), "$type": "06"}).encode()


WRITERS = {
    "base64": base64.b64encode,
    "base64-unpadded": lambda content: base64.b64encode(content).rstrip(b"="),
    "base64url": base64.urlsafe_b64encode,
    "base64url-unpadded": lambda content: base64.urlsafe_b64encode(content).rstrip(b"="),
    "base64-mime": mime,
    "hex": lambda content: content.hex().encode(),
    "hex-upper": lambda content: content.hex().upper().encode(),
    "bytea": lambda content: b"\\x" + content.hex().encode(),
    "json-binary": mongo,
}
BYTES = bytes(range(248, 256)) + bytes(range(160))
"""Long enough for a second line, with both characters in which base64 and base64url differ."""


@pytest.mark.parametrize("name", WRITERS)
@given(content=st.binary(min_size=1, max_size=120))
@settings(max_examples=40, deadline=None)
def test_each_encoding_is_peeled_by_its_name(name: str, content: bytes) -> None:
    written = WRITERS[name](content)
    assert peel(written, (name,)) == content
    if len(written) > 16:
        assert content in {layer.content for layer in layers(written)}


def test_every_encoding_is_covered_here_or_below() -> None:
    assert set(ENCODINGS) - set(WRITERS) == {"json", "json-member"}


@pytest.mark.parametrize("name", WRITERS)
def test_layers_name_the_encoding(name: str) -> None:
    content = BYTES + b"\xff"
    assert (name,) in {layer.encodings for layer in layers(WRITERS[name](content)) if layer.content == content}


def test_json_in_its_ways() -> None:
    assert peel(b'"anna"', ("json",)) == b"anna"
    assert peel(json.dumps("J\u00fcrgen").encode(), ("json",)) == "J\u00fcrgen".encode()
    assert peel('"J\u00fcrgen"'.encode(), ("json",)) == "J\u00fcrgen".encode()
    assert peel(b'"a\\/b"', ("json",)) == b"a/b"
    assert peel(b'{"ciphertext":"anna"}', ("json-member",)) == b"anna"
    assert peel(mongo_v1(b"anna"), ("json-binary",)) == b"anna"
    assert peel(b'{"a":"x","b":"y"}', ("json-member",)) is None
    assert peel(b'{"$binary":{"base64":"QQ==","subType":"06","note":"Anna"}}', ("json-binary",)) is None
    assert peel(b'{"$binary":{"base64":"QQ==","subType":"Anna"}}', ("json-binary",)) is None


@pytest.mark.parametrize(
    ("second", "name"),
    [
        (base64.b64encode(b"x" * 31)[:-3] + b"B==", "base64"),
        (b"DeadBeefDeadBeefDeadBeef", "hex"),
        (b"\\xDEADBEEF", "bytea"),
        (b"0xdeadbeef", "bytea"),
        (b'"\\u0061nna"', "json"),
        (base64.b64encode(bytes(40))[:20] + b"\n" + base64.b64encode(bytes(40))[20:], "base64"),
    ],
)
def test_a_second_spelling_is_told(second: bytes, name: str) -> None:
    assert peel(second, (name,)) is None
    assert (name + LOOSE,) in {layer.encodings for layer in layers(second)}
    assert peel(second, (name + LOOSE,)) is not None


def test_lines_must_be_of_one_length() -> None:
    assert peel(mime(BYTES, b"\r\n"), ("base64-mime",)) == BYTES
    broken = base64.b64encode(BYTES)
    assert peel(broken[:10] + b"\n" + broken[10:50] + b"\n" + broken[50:], ("base64-mime",)) is None


def test_depth_and_width_are_bounded() -> None:
    value = b"anna@example.org"
    for _ in range(6):
        value = base64.b64encode(value)
    found = list(layers(value))
    assert max(len(layer.encodings) for layer in found) == DEPTH
    assert len(found) <= MAX_LAYERS
    assert not any(b"anna" in layer.content for layer in found)


def test_a_known_chain_is_peeled_outermost_first() -> None:
    value = b"\\x" + base64.b64encode(b"anna\xff").hex().encode()
    assert peel(value, ("bytea", "base64")) == b"anna\xff"
    assert peel(value, ("base64", "bytea")) is None
    assert peel(value, ()) == value
    assert peel(value, ("rot13",)) is None


@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
)
@settings(max_examples=400, deadline=None)
def test_every_layer_is_what_its_chain_peels_to(value: bytes) -> None:
    found = list(layers(value))
    assert found[0].encodings == ()
    assert found[0].content == value
    assert len({layer.content for layer in found}) == len(found) <= MAX_LAYERS
    for layer in found:
        assert peel(value, layer.encodings) == layer.content


@pytest.mark.parametrize("hostile", [b'{"a":' * 50_000, b"[" * 100_000, b'"' + b"\\" * 99_999 + b'"', b"A" * 1_000_001])
def test_hostile_text_neither_raises_nor_hangs(hostile: bytes) -> None:
    assert next(iter(layers(hostile))).content == hostile
    assert len(list(layers(hostile))) <= MAX_LAYERS
