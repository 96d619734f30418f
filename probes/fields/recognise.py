"""What one value is, and what a column is: a format, opaque ciphertext, plaintext, or damaged.

The rules, in order:

1. The format that the field map expects, at any layer of encoding; then every format, the strongest evidence first. A
   format with less than 32 bits of evidence in one value is accepted only where it is expected, or by a whole column.
2. A value that a format's parser walks but whose ciphertext is readable is plaintext, dressed up.
3. A value that begins as a format with 32 bits of evidence (or as the expected one) and does not end as it: malformed.
4. What is text is plaintext, unless taking off an encoding shows at least 16 bytes that are neither text nor hold any,
   while the encoded form does not look like words or numbers either: then it is opaque. So base64 of readable text is
   plaintext, base64 of random bytes is opaque, and a name that happens to be valid base64 is plaintext.
5. Words of letters and digits that look random, several parts as in rule 4 side by side (`iv:tag:ciphertext`, a flat
   JSON object of them), and UUIDs are opaque.
6. Bytes that are not text: plaintext where they decompress, are an eight-bit encoding of Latin text, or hold a run of
   text (as serialised records do); otherwise opaque.

`opaque` says that nothing here can read it, and nothing about encryption: hashes, tokens, packed numbers, short values
in a Cyrillic or East Asian encoding other than UTF-8, and anything under a secret spelling are opaque.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from probes.fields.formats.catalogue import FORMATS
from probes.fields.formats.seam import Format, Parsed, Refused
from probes.fields.formats.strict import json_object
from probes.fields.peel import MAX_BYTES, Layer, layers, peel, under
from probes.fields.readable import READABLE, WORD_BITS, human_bits, legible, telltale, text_of, wordy
from probes.fields.unpack import unpack

OPAQUE: Final = "opaque"
PLAINTEXT: Final = "plaintext"
MALFORMED: Final = "malformed"
EMPTY: Final = "empty"
MIXED: Final = "mixed"

ALONE_BITS: Final = 32
"""Evidence from which one value alone shows a format."""
COLUMN_BITS: Final = 64
COLUMN_SHARE: Final = (999, 1000)
"""Share of the values that must fit for a column to be of a format."""
KEY_SHARE: Final = (1, 10)
"""Different keys for so many values at most, where a weak format names its keys."""
SEALED: Final = 16
"""Bytes of a block or a tag: opaque text decodes to no fewer."""
PART: Final = 8
PART_BITS: Final = 12
"""Bits from which a part of a value looks like words rather than random."""
PARTS: Final = 8
TOKEN_BITS: Final = 8
DIGITS: Final = 40
SURELY: Final = 20
"""Bytes from which decoded text is no accident."""
CANDIDATES: Final = 8


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


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a column is, from a sample."""

    kind: str
    """A format's id, `opaque`, `plaintext`, `malformed`, `mixed`, or `empty` where the sample holds no value."""
    format: Format | None
    encodings: tuple[str, ...]
    bits: int
    """Evidence for the format, summed over the values that fit."""
    fits: int
    """Values that are of this kind, in these encodings."""
    values: int
    """Values that are neither null nor empty."""
    counts: tuple[tuple[str, int], ...]
    """Every kind and how many values are of it, the most frequent first."""
    alternatives: tuple[str, ...] = ()
    """Other formats that the column could be by the same rule."""


def ciphertext(content: bytes, parsed: Parsed) -> bytes:
    """The ciphertext proper of a value: for statistics, and never to be shown."""
    return parsed.body or content[parsed.payload[0] : parsed.payload[1]]


def classify(value: bytes, expected: Format | None = None, encodings: tuple[str, ...] | None = None) -> Classified:
    """Classify one value. Never raises; what it costs is linear in the value, at most 24 layers deep and wide.

    `encodings` is the column's usual chain, tried first where a format is expected.
    """
    if not value:
        return Classified(EMPTY)
    if len(value) > MAX_BYTES:
        return Classified(MALFORMED, "too-long")
    broken: Classified | None = None
    if expected is not None:
        if encodings is not None:
            content = peel(value, encodings)
            found = _told(Layer(encodings, content), expected) if content is not None else None
            if found is not None and found.parsed is not None:
                return found
        for layer in layers(value):
            found = _told(layer, expected)
            if found is not None and found.parsed is not None:
                return found
            broken = broken or found
    best: Classified | None = None
    for found in _readings(value):
        if found.parsed is not None and found.parsed.bits >= max(ALONE_BITS, _bits(best) + 1):
            best = found
        elif found.refused is not None and found.refused.bits >= max(ALONE_BITS, _bits(broken) + 1):
            broken = found
    if best is not None and (broken is None or broken.kind != PLAINTEXT):
        return best
    if _bits(broken) >= ALONE_BITS and broken is not None:
        return broken
    judged = _judge(Layer((), value))
    return broken if broken is not None and judged.kind == OPAQUE else judged


