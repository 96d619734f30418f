"""In how many dresses a value may stand in one cell: what a value is known by, and what a cell shows when undressed.

Keys of a value and of a cell are equal where the cell holds the value: as the same letters and digits whatever their
case, accents, order of words and punctuation, backwards or under ROT13; as the same date in a common spelling; or as
one of the hashes without a key that Python's hashlib knows, by their first eight bytes (so also cut, and as a UUID).
Four bits of those are left out, which a UUID's version replaces. Bounded: see the constants.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes
from uuid import NAMESPACE_DNS, NAMESPACE_OID, NAMESPACE_URL, NAMESPACE_X500

from probes.fields.peel import layers
from probes.fields.readable import text_of
from probes.fields.unpack import unpack

Key: TypeAlias = tuple[str, bytes | str | int]

LONGEST: Final = 64 * 1024
"""Bytes of a cell, and of anything under it, that is looked at."""
CONTENTS: Final = 64
"""Things that one cell may be."""
ROUNDS: Final = 3
"""Chains of encodings after one another, each as deep as `peel` goes."""
DATES: Final = 32
"""Dates in one text."""
_HASHES: Final = (
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha3_224",
    "sha3_256",
    "sha3_384",
    "sha3_512",
    "blake2b",
    "blake2s",
)
_NAMESPACES: Final = (NAMESPACE_DNS, NAMESPACE_URL, NAMESPACE_OID, NAMESPACE_X500)
_CUT: Final = 8
_YEARS: Final = range(1850, 2101)
_YMD: Final = re.compile(r"(?<!\d)(\d{4})([-/._])(\d{1,2})\2(\d{1,2})(?!\d)")
_DMY: Final = re.compile(r"(?<!\d)(\d{1,2})([-/._])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_EIGHT: Final = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_DAY_NAME: Final = re.compile(r"(?<!\d)(\d{1,2})(?:\.|st|nd|rd|th)?[ -]([^\W\d_]{3,9})\.?,?[ -](\d{4})(?!\d)")
_NAME_DAY: Final = re.compile(r"(?<![^\W\d_])([^\W\d_]{3,9})\.?[ -](\d{1,2})(?:st|nd|rd|th)?,?[ -](\d{4})(?!\d)")
_MIDNIGHT: Final = re.compile(r"(?:[T ]00:00(?::00(?:\.0+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?\Z")
_NUMBER: Final = re.compile(r"-?\d{1,14}\Z")
_MONTHS: Final[Mapping[str, int]] = {
    name: at + 1
    for at, names in enumerate(
        (
            ("jan",),
            ("feb", "fév"),
            ("mar", "mrt", "mär"),
            ("apr", "avr"),
            ("may", "mei", "mai"),
            ("jun", "juin"),
            ("jul", "juil"),
            ("aug", "aoû"),
            ("sep",),
            ("oct", "okt"),
            ("nov",),
            ("dec", "dez", "déc"),
        )
    )
    for name in names
}
"""By the first three or four letters in English, Dutch, German and French."""
_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_BASE32: Final = re.compile(rb"[A-Za-z2-7]{8,}={0,6}\Z")
_BASE85: Final = re.compile(rb"[!-z{|}~]{8,}\Z")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=_-]+\Z")
_PLAIN: Final = 64
"""Characters from which base85 has one that base64 has not: it had none once in 10^7."""
_SEPARATED_HEX: Final = re.compile(rb"(?:urn:uuid:)?\{?[0-9A-Fa-f][0-9A-Fa-f:-]{15,}\}?\Z")
_NUMBERS: Final = re.compile(rb"\[?\d{1,3}(?:[ ,]{1,2}\d{1,3}){5,}\]?\Z")


def words(text: str) -> tuple[str, ...]:
    """Letters and digits, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return tuple(re.findall(r"[^\W_]+", bare))


