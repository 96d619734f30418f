"""MongoDB Client-Side Field Level Encryption and Queryable Encryption: BSON binary of subtype 6, and key vault
documents.

The algorithms are fixed: AES-256-CBC with HMAC-SHA-512 (client side), AES-256-CTR and CBC with HMAC-SHA-256
(queryable), under a data key of 96 bytes that lies in a document of the key vault, named here by its UUID. A
placeholder is a value that was only marked for encryption: plaintext at rest. The type of the plaintext is in the
clear. Deterministic values are equal for equal plaintexts; their IV is made from the plaintext and tells nothing, so
that no `unit` is given.

Bits: kind, 9 of 256, and BSON type, 22 of 256: 8; that a length is whole blocks counts nothing, as it is the length's
and not the bytes'. Placeholders and payloads: kind 5, the document's length, which reaches to the last byte, 32, its
end 8, and a member's type and name 16: 61.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.fields.formats import aws_kms, bson, ciphers, gcp_kms
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import lower_hex
from probes.fields.formats.strict import b64, json_object

ID: Final = "mongo"


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of ciphertext: what lies between the type and the last byte."""

    variant: str
    fixed: int
    """Bytes besides the encrypted plaintext, the 18 in front of them included."""
    blocks: bool
    """Whether the encrypted plaintext is whole blocks of 16, at least one."""
    edges: int = 0
    """Bytes behind the type that count the blocks of metadata at the end: 0, 1, or 12 (three counts)."""
    deterministic: bool = False
    iv: int = 18
    """Offset of the IV."""
    tail: int = 32
    """Bytes behind the ciphertext: HMAC, or blocks of metadata where their number is fixed."""
    exact: bool = False
    """Whether the length of the plaintext shows."""


# Where things lie: kind u8 | key UUID 16 | BSON type u8 | ...; integers are little endian.
KEY: Final = (1, 16)
TYPE: Final = 17
IV: Final = 16
METADATA: Final = 96
"""Bytes of one block of metadata."""
AEAD: Final = 48
"""IV and HMAC (truncated to 32)."""
SERVER: Final = 32
"""The server's IV and the second key's UUID, around what the client encrypted."""
LAYOUTS: Final = {
    1: Layout("csfle-deterministic", 18 + AEAD, True, deterministic=True),
    2: Layout("csfle-random", 18 + AEAD, True),
    6: Layout("qe1-unindexed", 18 + AEAD, False, exact=True),
    7: Layout("qe1-equality", 18 + 16 + 8 + 16 + AEAD + 8 + METADATA, False, tail=0, exact=True),
    9: Layout("qe1-range", 18 + 16 + 8 + 16 + AEAD + 8 + METADATA, False, tail=0),
    14: Layout("qe-equality", 18 + SERVER + AEAD + METADATA, True, tail=METADATA),
    15: Layout("qe-range", 18 + SERVER + AEAD, True, 1, iv=19, tail=0),
    16: Layout("qe-unindexed", 18 + AEAD, True),
    17: Layout("qe-text", 18 + SERVER + AEAD, True, 12, iv=30, tail=0),
}
PLACEHOLDERS: Final = {0: frozenset(("a", "v")), 3: frozenset(("t", "a", "v"))}
"""Kind of a placeholder, and the members that its document must have."""
PAYLOADS: Final = dict.fromkeys((4, 11), "insert-payload") | dict.fromkeys((5, 10, 12, 13, 18), "find-payload")
"""What a driver sends to the server: none should rest in a collection."""
MOST_EDGES: Final = 4096

DATA_KEY: Final = 96
"""Encryption, HMAC and IV key of 32 bytes each."""
SEALED: Final = 160
"""A data key under a local or KMIP key: IV 16 | 112 of CBC | HMAC 32."""
VENDOR_HELD: Final = "local"
"""Provider whose master key is in the hands of whoever runs the application."""

_DOCUMENT: Final = Refused(ID, "It begins as a marking of the driver, and its document cannot be walked.", 40)


def parse(data: bytes) -> Told:
    """The bytes of one binary of subtype 6."""
    if not data:
        return None
    kind = data[0]
    layout = LAYOUTS.get(kind)
    return _document(data, kind) if layout is None else _ciphertext(data, layout)


def _document(data: bytes, kind: int) -> Told:
    variant = PAYLOADS.get(kind, "")
    needed = PLACEHOLDERS.get(kind)
    if (needed is None and not variant) or len(data) < 10 or int.from_bytes(data[1:5], "little") != len(data) - 1:
        return None
    found = bson.members(data[1:])
    if not found or not (needed or frozenset()) <= found.keys():
        return _DOCUMENT
    if needed is None:
        return Parsed(ID, variant, 61, ciphers.AES_256_CBC_HMAC, remarks=("old",) if kind in (4, 5, 10) else ())
    return Parsed(ID, "placeholder", 61, ciphers.UNSTATED, remarks=("placeholder",))


