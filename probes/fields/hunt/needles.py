"""Every spelling in which a value may lie in the clear, as bytes to be looked for.

A hash without a key is in the clear, too: whoever has a list of e-mail addresses can hash them all. What is too short
to be told from chance is left out and counted. Values, spellings and digests stay in the process that holds them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import quopri
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus

from probes.fields.hunt import checksums
from probes.fields.hunt.seam import Needle, Sought
from probes.fields.scan.seam import Canary

SHORTEST_VALUE: Final = 6
"""Bytes; what is shorter is no needle in any spelling."""
SHORTEST: Final = 8
"""Bytes of a needle."""
LEAST_BITS: Final = 26
"""Bits that a value must be worth, by a generous count of what its characters could have been."""
LONGEST: Final = 200
"""Bytes: longer values are sought by their beginning, and by hashes of the whole."""
_HASHES: Final = ("md5", "sha1", "sha256", "sha512")
_ALIGNED: Final = 3
_PLAIN_ONLY: Final = frozenset({"upper", "title", "nfc", "nfd", "groups", "groups-dashed", "subscriber"})
"""Ways to write a value that are sought as they are: nobody encodes or hashes them."""
_URL: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that is sought. Never shown."""

    sought: Sought
    of: str
    """Class of the canary, or column of the opened value."""
    content: bytes = field(repr=False)
    kind: str = ""
    """Class of the field (`email`, `phone`, `iban`, …): which other spellings are usual."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Needles for a list of values."""

    needles: tuple[Needle, ...]
    """Of each value in turn, no content twice; `Needle.value` is its number in the list."""
    short: int
    """Values that are too short, or too easily there by chance, in every spelling."""


def needles(values: Sequence[Wanted]) -> tuple[Needle, ...]:
    """Every spelling of every value that is long enough; see `dictionary`."""
    return dictionary(values).needles


def dictionary(values: Sequence[Wanted]) -> Dictionary:
    """Every spelling of every value, the plainest first. Of equal spellings of several values the first one's stays."""
    found: dict[bytes, Needle] = {}
    short = 0
    for number, value in enumerate(values):
        kept = False
        for encoding, content in _spellings(value) if weighty(value.content) else ():
            if len(content) >= SHORTEST:
                kept = True
                found.setdefault(content, Needle(value.sought, value.of, encoding, number, content))
        short += not kept
    return Dictionary(tuple(found.values()), short)


def canary_needles(canaries: Iterable[Canary]) -> Dictionary:
    """Spellings of planted canaries; `Needle.value` is the canary's number, `Needle.of` its class."""
    return dictionary([Wanted("canary", each.of, each.value.encode("utf-8", "replace"), each.of) for each in canaries])


def weighty(content: bytes) -> bool:
    """Whether a value is worth looking for: six bytes, and 26 bits where a digit counts 3.3, a letter 4.7, any other
    byte 6, and a repetition of the byte before 1."""
    if len(content) < SHORTEST_VALUE:
        return False
    bits, before = 0.0, -1
    for byte in content[:LONGEST]:
        if byte == before:
            bits += 1.0
        elif 0x30 <= byte <= 0x39:
            bits += 3.3
        elif 0x41 <= byte & 0xDF <= 0x5A:
            bits += 4.7
        else:
            bits += 6.0
        before = byte
    return bits >= LEAST_BITS


