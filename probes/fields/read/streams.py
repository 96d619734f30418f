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


class _Guarded:
    """A decompressor that knows how much went in and came out."""

    def __init__(self, file: File, codec: str) -> None:
        self._file = file
        self._codec = codec
        self._out = 0
        self._size = file.size()
        if codec == "xz":
            self._inner = cast(Reader, lzma.LZMAFile(cast("lzma._PathOrFile", file)))  # noqa: SIM115 - not ours to close
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
