"""Avro object container files: the container is taken apart here, block by block, and fastavro reads the rows.

Source: Apache Avro specification 1.12, "Object Container Files", "Data Serialization and Deserialization".
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import fastavro
import pyarrow as pa

from probes.fields.facts import LeftOut
from probes.fields.read import rows
from probes.fields.read.layouts import Opened, Piece, Survey
from probes.fields.read.lost import Lost
from probes.fields.read.names import MAX_COLUMNS, distinct
from probes.fields.read.seam import BATCH_ROWS, Shard
from probes.fields.read.streams import BrokenStreamError, Reader

MAX_BLOCK: Final = 64 << 20
MAX_UNPACKED: Final = 256 << 20
MAX_HEADER: Final = 16 << 20
_ROWS_ERRORS: Final = (
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    AttributeError,
)
"""What fastavro raises for bytes that do not fit the schema."""


class _UnsupportedError(ValueError):
    """A container that is not read; the message says why."""


@dataclass(frozen=True, slots=True)
class _Header:
    schema: dict[str, object]
    paths: tuple[str, ...]
    codec: str
    sync: bytes


def survey(opened: Opened) -> Survey:
    """The schema's columns; one shard."""
    try:
        header = _header(_Bytes(opened.stream()))
    except (_UnsupportedError, EOFError) as error:
        why = str(error) if isinstance(error, _UnsupportedError) else "truncated avro file"
        return Survey((), (), (LeftOut(why=why, rows=0, places=(opened.listed.path,)),))
    return Survey(header.paths, ((0, opened.file.size()),))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The rows. Of a damaged block the rows from the damage on are left out, and the next block is read."""
    source = _Bytes(opened.stream())
    path = shard.file.path
    block = 0
    try:
        header = _header(source)
        while source.more():
            found = _block(source, header, f"{path}:block {block}", opened.lost)
            block += 1
            while some := list(islice(found, BATCH_ROWS)):
                yield Piece(rows.batch(some))
                for batch, numbers in rows.further(some, range(len(some))):
                    yield Piece(batch, numbers)
    except EOFError:
        opened.lost.add("truncated avro file: nobody knows how many rows", f"{path}:block {block}", 0)
    except (_UnsupportedError, BrokenStreamError) as error:
        opened.lost.add(f"{error}: nobody knows how many rows", f"{path}:block {block}", 0)


def _block(source: _Bytes, header: _Header, place: str, lost: Lost) -> Iterator[rows.Row]:
    count = source.long()
    size = source.long()
    if count < 0 or not 0 <= size <= MAX_BLOCK:
        lost.add("damaged avro block", place, 0)
        source.seek_past(header.sync)
        return
    try:
        packed = source.exactly(size)
    except EOFError:
        lost.add("truncated avro block", place, count)
        return
    marked = source.upto(16) == header.sync
    try:
        data = _unpacked(header.codec, packed)
    except (zlib.error, lzma.LZMAError, pa.ArrowException, OSError, ValueError, EOFError, MemoryError):
        lost.add("damaged avro block", place, count)
    else:
        yield from _rows(data, count, header, place, lost)
    if not marked:
        lost.add("avro block without its end mark", place, 0)
        source.seek_past(header.sync)


def _rows(data: bytes, count: int, header: _Header, place: str, lost: Lost) -> Iterator[rows.Row]:
    """Every row takes a byte at least."""
    if count > len(data):
        lost.add("avro block that says it has more rows than bytes", place, 0)
        count = len(data)
    stream = io.BytesIO(data)
    for number in range(count):
        try:
            record = fastavro.schemaless_reader(stream, header.schema, None, handle_unicode_errors="surrogateescape")
            if not isinstance(record, dict):
                raise TypeError
        except _ROWS_ERRORS:
            lost.add("damaged avro block", f"{place}:row {number}", count - number)
            return
        try:
            row = rows.flat(record)
        except rows.BadRowError as error:
            lost.add(str(error), f"{place}:row {number}")
            continue
        rows.bound(row, lost, f"{place}:row {number}")
        yield row
    if stream.read(1):
        lost.add("avro block with bytes after its rows", place, 0)


def _unpacked(codec: str, data: bytes) -> bytes:
    """A block's bytes, at most `MAX_UNPACKED`."""
    match codec:
        case "null":
            return data
        case "deflate":
            inflater = zlib.decompressobj(-15)
            out = inflater.decompress(data, MAX_UNPACKED)
            if not inflater.eof:
                raise ValueError
            return out
        case "bzip2":
            return _whole(bz2.BZ2Decompressor(), data)
        case "xz":
            return _whole(lzma.LZMADecompressor(memlimit=256 << 20), data)
        case "snappy":
            size = shift = 0
            for byte in data[:5]:
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            if size > MAX_UNPACKED:
                raise ValueError
            plain: bytes = pa.Codec("snappy").decompress(data[:-4], size, asbytes=True)
            if zlib.crc32(plain) != int.from_bytes(data[-4:], "big"):
                raise ValueError
            return plain
        case _:
            stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
            out = cast(bytes, stream.read(MAX_UNPACKED))
            if stream.read(1):
                raise ValueError
            return out


def _whole(unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes) -> bytes:
    out = unpacker.decompress(data, MAX_UNPACKED)
    if not unpacker.eof:
        raise ValueError
    return out


