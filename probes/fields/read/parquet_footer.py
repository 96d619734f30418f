"""Whether a Parquet file is encrypted, by its footer alone.

Source: parquet.thrift (FileMetaData, field 8; FileCryptoMetaData, field 1; EncryptionAlgorithm), Encryption.md, Apache
Thrift compact protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.fields.read.streams import File

MAX_FOOTER: Final = 1 << 20
"""Longer ones are not walked: what cannot be decrypted then fails as damaged."""
_DEPTH: Final = 32
_ALGORITHMS: Final = {1: "AES_GCM_V1", 2: "AES_GCM_CTR_V1"}
_STOP: Final = 0
_STRUCT: Final = 12


@dataclass(frozen=True, slots=True)
class Encryption:
    """Parquet modular encryption."""

    algorithm: str
    footer: bool
    """The footer is encrypted too; otherwise at least one column."""


class _UnreadableError(ValueError):
    """No Thrift that we know."""


def encryption(file: File) -> Encryption | None:
    """How the file is encrypted; None where it is not, or is no Parquet. Raises OSError."""
    size = file.size()
    if size < 12:
        return None
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    hidden = tail[4:] == b"PARE"
    if tail[4:] not in (b"PAR1", b"PARE") or length > min(size - 12, MAX_FOOTER):
        return Encryption("an unknown algorithm", footer=True) if hidden else None
    file.seek(size - 8 - length)
    footer = file.read(length)
    try:
        algorithm = _Walk(footer).algorithm(1 if hidden else 8)
    except (_UnreadableError, IndexError):
        algorithm = None
    if algorithm is None:
        return Encryption("an unknown algorithm", footer=True) if hidden else None
    return Encryption(_ALGORITHMS.get(algorithm, f"algorithm {algorithm}"), hidden)


def dictionary_page(header: bytes) -> tuple[int, int, int] | None:
    """Of a dictionary page, by the first bytes of it: length of its header, bytes it takes in the file, and bytes once
    it is decompressed. None where that is no such page. Source: parquet.thrift, PageHeader."""
    walk = _Walk(header)
    try:
        found = walk.integers()
    except (_UnreadableError, IndexError):
        return None
    if found.get(1) != 2 or found.get(3, 0) <= 0 or found.get(2, 0) <= 0:
        return None
    return walk.at, found[3], found[2]


class _Walk:
    """Over one structure in the compact protocol. Raises _UnreadableError and IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at(self) -> int:
        """How much was walked over."""
        return self._at

    def integers(self) -> dict[int, int]:
        """The structure's own numbers by field."""
        found: dict[int, int] = {}
        field = 0
        while (header := self._byte()) != _STOP:
            field = field + (header >> 4) if header >> 4 else self._signed()
            if header & 15 in (4, 5, 6):
                found[field] = self._signed()
            else:
                self._skip(header & 15, 1, in_list=False)
        return found

    def algorithm(self, wanted: int) -> int | None:
        """Which member the union in the field `wanted` has."""
        field = 0
        while (header := self._byte()) != _STOP:
            field = field + (header >> 4) if header >> 4 else self._signed()
            if field == wanted and header & 15 == _STRUCT:
                inner = self._byte()
                return inner >> 4 or None
            self._skip(header & 15, 1, in_list=False)
        return None

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise _UnreadableError

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, kind: int, depth: int, *, in_list: bool) -> None:
        if depth > _DEPTH:
            raise _UnreadableError
        if kind in (1, 2):
            self._at += in_list
        elif kind == 3:
            self._at += 1
        elif kind in (4, 5, 6):
            self._varint()
        elif kind == 7:
            self._at += 8
        elif kind == 8:
            length = self._varint()
            self._at += length
        elif kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            for _ in range(count):
                self._skip(head & 15, depth + 1, in_list=True)
        elif kind == _STRUCT:
            while (header := self._byte()) != _STOP:
                if not header >> 4:
                    self._varint()
                self._skip(header & 15, depth + 1, in_list=False)
        else:
            raise _UnreadableError
        if self._at > len(self._data):
            raise _UnreadableError
