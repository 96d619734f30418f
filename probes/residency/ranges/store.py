"""Where an index lives: one file, replaced whole, changed by one process at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from keycheck.evidence.files import read_bounded, replace
from probes.residency.ranges.codec import MAX_FILE, encoded
from probes.residency.ranges.index import Index
from probes.residency.ranges.seam import RangesBusyError, RangesError, Source
from probes.residency.ranges.table import Imported, imports_of, table_of

NAME: Final = "ranges.index"
PATIENCE_S: Final = 10.0
"""How long to wait for another process that changes the same index: a change takes less than a second."""
_LOOK_S: Final = 0.05


def default_path(environment: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/keycheck/ranges.index`, or `~/.local/share/keycheck/ranges.index`."""
    base = environment.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "keycheck" / NAME


def load(path: Path) -> Index:
    """The index in a file. Raises RangesError; also for a file that others may write, as whoever can write it decides
    where every address is."""
    try:
        mode = path.stat().st_mode
        data = read_bounded(path, MAX_FILE)
    except FileNotFoundError:
        raise RangesError(
            f"there is no index of ranges at {path}",
            advice="make one with `keycheck ranges update` or `keycheck ranges import SOURCE FILE`",
        ) from None
    except OSError as error:
        raise RangesError(f"{path}: {error.strerror or error}", advice="name a file that you may read") from None
    if os.name == "posix" and mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RangesError(f"{path} may be written by others", advice=f"look at who did, then: chmod go-w {path}")
    return Index.of(data)


def put(path: Path, make: Callable[[Mapping[str, Source]], Imported]) -> Source:
    """Put one source into the index in place of the one of its name, and leave the others as they are. `make` is given
    the sources that are there. Raises RangesError, RangesBusyError; then the file is as it was."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.with_name(f".{path.name}.lock")):
            there = imports_of(load(path).table) if path.exists() else ()
            made = make({each.source.name: each.source for each in there})
            kept = [each for each in there if each.source.name != made.source.name]
            replace(path, encoded(table_of([*kept, made])), mode=0o600)
    except OSError as error:
        raise RangesError(f"{path}: {error.strerror or error}", advice="name a place where you may write") from None
    return made.source


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Raises RangesBusyError, OSError. The lock ends with the process, however that ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise RangesBusyError(
                        "another process is changing the index", advice="wait for it to end, and try again"
                    ) from None
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)
