"""OpenPGP messages (RFC 9580, RFC 4880), and so pgcrypto's `pgp_sym_encrypt` and `pgp_pub_encrypt`, binary or armored.

The cipher shows where a password makes the session key itself (pgcrypto's default: AES-128). Where a session key is
wrapped, the cipher's number is wrapped with it, except in version 2 of the encrypted data packet. Version 1 guards
against changes by an encrypted SHA-1 hash, the older packet by nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from probes.fields.formats.seam import Cipher, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import BASE64_BITS, evidence
from probes.fields.formats.strict import b64
from probes.fields.readable import READABLE, telltale

ID: Final = "openpgp"
# Where things lie. Packets, each with tag and length (new: c0 | tag; old: 80 | tag << 2 | length of length): wrapped
# session keys (tag 1 by public key, tag 3 by password), then the encrypted data (tag 18, or 9 without any guard).
PUBLIC, PASSWORD, UNGUARDED, MARKER, DATA = 1, 3, 9, 10, 18
MAX_KEYS: Final = 64
MAX_PARTS: Final = 100_000
CIPHERS: Final = {
    1: ("IDEA", "other", 128),
    2: ("3DES", "other", 168),
    3: ("CAST5", "other", 128),
    4: ("Blowfish", "other", 128),
    7: ("AES-128", "AES", 128),
    8: ("AES-192", "AES", 192),
    9: ("AES-256", "AES", 256),
    10: ("Twofish", "other", 256),
    11: ("Camellia-128", "other", 128),
    12: ("Camellia-192", "other", 192),
    13: ("Camellia-256", "other", 256),
}
MODES: Final = {1: "EAX", 2: "OCB", 3: "GCM"}
PASSWORDS: Final = {4: (1, 2), 5: (1, 3), 6: (2, 5)}
"""By version of a password's packet: where the cipher lies, and where the way from the password to a key begins."""
S2K: Final = {0: 2, 1: 10, 3: 11, 4: 20}
"""Octets of each way: simple, salted, iterated and salted, Argon2."""
ARGON2: Final = 4
HASHES: Final = frozenset({1, 2, 3, 8, 9, 10, 11, 12, 14})
PREFIX: Final = 18
"""Random block and its repetition in front of the data, as CFB encrypts them."""
MDC: Final = 22
PACKET_BITS: Final = 16
"""A known tag, and a length that leads to the next packet or the end."""
_ARMOR: Final = re.compile(
    rb"-----BEGIN PGP MESSAGE-----\r?\n((?:[^\r\n]{1,200}\r?\n){0,8})\r?\n"
    rb"((?:[A-Za-z0-9+/=]{1,76}\r?\n)+?)(?:=([A-Za-z0-9+/]{4})\r?\n)?-----END PGP MESSAGE-----\s{0,4}\Z"
)
_VERSION: Final = re.compile(rb"(?:Version: [\w.() +-]{1,64}|Charset: [\w-]{1,20})\Z")
_BEGIN: Final = b"-----BEGIN PGP MESSAGE-----"


@dataclass(slots=True)
class _Seen:
    """What the packets before the data said."""

    bits: int = 0
    cipher: int | None = None
    wrapped: list[Wrapped] = field(default_factory=list)
    passwords: int = 0


def parse(value: bytes) -> Told:
    """Walk one message."""
    if value.startswith(_BEGIN):
        return _armored(value)
    return _message(value, text=False, extra=0)


def _armored(value: bytes) -> Told:
    bits = 8 * len(_BEGIN)
    found = _ARMOR.match(value)
    if found is None:
        return Refused(ID, "its armor is not whole", bits)
    if not all(_VERSION.match(line) for line in found[1].splitlines()):
        return Refused(ID, "its armor has a header of free text", bits)
    content = b64(b"".join(found[2].split()))
    if content is None:
        return Refused(ID, "its armor is not base64 in its one spelling", bits)
    if found[3] is not None and b64(found[3]) != _crc24(content).to_bytes(3, "big"):
        return Refused(ID, "the checksum of its armor does not fit", bits)
    told = _message(content, text=True, extra=bits + BASE64_BITS * len(found[2]))
    return told or Refused(ID, "what its armor holds is no encrypted message", bits)


def _message(value: bytes, *, text: bool, extra: int) -> Told:
    seen = _Seen(extra)
    at = 0
    for _ in range(MAX_KEYS + 1):
        header = _header(value, at)
        if header is None:
            break
        tag, start, end = header
        if tag in (DATA, UNGUARDED):
            if not (seen.wrapped or seen.passwords):
                return None
            if end != len(value):
                return Refused(ID, "bytes follow the encrypted data", evidence(seen.bits + PACKET_BITS))
            return _data(value, tag, start, seen, text=text)
        if tag == MARKER and value[start:end] == b"PGP":
            seen.bits += PACKET_BITS + 24
        elif tag not in (PUBLIC, PASSWORD) or not _session_key(value[start:end], tag, seen):
            break
        at = end
    if not seen.wrapped and not seen.passwords:
        return None
    return Refused(ID, "no whole encrypted data behind its session keys", evidence(seen.bits))


