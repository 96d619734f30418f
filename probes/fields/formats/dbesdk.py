"""AWS Database Encryption SDK for DynamoDB: headers, signed footers and encrypted attributes; and the material
description of its predecessor, the DynamoDB Encryption Client.

One item keeps its data key in the attribute `aws_dbe_head`, and its encrypted attributes hold a type, ciphertext and
tag: their keys and nonces are derived from the item's message id and the attribute's name, so that an attribute alone
shows neither. Both suites are AES-256-GCM with key commitment; the header's legend says which signed attributes are
encrypted. Not recognised, as nothing in them is fixed: footers without a signature (48 bytes for each wrapped key),
beacons (`aws_dbe_b_*`: truncated HMACs in hex, 1 to 63 bits, equal for equal values), and the predecessor's
attributes.

Bits, from below. Header: version and suite 14; a legend of one letter (of 3) 22; number of pairs, at most 1,024, 6;
number of keys, at most 64, 2; the last length, which must reach to the commitment, 16; the provider `aws-kms...` or 8
bytes of a raw key's information for one of them 50: 110. Footer: the DER of a P-384 signature 30. Attribute: 12 types
of 65,536: 12. Description: version 32, length of the first name 24, `amzn-ddb-` 60: 116.
"""

from __future__ import annotations

from typing import Final

from probes.fields.formats import aws_kms, ciphers, esdk
from probes.fields.formats.der import ecdsa_signature
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.strict import b64

ID: Final = "aws-dbesdk"

# Where things lie. Header: version 01 or 02 | flavour 00 (suite 6700) or 01 (6701, signed) | message id 32 | legend
# u16 n, n letters | context u16 pairs, (u16 name, u16 value)* | wrapped keys u8, (u16 provider, u16 info, u16 blob)*
# | commitment
VERSIONS: Final = (1, 2)
FLAVOURS: Final = (0, 1)
MESSAGE_ID: Final = (2, 32)
LEGEND: Final = 34
ACTIONS: Final = b"esc"
"""Encrypted and signed; signed; signed and in the context. Letters of version 1: the first two."""
COMMITMENT: Final = 32
WRAPPED_DATA_KEY: Final = 48
"""Every wrapped key begins with the data key under an intermediate key: 32 bytes and a tag; the provider wraps that."""
# Footer: HMAC of 48 bytes for each wrapped key | signature over P-384.
HMAC: Final = 48
CURVE: Final = 48
# Attribute: type u16 | ciphertext | tag 16.
# NULL, S, N, B, BOOL, SS, NS, BS, M, L; releases and specification differ in B and BS
TYPES: Final = frozenset((0, 1, 2, 3, 0xFFFF, 4, 0x0101, 0x0102, 0x0103, 0x01FF, 0x0200, 0x0300))
TAG: Final = 16
# Material description of the predecessor: version u32 0 | (u32 name, u32 value)*.
OLD_ALGORITHM: Final = "amzn-ddb-env-alg"
OLD_KEY: Final = "amzn-ddb-env-key"
OLD_WRAP: Final = "amzn-ddb-wrap-alg"
OLD_CIPHERS: Final = {"AES/128": ciphers.AES_128_CBC_HMAC, "AES/256": ciphers.AES_256_CBC_HMAC}
"""CBC, under the item's signature."""

LONGEST: Final = 1 << 19
"""An item of DynamoDB holds at most 400 KiB."""

_BITS: Final = 110
_HEADER_ENDS: Final = Refused(ID, "It begins as the header of an item, and ends too early.", 24)
_KEYS: Final = Refused(
    ID, "It begins as the header of an item, and its wrapped keys do not reach to its commitment.", 24
)


def parse(data: bytes) -> Told:
    """One attribute of an item: the header with its wrapped keys, a signed footer, an encrypted attribute, or the
    predecessor's material description."""
    if len(data) > LONGEST:
        return None
    header = _header(data)
    if isinstance(header, Parsed):
        return header
    return _description(data) or _footer(data) or header or _attribute(data)


