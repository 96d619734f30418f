"""Exports written and read again, for the tests of readers."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from probes.fields.read.export import open_export
from probes.fields.read.seam import Batch, Export
from probes.fields.subjects import Dataset

Value = str | bytes | None


def dataset(*files: str, beside: Sequence[str] = (), **source: object) -> Dataset:
    return Dataset.model_validate(
        {
            "id": "crm",
            "source": {"kind": "files", "files": list(files), **source},
            "beside": list(beside),
            "origin": {"made_by": "vendor", "method": "console"},
        }
    )


def opened(base: Path, *files: str, **source: object) -> Export:
    export = open_export(dataset(*files, **source), base, (), {})
    return pickle.loads(pickle.dumps(export))


def batches(export: Export) -> Iterable[Batch]:
    for shard in export.listing().shards:
        first = 0
        for batch in export.read(shard).batches:
            for column in batch.rows.columns:
                column.validate(full=True)
                assert column.type in (pa.large_string(), pa.large_binary(), pa.null())
            if batch.numbers is None:
                assert batch.first == first
                assert batch.rows.num_rows <= 8192
                first += batch.rows.num_rows
            assert set(batch.rows.schema.names) - set(batch.surprises) <= set(shard.columns)
            yield batch


def table(export: Export) -> list[dict[str, Value]]:
    return [
        {name: value for name, value in row.items() if value is not None}
        for batch in batches(export)
        if batch.numbers is None
        for row in batch.rows.to_pylist()
    ]


def left_out(export: Export) -> dict[str, int]:
    """Rows by reason: of the listing and of all shards."""
    listing = export.listing()
    found = {each.why: each.rows for each in listing.left_out}
    for shard in listing.shards:
        reading = export.read(shard)
        for _ in reading.batches:
            pass
        for each in reading.left_out:
            assert each.places
            found[each.why] = found.get(each.why, 0) + each.rows
    return found


def without_nulls(rows: Iterable[Mapping[str, Value]]) -> list[dict[str, Value]]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def as_csv(rows: Sequence[Mapping[str, Value]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_copy(rows: Sequence[Mapping[str, Value]]) -> bytes:
    """PostgreSQL's COPY ... WITH (FORMAT text, HEADER)."""

    def field(value: Value) -> str:
        if value is None:
            return "\\N"
        return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")

    lines = ["\t".join(rows[0])] + ["\t".join(field(value) for value in row.values()) for row in rows]
    return ("\n".join(lines) + "\n\\.\n").encode()


def as_ndjson(rows: Sequence[Mapping[str, object]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
