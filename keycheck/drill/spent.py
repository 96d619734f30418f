"""Canaries that may be read once only, because a record that was read may be in a cache: HOME/.spent, a name a line.

A name is on disk before the canary is read. What another machine has read is not known here.
"""

from __future__ import annotations

import os
from typing import Final

from keycheck.drill.home import Home
from keycheck.errors import UsageError
from keycheck.evidence.files import read_bounded

SPENT: Final = ".spent"
MAX: Final = 8 * 1024 * 1024


def spent(home: Home) -> frozenset[str]:
    """Every name so far. Raises UsageError where they cannot be read: what is not known may have been read."""
    path = home.root / SPENT
    try:
        return frozenset(read_bounded(path, MAX).decode("utf-8").splitlines()) if path.exists() else frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"which canaries were read before is not known: {path} cannot be read",
            advice="mend the file, or move it away and plant new canaries",
        ) from error


def spend(home: Home, name: str) -> None:
    """Note a canary that is about to be read. Raises UsageError, OSError."""
    home.prepare()
    line = f"{' '.join(name.split())}\n".encode()
    descriptor = os.open(home.root / SPENT, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
