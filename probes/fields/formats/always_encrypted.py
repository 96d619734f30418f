"""SQL Server Always Encrypted: one byte `01`, and lengths that fit. Weak evidence: only a whole column can show it.

AEAD_AES_256_CBC_HMAC_SHA_256 is the only algorithm. Which key, and whether the column is deterministic, stands in the
database's catalog (`sys.column_encryption_keys`, `sys.columns.encryption_type`), not in the cell.
"""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Format, Parsed, Refused, Told
from probes.fields.readable import READABLE, telltale

ID: Final = "always-encrypted"
# Where things lie: 01 | MAC 32 | IV 16 | ciphertext, blocks of 16.
VERSION: Final = b"\x01"
IV: Final = slice(33, 49)
BODY: Final = 49
BLOCK: Final = 16
BITS: Final = 8 + 4
"""The version, and the length modulo 16."""


def parse(value: bytes) -> Told:
    """Walk one cell."""
    size = len(value) - BODY
    if not value.startswith(VERSION) or size < BLOCK or size % BLOCK:
        return None
    if telltale(value):
        return Refused(ID, READABLE, BITS)
    return Parsed(
        ID,
        "cell",
        BITS,
        ciphers.AES_256_CBC_HMAC,
        unit=value[IV],
        unit_bits=128,
        payload=(BODY, len(value)),
    )


FORMAT: Final = Format(
    id=ID,
    title="SQL Server Always Encrypted",
    parse=parse,
    envelope=False,
    sources=(
        "https://learn.microsoft.com/en-us/sql/relational-databases/security/encryption/always-encrypted-cryptography",
    ),
)
