"""Exports and environments made to exhaust, to mislead, or to slip something past: none of it may go unsaid."""

from __future__ import annotations

import io
import json
import lzma
import os
import pickle
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet
from field_exports import columns, dataset, made, observed

from keycheck.errors import ProbeError
from keycheck.model.facts import Facts, Unseen
from keycheck.model.once import Once
from keycheck.model.verdict import Kind
from probes.fields.facts import ColumnFacts, LeftOut
from probes.fields.leak_controls import Plaintext
from probes.fields.read import avro, jsonarray, parquet, rows
from probes.fields.read.buckets import bucket_store
from probes.fields.read.export import FilesExport
from probes.fields.read.layouts import Opened
from probes.fields.read.lines import Positions
from probes.fields.read.seam import ExportFile, Shard
from probes.fields.scan import gathering
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering
from probes.fields.scan.result import ColumnResult, ShardResult
from probes.fields.scan.seam import ColumnPlan, ScanPlan
from probes.fields.scan.tallies import Distinct
from probes.fields.subjects import Files, Limits

LINES = b"".join(b'{"id":"r%d","token":"x"}\n' % row for row in range(100))
HIDDEN = b"".join(b'{"id":"h%d","token":"anna.peeters%d@example.org"}\n' % (row, row) for row in range(500))
PERSONAL = b"".join(b"anna.peeters%d@example.org called\n" % row for row in range(1000))


def export(folder: Path, name: str) -> FilesExport:
    return FilesExport(Files(kind="files", files=(name,)), (), str(folder), ())


def read(source: FilesExport) -> tuple[int, tuple[LeftOut, ...]]:
    """Rows, and what is said to be left out."""
    listing = source.listing()
    left, count = list(listing.left_out), 0
    for shard in listing.shards:
        reading = source.read(shard)
        count += sum(batch.rows.num_rows for batch in reading.batches if batch.numbers is None)
        left += reading.left_out
    return count, tuple(left)


def plan(*names: str) -> ScanPlan:
    return ScanPlan(
        columns=tuple(ColumnPlan(name, "unmapped") for name in names),
        row=(),
        tenant=None,
        written=None,
        limits=Limits(),
        key=bytes(32),
        canaries=(),
    )


# Nothing is left out in silence


@pytest.mark.parametrize(
    "behind", [HIDDEN, b"\0" * 3 + lzma.compress(HIDDEN), b"\0" * 512 + HIDDEN], ids=["plain", "misaligned", "padded"]
)
def test_what_follows_an_xz_stream_is_read_or_told(tmp_path: Path, behind: bytes) -> None:
    (tmp_path / "e.ndjson.xz").write_bytes(lzma.compress(LINES) + behind)

    count, left = read(export(tmp_path, "e.ndjson.xz"))

    assert count == 600 or left


def test_streams_and_padding_of_xz_are_all_read(tmp_path: Path) -> None:
    whole = lzma.compress(LINES) + b"\0" * 8 + lzma.compress(b"") + lzma.compress(HIDDEN)
    (tmp_path / "e.ndjson.xz").write_bytes(whole)

    assert read(export(tmp_path, "e.ndjson.xz")) == (600, ())


def judged_beside(folder: Path, name: str) -> Kind:
    """Of a file beside the export, once a hunt found nothing in it."""
    made(folder / "e.parquet", 20, 20)
    facts: Facts | Unseen = columns(observed(dataset("e.parquet", beside=[name]), folder, "threads"))[f"file:{name}"]
    assert isinstance(facts, ColumnFacts)
    sought = facts.hunt.model_copy(update={"truths": 5})
    return Plaintext().judge(facts.model_copy(update={"hunt": sought})).kind


def test_an_archive_beside_the_export_never_passes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.log", PERSONAL)

    assert judged_beside(tmp_path, "log.zip") is not Kind.PASS


def test_a_log_that_is_compressed_twice_never_passes(tmp_path: Path) -> None:
    (tmp_path / "log.gz.xz").write_bytes(lzma.compress(zlib_gzip(PERSONAL)))

    assert judged_beside(tmp_path, "log.gz.xz") is not Kind.PASS


def zlib_gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def test_a_file_whose_times_were_put_back_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("a,b\n1,2\n")
    source = export(tmp_path, "e.csv")
    (shard,) = source.listing().shards
    before = path.stat()
    with path.open("r+") as file:
        file.write("a,b\n9,9\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(ProbeError, match="changed since"):
        list(source.read(shard).batches)


# Hosts


@pytest.mark.parametrize("name", ["CLOUD_STORAGE_EMULATOR_ENDPOINT", "CLOUD_STORAGE_TESTBENCH_ENDPOINT"])
def test_the_environment_does_not_lead_google_clients_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    source = Files(kind="files", files=("gs://bucket/x",), endpoint="http://127.0.0.1:10")

    with pytest.raises(ProbeError, match=name):
        bucket_store("gs", source, tmp_path, (), Once())


# Memory


def opened(path: Path) -> Opened:
    file = pa.OSFile(str(path), "rb")
    return Opened(ExportFile(str(path), file.size(), "", "parquet"), file, local=True)


def rows_at_once(path: Path) -> int:
    there = opened(path)
    return parquet._batch_rows(there, pq.ParquetFile(there.file).metadata.row_group(0))


def test_parquet_values_that_repeat_their_prefix_do_not_fill_the_memory(tmp_path: Path) -> None:
    size, path = 300_000, tmp_path / "e.parquet"
    table = pa.table({"a": pa.array([b"x" * size] * 50, pa.large_binary())})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}, compression="zstd")

    assert rows_at_once(path) * size <= parquet.BATCH_BYTES


