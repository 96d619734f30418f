"""AES-256-GCM envelopes of the lab's Cloud KMS, and raw AES.

The layout of a real ciphertext is not published; the lab's own is: magic, version, number of the key version,
nonce, ciphertext and tag. The name of the key is bound in, so that another key's ciphertext does not decrypt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"\x0a\x24\x00"
_NONCE: Final = 12
_NUMBER: Final = 4
_TAG: Final = 16
_HEAD: Final = len(MAGIC) + _NUMBER + _NONCE


def sealed(key: bytes, name: str, number: int, plaintext: bytes, aad: bytes, entropy: Callable[[int], bytes]) -> bytes:
    """Encrypt under one version of the key `name`."""
    head = MAGIC + number.to_bytes(_NUMBER, "big")
    nonce = entropy(_NONCE)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, _bound(name, head, aad))


def number_of(ciphertext: bytes) -> int | None:
    """Which version a ciphertext says that it is of."""
    if len(ciphertext) < _HEAD + _TAG or not ciphertext.startswith(MAGIC):
        return None
    return int.from_bytes(ciphertext[len(MAGIC) : len(MAGIC) + _NUMBER], "big")


def opened(key: bytes, name: str, ciphertext: bytes, aad: bytes) -> bytes | None:
    """Decrypt; None where key, name, data or additional data do not belong together."""
    head, nonce = ciphertext[: len(MAGIC) + _NUMBER], ciphertext[len(MAGIC) + _NUMBER : _HEAD]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext[_HEAD:], _bound(name, head, aad))
    except InvalidTag:
        return None


def _bound(name: str, head: bytes, aad: bytes) -> bytes:
    return hashlib.sha256(name.encode()).digest() + head + aad
