"""Where files lie: this machine's disk, S3, Google Cloud Storage. One way to list and to open them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import pyarrow as pa

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.read.streams import File

MAX_FILES: Final = 100_000
MAX_FOLDERS: Final = 100_000
MAX_PATH: Final = 1_000

Refusal: TypeAlias = Literal["outside", "no file", "denied", "missing", "name", "many"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was found, or why one that was found or named is none."""

    path: str
    """As the deployment would write it."""
    size: int = 0
    version: str = ""
    refusal: Refusal | None = None
    same: str = ""
    """Equal for two names of one file; empty where the store does not tell."""


class Store(Protocol):
    """A place for files. Picklable."""

    def entries(self, location: str) -> Iterator[Entry]:
        """What a location (a file, a directory, a glob) means, sorted by path. Raises ProbeError."""

    def entry(self, path: str) -> Entry:
        """One file now. Raises ProbeError."""

    def open(self, path: str) -> File:
        """For reading at any place. Raises ProbeError."""

    def opened(self, file: File, path: str) -> str:
        """Version of what is really open, whatever lies at the path by now; empty where the store does not tell. Raises
        ProbeError."""


def is_glob(location: str) -> bool:
    """Whether a location means more than one name."""
    return any(char in location for char in "*?")


def pattern(location: str) -> re.Pattern[str]:
    """A glob: `?` one character, `*` any within a folder, `**` across folders."""
    out: list[str] = []
    for token in re.split(r"(\*\*/|\*\*|\*|\?)", location):
        match token:
            case "**/":
                out.append("(?:[^/]+/)*")
            case "**":
                out.append(".*")
            case "*":
                out.append("[^/]*")
            case "?":
                out.append("[^/]")
            case _:
                out.append(re.escape(token))
    return re.compile("".join(out), re.DOTALL)


def fixed_folder(location: str) -> str:
    """The folder before the first wildcard; empty for none."""
    head = re.split(r"[*?]", location, maxsplit=1)[0]
    return head.rpartition("/")[0]


def gone(path: str, error: OSError) -> ProbeError:
    """Why a file cannot be opened, as a ProbeError."""
    shown = vendor_text(path, 200)
    if isinstance(error, PermissionError):
        return ProbeError(Reason.PERMISSION_DENIED, f"{shown}: permission denied; let keycheck's user read it")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ProbeError(Reason.CONFLICTING, f"{shown}: it is gone since it was listed")
    return ProbeError(Reason.UNREACHABLE, f"{shown}: cannot be read ({type(error).__name__})")


@dataclass(frozen=True, slots=True)
class Disk:
    """This machine's files. Links that lead out of the directory that was named, devices and pipes are no files."""

    base: str
    """Directory of the deployment file."""

    def entries(self, location: str) -> Iterator[Entry]:
        wanted = None
        folder = location
        if is_glob(location):
            folder = fixed_folder(location) or ("/" if location.startswith("/") else ".")
            wanted = pattern(location.removeprefix("./"))
        top = self._real(folder)
        if wanted is None and not top.is_dir():
            yield self._look(location, top.parent)
            return
        yield from self._below(folder, top, wanted)

    def _below(self, folder: str, top: Path, wanted: re.Pattern[str] | None) -> Iterator[Entry]:
        todo = [folder]
        seen = 0
        found: list[Entry] = []
        while todo:
            at = todo.pop()
            seen += 1
            try:
                with os.scandir(self._real(at)) as scan:
                    names = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in scan)
            except OSError as error:
                found.append(Entry(at, refusal="denied" if isinstance(error, PermissionError) else "missing"))
                continue
            for name, is_folder in names:
                path = name if at == "." else f"{at.rstrip('/')}/{name}"
                if is_folder:
                    todo.append(path)
                elif wanted is None or wanted.fullmatch(path):
                    found.append(self._look(path, top))
                if len(found) > MAX_FILES or seen > MAX_FOLDERS:
                    found.append(Entry(folder, refusal="many"))
                    todo.clear()
                    break
        yield from sorted(found, key=lambda each: each.path)

    def _look(self, path: str, top: Path) -> Entry:
        if not path.isprintable() or len(path) > MAX_PATH:
            return Entry(vendor_text(path, MAX_PATH), refusal="name")
        try:
            real = self._real(path)
            resolved = real.resolve(strict=True)
            if not resolved.is_relative_to(top.resolve(strict=True)):
                return Entry(path, refusal="outside")
            return _entry(path, real.stat())
        except PermissionError:
            return Entry(path, refusal="denied")
        except (OSError, ValueError, RuntimeError):
            return Entry(path, refusal="missing")

    def entry(self, path: str) -> Entry:
        try:
            return _entry(path, self._real(path).stat())
        except OSError as error:
            raise gone(path, error) from None

    def open(self, path: str) -> File:
        entry = self.entry(path)
        if entry.refusal is not None:
            raise ProbeError(Reason.CONFLICTING, f"{vendor_text(path, 200)}: it is no regular file any more")
        try:
            opened: File = pa.OSFile(str(self._real(path)), "rb")
        except OSError as error:
            raise gone(path, error) from None
        return opened

    def opened(self, file: File, path: str) -> str:
        if not isinstance(file, pa.OSFile):
            return ""
        try:
            return _entry(path, os.fstat(file.fileno())).version
        except OSError as error:
            raise gone(path, error) from None

    def _real(self, path: str) -> Path:
        return Path(self.base) / path


def _entry(path: str, found: os.stat_result) -> Entry:
    if not stat.S_ISREG(found.st_mode):
        return Entry(path, refusal="no file")
    same = f"{found.st_dev}-{found.st_ino}"
    version = f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_size}-{same}"
    return Entry(path, found.st_size, version, same=same)
