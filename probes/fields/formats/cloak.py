"""@47ng/cloak, as prisma-field-encryption uses it: `v1.aesgcm256.<key fingerprint>.<iv>.<ciphertext>`."""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, HEX_BITS, b64url_padded, evidence, plain
from probes.fields.formats.strict import b64url
from probes.fields.readable import READABLE

ID: Final = "cloak"
# Where things lie: fingerprint 8 hex digits, IV 12 bytes, ciphertext | tag 16, both base64url.
PREFIX: Final = b"v1.aesgcm256."
_VALUE: Final = re.compile(rb"v1\.aesgcm256\.([0-9a-f]{8})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]+={0,2})\Z")
TAG: Final = 16


def parse(value: bytes) -> Told:
    """Walk one value."""
    if not value.startswith(PREFIX):
        return None
    found = _VALUE.match(value)
    if found is None:
        return Refused(ID, "not a fingerprint, an IV of 12 bytes and a ciphertext", 8 * len(PREFIX))
    bits = evidence(8 * (len(PREFIX) + 2) + HEX_BITS * 8 + BASE64_BITS * (16 + len(found[3])))
    iv = b64url(found[2])
    sealed = b64url_padded(found[3]) or b64url(found[3])
    if iv is None or sealed is None or len(sealed) < TAG:
        return Refused(ID, "a part is not base64url in its one spelling, or too short for a tag", bits)
    if plain(iv + sealed, found[3]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        "v1",
        bits,
        ciphers.AES_256_GCM,
        static_key=found[1].decode("ascii"),
        unit=iv,
        unit_bits=96,
        commitment=Commitment.NO,
        body=sealed[:-TAG],
        plain_length=len(sealed) - TAG,
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="@47ng/cloak (prisma-field-encryption)",
    parse=parse,
    envelope=False,
    sources=("https://github.com/47ng/cloak src/message.ts",),
    text=True,
)
