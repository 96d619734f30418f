"""Encrypted values made by hand, to the byte: what no honest library would write.

Messages of the AWS Encryption SDK, version 2, suite 0x0478 (awslabs/aws-encryption-sdk-specification, data-format),
and values of Tink's KmsEnvelopeAead (developers.google.com/tink/wire-format). Their parts can contradict each other: a
header that is right in everything says nothing of the body behind it, since header tag and commitment do not cover it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keycheck.model.types import Entropy

SUITE: Final = 0x0478
"""AES-256-GCM, HKDF-SHA512, key commitment."""
FRAME_LENGTH: Final = 4096
_FRAMED: Final = 2
_LAST: Final = 0xFFFFFFFF
_FINAL_FRAME: Final = b"AWSKMSEncryptionClient Final Frame"
_TAG: Final = 16
_NONCE: Final = 12


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as a message carries it: who wraps it, and the wrapped bytes."""

    key_arn: str
    blob: bytes = field(repr=False)


def message(
    data_key: bytes, wrapped: Sequence[WrappedKey], context: Mapping[str, str], plaintext: bytes, entropy: Entropy
) -> bytes:
    """A message of the Encryption SDK as the SDK itself would write it. ``data_key``: 32 bytes; ``plaintext``: at most
    4096 bytes, one frame."""
    return _written(data_key, wrapped, context, entropy, plaintext, None)


def message_around(
    data_key: bytes, wrapped: Sequence[WrappedKey], context: Mapping[str, str], body: bytes, entropy: Entropy
) -> bytes:
    """A message whose ciphertext is ``body`` as it stands, be it plaintext, under a tag that verifies: whoever holds
    the data key can authenticate any bytes with it. To "decrypt" it gives noise."""
    return _written(data_key, wrapped, context, entropy, None, body)


def _written(
    data_key: bytes,
    wrapped: Sequence[WrappedKey],
    context: Mapping[str, str],
    entropy: Entropy,
    plaintext: bytes | None,
    body: bytes | None,
) -> bytes:
    message_id = entropy(32)
    key = _expanded(data_key, message_id, struct.pack(">H", SUITE) + b"DERIVEKEY")
    header = struct.pack(">BH", 2, SUITE) + message_id + _context(context) + struct.pack(">H", len(wrapped))
    for each in wrapped:
        header += b"".join(_counted(part) for part in (b"aws-kms", each.key_arn.encode(), each.blob))
    header += struct.pack(">BI", _FRAMED, FRAME_LENGTH) + _expanded(data_key, message_id, b"COMMITKEY")
    tag = AESGCM(key).encrypt(b"\x00" * _NONCE, b"", header)
    nonce = (1).to_bytes(_NONCE, "big")
    length = len(plaintext if plaintext is not None else body or b"")
    bound = message_id + _FINAL_FRAME + struct.pack(">IQ", 1, length)
    sealed = (
        authenticated(key, nonce, body, bound)
        if body is not None
        else AESGCM(key).encrypt(nonce, plaintext or b"", bound)
    )
    return header + tag + struct.pack(">II", _LAST, 1) + nonce + struct.pack(">I", length) + sealed


def authenticated(key: bytes, nonce: bytes, body: bytes, bound: bytes) -> bytes:
    """``body`` and the GCM tag over it: the encryption of what the key stream turns into ``body``."""
    stream = AESGCM(key).encrypt(nonce, bytes(len(body)), None)[: len(body)]
    return AESGCM(key).encrypt(nonce, bytes(a ^ b for a, b in zip(body, stream, strict=True)), bound)


def _expanded(data_key: bytes, message_id: bytes, label: bytes) -> bytes:
    return HKDF(SHA512(), 32, message_id, label).derive(data_key)


def _counted(part: bytes) -> bytes:
    return struct.pack(">H", len(part)) + part


def _context(context: Mapping[str, str]) -> bytes:
    if not context:
        return _counted(b"")
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    return _counted(struct.pack(">H", len(pairs)) + b"".join(_counted(part) for pair in pairs for part in pair))


