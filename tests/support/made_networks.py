"""Small databases in MaxMind's format, written by its specification (MaxMind DB File Format 2.0), for tests."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

_MARK: Final = b"\xab\xcd\xefMaxMind.com"
_STRING, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11


def database(networks: dict[str, object], built: int = 1_760_000_000, kind: str = "Stage-ASN") -> bytes:
    """A database of IPv4 networks that do not overlap, with a record each."""
    data = b""
    places: dict[str, int] = {}
    for name, record in networks.items():
        places[name] = len(data)
        data += _value(record)
    tree: list[list[int | str | None]] = [[None, None]]
    for text in networks:
        network = IPv4Network(text)
        node = 0
        for depth in range(network.prefixlen):
            bit = int(network.network_address) >> (31 - depth) & 1
            if depth == network.prefixlen - 1:
                tree[node][bit] = text
            elif isinstance(below := tree[node][bit], int):
                node = below
            else:
                tree.append([None, None])
                tree[node][bit] = len(tree) - 1
                node = len(tree) - 1
    count = len(tree)

    def number(cell: int | str | None) -> bytes:
        pointer = count if cell is None else cell if isinstance(cell, int) else count + 16 + places[cell]
        return pointer.to_bytes(3, "big")

    nodes = b"".join(number(left) + number(right) for left, right in tree)
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": built,
        "database_type": kind,
        "description": {"en": "for tests"},
        "ip_version": 4,
        "languages": ["en"],
        "node_count": count,
        "record_size": 24,
    }
    return nodes + bytes(16) + data + _MARK + _value(metadata)


def _value(value: object) -> bytes:
    match value:
        case str():
            raw = value.encode()
            return _control(_STRING, len(raw)) + raw
        case int():
            raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
            return _control(_UINT16 if len(raw) <= 2 else _UINT32 if len(raw) <= 4 else _UINT64, len(raw)) + raw
        case dict():
            return _control(_MAP, len(value)) + b"".join(_value(k) + _value(v) for k, v in value.items())
        case list():
            return _control(_ARRAY, len(value)) + b"".join(map(_value, value))
        case _:
            raise TypeError(f"{value!r} has no place in such a database")


def _control(kind: int, size: int) -> bytes:
    extended = bytes((kind - 7,)) if kind > 7 else b""
    first = 0 if extended else kind << 5
    if size < 29:
        return bytes((first | size,)) + extended
    return bytes((first | 29,)) + extended + bytes((size - 29,))
