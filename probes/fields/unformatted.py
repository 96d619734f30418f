"""Opaque or plaintext: what a value is that is of no format.

1. What is text is plaintext, unless taking off an encoding shows at least 16 bytes that are neither text nor hold any,
   while the encoded form does not look like words or numbers either: then it is opaque. So base64 of readable text is
   plaintext, base64 of random bytes is opaque, and a name that happens to be valid base64 is plaintext.
2. Words of letters and digits that look random, several parts as in rule 1 side by side (`iv:tag:ciphertext`, a flat
   JSON object of them), and UUIDs are opaque.
3. Bytes that are not text: plaintext where they decompress, are an eight-bit encoding of Latin text, or hold a run of
   text (as serialised records do); otherwise opaque.

`opaque` says that nothing here can read it, and nothing about encryption: hashes, tokens, packed numbers, short values
in a Cyrillic or East Asian encoding other than UTF-8, and anything under a secret spelling are opaque.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Final

from probes.fields.formats.seam import Parsed, Refused
from probes.fields.formats.strict import json_object
from probes.fields.peel import Layer, under
from probes.fields.readable import WORD_BITS, human_bits, legible, telltale, text_of, wordy
from probes.fields.unpack import unpack

OPAQUE: Final = "opaque"
PLAINTEXT: Final = "plaintext"
SEALED: Final = 16
"""Bytes of a block or a tag: what is encoded decodes to no fewer."""
PART: Final = 8
PARTS: Final = 8
PART_BITS: Final = 12
"""Bits from which a part of a value looks like words rather than random."""
TOKEN_BITS: Final = 8
"""Bits from which a word looks random rather than written by somebody."""
DIGITS: Final = 40
"""Digits that are a number and no hex."""
SURELY: Final = 20
"""Bytes from which decoded text is no accident."""


@dataclass(frozen=True, slots=True)
class Classified:
    """One value, as far as its bytes tell."""

    kind: str
    """A format's id, `opaque`, `plaintext`, `malformed` or `empty`."""
    variant: str = ""
    encodings: tuple[str, ...] = ()
    """What was peeled off, outermost first."""
    parsed: Parsed | None = None
    refused: Refused | None = None
    content: bytes = field(default=b"", repr=False)
    """What lies under the encodings: `parsed.payload` are places in it."""


def judge(layer: Layer) -> Classified:
    """Opaque or plaintext, where no format fits."""
    text = text_of(layer.content)
    if text is None:
        return _judge_bytes(layer)
    if _UUID.fullmatch(text) is not None:
        return Classified(OPAQUE, "uuid", layer.encodings, content=_uuid(text))
    opaque: Classified | None = None
    for inner in under(layer):
        content = inner.content
        if text_of(content) is not None:
            found = judge(inner)
            shallow = found.encodings == inner.encodings
            if found.kind == PLAINTEXT and shallow and len(content) < SURELY and not legible(content):
                continue
        elif len(content) >= SEALED or unpack(content) is not None:
            found = _judge_bytes(inner)
        else:
            continue
        if found.kind == PLAINTEXT:
            return found
        if opaque is None and not _wordy(layer.content, inner.encodings[-1]):
            opaque = found
    if opaque is not None:
        return opaque
    if token := _token(layer.content):
        return Classified(OPAQUE, "token", layer.encodings, content=token)
    if parts := _parts(layer.content):
        return Classified(OPAQUE, "parts", layer.encodings, content=parts)
    return Classified(PLAINTEXT, "", layer.encodings, content=layer.content)


def _judge_bytes(layer: Layer) -> Classified:
    """Bytes that are not text to the last of them."""
    content = layer.content
    packed = unpack(content)
    if packed is not None:
        encodings = (*layer.encodings, packed.name)
        if packed.content is None:
            return Classified(PLAINTEXT, "compressed", encodings, content=content)
        if not packed.whole or text_of(packed.content) is not None or len(layer.encodings) > 3:
            return Classified(PLAINTEXT, "compressed", encodings, content=packed.content)
        return _judge_bytes(Layer(encodings, packed.content))
    if legible(content):
        return Classified(PLAINTEXT, "eight-bit", layer.encodings, content=content)
    if telltale(content):
        return Classified(PLAINTEXT, "holds-text", layer.encodings, content=content)
    return Classified(OPAQUE, "", layer.encodings, content=content)


