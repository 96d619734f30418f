"""An export of files as the scan reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from keycheck.errors import ProbeError
from keycheck.model.deployment import Identity
from keycheck.model.facts import Unseen
from keycheck.model.once import Once
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.facts import LeftOut
from probes.fields.read import avro, delimited, jsonarray, ndjson, parquet, sniff, text
from probes.fields.read.layouts import Layout as Reader
from probes.fields.read.layouts import Opened, Piece
from probes.fields.read.lost import Lost, merged
from probes.fields.read.partitions import extended, partitions, with_partitions
from probes.fields.read.places import MAX_FILES, Disk, Entry, Refusal, Store
from probes.fields.read.seam import BATCH_ROWS, Batch, Export, ExportFile, Layout, Listing, Reading, Shard
from probes.fields.read.streams import BrokenStreamError, File, decompressed
from probes.fields.subjects import Absent, Dataset, Files, Table

_READERS: Final[Mapping[Layout, ModuleType]] = {
    "parquet": parquet,
    "ndjson": ndjson,
    "csv": delimited,
    "tsv": delimited,
    "json": jsonarray,
    "avro": avro,
    "text": text,
}
_CHUNK: Final = 1 << 20
_REFUSALS: Final[Mapping[Refusal, str]] = {
    "outside": "a link that leads out of its directory",
    "no file": "no regular file",
    "denied": "permission denied",
    "missing": "no such file",
    "name": "a file name with control characters, not in UTF-8, or over 1,000 characters",
    "many": f"more than {MAX_FILES} files",
}
"""Shown as `why`."""
REQUEST: Final = (
    'there is no raw export. Send the vendor: "Under the audit clause we ask for the tables that hold the attributes '
    "of the schedule as they are stored, without decryption or masking, as Parquet, NDJSON, CSV or Avro, with the "
    "command and time of the dump, the rows counted at the source and the SHA-256 of each file; and for the search "
    'index and the logs of the same day." (docs/fields.md)'
)
"""What a person has to ask for."""
_ERRORS: Final = (pa.ArrowException, OSError, BrokenStreamError, MemoryError)


def open_export(
    dataset: Dataset, base: Path, identities: tuple[Identity, ...], environment: Mapping[str, str]
) -> Export:
    """The data set's export. `base`: directory of the deployment file. Opens nothing yet, and keeps nothing of the
    environment: credentials are looked up where the export is read, which may be another process. Raises ProbeError
    where there is none to be had."""
    match dataset.source:
        case Files() as source:
            return FilesExport(source, dataset.beside, str(base), identities)
        case Table() as source:
            from probes.fields.read.table import TableExport

            return TableExport(source, str(base))
        case Absent():
            raise ProbeError(Reason.UNSUPPORTED, REQUEST)


@dataclass(frozen=True, slots=True)
class FilesExport:
    """Files on this machine's disk or in a bucket. Picklable; credentials are looked up where it is used."""

    source: Files
    beside: tuple[str, ...]
    base: str
    identities: tuple[Identity, ...] = field(repr=False)
    once: Once = field(default_factory=Once, repr=False, compare=False)
    """Sessions of this process; pickles empty."""

    def listing(self) -> Listing:
        """All files of the export and beside it, with their shards and columns. Bounded looks at each; a CSV file on
        this machine's disk is read to see where it can be split. Raises ProbeError when nothing can be listed."""
        lost = Lost()
        open_: list[Unseen] = []
        files: list[ExportFile] = []
        shards: list[Shard] = []
        columns: set[str] = set()
        left_out: list[LeftOut] = []
        taken: set[str] = set()
        for beside, locations in ((False, self.source.files), (True, self.beside)):
            for entry in (each for location in locations for each in self._entries(location, lost, open_)):
                name = entry.same or entry.path  # a file that is named twice has its rows once
                if name in taken:
                    continue
                taken.add(name)
                if len(files) >= MAX_FILES:
                    open_.append(Unseen(reason=Reason.OPEN_CENSUS, detail=f"{_REFUSALS['many']}: name fewer"))
                    break
                found = self._surveyed(entry, beside, lost, open_)
                if found is None:
                    continue
                files.append(found[0])
                shards.extend(found[1])
                left_out.extend(found[2])
                if not beside:
                    columns.update(found[3])
        if not files and open_:
            raise ProbeError(open_[0].reason, f"nothing of the export can be listed: {vendor_text(open_[0].detail)}")
        order = sorted(files, key=lambda file: (file.beside, file.path))
        left = merged([*left_out, *lost.told()])
        return Listing(tuple(order), tuple(shards), tuple(sorted(columns)), left, tuple(open_))

    def _entries(self, location: str, lost: Lost, open_: list[Unseen]) -> Iterator[Entry]:
        try:
            found = list(_store(location, self).entries(location))
        except ProbeError as error:
            open_.append(Unseen(reason=error.reason, detail=vendor_text(str(error))))
            lost.add("a location that cannot be listed", location, 0)
            return
        if not found:
            lost.add(_REFUSALS["missing"], location, 0)
        for entry in found:
            if entry.refusal is None:
                yield entry
                continue
            lost.add(_REFUSALS[entry.refusal], entry.path, 0)
            if entry.refusal in ("denied", "many"):
                reason = Reason.PERMISSION_DENIED if entry.refusal == "denied" else Reason.OPEN_CENSUS
                open_.append(Unseen(reason=reason, detail=vendor_text(f"{entry.path}: {_REFUSALS[entry.refusal]}")))

    def _surveyed(
        self, entry: Entry, beside: bool, lost: Lost, open_: list[Unseen]
    ) -> tuple[ExportFile, list[Shard], tuple[LeftOut, ...], tuple[str, ...]] | None:
        asked = "auto" if beside else self.source.format
        store = _store(entry.path, self)
        try:
            with _open(store, entry.path, entry.version) as file:
                layout = sniff.layout(entry.path, file) if asked == "auto" else asked
                if layout is None and beside:
                    layout = "text"
                    lost.add("a file beside that is no text: what it holds packed was not searched", entry.path, 0)
                if layout is None:
                    lost.add("a file of no layout that is known: name it as the source's `format`", entry.path, 0)
                    listed = ExportFile(entry.path, entry.size, entry.version, "text", beside)
                    return listed, [], (), ()
                listed = ExportFile(entry.path, entry.size, entry.version, layout, beside)
                if not entry.size:
                    return listed, [], (), ()
                opened = Opened(listed, file, isinstance(store, Disk))
                survey = _reader(layout).survey(opened)
        except ProbeError as error:
            open_.append(Unseen(reason=error.reason, detail=vendor_text(str(error))))
            lost.add("permission denied" if error.reason is Reason.PERMISSION_DENIED else "unreadable", entry.path, 0)
            return None
        except _ERRORS as error:
            lost.add(_why(error, asked), entry.path, 0)
            return ExportFile(entry.path, entry.size, entry.version, "text", beside), [], (), ()
        columns = with_partitions(survey.columns, partitions(entry.path))
        shards = [Shard(_name(listed, start), listed, start, end, columns) for start, end in survey.ranges]
        return listed, shards, survey.left_out, columns

    def read(self, shard: Shard) -> Reading:
        """The rows of a shard. Raises ProbeError when the file is gone, denied, or no longer the one listed: at once,
        and while iterating."""
        store = _store(shard.file.path, self)
        _unchanged(store, shard.file)
        reading = Reading(iter(()))
        reading.batches = self._batches(store, shard, reading)
        return reading

    def _batches(self, store: Store, shard: Shard, reading: Reading) -> Iterator[Batch]:
        with _open(store, shard.file.path, shard.file.version) as file:
            opened = Opened(shard.file, file, isinstance(store, Disk))
            try:
                yield from _batches(shard, _reader(shard.file.layout).read(opened, shard))
            except _ERRORS as error:
                opened.lost.add(_why(error, shard.file.layout), shard.file.path, 0)
            finally:
                reading.left_out.extend(opened.lost.told())
        _unchanged(store, shard.file)

    def digest(self, file: ExportFile) -> str:
        """SHA-256 of the file's bytes as they lie there. Raises ProbeError."""
        digest = hashlib.sha256()
        store = _store(file.path, self)
        _unchanged(store, file)
        with _open(store, file.path, file.version) as opened, _told(file.path):
            while data := opened.read(_CHUNK):
                digest.update(data)
        _unchanged(store, file)
        return digest.hexdigest()

    def raw(self, file: ExportFile) -> Iterator[bytes]:
        """What the file says, for hunting: its bytes, decompressed; of Parquet and Avro the values, a line each. Raises
        ProbeError, also where the rest of it cannot be decompressed."""
        store = _store(file.path, self)
        _unchanged(store, file)
        with _open(store, file.path, file.version) as opened, _told(file.path):
            if file.layout in ("parquet", "avro"):
                yield from self._values(file, opened, store)
            else:
                stream = decompressed(opened)
                while data := stream.read(_CHUNK):
                    yield data
        _unchanged(store, file)

    def _values(self, file: ExportFile, opened: File, store: Store) -> Iterator[bytes]:
        about = Opened(file, opened, isinstance(store, Disk))
        reader = _reader(file.layout)
        survey = reader.survey(about)
        for start, end in survey.ranges:
            for piece in reader.read(about, Shard("", file, start, end, ())):
                for column in piece.rows.columns:
                    yield from _joined(column)
        if left := [*survey.left_out, *about.lost.told()]:
            raise ProbeError(
                Reason.MALFORMED, f"{vendor_text(file.path, 200)}: not all of it can be read: {left[0].why}"
            )


