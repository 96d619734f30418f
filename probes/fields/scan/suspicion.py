"""Which of many ciphertexts could hold something readable: cheap bounds, wider than `readable.telltale` and
`readable.wordy` in every case, so that nothing is taken for random that they would not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.fields.readable import ALARM_BITS, LOOK, WIDE_ZEROS, human_bits
from probes.fields.scan.hashing import Bytes, Hashes, Longs, Regions

_WINDOW: Final = 64
LONGEST: Final = 4_096
"""Longer ciphertexts are all looked at one by one."""
_LEAST: Final = 8
"""Shorter ones hold nothing."""
_ONE: Final = np.uint64(1)
_SIZES: Final = np.array([2 * (0xC2 <= b < 0xE0) + 3 * (0xE0 <= b < 0xF0) + 4 * (0xF0 <= b < 0xF5) for b in range(256)])
"""Bytes of the character that each byte begins; 0 for none."""
_FIRSTS: Final = np.array([0.0, 0.0, 2.0, 5.0, 7.0])[_SIZES]
"""More bits than a character beyond ASCII wins, at its first byte."""
_BEYOND: Final = 1.75
"""More bits than characters beyond ASCII win by the byte."""
_NEVER: Final = -1e9
_PRINTED: Final = np.array([32 <= byte < 127 or byte in b"\t\r\n" for byte in range(256)])


def suspicious(payloads: Regions) -> NDArray[np.bool_]:
    """True for every ciphertext of which `telltale` could be true, and for a few others."""
    lengths = payloads.length
    told = lengths > LONGEST
    run = shortest_run(max(_LEAST, int(lengths.min(initial=LONGEST))))
    zeros = np.zeros(len(payloads), np.int64)
    for last, here, left, matrix in _windows(payloads, lengths, ~told, run - 1):
        held = _held(left)
        printed = _packed(((matrix - np.uint8(32)) < 95) | ((matrix - np.uint8(9)) < 5))
        text = printed | _characters(matrix)
        told[here] |= _has_run(text & held, run)
        empty = _packed(matrix == 0) & held
        zeros[here] += np.bitwise_count(empty if last else empty & ((_ONE << np.uint64(_WINDOW - run + 1)) - _ONE))
    at = np.flatnonzero(told & (lengths <= LOOK))
    for judged in (_might_win, _could_win):
        if len(at):
            told[at] = judged(payloads[at])
            at = at[told[at]]
    return np.asarray((told & (lengths >= _LEAST)) | (zeros >= WIDE_ZEROS), np.bool_)


def _characters(matrix: Bytes) -> Hashes:
    """Bits of the bytes of characters beyond ASCII: a first byte with as many further ones as it announces, and those.
    What lies beyond the window is taken for whatever is missing."""
    further = _packed((matrix & np.uint8(0xC0)) == 0x80)
    first = _packed((matrix - np.uint8(0xC2)) < 0x33)
    three = _packed((matrix - np.uint8(0xE0)) < 0x15) & first
    four = _packed((matrix - np.uint8(0xF0)) < 0x05) & first
    # Whether the second, third and fourth byte of a character that begins here goes on, or lies beyond.
    second, third, fourth = ((further >> np.uint64(skip)) | _beyond_window(skip) for skip in (1, 2, 3))
    whole = first & second & (third | ~three) & (fourth | ~four)
    rest = (whole << _ONE) | ((whole & three) << np.uint64(2)) | ((whole & four) << np.uint64(3))
    return np.asarray(whole | rest | (further & np.uint64(0b111)), np.uint64)


def _beyond_window(skip: int) -> np.uint64:
    """The last bits."""
    return np.uint64((1 << _WINDOW) - (1 << (_WINDOW - skip)))


def _might_win(payloads: Regions) -> NDArray[np.bool_]:
    """The same as `_could_win`, looser and quicker: pairs of bytes alone say what each byte can win at most."""
    longest = int(payloads.length.max())
    # A byte that ends every stretch, then those of the value, and the same behind it.
    matrix = np.zeros((len(payloads), longest + 1), np.uint8)
    kept = np.arange(longest) < np.arange(longest + 1)[:, None]
    np.multiply(payloads.matrix(longest), np.take(kept, payloads.length, axis=0), out=matrix[:, 1:])
    return _reaches(np.take(_loose(), _pairs(matrix)), payloads.length)


def _pairs(matrix: Bytes) -> NDArray[np.uint16]:
    """Each two neighbours of each row as one number, the first one the lower byte."""
    return np.ndarray((len(matrix), matrix.shape[1] - 1), "<u2", buffer=matrix, strides=(matrix.shape[1], 1))


@cache
def _loose() -> NDArray[np.float32]:
    """By pair: at least the bits that the second byte can win in `_could_win`."""
    steps, starts = _table()
    # By second byte, then by first one.
    bits = np.full((256, 256), _NEVER)
    other = np.maximum(starts + 2, _most())[:, None]
    bits[_PRINTED] = np.where(_PRINTED, steps[_class_of()].T + 2, other)[_PRINTED]
    bits[0x80:0xC0, 0x80:] = 0
    bits[_SIZES > 0] = _FIRSTS[_SIZES > 0, None]
    return bits.reshape(-1).astype(np.float32)


def _could_win(payloads: Regions) -> NDArray[np.bool_]:
    """Whether any stretch of bytes that may be text wins enough bits: behind a character beyond ASCII the most that a
    byte can win, as the model skips these."""
    longest = int(payloads.length.max())
    matrix = payloads.matrix(longest)
    matrix[np.arange(longest) >= payloads.length[:, None]] = 0
    steps, starts = _table()
    printed = _PRINTED[matrix]
    beyond = _beyond(matrix)
    won = np.where(printed, starts[matrix] + 2, np.where(beyond, _FIRSTS[matrix], _NEVER))
    before, after = matrix[:, :-1], matrix[:, 1:]
    exact = steps[_class_of()[before], after] + 2
    won[:, 1:] = np.where(printed[:, 1:] & printed[:, :-1], exact, won[:, 1:])
    won[:, 1:] = np.where(printed[:, 1:] & beyond[:, :-1], _most()[after], won[:, 1:])
    return _reaches(won, payloads.length)


def _reaches(won: NDArray[np.floating], lengths: Longs) -> NDArray[np.bool_]:
    """Whether any stretch of a row wins enough bits."""
    sums = np.zeros((won.shape[0], won.shape[1] + 1))
    np.cumsum(won, axis=1, out=sums[:, 1:])
    best = (sums - np.minimum.accumulate(sums, axis=1)).max(axis=1)
    return np.asarray(best >= ALARM_BITS + np.log2(np.maximum(lengths, _LEAST)), np.bool_)


def _beyond(matrix: Bytes) -> NDArray[np.bool_]:
    """Bytes of characters beyond ASCII: first ones with those that must follow, and these."""
    further = (matrix & np.uint8(0xC0)) == 0x80
    follows = np.zeros((len(matrix), matrix.shape[1] + 3), np.bool_)
    follows[:, : matrix.shape[1]] = further
    second, third, fourth = (follows[:, skip : skip + matrix.shape[1]] for skip in (1, 2, 3))
    size = _SIZES[matrix]
    first = ((size == 2) & second) | ((size == 3) & second & third) | ((size == 4) & second & third & fourth)
    found = first.copy()
    for skip in (1, 2, 3):
        found[:, skip:] |= first[:, :-skip] & (size[:, :-skip] > skip)
    return np.asarray(found, np.bool_)


def wordy(texts: Regions) -> NDArray[np.bool_]:
    """True for every base64 that `readable.wordy` could take for words, and for a few others."""
    told = np.asarray(_wins_at_most(texts) >= ALARM_BITS - 1, np.bool_)
    at = np.flatnonzero(told)
    if len(at):
        told[at] = _wins(texts[at]) >= ALARM_BITS - 1
    return told


def _looked_at(texts: Regions) -> Bytes:
    """The first `LOOK` bytes of each, behind shorter ones zeros; an even number of columns."""
    length = np.minimum(texts.length, LOOK)
    longest, least = int(length.max(initial=0)), int(length.min(initial=LOOK))
    width = longest + longest % 2
    matrix = texts.matrix(width) if width else np.zeros((len(texts), 0), np.uint8)
    if least < width:
        matrix[:, least:][np.arange(least, width) >= length[:, None]] = 0
    return matrix


def _wins_at_most(texts: Regions) -> NDArray[np.float64]:
    """At least what `_wins` says, by every second pair of bytes."""
    matrix = _looked_at(texts)
    if not matrix.size:
        return np.zeros(len(texts))
    # A product with ones adds up short rows sooner than a sum does.
    won = np.take(_most_worth(), matrix.view("<u2"))
    return np.asarray(won @ np.ones(won.shape[1], np.float32), np.float64)


def _wins(texts: Regions) -> NDArray[np.float64]:
    """Bits that a text in base64 wins under the model of words: `human_bits(text, 6)`."""
    matrix = _looked_at(texts)
    if not matrix.size:
        return np.zeros(len(texts))
    first = np.take(_table()[1], matrix[:, 0]) * (texts.length > 0)
    return np.asarray(np.take(_worth(), _pairs(matrix)).sum(axis=1) + first, np.float64)


@cache
def _most_worth() -> NDArray[np.float32]:
    """By pair: the most bits that both bytes can win, whatever stands in front; of zero nothing."""
    steps, starts = _table()
    most = np.maximum(steps.max(axis=0), starts)
    most[0] = 0
    return np.asarray((_worth().reshape(256, 256) + most).reshape(-1), np.float32)


@cache
def _worth() -> NDArray[np.float32]:
    """By pair: bits that the second byte wins in base64 behind the first one; of zero nothing."""
    bits = _table()[0][_class_of()].T.copy()
    bits[0] = 0
    return bits.reshape(-1).astype(np.float32)


@cache
def _behaviours() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(class of each ASCII byte as the one before, one byte of each class), found by asking the model."""
    seen: dict[tuple[float, ...], int] = {}
    classes: list[int] = []
    firsts: list[int] = []
    for before in range(128):
        alone = human_bits(bytes([before]), 8)
        asked = tuple(round(human_bits(bytes([before, byte]), 8) - alone, 6) for byte in b"aA0 \0")
        if asked not in seen:
            firsts.append(before)
        classes.append(seen.setdefault(asked, len(seen)))
    return tuple(classes), tuple(firsts)


