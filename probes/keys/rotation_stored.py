"""A stored record as the vendor shows it: the wrapped data key in it, by its layout. Pure; everything is a stranger's.

Sources: AWS Encryption SDK, "message format reference" (header of formats 1 and 2); Tink, `KmsEnvelopeAead` (length,
wrapped data key, payload); RFC 6901 (JSON pointers).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.keys.subjects import Layout

MAX_VALUE: Final = 512 * 1024
"""Characters of a stored value."""
MAX_WRAPPED: Final = 8192
"""Octets of a wrapped data key: KMS takes no more."""
MAX_PAIRS: Final = 64
MAX_KEYS: Final = 20
_ID_LENGTH: Final = {1: 16, 2: 32}
"""Of the message's id, by format."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped data key. It is a ciphertext, and still stays out of every message."""

    blob: bytes = field(repr=False)
    context: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The encryption context that stands beside it; empty where the layout has none."""
    named: str = ""
    """The key that the record itself says wrapped it: a claim."""


def value_at(body: bytes, pointer: str) -> bytes:
    """The octets that a JSON document holds in base64 at `pointer`. Raises ProbeError(malformed), without them."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed("the reply is no JSON document") from error
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdecimal() and int(name[:6]) < len(found):
            found = found[int(name[:6])]
        else:
            raise _malformed("the reply holds nothing at the declared pointer")
    if not isinstance(found, str) or len(found) > MAX_VALUE:
        raise _malformed("the reply holds no text, or too long a one, at the declared pointer")
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("the stored value is no base64") from error


def wrapped_keys(value: bytes, layout: Layout) -> tuple[Wrapped, ...]:
    """The wrapped data keys in a stored value; at least one. Raises ProbeError(malformed)."""
    found: tuple[Wrapped, ...]
    match layout:
        case Layout.BLOB:
            found = (Wrapped(value),)
        case Layout.TINK:
            reader = _Reader(value)
            found = (Wrapped(reader.take(reader.number(4))),)
        case Layout.ENCRYPTION_SDK:
            found = _message(_Reader(value))
        case _:
            assert_never(layout)
    if not found:
        raise _malformed("the stored value holds no data key that AWS KMS wrapped")
    if any(not 1 <= len(each.blob) <= MAX_WRAPPED for each in found):
        raise _malformed("the stored value holds no wrapped data key of a possible length")
    return found


def _message(reader: _Reader) -> tuple[Wrapped, ...]:
    version = reader.number(1)
    if version == 1:
        reader.take(1)  # the type of the message
    if version not in _ID_LENGTH:
        raise _malformed("the stored value is no message of the AWS Encryption SDK")
    reader.take(2 + _ID_LENGTH[version])  # algorithm suite, message id
    context = _context(_Reader(reader.take(reader.number(2))))
    count = reader.number(2)
    if not 1 <= count <= MAX_KEYS:
        raise _malformed("the stored value holds no possible number of data keys")
    keys = [(reader.field(), reader.field(), reader.field()) for _ in range(count)]
    return tuple(
        Wrapped(blob, context, named.decode("utf-8", "replace"))
        for provider, named, blob in keys
        if provider == b"aws-kms"
    )


def _context(reader: _Reader) -> Mapping[str, str]:
    if reader.over:
        return {}
    count = reader.number(2)
    if count > MAX_PAIRS:
        raise _malformed("the encryption context of the stored value has too many pairs")
    try:
        pairs = [(reader.field().decode("utf-8"), reader.field().decode("utf-8")) for _ in range(count)]
    except UnicodeDecodeError as error:
        raise _malformed("the encryption context of the stored value is no text") from error
    if len(dict(pairs)) != count or not reader.over:
        raise _malformed("the encryption context of the stored value is not well formed")
    return dict(pairs)


class _Reader:
    """Octets from the front; what is too short is malformed."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at == len(self._octets)

    def take(self, length: int) -> bytes:
        if length > len(self._octets) - self._at:
            raise _malformed("the stored value ends too early")
        start, self._at = self._at, self._at + length
        return self._octets[start : self._at]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def field(self) -> bytes:
        return self.take(self.number(2))


def _malformed(words: str) -> ProbeError:
    return ProbeError(Reason.MALFORMED, words)
