"""SOPS: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

One data key encrypts a whole document and stands, wrapped, in the document's `sops` member, not in the value. The path
of the value is its associated data.
"""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, evidence, plain
from probes.fields.formats.strict import b64
from probes.fields.readable import READABLE

ID: Final = "sops"
# Where things lie: four members in this order; IV 32 bytes, tag 16.
PREFIX: Final = b"ENC[AES256_GCM,"
_VALUE: Final = re.compile(
    rb"ENC\[AES256_GCM,data:([A-Za-z0-9+/]+={0,2}),iv:([A-Za-z0-9+/]+={0,2}),tag:([A-Za-z0-9+/]+={0,2}),"
    rb"type:(?:str|int|int64|float|bool|bytes|comment|time)\]\Z"
)
IV: Final = 32
TAG: Final = 16
STRUCTURE: Final = 8 * len("ENC[AES256_GCM,data:,iv:,tag:,type:int]")


def parse(value: bytes) -> Told:
    """Walk one value. A member that SOPS does not write is refused."""
    if not value.startswith(PREFIX):
        return None
    found = _VALUE.match(value)
    if found is None:
        return Refused(ID, "its members are not data, iv, tag and type, in this order and to the end", 8 * len(PREFIX))
    bits = evidence(STRUCTURE + BASE64_BITS * (len(value) - STRUCTURE // 8))
    data, iv, tag = b64(found[1]), b64(found[2]), b64(found[3])
    if data is None or iv is None or tag is None:
        return Refused(ID, "a member is not base64 in its one spelling", bits)
    if len(iv) != IV or len(tag) != TAG:
        return Refused(ID, "its IV is not 32 bytes or its tag not 16", bits)
    if plain(data + iv + tag, found[1]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        "value",
        bits,
        ciphers.AES_256_GCM,
        unit=iv,
        unit_bits=8 * IV,
        commitment=Commitment.NO,
        body=data,
        plain_length=len(data),
    )


FORMAT: Final = Format(
    id=ID,
    title="SOPS",
    parse=parse,
    envelope=False,
    sources=("https://github.com/getsops/sops aes/cipher.go",),
    text=True,
)