@cache
def _class_of() -> NDArray[np.uint8]:
    return np.array([*_behaviours()[0], *([0] * 128)], np.uint8)


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(bits that a byte wins behind one of each class, bits that it wins as the first), in base64."""
    firsts = _behaviours()[1]
    alone = [human_bits(bytes([before]), 6) for before in firsts]
    steps = [
        [human_bits(bytes([before, byte]), 6) - one for byte in range(256)]
        for before, one in zip(firsts, alone, strict=True)
    ]
    return np.array(steps), np.array([human_bits(bytes([byte]), 6) for byte in range(256)])


@cache
def _most() -> NDArray[np.float64]:
    """Most bits that each byte can win in a run of text, at least 0."""
    steps, starts = _table()
    return np.asarray(np.maximum(np.maximum(steps.max(axis=0), starts) + 2, 0), np.float64)


@cache
def shortest_run(length: int) -> int:
    """Bytes that a readable run must have at least in a ciphertext of this length: by the best that each number of
    ASCII bytes can win. Characters beyond ASCII win less by the byte."""
    steps, starts = _table()
    classes = _class_of()[:0x80]
    count = len(steps)
    best_step = np.array(
        [[steps[before, :0x80][classes == after].max() for after in range(count)] for before in range(count)]
    )
    won = np.array([starts[:0x80][classes == first].max() for first in range(count)]) + 2
    run, needed = 1, ALARM_BITS + math.log2(length)
    while won.max() < needed:
        won = np.maximum((won[:, None] + best_step + 2).max(axis=0), won.max() + _BEYOND)
        run += 1
    return max(_LEAST, run)


def _windows(
    regions: Regions, lengths: Longs, wanted: NDArray[np.bool_], overlap: int
) -> Iterator[tuple[bool, Longs | slice, Longs, Bytes]]:
    """(whether it is the last one, regions, their bytes from there, these as a matrix): 64 bytes of each at a time,
    overlapping."""
    longest = int(lengths[wanted].max(initial=0))
    step = _WINDOW - overlap
    count = max(0, -(-(longest - overlap) // step)) or int(longest > 0)
    for number in range(count):
        offset = number * step
        chosen = (lengths > offset) & wanted
        here: Longs | slice = slice(None) if chosen.all() else np.flatnonzero(chosen)
        left = np.minimum(lengths[here] - offset, _WINDOW)
        width = 8 * ((int(left.max()) + 7) // 8)
        yield number == count - 1, here, left, Regions(regions.buffer, regions.start[here] + offset, left).matrix(width)


def _held(left: Longs) -> Hashes:
    """Bits of the bytes that a window has."""
    return np.where(left < _WINDOW, (_ONE << (left.astype(np.uint64) & np.uint64(63))) - _ONE, ~np.uint64(0))


def _packed(flags: NDArray[np.bool_]) -> Hashes:
    """Up to 64 flags a row as the bits of one number."""
    packed = np.packbits(flags, axis=1, bitorder="little")
    if packed.shape[1] < 8:
        wide = np.zeros((len(packed), 8), np.uint8)
        wide[:, : packed.shape[1]] = packed
        packed = wide
    return np.asarray(packed.view("<u8").reshape(-1), np.uint64)


def _runs(bits: Hashes, run: int) -> Hashes:
    """A bit wherever so many neighbouring bits begin that are all set."""
    have = 1
    while have < run:
        more = min(have, run - have)
        bits = bits & (bits >> np.uint64(more))
        have += more
    return bits


def _has_run(bits: Hashes, run: int) -> NDArray[np.bool_]:
    return np.asarray(_runs(bits, run) != 0, np.bool_)
