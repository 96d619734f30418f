"""Ciphertexts of the lab's Cloud KMS, in the layout observed on real ones.

A protobuf of two fields: 36 octets (0x00, 4 that name the key version, 31 that differ each time), and 41 octets more
than the plaintext, the first of them 0x00. Google documents none of it. What the 31 are for, and that the 41 are the
0x00, a nonce of 12, 12 that precede the plaintext inside the encryption and a tag of 16, is this lab's guess. The name
of the key is bound in, so that another key's ciphertext does not decrypt.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"\x0a\x24\x00"
"""Field 1, its 36 octets, the first of them."""
_FIELD_2: Final = 0x12
_VERSION: Final = 4
_SALT: Final = 31
_HEAD: Final = len(MAGIC) + _VERSION + _SALT
_NONCE: Final = 12
_FRAME: Final = b"\x00" * 12
_TAG: Final = 16
_OVERHEAD: Final = 1 + _NONCE + len(_FRAME) + _TAG


def version_id(name: str, number: int) -> bytes:
    """The 4 octets by which ciphertexts name a version of the key `name`."""
    return hashlib.sha256(b"lab-version\x00" + f"{name}/{number}".encode()).digest()[:_VERSION]


def sealed(key: bytes, name: str, number: int, plaintext: bytes, aad: bytes, entropy: Callable[[int], bytes]) -> bytes:
    """Encrypt under one version of the key `name`."""
    head = MAGIC + version_id(name, number) + entropy(_SALT)
    nonce = entropy(_NONCE)
    box = AESGCM(_derived(key, head)).encrypt(nonce, _FRAME + plaintext, _bound(name, head, aad))
    field = b"\x00" + nonce + box
    return head + bytes((_FIELD_2,)) + _varint(len(field)) + field


def version_of(ciphertext: bytes) -> bytes | None:
    """The 4 octets of the version that a ciphertext says it is of; None where it is no ciphertext."""
    return ciphertext[len(MAGIC) : len(MAGIC) + _VERSION] if _field(ciphertext) is not None else None


def opened(key: bytes, name: str, ciphertext: bytes, aad: bytes) -> bytes | None:
    """Decrypt; None where key, name, data or additional data do not belong together."""
    field = _field(ciphertext)
    if field is None:
        return None
    head, nonce = ciphertext[:_HEAD], field[1 : 1 + _NONCE]
    try:
        return AESGCM(_derived(key, head)).decrypt(nonce, field[1 + _NONCE :], _bound(name, head, aad))[len(_FRAME) :]
    except InvalidTag:
        return None


def _field(ciphertext: bytes) -> bytes | None:
    """The second field of a ciphertext that is written in the one way it can be."""
    if not ciphertext.startswith(MAGIC) or len(ciphertext) <= _HEAD or ciphertext[_HEAD] != _FIELD_2:
        return None
    for size in (1, 2, 3):
        field = ciphertext[_HEAD + 1 + size :]
        if ciphertext[_HEAD + 1 : _HEAD + 1 + size] == _varint(len(field)):
            return field if len(field) >= _OVERHEAD and field[0] == 0 else None
    return None


def _derived(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, b"lab-kms\x00" + head, hashlib.sha256)[: len(key)]


def _bound(name: str, head: bytes, aad: bytes) -> bytes:
    return hashlib.sha256(name.encode()).digest() + head + aad


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))
