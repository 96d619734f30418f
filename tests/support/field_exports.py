"""Exports made at test time, and a probe's run on them without a contract around it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet

from keycheck.engines import engine
from keycheck.model.deployment import HERE, SubjectEntry
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.plan import Task
from keycheck.run import Engine, Recorded
from keycheck.units import Advance
from probes.fields.observe import ColumnProbe
from probes.fields.subjects import Dataset


def made(path: Path, rows: int, group: int) -> None:
    """A Parquet file: `id`, `token` (Fernet), `note` (text)."""
    key = Fernet(Fernet.generate_key())
    tokens = [key.encrypt(f"value {row}".encode()) for row in range(rows)]
    notes = ["called back" if row % 7 else f"write to anna.peeters{row}@example.org" for row in range(rows)]
    table = pa.table({"id": [f"r{row}" for row in range(rows)], "token": tokens, "note": notes})
    pq.write_table(table, path, row_group_size=group)


def dataset(file: str, **more: object) -> Dataset:
    """Its field map."""
    return Dataset.model_validate(
        {
            "id": "export",
            "source": {"kind": "files", "files": [file]},
            "origin": {"made_by": "customer", "method": "made at test time"},
            "fields": [
                {"column": "id", "class": "none"},
                {"column": "token", "class": "secret", "format": "fernet"},
                {"column": "note", "class": "none"},
            ],
            **more,
        }
    )


def no_dns(host: str, seconds: float) -> tuple[str, ...]:
    return ()


def now() -> datetime:
    return datetime.now(UTC)


def fixed(size: int) -> bytes:
    """The randomness of every worker: the same, so that two runs can be compared."""
    return bytes(range(size))


def observed(
    subject: Dataset, base: Path, workers: str = "processes:2", told: Callable[[Advance], None] | None = None
) -> tuple[Recorded, ...]:
    """Everything that the probe records, in order."""
    entry = SubjectEntry(
        id=f"datasets/{subject.id}",
        vantages=("here",),
        body=CanonicalJson.of(subject.model_dump(mode="json", by_alias=True)),
    )
    task = Task(ColumnProbe(), subject, entry, "here", (), 1)
    io = Io(HERE, 0.0, (), 1, frozenset(), base, dict[str, str](), no_dns, now, fixed)
    with engine(workers) as there:
        run = Engine(
            there.factory,
            workers=16,
            clock=now,
            stop=Event(),
            processes=there.processes,
            told=told or (lambda advance: None),
        )
        return tuple(run.run([task], lambda _: io))


def columns(recorded: tuple[Recorded, ...]) -> Mapping[str | None, Facts | Unseen]:
    """What was concluded, by part."""
    return {each.observed.part: each.observed.facts for each in recorded}


def pids() -> Iterator[int]:
    """Worker processes of this one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and b"spawn_main" in line:
                yield int(entry.name)