def _joined(column: pa.Array) -> Iterator[bytes]:
    """The values of a column, a newline after each, in pieces of at most 1 MiB."""
    if pa.types.is_null(column.type):
        return
    held = bytearray()
    for value in column.cast(pa.large_binary()).drop_null().to_pylist():
        held += value
        held += b"\n"
        while len(held) >= _CHUNK:
            yield bytes(held[:_CHUNK])
            del held[:_CHUNK]
    yield bytes(held)


def _batches(shard: Shard, pieces: Iterator[Piece]) -> Iterator[Batch]:
    """What a reader makes, numbered, with the partitions' columns."""
    known = frozenset(shard.columns)
    constant = partitions(shard.file.path)
    first = base = 0
    for piece in pieces:
        if piece.numbers is not None:
            numbers = pc.add(piece.numbers, base)
            yield Batch(piece.rows, base, _surprises(piece.rows, known), numbers)
            continue
        rows = extended(piece.rows, constant)
        base = first
        first += rows.num_rows
        surprises = _surprises(rows, known)
        for at in range(0, rows.num_rows, BATCH_ROWS):
            yield Batch(rows if rows.num_rows <= BATCH_ROWS else rows.slice(at, BATCH_ROWS), base + at, surprises)


def _surprises(rows: pa.RecordBatch, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in rows.schema.names if name not in known)


