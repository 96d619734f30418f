"""Rails, ActiveRecord::Encryption: `{"p": payload, "h": {headers}}`, AES-256-GCM by definition.

An envelope only where `h.k` holds an encrypted data key (`EnvelopeEncryptionKeyProvider`); otherwise one key of the
application encrypts everything. `deterministic: true` does not show. No associated data: values can be swapped.
"""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import BASE64_BITS, b64_member, evidence, plain
from probes.fields.formats.strict import json_object
from probes.fields.readable import READABLE

ID: Final = "rails"
# Where things lie: p = base64 of the ciphertext; h.iv 12, h.at 16 bytes; h.k = a message of this shape with the data
# key; h.i = base64 of the key's id (4 hex digits of SHA-1); h.e = base64 of an encoding's name; h.c = true, compressed.
IV: Final = 12
TAG: Final = 16
STRUCTURE: Final = 8 * len('{"p":"","h":{"iv":"","at":""}}')
_HEADERS: Final = frozenset({"iv", "at", "k", "i", "e", "c"})
_ID: Final = re.compile(rb"[0-9a-f]{4}\Z")
_ENCODING: Final = re.compile(
    rb"(?:UTF-(?:8|16|32|7)(?:LE|BE)?|US-ASCII|ASCII-8BIT|BINARY|ISO-8859-\d{1,2}|(?i:windows)-\d{3,4}|Shift_JIS|"
    rb"EUC-(?:JP|KR|TW)|GBK|GB18030|GB2312|Big5|KOI8-[RU]|IBM\d{3}|CP\d{3,5}|macRoman)\Z"
)


def parse(value: bytes) -> Told:
    """Walk one value. Members that Rails does not write are refused: they could hold anything."""
    if not value.startswith(b"{"):
        return None
    message = json_object(value)
    if message is None or not {"p", "h"} <= set(message):
        return None
    headers = message["h"]
    if not isinstance(headers, dict) or not {"iv", "at"} <= set(headers):
        return None
    bits = evidence(STRUCTURE + BASE64_BITS * (len(value) - STRUCTURE // 8))
    sealed = _sealed(message, headers)
    if isinstance(sealed, str):
        return Refused(ID, sealed, bits)
    iv, payload, tag = sealed
    compressed = headers.get("c")
    if "c" in headers and compressed is not True:
        return Refused(ID, "the header `c` is not true", bits)
    encoding = b64_member(headers, "e")
    if "e" in headers and (encoding is None or _ENCODING.match(encoding) is None):
        return Refused(ID, "the header `e` names no encoding", bits)
    key = b64_member(headers, "i")
    if "i" in headers and (key is None or _ID.match(key) is None):
        return Refused(ID, "the header `i` is no id of a key", bits)
    wrapped = _wrapped(headers)
    if isinstance(wrapped, str):
        return Refused(ID, wrapped, bits)
    if plain(iv + payload + tag, str(message["p"]).encode()):
        return Refused(ID, READABLE, bits)
    named = key.decode("ascii") if key is not None else ""
    return Parsed(
        ID,
        "envelope" if wrapped else "static-key",
        bits,
        ciphers.AES_256_GCM,
        wrapped=wrapped,
        static_key="" if wrapped else named,
        unit=iv,
        unit_bits=8 * IV,
        commitment=Commitment.NO,
        body=payload,
        plain_length=None if compressed else len(payload),
        remarks=(*(("compressed",) if compressed else ()), *(() if wrapped else ("no-envelope",))),
    )


def _sealed(message: dict[str, object], headers: dict[str, object]) -> tuple[bytes, bytes, bytes] | str:
    """IV, ciphertext and tag of one message, or why it is none."""
    if set(message) != {"p", "h"} or not set(headers) <= _HEADERS:
        return "it has a member that Rails does not write"
    payload, iv, tag = b64_member(message, "p"), b64_member(headers, "iv"), b64_member(headers, "at")
    if payload is None or iv is None or tag is None:
        return "a member is not base64 in its one spelling"
    if len(iv) != IV or len(tag) != TAG:
        return "its IV is not 12 bytes or its tag not 16"
    return iv, payload, tag


def _wrapped(headers: dict[str, object]) -> tuple[Wrapped, ...] | str:
    """The data key's own message, one level deep, as Rails allows."""
    if "k" not in headers:
        return ()
    message = headers["k"]
    inner = message.get("h") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(inner, dict):
        return "its encrypted data key is no message"
    if not set(inner) <= {"iv", "at", "i"}:
        return "the message of its data key has a member that Rails does not write"
    sealed = _sealed(message, inner)
    if isinstance(sealed, str):
        return sealed
    iv, key, tag = sealed
    name = b64_member(inner, "i") if "i" in inner else b64_member(headers, "i")
    if "i" in inner and (name is None or _ID.match(name) is None):
        return "the id of its wrapping key is none"
    if plain(iv + key + tag, str(message["p"]).encode()):
        return READABLE
    named = name.decode("ascii") if name is not None else ""
    return (Wrapped("rails", named, iv + key + tag, length=len(key), expected=32),)


FORMAT: Final = Format(
    id=ID,
    title="Rails ActiveRecord encryption",
    parse=parse,
    envelope=False,
    sources=(
        "https://github.com/rails/rails activerecord/lib/active_record/encryption/message_serializer.rb",
        "https://github.com/rails/rails activerecord/lib/active_record/encryption/properties.rb",
    ),
    text=True,
)
