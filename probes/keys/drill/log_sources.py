"""Files of a log, wherever they lie: how much of them is read, how they are unpacked, and those in a local directory.

Everything in them is a stranger's: whoever may write to a bucket can put anything there. Names are compared and asked
for again, and never become paths on this machine.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.files import below, read_regular

MAX_LISTED: Final = 100_000
"""Objects or directory entries that are looked through."""
MAX_FILES: Final = 5_000
MAX_FILE: Final = 32 * 2**20
"""Bytes of one file as it is stored; CloudTrail's are below fifty megabytes before they are packed."""
MAX_OCTETS: Final = 256 * 2**20
MAX_UNPACKED: Final = 64 * 2**20
"""Bytes of one file unpacked."""
MAX_UNPACKED_ALL: Final = 256 * 2**20
MAX_RECORDS: Final = 500_000
MAX_KEPT: Final = 64 * 2**20
"""Characters of the records that are kept."""
MAX_DEEP: Final = 16
"""Directories within directories."""
_MAX_NESTS: Final = 1_000_000
"""Objects and lists in one file: what a byte of JSON costs in memory differs by a factor of thirty."""
_GZIP: Final = 16 + zlib.MAX_WBITS
SHARE: Final = 0.6
"""Of a unit's time, for the files of all sources."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One file as it was listed. Its name is a stranger's text."""

    name: str
    size: int


@dataclass(slots=True)
class Allowance:
    """What may still be read of one source. Every method raises ProbeError where that would be too much: the rest is
    not read, and the log says so."""

    monotonic: Callable[[], float]
    until: float
    listed: int = MAX_LISTED
    files: int = MAX_FILES
    octets: int = MAX_OCTETS
    unpacked: int = MAX_UNPACKED_ALL
    records: int = MAX_RECORDS
    kept: int = MAX_KEPT

    @classmethod
    def of(cls, io: Io, among: int) -> Allowance:
        """For one source of so many that share a unit's time."""
        return cls(io.monotonic, io.monotonic() + io.budget * SHARE / among)

    def left(self) -> float:
        """Seconds."""
        left = self.until - self.monotonic()
        if left <= 0:
            raise ProbeError(Reason.TIMEOUT, "the time for its files was over; read it again later")
        return left

    def list_one(self) -> None:
        """One more name in a listing."""
        self.listed = _less(self.listed, 1, f"more than {MAX_LISTED} names")

    def file(self, stored: Stored) -> None:
        """One more file is about to be read."""
        self.left()
        self.files = _less(self.files, 1, f"more than {MAX_FILES} files")
        self.octets = _less(self.octets, stored.size, f"more than {MAX_OCTETS} bytes of files")

    def opened(self, size: int) -> None:
        """So many bytes came out of a file."""
        self.unpacked = _less(self.unpacked, size, f"more than {MAX_UNPACKED_ALL} bytes unpacked")

    def record(self, count: int, kept: int = 0) -> None:
        """So many records more, and characters of them that are kept."""
        self.records = _less(self.records, count, f"more than {MAX_RECORDS} records")
        self.kept = _less(self.kept, kept, f"more than {MAX_KEPT} characters of records")


class Store(Protocol):
    """A place with files."""

    @property
    def where(self) -> str:
        """For people."""

    def list(self, prefix: str, after: str, allowance: Allowance) -> Iterator[Stored]:
        """The files whose names begin with `prefix`, and in a bucket come after `after`. Raises ProbeError, perhaps
        after some were given."""

    def read(self, stored: Stored, allowance: Allowance) -> bytes:
        """A file, whole. Raises ProbeError."""


@dataclass(slots=True)
class Whole:
    """Why a source is not whole, in words, each once."""

    gaps: dict[str, int] = field(default_factory=dict)

    def lacks(self, why: str) -> None:
        """One thing that is missing."""
        self.gaps[vendor_text(why, 300)] = self.gaps.get(vendor_text(why, 300), 0) + 1

    def words(self) -> list[str]:
        """What is missing; empty: nothing is known to be."""
        return [why if count == 1 else f"{why} ({count} times)" for why, count in list(self.gaps.items())[:10]]


