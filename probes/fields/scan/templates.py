"""What values of one format from one writer have in common, byte for byte: everything but what is random, the length of
the plaintext, and what the encryption context says.

A template is taken from one value that was parsed by itself. A value that fits a template differs from that one in
nothing that its format's parser looks at but lengths that are checked here, for many values at once; its `Shape` is
then that of a value of the same template and length that was parsed by itself. What fits none is parsed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.fields.formats import aws_kms, esdk, tink
from probes.fields.formats.seam import Parsed
from probes.fields.scan.classing import key_identity
from probes.fields.scan.hashing import Bytes, Hashes, Longs, Regions, words

MOST_PAIRS: Final = 16
"""Entries of a context that a template can hold."""
_U8: Final = np.uint64(8)


@dataclass(frozen=True, slots=True)
class Template:
    """Where things lie. `base` is where the context ends, or the beginning without one."""

    head: bytes
    context_at: int | None
    """Of the two bytes of the context's length."""
    names: tuple[bytes, ...]
    """Of the context's entries, in their order; none where its length is 0."""
    literals: tuple[tuple[int, bytes], ...]
    """(offset from the base, bytes)."""
    fixed: int
    """Bytes from the base to the ciphertext."""
    stored: tuple[int, int] | None
    """Offset from the base and size of the ciphertext's length, where it is stored."""
    most: int
    """The ciphertext is not longer."""
    tail: int
    """Bytes behind the ciphertext, before the signature."""
    curve: int
    """Bytes of the signature's curve; 0 for no signature."""
    unit: tuple[tuple[bool, int, int], ...]
    """Parts of the nonce: whether from the base, offset, length."""
    key: tuple[int, int] | None
    """The first wrapped key: offset from the base, length."""
    fixed_key: bytes
    """Its identity where there is none."""
    total: int | None = None
    """Length of the whole value, where it is the template's."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Values that fit a template."""

    chosen: Longs
    """Of the values that were offered."""
    payload: Regions
    base: Longs
    entries: tuple[tuple[Longs, Longs], ...]
    """Start and length of each context value."""


def fit(template: Template, values: Regions) -> Fit:
    """Which of the values fit, to the last byte."""
    lanes = words(values.buffer)
    last = len(lanes) - 1
    start, end = values.start, values.start + values.length
    if template.total is not None:
        chosen = np.flatnonzero(values.length == template.total)
    else:
        before = 0 if template.context_at is None else template.context_at + 2
        chosen = np.flatnonzero(values.length >= before + template.fixed + template.tail)
    start, end = start[chosen], end[chosen]
    good = _literal(lanes, start, template.head)
    base = start
    entries: list[tuple[Longs, Longs]] = []
    if template.context_at is not None:
        at = start + template.context_at
        size = _number(lanes, at, 2)
        base = at + 2 + size
        if not template.names:
            good &= size == 0
        else:
            good &= (base <= end) & (_number(lanes, at + 2, 2) == len(template.names))
            place = at + 4
            for name in template.names:
                head = len(name).to_bytes(2, "big") + name
                good &= _literal(lanes, np.minimum(place, last - len(head)), head)
                place = np.minimum(place + len(head), last)
                length = _number(lanes, place, 2)
                entries.append((place + 2, length))
                place = np.minimum(place + 2 + length, last)
            good &= place == base
    payload = base + template.fixed
    good &= payload + template.tail <= end
    if not good.all():
        kept = np.flatnonzero(good)
        chosen, end, base, payload = chosen[kept], end[kept], base[kept], payload[kept]
        start = start[kept]
        entries = [(one[kept], length[kept]) for one, length in entries]
    good = np.ones(len(chosen), np.bool_)
    for offset, literal in template.literals:
        good &= _long_literal(values.buffer, lanes, base + offset, literal)
    if template.stored is not None:
        size = _number(lanes, base + template.stored[0], template.stored[1])
        body = np.minimum(payload + size, end) + template.tail
        good &= payload + size + template.tail <= end
        if template.curve:
            near = np.minimum(body, last - 2 * template.curve - 16)
            good &= (near == body) & _signed(lanes, values.buffer, near, end, template.curve)
        else:
            good &= body == end
    else:
        size = end - template.tail - payload
    good &= size <= template.most
    for at, length in entries:
        good &= _ascii(lanes, at, np.where(good, length, 0))
    if not good.all():
        kept = np.flatnonzero(good)
        chosen, base, payload, size = chosen[kept], base[kept], payload[kept], size[kept]
        entries = [(at[kept], length[kept]) for at, length in entries]
    return Fit(chosen, Regions(values.buffer, payload, size), base, tuple(entries))