_UUID: Final = re.compile(r"\{?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\}?")
_SYMBOL_BITS: Final = {"hex": 4.0, "hex-upper": 4.0, "hex~": 4.0, "bytea": 4.0, "bytea~": 4.0}


def _wordy(text: bytes, encoding: str) -> bool:
    """Whether encoded bytes look like words or numbers that happen to fit the encoding."""
    if encoding.startswith("json"):
        return False
    if len(text) <= DIGITS and text.isdigit():
        return True
    return wordy(text, _SYMBOL_BITS.get(encoding, 6.0), WORD_BITS)


_SPLIT: Final = re.compile(rb"[:.$|,;~]")
_TAG: Final = re.compile(
    rb"v?[0-9]{1,3}|enc|(?i:aes)[-_]?(?:128|192|256)?(?:[-_]?(?i:gcm|cbc|ctr|siv|gcm-siv))?|(?i:x?chacha20[-_]?poly1305)"
)


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}={0,2}\Z")
_HEX: Final = re.compile(rb"[0-9a-f]+\Z|[0-9A-F]+\Z")


def _token(text: bytes) -> bytes:
    """The bits of one word of letters and digits that nobody would write (by eight bits less likely under the model of
    human text than as random symbols), four or six of them a character; nothing for any other text."""
    if _TOKEN.match(text) is None or text.isdigit():
        return b""
    hexed = _HEX.match(text) is not None
    if human_bits(text, 4 if hexed else 6) > -TOKEN_BITS:
        return b""
    if hexed:
        return bytes.fromhex(text[: len(text) // 2 * 2].decode("ascii"))
    bare = text.rstrip(b"=").translate(_TO_URL)
    return urlsafe_b64decode(bare[: len(bare) // 4 * 4])


def _uuid(text: str) -> bytes:
    """The bytes of a UUID; of a random one (RFC 9562, 5.4) without the two that hold its version and variant."""
    content = bytes.fromhex(text.strip("{}").replace("-", ""))
    return content[:6] + content[7:8] + content[9:] if content[6] >> 4 == 4 else content


def _parts(text: bytes) -> bytes:
    """What encoded random parts decode to, one of them to at least 16 bytes, behind at most one tag of a version or an
    algorithm; nothing where the text holds anything else."""
    members = json_object(text)
    if members is not None:
        pieces = [value.encode("utf-8", "replace") for value in members.values() if isinstance(value, str)]
        numbers = [value for value in members.values() if isinstance(value, int) and 0 <= value < 1000]
        whole = len(pieces) + len(numbers) == len(members) and all(len(name) <= 16 for name in members)
    else:
        pieces, whole = _SPLIT.split(text), True
    if not whole or not 2 <= len(pieces) <= PARTS:
        return b""
    tags = [piece for piece in pieces if _TAG.fullmatch(piece) is not None]
    parts = [_random_part(piece) for piece in pieces if piece not in tags]
    if len(tags) > 1 or not parts or min(map(len, parts)) < PART or max(map(len, parts)) < SEALED:
        return b""
    return b"".join(parts)


def _random_part(piece: bytes) -> bytes:
    """What an encoded part decodes to; nothing where it looks like words, or is not encoded."""
    for inner in under(Layer(("part", "part"), piece)):
        content, encoding = inner.content, inner.encodings[-1]
        bits = human_bits(piece, _SYMBOL_BITS.get(encoding, 6.0))
        if encoding.startswith("json") or piece.isdigit() or bits >= PART_BITS or text_of(content) is not None:
            return b""
        return b"" if telltale(content) else content
    return b""