def _header(data: bytes) -> Parsed | Refused | None:
    if len(data) < LEGEND + 2 or data[0] not in VERSIONS or data[1] not in FLAVOURS:
        return None
    count = int.from_bytes(data[LEGEND : LEGEND + 2], "big")
    legend = data[LEGEND + 2 : LEGEND + 2 + count]
    at = LEGEND + 2 + count
    if not count or legend.translate(None, ACTIONS[: 1 + data[0]]):
        return None
    broken = _HEADER_ENDS if len(legend) > 1 or count == 1 else None  # 14 bits, and more than 10 of the legend
    end = len(data) - COMMITMENT
    if at + 2 > end:
        return broken
    pairs = int.from_bytes(data[at : at + 2], "big")
    stop = _skip(data, at + 2, 2 * pairs, end) if pairs <= esdk.MOST_PAIRS else None
    if stop is None or stop >= end:
        return broken
    context = esdk.pairs(data[at + 2 : stop], 0, pairs) if pairs else ()
    keys = data[stop]
    if context is None or not 0 < keys <= esdk.MOST_KEYS:
        return broken
    found: list[Wrapped] = []
    at = stop + 1
    for _ in range(keys):
        stop = _skip(data, at, 3, end)
        if stop is None:
            return _KEYS
        found.append(_wrapped(data[at:stop]))
        at = stop
    if at != end or all(key.provider in ("raw-rsa", "unknown") for key in found):
        return _KEYS
    return Parsed(
        format=ID,
        variant=f"header-v{data[0]}",
        bits=_BITS,
        cipher=ciphers.AES_256_GCM,
        wrapped=tuple(found),
        unit=data[MESSAGE_ID[0] : sum(MESSAGE_ID)],
        unit_bits=8 * MESSAGE_ID[1],
        context=context,
        commitment=Commitment.YES,
        deterministic=False,
        payload=(end, len(data)),
    )


def _skip(data: bytes, at: int, fields: int, end: int) -> int | None:
    """Offset behind so many fields of u16 length; None where they pass the end."""
    for _ in range(fields):
        if at + 2 > end:
            return None
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return at if at <= end else None


def _wrapped(raw: bytes) -> Wrapped:
    parts: list[bytes] = []
    at = 0
    for _ in range(3):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        parts.append(raw[at + 2 : end])
        at = end
    provider, info, blob = parts
    inner = esdk.wrapped(provider, info, blob[WRAPPED_DATA_KEY:])
    return Wrapped(inner.provider, inner.key, blob, inner.length, inner.expected, inner.fingerprint)


def legend(header: bytes) -> str:
    """The legend of a header; empty where this is no header.

    For each signed attribute, in their canonical order, whether it is encrypted (`e`) or only signed (`s`, `c`).
    """
    if not isinstance(_header(header), Parsed):
        return ""
    count = int.from_bytes(header[LEGEND : LEGEND + 2], "big")
    return header[LEGEND + 2 : LEGEND + 2 + count].decode("ascii")


def _footer(data: bytes) -> Parsed | None:
    """A signed footer. It holds no ciphertext, and nothing that could repeat."""
    for keys in range(1, esdk.MOST_KEYS + 1):
        rest = len(data) - keys * HMAC
        if rest < 90:
            return None
        if rest <= 2 * CURVE + 8:
            signed = ecdsa_signature(data[keys * HMAC :], CURVE)
            return Parsed(ID, "footer", 30, ciphers.UNSTATED, commitment=Commitment.YES) if signed else None
    return None


def _attribute(data: bytes) -> Parsed | None:
    if len(data) < 2 + TAG or int.from_bytes(data[:2], "big") not in TYPES:
        return None
    return Parsed(
        format=ID,
        variant="attribute",
        bits=12,
        cipher=ciphers.AES_256_GCM,
        commitment=Commitment.YES,
        deterministic=False,
        payload=(2, len(data) - TAG),
        plain_length=len(data) - 2 - TAG,
    )


def _description(data: bytes) -> Parsed | Refused | None:
    if not data.startswith(b"\0\0\0\0\0\0\0") or len(data) < 9:
        return None
    at, texts = 4, list[str]()
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or end < at + 4 or len(texts) > 64:
            return None
        text = data[at + 4 : end]
        if not text.isascii():
            return None
        texts.append(text.decode("ascii"))
        at = end
    said = dict(zip(texts[::2], texts[1::2], strict=False))
    if len(texts) % 2 or 2 * len(said) != len(texts) or not any(name.startswith("amzn-ddb-") for name in said):
        return None
    blob = b64(said.get(OLD_KEY, "")) or b""
    wrap = said.get(OLD_WRAP, "")
    keys: tuple[Wrapped, ...] = ()
    if blob:
        keys = (aws_kms.wrapped(blob, "") if wrap == "kms" else Wrapped("unknown", wrap, blob, None, 32),)
    return Parsed(
        format=ID,
        variant="material-description",
        bits=116,
        cipher=OLD_CIPHERS.get(said.get(OLD_ALGORITHM, ""), ciphers.UNSTATED),
        wrapped=keys,
        commitment=Commitment.NO,
        deterministic=False,
        remarks=("old",),
    )


FORMAT: Final = Format(
    id=ID,
    title="AWS Database Encryption SDK (DynamoDB) attribute",
    parse=parse,
    envelope=True,
    sources=(
        "https://github.com/aws/aws-database-encryption-sdk-dynamodb (specification/structured-encryption)",
        "https://docs.aws.amazon.com/database-encryption-sdk/latest/devguide/concepts.html",
    ),
)