def _ciphertext(data: bytes, layout: Layout) -> Parsed | None:
    start = layout.iv + IV
    if len(data) < layout.fixed + layout.edges or data[TYPE] not in bson.TYPES:
        return None
    edges = int.from_bytes(data[18 : 18 + min(4, layout.edges)], "little")
    if layout.edges and not 0 < edges <= MOST_EDGES:
        return None
    if layout.edges == 12 and sum(int.from_bytes(data[at : at + 4], "little") for at in (22, 26)) >= edges:
        return None
    length = len(data) - layout.fixed - layout.edges - edges * METADATA
    if length < 0 or (layout.blocks and (not length or length % 16)):
        return None
    return Parsed(
        format=ID,
        variant=layout.variant,
        bits=8,
        cipher=ciphers.AES_256_CBC_HMAC if layout.blocks else ciphers.AES_256_CTR_HMAC,
        static_key=data[KEY[0] : sum(KEY)].hex(),
        unit=b"" if layout.deterministic else data[layout.iv : start],
        unit_bits=128,
        commitment=Commitment.YES,
        deterministic=layout.deterministic,
        payload=(start, len(data) - layout.tail - edges * METADATA),
        plain_length=length if layout.exact else None,
        remarks=("old",) if layout.variant.startswith("qe1") else (),
    )


@dataclass(frozen=True, slots=True)
class VaultKey:
    """One document of a key vault."""

    id: str
    """Hex of its UUID, as `Parsed.static_key` of the values under it."""
    wrapped: Wrapped
    names: tuple[str, ...] = ()


def vault_key(document: bytes) -> VaultKey | None:
    """A key vault document in Extended JSON: the data key of every value that names its UUID.

    Provider `local` means that the vendor holds the key that wraps it. None where this is no such document.
    """
    found = json_object(document.strip())
    if found is None:
        return None
    identity, blob, master = _binary(found.get("_id")), _binary(found.get("keyMaterial")), found.get("masterKey")
    if not identity or len(identity) != KEY[1] or not blob or not isinstance(master, dict):
        return None
    names = found.get("keyAltNames", [])
    said = {name: value for name, value in master.items() if isinstance(value, str)}
    return VaultKey(
        identity.hex(),
        _vault_wrapped(said, blob),
        tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else (),
    )


def _vault_wrapped(said: dict[str, str], blob: bytes) -> Wrapped:
    provider = said.get("provider", "").partition(":")[0]
    match provider:
        case "aws":
            return aws_kms.wrapped(blob, said.get("key", ""), DATA_KEY)
        case "gcp":
            places = (
                ("projectId", "projects"),
                ("location", "locations"),
                ("keyRing", "keyRings"),
                ("keyName", "cryptoKeys"),
            )
            key = "/".join(f"{place}/{said.get(name, '')}" for name, place in places)
            return gcp_kms.wrapped(blob, key, DATA_KEY)
        case "azure":
            parts = (said.get("keyVaultEndpoint", ""), "keys", said.get("keyName", ""), said.get("keyVersion", ""))
            return Wrapped("azure-key-vault", "https://" + "/".join(filter(None, parts)), blob, None, DATA_KEY)
        case "kmip" | "local":
            # 96 to 111 bytes are sealed in as many.
            length = DATA_KEY if len(blob) == SEALED else None
            return Wrapped(provider, said.get("keyId", ""), blob, length, DATA_KEY)
        case _:
            return Wrapped("unknown", "", blob, None, DATA_KEY)


def _binary(value: object) -> bytes | None:
    if not isinstance(value, dict):
        return None
    uuid = value.get("$uuid")
    if isinstance(uuid, str):
        return lower_hex(uuid.replace("-", "").lower().encode("ascii", "replace"))
    inner = value.get("$binary")
    text = inner.get("base64") if isinstance(inner, dict) else inner
    return b64(text) if isinstance(text, str) else None


FORMAT: Final = Format(
    id=ID,
    title="MongoDB client-side encryption (BSON subtype 6)",
    parse=parse,
    envelope=False,
    sources=(
        "https://github.com/mongodb/specifications/blob/master/source/bson-binary-encrypted/binary-encrypted.md",
        "https://github.com/mongodb/libmongocrypt (src/mc-fle2-payload-*)",
    ),
)
