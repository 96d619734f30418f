"""What every format tells about one value, and what a format is. Pure; nothing here opens anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Commitment(StrEnum):
    """Whether the message commits to its key: without it one ciphertext can open to two plaintexts."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cipher:
    """What a value says that it is encrypted with. A declaration, never a proof."""

    name: str
    """`AES-256-GCM`, or `AES-GCM` where the size of the key is not said."""
    family: str
    """`AES`, `ChaCha20`, `other`, or `unknown`."""
    bits: int | None
    """Size of the key; None where the format does not say."""
    authenticated: bool | None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """One wrapped data key. Who wraps it is a claim until the key service has opened it."""

    provider: str
    """`aws-kms`, `aws-kms-hierarchy`, `gcp-kms`, `raw-aes`, `raw-rsa`, `aes-kw`, `rsa-oaep`, `unknown`, …"""
    key: str = ""
    """Name, ARN or id of the wrapping key as the value states it; empty where it states none."""
    blob: bytes = field(default=b"", repr=False)
    """The wrapped bytes."""
    length: int | None = None
    """Bytes of what is wrapped, where lengths show it. May refute, never proves alone: a Fernet key, half a CBC+HMAC
    key and a 128-bit key written in hex are 32 bytes, too."""
    expected: int | None = None
    """Bytes that a 256-bit data key has in this place: 32, or 34 for Tink's serialised key, 64 with an HMAC key."""
    fingerprint: str = ""
    """Hex of what groups wrapped keys by key material: AWS's backing-key fingerprint, Google's version id."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One value, walked to its last byte."""

    format: str
    variant: str
    """`v2`, `csfle-random`, …: a word of the format's own, from a fixed list."""
    bits: int
    """-log2 of the chance that random bytes of this length would have been walked, at most 255."""
    cipher: Cipher
    wrapped: tuple[Wrapped, ...] = ()
    """Its data key, once for each wrapping key; empty where the format has no data key of its own."""
    static_key: str = ""
    """Without a wrapped key: what tells encrypting keys apart (`kid`, key id, version), as far as shown."""
    unit: bytes = b""
    """What must never repeat under one data key: nonce, IV, or message id where the nonce follows from it. Empty where
    it is not visible."""
    unit_bits: int = 96
    """Size of the random part of `unit`."""
    context: tuple[tuple[str, str], ...] | None = None
    """The encryption context that the value itself shows; None where the format shows none."""
    commitment: Commitment = Commitment.UNKNOWN
    deterministic: bool | None = None
    """Whether equal plaintexts become equal values, as far as the format says."""
    payload: tuple[int, int] = (0, 0)
    """Start and end of the ciphertext proper, for statistics."""
    body: bytes = field(default=b"", repr=False)
    """The ciphertext proper, decoded, where it is not a run of the value's own bytes (formats that are text); `payload`
    is (0, 0) then."""
    plain_length: int | None = None
    """Bytes of the plaintext, where the format shows it exactly."""
    remarks: tuple[str, ...] = ()
    """Words from a fixed list: `placeholder`, `compressed`, `password-based`, `no-envelope`, `unbound-wrap`, `sha1`,
    `beacon`, `pages-unauthenticated`, `old`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It begins as this format and does not end as it: truncated, damaged or forged."""

    format: str
    why: str
    """A fixed sentence, without any byte of the value."""
    bits: int
    """Evidence in what was walked before it broke off."""


Told: TypeAlias = Parsed | Refused | None
"""None: not this format."""
Parse: TypeAlias = Callable[[bytes], Told]
"""Never raises, whatever the bytes; linear in their length, and bounded in depth and counts."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name for field maps, and its one parser."""

    id: str
    title: str
    parse: Parse
    envelope: bool
    """Whether values carry their own wrapped data key."""
    sources: tuple[str, ...]
    """Where its layout is written down."""
    text: bool = False
    """Its values are text: they are tried before any encoding is peeled off, too."""