_LONG: Final = 24
"""Bytes from which whole lines are quicker to compare than words."""


def _long_literal(buffer: Bytes, lanes: Hashes, at: Longs, literal: bytes) -> NDArray[np.bool_]:
    """Whether the literal stands there; the buffer reaches as far."""
    size = 8 * (len(literal) // 8)
    if size < _LONG or not len(at):
        return _literal(lanes, at, literal)
    lines = np.ndarray((len(buffer) - size + 1,), f"V{size}", buffer=buffer, strides=(1,))[at]
    found = lines.view("<u8").reshape(len(at), size // 8)
    same = found == np.frombuffer(literal[:size], "<u8")
    # Mostly all are the same, which is quicker to see at once than line by line.
    good = np.ones(len(at), np.bool_) if same.all() else same.all(axis=1)
    good &= True if size == len(literal) else _literal(lanes, at + size, literal[size:])
    return np.asarray(good, np.bool_)


def _literal(lanes: Hashes, at: Longs, literal: bytes) -> NDArray[np.bool_]:
    """Whether the literal stands there."""
    size = len(literal)
    bad = np.zeros(len(at), np.uint64)
    for offset in range(0, size - 7, 8):
        bad |= lanes[at + offset] ^ np.uint64(int.from_bytes(literal[offset : offset + 8], "little"))
    rest = size % 8
    if rest and size > 8:
        bad |= lanes[at + (size - 8)] ^ np.uint64(int.from_bytes(literal[-8:], "little"))
    elif rest:
        mask = np.uint64((1 << (8 * rest)) - 1)
        bad |= (lanes[at] ^ np.uint64(int.from_bytes(literal, "little"))) & mask
    return np.asarray(bad == 0, np.bool_)


def literal_at(values: Regions, literal: bytes) -> Longs:
    """Numbers of the values that begin with it."""
    chosen = np.flatnonzero(values.length >= len(literal))
    return chosen[_long_literal(values.buffer, words(values.buffer), values.start[chosen], literal)]


def _number(lanes: Hashes, at: Longs, size: int) -> Longs:
    """The big-endian number of `size` bytes there; of 8 bytes, at most 2^62."""
    swapped = lanes[at].byteswap() >> np.uint64(64 - 8 * size)
    return np.asarray(np.minimum(swapped, np.uint64(1 << 62)).astype(np.int64))


def _ascii(lanes: Hashes, at: Longs, length: Longs) -> NDArray[np.bool_]:
    """Whether there is no byte above 0x7f."""
    bad = np.zeros(len(at), np.uint64)
    for offset in range(0, int(length.max(initial=0)), 8):
        here = np.flatnonzero(length > offset)
        left = np.minimum(length[here] - offset, 8).astype(np.uint64)
        bad[here] |= (lanes[at[here] + offset] & np.uint64(0x8080808080808080)) << ((_U8 - left) * _U8)
    return np.asarray(bad == 0, np.bool_)


def _signed(lanes: Hashes, buffer: NDArray[np.uint8], at: Longs, end: Longs, curve: int) -> NDArray[np.bool_]:
    """Whether what follows is the length of an ECDSA signature and one in DER, to the end: as `der.ecdsa_signature`."""
    size = _number(lanes, at, 2)
    first = at + 2
    good = (first + size == end) & (size >= 8) & (size < 0x82)
    good &= (buffer[first] == 0x30) & (buffer[first + 1] == size - 2)
    place = first + 2
    for _ in range(2):
        length = buffer[place + 1].astype(np.int64)
        value, second = buffer[place + 2], buffer[place + 3]
        good &= (place + 3 <= end) & (buffer[place] == 2) & (length >= 1) & (length <= curve + 1) & (value < 0x80)
        good &= (length == 1) | (value != 0) | (second >= 0x80)
        place = np.minimum(place + 2 + length, len(buffer) - 8)
        good &= place <= end
    return np.asarray(good & (place == end), np.bool_)


def template_of(content: bytes, parsed: Parsed) -> Template | None:
    """The template of a value; None where its kind has none."""
    match parsed.format:
        case esdk.ID:
            return _esdk(content)
        case tink.ID:
            return _tink(content, parsed)
        case aws_kms.ID:
            return _kms(content, parsed)
        case _:
            return None


def _kms_literals(blob: bytes) -> list[tuple[int, bytes]] | None:
    """What is not random in a blob of AWS KMS."""
    parsed = aws_kms.parse(blob)
    if not isinstance(parsed, Parsed):
        return None
    start = parsed.payload[0]
    rest = len(blob) - start
    iv_end = start - len(aws_kms.AFTER_IV) - (1 if rest < 0x80 else 2 if rest < 0x100 else 3)
    iv = iv_end - aws_kms.IV
    if blob[1] == 2:
        salt = sum(aws_kms.SALT)
        return [(0, blob[: aws_kms.SALT[0] + 1]), (salt, blob[salt:iv]), (iv_end, blob[iv_end:start])]
    return [(0, blob[:iv]), (iv_end, blob[iv_end:start])]


def _kms(content: bytes, parsed: Parsed) -> Template | None:
    literals = _kms_literals(content)
    if literals is None:
        return None
    start = parsed.payload[0]
    iv = (True, literals[-1][0] - aws_kms.IV, aws_kms.IV)
    salt = (True, aws_kms.SALT[0] + 1, aws_kms.SALT[1] - 1)
    return Template(
        b"", None, (), tuple(literals), start, None, len(content), 0, 0,
        (salt, iv) if content[1] == 2 else (iv,), None, key_identity(parsed), len(content),
    )  # fmt: skip


def _tink(content: bytes, parsed: Parsed) -> Template | None:
    if parsed.variant != "envelope-aws-kms":
        return None
    blob = parsed.wrapped[0].blob
    literals = _kms_literals(blob)
    if literals is None:
        return None
    at = tink.LENGTH
    tail = len(content) - parsed.payload[1]
    unit = (True, at + len(blob), len(parsed.unit))
    moved = tuple((at + offset, literal) for offset, literal in literals)
    return Template(
        content[:at], None, (), moved, parsed.payload[0], None, 1 << 30, tail, 0, (unit,), (at, len(blob)), b""
    )


def _esdk(content: bytes) -> Template | None:
    header = esdk.parse_header(content)
    if header is None or len(header.context) > MOST_PAIRS:
        return None
    identity = esdk.ID_V1 if header.version == 1 else esdk.ID_V2
    base = header.context_at[1]
    literals = _between(content, base, header)
    if literals is None:
        return None
    body, stored = header.end, 8
    if header.framed:
        marker = esdk.FINAL + (1).to_bytes(4, "big") + (1).to_bytes(esdk.IV, "big")
        stored = 4
    else:
        marker = (1).to_bytes(esdk.IV, "big")
    if not content.startswith(marker, body):
        return None
    literals.append((body - base, marker))
    payload = body + len(marker) + stored
    suite = esdk.SUITES[header.suite]
    iv = body + len(marker) - esdk.IV
    unit = (False, *identity) if suite.derives else (True, iv - base, esdk.IV)
    first = header.keys[0]
    return Template(
        content[: identity[0]],
        sum(identity),
        tuple(name.encode() for name, _ in header.context),
        tuple(literals),
        payload - base,
        (payload - stored - base, stored),
        header.frame_length if header.framed else 1 << 40,
        esdk.TAG,
        suite.curve,
        (unit,),
        (first[2] - base, first[3] - first[2]),
        b"",
    )


def _between(content: bytes, base: int, header: esdk.Header) -> list[tuple[int, bytes]] | None:
    """What is not random between the context and the body: from the number of wrapped keys to the frame length."""
    literals: list[tuple[int, bytes]] = []
    at = base
    for provider, _, start, end in header.keys:
        if provider == b"aws-kms":
            inner = _kms_literals(content[start:end])
        elif provider == b"aws-kms-hierarchy" and end - start > esdk.HIERARCHY[2]:
            version, size, _ = esdk.HIERARCHY
            inner = [(version, content[start + version : start + version + size])]
        else:
            return None
        if inner is None or end == start:
            return None
        literals.append((at - base, content[at:start]))
        literals += [(start + offset - base, literal) for offset, literal in inner]
        at = end
    # Behind the keys: content type, version 1's reserved bytes and IV length, frame length; then what is random.
    random_from = header.commitment_at[0] if header.version == 2 else header.iv_at[0]
    literals.append((at - base, content[at:random_from]))
    return _joined(literals)


def _joined(literals: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Neighbours put together, so that fewer words are compared."""
    joined: list[tuple[int, bytes]] = []
    for offset, literal in literals:
        if joined and joined[-1][0] + len(joined[-1][1]) == offset:
            joined[-1] = (joined[-1][0], joined[-1][1] + literal)
        elif literal:
            joined.append((offset, literal))
    return joined
