"""Contacts, and the file that holds them: sensitive columns as sealed bytes, the others in the clear."""

from __future__ import annotations

import base64
import csv
import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from keycheck.lab.crm.envelope import Context, CrmError

SENSITIVE = ("name", "email", "phone", "iban", "notes")
"""Fields that the contract classes as sensitive, in the order of their columns."""
CLEAR = ("tenant", "id", "country")
LONGEST_FIELD = 4_096
"""Characters."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MOST_LISTED = 1_000


class NoSuchContact(CrmError):  # noqa: N818  an answer, rather than a fault
    """The tenant has no contact of this id."""

    def __init__(self) -> None:
        super().__init__("no such contact", advice="list the tenant's contacts")


class InvalidContactError(CrmError, ValueError):
    """A contact that cannot be stored; the message names the field and never its value."""

    def __init__(self, message: str) -> None:
        super().__init__(message, advice="correct the field and send the contact again")


@dataclass(frozen=True, slots=True)
class Contact:
    """One person, in the clear. Only ids show in its repr."""

    tenant: str
    id: str
    name: str = field(repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    iban: str = field(default="", repr=False)
    notes: str = field(default="", repr=False)
    country: str = field(default="BE", repr=False)

    def __post_init__(self) -> None:
        for place in ("tenant", "id"):
            named(getattr(self, place), place)
        if not _COUNTRY.fullmatch(self.country):
            raise InvalidContactError("country must be two capital letters")
        for place in SENSITIVE:
            value: object = getattr(self, place)
            if not isinstance(value, str) or len(value) > LONGEST_FIELD:
                raise InvalidContactError(f"{place} must be text of at most {LONGEST_FIELD} characters")
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                raise InvalidContactError(f"{place} holds half of a surrogate pair")
        if not self.name:
            raise InvalidContactError("name must not be empty")


def named(value: object, place: str) -> str:
    """``value`` if it can be an id. Raise InvalidContactError."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidContactError(f"{place} must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
    return value


def record_context(tenant: str, record: str, place: str) -> Context:
    """What the honest vendor binds each sealed field to: tenant, record and field."""
    return {"tenant": tenant, "record": record, "field": place}


@dataclass(frozen=True, slots=True)
class Row:
    """One record as stored. A value of ``values`` is sealed bytes, or text where the vendor left it in the clear."""

    tenant: str
    id: str
    country: str
    values: Mapping[str, bytes | str] = field(repr=False)


class Store:
    """A SQLite file in WAL mode. Safe between threads, and between processes that open the same file.

    Raise sqlite3.Error when the file cannot be used: an outage, never to be taken for a withheld key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.execute("PRAGMA secure_delete=ON")
        sealed = ", ".join(f"{name} BLOB NOT NULL" for name in SENSITIVE)
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS contacts (tenant TEXT NOT NULL, id TEXT NOT NULL, country TEXT NOT NULL, "
            f"{sealed}, PRIMARY KEY (tenant, id)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Write everything into the one file and close it."""
        with self._lock:
            self._file.close()

    def put(self, row: Row) -> None:
        """Add or replace."""
        columns = (*CLEAR, *SENSITIVE)
        values = (row.tenant, row.id, row.country, *(row.values[name] for name in SENSITIVE))
        marks = ", ".join("?" * len(columns))
        with self._lock:
            self._file.execute(f"INSERT OR REPLACE INTO contacts ({', '.join(columns)}) VALUES ({marks})", values)

    def get(self, tenant: str, record: str) -> Row:
        """One record. Raise NoSuchContact."""
        for row in self._rows("WHERE tenant = ? AND id = ?", (tenant, record)):
            return row
        raise NoSuchContact

    def list(self, tenant: str, *, after: str = "", limit: int = 100) -> tuple[Row, ...]:
        """The tenant's records in the order of their ids, behind ``after``; at most 1000."""
        most = max(0, min(limit, _MOST_LISTED))
        return self._rows("WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", (tenant, after, most))

    def delete(self, tenant: str, record: str) -> None:
        """Remove one record. Raise NoSuchContact."""
        with self._lock:
            gone = self._file.execute("DELETE FROM contacts WHERE tenant = ? AND id = ?", (tenant, record)).rowcount
        if not gone:
            raise NoSuchContact

    def export_csv(self, tenant: str, out: TextIO, record: str | None = None) -> int:
        """Rows as stored, or one of them, sealed bytes in base64. Gives how many."""
        writer = csv.DictWriter(out, (*CLEAR, *SENSITIVE), lineterminator="\n")
        writer.writeheader()
        count = 0
        for line in self._lines(tenant, record):
            writer.writerow(line)
            count += 1
        return count

    def export_ndjson(self, tenant: str, out: TextIO, record: str | None = None) -> int:
        """Rows as stored, or one of them, sealed bytes in base64. Gives how many."""
        count = 0
        for line in self._lines(tenant, record):
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
        return count

    def _lines(self, tenant: str, record: str | None) -> Iterator[dict[str, str]]:
        if record is not None:
            yield _line(self.get(tenant, record))
            return
        after = ""
        while rows := self.list(tenant, after=after, limit=_MOST_LISTED):
            yield from map(_line, rows)
            after = rows[-1].id

    def _rows(self, where: str, values: tuple[str | int, ...]) -> tuple[Row, ...]:
        with self._lock, closing(self._file.cursor()) as cursor:
            found = cursor.execute(f"SELECT {', '.join((*CLEAR, *SENSITIVE))} FROM contacts {where}", values).fetchall()
        return tuple(
            Row(tenant, record, country, dict(zip(SENSITIVE, rest, strict=True)))
            for tenant, record, country, *rest in found
        )


def _line(row: Row) -> dict[str, str]:
    sealed = {name: _written(row.values[name]) for name in SENSITIVE}
    return {"tenant": row.tenant, "id": row.id, "country": row.country, **sealed}


def _written(value: bytes | str) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode("ascii")
