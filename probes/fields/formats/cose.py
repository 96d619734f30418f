"""COSE encrypted messages (RFC 9052, 5): COSE_Encrypt0 and COSE_Encrypt, tagged or not.

As in JOSE, the protected header is a declaration of the writer, and AES key wrap shows the length of the content key.
The external associated data is not in the message: no context shows. A message whose ciphertext is detached is
refused, as what is encrypted cannot be seen.

Bits: the simplest message is `83 43 a1 01 alg a1 05 4c iv 58 length ciphertext` with 16 algorithms of one byte: 76;
less 36 for the many other ways in which maps can be filled: 40, with a tag 48 or 56, with recipients 16 more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.cbor import NULL, CborError, Item, Map, Tagged, decode
from probes.fields.formats.seam import Cipher, Format, Parsed, Refused, Told, Wrapped

ID: Final = "cose"


@dataclass(frozen=True, slots=True)
class Content:
    """One content encryption: sizes in bytes."""

    cipher: Cipher
    iv: int
    tag: int
    block: int = 1


_CCM_128: Final = Cipher("AES-128-CCM", "AES", 128, True)
_CCM_256: Final = Cipher("AES-256-CCM", "AES", 256, True)

# Where things lie: [protected bstr of a map, unprotected map, ciphertext bstr, recipients when tag 96]; each
# recipient the same again, its ciphertext being the wrapped key. Labels of the headers:
ALGORITHM: Final = 1
CRITICAL: Final = 2
KEY_ID: Final = 4
IV: Final = 5
PARTIAL_IV: Final = 6
EPHEMERAL: Final = -1
POINT: Final = (-2, -3)
"""Coordinates of the ephemeral key."""
DERIVATION: Final = (-20, -22)
"""Salt and nonce of a key derivation (RFC 9053, 5): they tell derived keys apart, as an ephemeral key does."""
ENCRYPT0: Final = 16
ENCRYPT: Final = 96
# Algorithms (RFC 9053, 4; RFC 9459).
CONTENT: Final = {
    1: Content(ciphers.AES_128_GCM, 12, 16),
    2: Content(ciphers.AES_192_GCM, 12, 16),
    3: Content(ciphers.AES_256_GCM, 12, 16),
    10: Content(_CCM_128, 13, 8),
    11: Content(_CCM_256, 13, 8),
    12: Content(_CCM_128, 7, 8),
    13: Content(_CCM_256, 7, 8),
    24: Content(ciphers.CHACHA20, 12, 16),
    30: Content(_CCM_128, 13, 16),
    31: Content(_CCM_256, 13, 16),
    32: Content(_CCM_128, 7, 16),
    33: Content(_CCM_256, 7, 16),
    -65534: Content(Cipher("AES-128-CTR", "AES", 128, False), 16, 0),
    -65533: Content(Cipher("AES-192-CTR", "AES", 192, False), 16, 0),
    -65532: Content(ciphers.AES_256_CTR, 16, 0),
    -65531: Content(Cipher("AES-128-CBC", "AES", 128, False), 16, 0, 16),
    -65530: Content(Cipher("AES-192-CBC", "AES", 192, False), 16, 0, 16),
    -65529: Content(ciphers.AES_256_CBC, 16, 0, 16),
}
# Key management (RFC 9053, 6; RFC 8230) -> provider.
KEY_WRAPS: Final = {-3: "aes-kw", -4: "aes-kw", -5: "aes-kw"} | dict.fromkeys(range(-34, -28), "ecdh")
RSA: Final = {-40: "rsa-oaep", -41: "rsa-oaep", -42: "rsa-oaep"}
AGREED: Final = dict.fromkeys(range(-28, -24), "ecdh") | dict.fromkeys(range(-13, -9), "derived")
DIRECT: Final = -6
RSA_SHA1: Final = -40
KEY_WRAP: Final = 8
MOST_KEYS: Final = 64
LONGEST: Final = 1 << 24

_BITS: Final = 40
_BROKEN: Final = 32


def parse(data: bytes) -> Told:
    """One message."""
    tag, start = _begins(data)
    if not start or len(data) > LONGEST:
        return None
    try:
        item = decode(data)
    except CborError:
        # A head and an algorithm that is known: `d0 83 43 a1 01 03`, and the like.
        return _refused("Its CBOR is not whole.") if tag and _declares(data, start) else None
    body = item.content if isinstance(item, Tagged) else item
    members = {ENCRYPT0: (3,), ENCRYPT: (4,), 0: (3, 4)}[tag]
    if not isinstance(body, tuple) or len(body) not in members:
        return None
    protected = _protected(body[0])
    if protected is None or not isinstance(body[1], Map):
        return None
    algorithm = protected.get(ALGORITHM)
    content = CONTENT.get(algorithm) if isinstance(algorithm, int) else None
    if content is None:
        return None
    told = _told(data, protected, body, content, tag)
    return told if isinstance(told, Parsed) or tag else None


def _begins(data: bytes) -> tuple[int, int]:
    """Tag, 0 for none, and offset behind the head of the array; offset 0 where this begins otherwise."""
    for tag, head in ((ENCRYPT0, b"\xd0"), (ENCRYPT, b"\xd8\x60"), (0, b"")):
        after = len(head)
        if data.startswith(head) and data[after : after + 1] in (b"\x83", b"\x84", b"\x9f"):
            return tag, after + 1
    return 0, 0


def _declares(data: bytes, start: int) -> bool:
    """Whether the protected header is a short map that begins with a known algorithm."""
    head = data[start : start + 5]
    return len(head) == 5 and 0x41 <= head[0] < 0x58 and 0xA1 <= head[1] < 0xB8 and head[2] == 1 and _known(head[3:])


def _known(raw: bytes) -> bool:
    return raw[0] in CONTENT or (raw[0] == 0x18 and raw[1] in CONTENT) or raw[0] == 0x39


def _protected(item: Item) -> Map | None:
    if not isinstance(item, bytes):
        return None
    if not item:
        return Map(())
    try:
        found = decode(item)
    except CborError:
        return None
    return found if isinstance(found, Map) else None


def _refused(why: str) -> Refused:
    return Refused(ID, why, _BROKEN)


def _told(data: bytes, protected: Map, body: tuple[Item, ...], content: Content, tag: int) -> Parsed | Refused:
    unprotected, text = body[1], body[2]
    if not isinstance(unprotected, Map) or not isinstance(text, bytes):
        return _refused("Its ciphertext is detached." if text == NULL else "It has no ciphertext.")
    if protected.get(CRITICAL) is not None:
        return _refused("It asks for an extension that is not known.")
    if {name for name, _ in protected.pairs} & {name for name, _ in unprotected.pairs}:
        return _refused("Its headers name one label twice.")
    unit = _bytes(protected, IV) or _bytes(unprotected, IV)
    partial = _bytes(protected, PARTIAL_IV) or _bytes(unprotected, PARTIAL_IV)
    if len(unit) != content.iv and (unit or not 0 < len(partial) <= content.iv):
        return _refused("Its IV has not the length that its content encryption asks for.")
    length = len(text) - content.tag
    if length < 0 or (content.block > 1 and (not length or length % content.block)):
        return _refused("Its ciphertext is shorter than a tag, or not whole blocks.")
    wrapped: list[Wrapped] = []
    remarks: list[str] = []
    static = _key_id(protected) or _key_id(unprotected)
    if len(body) == 4:
        recipients = body[3]
        if not isinstance(recipients, tuple) or not 0 < len(recipients) <= MOST_KEYS:
            return _refused("It has no recipients, or more than are walked.")
        for one in recipients:
            key = _recipient(one)
            if isinstance(key, str):
                return _refused(key)
            if key.provider == "direct":
                static = key.key
                remarks.append("no-envelope")
            else:
                wrapped.append(key)
                remarks += ["sha1"] if key.provider == "rsa-oaep-sha1" else []
        if len(wrapped) < len(recipients) > 1:
            return _refused("Its recipients do not share one content key.")
    else:
        remarks.append("no-envelope")
    start = data.find(text)  # not in one piece where it is written in chunks
    return Parsed(
        format=ID,
        variant="encrypt" if len(body) == 4 else "encrypt0",
        bits=_BITS + {ENCRYPT0: 8, ENCRYPT: 16, 0: 0}[tag] + (16 if len(body) == 4 else 0),
        cipher=content.cipher,
        wrapped=tuple(wrapped),
        static_key="" if wrapped else static,
        unit=unit or partial,
        unit_bits=8 * len(unit or partial),
        deterministic=False,
        payload=(start, start + length) if start >= 0 else (0, 0),
        body=text[:length] if start < 0 else b"",
        plain_length=None if content.block > 1 else length,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _bytes(header: Map, label: int) -> bytes:
    value = header.get(label)
    return value if isinstance(value, bytes) else b""


def _key_id(header: Map) -> str:
    """The key id: text where it is text, otherwise hex."""
    raw = _bytes(header, KEY_ID)
    text = raw.decode("ascii", "replace")
    return text if text.isprintable() and raw.isascii() else raw.hex()


def _recipient(item: Item) -> Wrapped | str:
    """One recipient's key, or a sentence why it is none."""
    if not isinstance(item, tuple) or len(item) not in (3, 4) or not isinstance(item[1], Map):
        return "A recipient is not one."
    protected = _protected(item[0])
    if protected is None:
        return "A recipient is not one."
    algorithm = protected.get(ALGORITHM) or item[1].get(ALGORITHM)
    name = _key_id(protected) or _key_id(item[1])
    blob = item[2] if isinstance(item[2], bytes) else b""
    match algorithm:
        case int() if algorithm == DIRECT and not blob:
            return Wrapped("direct", name)
        case int() if algorithm in KEY_WRAPS:
            if len(blob) < 24 or len(blob) % 8:
                return "A wrapped key is not one of AES key wrap."
            return Wrapped(KEY_WRAPS[algorithm], name, blob, len(blob) - KEY_WRAP, 32)
        case int() if algorithm in RSA:
            return Wrapped("rsa-oaep-sha1" if algorithm == RSA_SHA1 else "rsa-oaep", name, blob, None, 32)
        case int() if algorithm in AGREED and not blob:
            epk = item[1].get(EPHEMERAL) or protected.get(EPHEMERAL)
            parts = [_bytes(epk, label) for label in POINT] if isinstance(epk, Map) else []
            parts += [_bytes(protected, label) or _bytes(item[1], label) for label in DERIVATION]
            return Wrapped(AGREED[algorithm], name, b"".join(parts), None, 32)
        case _:
            return "It names no key management that is known."


FORMAT: Final = Format(
    id=ID,
    title="COSE encrypted message",
    parse=parse,
    envelope=True,
    sources=("RFC 9052, 5", "RFC 9053", "RFC 9459", "RFC 8949"),
)