def tink_key(secret: bytes) -> bytes:
    """An `AesGcmKey` of Tink, serialised: what its KmsEnvelopeAead wraps. 34 bytes for AES-256, 18 for AES-128."""
    return bytes((0x1A, len(secret))) + secret


def tink(wrapped: bytes, secret: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """A value of KmsEnvelopeAead with AES-GCM, with a nonce of the caller's choosing. ``wrapped``: `tink_key(secret)`
    under the key service."""
    return tink_head(wrapped) + nonce + AESGCM(secret).encrypt(nonce, plaintext, associated)


def tink_head(wrapped: bytes) -> bytes:
    """How every value under this data key begins."""
    return struct.pack(">I", len(wrapped)) + wrapped


def cbc(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """AES-CBC with PKCS #7 padding and no tag, the IV before it."""
    sealing = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + sealing.update(_padded(plaintext)) + sealing.finalize()


def salted(password: bytes, plaintext: bytes, entropy: Entropy) -> bytes:
    """What `openssl enc -aes-256-cbc -pbkdf2` writes: eight octets `Salted__`, the salt, AES-CBC without a tag."""
    salt = entropy(8)
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, 1, 48)  # one turn: what derives it shows nowhere
    return b"Salted__" + salt + cbc(derived[:32], derived[32:], plaintext)[16:]


def ecb(key: bytes, plaintext: bytes) -> bytes:
    """AES-ECB with PKCS #7 padding: equal blocks stay equal."""
    sealing = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return sealing.update(_padded(plaintext)) + sealing.finalize()


def _padded(plaintext: bytes) -> bytes:
    size = 16 - len(plaintext) % 16
    return plaintext + bytes([size]) * size


def placeholder(value: str) -> bytes:
    """An "intent to encrypt" marking of MongoDB (subtype 6, first byte 0): a BSON document that holds the value in
    clear, which a client without key access left where ciphertext should be."""
    text = value.encode() + b"\x00"
    string = b"\x02v\x00" + struct.pack("<i", len(text)) + text
    algorithm = b"\x10a\x00" + struct.pack("<i", 2)
    key_id = b"\x05ki\x00" + struct.pack("<i", 16) + b"\x04" + b"k" * 16
    body = algorithm + key_id + string
    return b"\x00" + struct.pack("<i", len(body) + 5) + body + b"\x00"


def pgp_symmetric(password: bytes, plaintext: bytes, entropy: Entropy) -> bytes:
    """What pgcrypto's `pgp_sym_encrypt` writes by default: an OpenPGP message under a password, AES-128 (RFC 4880, 5.3
    and 5.13; S2K iterated and salted, SHA-1)."""
    salt = entropy(8)
    key = _s2k(password, salt, 0x60)[:16]
    literal = b"b\x00" + b"\x00" * 4 + plaintext
    packet = b"\xcb" + _pgp_length(len(literal)) + literal
    prefix = entropy(16)
    prefix += prefix[-2:]
    inside = prefix + packet + b"\xd3\x14"
    sealed = b"\x01" + _cfb(key, inside + hashlib.sha1(inside, usedforsecurity=False).digest())
    session = b"\xc3\x0d\x04\x07\x03\x02" + salt + b"\x60"
    return session + b"\xd2" + _pgp_length(len(sealed)) + sealed


def _cfb(key: bytes, plaintext: bytes) -> bytes:
    """AES-CFB with an IV of zeros."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    out, last = bytearray(), bytes(16)
    for start in range(0, len(plaintext), 16):
        part = plaintext[start : start + 16]
        last = bytes(a ^ b for a, b in zip(part, block.update(last), strict=False))
        out += last
    return bytes(out)


def _s2k(password: bytes, salt: bytes, coded: int) -> bytes:
    count = (16 + (coded & 15)) << ((coded >> 4) + 6)
    unit = salt + password
    data = (unit * (count // len(unit) + 1))[: max(count, len(unit))]
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _pgp_length(length: int) -> bytes:
    if length < 192:
        return bytes((length,))
    if length < 8384:
        return bytes((((length - 192) >> 8) + 192, (length - 192) & 0xFF))
    return b"\xff" + struct.pack(">I", length)