def test_a_parquet_dictionary_of_long_fixed_values_does_not_fill_the_memory(tmp_path: Path) -> None:
    size, path = 300_000, tmp_path / "e.parquet"
    pq.write_table(pa.table({"a": pa.array([b"x" * size] * 50, pa.binary(size))}), path, compression="zstd")

    assert rows_at_once(path) * size <= parquet.BATCH_BYTES


def test_a_parquet_row_of_a_list_without_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    values = pa.array(np.ones(parquet.MOST_ELEMENTS + 1, np.int8))
    pq.write_table(pa.table({"a": pa.ListArray.from_arrays([0, len(values)], values)}), path)

    _, left = read(export(tmp_path, "e.parquet"))

    assert path.stat().st_size < 20_000
    assert [each.why for each in left] == ["row group with more than 16,000,000 elements of lists"]


@pytest.mark.parametrize("inner", [dict.fromkeys(map(str, range(1000)), "v"), ["v"] * 1000], ids=["object", "list"])
def test_a_long_name_above_many_members_does_not_fill_the_memory(inner: object) -> None:
    record = {"a" * 100_000: inner}
    tracemalloc.start()
    try:
        rows.flat(record)
    except rows.BadRowError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 20_000_000


def zigzag(number: int) -> bytes:
    value, out = number << 1, b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def avro_file(schema: object, count: int, body: bytes) -> bytes:
    text, packer = json.dumps(schema).encode(), zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(body) + packer.flush()
    about = [b"avro.schema", text, b"avro.codec", b"deflate"]
    head = b"Obj\x01" + zigzag(2) + b"".join(zigzag(len(each)) + each for each in about) + zigzag(0)
    return head + b"S" * 16 + zigzag(count) + zigzag(len(packed)) + packed + b"S" * 16


def test_an_avro_block_is_not_held_as_rows_all_at_once(tmp_path: Path) -> None:
    count = 60_000
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "string"]}]}
    (tmp_path / "e.avro").write_bytes(avro_file(schema, count, bytes(count)))
    source = export(tmp_path, "e.avro")
    listing = source.listing()
    tracemalloc.start()
    try:
        next(iter(source.read(listing.shards[0]).batches))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8_000_000


def test_the_result_of_a_small_shard_is_small(tmp_path: Path) -> None:
    key = Fernet(Fernet.generate_key())
    (tmp_path / "e.csv").write_bytes(b"a,b\n" + b"".join(key.encrypt(b"x") + b",1\n" for _ in range(10)))
    source = export(tmp_path, "e.csv")

    result = scan_shard(source, source.listing().shards[0], plan("a", "b"))

    assert len(pickle.dumps(result)) < 64 << 10


# Time


class CountedSchema(avro._Schema):
    """Counts what is looked at."""

    looks = 0

    def _takes(self, schema: object, path: str, space: str, depth: int = 0) -> bool:
        self.looks += 1
        return super()._takes(schema, path, space, depth)


def test_an_avro_schema_that_doubles_is_refused_before_it_is_walked() -> None:
    schema: dict[str, object] = {"type": "record", "name": "r0", "fields": [{"name": "a", "type": "string"}]}
    for level in range(1, 15):
        below = {"name": "b", "type": f"r{level - 1}"}
        schema = {"type": "record", "name": f"r{level}", "fields": [{"name": "a", "type": schema}, below]}
    counted = CountedSchema()

    with pytest.raises(ValueError, match="columns"):
        counted.check(schema)

    assert counted.looks < 10_000


def test_many_small_arrays_are_split_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e.json").write_bytes(b"[{}]" * 500)
    looked = 0
    split = jsonarray._split

    def counted(data: bytes, in_array: bool) -> tuple[Positions, Positions, int, bool]:
        nonlocal looked
        looked += len(data)
        return split(data, in_array)

    monkeypatch.setattr(jsonarray, "_split", counted)

    assert read(export(tmp_path, "e.json")) == (500, ())
    assert looked < 50 * 2_000


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reasons that gathering makes."""
    reasons: list[str] = []

    def counted(**fields: object) -> LeftOut:
        reasons.append(str(fields["why"]))
        return LeftOut.model_validate(fields)

    monkeypatch.setattr(gathering, "LeftOut", counted)
    return reasons


def test_columns_that_nobody_expected_are_told_once(tmp_path: Path, told: list[str]) -> None:
    gathered = Gathering(plan("a"), ("a",), tmp_path)
    for number in range(10):
        file = ExportFile(f"f{number}", 1, "", "ndjson")
        found = tuple(ColumnResult(f"x{index}") for index in range(100))
        result = ShardResult(f"f{number}[0]", 1, found, (), Distinct(), frozenset(), (), "")
        gathered.add(Shard(result.shard, file, 0, 1, ("a",)), result)

    assert len(told) <= 100


def test_depth_and_length_cost_a_line_only(tmp_path: Path) -> None:
    lines = [b'{"a":' * 1_000_000, b"[" * 1_000_000, b'{"a":"' + b"x" * (17 << 20) + b'"}', b'{"a":"1"}']
    (tmp_path / "e.ndjson").write_bytes(b"\n".join(lines) + b"\n")

    count, left = read(export(tmp_path, "e.ndjson"))

    assert count == 1
    assert sum(each.rows for each in left) == 3


def test_numbers_beyond_every_clock_are_told_or_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    instants = pa.array(np.array([-(2**63) + 1, 2**63 - 1, 0]), pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"a": instants, "b": ["x", "y", "z"]}), out)
    (tmp_path / "e.parquet").write_bytes(out.getvalue())

    count, left = read(export(tmp_path, "e.parquet"))

    assert count + sum(each.rows for each in left) == 3
