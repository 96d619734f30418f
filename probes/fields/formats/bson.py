"""As much of BSON as is needed to walk one document: names and types of its members, by their sizes. Nothing is
decoded.
"""

from __future__ import annotations

from typing import Final

MOST_MEMBERS: Final = 64
SIZES: Final = {
    0x01: 8,
    0x06: 0,
    0x07: 12,
    0x08: 1,
    0x09: 8,
    0x0A: 0,
    0x10: 4,
    0x11: 8,
    0x12: 8,
    0x13: 16,
    0x7F: 0,
    0xFF: 0,
}
"""Members of fixed size."""
STRINGS: Final = {0x02: 4, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4}
"""Members behind an i32 length: bytes beyond that length."""
DOCUMENTS: Final = (0x03, 0x04, 0x0F)
"""Members whose i32 length counts itself."""
TYPES: Final = frozenset((*SIZES, *STRINGS, *DOCUMENTS, 0x0B))


def members(data: bytes) -> dict[str, int] | None:
    """Name and type of every member of the document that these bytes are; None for anything else."""
    if len(data) < 5 or int.from_bytes(data[:4], "little") != len(data) or data[-1]:
        return None
    end = len(data) - 1
    at, found = 4, dict[str, int]()
    while at < end:
        kind = data[at]
        stop = data.find(b"\0", at + 1, min(end, at + 256))
        if stop < 0 or len(found) == MOST_MEMBERS:
            return None
        name = data[at + 1 : stop].decode("utf-8", "replace")
        size = _size(data, kind, stop + 1, end)
        if size is None or name in found:
            return None
        found[name] = kind
        at = stop + 1 + size
    return found if at == end else None


def _size(data: bytes, kind: int, at: int, end: int) -> int | None:
    if kind in SIZES:
        return SIZES[kind]
    if kind == 0x0B:
        first = data.find(b"\0", at, end)
        second = data.find(b"\0", first + 1, end) if first >= 0 else -1
        return second + 1 - at if second >= 0 else None
    length = int.from_bytes(data[at : at + 4], "little")
    if at + 4 > end or length > end - at:
        return None
    if kind in STRINGS:
        return length + STRINGS[kind]
    return length if kind in DOCUMENTS and length >= 5 else None
