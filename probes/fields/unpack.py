"""Compressed streams by their magic: compression is no encryption.

gzip, zlib, bzip2 and xz are decompressed, at most 64 KiB of them; zstd and LZ4 frames are only walked, block by block
to the last byte, as the standard library does not decompress them.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass, field
from typing import Final

LIMIT: Final = 64 * 1024
"""Decompressed bytes that are looked at."""
MEMORY: Final = 64 * 1024 * 1024
BLOCKS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A compressed stream, recognised to its last byte, or as far as 64 KiB of content go."""

    name: str
    content: bytes | None = field(repr=False)
    """The first 64 KiB; None where it was only walked."""
    whole: bool
    """Whether `content` is all."""


def unpack(value: bytes) -> Unpacked | None:
    """Recognise one compressed stream; None for anything else. Never raises."""
    if value.startswith(b"\x1f\x8b\x08"):
        return _inflate(value, "gzip", zlib.MAX_WBITS | 16)
    if len(value) >= 8 and value[0] & 0x0F == 8 and value[0] >> 4 <= 7 and int.from_bytes(value[:2], "big") % 31 == 0:
        return _inflate(value, "zlib", zlib.MAX_WBITS)
    if value.startswith(b"BZh"):
        return _stream(bz2.BZ2Decompressor(), value, "bzip2")
    if value.startswith(b"\xfd7zXZ\x00"):
        try:
            return _stream(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY), value, "xz")
        except lzma.LZMAError:
            return None
    if value.startswith(b"\x28\xb5\x2f\xfd") and _zstd(value):
        return Unpacked("zstd", None, whole=False)
    if value.startswith(b"\x04\x22\x4d\x18") and _lz4(value):
        return Unpacked("lz4", None, whole=False)
    return None


def _inflate(value: bytes, name: str, bits: int) -> Unpacked | None:
    stream = zlib.decompressobj(bits)
    try:
        content = stream.decompress(value, LIMIT)
    except zlib.error:
        return None
    if stream.eof:
        return Unpacked(name, content, whole=True) if not stream.unused_data else None
    return Unpacked(name, content, whole=False) if len(content) == LIMIT else None


def _stream(stream: bz2.BZ2Decompressor | lzma.LZMADecompressor, value: bytes, name: str) -> Unpacked | None:
    try:
        content = stream.decompress(value, LIMIT)
    except (OSError, EOFError, lzma.LZMAError):
        return None
    if stream.eof:
        return Unpacked(name, content, whole=True) if not stream.unused_data else None
    return Unpacked(name, content, whole=False) if len(content) == LIMIT else None


def _zstd(value: bytes) -> bool:
    """RFC 8878, section 3.1.1: frame header, blocks of a three-byte header, checksum."""
    if len(value) < 9 or value[4] & 0x08:
        return False
    single, dictionary, size = value[4] >> 5 & 1, (0, 1, 2, 4)[value[4] & 3], value[4] >> 6
    at = 5 + (1 - single) + dictionary + (single if size == 0 else 1 << size)
    for _ in range(BLOCKS):
        header = int.from_bytes(value[at : at + 3], "little")
        kind = header >> 1 & 3
        if len(value) < at + 3 or kind == 3:
            return False
        at += 3 + (1 if kind == 1 else header >> 3)
        if header & 1:
            return at + (4 if value[4] & 0x04 else 0) == len(value)
    return False


def _lz4(value: bytes) -> bool:
    """LZ4 frame format 1.6: descriptor, blocks of a four-byte size, end mark, checksum."""
    if len(value) < 11 or value[4] >> 6 != 1:
        return False
    flags = value[4]
    at = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    for _ in range(BLOCKS):
        if len(value) < at + 4:
            return False
        size = int.from_bytes(value[at : at + 4], "little") & 0x7FFFFFFF
        at += 4
        if size == 0:
            return at + (4 if flags & 0x04 else 0) == len(value)
        at += size + (4 if flags & 0x10 else 0)
    return False
