"""The CiphertextBlob of symmetric KMS keys, in the layout observed on real ones (second generation).

0x01 0x02, 0x02 (Encrypt) or 0x03 (data keys), 0x00 0x78, 32 octets that name the backing key, 0x01 and a salt of 16,
a length of 4, and a DER PKCS#7 EncryptedData with AES-256-GCM. AWS documents none of it; the salt's use and the
11 octets that precede the plaintext inside the encryption are this lab's guess.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keycheck.lab.aws.kms.errors import bad_ciphertext

BY_ENCRYPT: Final = 0x02
BY_DATA_KEY: Final = 0x03
_FRAME: Final = b"\x00" * 11
_ENCRYPTED_DATA: Final = bytes.fromhex("06092a864886f70d010706")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_AES256_GCM: Final = bytes.fromhex("060960864801650304012e")
_HEAD: Final = 58
_IV: Final = 12


@dataclass(frozen=True, slots=True)
class Blob:
    """A ciphertext, taken apart."""

    head: bytes
    fingerprint: bytes
    salt: bytes
    nonce: bytes
    sealed: bytes


def context_octets(context: Mapping[str, str]) -> bytes:
    """The encryption context as additional data: pairs sorted by name, every string with its length before it."""
    out = [len(context).to_bytes(4, "big")]
    for name, value in sorted((key.encode(), item.encode()) for key, item in context.items()):
        out += [len(name).to_bytes(4, "big"), name, len(value).to_bytes(4, "big"), value]
    return b"".join(out)


def seal(
    secret: bytes,
    fingerprint: bytes,
    plaintext: bytes,
    context: Mapping[str, str],
    *,
    made_by: int,
    entropy: Callable[[int], bytes],
) -> bytes:
    """The blob of `plaintext` under a backing key of 32 octets."""
    salt, nonce = entropy(16), entropy(_IV)
    head = bytes((0x01, 0x02, made_by, 0x00, 0x78)) + fingerprint + b"\x01" + salt
    sealed = AESGCM(_derived(secret, salt)).encrypt(nonce, _FRAME + plaintext, head + context_octets(context))
    der = _der(nonce, sealed)
    return head + len(der).to_bytes(4, "big") + der


def parse(data: bytes) -> Blob:
    """Take a blob apart; raise InvalidCiphertextException for what is none."""
    if len(data) < _HEAD or data[:2] != b"\x01\x02" or data[2] not in (BY_ENCRYPT, BY_DATA_KEY):
        raise bad_ciphertext()
    if data[3:5] != b"\x00\x78" or data[37] != 1 or int.from_bytes(data[54:58], "big") != len(data) - _HEAD:
        raise bad_ciphertext()
    der = data[_HEAD:]
    at = der.find(_AES256_GCM)
    start = at + len(_AES256_GCM) + 4
    nonce = der[start : start + _IV]
    rest = der[start + _IV + 3 :]
    if at < 0 or len(rest) < 2 or rest[0] != 0x80:
        raise bad_ciphertext()
    octets = rest[1] & 0x7F if rest[1] & 0x80 else 0
    sealed = rest[2 + octets :]
    if der != _der(nonce, sealed):
        raise bad_ciphertext()  # one spelling only
    return Blob(data[:54], data[5:37], data[38:54], nonce, sealed)


def unseal(secret: bytes, blob: Blob, context: Mapping[str, str]) -> bytes:
    """The plaintext; raise InvalidCiphertextException for a wrong key, context or any changed octet."""
    try:
        framed = AESGCM(_derived(secret, blob.salt)).decrypt(
            blob.nonce, blob.sealed, blob.head + context_octets(context)
        )
    except (InvalidTag, ValueError):
        raise bad_ciphertext() from None
    return framed[len(_FRAME) :]


def _derived(secret: bytes, salt: bytes) -> bytes:
    """One block of SP 800-108's counter mode over HMAC-SHA-256."""
    return hmac.digest(secret, b"\x00\x00\x00\x01lab-kms\x00" + salt + b"\x00\x00\x01\x00", hashlib.sha256)


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _der(nonce: bytes, sealed: bytes) -> bytes:
    parameters = _tlv(0x30, _tlv(0x04, nonce) + b"\x02\x01\x10")
    algorithm = _tlv(0x30, _AES256_GCM + parameters)
    content = _tlv(0x30, _DATA + algorithm + _tlv(0x80, sealed))
    return _tlv(0x30, _ENCRYPTED_DATA + _tlv(0xA0, _tlv(0x30, b"\x02\x01\x00" + content)))
