"""Tells what a person could read from what nobody can, for single values.

The measure is a likelihood ratio: how many bits shorter a value is under a model of human text (words, names, numbers,
in runs of one class of character) than under uniform randomness. For uniformly random bytes the chance to reach T bits
is at most 2^-T, whatever the length (Markov's inequality on a likelihood ratio), so a threshold states its own rate of
false alarms. It proves readability; it never proves encryption: text in scripts outside ASCII in an encoding that is
not UTF-8, and numbers packed in binary, are not recognised here. Column statistics have to find those.
"""

from __future__ import annotations

import math
import re
from typing import Final

ALARM_BITS: Final = 40
"""At most one false alarm in 10^12 random values, for each place that is looked at."""
TEXT_BITS: Final = 30
"""At most one false alarm in 10^9."""
LOOK: Final = 256
"""Bytes of one run that are weighed."""
WIDE_ZEROS: Final = 6
"""Zero bytes from which text of two bytes a character is looked for."""
RUNS: Final = 64
"""Readable runs of one value that are weighed."""

_CLASSES: Final = 5
_LOWER, _UPPER, _DIGIT, _MARK, _REST = range(_CLASSES)
_MARKS: Final = b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r"
_FREQUENT: Final = {
    letter: share / 1000
    for letter, share in zip(
        "etaoinshrdlcumwfgypbvkjxqz",
        (120, 90, 85, 75, 72, 70, 62, 50, 64, 42, 42, 32, 30, 28, 20, 22, 20, 20, 22, 18, 14, 14, 6, 5, 3, 4),
        strict=True,
    )
}
_STAY: Final = (
    # to lower, upper, digit, mark, rest
    (0.84, 0.06, 0.04, 0.05, 0.01),
    (0.50, 0.38, 0.05, 0.06, 0.01),
    (0.05, 0.04, 0.82, 0.08, 0.01),
    (0.35, 0.20, 0.25, 0.19, 0.01),
    (0.20, 0.10, 0.10, 0.10, 0.50),
)
_FIRST: Final = (0.3, 0.3, 0.3, 0.09, 0.01)


def _class(byte: int) -> int:
    if 97 <= byte <= 122:
        return _LOWER
    if 65 <= byte <= 90:
        return _UPPER
    if 48 <= byte <= 57:
        return _DIGIT
    return _MARK if byte in _MARKS else _REST


def _within(byte: int) -> float:
    """Share of the byte among those of its class. Each class sums to at most one."""
    match _class(byte):
        case 0:
            return _FREQUENT[chr(byte)] / _LETTERS
        case 1:
            return (_FREQUENT[chr(byte).lower()] / _LETTERS + 1 / 26) / 2
        case 2:
            return 1 / 10
        case 3:
            return 1 / len(_MARKS)
        case _:
            return 1 / (256 - 62 - len(_MARKS))


_LETTERS: Final = sum(_FREQUENT.values())
_CLASS_OF: Final = tuple(_class(byte) for byte in range(256))
_START: Final = tuple(-math.log2(_FIRST[_CLASS_OF[byte]] * _within(byte)) for byte in range(256))
_STEP: Final = tuple(
    tuple(-math.log2(_STAY[before][_CLASS_OF[byte]] * _within(byte)) for byte in range(256))
    for before in range(_CLASSES)
)


def human_bits(text: bytes, symbol_bits: float) -> float:
    """Bits by which `text` (its first 256 bytes) is shorter under the model of human text than as random symbols of
    `symbol_bits` each: 8 for bytes, 6 for base64, 4 for hex. Negative for what looks random."""
    text = text[:LOOK]
    if not text:
        return 0.0
    cost = _START[text[0]]
    before = _CLASS_OF[text[0]]
    for byte in text[1:]:
        cost += _STEP[before][byte]
        before = _CLASS_OF[byte]
    return len(text) * symbol_bits - cost


_RUN: Final = re.compile(rb"[\x20-\x7e\t\r\n]{6,}")
_WIDE: Final = re.compile(rb"(?:[\x20-\x7e]\x00){6,}|(?:\x00[\x20-\x7e]){6,}")


def telltale(content: bytes, bits: float = ALARM_BITS) -> bool:
    """Whether something readable lies in bytes that should be random: a run of text, in one byte or two bytes a
    character, that random bytes of this length hold with a chance of at most 2^-`bits`. At most 64 runs are weighed
    and 256 bytes of each."""
    if len(content) < 6:
        return False
    needed = bits + math.log2(len(content)) + 1
    for count, run in enumerate(_RUN.finditer(content)):
        if count == RUNS or human_bits(run.group(), 8) >= needed:
            return True
    if content.count(0) < WIDE_ZEROS:
        return False
    # Every second byte is fixed: 8 bits for each, besides what the characters themselves say.
    wide = _WIDE.search(content)
    return wide is not None and human_bits(wide.group().replace(b"\x00", b""), 16) >= needed


def text_of(content: bytes) -> str | None:
    """The text that all of these bytes are, as UTF-8 or UTF-16; None where they are not text to the last byte.

    UTF-16 only for scripts of the first 1,280 code points (Latin, Greek, Cyrillic, Armenian), with or without a mark of byte
    order, from four characters up: random pairs of bytes are code points of some script far too often.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _wide_text(content)
    if printable(text):
        return text.removeprefix("\ufeff")
    return _wide_text(content) if "\x00" in text else None


def _wide_text(content: bytes) -> str | None:
    if len(content) < 8 or len(content) % 2:
        return None
    for order in ("utf-16-le", "utf-16-be"):
        try:
            text = content.decode(order).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        if printable(text) and all(ord(character) < 0x500 for character in text):
            return text
    return None


_SPACES: Final = str.maketrans("", "", "\t\n\r\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u3000\ufeff")


def printable(text: str) -> bool:
    """Whether every character is printed or moves the pen."""
    return text.isprintable() or text.translate(_SPACES).isprintable()


def legible(content: bytes) -> bool:
    """Whether bytes that are not UTF-8 are text all the same: an eight-bit encoding of a Latin script, by weight of
    their ASCII part. Short values need less: two bits for each byte, so that random values of four bytes are taken for
    text in one case of 256, and values of sixteen or more in one of 10^9."""
    return len(content) >= 3 and human_bits(content, 8) >= min(TEXT_BITS, 2 * len(content))
