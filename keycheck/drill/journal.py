"""The write-ahead journal of one drill: JSON lines that are on disk before what they announce is done.

A directory of mode 0700 holds `journal.jsonl` (0600, append-only, each line canonical JSON with the SHA-256 of the line
before) and `lock`, which its one writer holds (flock) for as long as it writes. A last line without its newline is
a write that was cut off and was never acknowledged: readers leave it out, the next writer cuts it away. Anything
else that is not in order is an IntegrityError, because what cannot be read may be an undo that is owed.

The chain shows lines that were changed, dropped or moved inside; whoever may write the directory can cut off the end
or make a journal anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from keycheck.canonical import CanonicalError, dumps, loads
from keycheck.drill.phases import State, fold, step
from keycheck.drill.records import Entry, Observed, Record, Writer
from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence.files import open_regular, sync_directory
from keycheck.model.verdict import ExitCode

JOURNAL: Final = "journal.jsonl"
LOCK: Final = "lock"
MAX_LINE: Final = 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_NOTES: Final = 12 * 1024 * 1024
"""Beyond this many bytes nothing is merely noted any more: the rest is for the undo."""
MAX_DEPTH: Final = 40
NOTHING: Final = "0" * 64


class JournalBusyError(KeycheckError):
    """Another process is writing the journal."""

    exit_code: Final = ExitCode.LOCKED

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"drill {directory.name} is being worked on by another process",
            advice="wait for it, or see `keycheck drill status`",
        )


class JournalFullError(KeycheckError):
    """The journal has reached its bound."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"the journal of drill {directory.name} is full", advice="note less often, or hold for less")


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data`, however many calls it takes. Raises OSError."""
    while data:
        data = data[os.write(descriptor, data) :]


def sync(descriptor: int) -> None:
    """What was written is on disk. Raises OSError."""
    os.fsync(descriptor)


class Lock:
    """The writer's lock of a directory, held until `release`. It ends with the process, however that ends."""

    __slots__ = ("_descriptor",)

    def __init__(self, directory: Path, name: str = LOCK, *, wait: bool = False) -> None:
        """Raises JournalBusyError, OSError."""
        descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            os.close(descriptor)
            raise JournalBusyError(directory) from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process write. Harmless when done before."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(directory: Path) -> bool:
    """Whether some process is writing there now."""
    try:
        Lock(directory).release()
    except JournalBusyError:
        return True
    except OSError:
        return False
    return False


class Journal:
    """The only writer of a drill's journal. May be used by several threads."""

    def __init__(self, directory: Path, by: Writer, clock: Callable[[], datetime]) -> None:
        """Take the lock, read what is there, cut off a torn tail.

        Raises JournalBusyError, IntegrityError, OSError.
        """
        self._directory = directory
        self._by = by
        self._clock = clock
        self._guard = threading.Lock()
        self._lock = Lock(directory)
        try:
            self._file = os.open(
                directory / JOURNAL,
                os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK,
                0o600,
            )
        except OSError:
            self._lock.release()
            raise
        try:
            lines, self._size = _lines(_content(directory), directory.name)
            self._entries = _checked(lines, directory.name)
            self._state = fold(entry.record for entry in self._entries)
            self._prev = hashlib.sha256(lines[-1]).hexdigest() if lines else NOTHING
            self._torn = os.fstat(self._file).st_size != self._size
            if self._torn:
                self._mend()
            sync_directory(directory)
        except (OSError, KeycheckError):
            self.close()
            raise

    @property
    def directory(self) -> Path:
        """Where the drill's state lies."""
        return self._directory

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every line that is on disk."""
        with self._guard:
            return tuple(self._entries)

    @property
    def state(self) -> State:
        """What the lines mean."""
        with self._guard:
            return self._state

    def append(self, record: Record) -> Entry:
        """Write one line; when this returns, it is on disk.

        Raises OSError, JournalFullError, IntegrityError for a record that cannot follow (a straggler's note after the
        closing), and CanonicalError for one outside the domain; then the line does not count.
        """
        with self._guard:
            state = step(self._state, record)
            entry = Entry(seq=len(self._entries) + 1, prev=self._prev, at=self._clock(), by=self._by, record=record)
            line = dumps(entry.model_dump(mode="json"), max_depth=MAX_DEPTH)
            room = MAX_NOTES if isinstance(record, Observed) else MAX_BYTES
            if len(line) > MAX_LINE or self._size + len(line) + 1 > room:
                raise JournalFullError(self._directory)
            if self._torn:
                self._mend()
            try:
                write_all(self._file, line + b"\n")
                sync(self._file)
            except OSError:
                self._torn = True
                with suppress(OSError):
                    self._mend()
                raise
            self._size += len(line) + 1
            self._prev = hashlib.sha256(line).hexdigest()
            self._entries.append(entry)
            self._state = state
            return entry

    def _mend(self) -> None:
        os.ftruncate(self._file, self._size)
        sync(self._file)
        self._torn = False

    def close(self) -> None:
        """Let others write. Harmless when done before."""
        with self._guard:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._lock.release()


def read(directory: Path) -> tuple[Entry, ...]:
    """What the journal says, without the lock: while another process writes, or after it died.

    Raises IntegrityError, OSError; nothing at all (no file yet) is an empty journal.
    """
    if not (directory / JOURNAL).exists():
        return ()
    lines, _ = _lines(_content(directory), directory.name)
    return tuple(_checked(lines, directory.name))


def _content(directory: Path) -> bytes:
    with os.fdopen(open_regular(directory / JOURNAL), "rb") as file:
        data = file.read(MAX_BYTES + MAX_LINE + 1)
    if len(data) > MAX_BYTES + MAX_LINE:
        raise _broken(directory.name, f"is larger than {MAX_BYTES} bytes")
    return data


def _lines(data: bytes, drill: str) -> tuple[list[bytes], int]:
    """The whole lines, and how many bytes they take."""
    whole = data.rfind(b"\n") + 1
    if len(data) - whole > MAX_LINE:
        raise _broken(drill, f"ends in a line of more than {MAX_LINE} bytes")
    return data[:whole].split(b"\n")[:-1], whole


def _checked(lines: list[bytes], drill: str) -> list[Entry]:
    entries: list[Entry] = []
    prev = NOTHING
    for number, line in enumerate(lines, 1):
        try:
            entry = Entry.model_validate(loads(line, max_bytes=MAX_LINE, max_depth=MAX_DEPTH))
        except CanonicalError as error:
            raise _broken(drill, f"has a line {number} that is {error}") from error
        except ValidationError as error:
            raise _broken(drill, f"has a line {number} that is no record of this version") from error
        if entry.seq != number or entry.prev != prev:
            raise _broken(drill, f"is broken at line {number}: it does not follow the line before")
        prev = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    return entries


def _broken(drill: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"the journal of drill {drill} {why}",
        advice="what it owes cannot be told: compare the subject with what it should be by hand, then move the "
        "drill's directory away",
    )
