"""Compressed files as streams of bytes, with a guard against bombs."""

from __future__ import annotations

import io
import lzma
from typing import Final, Protocol, cast

import pyarrow as pa

MAX_RATIO: Final = 250
"""Times that a file may grow when it is decompressed; ciphertext grows hardly at all, logs perhaps fiftyfold."""
FREE: Final = 64 << 20
"""Bytes that may come out before the ratio counts."""
MAX_TOTAL: Final = 1 << 40
PIECE: Final = 1 << 18
XZ_MEMORY: Final = 256 << 20
"""Bytes that a dictionary of xz may take."""

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


class BrokenStreamError(Exception):
    """The rest of a file cannot be had; the message says why and quotes nothing of it."""


class Reader(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end. Raises BrokenStreamError and OSError."""


class File(Reader, Protocol):
    """An opened file."""

    def seek(self, position: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def size(self) -> int: ...
    def close(self) -> None: ...


def compression(head: bytes) -> str | None:
    """The codec by the first bytes; None for a file that is not compressed. Names decide nothing: they can lie."""
    return next((codec for magic, codec in _MAGIC if head.startswith(magic)), None)


def compressed(file: File) -> str | None:
    """The codec of an opened file, which is at its start then."""
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    return compression(head)


def decompressed(file: File) -> Reader:
    """The file's bytes from its start, decompressed where it is compressed."""
    codec = compressed(file)
    if codec is None:
        return file
    return _Guarded(file, codec)


class _Unowned(io.RawIOBase):
    """A file for a decompressor, which would close it when it is done."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(PIECE if size < 0 else size)

    def tell(self) -> int:
        return self._file.tell()


class _Xz:
    """Streams of xz and the zeros that may pad them. The standard library's LZMAFile takes anything else behind a
    stream for the end of the file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._held = b""
        self._stream: lzma.LZMADecompressor | None = None

    def read(self, size: int, /) -> bytes:
        while True:
            if self._stream is None and not self._next():
                return b""
            if self._stream is None:
                raise EOFError
            if self._stream.needs_input and not self._held:
                self._held = self._file.read(PIECE)
                if not self._held:
                    raise EOFError
            data = self._stream.decompress(self._held, size)
            self._held = b""
            if self._stream.eof:
                self._held, self._stream = self._stream.unused_data, None
            if data:
                return data

    def _next(self) -> bool:
        """Over the padding (a multiple of four, by the format) to the next stream; False at the end."""
        zeros = 0
        while True:
            bare = self._held.lstrip(b"\0")
            zeros += len(self._held) - len(bare)
            self._held = bare or self._file.read(PIECE)
            if bare or not self._held:
                break
        if zeros % 4:
            raise lzma.LZMAError("padding")
        if self._held:
            self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        return bool(self._held)


class _Guarded:
    """A decompressor that knows how much went in and came out."""

    def __init__(self, file: File, codec: str) -> None:
        self._file = file
        self._codec = codec
        self._out = 0
        self._size = file.size()
        if codec == "xz":
            self._inner: Reader = _Xz(file)
        else:
            self._inner = cast(Reader, pa.CompressedInputStream(_Unowned(file), codec))

    def read(self, size: int, /) -> bytes:
        try:
            data = self._inner.read(min(size, PIECE))
        except EOFError:
            raise BrokenStreamError(f"{self._codec} data is cut off") from None
        except (lzma.LZMAError, pa.ArrowException, OSError) as error:
            cut = "truncated" in str(error).lower()
            raise BrokenStreamError(f"{self._codec} data is {'cut off' if cut else 'damaged'}") from None
        self._out += len(data)
        used = max(1, min(self._size, self._file.tell()))
        if self._out > MAX_TOTAL or (self._out > FREE and self._out > MAX_RATIO * used):
            raise BrokenStreamError(f"{self._codec} data grows more than {MAX_RATIO}-fold when it is decompressed")
        return data