def _spellings(value: Wanted) -> Iterator[tuple[str, bytes]]:
    yield "raw", value.content[:LONGEST]
    written = {"raw": value.content}
    text = _text(value.content)
    if text is not None:
        written.update(_written(text, value.kind))
        for name, content in written.items():
            yield name, content[:LONGEST]
        yield from _escaped(text[:LONGEST])
    for name, content in written.items():
        if name not in _PLAIN_ONLY:
            yield from _encoded(f" of {name}" if name != "raw" else "", content[:LONGEST])
    for name, content in written.items():
        if name not in _PLAIN_ONLY and not name.startswith("local-part"):
            yield from _hashed(f" of {name}" if name != "raw" else "", content)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _written(text: str, kind: str) -> dict[str, bytes]:
    """Other ways to write the same text. Keyed by the name of the spelling."""
    found = {"lower": text.lower(), "upper": text.upper(), "title": text.title()}
    for form in ("NFC", "NFD"):
        found[form.lower()] = unicodedata.normalize(form, text)
    stripped = text.strip()
    if stripped != text:
        found["stripped"] = stripped
    match kind:
        case "email":
            local = stripped.rpartition("@")[0]
            if not local.isalpha() and len(local) >= SHORTEST:  # `newsletter` is a word, `an.peeters` is not
                found["local-part"] = local
                found["local-part-lower"] = local.lower()
        case "phone":
            found.update(_phones(stripped))
        case "iban" | "pan" | "national-id":
            plain = checksums.compact(stripped).upper()
            found["compact"] = plain
            found["compact-lower"] = plain.lower()
            found["groups"] = " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
            found["groups-dashed"] = found["groups"].replace(" ", "-")
        case _:
            pass
    encoded = {name: each.encode("utf-8", "surrogatepass") for name, each in found.items()}
    raw = text.encode()
    return {name: each for name, each in encoded.items() if each != raw and weighty(each)}


def _phones(text: str) -> dict[str, str]:
    digits = "".join(char for char in text if "0" <= char <= "9")
    international = checksums.phone_digits(text)
    if international is None:
        return {"digits": digits}
    code = checksums.country_code(international) or ""
    national = international[len(code) :].removeprefix("0")
    return {
        "digits": international,
        "e164": f"+{international}",
        "with-00": f"00{international}",
        "national": f"0{national}",
        "subscriber": national,
    }


def _escaped(text: str) -> Iterator[tuple[str, bytes]]:
    """As URLs, HTML, JSON and mail write it."""
    yield "url", quote(text, safe="").encode()
    yield "url-plus", quote_plus(text).encode()
    yield "url-path", quote(text, safe="@:/+,;=&").encode()
    first, *rest = quote(text, safe="").split("%")
    yield "url-lower", (first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)).encode()
    yield "html", html.escape(text).encode()
    yield "html-numeric", text.encode("ascii", "xmlcharrefreplace")
    yield "json", json.dumps(text)[1:-1].encode()
    yield "json-slash", json.dumps(text)[1:-1].replace("/", "\\/").encode()
    yield "quoted-printable", quopri.encodestring(text.encode(), quotetabs=False).rstrip(b"\n")
    yield "utf-16-le", text.encode("utf-16-le")
    yield "utf-16-be", text.encode("utf-16-be")
    yield "reversed", text[::-1].encode()


def _encoded(suffix: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Hexadecimal, and base64 at each of the three places in a group of three bytes at which it may begin."""
    yield f"hex{suffix}", content.hex().encode()
    yield f"hex-upper{suffix}", content.hex().upper().encode()
    for before in range(_ALIGNED):
        plain = base64_within(content, before)
        yield f"base64+{before}{suffix}", plain
        yield f"base64url+{before}{suffix}", plain.translate(_URL)


def base64_within(content: bytes, before: int) -> bytes:
    """The base64 characters that `content` alone determines where `before` (0, 1 or 2) other bytes of its group precede
    it and any bytes may follow."""
    text = base64.b64encode(b"\0" * before + content)
    first = (0, 2, 3)[before]  # characters that also hold bits of what precedes
    last = (before + len(content)) * 8 // 6
    return text[first:last]


def _hashed(suffix: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    for name in _HASHES:
        digest = hashlib.new(name, content, usedforsecurity=False).digest()
        yield f"{name}{suffix}", digest
        yield f"{name}-hex{suffix}", digest.hex().encode()
        yield f"{name}-hex-upper{suffix}", digest.hex().upper().encode()
        standard = base64.b64encode(digest).rstrip(b"=")
        yield f"{name}-base64{suffix}", standard
        yield f"{name}-base64url{suffix}", standard.translate(_URL)
