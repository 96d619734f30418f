"""CipherSweet: `fips:`, `brng:` or `nacl:` and base64url. One static key per field; only `fips:` is AES."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, b64url_padded, evidence, plain
from probes.fields.readable import READABLE

ID: Final = "ciphersweet"


@dataclass(frozen=True, slots=True)
class _Backend:
    """Where things lie: `unit` bytes of salt and nonce, `head` bytes of MAC, ciphertext, `tail` bytes of tag."""

    cipher: Cipher
    unit: int
    head: int
    tail: int
    commitment: Commitment


_BACKENDS: Final = {
    b"fips": _Backend(ciphers.AES_256_CTR_HMAC, 32 + 16, 48, 0, Commitment.UNKNOWN),
    b"brng": _Backend(Cipher("XChaCha20-BLAKE2b", "ChaCha20", 256, True), 24, 32, 0, Commitment.UNKNOWN),
    b"nacl": _Backend(ciphers.XCHACHA20, 24, 0, 16, Commitment.NO),
}
_VALUE: Final = re.compile(rb"(fips|brng|nacl):([A-Za-z0-9_-]+={0,2})\Z")
PREFIX: Final = 8 * 5


def parse(value: bytes) -> Told:
    """Walk one value."""
    if value[4:5] != b":" or value[:4] not in _BACKENDS:
        return None
    found = _VALUE.match(value)
    blob = b64url_padded(found[2]) if found is not None else None
    if found is None or blob is None:
        return Refused(ID, "not base64url to its end, with padding", PREFIX)
    backend = _BACKENDS[found[1]]
    bits = evidence(PREFIX + BASE64_BITS * len(found[2]))
    start, end = backend.unit + backend.head, len(blob) - backend.tail
    if end < start:
        return Refused(ID, "too short for its nonce and its tag", bits)
    if plain(blob, found[2]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        found[1].decode("ascii"),
        bits,
        backend.cipher,
        unit=blob[: backend.unit],
        unit_bits=8 * backend.unit,
        commitment=backend.commitment,
        body=blob[start:end],
        plain_length=end - start,
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="CipherSweet",
    parse=parse,
    envelope=False,
    sources=(
        "https://github.com/paragonie/ciphersweet src/Backend/FIPSCrypto.php",
        "https://github.com/paragonie/ciphersweet src/Backend/BoringCrypto.php",
        "https://github.com/paragonie/ciphersweet src/Backend/ModernCrypto.php",
    ),
    text=True,
)
