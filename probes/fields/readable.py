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

ALARM_BITS: Final = 36
"""At most one false alarm in 6 * 10^10 random values."""
TEXT_BITS: Final = 30
"""At most one false alarm in 10^9."""
WORD_BITS: Final = 22
"""At most one in 4 * 10^6; in practice, random base64 of 22 characters stays six standard deviations below."""
LOOK: Final = 256
"""Bytes of one run that are weighed."""
WIDE_ZEROS: Final = 6
"""Zero bytes from which text of two bytes a character is looked for."""

_CLASSES: Final = 7
_VOWEL, _CONSONANT, _UPPER, _DIGIT, _MARK, _HIGH, _REST = range(_CLASSES)
_MARKS: Final = b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r"
_COMMON_MARKS: Final = {" ": 0.3, ".": 0.14, "-": 0.12, "@": 0.08, ",": 0.06, "/": 0.04, ":": 0.04, "_": 0.04}
_FREQUENT: Final = {
    letter: share / 1000
    for letter, share in zip(
        "etaoinshrdlcumwfgypbvkjxqz",
        (120, 90, 85, 75, 72, 70, 62, 50, 64, 42, 42, 32, 30, 28, 20, 22, 20, 20, 22, 18, 14, 14, 6, 5, 3, 4),
        strict=True,
    )
}
_STAY: Final = (
    # to vowel, consonant, upper, digit, mark, accented letters of Latin-1 and its kin, rest
    (0.13, 0.69, 0.05, 0.04, 0.05, 0.03, 0.01),
    (0.46, 0.36, 0.05, 0.04, 0.05, 0.03, 0.01),
    (0.28, 0.21, 0.36, 0.05, 0.06, 0.03, 0.01),
    (0.02, 0.03, 0.04, 0.82, 0.07, 0.01, 0.01),
    (0.12, 0.22, 0.20, 0.25, 0.18, 0.02, 0.01),
    (0.10, 0.60, 0.06, 0.03, 0.10, 0.10, 0.01),
    (0.05, 0.10, 0.10, 0.10, 0.10, 0.05, 0.50),
)
_FIRST: Final = (0.10, 0.20, 0.30, 0.30, 0.07, 0.02, 0.01)


def _class(byte: int) -> int:
    if 97 <= byte <= 122:
        return _VOWEL if chr(byte) in "aeiou" else _CONSONANT
    if 65 <= byte <= 90:
        return _UPPER
    if 48 <= byte <= 57:
        return _DIGIT
    if byte in _MARKS:
        return _MARK
    return _HIGH if byte >= 0xC0 else _REST


def _within(byte: int) -> float:
    """Share of the byte among those of its class. Each class sums to at most one."""
    match _class(byte):
        case 0 | 1 as kind:
            return _FREQUENT[chr(byte)] / sum(_FREQUENT[letter] for letter in _FREQUENT if _class(ord(letter)) == kind)
        case 2:
            return (_FREQUENT[chr(byte).lower()] / sum(_FREQUENT.values()) + 1 / 26) / 2
        case 3:
            return 1 / 10
        case 4:
            rest = (1 - sum(_COMMON_MARKS.values())) / (len(_MARKS) - len(_COMMON_MARKS))
            return _COMMON_MARKS.get(chr(byte), rest)
        case 5:
            return 1 / 64
        case _:
            return 1 / (256 - 62 - 64 - len(_MARKS))


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


def text_bits(text: str) -> float:
    """The same for UTF-8 (the first 256 characters): those beyond ASCII count for the bits by which their bytes are
    less than random, less four for their being there at all."""
    text = text[:LOOK]
    if text.isascii():
        return human_bits(text.encode("ascii"), 8)
    beyond = sum(_BEYOND[len(character.encode("utf-8"))] for character in text if character > "\x7f")
    return human_bits(text.encode("ascii", "ignore"), 8) + beyond


_BEYOND: Final = {2: 1, 3: 4, 4: 6}
"""By octets of the character: 30/256 of first octets and a quarter of second ones are 5 bits, and so on."""
_RUN: Final = re.compile("[ -~\t\r\n\u00a0-\ufffc\U00010000-\U0010ffff]{8,}")
_WIDE: Final = re.compile(rb"(?:[\x20-\x7e]\x00){6,}|(?:\x00[\x20-\x7e]){6,}")


def telltale(content: bytes, bits: float = ALARM_BITS) -> bool:
    """Whether something readable lies in bytes that should be random: a run of text, in one byte or two bytes a
    character, that random bytes of this length hold with a chance of at most 2^-`bits`. Of each run the first 256 bytes
    are weighed; linear in the length. Runs of less than about a dozen characters do not weigh enough."""
    if len(content) < 8:
        return False
    needed = bits + math.log2(len(content)) + 1
    if any(text_bits(run.group()) >= needed for run in _RUN.finditer(content.decode("utf-8", "replace"))):
        return True
    if content.count(0) < WIDE_ZEROS:
        return False
    # Every second byte is fixed: 8 bits for each, besides what the characters themselves say.
    wide = _WIDE.search(content)
    return wide is not None and human_bits(wide.group().replace(b"\x00", b""), 16) >= needed


_CASES: Final = bytes(
    ord("a" if 97 <= byte <= 122 else "A" if 65 <= byte <= 90 else "0" if 48 <= byte <= 57 else ".")
    for byte in range(256)
)
_WORDS: Final = (b"a" * 7, b"A" * 9, b"0" * 9, b"aaaaAaaa", b"aaa.Aaaa", b"aaaa.aaaa")
"""Shapes of which words and numbers have at least one, and random symbols mostly none."""


def wordy(text: bytes, symbol_bits: float, bits: float = ALARM_BITS) -> bool:
    """Whether text that should be random symbols (6 bits each in base64, 4 in hex) looks like words or numbers that
    happen to be such symbols."""
    shape = text.translate(_CASES)
    return any(word in shape for word in _WORDS) and human_bits(text, symbol_bits) >= bits


def text_of(content: bytes) -> str | None:
    """The text that all of these bytes are, as UTF-8 or UTF-16; None where they are not text to the last byte.

    UTF-16 only for scripts of the first 1,280 code points (Latin, Greek, Cyrillic), with or without a byte order mark,
    from four characters up: random pairs of bytes are code points of some script far too often.
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
        if text and max(text) < "\u0500" and printable(text):
            return text
    return None


_SPACES: Final = str.maketrans("", "", "\t\n\r\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u3000\ufeff")


def printable(text: str) -> bool:
    """Whether every character is printed or moves the pen."""
    return text.isprintable() or text.translate(_SPACES).isprintable()


def legible(content: bytes) -> bool:
    """Whether bytes look like text by weight, in UTF-8 or in an eight-bit encoding of a Latin script. Short values
    need less, three bits for every two bytes, so that of random values of eight bytes at most one in 4,096 is taken
    for text, and of those of twenty bytes or more one in 10^9."""
    needed = min(TEXT_BITS, 1.5 * len(content))
    if len(content) < 3:
        return False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return human_bits(content, 8) >= needed
    return text_bits(text) >= needed


READABLE: Final = "what it gives for ciphertext is readable"
"""Why a format's parser refuses a value that only dresses up as ciphertext."""
