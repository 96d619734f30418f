"""Client-side encryption of objects: the metadata of the Amazon S3 Encryption Client, formats 1 to 3, and of Azure
Storage.

The metadata is a JSON object (of an object's metadata, of an instruction file, of an inventory); what it describes
lies elsewhere, so that neither ciphertext nor tag is seen here. Names are taken with and without `x-amz-meta-`, in
any case, and other names beside them are left alone. `AES/GCM/NoPadding` does not state the size of the key; the
client writes only 256 bits, which the wrapped key's length must show.

Bits: the shortest names that must stand there are 21 and 17 bytes of ASCII that cannot be others, and two values of
base64 of 16 and 24 characters: above the cap.
"""

from __future__ import annotations

from typing import Final

from probes.fields.formats import aws_kms, ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.strict import b64, json_object, json_pairs

ID: Final = "s3-client-side"

PREFIX: Final = "x-amz-meta-"
# Where things lie, by format: wrapped key, IV or message id, content cipher, wrapping algorithm, context.
KEY_V1: Final = "x-amz-key"
KEY_V2: Final = "x-amz-key-v2"
KEY_V3: Final = "x-amz-3"
IV: Final = "x-amz-iv"
MESSAGE_ID: Final = "x-amz-i"
COMMITMENT: Final = "x-amz-d"
CIPHER_V2: Final = "x-amz-cek-alg"
CIPHER_V3: Final = "x-amz-c"
WRAP_V2: Final = "x-amz-wrap-alg"
WRAP_V3: Final = "x-amz-w"
CONTEXT_V2: Final = "x-amz-matdesc"
CONTEXT_V3: Final = "x-amz-t"
TAG_V2: Final = "x-amz-tag-len"
LENGTH: Final = "x-amz-unencrypted-content-length"
MESSAGE_ID_SIZE: Final = 28
GCM: Final = "AES/GCM/NoPadding"
CBC: Final = "AES/CBC/PKCS5Padding"
SUITE_V3: Final = "115"
WRAPS_V3: Final = {"02": "AES/GCM", "12": "kms+context", "22": "RSA-OAEP-SHA1"}
# Wrapping algorithm -> provider, bytes beyond the data key (None: not shown), remarks.
WRAPS: Final[dict[str, tuple[str, int | None, tuple[str, ...]]]] = {
    "kms+context": ("aws-kms", None, ()),
    "kms": ("aws-kms", None, ("unbound-wrap",)),
    "AES/GCM": ("raw-aes", 28, ()),
    "AESWrap": ("aes-kw", 8, ("unbound-wrap",)),
    "RSA-OAEP-SHA1": ("rsa-oaep", None, ("sha1", "unbound-wrap")),
    "RSA/ECB/OAEPWithSHA-256AndMGF1Padding": ("rsa-oaep", None, ("unbound-wrap",)),
}
# Azure: member of the metadata, and its ciphers.
AZURE: Final = "encryptiondata"
AZURE_CIPHERS: Final = {"AES_GCM_256": ciphers.AES_256_GCM, "AES_CBC_256": ciphers.AES_256_CBC}

_HEAD: Final = 1 << 16
_NAMED: Final = (b"x-amz-", b"wrappedcontentkey", b"encryptiondata")
"""One of these stands in the beginning of all metadata, whatever the case."""
_BITS: Final = 255
_WHY: Final = "It names the fields of encrypted objects, and they contradict each other."


def parse(data: bytes) -> Told:
    """The metadata of one encrypted object."""
    head = data[:_HEAD].lower()
    found = json_object(data) if any(name in head for name in _NAMED) else None
    if found is None:
        return None
    if "WrappedContentKey" in found:
        return _azure(found)
    names: dict[str, str] = {}
    for name, value in found.items():
        short = name.lower().removeprefix(PREFIX)
        if not isinstance(value, str):
            continue
        if short == AZURE:
            inner = json_object(value.encode("utf-8", "replace"))
            return _azure(inner) if inner and "WrappedContentKey" in inner else Refused(ID, _WHY, 96)
        if short in names:
            return Refused(ID, "It names one field twice.", 96)
        names[short] = value
    versions = [version for version, key in enumerate((KEY_V1, KEY_V2, KEY_V3), 1) if key in names]
    if not versions:
        return None
    return (_parse(versions[0], names) if len(versions) == 1 else None) or Refused(ID, _WHY, 64)


