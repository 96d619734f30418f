"""AWS KMS: the CiphertextBlob of a symmetric key, generations 1 and 2.

AWS does not document the layout; it is as observed in hundreds of recorded blobs of years 2018 to 2024, and a blob
that differs is refused or not recognised rather than guessed at. Account, region, key name and encryption context are
not in a blob. The fingerprint stays the same for one backing key as far as was seen: it groups blobs, and until KMS
has opened one of them under the customer's key it is a claim. Keys of an external key store encrypt twice, so that
there the length of the plaintext is unproved.

Bits: every byte of the DER but the IV and the ciphertext is fixed by the total length: more than 40 bytes, above the
cap.
"""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped

ID: Final = "aws-kms"
EXPECTED: Final = 32

# Where things lie. (offset, length) of the fields of fixed place:
HEAD: Final = 5  # 01 | generation | operation | 00 78
FINGERPRINT: Final = (5, 32)
SALT: Final = (37, 17)  # generation 2 only: 01 | 16 random bytes
DER_LENGTH: Final = {1: 37, 2: 54}  # u32, and the DER follows to the last byte
OPERATIONS: Final = (1, 2, 3)
# PKCS #7 EncryptedData (RFC 2315, 13): literal bytes, and after each a DER length that reaches to the last byte.
DER: Final = (
    bytes.fromhex("30"),
    bytes.fromhex("06092a864886f70d010706 a0"),  # encryptedData
    bytes.fromhex("30"),
    bytes.fromhex("020100 30"),  # version 0
    # data; id-aes256-GCM (2.16.840.1.101.3.4.1.46), SEQUENCE of 17 bytes, OCTET STRING of 12 = IV follows
    bytes.fromhex("06092a864886f70d010701 301e 060960864801650304012e 3011 040c"),
)
IV: Final = 12
AFTER_IV: Final = bytes.fromhex("020110 80")  # tag of 16 bytes; [0], whose length reaches to the last byte
OVERHEAD: Final = 27
"""Bytes of [0] beyond the plaintext."""
LONGEST: Final = 1 << 14
"""KMS encrypts at most 4,096 bytes."""

_MAGIC_BITS: Final = 37
"""Of the first five bytes: 01, 2 of 256, 3 of 256, 00 78."""
_BITS: Final = 255
_SHORT: Final = Refused(ID, "It begins as an AWS KMS blob and ends too early.", _MAGIC_BITS)
_DER: Final = Refused(ID, "It begins as an AWS KMS blob, and its DER is not that of one.", _MAGIC_BITS)
_LONG: Final = Refused(ID, "It begins as an AWS KMS blob and is longer than one can be.", _MAGIC_BITS)


def parse(data: bytes) -> Told:
    """One KMS blob: a value that KMS itself encrypted, without a data key of its own."""
    found = _walk(data)
    if not isinstance(found, tuple):
        return found
    generation, iv, start = found
    salt = data[SALT[0] + 1 : SALT[0] + SALT[1]] if generation == 2 else b""
    return Parsed(
        format=ID,
        variant=f"gen{generation}",
        bits=_BITS,
        cipher=ciphers.AES_256_GCM,
        static_key=data[FINGERPRINT[0] : sum(FINGERPRINT)].hex(),
        unit=salt + data[iv : iv + IV],
        unit_bits=96 + 8 * len(salt),
        commitment=Commitment.NO,
        deterministic=False,
        payload=(start, len(data)),
        plain_length=len(data) - start - OVERHEAD,
        remarks=("no-envelope",),
    )


def wrapped(blob: bytes, key: str, expected: int = EXPECTED) -> Wrapped:
    """A data key wrapped by AWS KMS; without length and fingerprint where the blob is not of a known layout."""
    found = _walk(blob)
    if not isinstance(found, tuple):
        return Wrapped(ID, key, blob, None, expected)
    length = len(blob) - found[2] - OVERHEAD
    return Wrapped(ID, key, blob, length, expected, blob[FINGERPRINT[0] : sum(FINGERPRINT)].hex())


def _walk(data: bytes) -> tuple[int, int, int] | Refused | None:
    """(generation, offset of the IV, offset of the ciphertext), walked to the last byte."""
    if len(data) < HEAD or data[0] != 1 or data[1] not in DER_LENGTH or data[2] not in OPERATIONS:
        return None
    if data[3:5] != b"\x00\x78":
        return None
    if len(data) > LONGEST:
        return _LONG
    at = DER_LENGTH[data[1]]
    if len(data) < at + 4:
        return _SHORT
    if data[1] == 2 and data[SALT[0]] != 1:
        return _DER
    if int.from_bytes(data[at : at + 4], "big") != len(data) - at - 4:
        return _SHORT if int.from_bytes(data[at : at + 4], "big") > len(data) - at - 4 else _LONG
    at += 4
    for literal in DER[:-1]:
        after = _to_end(data, at + len(literal)) if data.startswith(literal, at) else None
        if after is None:
            return _DER
        at = after
    if not data.startswith(DER[-1], at):
        return _DER
    iv = at + len(DER[-1])
    if not data.startswith(AFTER_IV, iv + IV):
        return _DER
    start = _to_end(data, iv + IV + len(AFTER_IV))
    if start is None or len(data) - start < OVERHEAD:
        return _DER
    return data[1], iv, start


def _to_end(data: bytes, at: int) -> int | None:
    """Offset behind the DER length at `at`, if it is in its shortest form and reaches exactly to the last byte."""
    first = data[at] if at < len(data) else 0xFF
    if first < 0x80:
        return at + 1 if first == len(data) - at - 1 else None
    size = first - 0x80
    if size not in (1, 2):
        return None
    end = at + 1 + size
    length = int.from_bytes(data[at + 1 : end], "big")
    return end if length == len(data) - end and length >= (0x80 if size == 1 else 0x100) else None


FORMAT: Final = Format(
    id=ID,
    title="AWS KMS ciphertext blob",
    parse=parse,
    envelope=False,
    sources=(
        "https://docs.aws.amazon.com/kms/latest/cryptographic-details/customer-data-operations.html",
        "RFC 2315, 13",
    ),
)
