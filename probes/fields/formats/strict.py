"""Text encodings and JSON as formats need them: one spelling each, bounded, and never an exception.

Two spellings of the same bytes would hide copies of a value and let a changed value look like another, so that what
is decoded is encoded again and compared. Sources: RFC 4648 (3.5, non-zero pad bits), RFC 8259 (4, names should be
unique).
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from typing import Final, NoReturn

JSON_BYTES: Final = 1 << 20
"""Longest JSON text that is read."""
JSON_DEPTH: Final = 16


def b64(text: str | bytes) -> bytes | None:
    """The bytes of padded standard base64 in its one spelling; None for anything else."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        decoded = b64decode(raw, validate=True)
    except ValueError:
        return None
    return decoded if b64encode(decoded) == raw else None


def b64url(text: str | bytes) -> bytes | None:
    """The bytes of unpadded base64url (RFC 7515, 2) in its one spelling; None for anything else."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    over = len(raw) % 4
    # The bits that the last character holds beyond the last byte are zero in the one spelling.
    if over == 1 or raw[-1:] not in _LAST[over]:
        return None
    try:
        return binascii.a2b_base64(raw.translate(_FROM_URL) + b"=" * (-over % 4), strict_mode=True)
    except ValueError:
        return None


_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST: Final = {0: _ALPHABET, 2: _ALPHABET[::16], 3: _ALPHABET[::4]}


class _UnreadError(ValueError):
    pass


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _UnreadError
    return found


def _no_constant(_name: str) -> NoReturn:
    raise _UnreadError


def json_object(text: bytes) -> dict[str, object] | None:
    """A JSON object of at most `JSON_BYTES` and `JSON_DEPTH`, with every name once and nothing but Unicode in its
    strings; None for anything else."""
    if not text.startswith(b"{") or len(text) > JSON_BYTES or _depth(text) > JSON_DEPTH:
        return None
    try:
        found: object = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
        if b"\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def json_pairs(text: bytes) -> tuple[tuple[str, str], ...] | None:
    """The members of a JSON object that holds nothing but strings; None for anything else."""
    found = json_object(text)
    if found is None:
        return None
    pairs = tuple((name, value) for name, value in found.items() if isinstance(value, str))
    return pairs if len(pairs) == len(found) else None


def _depth(text: bytes) -> int:
    """Brackets open at once, those inside strings left out; linear whatever the text."""
    opening = text.count(b"{") + text.count(b"[")
    if opening <= JSON_DEPTH:
        return opening
    deepest = depth = 0
    quoted = escaped = False
    for byte in text:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
