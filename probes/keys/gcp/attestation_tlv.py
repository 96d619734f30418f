"""The attested bytes of a LiquidSecurity module: which attributes it states of a key. Pure; every length is hostile.

Big-endian throughout. Version 2: a response header (code, flags, size of all with the 256 bytes of signature, size of
the buffer: 4 words), the buffer with an info header (version, flags, offset of the first and of the second object: 4
half-words), and one object for a symmetric key, two for a key pair, the public half first. Version 1: one object after
24 bytes, or two after 984. An object is a header (handle, number of attributes, size: 3 words) and attributes of type,
length (2 words) and value.

Sources: Marvell, "Software key attestation" (attribute numbers and layout); Google,
https://cloud.google.com/kms/docs/attest-key. The layout of version 1 is documented and was never seen by us.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

SIGNATURE: Final = 256
"""Bytes at the end: RSA PKCS #1 v1.5 with SHA-256 over all before them."""
ID: Final = 0x0102
EXTRACTABLE: Final = 0x0162

_RESPONSE: Final = struct.Struct(">IIII")
_INFO: Final = struct.Struct(">HHHH")
_OBJECT: Final = struct.Struct(">III")
_ATTRIBUTE: Final = struct.Struct(">II")
_MOST: Final = 256
"""Attributes of one object; the module knows about forty."""
_V1_SYMMETRIC: Final = 24
_V1_PAIR: Final = 984


class StatementError(ValueError):
    """The attested bytes are not of the format. The text holds none of them."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The attributes of the objects, the public half of a pair first."""

    objects: tuple[Mapping[int, bytes], ...]

    def extractable(self) -> Literal["no", "yes", "not-stated"]:
        """Whether the key, or the private half, may leave the module in some form. Only a plain 0 says no."""
        value = self.objects[-1].get(EXTRACTABLE)
        if not value:
            return "not-stated"
        return "yes" if any(value) else "no"

    def names(self, resources: Iterable[str]) -> Literal["this-version", "another", "nothing"]:
        """Whether every object's key id is that of one of the `resources` (one version, its project by id or number).

        Google writes the SHA-256 of the version's resource name in hexadecimal, behind a digest of its own.
        """
        values = [each.get(ID, b"").rstrip(b"\0") for each in self.objects]
        if not all(values):
            return "nothing"
        wanted = [hashlib.sha256(resource.encode()) for resource in resources]
        spelled = {each.hexdigest().encode() for each in wanted}
        raw = {each.digest() for each in wanted}
        return "this-version" if all(value in raw or _halves(value) & spelled for value in values) else "another"


def _halves(value: bytes) -> set[bytes]:
    return {value[at : at + 64] for at in range(0, len(value), 64)} if len(value) in (64, 128) else set()


def stated(data: bytes, version: Literal[1, 2]) -> Stated:
    """Read the attested bytes, without the signature. Raises StatementError."""
    try:
        return _version_1(data) if version == 1 else _version_2(data)
    except struct.error:
        raise StatementError("a header reaches past the end") from None


def _version_2(data: bytes) -> Stated:
    _, _, total, buffer = _RESPONSE.unpack_from(data)
    start = total - buffer - SIGNATURE
    if not _RESPONSE.size <= start <= len(data):
        raise StatementError("the sizes in its header contradict each other")
    body = data[start:]
    _, _, first, second = _INFO.unpack_from(body)
    if first < _INFO.size or (second and second <= first):
        raise StatementError("the offsets in its header contradict each other")
    offsets = (first, second) if second else (first,)
    return Stated(tuple(_object(body, offset)[0] for offset in offsets))


def _version_1(data: bytes) -> Stated:
    try:
        attributes, end = _object(data, _V1_SYMMETRIC, exact=True)
        if end == len(data):
            return Stated((attributes,))
    except (StatementError, struct.error):
        pass  # then it is a pair
    public, middle = _object(data, _V1_PAIR, exact=True)
    private, end = _object(data, middle, exact=True)
    if end != len(data):
        raise StatementError("there is more after the second object")
    return Stated((public, private))


def _object(data: bytes, at: int, *, exact: bool = False) -> tuple[Mapping[int, bytes], int]:
    """The attributes of the object at `at`, and where it ends; `exact`: its stated size must be its size."""
    _, count, size = _OBJECT.unpack_from(data, at)
    if not 0 < count <= _MOST:
        raise StatementError(f"an object of {count} attributes")
    start = place = at + _OBJECT.size
    found: dict[int, bytes] = {}
    for _ in range(count):
        kind, length = _ATTRIBUTE.unpack_from(data, place)
        place += _ATTRIBUTE.size
        if length > len(data) - place:
            raise StatementError("an attribute reaches past the end")
        if kind in found:
            raise StatementError("an attribute is stated twice")
        found[kind] = data[place : place + length]
        place += length
    if exact and place - start != size:
        raise StatementError("an object's size is not that of its attributes")
    return found, place
