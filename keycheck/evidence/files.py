"""Files that are written whole or not at all, never over another, and read with a bound."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class NotRegularError(OSError):
    """A directory, device or pipe where a file was expected: reading one could hang or never end."""


class TooLargeError(OSError):
    """A file larger than what the reader is prepared to hold."""


def open_regular(path: Path) -> int:
    """A read-only descriptor of a regular file. Raises OSError."""
    # Without O_NONBLOCK, opening a named pipe waits for a writer for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(f"{path} is not a regular file")
    return descriptor


def read_bounded(path: Path, max_bytes: int, *, private: bool = False) -> bytes:
    """The bytes of a regular file. Raises OSError; PermissionError if ``private`` and others may read it."""
    with os.fdopen(open_regular(path), "rb") as file:
        if private and os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
            raise PermissionError(f"{path} may be read by other users")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLargeError(f"{path} is larger than {max_bytes} bytes")
    return data


def create(path: Path, data: bytes, *, mode: int) -> None:
    """Write a new file: complete, on disk and with its mode before it appears. Raises FileExistsError."""
    temporary = _write_beside(path, data, mode)
    try:
        publish(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def replace(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file in place of the one that may be there; a reader sees the old one or the new one."""
    temporary = _write_beside(path, data, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its final name unless that is taken (FileExistsError)."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:  # some file systems have no hard links: a look first, and a race that is tiny
        if os.path.lexists(path):
            raise FileExistsError(error.errno, "exists already", str(path)) from error
        temporary.rename(path)
    else:
        temporary.unlink()
    sync_directory(path.parent)


def sync(file: BinaryIO) -> None:
    """Have what was written to ``file`` on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make a rename inside ``directory`` survive a power cut, where the platform can."""
    with suppress(OSError):  # Windows and some network file systems cannot; the file itself is synced
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            sync(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
