"""Encodings around a value, peeled off to a bounded depth, each in its canonical spelling only.

A second spelling of the same bytes (spare bits that are not zero, hex of mixed case, JSON with needless escapes) is
peeled as well, under a name that ends in `~`: it never passes for the canonical one, and is never left unread.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from probes.fields.formats.spelling import b64_member, b64url_padded, lower_hex
from probes.fields.formats.strict import b64, b64url, json_object

DEPTH: Final = 3
MAX_BYTES: Final = 16 * 1024 * 1024
"""Longer values are not peeled."""
MAX_LAYERS: Final = 24
"""Layers of one value, the value itself included."""
LOOSE: Final = "~"
HEX_ALONE: Final = 16
"""Characters from which hex is not taken for base64 as well: base64 would be all hex digits once in 2^32."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What a value is after peeling."""

    encodings: tuple[str, ...]
    """Outermost first; empty for the value itself."""
    content: bytes = field(repr=False)


_QUOTED: Final = b'"{\\'
_ALPHABETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n\t"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}\Z")
_BASE64URL: Final = re.compile(rb"[A-Za-z0-9_-]+={0,2}\Z")
_LINES: Final = re.compile(rb"[A-Za-z0-9+/=]{4,998}(?:\r?\n[A-Za-z0-9+/=]{1,998})*(?:\r?\n)?\Z")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2})+\Z")


def _plain_base64(value: bytes) -> bytes | None:
    return b64(value) if _BASE64.match(value) is not None else None


def _unpadded_base64(value: bytes) -> bytes | None:
    """Without the padding that its length may ask for."""
    if value.endswith(b"=") or _BASE64.match(value) is None:
        return None
    return b64(value + b"=" * (-len(value) % 4))


def _base64url(value: bytes) -> bytes | None:
    return b64url_padded(value) if _BASE64URL.match(value) is not None else None


def _unpadded_base64url(value: bytes) -> bytes | None:
    return b64url(value) if not value.endswith(b"=") and _BASE64URL.match(value) is not None else None


def _mime(value: bytes) -> bytes | None:
    """Lines of equal length, as MIME and PEM break them, the last one shorter; CRLF or LF throughout."""
    if b"\n" not in value or _LINES.match(value) is None:
        return None
    end = b"\r\n" if b"\r\n" in value else b"\n"
    lines = value.removesuffix(end).split(end)
    if any(b"\n" in line or len(line) != len(lines[0]) for line in lines[:-1]) or len(lines[-1]) > len(lines[0]):
        return None
    return b64(b"".join(lines))


def _loose_base64(value: bytes) -> bytes | None:
    """Base64 that decodes, in another spelling than the canonical ones."""
    joined = value.translate(None, b"\r\n\t")
    if not joined or (_BASE64.match(joined) is None and _BASE64URL.match(joined) is None):
        return None
    bare = joined.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    if len(bare) % 4 == 1:
        return None
    try:
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
    except binascii.Error:
        return None


def _upper_hex(value: bytes) -> bytes | None:
    return bytes.fromhex(value.decode("ascii")) if _HEX.match(value) is not None and value == value.upper() else None


def _mixed_hex(value: bytes) -> bytes | None:
    return bytes.fromhex(value.decode("ascii")) if _HEX.match(value) is not None else None


def _bytea(value: bytes) -> bytes | None:
    """PostgreSQL's text form of `bytea`: `\\x` and lower-case hex."""
    return lower_hex(value[2:]) if value.startswith(b"\\x") and len(value) > 2 else None


def _loose_bytea(value: bytes) -> bytes | None:
    return _mixed_hex(value[2:]) if value[:2] in (b"\\x", b"\\X", b"0x", b"0X") else None


def _json_string(value: bytes) -> bytes | None:
    if not (value.startswith(b'"') and value.endswith(b'"') and len(value) > 2):
        return None
    try:
        text: object = json.loads(value.decode("utf-8"))
        return text.encode("utf-8") if isinstance(text, str) else None
    except ValueError:
        return None


