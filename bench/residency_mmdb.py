"""A writer of MaxMind DB files, as small as a comparison needs: IPv4, a text for each prefix, the longest wins.

Source: "MaxMind DB File Format Specification", version 2.0. Prefixes are put in from the shortest to the longest, so
that longer ones overwrite; records have 28 bits.
"""

from __future__ import annotations

from collections.abc import Iterable

_TEXT, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11


def mmdb(prefixes: Iterable[tuple[int, int, str]]) -> bytes:
    """A database of prefixes as (lowest address, length, text)."""
    nodes: list[list[int | str | None]] = [[None, None]]
    for value, length, text in sorted(prefixes, key=lambda each: each[1]):
        at = 0
        for depth in range(length - 1):
            side = value >> (31 - depth) & 1
            there = nodes[at][side]
            if not isinstance(there, int):  # what a shorter prefix said holds on both sides below it
                nodes.append([there, there])
                nodes[at][side] = there = len(nodes) - 1
            at = there
        nodes[at][value >> (32 - length) & 1] = text
    data, places = bytearray(), dict[str, int]()
    for node in nodes:
        for record in node:
            if isinstance(record, str) and record not in places:
                places[record] = len(data)
                data += _text(record)
    tree = bytearray()
    for node in nodes:
        left, right = (_number(record, len(nodes), places) for record in node)
        tree += (left & 0xFFFFFF).to_bytes(3, "big")
        tree.append((left >> 24) << 4 | right >> 24)
        tree += (right & 0xFFFFFF).to_bytes(3, "big")
    return bytes(tree) + bytes(16) + bytes(data) + b"\xab\xcd\xefMaxMind.com" + _metadata(len(nodes))


def _number(record: int | str | None, nodes: int, places: dict[str, int]) -> int:
    if record is None:
        return nodes
    return record if isinstance(record, int) else nodes + 16 + places[record]


def _metadata(nodes: int) -> bytes:
    members = [
        ("node_count", _unsigned(_UINT32, nodes)),
        ("record_size", _unsigned(_UINT16, 28)),
        ("ip_version", _unsigned(_UINT16, 4)),
        ("database_type", _text("bench")),
        ("languages", _head(_ARRAY, 0)),
        ("binary_format_major_version", _unsigned(_UINT16, 2)),
        ("binary_format_minor_version", _unsigned(_UINT16, 0)),
        ("build_epoch", _unsigned(_UINT64, 1)),
        ("description", _head(_MAP, 0)),
    ]
    return _head(_MAP, len(members)) + b"".join(_text(name) + value for name, value in members)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _head(_TEXT, len(raw)) + raw


def _unsigned(kind: int, value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    """Type and size; types beyond 7 stand in a byte of their own."""
    small, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    first = bytes([small | kind << 5]) if kind <= _MAP else bytes([small, kind - 7])
    return first + more