def _header(source: _Bytes) -> _Header:
    if source.exactly(4) != b"Obj\x01":
        raise _UnsupportedError("no avro file")
    about: dict[bytes, bytes] = {}
    left = MAX_HEADER
    while count := source.long():
        if count < 0:
            source.long()
        for _ in range(abs(count)):
            key, value = (source.exactly(_length(source, left)) for _ in range(2))
            left -= len(key) + len(value) + 1
            about[key] = value
    codec = about.get(b"avro.codec", b"null").decode("ascii", "replace")
    codec = {"zstandard": "zstd"}.get(codec, codec)
    if codec not in ("null", "deflate", "bzip2", "xz", "snappy", "zstd"):
        raise _UnsupportedError("an avro codec that is not read: write null, deflate, snappy, zstandard, bzip2 or xz")
    try:
        raw = json.loads(about.get(b"avro.schema", b""))
        paths = _Schema().check(raw)
        schema = cast("dict[str, object]", fastavro.parse_schema(raw))
    except (ValueError, LookupError, TypeError, RecursionError, fastavro.schema.SchemaParseException) as error:
        why = str(error) if isinstance(error, _UnsupportedError) else "an avro schema that is not valid"
        raise _UnsupportedError(why) from None
    return _Header(schema, paths, codec, source.exactly(16))


def _length(source: _Bytes, left: int) -> int:
    length = source.long()
    if not 0 <= length <= left:
        raise _UnsupportedError("an avro header that is damaged or longer than 16 MiB")
    return length


class _Schema:
    """Looks a schema over before a reader in C believes it: no type within itself, no elements that take no bytes."""

    def __init__(self) -> None:
        self._looks = 0
        self._named: dict[str, bool | None] = {}
        """Whether values of a named type take bytes; None while it is being looked at."""
        self._paths: dict[str, None] = {}
        self._schemas: dict[str, Mapping[str, object]] = {}

    def check(self, schema: object) -> tuple[str, ...]:
        """The columns. Raises _UnsupportedError, ValueError, LookupError, TypeError, RecursionError."""
        if not isinstance(schema, Mapping) or schema.get("type") != "record" or not self._takes(schema, "", ""):
            raise _UnsupportedError("an avro schema of something else than records")
        if len(self._paths) > MAX_COLUMNS:
            raise _UnsupportedError(f"an avro schema of more than {MAX_COLUMNS} columns")
        return distinct(self._paths)

    def _takes(self, schema: object, path: str, space: str, depth: int = 0) -> bool:
        self._looks += 1
        if self._looks > 4 * MAX_COLUMNS:
            raise _UnsupportedError(f"an avro schema of more than {MAX_COLUMNS} columns")
        if depth > 64:
            raise _UnsupportedError("an avro schema nested deeper than 64")
        if isinstance(schema, list):
            for each in schema:
                self._takes(each, path, space, depth + 1)
            return True
        if isinstance(schema, Mapping):
            return self._of_mapping(schema, path, space, depth)
        name = str(schema)
        if (full := _full(name, space)) in self._named or (full := name) in self._named:
            if self._named[full] is None:
                raise _UnsupportedError("an avro schema with a type within itself")
            if full in self._schemas:
                return self._of_mapping(self._schemas[full], path, space, depth)
            self._paths[path] = None
            return True
        if name != "null":
            self._paths[path] = None
        return name != "null"

    def _of_mapping(self, schema: Mapping[str, object], path: str, space: str, depth: int) -> bool:
        kind = schema["type"]
        if kind in ("record", "error"):
            full = _full(str(schema["name"]), str(schema.get("namespace", space)))
            self._named[full] = None
            takes = False
            for field in schema["fields"]:  # type: ignore[attr-defined]
                inner = f"{path}.{field['name']}" if path else str(field["name"])
                takes |= self._takes(field["type"], inner, full.rpartition(".")[0], depth + 1)
            self._named[full] = takes
            self._schemas[full] = schema
            return takes
        if kind == "array":
            if not self._takes(schema["items"], f"{path}[]", space, depth + 1):
                raise _UnsupportedError("an avro schema with arrays of nothing")
            return True
        if kind == "map":
            self._takes(schema["values"], f"{path}.*", space, depth + 1)
            self._paths = {each: None for each in self._paths if not each.startswith(f"{path}.*")}
            return True
        if kind in ("enum", "fixed"):
            self._named[_full(str(schema["name"]), str(schema.get("namespace", space)))] = True
            self._paths[path] = None
            return kind == "enum" or bool(schema["size"])
        return self._takes(kind, path, space, depth + 1)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


class _Bytes:
    """A stream of which exact numbers of bytes are asked. Raises EOFError where they are not there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._held = bytearray()

    def more(self) -> bool:
        """Whether anything follows."""
        return bool(self._held) or self._fill(1)

    def upto(self, size: int) -> bytes:
        """The next `size` bytes, or as many as there are."""
        self._fill(size)
        out = bytes(self._held[:size])
        del self._held[:size]
        return out

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        out = self.upto(size)
        if len(out) < size:
            raise EOFError
        return out

    def long(self) -> int:
        """A zig-zag number."""
        value = shift = 0
        while shift < 70:
            byte = self.exactly(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (value >> 1) ^ -(value & 1)
        raise EOFError

    def seek_past(self, mark: bytes) -> None:
        """Go on after the next `mark`, or to the end."""
        while (found := self._held.find(mark)) < 0:
            del self._held[: max(0, len(self._held) - len(mark))]
            if not self._fill(len(self._held) + 1):
                self._held.clear()
                return
        del self._held[: found + len(mark)]

    def _fill(self, size: int) -> bool:
        while len(self._held) < size:
            data = self._reader.read(max(1 << 16, size - len(self._held)))
            if not data:
                return False
            self._held += data
        return True