def _store(location: str, export: FilesExport) -> Store:
    """Where a location lies. Raises ProbeError."""
    scheme = location.partition("://")[0] if "://" in location else ""
    if scheme in ("s3", "gs"):
        from probes.fields.read.buckets import bucket_store

        return bucket_store(scheme, export.source, Path(export.base), export.identities, export.once)
    return Disk(export.base)


def _reader(layout: Layout) -> Reader:
    return cast(Reader, _READERS[layout])


@contextmanager
def _open(store: Store, path: str, version: str) -> Iterator[File]:
    """The file that was listed, to be read through one descriptor. Raises ProbeError where what is open is another one
    than what was looked at, be it only for a moment, or changed while it was read."""
    file = store.open(path)
    try:
        _same(store, file, path, version)
        yield file
        _same(store, file, path, version)
    finally:
        file.close()


def _same(store: Store, file: File, path: str, version: str) -> None:
    if (found := store.opened(file, path)) and found != version:
        raise _changed(path)


def _changed(path: str) -> ProbeError:
    words = f"{vendor_text(path, 200)}: it changed since it was listed; scan an export that rests"
    return ProbeError(Reason.CONFLICTING, words)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What goes wrong while bytes are read, as ProbeError."""
    try:
        yield
    except BrokenStreamError as error:
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(path, 200)}: {error}") from None
    except _ERRORS as error:
        raise ProbeError(Reason.UNREACHABLE, f"{vendor_text(path, 200)}: {_why(error, '')}") from None


def _unchanged(store: Store, file: ExportFile) -> None:
    """Raises ProbeError where the file is not the one that was listed."""
    if store.entry(file.path).version != file.version:
        raise _changed(file.path)


def _why(error: Exception, layout: str) -> str:
    """Words of libraries quote what they read: only their kind is told."""
    if isinstance(error, BrokenStreamError):
        return f"{error}: nobody knows how many rows"
    return f"damaged or truncated {layout} file ({type(error).__name__})" if layout else type(error).__name__


def _name(file: ExportFile, start: int) -> str:
    """Unique in the export, at most 200 characters."""
    name = f"{file.path}[{start}]"
    if len(name) <= 200:
        return name
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}…{name[-180:]}"
