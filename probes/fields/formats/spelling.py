"""What text formats share besides `strict`: padded base64url, hex, and bits of evidence."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from probes.fields.formats.strict import b64
from probes.fields.readable import telltale, wordy

MAX_BITS: Final = 255
BASE64_BITS: Final = 2
"""-log2 of the chance that a random byte is one of the 64 characters."""
HEX_BITS: Final = 4

_HEX: Final = re.compile(rb"(?:[0-9a-f]{2})*\Z")


def b64url_padded(text: bytes) -> bytes | None:
    """The bytes of padded base64url (RFC 4648, section 5) in its one spelling; None for anything else."""
    try:
        decoded = urlsafe_b64decode(text)
    except (binascii.Error, ValueError):
        return None
    return decoded if urlsafe_b64encode(decoded) == text else None


def lower_hex(text: bytes) -> bytes | None:
    """The bytes of lower-case hex; None for anything else."""
    return bytes.fromhex(text.decode("ascii")) if _HEX.match(text) is not None else None


def b64_member(members: dict[str, object], name: str) -> bytes | None:
    """The bytes of a member that is a string of canonical, padded base64; None where it is not."""
    value = members.get(name)
    return b64(value) if isinstance(value, str) else None


def plain(sealed: bytes, *texts: bytes) -> bool:
    """Whether what should be ciphertext (with its nonce and tag) is readable, or the base64 that it is written in."""
    return telltale(sealed) or any(wordy(text, 6) for text in texts)


def evidence(bits: int) -> int:
    """Bits as a value tells them: none below 0, none above 255."""
    return max(0, min(MAX_BITS, bits))
