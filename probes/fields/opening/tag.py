"""The tag of AES-GCM checked without computing the plaintext.

GMAC over the padded associated data and ciphertext runs GHASH over the very blocks of the real message and differs from
its tag in one block alone, the lengths: T = T_gmac xor (L_gmac xor L) * H, with H = E_K(0). Source: NIST SP 800-38D,
sections 6.3, 6.4 and 7.

What a valid tag proves: somebody who holds the data key sealed these bytes. It is no proof of encryption: clear text,
or ciphertext under another key, can be sealed likewise.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG: Final = 16
_BLOCK: Final = 16
_REDUCTION: Final = 0xE1 << 120
NONCES: Final = range(8, 129)
"""Lengths in bytes that the library takes."""


def gcm_tag(key: bytes, nonce: bytes, associated: bytes, ciphertext: bytes) -> bytes:
    """The full tag that belongs to a ciphertext. Raises ValueError for a key or nonce of no such length."""
    if len(nonce) not in NONCES:
        raise ValueError("no length of a nonce that can be checked")
    gmac = AESGCM(key).encrypt(nonce, b"", blocks := _padded(associated) + _padded(ciphertext))
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block: GHASH's own key
    subkey = int.from_bytes(encryptor.update(bytes(_BLOCK)) + encryptor.finalize(), "big")
    lengths = (len(associated) * 8) << 64 | len(ciphertext) * 8
    differ = (len(blocks) * 8) << 64 ^ lengths
    return (int.from_bytes(gmac, "big") ^ _multiplied(differ, subkey)).to_bytes(TAG, "big")


def tag_holds(key: bytes, nonce: bytes, associated: bytes, ciphertext: bytes, tag: bytes) -> bool:
    """Whether the tag, whole and never truncated, belongs to the ciphertext. Raises ValueError likewise."""
    return hmac.compare_digest(gcm_tag(key, nonce, associated, ciphertext), tag)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _BLOCK)


def _multiplied(x: int, y: int) -> int:
    """The product in GF(2^128), bits in GCM's order (SP 800-38D, algorithm 1)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = (y >> 1) ^ (_REDUCTION if y & 1 else 0)
    return product
