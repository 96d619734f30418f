"""Fernet tokens: AES-128-CBC with HMAC-SHA-256, whatever its 32-byte key suggests. The time of encryption shows."""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, b64url_padded, evidence
from probes.fields.readable import READABLE, telltale

ID: Final = "fernet"
# Where things lie: 80 | seconds u64 | IV 16 | ciphertext, blocks of 16 | HMAC 32; as base64url with padding.
VERSION: Final = 0x80
IV: Final = slice(9, 25)
BODY: Final = 25
MAC: Final = 32
BLOCK: Final = 16
PREFIX: Final = b"gAAAAA"
"""Version 80 and a time before the year 2106."""
YEARS: Final = (946_684_800, 4_102_444_800)
"""2000 and 2100, as seconds of Unix time."""
WALKED: Final = 8 + 32 + 4
"""Version, time, length."""


def parse(value: bytes) -> Told:
    """Walk one token, as text or as its bytes."""
    if value.startswith(PREFIX):
        token = b64url_padded(value)
        if token is None:
            return Refused(ID, "not base64url to its end, with padding", 8 * len(PREFIX))
        return _token(token, text=True, extra=BASE64_BITS * len(value))
    if value[:1] == b"\x80":
        return _token(value, text=False, extra=0)
    return None


def _token(token: bytes, *, text: bool, extra: int) -> Told:
    at = int.from_bytes(token[1:9], "big")
    if not YEARS[0] <= at < YEARS[1]:
        return Refused(ID, "its time is not of this century", 8 * len(PREFIX)) if text else None
    bits = evidence(WALKED + extra)
    size = len(token) - BODY - MAC
    if size < BLOCK or size % BLOCK:
        return Refused(ID, "its ciphertext is not whole blocks", bits - 4)
    if telltale(token[BODY:]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        "token",
        bits,
        ciphers.AES_128_CBC_HMAC,
        unit=token[IV],
        unit_bits=128,
        payload=(0, 0) if text else (BODY, len(token) - MAC),
        body=token[BODY:-MAC] if text else b"",
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="Fernet",
    parse=parse,
    envelope=False,
    sources=("https://github.com/fernet/spec/blob/master/Spec.md",),
    text=True,
)
