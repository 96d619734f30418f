"""Parquet modular encryption: a column key's metadata (JSON), and whole files with an encrypted footer (`PARE`).

The metadata names no cipher and no size. The size of the data key follows from the wrapped length where the writer
wraps it locally (double wrapping): 44 bytes for 128 bits, which is pyarrow's default, 60 for 256. With single wrapping
the key service's own format decides. AES_GCM_CTR_V1 leaves the pages without authentication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import b64_member, evidence
from probes.fields.formats.strict import json_object
from probes.fields.readable import READABLE, telltale

ID: Final = "parquet-encryption"
# Where things lie, metadata: the members below; wrappedDEK with double wrapping: nonce 12 | data key | tag 16. File:
# 'PARE' | pages | crypto metadata | length u32 LE, nonce 12, footer, tag 16 | length u32 LE of both | 'PARE'. Crypto
# metadata, Thrift: 1 {1 AES_GCM_V1 or 2 AES_GCM_CTR_V1 {1 prefix, 2 file id, 3 flag}}, 2 metadata of the footer's key.
MAGIC: Final = b"PARE"
TYPE: Final = "PKMT1"
NONCE: Final = 12
TAG: Final = 16
MAX_METADATA: Final = 64 * 1024
_TEXTS: Final = frozenset(
    {
        "keyMaterialType",
        "kmsInstanceID",
        "kmsInstanceURL",
        "masterKeyID",
        "keyEncryptionKeyID",
        "wrappedKEK",
        "wrappedDEK",
    }
)
_FLAGS: Final = frozenset({"internalStorage", "doubleWrapping", "isFooterKey"})
_REFERENCE: Final = frozenset({"keyMaterialType", "internalStorage", "keyReference"})
CTR: Final = Cipher("AES-GCM-CTR", "AES", None, False)


def parse(value: bytes) -> Told:
    """Walk the metadata of a key, or a file."""
    if value.startswith(b"{"):
        members = json_object(value)
        if members is None or members.get("keyMaterialType") != TYPE:
            return None
        bits = evidence(8 * sum(len(name) for name in members) + 8 * len(TYPE))
        wrapped = _wrapped(members)
        if isinstance(wrapped, str):
            return Refused(ID, wrapped, bits)
        return Parsed(ID, "key-metadata", bits, ciphers.AES_GCM, wrapped=wrapped)
    if not value.startswith(MAGIC):
        return None
    return _file(value)


def _wrapped(members: dict[str, object]) -> tuple[Wrapped, ...] | str:
    """The data key of one column or of the footer; nothing where it is stored outside; or why it is none."""
    if "keyReference" in members:
        fits = set(members) <= _REFERENCE and isinstance(members["keyReference"], str)
        return () if fits else "it has a member that Parquet's key tools do not write"
    if not set(members) <= _TEXTS | _FLAGS:
        return "it has a member that Parquet's key tools do not write"
    double = members.get("doubleWrapping") in (True, "true")
    texts = {name: members[name] for name in _TEXTS & set(members)}
    flags = [members[name] for name in _FLAGS & set(members)]
    master = members.get("masterKeyID")
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(master, str):
        return "a member is of the wrong type"
    if not all(flag in (True, False, "true", "false") for flag in flags):
        return "a member is of the wrong type"
    if not double:
        text = members.get("wrappedDEK")
        if (
            not isinstance(text, str)
            or not 0 < len(text) <= MAX_METADATA
            or {"wrappedKEK", "keyEncryptionKeyID"} & set(members)
        ):
            return "no wrapped data key, or more than one wrapping says"
        blob = b64_member(members, "wrappedDEK")
        if blob is not None and telltale(blob):
            return READABLE
        return (Wrapped("parquet-kms", master, text.encode("utf-8", "replace") if blob is None else blob),)
    local, kek = b64_member(members, "wrappedDEK"), members.get("wrappedKEK")
    if local is None or len(local) <= NONCE + TAG or b64_member(members, "keyEncryptionKeyID") is None or not kek:
        return "its data key and its key encryption key are not whole"
    if telltale(local):
        return READABLE
    return (Wrapped("parquet-kek", master, local, length=len(local) - NONCE - TAG, expected=32),)


@dataclass(frozen=True, slots=True)
class _Footer:
    counter: bool
    unique: bytes
    metadata: bytes
    end: int


def _file(value: bytes) -> Told:
    """A file with an encrypted footer. Pages are not walked: their places stand in the encrypted footer."""
    if not value.endswith(MAGIC) or len(value) < 4 + 8 + 4 + NONCE + TAG:
        return Refused(ID, "it does not end in its magic", 32)
    start = len(value) - 8 - int.from_bytes(value[-8:-4], "little")
    footer = _footer(value, start, len(value) - 8) if start >= len(MAGIC) else None
    if footer is None:
        return Refused(ID, "its crypto metadata is not walked to its end", 64)
    size = int.from_bytes(value[footer.end : footer.end + 4], "little")
    if size < NONCE + TAG or footer.end + 4 + size != len(value) - 8:
        return Refused(ID, "its encrypted footer does not fill it", 80)
    body = (footer.end + 4 + NONCE, len(value) - 8 - TAG)
    if telltale(value[body[0] : body[1]]):
        return Refused(ID, READABLE, 96)
    members = json_object(footer.metadata)
    wrapped = _wrapped(members) if members is not None and members.get("keyMaterialType") == TYPE else ()
    if isinstance(wrapped, str):
        return Refused(ID, wrapped, 96)
    return Parsed(
        ID,
        "file-ctr" if footer.counter else "file",
        128,
        CTR if footer.counter else ciphers.AES_GCM,
        wrapped=wrapped,
        unit=value[footer.end + 4 : body[0]],
        unit_bits=8 * NONCE,
        commitment=Commitment.NO,
        payload=body,
        remarks=("pages-unauthenticated",) if footer.counter else (),
    )


def _footer(value: bytes, at: int, end: int) -> _Footer | None:
    """Thrift's compact protocol, as far as this one structure needs it."""
    # Field 1, a structure (1c); in it field 1 or 2, a structure (1c or 2c).
    if value[at : at + 1] != b"\x1c" or value[at + 1 : at + 2] not in (b"\x1c", b"\x2c"):
        return None
    counter = value[at + 1] == 0x2C
    at, field, unique = at + 2, 0, b""
    while (head := value[at : at + 1]) != b"\x00":
        if not head or at >= end or not head[0] >> 4:
            return None
        field += head[0] >> 4
        at += 1
        if field in (1, 2) and head[0] & 0x0F == 8:
            text = _binary(value, at, end)
            if text is None:
                return None
            unique, at = (text[0] if field == 2 else unique), text[1]
        elif field != 3 or head[0] & 0x0F not in (1, 2):
            return None
    # The two structures end; field 2 of the outer one is binary (18); the outer one ends.
    if value[at : at + 2] != b"\x00\x00":
        return None
    at, metadata = at + 2, b""
    if value[at : at + 1] == b"\x18":
        text = _binary(value, at + 1, end)
        if text is None:
            return None
        metadata, at = text
    return _Footer(counter, unique, metadata, at + 1) if value[at : at + 1] == b"\x00" and at < end else None


def _binary(value: bytes, at: int, end: int) -> tuple[bytes, int] | None:
    size = shift = 0
    while True:
        if at >= end or shift > 21:
            return None
        byte = value[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return (value[at : at + size], at + size) if at + size <= end else None


FORMAT: Final = Format(
    id=ID,
    title="Parquet modular encryption",
    parse=parse,
    envelope=True,
    sources=(
        "https://github.com/apache/parquet-format/blob/master/Encryption.md",
        "https://github.com/apache/parquet-java parquet-hadoop/.../crypto/keytools/KeyToolkit.java",
    ),
    text=True,
)