def _parse(version: int, names: dict[str, str]) -> Parsed | None:
    """By its format; None where a field is missing, or none that it may have."""
    key = b64(names[(KEY_V1, KEY_V2, KEY_V3)[version - 1]])
    unit = b64(names.get(MESSAGE_ID if version == 3 else IV, ""))
    if not key or unit is None:
        return None
    shown = names.get(CONTEXT_V3 if version == 3 else CONTEXT_V2)
    context = json_pairs(shown.encode("utf-8", "replace")) if shown is not None else None
    said = names.get(LENGTH, "")
    length = int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None
    remarks: tuple[str, ...] = ("old",) if version == 1 else ()
    if version == 1:
        cipher, sizes, wrap = ciphers.AES_CBC, (16,), ""
    elif version == 2:
        wrap = names.get(WRAP_V2, "")
        gcm = names.get(CIPHER_V2) == GCM
        if (not gcm and names.get(CIPHER_V2) != CBC) or (gcm and names.get(TAG_V2) != "128"):
            return None
        cipher, sizes = (ciphers.AES_GCM, (12,)) if gcm else (ciphers.AES_CBC, (16,))
    else:
        wrap = WRAPS_V3.get(names.get(WRAP_V3, ""), "")
        # These three stand only in the object's own metadata, not in an instruction file: all of them, or none.
        own = [names.get(name) for name in (CIPHER_V3, MESSAGE_ID, COMMITMENT)]
        if any(own) and (own[0] != SUITE_V3 or len(b64(own[2] or "") or b"") != MESSAGE_ID_SIZE):
            return None
        cipher, sizes = ciphers.AES_256_GCM, (MESSAGE_ID_SIZE if any(own) else 0,)
    if len(unit) not in sizes or (version > 1 and wrap not in WRAPS):
        return None
    provider, over, more = WRAPS.get(wrap, ("unknown", None, ()))
    if provider == "aws-kms":
        wrapped = aws_kms.wrapped(key, (dict(context or ())).get("kms_cmk_id", ""))
    else:
        size = len(key) - over if over is not None and len(key) > over else None
        wrapped = Wrapped(provider, "", key, size, 32)
    return Parsed(
        format=ID,
        variant=f"s3-v{version}",
        bits=_BITS,
        cipher=cipher,
        wrapped=(wrapped,),
        unit=unit,
        unit_bits=8 * len(unit),
        context=context,
        commitment=Commitment.YES if version == 3 else Commitment.NO,
        deterministic=False,
        plain_length=length,
        remarks=remarks + more,
    )


def _azure(found: dict[str, object]) -> Parsed | Refused:
    """Azure Storage's `encryptiondata`."""
    key, agent = found.get("WrappedContentKey"), found.get("EncryptionAgent")
    if not isinstance(key, dict) or not isinstance(agent, dict):
        return Refused(ID, _WHY, 96)
    name, blob, wrap = (key.get(part) for part in ("KeyId", "EncryptedKey", "Algorithm"))
    cipher = AZURE_CIPHERS.get(str(agent.get("EncryptionAlgorithm")), ciphers.UNSTATED)
    raw = b64(blob) if isinstance(blob, str) else None
    iv = found.get("ContentEncryptionIV")
    unit = b64(iv) if isinstance(iv, str) else b""
    if not raw or not isinstance(name, str) or not isinstance(wrap, str) or unit is None:
        return Refused(ID, _WHY, 96)
    size = len(raw) - 8 if wrap.endswith("KW") and len(raw) % 8 == 0 and len(raw) >= 24 else None
    return Parsed(
        format=ID,
        variant="azure-v2" if cipher is ciphers.AES_256_GCM else "azure-v1",
        bits=_BITS,
        cipher=cipher,
        # With GCM, Azure wraps the protocol's version, padded to 8 bytes, in front of the key.
        wrapped=(Wrapped("azure-key-vault", name, raw, size, 40 if cipher is ciphers.AES_256_GCM else 32),),
        unit=b"" if cipher is ciphers.AES_256_GCM else unit,
        unit_bits=128,
        commitment=Commitment.NO,
        deterministic=False,
        remarks=("sha1",) if wrap == "RSA-OAEP" else () if cipher is ciphers.AES_256_GCM else ("old",),
    )


FORMAT: Final = Format(
    id=ID,
    title="S3 or Azure client-side encryption metadata",
    parse=parse,
    envelope=True,
    sources=(
        "https://github.com/awslabs/aws-encryption-sdk-specification (s3-encryption/data-format/content-metadata.md)",
        "https://learn.microsoft.com/azure/storage/blobs/client-side-encryption",
    ),
    text=True,
)