def _canonical_json_string(value: bytes) -> bytes | None:
    content = _json_string(value)
    if content is None:
        return None
    text = content.decode("utf-8")
    spelt = (json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps(text).replace("/", "\\/"))
    return content if value in {written.encode("utf-8") for written in spelt} else None


def _mongo_binary(value: bytes) -> bytes | None:
    """MongoDB's Extended JSON v2: `{"$binary": {"base64": …, "subType": "06"}}`, or v1's two members."""
    members = json_object(value)
    if members is None:
        return None
    inner = members.get("$binary")
    if set(members) == {"$binary"} and isinstance(inner, dict):
        if set(inner) == {"base64", "subType"} and _subtype(inner["subType"]):
            return b64_member({str(name): member for name, member in inner.items()}, "base64")
        return None
    if set(members) == {"$binary", "$type"} and _subtype(members["$type"]):
        return b64_member(members, "$binary")
    return None


def _subtype(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{1,2}", value) is not None


def _json_member(value: bytes) -> bytes | None:
    """A JSON object whose only member is a string."""
    members = json_object(value)
    if members is None or len(members) != 1:
        return None
    ((name, text),) = members.items()
    if not isinstance(text, str) or name == "$binary" or re.fullmatch(r"[$A-Za-z_][\w.$-]{0,31}", name) is None:
        return None
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return None


_Decode = Callable[[bytes], bytes | None]
_DECODERS: Final[dict[str, _Decode]] = {
    "hex": lower_hex,
    "hex-upper": _upper_hex,
    "bytea": _bytea,
    "base64": _plain_base64,
    "base64-unpadded": _unpadded_base64,
    "base64url": _base64url,
    "base64url-unpadded": _unpadded_base64url,
    "base64-mime": _mime,
    "json": _canonical_json_string,
    "json-binary": _mongo_binary,
    "json-member": _json_member,
}
_SECOND: Final[dict[str, _Decode]] = {
    "hex" + LOOSE: _mixed_hex,
    "bytea" + LOOSE: _loose_bytea,
    "base64" + LOOSE: _loose_base64,
    "json" + LOOSE: _json_string,
}
ENCODINGS: Final = tuple(_DECODERS)
"""Names of the canonical encodings."""


def peel(value: bytes, encodings: tuple[str, ...]) -> bytes | None:
    """Peel a known chain, outermost first; None where the value is not spelt so, to the last byte."""
    for name in encodings:
        decode = _DECODERS.get(name) or _SECOND.get(name)
        if decode is None or len(value) > MAX_BYTES or not value:
            return None
        decoded = decode(value)
        if decoded is None:
            return None
        value = decoded
    return value


def layers(value: bytes) -> Iterator[Layer]:
    """Everything that a value may be, the value itself first, then breadth first to a depth of three. At most 24
    layers; values beyond 16 MiB yield themselves only. Chains that lead to the same bytes are told once, by the first
    of them in the order of `ENCODINGS`."""
    queue = [Layer((), value)]
    seen = {value}
    count = 0
    while queue and count < MAX_LAYERS:
        layer = queue.pop(0)
        count += 1
        yield layer
        for inner in under(layer):
            if inner.content not in seen:
                seen.add(inner.content)
                queue.append(inner)


def under(layer: Layer) -> Iterator[Layer]:
    """One more encoding taken off, in every way that fits; a second spelling only where no canonical one fits. Nothing
    below a depth of three, of an empty content, or beyond 16 MiB."""
    value = layer.content
    if len(layer.encodings) >= DEPTH or not 2 <= len(value) <= MAX_BYTES:
        return
    if value[0] not in _QUOTED and value.translate(None, _ALPHABETS):
        return
    found = False
    hexed = len(value) >= HEX_ALONE and _HEX.match(value) is not None
    for name, decode in _DECODERS.items():
        if hexed and name.startswith("base64"):
            continue
        content = decode(value)
        if content:
            found = True
            yield Layer((*layer.encodings, name), content)
    if not found:
        for name, decode in _SECOND.items():
            content = decode(value)
            if content:
                yield Layer((*layer.encodings, name), content)
                return
