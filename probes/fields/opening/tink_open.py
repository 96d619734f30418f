"""Tink's KmsEnvelopeAead under the data key that the key service unwrapped: a serialised key, and what it sealed.

Sources: Tink, "Wire format" (KMS envelope encryption; RAW prefix of the data key's own output) and proto/aes_gcm.proto,
proto/aes_ctr_hmac_aead.proto, proto/aes_gcm_siv.proto, proto/xchacha20_poly1305.proto.

Keys of AES-GCM, AES-GCM-SIV and XChaCha20-Poly1305 are serialised alike: which one it is shows when the tag holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from probes.fields.opening.sealed import Message, MisfitError, Mode, Unit, UnsupportedError, plaintext, tags_hold

Fields: TypeAlias = Mapping[int, "int | bytes"]

_LENGTH: Final = 4
_IV: Final = 12
_XIV: Final = 24
_TAG: Final = 16
_AES: Final = (16, 24, 32)
_HASHES: Final = {1: "sha1", 2: "sha384", 3: "sha256", 4: "sha512", 5: "sha224"}
"""`google.crypto.tink.HashType`."""
_MOST_FIELDS: Final = 16


@dataclass(frozen=True, slots=True)
class _CtrHmac:
    key: bytes
    iv: int
    mac_key: bytes
    mac_hash: str
    tag: int


def open_envelope(value: bytes, key: bytes, associated: bytes, context: Mapping[str, str] | None = None) -> Message:
    """The message. `context` is not used: the format shows none. Raises UnsupportedError, MisfitError."""
    start = _LENGTH + int.from_bytes(value[:_LENGTH], "big")
    sealed = value[start:]
    if len(key) in _AES:  # not Tink's own, whose serialised keys are longer, but the same layout around a bare key
        return _single(bytes(key), sealed, associated)
    fields = _fields(bytes(key))
    content = fields.get(3)
    if set(fields) <= {1, 3} and isinstance(content, bytes):
        return _single(content, sealed, associated)
    if (found := _ctr_hmac(fields)) is not None:
        iv, end = found.iv, len(sealed) - found.tag
        if end < iv:
            raise MisfitError("it is shorter than its nonce and tag")
        unit = Unit(sealed[:iv], associated, sealed[iv:end], sealed[end:])
        return Message(Mode.CTR_HMAC, found.key, (unit,), found.mac_key, found.mac_hash)
    raise UnsupportedError("Tink data keys of other kinds than AES-GCM and AES-CTR-HMAC")


def _single(key: bytes, sealed: bytes, associated: bytes) -> Message:
    if len(key) not in _AES:
        raise MisfitError("the data key has no length of an AES key")
    if len(sealed) < _IV + _TAG:
        raise MisfitError("it is shorter than its nonce and tag")
    unit = Unit(sealed[:_IV], associated, sealed[_IV:-_TAG], sealed[-_TAG:])
    message = Message(Mode.GCM, key, (unit,))
    if tags_hold(message):
        return message
    others = [Message(Mode.GCM_SIV, key, (unit,))] if len(key) != 24 else []
    if len(key) == 32 and len(sealed) >= _XIV + _TAG:
        others.append(
            Message(Mode.XCHACHA, key, (Unit(sealed[:_XIV], associated, sealed[_XIV:-_TAG], sealed[-_TAG:]),))
        )
    return next((other for other in others if _opens(other)), message)


def _opens(message: Message) -> bool:
    try:
        return plaintext(message) is not None
    except UnsupportedError:
        return False


def _ctr_hmac(fields: Fields) -> _CtrHmac | None:
    """AesCtrHmacAeadKey: 2 AesCtrKey {2 {1 iv_size}, 3 key}, 3 HmacKey {2 {1 hash, 2 tag_size}, 3 key}."""
    inner, outer = fields.get(2), fields.get(3)
    if not set(fields) <= {1, 2, 3} or not isinstance(inner, bytes) or not isinstance(outer, bytes):
        return None
    ctr, mac = _fields(inner), _fields(outer)
    params, mac_params = ctr.get(2), mac.get(2)
    key, mac_key = ctr.get(3), mac.get(3)
    if not isinstance(params, bytes) or not isinstance(mac_params, bytes):
        return None
    if not isinstance(key, bytes) or not isinstance(mac_key, bytes):
        return None
    iv, told = _fields(params).get(1), _fields(mac_params)
    name, tag = _HASHES.get(_number(told.get(1))), _number(told.get(2))
    if name is None or not isinstance(iv, int) or not 12 <= iv <= 16 or not 10 <= tag <= 64 or len(key) not in _AES:
        return None
    return _CtrHmac(key, iv, mac_key, name, tag)


def _number(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0


def _fields(message: bytes) -> Fields:
    """The fields of a protocol buffers message, each once (https://protobuf.dev/programming-guides/encoding/). Raises
    UnsupportedError for what is none: then the data key is no key of Tink's."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if number in found or len(found) == _MOST_FIELDS or wire not in (0, 2):
            raise UnsupportedError("data keys that are no serialised key of Tink's")
        size, at = _varint(message, at)
        if wire == 0:
            found[number] = size
            continue
        if at + size > len(message):
            raise UnsupportedError("data keys that are no serialised key of Tink's")
        found[number] = message[at : at + size]
        at += size
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 63:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise UnsupportedError("data keys that are no serialised key of Tink's")
