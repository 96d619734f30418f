"""IronCore Labs documents: version 3, version 5 with and without its wrapped key, and deterministic fields. AES-256."""

from __future__ import annotations

from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import evidence
from probes.fields.readable import READABLE, telltale

ID: Final = "ironcore"
# Where things lie. Version 3: 03 'IRON' | u16 n | header of n bytes | IV 12 | ciphertext | tag 16. Its header
# (protobuf): 1 signature of 28 bytes, 3 {1 tenant}, or nothing.
# Version 5, document: 00 'IRON' | IV 12 | ciphertext | tag 16; its key lies elsewhere: key id u32 | kind | 00 | header.
# Version 5, attached: key id u32 | kind | 00 | u16 n | header of n bytes | IV 12 | ciphertext | tag 16.
# Deterministic: key id u32 | kind | 00 | SIV 16 | ciphertext.
# Header (protobuf): 1 signature {1: 32 bytes, 2: its type}, 2 signed {2: wrapped keys, each {3: {1: IV 12, 2: wrapped
# key 48, 3: id}} under an own key, or another member under a customer's KMS}.
MAGIC: Final = b"IRON"
SIGN: Final = b"\x0a\x24\x0a\x20"
IV: Final = 12
TAG: Final = 16
KINDS: Final = {0x00: "saas-shield", 0x80: "standalone", 0x40: "dcp"}
DETERMINISTIC, VECTOR, STANDARD = 0, 1, 2
HEAD: Final = 6
HEAD_BITS: Final = 12
"""One of nine kinds, and a zero."""
MAX_KEYS: Final = 16


def parse(value: bytes) -> Told:
    """Walk one document or field."""
    if value[1:5] == MAGIC and value[:1] == b"\x03":
        end = 7 + int.from_bytes(value[5:7], "big")
        tenant = _tenant(value, 7, end) if end <= len(value) else None
        if tenant is None:
            return Refused(ID, "its header is not walked to the end", 40)
        return _sealed(value, end, "v3", 40, (), tenant)
    if value[1:5] == MAGIC and value[:1] == b"\x00":
        return _sealed(value, 5, "v5-document", 40, ())
    if len(value) < HEAD + 17 or value[5] or value[4] & 0xF0 not in KINDS:
        return None
    kind, key = KINDS[value[4] & 0xF0], str(int.from_bytes(value[:4], "big"))
    match value[4] & 0x0F:
        case 2:
            return _standard(value, kind, key)
        case 0:
            return _deterministic(value, key)
        case _:
            return None


def _deterministic(value: bytes, key: str) -> Told:
    if telltale(value[HEAD:]):
        return Refused(ID, READABLE, HEAD_BITS)
    return Parsed(
        ID,
        "deterministic",
        HEAD_BITS,
        ciphers.AES_256_SIV,
        static_key=key,
        commitment=Commitment.UNKNOWN,
        deterministic=True,
        payload=(HEAD + TAG, len(value)),
        plain_length=len(value) - HEAD - TAG,
        remarks=("no-envelope",),
    )


def _standard(value: bytes, kind: str, key: str) -> Told:
    """A wrapped key by itself, or attached to its document."""
    if value.startswith(SIGN, HEAD):
        wrapped = _keys(value, HEAD, len(value), kind, key)
        if wrapped is None:
            return Refused(ID, "its header is not walked to the end", HEAD_BITS + 32)
        return Parsed(ID, "v5-key", HEAD_BITS + 60, ciphers.AES_256_GCM, wrapped=wrapped, static_key=key)
    start = HEAD + 2
    end = start + int.from_bytes(value[HEAD:start], "big")
    if not value.startswith(SIGN, start):
        return None
    wrapped = _keys(value, start, end, kind, key) if end <= len(value) else None
    if wrapped is None:
        return Refused(ID, "its header is not walked to the end", HEAD_BITS + 32)
    return _sealed(value, end, "v5-attached", HEAD_BITS + 76, wrapped)


