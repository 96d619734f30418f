"""A live table through SQLAlchemy: PostgreSQL and SQLite. Read-only transactions, one snapshot each."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON as PG_JSON
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.pool import NullPool

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.files import below, read_regular
from probes.fields.read import rows
from probes.fields.read.lost import Lost
from probes.fields.read.names import MAX_COLUMNS, distinct
from probes.fields.read.seam import BATCH_ROWS, Batch, ExportFile, Listing, Reading, Shard
from probes.fields.subjects import Table

SHARD_ROWS: Final = 100_000
MAX_URL: Final = 4_096
_CHUNK: Final = 1 << 20
_WHOLE: Final = (0, 0)
"""Start and end of the shard of a table that is not split."""
_DENIED: Final = frozenset({"42501", "28P01", "28000"})
"""SQLSTATE: insufficient privilege, invalid password, invalid authorization."""


@dataclass(frozen=True, slots=True)
class TableExport:
    """A table that can be read. Picklable: the URL, which holds a password, is looked up where it is used."""

    source: Table
    base: str

    def listing(self) -> Listing:
        """The table as the one file, ranges of its integer primary key as shards, or one shard where it has none.
        Raises ProbeError."""
        with self._connected() as (connection, table):
            columns = _names(table)
            if len(columns) > MAX_COLUMNS:
                raise ProbeError(Reason.UNSUPPORTED, f"the table has more than {MAX_COLUMNS} columns")
            count = int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            file = ExportFile(self._path(), count, _version(table), "table")
            ranges = _ranges(connection, table, count)
        shards = tuple(Shard(f"{file.path}[{start}]", file, start, end, columns) for start, end in ranges)
        return Listing((file,), shards, tuple(sorted(columns)))

    def read(self, shard: Shard) -> Reading:
        """The rows of a range, in the order of the key, as of one moment. Raises ProbeError."""
        reading = Reading(iter(()))
        reading.batches = self._batches(shard, reading)
        return reading

    def digest(self, file: ExportFile) -> str:
        """SHA-256 over all rows as read in one snapshot, in the order of the key: of each value its length as eight
        bytes (all ones: null) and its bytes. Raises ProbeError."""
        digest = hashlib.sha256()
        with self._connected() as (connection, table):
            self._same(table, file)
            for some in _pages(connection, table, None):
                for row in some:
                    for value in row:
                        content = None if value is None else rows.encoded(_text(value))
                        digest.update(b"\xff" * 8 if content is None else len(content).to_bytes(8, "big"))
                        digest.update(content or b"")
        return digest.hexdigest()

    def raw(self, file: ExportFile) -> Iterator[bytes]:
        """Every value, a newline after each. Raises ProbeError."""
        held = bytearray()
        with self._connected() as (connection, table):
            self._same(table, file)
            for some in _pages(connection, table, None):
                for value in (each for row in some for each in row if each is not None):
                    held += rows.encoded(_text(value)) + b"\n"
                    while len(held) >= _CHUNK:
                        yield bytes(held[:_CHUNK])
                        del held[:_CHUNK]
        yield bytes(held)

    def _batches(self, shard: Shard, reading: Reading) -> Iterator[Batch]:
        lost = Lost()
        first = 0
        known = frozenset(shard.columns)
        try:
            with self._connected() as (connection, table):
                self._same(table, shard.file)
                names, documents = _names(table), _documents(table)
                bounds = _bounds(shard)
                for some in _pages(connection, table, bounds):
                    made = list(_made(names, documents, some, f"{shard.name}:row", first, lost))
                    if not made:
                        continue
                    batch = rows.batch(made)
                    yield Batch(batch, first, _surprises(batch, known))
                    for more, numbers in rows.further(made, range(first, first + len(made))):
                        yield Batch(more, first, _surprises(more, known), numbers)
                    first += len(made)
        finally:
            reading.left_out.extend(lost.told())

    def _same(self, table: sa.Table, file: ExportFile) -> None:
        if _version(table) != file.version:
            raise ProbeError(Reason.CONFLICTING, f"{file.path}: its columns changed since it was listed")

    def _path(self) -> str:
        return f"{self.source.schema_}.{self.source.table}" if self.source.schema_ else self.source.table

    @contextmanager
    def _connected(self) -> Iterator[tuple[Connection, sa.Table]]:
        """A read-only transaction and the table as it is. Raises ProbeError, which never holds the URL."""
        engine = _engine(self._url(), Path(self.base))
        try:
            with engine.connect() as connection:
                table = sa.Table(self.source.table, sa.MetaData(), schema=self.source.schema_, autoload_with=connection)
                yield connection, table
        except sa.exc.NoSuchTableError:
            raise ProbeError(Reason.UNREACHABLE, f"no table {self._path()} is there, or it is hidden from us") from None
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            state = getattr(getattr(error, "orig", None), "sqlstate", None)
            reason = Reason.PERMISSION_DENIED if state in _DENIED else Reason.UNREACHABLE
            kind = type(getattr(error, "orig", None) or error).__name__
            raise ProbeError(
                reason, f"table {self._path()}: the database refuses or does not answer ({kind})"
            ) from None
        finally:
            engine.dispose()

    def _url(self) -> URL:
        kind, _, where = self.source.url.partition(":")
        what = f"the table's url {vendor_text(self.source.url, 100)}:"
        if kind == "env":
            text = os.environ.get(where, "")
        else:
            path = below(what, Path(self.base), where)
            text = read_regular(what, path, MAX_URL).decode("utf-8", "replace").strip()
        try:
            return make_url(text)
        except (sa.exc.ArgumentError, ValueError):
            raise ProbeError(
                Reason.PERMISSION_DENIED, f"{what} no URL is there such as postgresql+psycopg://USER:PASSWORD@HOST/NAME"
            ) from None


def _engine(url: URL, base: Path) -> Engine:
    match url.get_backend_name():
        case "sqlite" if url.database:
            path = quote(str((base / url.database).absolute()))

            def connect() -> sqlite3.Connection:
                connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)
                connection.text_factory = _lenient
                return connection

            return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)
        case "postgresql":
            try:
                return sa.create_engine(
                    url.set(drivername="postgresql+psycopg"),
                    poolclass=NullPool,
                    isolation_level="REPEATABLE READ",
                    connect_args={
                        "connect_timeout": 10,
                        "options": "-c default_transaction_read_only=on -c timezone=UTC -c datestyle=ISO "
                        "-c bytea_output=hex -c extra_float_digits=3",
                    },
                )
            except ImportError:
                raise ProbeError(
                    Reason.TOOL_MISSING, "PostgreSQL needs its driver: install keycheck[postgres]"
                ) from None
        case other:
            raise ProbeError(
                Reason.UNSUPPORTED, f"{vendor_text(other, 40)} is not read: name a PostgreSQL or SQLite database"
            )


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _names(table: sa.Table) -> tuple[str, ...]:
    return distinct(column.name for column in table.columns)


def _version(table: sa.Table) -> str:
    shape = "\0".join(f"{column.name}\0{column.type!r}" for column in table.columns)
    return hashlib.sha256(shape.encode("utf-8", "surrogateescape")).hexdigest()


def _documents(table: sa.Table) -> tuple[bool, ...]:
    """Which columns hold JSON, once they are read as text."""
    return tuple(isinstance(column.type, sa.JSON | PG_JSON | sa.ARRAY) for column in table.columns)


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _read_as(connection: Connection, column: sa.Column[object]) -> sa.ColumnElement[object]:
    """A column as bytes or text, as the database itself writes it: no driver's idea of a date, a number or a document
    comes between."""
    if not _is_postgres(connection):
        return cast("sa.ColumnElement[object]", sa.type_coerce(column, sa.types.NullType()))
    if isinstance(column.type, sa.LargeBinary):
        return column
    if isinstance(column.type, sa.ARRAY):
        return cast("sa.ColumnElement[object]", sa.cast(sa.func.to_json(column), sa.Text))
    if isinstance(column.type, sa.DateTime):
        form = 'YYYY-MM-DD"T"HH24:MI:SS.US' + ('"Z"' if column.type.timezone else "")
        finite = sa.func.to_char(column, form)
        return cast(
            "sa.ColumnElement[object]",
            sa.case((sa.func.isfinite(column), finite), else_=sa.cast(column, sa.Text)),
        )
    return cast("sa.ColumnElement[object]", sa.cast(column, sa.Text))


def _order(connection: Connection, table: sa.Table) -> list[sa.ColumnElement[object]]:
    """A total order that is the same each time while nothing is written."""
    if key := list(table.primary_key.columns):
        return list(key)
    if _is_postgres(connection) and table.name in sa.inspect(connection).get_table_names(table.schema):
        return [sa.literal_column("ctid")]
    return [_read_as(connection, column) for column in table.columns]


def _pages(
    connection: Connection, table: sa.Table, bounds: tuple[int, int] | None
) -> Iterator[Sequence[Sequence[object]]]:
    """All rows, or those of a range of the key, in their order."""
    query = sa.select(*(_read_as(connection, column).label(f"c{n}") for n, column in enumerate(table.columns)))
    query = query.order_by(*_order(connection, table)).select_from(table)
    if bounds is not None:
        (key,) = table.primary_key.columns
        query = query.where(key >= bounds[0], key < bounds[1])
    result = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(query)
    for page in result.partitions(BATCH_ROWS):
        yield cast(Sequence[Sequence[object]], page)


def _ranges(connection: Connection, table: sa.Table, count: int) -> tuple[tuple[int, int], ...]:
    """Ranges of an integer key; `_WHOLE` where there is no such key."""
    key = list(table.primary_key.columns)
    if not count:
        return ()
    if len(key) == 1 and isinstance(key[0].type, sa.Integer) and count > SHARD_ROWS:
        low, high = connection.execute(sa.select(sa.func.min(key[0]), sa.func.max(key[0])).select_from(table)).one()
        if isinstance(low, int) and isinstance(high, int) and -(2**62) < low <= high < 2**62:
            inside = sa.select(sa.func.count()).select_from(table).where(key[0] >= low, key[0] < high + 1)
            if connection.execute(inside).scalar_one() == count:
                pieces = -(-count // SHARD_ROWS)
                step = -(-(high + 1 - low) // pieces)
                return tuple((start, min(start + step, high + 1)) for start in range(low, high + 1, step))
    return (_WHOLE,)


def _bounds(shard: Shard) -> tuple[int, int] | None:
    """The range of the key that a shard means; None for everything."""
    return None if (shard.start, shard.end) == _WHOLE else (shard.start, shard.end)


def _text(value: object) -> rows.Text:
    return value if isinstance(value, str | bytes) else str(value)


def _made(
    names: Sequence[str],
    documents: Sequence[bool],
    some: Sequence[Sequence[object]],
    place: str,
    first: int,
    lost: Lost,
) -> Iterator[rows.Row]:
    for number, values in enumerate(some, first):
        record: dict[str, object] = {}
        try:
            for name, document, value in zip(names, documents, values, strict=True):
                record[name] = rows.document(value) if document and isinstance(value, str) else value
            row = rows.flat(record)
        except rows.BadRowError as error:
            lost.add(str(error), f"{place} {number}")
            continue
        rows.bound(row, lost, f"{place} {number}")
        yield row


def _surprises(batch: pa.RecordBatch, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in batch.schema.names if name not in known)
