"""Negative tests on one opened message: what is changed must not open any more.

They are run on a value that did open, in this process: refusals without an accepted twin would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from probes.fields.facts import Negative
from probes.fields.opening.sealed import Message, MisfitError, Opener, Unit, UnsupportedError, plaintext


@dataclass(frozen=True, slots=True)
class Attempt:
    """One negative test, and how it ended."""

    name: Negative
    opened: bool
    """A breach."""


@dataclass(frozen=True, slots=True)
class OtherRow:
    """What binds the value would be, in another row."""

    associated: bytes = field(repr=False)
    context: Mapping[str, str] | None = field(default=None, repr=False)
    """Entries of a context that the value shows, as the other row has them."""
    bound: bool = True
    """False: nothing of what binds the value differs between the rows."""


def flipped(content: bytes, at: int) -> bytes:
    """With the lowest bit of one byte changed."""
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


def attempts(opener: Opener, value: bytes, key: bytes, associated: bytes, message: Message) -> Iterator[Attempt]:
    """One bit changed in the ciphertext, the tag, the nonce and the header, as far as the value has them."""
    for name, unit in _changed(message.units[0]):
        yield Attempt(name, _opens(replace(message, units=(unit, *message.units[1:]))))
    if message.header_at is not None:
        yield Attempt("header-flipped", _reopens(opener, flipped(value, message.header_at), key, associated, None))


def row_swapped(opener: Opener, value: bytes, key: bytes, other: OtherRow) -> Attempt:
    """The value in the place of another row's, opened by a reader who binds it to that row."""
    if not other.bound:
        return Attempt("row-swapped", opened=True)
    return Attempt("row-swapped", _reopens(opener, value, key, other.associated, other.context))


def _changed(unit: Unit) -> Iterator[tuple[Negative, Unit]]:
    if unit.ciphertext:
        yield "ciphertext-flipped", replace(unit, ciphertext=flipped(unit.ciphertext, len(unit.ciphertext) // 2))
    yield "tag-flipped", replace(unit, tag=flipped(unit.tag, 0))
    yield "nonce-flipped", replace(unit, nonce=flipped(unit.nonce, 0))


def _reopens(opener: Opener, value: bytes, key: bytes, associated: bytes, context: Mapping[str, str] | None) -> bool:
    try:
        return _opens(opener(value, key, associated, context))
    except (MisfitError, UnsupportedError):
        return False


def _opens(message: Message) -> bool:
    return plaintext(message) is not None