def dates(text: str) -> Iterator[int]:
    """Days (as ordinals) that a text names: year first or last, with digits or a month's name, and a number alone as
    seconds, milliseconds or days since 1970. A spelling that can be read in two ways is read in both."""
    for found in _YMD.finditer(text):
        yield from _day(int(found[1]), int(found[3]), int(found[4]))
    for found in _DMY.finditer(text):
        years = (int(found[4]),) if len(found[4]) == 4 else (1900 + int(found[4]), 2000 + int(found[4]))
        for year in years:
            yield from _day(year, int(found[3]), int(found[1]))
            yield from _day(year, int(found[1]), int(found[3]))
    for found in _EIGHT.finditer(text):
        eight = found[1]
        yield from _day(int(eight[:4]), int(eight[4:6]), int(eight[6:]))
        yield from _day(int(eight[4:]), int(eight[2:4]), int(eight[:2]))
        yield from _day(int(eight[4:]), int(eight[:2]), int(eight[2:4]))
    for pattern, day, month in ((_DAY_NAME, 1, 2), (_NAME_DAY, 2, 1)):
        for found in pattern.finditer(text):
            name = found[month].casefold()
            if number := _MONTHS.get(name[:4]) or _MONTHS.get(name[:3]):
                yield from _day(int(found[3]), number, int(found[day]))
    if _NUMBER.match(text) is not None:
        number = int(text)
        for days in (number // _DAY, number // (1000 * _DAY), number):
            if date(_YEARS[0], 1, 1).toordinal() <= _EPOCH + days <= date(_YEARS[-1], 1, 1).toordinal():
                yield _EPOCH + days


def is_date(text: str) -> bool:
    """Whether a value is a date and nothing else but midnight: an instant is more than its day."""
    plain = text.strip()
    if len(plain) > 40:
        return False
    for pattern in (_YMD, _DMY, _EIGHT, _DAY_NAME, _NAME_DAY):
        found = pattern.match(plain)
        if found is not None and _MIDNIGHT.match(plain, found.end()) is not None:
            return next(dates(found[0]), None) is not None
    return False


def _day(year: int, month: int, day: int) -> Iterator[int]:
    if year not in _YEARS:
        return
    try:
        yield date(year, month, day).toordinal()
    except ValueError:
        return


def keys_of(value: bytes) -> Mapping[Key, str]:
    """By what a value is known, each with the word for its dress; the plainest first."""
    text = text_of(value)
    found: dict[Key, str] = {}
    spelt = {value, value.strip()}
    if text is None:
        found["bytes", value] = "bytes"
    else:
        found.update(_texts(text))
        joined = "".join(words(text))
        if joined:
            found.setdefault(("letters", joined[::-1]), "reversed")
            found.setdefault(("letters", codecs.encode(joined, "rot13")), "rot13")
        plain = text.strip()
        spelt |= {each.encode("utf-8", "surrogatepass") for each in (plain, plain.lower(), plain.upper(), joined)}
        if is_date(text):
            for ordinal in dates(plain):
                found.setdefault(("date", ordinal), "date")
                spelt |= _dates_spelt(date.fromordinal(ordinal))
    for content in sorted(spelt - {b""}):
        for name, digest in _digests(content):
            found.setdefault(("digest", _cut(digest)), name)
    return found


def _texts(text: str) -> Iterator[tuple[Key, str]]:
    parts = words(text)
    if parts:
        yield ("words", " ".join(sorted(parts))), "words"
        yield ("letters", "".join(parts)), "letters"


def _dates_spelt(day: date) -> set[bytes]:
    return {
        day.strftime(form).encode() for form in ("%Y-%m-%d", "%Y%m%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%m/%d/%Y")
    }


def _digests(content: bytes) -> Iterator[tuple[str, bytes]]:
    for name in _HASHES:
        yield name, hashlib.new(name, content, usedforsecurity=False).digest()
    for namespace in _NAMESPACES:
        yield "uuid3", hashlib.md5(namespace.bytes + content, usedforsecurity=False).digest()
        yield "uuid5", hashlib.sha1(namespace.bytes + content, usedforsecurity=False).digest()


def _cut(digest: bytes) -> bytes:
    """Eight bytes without the four bits that a UUID's version takes."""
    return digest[:6] + bytes((digest[6] & 0x0F, digest[7]))


def shown(cell: bytes) -> Iterator[tuple[str, Mapping[Key, str], str]]:
    """What a cell shows under each of its dresses: (what was taken off, keys with their words, its words in a row
    with a space about each). At most 64 contents of at most 64 KiB."""
    for taken, content in undressed(cell):
        text = text_of(content)
        keys: dict[Key, str] = {}
        if len(content) >= _CUT:
            keys["digest", _cut(content)] = ""
        if text is None:
            keys["bytes", content] = "bytes"
            yield taken, keys, ""
            continue
        keys.update(_texts(text))
        for number, day in enumerate(dates(text)):
            if number >= DATES:
                break
            keys["date", day] = "date"
        wide = "utf-16" if b"\0" in content else ""
        yield "/".join(filter(None, (taken, wide))), keys, f" {' '.join(words(text))} "


def undressed(cell: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything that a cell may be: as it stands, with encodings peeled off, decompressed, and both in turns."""
    queue: list[tuple[int, tuple[str, ...], bytes]] = [(0, (), cell[:LONGEST])]
    seen: set[bytes] = {cell[:LONGEST]}
    told = 0
    while queue:
        depth, taken, value = queue.pop(0)
        for layer in layers(value):
            if layer.encodings and layer.content in seen:
                continue
            if told >= CONTENTS:
                return
            told += 1
            seen.add(layer.content)
            chain = (*taken, *layer.encodings)
            yield "/".join(chain), layer.content
            for name, content, last in _unusual(layer.content):
                if content in seen or not content:
                    continue
                if last or depth + 1 >= ROUNDS:
                    told += 1
                    yield "/".join((*chain, name)), content
                else:
                    seen.add(content)
                    queue.append((depth + 1, (*chain, name), content))


def _unusual(value: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """(encoding, content, whether nothing else is sought under it), for encodings that ciphertext does not come in."""
    packed = unpack(value)
    if packed is not None and packed.content:
        yield packed.name, packed.content, False
    if b"%" in value:
        yield "url", unquote_to_bytes(value), False
    if (b"-" in value or b":" in value) and _SEPARATED_HEX.match(value) is not None:
        digits = value.removeprefix(b"urn:uuid:").translate(None, b"{}:-")
        if len(digits) % 2 == 0:
            yield ("uuid" if len(digits) == 32 else "hex"), bytes.fromhex(digits.decode("ascii")), True
    if _NUMBERS.match(value) is not None:
        numbers = [int(each) for each in re.findall(rb"\d+", value)]
        if max(numbers) < 256:
            yield "numbers", bytes(numbers), True
    if _BASE32.match(value) is not None:
        bare = value.rstrip(b"=").upper()
        with suppress(binascii.Error):
            yield "base32", base64.b32decode(bare + b"=" * (-len(bare) % 8)), True
    if _BASE85.match(value) is not None and (len(value) < _PLAIN or _BASE64.match(value) is None):
        for name, decode in (("base85", base64.b85decode), ("ascii85", base64.a85decode)):
            try:
                yield name, decode(value), True
            except ValueError:
                continue