def each_file(
    store: Store, prefix: str, after: str, wanted: Callable[[str], bool], allowance: Allowance, whole: Whole
) -> Iterator[tuple[Stored, bytes]]:
    """The files that are wanted, one after the other. What cannot be listed or read is told to `whole`; after what
    concerns the source and not the file, nothing more is read."""
    try:
        for stored in store.list(prefix, after, allowance):
            allowance.list_one()
            if not wanted(stored.name):
                continue
            if stored.size > MAX_FILE:
                whole.lacks(f"a file is larger than {MAX_FILE} bytes")
                continue
            allowance.file(stored)
            try:
                yield stored, store.read(stored, allowance)
            except ProbeError as error:
                if error.reason in (Reason.PERMISSION_DENIED, Reason.TIMEOUT, Reason.THROTTLED):
                    raise
                whole.lacks(f"a file cannot be read: {error.reason}: {error}")
    except ProbeError as error:
        whole.lacks(f"{error.reason}: {error}")


def gunzipped(data: bytes, allowance: Allowance) -> bytes:
    """What is in a gzip file, of one or more members. Raises ProbeError for one that is cut short, damaged or too
    large (RFC 1952)."""
    out = bytearray()
    rest = data
    while rest:
        machine = zlib.decompressobj(_GZIP)
        try:
            out += machine.decompress(rest, MAX_UNPACKED + 1 - len(out))
        except zlib.error:
            raise ProbeError(Reason.MALFORMED, "it is no gzip, or damaged") from None
        if len(out) > MAX_UNPACKED:
            raise ProbeError(Reason.NOT_COVERED, f"it unpacks to more than {MAX_UNPACKED} bytes")
        if not machine.eof:
            raise ProbeError(Reason.MALFORMED, "it is cut short")
        rest = machine.unused_data
    if not data:
        raise ProbeError(Reason.MALFORMED, "it is empty")
    allowance.opened(len(out))
    return bytes(out)


def parsed(text: bytes) -> object:
    """JSON, strictly: UTF-8, no key twice, no NaN, no endless numbers. Raises ProbeError(malformed)."""
    if text.count(b"{") + text.count(b"[") > _MAX_NESTS:
        raise ProbeError(Reason.NOT_COVERED, "it holds more objects than are read")
    try:
        value: object = json.loads(text.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except RecursionError:
        raise ProbeError(Reason.MALFORMED, "it is nested too deeply") from None
    except ValueError:  # not UTF-8, not JSON, a number of thousands of digits
        raise ProbeError(Reason.MALFORMED, "it is cut short, or no JSON") from None
    return value


@dataclass(frozen=True, slots=True)
class FolderStore:
    """All files below a directory beside the deployment file. No link in it is followed."""

    named: str
    root: Path

    @classmethod
    def of(cls, directory: str, base: Path) -> FolderStore:
        """Raises ProbeError for a directory elsewhere."""
        return cls(directory, below(f"the log folder {directory}", base, directory))

    @property
    def where(self) -> str:
        """The directory, as the deployment names it."""
        return vendor_text(f"folder {self.named}", 200)

    def list(self, prefix: str, after: str, allowance: Allowance) -> Iterator[Stored]:
        """Everything below, in order of names; `prefix` and `after` are for buckets alone."""
        yield from self._below(self.root, "", MAX_DEEP, allowance)

    def read(self, stored: Stored, allowance: Allowance) -> bytes:
        """One of the files that were listed."""
        return read_regular("the file", self.root / stored.name, MAX_FILE)

    def _below(self, directory: Path, above: str, deep: int, allowance: Allowance) -> Iterator[Stored]:
        if deep == 0:
            raise ProbeError(Reason.NOT_COVERED, f"directories more than {MAX_DEEP} deep")
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    allowance.list_one()
                    found.append(entry)
            for entry in sorted(found, key=lambda each: each.name):
                name = f"{above}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    yield from self._below(Path(entry.path), f"{name}/", deep - 1, allowance)
                elif entry.is_file(follow_symlinks=False):
                    yield Stored(name, entry.stat(follow_symlinks=False).st_size)
                else:
                    raise ProbeError(Reason.NOT_COVERED, "it holds links or devices, which are not followed")
        except OSError as error:
            raise ProbeError(Reason.UNREACHABLE, f"it cannot be listed ({type(error).__name__})") from None


def _less(left: int, by: int, words: str) -> int:
    if left < by:
        raise ProbeError(Reason.NOT_COVERED, f"{words}: the rest is not read")
    return left - by


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("the same key twice")
    return made


def _no_constant(_name: str) -> object:
    raise ValueError("NaN and Infinity are no JSON")
