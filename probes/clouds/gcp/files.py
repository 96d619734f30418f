"""Files that a deployment names: regular ones only, bounded, and where a credential is meant, below the deployment."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises OSError, also when it is larger than `most` bytes."""
    # without O_NONBLOCK, opening a named pipe waits for a writer for ever
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(0, f"it is larger than {most} bytes")
    return data


def below(base: Path, name: str) -> Path:
    """The file of that name below `base`, symbolic links followed. Raises OSError for one anywhere else: a deployment
    that somebody else wrote must not pick any file of this machine."""
    try:
        root, path = base.resolve(strict=True), (base / name).resolve(strict=True)
    except (ValueError, RuntimeError):  # a NUL, a loop of links
        raise OSError(0, "no such file") from None
    if not path.is_relative_to(root):
        raise OSError(0, "it is not below the deployment's directory; move it there")
    return path