def _tenant(value: bytes, at: int, end: int) -> str | None:
    """The tenant that a header of version 3 names, if any; None where it holds anything else."""
    signature = _field(value, at, end)
    if signature is not None and signature[0] == 1 and signature[2] - signature[1] in (0, 28):
        at = signature[2]
    if at == end:
        return ""
    outer = _field(value, at, end)
    inner = _field(value, outer[1], outer[2]) if outer is not None and outer[0] == 3 and outer[2] == end else None
    if inner is None or inner[0] != 1 or inner[2] != end or not 0 < inner[2] - inner[1] <= 255:
        return None
    return value[inner[1] : inner[2]].decode("utf-8", "backslashreplace")


def _sealed(value: bytes, start: int, variant: str, bits: int, wrapped: tuple[Wrapped, ...], tenant: str = "") -> Told:
    if len(value) < start + IV + TAG:
        return Refused(ID, "too short for its IV and its tag", bits)
    if telltale(value[start:]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        variant,
        evidence(bits),
        ciphers.AES_256_GCM,
        wrapped=wrapped,
        static_key=tenant,
        unit=value[start : start + IV],
        unit_bits=8 * IV,
        commitment=Commitment.NO,
        payload=(start + IV, len(value) - TAG),
        plain_length=len(value) - TAG - start - IV,
    )


def _keys(value: bytes, start: int, end: int, kind: str, key: str) -> tuple[Wrapped, ...] | None:
    """The wrapped keys of a header that fills its bytes; None where it does not."""
    at = start + len(SIGN) + 32
    if value[at : at + 1] != b"\x10" or value[at + 2 : at + 3] != b"\x12":
        return None
    signed = _field(value, at + 2, end)
    if signed is None or signed[2] != end:
        return None
    found: list[Wrapped] = []
    at = signed[1]
    while at < end and len(found) < MAX_KEYS:
        wrapper = _field(value, at, end)
        inner = _field(value, wrapper[1], wrapper[2]) if wrapper is not None and wrapper[0] == 2 else None
        if wrapper is None or inner is None or inner[2] != wrapper[2]:
            return None
        one = _own(value, inner[1], inner[2], key) if inner[0] == 3 else _customer(value, inner[1], inner[2], kind)
        if one is None:
            return None
        found.append(one)
        at = wrapper[2]
    return tuple(found) if found and at == end else None


def _own(value: bytes, start: int, end: int, key: str) -> Wrapped | None:
    """Wrapped with AES-256-GCM under a key of the application: {1: IV, 2: wrapped key, 3: id}."""
    parts: dict[int, bytes] = {}
    while start < end:
        member = _field(value, start, end)
        if member is None or member[0] in parts or member[0] not in (1, 2, 3):
            return None
        parts[member[0]] = value[member[1] : member[2]]
        start = member[2]
    blob, name = parts.get(2, b""), parts.get(3, b"")
    if len(parts.get(1, b"")) != IV or len(blob) < TAG or len(name) > 64 or not name.isascii() or telltale(blob):
        return None
    identifier = name.decode("ascii") or key
    return Wrapped("ironcore-own", identifier, parts[1] + blob, length=len(blob) - TAG, expected=32)


def _customer(value: bytes, start: int, end: int, kind: str) -> Wrapped | None:
    """Wrapped by IronCore's service with the customer's KMS; what is inside is the service's own."""
    return Wrapped(f"ironcore-{kind}", "", value[start:end]) if end - start >= 32 else None


def _field(value: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """Number, start and end of one length-delimited protobuf member; None where there is none, or it overruns."""
    if at + 2 > end or value[at] & 0x87 != 0x02:
        return None
    size, body = value[at + 1], at + 2
    if size & 0x80:
        if body >= end or value[body] & 0x80 or not value[body]:
            return None
        size, body = size & 0x7F | value[body] << 7, body + 1
    return (value[at] >> 3, body, body + size) if body + size <= end else None


FORMAT: Final = Format(
    id=ID,
    title="IronCore Labs",
    parse=parse,
    envelope=True,
    sources=(
        "https://github.com/IronCoreLabs/ironcore-documents src/v5/key_id_header.rs",
        "https://github.com/IronCoreLabs/ironcore-documents src/v5/attached.rs",
        "https://github.com/IronCoreLabs/ironcore-documents src/v3/mod.rs",
    ),
)
