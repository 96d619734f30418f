"""Google Tink: KmsEnvelopeAead, and the output prefix of its other primitives.

An envelope does not name its cipher: what shows is the length of the wrapped key's protobuf. 34 bytes are
AES-256-GCM, AES-256-GCM-SIV and XChaCha20-Poly1305 alike; 18 are a key of 128 bits. The associated data covers the
payload and not the wrapped key. The prefix holds a key id and nothing of the primitive behind it: its eight bits are
evidence only where a whole column shares a few ids, and AES-SIV (equal values for equal plaintexts) has the same
prefix as AES-GCM. BigQuery's `AEAD.ENCRYPT` writes the same bytes. Not recognised: RAW output without a prefix, and
envelopes whose wrapped key is neither AWS's, Google's nor Tink's own.

No envelope commits to its data key, whichever primitive that is of: AES-GCM, AES-GCM-SIV and (X)ChaCha20-Poly1305
authenticate with polynomials that fit two keys at will (Len, Grubbs, Ristenpart 2021; Albertini et al. 2022); so can
AES-EAX be made to (Menda, Len, Grubbs, Ristenpart: Context Discovery and Commitment Attacks, EUROCRYPT 2023); and a
key of AES-CTR-HMAC holds an AES key and a MAC key that are independent (aes_ctr_hmac_aead.proto), so that two data
keys with one MAC key both open a value, to two plaintexts. Of a primitive behind a bare prefix nothing is said.

Bits. Envelope: length of the wrapped key 32, and what its wrapper fixes: AWS KMS 223 (the cap), Google Cloud KMS 48,
a prefix of Tink 8, with lengths of 6 keys of 4,096: the length counted once. Prefix: 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.fields.formats import aws_kms, ciphers, gcp_kms
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told, Wrapped

ID: Final = "tink"


@dataclass(frozen=True, slots=True)
class Dek:
    """What a data key's serialised length says."""

    cipher: Cipher
    expected: int
    """Length of the same kind of key with 256 bits."""
    iv: int
    """Bytes of the nonce in front of the ciphertext."""
    tag: int


# Where things lie. Envelope: u32 n | wrapped key of n bytes | nonce | ciphertext | tag. Prefix: 01 | key id u32.
LENGTH: Final = 4
LONGEST_KEY: Final = 4096
"""Tink's own bound for a wrapped key."""
PREFIX: Final = 5
IV: Final = 12
TAG: Final = 16
# Serialised length of the data key -> what it can be.
DEKS: Final = {
    34: Dek(ciphers.UNSTATED, 34, 12, 16),  # AES-256-GCM, AES-256-GCM-SIV, XChaCha20-Poly1305 (whose nonce is 24)
    18: Dek(ciphers.AES_128_GCM, 34, 12, 16),  # AES-128-GCM, AES-128-GCM-SIV
    82: Dek(ciphers.AES_256_CTR_HMAC, 82, 16, 32),
    66: Dek(Cipher("AES-128-CTR-HMAC", "AES", 128, True), 82, 16, 16),
    38: Dek(Cipher("AES-256-EAX", "AES", 256, True), 38, 16, 16),
    22: Dek(Cipher("AES-128-EAX", "AES", 128, True), 38, 16, 16),
}
_OTHER: Final = Dek(ciphers.UNSTATED, 34, 12, 16)
# Bytes that a Tink key of its own adds to what it wraps: prefix, nonce, tag.
TINK_OVERHEAD: Final = PREFIX + IV + TAG

_SHORT: Final = Refused(ID, "It begins as an envelope of Tink, and its ciphertext ends too early.", 80)


def parse(data: bytes) -> Told:
    """One envelope, or one output of a primitive with a prefix."""
    return _envelope(data) or _prefixed(data)


def _envelope(data: bytes) -> Parsed | Refused | None:
    length = int.from_bytes(data[:LENGTH], "big")
    start = LENGTH + length
    if not 0 < length <= LONGEST_KEY or start > len(data):
        return None
    blob = data[LENGTH:start]
    told = _wrapped(blob)
    if told is None:
        return None
    key, bits = told
    dek = DEKS.get(key.length or 0, _OTHER)
    if len(data) < start + dek.iv + dek.tag:
        return _SHORT if bits >= 24 else None
    return Parsed(
        format=ID,
        variant=f"envelope-{key.provider}",
        bits=bits,
        cipher=dek.cipher,
        wrapped=(Wrapped(key.provider, key.key, blob, key.length, dek.expected, key.fingerprint),),
        unit=data[start : start + dek.iv],
        unit_bits=8 * dek.iv,
        commitment=Commitment.NO,
        deterministic=False,
        payload=(start + dek.iv, len(data) - dek.tag),
        plain_length=None if dek.cipher is ciphers.UNSTATED else len(data) - start - dek.iv - dek.tag,
        remarks=("unbound-wrap",),
    )


def _wrapped(blob: bytes) -> tuple[Wrapped, int] | None:
    """The wrapped key where its wrapper is known, and the bits of evidence with its length."""
    for wrapper, bits in ((aws_kms, 255), (gcp_kms, 72)):
        key = wrapper.wrapped(blob, "")
        if key.fingerprint:
            return key, bits
    if blob[0] == 1 and len(blob) - TINK_OVERHEAD in DEKS:
        return Wrapped("tink", blob[1:PREFIX].hex(), blob, len(blob) - TINK_OVERHEAD), 37
    return None


def _prefixed(data: bytes) -> Parsed | None:
    if len(data) < PREFIX + IV + TAG or data[0] != 1:
        return None
    return Parsed(
        format=ID,
        variant="prefix",
        bits=8,
        cipher=ciphers.UNSTATED,
        static_key=data[1:PREFIX].hex(),
        unit=data[PREFIX : PREFIX + IV],
        payload=(PREFIX + IV, len(data)),
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="Google Tink envelope, or a Tink output prefix",
    parse=parse,
    envelope=True,
    sources=(
        "https://developers.google.com/tink/wire-format",
        "https://developers.google.com/tink/client-side-encryption",
        "https://github.com/tink-crypto/tink-java (KmsEnvelopeAead: the kinds of data keys that it takes)",
    ),
)