def _bits(found: Classified | None) -> int:
    if found is None:
        return -1
    told = found.parsed or found.refused
    return told.bits if told is not None else -1


def _readings(value: bytes, formats: Iterable[Format] = FORMATS) -> Iterator[Classified]:
    """Everything that any format makes of any layer of a value."""
    parsers = [each.parse for each in formats]
    for layer in layers(value):
        for parse in parsers:
            told = parse(layer.content)
            if told is not None:
                yield _weighed(layer, told)


def _told(layer: Layer, each: Format) -> Classified | None:
    """One format's word about one layer; readable ciphertext overrules it."""
    told = each.parse(layer.content)
    return _weighed(layer, told) if told is not None else None


def _weighed(layer: Layer, told: Parsed | Refused) -> Classified:
    if isinstance(told, Parsed):
        if "placeholder" in told.remarks or not telltale(ciphertext(layer.content, told)):
            return Classified(told.format, told.variant, layer.encodings, parsed=told, content=layer.content)
        told = Refused(told.format, READABLE, told.bits)
    kind = PLAINTEXT if told.why == READABLE else MALFORMED
    return Classified(kind, told.format, layer.encodings, refused=told, content=layer.content)


def _judge(layer: Layer) -> Classified:
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
            found = _judge(inner)
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
    if _token(layer.content):
        return Classified(OPAQUE, "token", layer.encodings, content=layer.content)
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


_TOKEN: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}={0,2}\Z")
_HEX: Final = re.compile(rb"[0-9a-f]+\Z|[0-9A-F]+\Z")


def _token(text: bytes) -> bool:
    """Whether a text is one word of letters and digits that nobody would write: by eight bits less likely under the
    model of human text than as random symbols."""
    if _TOKEN.match(text) is None or text.isdigit():
        return False
    return human_bits(text, 4 if _HEX.match(text) is not None else 6) <= -TOKEN_BITS


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


def propose(sample: Sequence[bytes]) -> Proposal:
    """What a column is, from a sample of its values that are not null; empty ones are left out.

    A format is accepted from 64 bits of evidence over the sample, where at least 99.9 % of the values fit it in one
    chain of encodings. Formats that one value cannot show need keys that recur as well, where they name keys: a first
    byte is no format if the rest of its prefix is random. Otherwise a kind that 99.9 % of the values share; otherwise
    `mixed`.
    """
    values = [value for value in sample if value]
    if not values:
        return Proposal(EMPTY, None, (), 0, 0, 0, ())
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    for value in values:
        seen.update({(found.encodings, found.kind) for found in _readings(value) if found.parsed is not None})
    by_id = {each.id: each for each in FORMATS}
    fitting: list[tuple[int, int, int, tuple[str, ...], Format]] = []
    for place, ((encodings, name), _) in enumerate(seen.most_common(CANDIDATES)):
        fits, bits = _weigh(values, encodings, by_id[name])
        if bits >= COLUMN_BITS and fits * COLUMN_SHARE[1] >= len(values) * COLUMN_SHARE[0]:
            fitting.append((fits, bits, -place, encodings, by_id[name]))
    if fitting:
        fits, bits, _, encodings, best = max(fitting, key=lambda each: each[:3])
        others = tuple(sorted({each.id for *_, each in fitting} - {best.id}))
        rest = ((best.id, fits), *((("other", len(values) - fits),) if fits < len(values) else ()))
        return Proposal(best.id, best, encodings, bits, fits, len(values), rest, others)
    kinds = [classify(value) for value in values]
    counts = Counter(found.kind for found in kinds).most_common()
    kind, most = counts[0]
    if most * COLUMN_SHARE[1] < len(values) * COLUMN_SHARE[0]:
        return Proposal(MIXED, None, (), 0, most, len(values), tuple(counts))
    chain = Counter(found.encodings for found in kinds if found.kind == kind).most_common(1)[0][0]
    return Proposal(kind, by_id.get(kind), chain, 0, most, len(values), tuple(counts))


def _weigh(values: Sequence[bytes], encodings: tuple[str, ...], each: Format) -> tuple[int, int]:
    """How many values fit one format in one chain of encodings, and their evidence; none where the keys that a weak
    format names do not recur."""
    fits = bits = weak = 0
    keys: set[str] = set()
    for value in values:
        content = peel(value, encodings)
        found = _told(Layer(encodings, content), each) if content is not None else None
        if found is not None and found.parsed is not None:
            fits += 1
            bits += found.parsed.bits
            weak += found.parsed.bits < ALONE_BITS
            keys.add(found.parsed.static_key)
    if weak and len(keys) > 1 + fits * KEY_SHARE[0] // KEY_SHARE[1]:
        return 0, 0
    return fits, bits
