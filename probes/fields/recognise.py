"""What one value is, and what a column is: a format, opaque ciphertext, plaintext, or damaged.

The rules, in order:

1. The format that the field map expects, at any layer of encoding; then every format, the strongest evidence first. A
   format with less than 32 bits of evidence in one value is accepted only where it is expected, or by a whole column.
2. A value that a format's parser walks but whose ciphertext is readable is plaintext, dressed up.
3. A value that begins as a format with 32 bits of evidence (or as the expected one) and does not end as it: malformed.
4. Otherwise opaque or plaintext, by the rules of `unformatted`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from probes.fields.formats.catalogue import FORMATS
from probes.fields.formats.seam import Format, Parsed, Refused
from probes.fields.peel import MAX_BYTES, Layer, layers, peel
from probes.fields.readable import READABLE, telltale
from probes.fields.unformatted import OPAQUE, PLAINTEXT, Classified, judge

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
CANDIDATES: Final = 8


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
    certain = broken if _bits(broken) >= ALONE_BITS else None
    if best is not None and (certain is None or certain.kind != PLAINTEXT):
        return best
    if certain is not None:
        return certain
    judged = judge(Layer((), value))
    return broken if broken is not None and judged.kind == OPAQUE else judged


def fits_some(value: bytes) -> bool:
    """Whether any format takes the value, at any layer and with however little evidence."""
    return any(found.parsed is not None for found in _readings(value))


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
        # In the order of the layers, so that ties fall alike in every process.
        fitted = [(found.encodings, found.kind) for found in _readings(value) if found.parsed is not None]
        seen.update(list(dict.fromkeys(fitted)))
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


__all__ = [
    "EMPTY",
    "MALFORMED",
    "MIXED",
    "OPAQUE",
    "PLAINTEXT",
    "Classified",
    "Proposal",
    "ciphertext",
    "classify",
    "propose",
]
