"""As much of CBOR (RFC 8949) as COSE needs: every item walked, definite or indefinite in length, bounded in depth and
count.

Never raises but `CborError`, within this package. Integers, byte strings, text, lists, maps, tags, simple values;
floats are walked over. A map must name each label once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

DEPTH: Final = 12
ITEMS: Final = 4096

BREAK: Final = 0xFF


class CborError(ValueError):
    """These bytes are not CBOR within the bounds."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag and its content."""

    tag: int
    content: Item


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple value or a float by its argument: 20 false, 21 true, 22 null."""

    value: int


@dataclass(frozen=True, slots=True)
class Map:
    """A map in the order in which it lies there. Labels are integers or text."""

    pairs: tuple[tuple[int | str, Item], ...]

    def get(self, label: int | str) -> Item | None:
        """The value under a label; None where there is none."""
        return next((value for name, value in self.pairs if name == label and type(name) is type(label)), None)


Item: TypeAlias = "int | bytes | str | tuple[Item, ...] | Map | Tagged | Simple"
NULL: Final = Simple(22)


def decode(data: bytes) -> Item:
    """The one item that reaches to the last byte. Raises CborError."""
    walker = _Walker(data)
    item = walker.item(0)
    if walker.at != len(data):
        raise CborError
    return item


class _Walker:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.left = ITEMS

    def item(self, depth: int) -> Item:
        self.left -= 1
        if depth > DEPTH or self.left < 0 or self.at >= len(self.data):
            raise CborError
        first = self.data[self.at]
        major, info = first >> 5, first & 31
        self.at += 1
        if info == 31:
            return self._indefinite(major, depth)
        value = self._argument(info)
        match major:
            case 0:
                return value
            case 1:
                return -1 - value
            case 2:
                return self._take(value)
            case 3:
                return _text(self._take(value))
            case 4:
                self._expect(value)
                return tuple(self.item(depth + 1) for _ in range(value))
            case 5:
                self._expect(2 * value)
                return _map([(self.item(depth + 1), self.item(depth + 1)) for _ in range(value)])
            case 6:
                return Tagged(value, self.item(depth + 1))
            case _:
                if info == 24 and value < 32:
                    raise CborError
                return Simple(value)

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborError
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise CborError
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def _expect(self, items: int) -> None:
        if items > min(self.left, len(self.data) - self.at):
            raise CborError

    def _more(self) -> bool:
        if self.at >= len(self.data):
            raise CborError
        if self.data[self.at] != BREAK:
            return True
        self.at += 1
        return False

    def _indefinite(self, major: int, depth: int) -> Item:
        if major in (2, 3):
            chunks: list[bytes] = []
            while self._more():
                self.left -= 1
                first = self.data[self.at]
                if first >> 5 != major or first & 31 == 31 or self.left < 0:
                    raise CborError
                self.at += 1
                chunk = self._take(self._argument(first & 31))
                if major == 3:
                    _text(chunk)
                chunks.append(chunk)
            whole = b"".join(chunks)
            return whole if major == 2 else _text(whole)
        if major == 4:
            items: list[Item] = []
            while self._more():
                items.append(self.item(depth + 1))
            return tuple(items)
        if major == 5:
            pairs: list[tuple[Item, Item]] = []
            while self._more():
                pairs.append((self.item(depth + 1), self.item(depth + 1)))
            return _map(pairs)
        raise CborError


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CborError from error


def _map(pairs: list[tuple[Item, Item]]) -> Map:
    found: dict[int | str, Item] = {}
    for name, value in pairs:
        if not isinstance(name, (int, str)) or name in found:
            raise CborError
        found[name] = value
    return Map(tuple(found.items()))
