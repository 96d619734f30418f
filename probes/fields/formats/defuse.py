"""defuse/php-encryption, version 2: hex of `def50200 …`. AES-256-CTR with HMAC-SHA-256 under one key, or a password."""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Format, Parsed, Refused, Told
from probes.fields.formats.spelling import HEX_BITS, evidence, lower_hex
from probes.fields.readable import READABLE, telltale

ID: Final = "defuse"
# Where things lie: de f5 02 00 | salt 32 | IV 16 | ciphertext | HMAC 32; as lower-case hex.
HEADER: Final = b"\xde\xf5\x02\x00"
HEADER_TEXT: Final = b"def50200"
UNIT: Final = slice(4, 52)
BODY: Final = 52
MAC: Final = 32


def parse(value: bytes) -> Told:
    """Walk one value, as hex or as its bytes."""
    if value.startswith(HEADER_TEXT):
        content, bits = lower_hex(value), evidence(8 * len(HEADER_TEXT) + HEX_BITS * (len(value) - len(HEADER_TEXT)))
        if content is None:
            return Refused(ID, "not lower-case hex to its end", 8 * len(HEADER_TEXT))
    elif value.startswith(HEADER):
        content, bits = value, 8 * len(HEADER)
    else:
        return None
    if len(content) < BODY + MAC:
        return Refused(ID, "too short for salt, IV and HMAC", bits)
    if telltale(content[len(HEADER) :]):
        return Refused(ID, READABLE, bits)
    text = content is not value
    return Parsed(
        ID,
        "v2",
        bits,
        ciphers.AES_256_CTR_HMAC,
        unit=content[UNIT],
        unit_bits=384,
        payload=(0, 0) if text else (BODY, len(content) - MAC),
        body=content[BODY:-MAC] if text else b"",
        plain_length=len(content) - BODY - MAC,
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="defuse/php-encryption",
    parse=parse,
    envelope=False,
    sources=("https://github.com/defuse/php-encryption docs/CryptoDetails.md",),
    text=True,
)
