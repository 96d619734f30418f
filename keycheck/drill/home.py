"""Where drills keep their state: one directory a drill, who has which subject open, and the halt lever.

HOME/.halt              the lever: while it is there, nothing starts and whatever holds a change lets go
HOME/.lock              held while a drill is admitted
HOME/DRILL/kit.json     what another process needs to put the change back
HOME/DRILL/journal.jsonl, lock, watchdog.log
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from keycheck.drill.journal import Journal, Lock, is_locked, read
from keycheck.drill.kit import KIT, Kit, read_kit, write_kit
from keycheck.drill.phases import Phase, fold
from keycheck.drill.records import Writer
from keycheck.errors import UsageError
from keycheck.evidence.files import read_bounded, replace, sync_directory
from keycheck.model.types import Clock, vendor_text
from keycheck.model.verdict import ExitCode

HALT: Final = ".halt"
ADMISSION: Final = ".lock"
_DRILL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MAX_DRILLS: Final = 10_000
MAX_HALT: Final = 4096


class DrillOpenError(UsageError):
    """Another drill is open on the same subject: try later, or recover it."""

    exit_code: Final = ExitCode.LOCKED


class Home:
    """The state directory. Made by `default_home`, or anywhere for tests and services."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the directory, or check that it is ours alone. Raises UsageError."""
        try:
            self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.root.mkdir(mode=0o700)
                sync_directory(self.root.parent)
            found = self.root.stat()
        except OSError as error:
            raise UsageError(
                f"cannot keep drills in {self.root}: {error.strerror or error}",
                advice="set XDG_STATE_HOME to a directory on a local disk that you may write",
            ) from error
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise UsageError(
                f"{self.root} is open to others, who could tell a recovery what to do",
                advice=f"make it yours alone: chmod 700 {self.root}",
            )

    def directory(self, drill: str) -> Path:
        """Where a drill's state lies. Raises UsageError for what is no drill's id."""
        if not _DRILL.fullmatch(drill):
            raise UsageError(f"{vendor_text(drill, 80)!r} is no drill's id", advice="see `keycheck drill status`")
        return self.root / drill

    def drills(self) -> tuple[Path, ...]:
        """The directories of all drills, by name. Raises UsageError where they cannot be listed."""
        try:
            with os.scandir(self.root) as listing:
                names = sorted(e.name for e in listing if _DRILL.fullmatch(e.name) and e.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UsageError(
                f"cannot list {self.root}: {error.strerror or error}", advice="check its owner and mode"
            ) from error
        if len(names) > MAX_DRILLS:
            raise UsageError(
                f"{self.root} holds more than {MAX_DRILLS} drills", advice="move away the directories of closed ones"
            )
        return tuple(self.root / name for name in names)

    def open(self, drill: str, kit: Kit, clock: Clock, by: Writer = Writer.RUNNER) -> Journal:
        """Admit a new drill: its directory, kit and journal, whose lock the caller holds from now on.

        Raises DrillOpenError while another is open on the subject, UsageError, IntegrityError when it cannot be told
        whether one is, OSError.
        """
        self.prepare()
        directory = self.directory(drill)
        admission = Lock(self.root, ADMISSION, wait=True)
        try:
            self._refuse_second(kit)
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError as error:
                raise UsageError(
                    f"there is a drill {drill} already", advice="give the new one an id of its own"
                ) from error
            sync_directory(self.root)
            write_kit(directory, kit)
            return Journal(directory, by, clock)
        finally:
            admission.release()

    def _refuse_second(self, kit: Kit) -> None:
        for directory in self.drills():
            if not (directory / KIT).exists():
                continue  # died before it was admitted, so before it did anything
            other = read_kit(directory)
            same = (other.file, other.subject) == (kit.file, kit.subject)
            if not same and not other.claims & kit.claims:
                continue
            phase = fold(entry.record for entry in read(directory)).phase
            running = is_locked(directory)
            if phase is Phase.CLOSED or (phase is Phase.UNPLANNED and not running):
                continue
            raise DrillOpenError(
                f"drill {directory.name} on {other.subject} is {'running' if running else 'not closed'}",
                advice="wait until it has ended" if running else f"run `keycheck drill recover {directory.name}` first",
            )

    def existing(self, drill: str, clock: Clock, by: Writer) -> Journal:
        """The journal of a drill that is there, to go on writing. Raises JournalBusyError, UsageError, IntegrityError,
        OSError."""
        directory = self.directory(drill)
        if not directory.is_dir():
            raise UsageError(f"there is no drill {drill} in {self.root}", advice="see `keycheck drill status`")
        # Under the admission lock, so that nobody closes a drill that is just being admitted.
        admission = Lock(self.root, ADMISSION, wait=True)
        try:
            return Journal(directory, by, clock)
        finally:
            admission.release()

    def halt(self, words: str) -> None:
        """Pull the lever: running drills put everything back at once, new ones are refused. Raises UsageError."""
        self.prepare()
        replace(self.root / HALT, vendor_text(words).encode("utf-8"), mode=0o600)

    def release(self) -> None:
        """Push the lever back."""
        (self.root / HALT).unlink(missing_ok=True)

    def halted(self) -> str | None:
        """Why the lever is pulled; None when it is not. A lever that cannot be looked at counts as pulled."""
        try:
            data = read_bounded(self.root / HALT, MAX_HALT)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"the halt lever cannot be read: {error.strerror or 'too large or no file'}"
        return vendor_text(data) or "no reason given"


def default_home(environ: Mapping[str, str]) -> Home:
    """`$XDG_STATE_HOME/keycheck/drills`, or `~/.local/state/keycheck/drills`."""
    stated = environ.get("XDG_STATE_HOME", "")
    base = Path(stated) if Path(stated).is_absolute() else Path.home() / ".local" / "state"
    return Home(base / "keycheck" / "drills")
