"""The zip container of a bundle, of which there is exactly one spelling for given names and contents.

Zip metadata is signed by nobody, says everything twice and lets readers disagree (two entries of one name, a
central directory that differs from the local headers, data between entries, sizes that lie). So this is a zip
subset without freedom: entries stored one after the other from offset 0, dates fixed at 1980-01-01, no flags,
no extra fields, no comments, then the central directory they imply, then the end. Any unzip program reads it.

Reading walks the local headers and compares everything else, byte for byte, with what they imply: it is a
re-serialisation against the file. Contents are checked against their CRC whenever they are read to the end.
Nothing is ever decompressed or extracted.

(Layouts: APPNOTE.TXT sections 4.3.7, 4.3.12, 4.3.14, 4.3.15, 4.3.16. The zip64 end record stands if and only
if there are more than 65,534 entries; sizes never need zip64, as a bundle stays below 4 GiB.)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from keycheck.errors import IntegrityError

MAX_ENTRIES = 200_000
MAX_NAME = 200
MAX_CONTAINER = 2**32 - 2**25
"""Leaves room for the central directory below 4 GiB."""
CHUNK = 1 << 20

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")

_LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_MAGIC = b"PK\x01\x02"
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION  # Unix, so that the mode below means something
_DATE = 1 << 5 | 1  # 1980-01-01
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the container."""

    name: str
    size: int
    crc: int
    offset: int
    """Of its local header."""

    @property
    def start(self) -> int:
        """Where its content begins."""
        return self.offset + _LOCAL.size + len(self.name)


class ContainerWriter:
    """Writes entries in the order given. Sizes and checksums must be known beforehand."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries: list[Entry] = []
        self._position = 0

    def add(self, name: str, size: int, crc: int, chunks: Iterator[bytes]) -> None:
        """Append one entry. Raises ValueError if the content is not what ``size`` and ``crc`` announced."""
        entry = Entry(name, size, crc, self._position)
        if len(self._entries) >= MAX_ENTRIES or entry.start + size > MAX_CONTAINER:
            raise ValueError("the bundle grows beyond what a bundle may hold")
        self._file.write(_local_header(entry))
        written = seen = 0
        for chunk in chunks:
            self._file.write(chunk)
            written += len(chunk)
            seen = zlib.crc32(chunk, seen)
        if (written, seen) != (size, crc):
            raise ValueError(f"the content of {name} changed while it was being written")
        self._entries.append(entry)
        self._position = entry.start + size

    def add_bytes(self, name: str, data: bytes) -> None:
        """Append one entry held in memory."""
        self.add(name, len(data), zlib.crc32(data), iter((data,)))

    def finish(self) -> None:
        """Write the directory. The file stays open."""
        for chunk in _directory(self._entries, self._position):
            self._file.write(chunk)


class ContainerReader:
    """The entries of a container that is in its only spelling. Raises IntegrityError otherwise."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.entries = self._walk()

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The content of ``entry``; IntegrityError if it is cut short or its CRC differs."""
        position, left, crc = entry.start, entry.size, 0
        while left:
            chunk = self._read_at(position, min(left, CHUNK))
            if not chunk:
                raise _damaged(f"{entry.name} is cut short")
            crc = zlib.crc32(chunk, crc)
            position += len(chunk)
            left -= len(chunk)
            yield chunk
        if crc != entry.crc:
            raise _damaged(f"{entry.name} does not match its checksum")

    def _walk(self) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        position = 0
        while (header := self._read_at(position, _LOCAL.size))[:4] == _LOCAL_MAGIC:
            entry = self._entry(header, position)
            entries.append(entry)
            position = entry.start + entry.size
            if len(entries) > MAX_ENTRIES or position > MAX_CONTAINER:
                raise _damaged(f"it has more than {MAX_ENTRIES} entries or {MAX_CONTAINER} bytes")
        if not entries:
            raise _damaged("it is not a zip file that begins with an entry")
        # From here to the end everything follows from the entries.
        for expected in _directory(entries, position):
            if self._read_at(position, len(expected)) != expected:
                raise _damaged(f"what follows its entries, near byte {position}, is not what they imply")
            position += len(expected)
        if self._read_at(position, 1):
            raise _damaged("bytes follow its end")
        return tuple(entries)

    def _entry(self, header: bytes, offset: int) -> Entry:
        if len(header) < _LOCAL.size:
            raise _damaged("it ends inside a header")
        _, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack(header)
        if flags & 1:
            raise _damaged("an entry is encrypted")
        if method:
            raise _damaged("an entry is compressed, and a bundle only ever stores")
        if extra or packed != size or name_length > MAX_NAME:
            raise _damaged("an entry has extra fields, two sizes or a long name")
        name = self._read_at(offset + _LOCAL.size, name_length)
        if not name.isascii():
            raise _damaged("an entry's name is not ASCII")
        entry = Entry(name.decode("ascii"), size, crc, offset)
        if _local_header(entry) != header + name:
            raise _damaged(f"the header at byte {offset} is not in the one form a bundle uses")
        return entry

    def _read_at(self, position: int, length: int) -> bytes:
        try:
            self._file.seek(position)
            return self._file.read(length)
        except OSError as error:
            raise _damaged(f"it cannot be read: {error.strerror or error}") from error


def _local_header(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    return _LOCAL.pack(_LOCAL_MAGIC, _VERSION, 0, 0, 0, _DATE, entry.crc, entry.size, entry.size, len(name), 0) + name


def _directory(entries: list[Entry], start: int) -> Iterator[bytes]:
    """Everything that follows the entries, which end at byte ``start``, in small pieces."""
    size = 0
    for entry in entries:
        name = entry.name.encode("ascii")
        record = _CENTRAL.pack(
            _CENTRAL_MAGIC, _MADE_BY, _VERSION, 0, 0, 0, _DATE, entry.crc, entry.size, entry.size,
            len(name), 0, 0, 0, 0, _MODE, entry.offset,
        ) + name  # fmt: skip
        size += len(record)
        yield record
    count = len(entries)
    if count >= 0xFFFF:
        yield _END64.pack(b"PK\x06\x06", 44, _MADE_BY, 45, 0, 0, count, count, size, start)
        yield _LOCATOR64.pack(b"PK\x06\x07", 0, start + size, 1)
    short = min(count, 0xFFFF)
    yield _END.pack(b"PK\x05\x06", 0, 0, short, short, size, start, 0)


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(
        f"the bundle's container is damaged or was made by something else: {why}",
        advice="Fetch the bundle again from its signer; unpacking and packing it anew makes another file.",
    )
