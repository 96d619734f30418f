"""What a reader hands over: a listing of an export, and its rows as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from keycheck.model.facts import Unseen
from probes.fields.facts import LeftOut

if TYPE_CHECKING:
    import pyarrow as pa

Layout: TypeAlias = Literal["parquet", "ndjson", "json", "csv", "tsv", "avro", "text", "table"]

BESIDE: Final = "file:"
"""What the name of a file beside the export begins with, where columns are named."""
BATCH_ROWS: Final = 8_192
"""Rows of one batch: what fits the processor's cache is fastest."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file as it was listed."""

    path: str
    """As the deployment would write it, and as places name it."""
    size: int
    version: str
    """What changes when the file does (modification time, ETag, generation); compared when it is read."""
    layout: Layout
    beside: bool = False
    """Not of the export itself: hunted through, without rows of the field map."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One unit of reading: a row group, a newline-aligned range of bytes, a range of a table's key. Picklable."""

    name: str
    """Unique in the export, at most 200 characters, printable."""
    file: ExportFile
    start: int
    end: int
    """Row group numbers, bytes or key positions, by the layout."""
    columns: tuple[str, ...]
    """All columns of the file as the listing saw them, as paths."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an export consists of."""

    files: tuple[ExportFile, ...]
    shards: tuple[Shard, ...]
    columns: tuple[str, ...]
    """Every column of every file of the export, as paths, sorted."""
    left_out: tuple[LeftOut, ...] = ()
    """Files that were named and cannot be read at all."""
    open: tuple[Unseen, ...] = ()
    """Why there may be more: denied, truncated."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side. Every column is `large_binary`, `large_string`, or null-typed; numbers, dates and nested
    values that the paths do not reach are written as JSON text. Columns that a batch does not have are missing."""

    rows: pa.RecordBatch
    first: int
    """Number of the first row within the shard."""
    surprises: tuple[str, ...] = ()
    """Columns that the listing did not see; they are in `rows`."""
    numbers: pa.Array | None = None
    """None: the rows themselves, `first`, `first + 1`, … Otherwise `rows` holds further elements of lists (one column
    `a[]`, whose first elements are in the batch before) and this says, as `int64`, of which row each is: they are
    values to be looked at like all others, and no rows to be counted; other columns are not missing there."""

    def number(self, at: int) -> int:
        """Number within the shard of the row that line `at` is of."""
        return self.first + at if self.numbers is None else int(self.numbers[at].as_py())


@dataclass(slots=True)
class Reading:
    """One shard being read: iterate, then look at what was left out."""

    batches: Iterator[Batch]
    left_out: list[LeftOut] = field(default_factory=list)
    """Complete only when the batches are exhausted. Every row that exists is in a batch or counted here."""


class Export(Protocol):
    """An export that can be read, by anybody who gets it: picklable, holds no open file and no secret."""

    def listing(self) -> Listing:
        """Which files, shards and columns there are. Raises ProbeError when nothing at all can be listed."""

    def read(self, shard: Shard) -> Reading:
        """The rows of a shard. Raises ProbeError when the file is gone, denied, or no longer the one listed."""

    def digest(self, file: ExportFile) -> str:
        """SHA-256 of the file's bytes, hex; of a table, over its rows as read. Raises ProbeError likewise."""

    def raw(self, file: ExportFile) -> Iterator[bytes]:
        """The bytes of a file, decompressed, in chunks of at most 1 MiB, for hunting. Raises ProbeError likewise."""


def place(shard: Shard, row: int) -> str:
    """Where a row is, for people: `contacts.parquet[group 3]:row 17`."""
    unit = {"parquet": "group", "table": "from"}.get(shard.file.layout, "byte")
    return f"{shard.file.path}[{unit} {shard.start}]:row {row}"
