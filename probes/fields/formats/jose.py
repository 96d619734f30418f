"""JSON Web Encryption (RFC 7516): compact, flattened and general.

The header is authenticated for whoever holds the content key and says what the writer wanted to say. The compact form
binds nothing but its header: no row. With AES key wrap the content key's length shows; RSA-OAEP hides it; with `dir`
and `ECDH-ES` there is no wrapped key at all. In the JSON forms the data of `aad`, where it is a JSON object of
strings, is told as the context. Every part must stand in its one spelling (unpadded base64url without stray bits),
every name once.

Bits: each byte is one of 65 characters (compact) or of less than 128 (JSON): 1.9 or 1 for each byte, and `"alg":"`
and `"enc":"` with a known cipher behind it, at least 96, less 16 for their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.strict import b64url, json_object, json_pairs

ID: Final = "jwe"


@dataclass(frozen=True, slots=True)
class Content:
    """One content encryption: sizes in bytes."""

    cipher: Cipher
    key: int
    iv: int
    tag: int
    expected: int
    block: int = 1


# Where things lie: header . wrapped key . IV . ciphertext . tag, each in base64url; or JSON with the members below.
PARTS: Final = 5
MEMBERS: Final = frozenset(
    ("protected", "unprotected", "header", "encrypted_key", "recipients", "iv", "ciphertext", "tag", "aad")
)
# `enc` (RFC 7518, 5.1).
CONTENT: Final = {
    "A128GCM": Content(ciphers.AES_128_GCM, 16, 12, 16, 32),
    "A192GCM": Content(ciphers.AES_192_GCM, 24, 12, 16, 32),
    "A256GCM": Content(ciphers.AES_256_GCM, 32, 12, 16, 32),
    "A128CBC-HS256": Content(ciphers.AES_128_CBC_HMAC, 32, 16, 16, 64, 16),
    "A192CBC-HS384": Content(ciphers.AES_192_CBC_HMAC, 48, 16, 24, 64, 16),
    "A256CBC-HS512": Content(ciphers.AES_256_CBC_HMAC, 64, 16, 32, 64, 16),
    "C20P": Content(ciphers.CHACHA20, 32, 12, 16, 32),
    "XC20P": Content(ciphers.XCHACHA20, 32, 24, 16, 32),
}
# `alg` (RFC 7518, 4.1) -> provider, what the wrapped key adds to the content key (None: a block of the RSA modulus).
KEY_WRAPS: Final = {
    "A128KW": "aes-kw",
    "A192KW": "aes-kw",
    "A256KW": "aes-kw",
    "ECDH-ES+A128KW": "ecdh-es",
    "ECDH-ES+A192KW": "ecdh-es",
    "ECDH-ES+A256KW": "ecdh-es",
    "PBES2-HS256+A128KW": "pbes2",
    "PBES2-HS384+A192KW": "pbes2",
    "PBES2-HS512+A256KW": "pbes2",
}
GCM_WRAPS: Final = frozenset(("A128GCMKW", "A192GCMKW", "A256GCMKW"))
RSA: Final = {
    "RSA1_5": "rsa-pkcs1",
    "RSA-OAEP": "rsa-oaep",
    "RSA-OAEP-256": "rsa-oaep",
    "RSA-OAEP-384": "rsa-oaep",
    "RSA-OAEP-512": "rsa-oaep",
}
KEY_WRAP: Final = 8
RSA_SIZES: Final = range(128, 1025)
NAMES: Final = ("kid", "x5t#S256", "x5t", "x5u", "jku")
"""Header members that name the wrapping key, the first that is there."""
MOST_KEYS: Final = 64
LONGEST: Final = 1 << 24
LONGEST_HEADER: Final = 1 << 16
KEPT_HEADER: Final = 1 << 10
"""Headers up to this size are read once for all the values of a column that share them."""

_BROKEN: Final = 96


def parse(data: bytes) -> Told:
    """One message in any of the three serialisations."""
    if data.startswith(b"eyJ") and len(data) <= LONGEST:
        return _compact(data)
    return _json(data) if data.startswith(b"{") else None


def _compact(data: bytes) -> Told:
    first, dot, _ = data[:LONGEST_HEADER].partition(b".")
    header = (_header(first) if len(first) <= KEPT_HEADER else _read(first)) if dot else None
    if header is None or not {"alg", "enc"} <= header.keys():
        return None
    parts = data.split(b".", PARTS)
    if len(parts) != PARTS:
        return _refused("It is not in five parts.")
    raw = [b64url(part) for part in parts[1:]]
    if None in raw:
        return _refused("A part is not in its one spelling of base64url.")
    key, iv, text, tag = (part or b"" for part in raw)
    return _told("compact", 80 + 19 * len(data) // 10, header, [({}, key)], iv, text, tag, None)


def _read(part: bytes) -> Mapping[str, object] | None:
    return json_object(b64url(part) or b"")


_header = lru_cache(maxsize=64)(_read)


def _json(data: bytes) -> Told:
    if b'"ciphertext"' not in data:
        return None
    found = json_object(data)
    if found is None or not {"ciphertext", "tag", "iv"} & found.keys() or "protected" not in found:
        return None
    if found.keys() - MEMBERS:
        return None
    raw = {name: found.get(name, "") for name in ("protected", "iv", "ciphertext", "tag", "aad")}
    decoded = {name: b64url(value) if isinstance(value, str) else None for name, value in raw.items()}
    if None in decoded.values():
        return _refused("A part is not in its one spelling of base64url.")
    parts = {name: value or b"" for name, value in decoded.items()}
    header = _joined(json_object(parts["protected"]), found.get("unprotected", {}))
    general = found.get("recipients")
    if general is None:
        listed: list[object] = [{name: found[name] for name in ("header", "encrypted_key") if name in found}]
    elif isinstance(general, list) and not {"header", "encrypted_key"} & found.keys():
        listed = general
    else:
        return _refused("It mixes the flattened and the general form.")
    if header is None or not 0 < len(listed) <= MOST_KEYS:
        return _refused("Its headers cannot be joined.")
    keys: list[tuple[dict[str, object], bytes]] = []
    for one in listed:
        if not isinstance(one, dict) or one.keys() - {"header", "encrypted_key"}:
            return _refused("A recipient holds other than a header and a wrapped key.")
        own, blob = one.get("header", {}), one.get("encrypted_key", "")
        key = b64url(blob) if isinstance(blob, str) else None
        if not isinstance(own, dict) or key is None:
            return _refused("A part is not in its one spelling of base64url.")
        keys.append((own, key))
    context = json_pairs(parts["aad"]) if "aad" in found else None
    variant = "flattened" if general is None else "general"
    return _told(variant, 80 + len(data), header, keys, parts["iv"], parts["ciphertext"], parts["tag"], context)


def _joined(first: Mapping[str, object] | None, second: object) -> dict[str, object] | None:
    """Both headers as one; None where a name stands in both (RFC 7516, 7.2.1)."""
    if first is None or not isinstance(second, dict) or first.keys() & second.keys():
        return None
    return {**first, **second}


def _refused(why: str) -> Refused:
    return Refused(ID, why, _BROKEN)


def _told(
    variant: str,
    bits: int,
    header: Mapping[str, object],
    keys: list[tuple[dict[str, object], bytes]],
    iv: bytes,
    text: bytes,
    tag: bytes,
    context: tuple[tuple[str, str], ...] | None,
) -> Told:
    """What the parts say together."""
    wrapped: list[Wrapped] = []
    remarks: set[str] = set()
    static = ""
    contents: set[str] = set()
    for own, blob in keys:
        joined = _joined(header, own)
        if joined is None:
            return _refused("Its headers name one member twice.")
        enc, alg = joined.get("enc"), joined.get("alg")
        content = CONTENT.get(enc) if isinstance(enc, str) else None
        if content is None or not isinstance(alg, str) or not isinstance(enc, str):
            return _refused("It names no content encryption that is known.")
        contents.add(enc)
        key = _wrapped(alg, joined, blob, content)
        if isinstance(key, str):
            return _refused(key)
        if key is None:
            static = _name(joined)
        else:
            wrapped.append(key)
        remarks |= _remarks(alg, joined)
    content = CONTENT[contents.pop()]
    if contents or len(wrapped) < len(keys) > 1:
        return _refused("Its recipients do not share one content key.")
    if len(iv) != content.iv or len(tag) != content.tag:
        return _refused("Its IV or its tag has not the length that its content encryption asks for.")
    if content.block > 1 and (not text or len(text) % content.block):
        return _refused("Its ciphertext is not whole blocks.")
    if header.get("zip", "DEF") != "DEF" or "crit" in header:
        return _refused("It asks for an extension that is not known.")
    plain = len(text) if content.block == 1 and "compressed" not in remarks else None
    return Parsed(
        format=ID,
        variant=variant,
        bits=min(255, bits),
        cipher=content.cipher,
        wrapped=tuple(wrapped),
        static_key=static,
        unit=iv,
        unit_bits=8 * len(iv),
        context=context,
        deterministic=False,
        body=text,
        plain_length=plain,
        remarks=tuple(sorted(remarks)),
    )


def _remarks(alg: str, header: Mapping[str, object]) -> set[str]:
    found = {"compressed"} if "zip" in header else set[str]()
    if alg == "dir":
        found.add("no-envelope")
    elif alg.startswith("PBES2"):
        found.add("password-based")
    elif alg == "RSA-OAEP":
        found.add("sha1")
    elif alg == "RSA1_5":
        found.add("old")
    return found


def _wrapped(alg: str, header: Mapping[str, object], blob: bytes, content: Content) -> Wrapped | str | None:
    """One recipient's key; None where there is none to wrap, a sentence where it cannot be one."""
    name = _name(header)
    if alg == "dir":
        return "It holds a wrapped key, and its algorithm has none." if blob else None
    if alg == "ECDH-ES":
        point = _point(header)
        if blob or not point:
            return "It lacks an ephemeral key, or holds a wrapped key, and its algorithm has none."
        return Wrapped("ecdh-es", name, point, None, content.expected)
    if alg in KEY_WRAPS:
        if len(blob) < 24 or len(blob) % KEY_WRAP:
            return "Its wrapped key is not one of AES key wrap."
        if KEY_WRAPS[alg] == "ecdh-es" and not _point(header):
            return "It lacks an ephemeral key."
        return Wrapped(KEY_WRAPS[alg], name, blob, len(blob) - KEY_WRAP, content.expected)
    if alg in GCM_WRAPS:
        iv, tag = (b64url(str(header.get(part, ""))) or b"" for part in ("iv", "tag"))
        if len(iv) != 12 or len(tag) != 16 or not blob:
            return "Its wrapped key lacks an IV or a tag."
        return Wrapped("aes-gcm-kw", name, iv + blob + tag, len(blob), content.expected)
    if alg in RSA:
        if len(blob) not in RSA_SIZES:
            return "Its wrapped key is not a block of RSA."
        return Wrapped(RSA[alg], name, blob, None, content.expected)
    return "It names no key management that is known."


def _point(header: Mapping[str, object]) -> bytes:
    """The ephemeral public key, which tells the agreed keys apart."""
    epk = header.get("epk")
    if not isinstance(epk, dict):
        return b""
    parts = [b64url(value) if isinstance(value := epk.get(name, ""), str) else None for name in ("x", "y")]
    return (parts[0] or b"") + (parts[1] or b"")


def _name(header: Mapping[str, object]) -> str:
    for name in NAMES:
        value = header.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


FORMAT: Final = Format(
    id=ID,
    title="JSON Web Encryption",
    parse=parse,
    envelope=True,
    sources=("RFC 7516", "RFC 7518", "RFC 7520, 5"),
    text=True,
)