def _header(value: bytes, at: int) -> tuple[int, int, int] | None:
    """Tag, start and end of a packet's body; None where there is none. Partial lengths count as one body."""
    if len(value) < at + 2 or not value[at] & 0x80:
        return None
    first = value[at]
    if not first & 0x40:
        size = (1, 2, 4, 0)[first & 3]
        start = at + 1 + size
        end = start + int.from_bytes(value[at + 1 : start], "big") if size else len(value)
        return ((first >> 2) & 0x0F, start, end) if start <= end <= len(value) else None
    length = _new_length(value, at + 1)
    start = length[1] if length is not None else 0
    for _ in range(MAX_PARTS):
        if length is None:
            return None
        size, body, partial = length
        if body + size > len(value):
            return None
        if not partial:
            return first & 0x3F, start, body + size
        length = _new_length(value, body + size)
    return None


def _new_length(value: bytes, at: int) -> tuple[int, int, bool] | None:
    """Length, start of the body, and whether more parts follow."""
    if at >= len(value):
        return None
    first = value[at]
    if first < 192:
        return first, at + 1, False
    if first < 224:
        return (((first - 192) << 8) + value[at + 1] + 192, at + 2, False) if at + 1 < len(value) else None
    if first < 255:
        return 1 << (first & 0x1F), at + 1, True
    return int.from_bytes(value[at + 1 : at + 5], "big"), at + 5, False


def _session_key(body: bytes, tag: int, seen: _Seen) -> bool:
    """One wrapped session key, or a password's way to one."""
    return _public(body, seen) if tag == PUBLIC else _password(body, seen)


def _public(body: bytes, seen: _Seen) -> bool:
    if len(body) < 12 or body[0] not in (3, 6):
        return False
    named = body[1:9] if body[0] == 3 else body[2 : 2 + body[1]]
    blob = body[10:] if body[0] == 3 else body[3 + body[1] :]
    # Version 3: an MPI of as many bits as it says. Nothing else is common to all algorithms.
    if body[0] == 3 and body[9] in (1, 2) and (int.from_bytes(blob[:2], "big") + 7) // 8 != len(blob) - 2:
        return False
    if len(blob) < 16 or telltale(body):
        return False
    seen.bits += PACKET_BITS + 8
    seen.wrapped.append(Wrapped("openpgp", named.hex(), blob))
    return True


def _password(body: bytes, seen: _Seen) -> bool:
    if len(body) < 4 or body[0] not in PASSWORDS:
        return False
    cipher, start = PASSWORDS[body[0]]
    if len(body) < start + 2 or body[cipher] not in CIPHERS:
        return False
    size = S2K.get(body[start], len(body))
    if len(body) < start + size or (body[start] != ARGON2 and body[start + 1] not in HASHES) or telltale(body):
        return False
    key = body[start + size :]
    seen.bits += PACKET_BITS + 8 + 4 + 6 + 5
    seen.passwords += 1
    if key:
        length = len(key) - 1 if body[0] == 4 else None
        seen.wrapped.append(Wrapped("openpgp-password", "", key, length=length, expected=32))
    elif body[0] == 4:
        seen.cipher = body[cipher]
    return body[0] == 4 or bool(key)


def _data(value: bytes, tag: int, start: int, seen: _Seen, *, text: bool) -> Told:
    """The encrypted data itself, to the end of the value."""
    body = value[start:]
    remarks = ("password-based",) if seen.passwords else ()
    bits = evidence(seen.bits + PACKET_BITS + (8 if tag == DATA else 0))
    if tag == DATA and body[:1] == b"\x02":
        if len(body) < 36 + 32 or body[1] not in CIPHERS or body[2] not in MODES:
            return Refused(ID, "its encrypted data is too short, or of no known cipher", bits)
        name, family, size = CIPHERS[body[1]]
        cipher = Cipher(f"{name}-{MODES[body[2]]}", family, size, True)
        variant, unit, skip, tail = "seipd-v2", body[4:36], 36, 16
    else:
        skip = 1 if tag == DATA else 0
        if (tag == DATA and body[:1] != b"\x01") or len(body) < skip + PREFIX + (MDC if tag == DATA else 2):
            return Refused(ID, "its encrypted data is too short, or of no known version", bits)
        name, family, known = CIPHERS.get(seen.cipher or 0, ("OpenPGP", "unknown", 0))
        cipher = Cipher(f"{name}-CFB", family, known or None, tag == DATA)
        variant, unit, tail = ("seipd-v1" if tag == DATA else "sed"), body[skip : skip + 16], 0
        remarks = (*remarks, *(("sha1",) if tag == DATA else ("old",)))
    if telltale(body[skip:]):
        return Refused(ID, READABLE, bits)
    if not seen.wrapped:
        remarks = (*remarks, "no-envelope")
    return Parsed(
        ID,
        variant,
        bits,
        cipher,
        wrapped=tuple(seen.wrapped),
        unit=unit,
        unit_bits=8 * len(unit),
        payload=(0, 0) if text else (start + skip, len(value) - tail),
        body=body[skip : len(body) - tail] if text else b"",
        remarks=remarks,
    )


def _crc24(content: bytes) -> int:
    """RFC 4880, section 6.1."""
    crc = 0xB704CE
    for byte in content:
        crc = (crc << 8 & 0xFFFFFF) ^ _CRC[crc >> 16 ^ byte]
    return crc


def _crc_row(byte: int) -> int:
    crc = byte << 16
    for _ in range(8):
        crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


_CRC: Final = tuple(_crc_row(byte) for byte in range(256))

FORMAT: Final = Format(
    id=ID,
    title="OpenPGP, pgcrypto",
    parse=parse,
    envelope=True,
    sources=("RFC 9580, 5.1, 5.3, 5.13", "RFC 4880, 5.7, 6", "https://www.postgresql.org/docs/current/pgcrypto.html"),
    text=True,
)
