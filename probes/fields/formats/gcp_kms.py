"""Google Cloud KMS: the ciphertext of a symmetric key.

Google does not document the layout; it is as observed in seven samples of software keys. Keys in an HSM or an
external manager are unmeasured: there the length of the plaintext is unproved. The version id is the same for one
version of a key as far as was seen: it groups, and names nothing.

Bits: `0a 24 00`, `12`, `00` and the length of field 2, which reaches to the last byte: 3 + 1 + 1 + at least 1 bytes.
"""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped

ID: Final = "gcp-kms"
EXPECTED: Final = 32

# Where things lie: protobuf field 1 of 36 bytes, field 2 to the last byte.
HEAD: Final = bytes.fromhex("0a2400")
VERSION: Final = (3, 4)  # id of the key's version
FIELD_2: Final = 38  # 12 | varint length | 00 | ...
OVERHEAD: Final = 41
"""Bytes of field 2 beyond the plaintext."""
LONGEST: Final = 1 << 17
"""KMS encrypts at most 64 KiB."""

_BITS: Final = 48
_SHORT: Final = Refused(ID, "It begins as a Google Cloud KMS ciphertext and ends too early.", 24)
_SHAPE: Final = Refused(ID, "It begins as a Google Cloud KMS ciphertext, and its second field is not that of one.", 24)
_LONG: Final = Refused(ID, "It begins as a Google Cloud KMS ciphertext and is longer than one can be.", 24)


def parse(data: bytes) -> Told:
    """One ciphertext of Google Cloud KMS: a value that KMS itself encrypted, without a data key of its own."""
    start = _walk(data)
    if not isinstance(start, int):
        return start
    return Parsed(
        format=ID,
        variant="v1",
        bits=_BITS,
        cipher=ciphers.AES_256_GCM,
        static_key=data[VERSION[0] : sum(VERSION)].hex(),
        commitment=Commitment.UNKNOWN,
        deterministic=False,
        payload=(start + 1, len(data)),
        plain_length=len(data) - start - OVERHEAD,
        remarks=("no-envelope",),
    )


def wrapped(blob: bytes, key: str, expected: int = EXPECTED) -> Wrapped:
    """A data key wrapped by Google Cloud KMS; without length and version where the blob is not of the known layout."""
    start = _walk(blob)
    if not isinstance(start, int):
        return Wrapped(ID, key, blob, None, expected)
    return Wrapped(ID, key, blob, len(blob) - start - OVERHEAD, expected, blob[VERSION[0] : sum(VERSION)].hex())


def _walk(data: bytes) -> int | Refused | None:
    """Offset of the content of field 2, walked to the last byte."""
    if not data.startswith(HEAD):
        return None
    if len(data) > LONGEST:
        return _LONG
    if len(data) < FIELD_2 + 2:
        return _SHORT
    if data[FIELD_2] != 0x12:
        return _SHAPE
    length = shift = 0
    at = FIELD_2 + 1
    while True:
        if at == len(data):
            return _SHORT
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 14:
            return _SHAPE
    if shift > 7 and byte == 0:
        return _SHAPE
    rest = len(data) - at
    if length != rest:
        return _SHORT if length > rest else _LONG
    if length < OVERHEAD or data[at] != 0:
        return _SHAPE
    return at


FORMAT: Final = Format(
    id=ID,
    title="Google Cloud KMS ciphertext",
    parse=parse,
    envelope=False,
    sources=("https://cloud.google.com/kms/docs/encrypt-decrypt", "https://protobuf.dev/programming-guides/encoding/"),
)
