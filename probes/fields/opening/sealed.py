"""A message taken apart under its data key: what is checked without computing the plaintext, and the plaintext.

Plaintexts and keys are in no repr, and leave this module only as the return value of `plaintext`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, assert_never

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, ChaCha20Poly1305

from probes.fields.opening.tag import tag_holds

_CONSTANTS: Final = b"expand 32-byte k"
_BLOCK: Final = 16
_GCM_NONCE: Final = 12


class UnsupportedError(Exception):
    """keycheck cannot open messages of this kind; the text says which, from a fixed list. No finding."""


class MisfitError(Exception):
    """The message and the unwrapped data key cannot belong together; the text says why, without any byte of either."""


class Mode(StrEnum):
    """How the pieces of a message are sealed."""

    GCM = "GCM"
    GCM_SIV = "GCM-SIV"
    XCHACHA = "XChaCha20-Poly1305"
    CTR_HMAC = "CTR-HMAC"


@dataclass(frozen=True, slots=True)
class Unit:
    """One sealed piece."""

    nonce: bytes
    associated: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    tag: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A value, ready to be opened."""

    mode: Mode
    key: bytes = field(repr=False)
    """Of the content, derived from the data key where the format derives one."""
    units: tuple[Unit, ...]
    mac_key: bytes = field(default=b"", repr=False)
    mac_hash: str = "sha256"
    """Of the mode with HMAC."""
    header: bool | None = None
    """Whether the format's own proofs hold (header tag, key commitment, signature); None where it has none."""
    header_at: int | None = None
    """Where in the value a byte lies that those proofs cover."""

    @property
    def cipher(self) -> str:
        """What it is opened with, by the data key's own length: `AES-256-GCM`."""
        return self.mode.value if self.mode is Mode.XCHACHA else f"AES-{len(self.key) * 8}-{self.mode.value}"

    @property
    def aes(self) -> bool:
        """Whether that is AES at all."""
        return self.mode is not Mode.XCHACHA


class Opener(Protocol):
    """Takes values of one format apart."""

    def __call__(
        self, value: bytes, key: bytes, associated: bytes, context: Mapping[str, str] | None = None
    ) -> Message:
        """The message under an unwrapped data key.

        `associated`: associated data that the value does not show; `context`: entries that stand in the place of its
        own, for formats that show one. Raises UnsupportedError, MisfitError.
        """


def tags_hold(message: Message) -> bool | None:
    """Whether all tags belong to the ciphertexts, found without computing the plaintext; None: not possible here."""
    match message.mode:
        case Mode.GCM:
            try:
                return all(
                    tag_holds(message.key, unit.nonce, unit.associated, unit.ciphertext, unit.tag)
                    for unit in message.units
                )
            except ValueError:
                return None
        case Mode.CTR_HMAC:
            return all(hmac.compare_digest(_mac(message, unit), unit.tag) for unit in message.units)
        case Mode.GCM_SIV | Mode.XCHACHA:
            return None
        case _:
            assert_never(message.mode)


def plaintext(message: Message) -> bytes | None:
    """What the message holds; None where it does not decrypt under its data key, or its own proofs do not hold."""
    if message.header is False:
        return None
    try:
        return b"".join(_decrypted(message, unit) for unit in message.units)
    except (InvalidTag, ValueError):
        return None
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"this machine's OpenSSL has no {message.cipher}") from error


def unverified(message: Message) -> bytes | None:
    """What the ciphertext would be under this key if its tag did not matter: only to tell a wrong key from associated
    data that nobody declared. Never to be kept, and None where it cannot be had apart from the tag."""
    match message.mode:
        case Mode.GCM if all(len(unit.nonce) == _GCM_NONCE for unit in message.units):
            starts = [unit.nonce + b"\x00\x00\x00\x02" for unit in message.units]
        case Mode.CTR_HMAC:
            starts = [_counter(unit) for unit in message.units]
        case _:
            return None
    try:
        return b"".join(
            _stream(message.key, start, unit.ciphertext) for start, unit in zip(starts, message.units, strict=True)
        )
    except ValueError:
        return None


def _decrypted(message: Message, unit: Unit) -> bytes:
    match message.mode:
        case Mode.GCM:
            return AESGCM(message.key).decrypt(unit.nonce, unit.ciphertext + unit.tag, unit.associated)
        case Mode.GCM_SIV:
            return AESGCMSIV(message.key).decrypt(unit.nonce, unit.ciphertext + unit.tag, unit.associated)
        case Mode.XCHACHA:
            cipher = ChaCha20Poly1305(_hchacha20(message.key, unit.nonce[:16]))
            return cipher.decrypt(bytes(4) + unit.nonce[16:], unit.ciphertext + unit.tag, unit.associated)
        case Mode.CTR_HMAC:
            if not hmac.compare_digest(_mac(message, unit), unit.tag):
                raise InvalidTag
            return _stream(message.key, _counter(unit), unit.ciphertext)
        case _:
            assert_never(message.mode)


def _mac(message: Message, unit: Unit) -> bytes:
    """HMAC over associated data, nonce, ciphertext and the length of the first in bits, cut to the tag's length (Tink's
    EncryptThenAuthenticate)."""
    covered = unit.associated + unit.nonce + unit.ciphertext + (len(unit.associated) * 8).to_bytes(8, "big")
    return hmac.digest(message.mac_key, covered, message.mac_hash)[: len(unit.tag)]


def _counter(unit: Unit) -> bytes:
    """The first block of the counter: the nonce, and zeros to the end."""
    return unit.nonce + bytes(_BLOCK - len(unit.nonce))


def _stream(key: bytes, start: bytes, ciphertext: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CTR(start)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


def _hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The subkey (draft-irtf-cfrg-xchacha-03, section 2.2), from a block of ChaCha20 by taking off again the state that
    its last step adds."""
    encryptor = Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor()
    block = encryptor.update(bytes(64))
    added = _CONSTANTS + nonce
    words = [*range(4), *range(12, 16)]
    parts = [int.from_bytes(block[4 * word : 4 * word + 4], "little") for word in words]
    state = [int.from_bytes(added[at : at + 4], "little") for at in range(0, 32, 4)]
    return b"".join(((part - was) % 2**32).to_bytes(4, "little") for part, was in zip(parts, state, strict=True))


def hkdf(key: bytes, salt: bytes, info: bytes, length: int, digest: str) -> bytes:
    """RFC 5869 over HMAC with the named hash."""
    pseudo = hmac.digest(salt or bytes(hashlib.new(digest).digest_size), key, digest)
    made, block = b"", b""
    while len(made) < length:
        block = hmac.digest(pseudo, block + info + bytes((len(made) // len(pseudo) + 1,)), digest)
        made += block
    return made[:length]
