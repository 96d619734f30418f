"""age files, binary or armored: ChaCha20-Poly1305, with a file key of 128 bits. Never AES."""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import BASE64_BITS, evidence
from probes.fields.formats.strict import b64
from probes.fields.readable import READABLE, WORD_BITS, telltale, wordy

ID: Final = "age"
# Where things lie: version line; stanzas `-> TYPE ARGUMENT…` with unpadded base64 in lines of 64, the last one shorter;
# `--- ` MAC of 32 bytes in base64; then nonce 16, and chunks of 64 KiB with a tag of 16 each.
VERSION: Final = b"age-encryption.org/v1\n"
BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
END: Final = b"-----END AGE ENCRYPTED FILE-----"
NONCE: Final = 16
TAG: Final = 16
CHUNK: Final = 64 * 1024 + TAG
FILE_KEY: Final = 16
MAX_STANZAS: Final = 64
MAX_HEADER: Final = 64 * 1024
_STANZA: Final = re.compile(
    rb"-> ([\x21-\x7e]+(?: [\x21-\x7e]+)*)\n((?:[A-Za-z0-9+/]{64}\n){0,512}[A-Za-z0-9+/]{0,63}\n)"
)
_MAC: Final = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")
_SHAPES: Final = {
    b"X25519": re.compile(rb"[A-Za-z0-9+/]{43}"),
    b"scrypt": re.compile(rb"[A-Za-z0-9+/]{22} [1-9][0-9]?"),
    b"ssh-rsa": re.compile(rb"[A-Za-z0-9+/]{6}"),
    b"ssh-ed25519": re.compile(rb"[A-Za-z0-9+/]{6} [A-Za-z0-9+/]{43}"),
}
"""Arguments of the types that age itself defines."""
_ARMOR: Final = re.compile(rb"((?:[A-Za-z0-9+/]{64}\r?\n)*[A-Za-z0-9+/]{1,64}={0,2}\r?\n)\Z")


def parse(value: bytes) -> Told:
    """Walk one file."""
    if value.startswith(VERSION):
        return _file(value, text=False, extra=0)
    if not value.startswith(BEGIN):
        return None
    bits = evidence(8 * len(BEGIN))
    inner = value[len(BEGIN) :].strip()
    found = _ARMOR.match(inner[: -len(END)]) if inner.endswith(END) else None
    content = b64(b"".join(found[1].split())) if found is not None else None
    if content is None or not content.startswith(VERSION):
        return Refused(ID, "its armor is not whole", bits)
    return _file(content, text=True, extra=bits + BASE64_BITS * len(inner))


def _file(value: bytes, *, text: bool, extra: int) -> Told:
    bits = evidence(8 * len(VERSION) + extra)
    at, password = len(VERSION), False
    wrapped: list[Wrapped] = []
    header = value[:MAX_HEADER]
    while (stanza := _STANZA.match(header, at)) is not None and len(wrapped) < MAX_STANZAS:
        blob = _unpadded(stanza[2].replace(b"\n", b""))
        kind, _, arguments = stanza[1].partition(b" ")
        if blob is None or not _arguments(kind, arguments):
            return Refused(ID, "a stanza is not base64 in its one spelling, or holds readable arguments", bits)
        password = password or kind == b"scrypt"
        if not kind.endswith(b"-grease"):
            named = arguments if kind not in (b"X25519", b"scrypt") else b""
            wrapped.append(_wrapped(kind, named, blob))
        at = stanza.end()
    mac = _MAC.match(header, at)
    if mac is None or _unpadded(mac[1]) is None or not wrapped:
        return Refused(ID, "its header does not end in a MAC", bits)
    start = mac.end() + NONCE
    size = len(value) - start
    # Every chunk has a tag, and only the one chunk of an empty file is empty.
    if size < TAG or (size > CHUNK and 0 < size % CHUNK <= TAG):
        return Refused(ID, "its payload is not whole chunks", bits)
    if telltale(value[mac.end() :]):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        "armored" if text else "binary",
        bits,
        ciphers.CHACHA20,
        wrapped=tuple(wrapped),
        unit=value[mac.end() : start],
        unit_bits=8 * NONCE,
        commitment=Commitment.YES,
        payload=(0, 0) if text else (start, len(value) - TAG),
        body=value[start : len(value) - TAG] if text else b"",
        plain_length=size - TAG * -(-size // CHUNK),
        remarks=("password-based",) if password else (),
    )


def _arguments(kind: bytes, arguments: bytes) -> bool:
    """Whether the arguments of a stanza are those of its type. Of other types they are told as they are, if they do not
    look like words."""
    shape = _SHAPES.get(kind)
    if shape is not None:
        return shape.fullmatch(arguments) is not None
    return not any(wordy(one, 6, WORD_BITS) for one in (kind, *arguments.split()))


def _wrapped(kind: bytes, named: bytes, blob: bytes) -> Wrapped:
    """A file key for one recipient. Native stanzas hold 16 bytes and a tag."""
    native = kind in (b"X25519", b"scrypt", b"ssh-ed25519", b"piv-p256")
    length = len(blob) - TAG if native else None
    name = named[:200].decode("ascii")
    return Wrapped(f"age-{kind[:40].decode('ascii')}", name, blob, length=length, expected=32 if native else None)


def _unpadded(text: bytes) -> bytes | None:
    return b64(text + b"=" * (-len(text) % 4))


FORMAT: Final = Format(
    id=ID,
    title="age",
    parse=parse,
    envelope=True,
    sources=("https://github.com/C2SP/C2SP/blob/main/age.md",),
    text=True,
)
