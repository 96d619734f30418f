"""Every layout and compression gives back the rows that were written; what is no file is counted, with its place."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from field_reading import (
    Value,
    as_copy,
    as_csv,
    as_ndjson,
    batches,
    dataset,
    left_out,
    opened,
    table,
    without_nulls,
)

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.fields.read.export import open_export
from probes.fields.read.places import Disk
from probes.fields.read.seam import Export, Listing

ROWS = [
    {
        "id": str(number),
        "tenant": f"t{number % 3}",
        "email": None if number % 7 == 0 else f'v,"\\ü{number}\u2028\n',
        "plain": "" if number % 5 == 0 else "x" * (number % 40),
    }
    for number in range(300)
]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: _arrow("zstd", data),
    "lz4": lambda data: _arrow("lz4", data),
}


def _arrow(codec: str, data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("layout", ["ndjson", "json", "pretty", "csv", "tsv"])
def test_text_layouts_round_trip(tmp_path: Path, layout: str, packed: str) -> None:
    data = {
        "ndjson": lambda: as_ndjson(ROWS),
        "json": lambda: json.dumps(ROWS).encode(),
        "pretty": lambda: b"\n".join(json.dumps(row, indent=2).encode() for row in ROWS),
        "csv": lambda: as_csv(ROWS),
        "tsv": lambda: as_copy(ROWS),
    }[layout]()
    name = f"part.{layout.replace('pretty', 'json')}"
    (tmp_path / name).write_bytes(PACK[packed](data))
    export = opened(tmp_path, name)
    wanted = without_nulls(ROWS)
    if layout == "csv":
        wanted = [{name: value or "" for name, value in row.items()} for row in ROWS]
    assert table(export) == wanted
    assert left_out(export) == {}
    assert export.listing().columns == tuple(sorted(ROWS[0]))
    assert b"".join(export.raw(export.listing().files[0])) == data


def test_two_gzip_members_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(as_ndjson(ROWS[:9])) + gzip.compress(as_ndjson(ROWS[9:])))
    assert table(opened(tmp_path, "a.ndjson.gz")) == without_nulls(ROWS)


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip", "lz4", "brotli"])
def test_parquet_round_trips(tmp_path: Path, codec: str) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet", compression=codec, row_group_size=70)
    export = opened(tmp_path, "a.parquet")
    assert table(export) == without_nulls(ROWS)
    assert left_out(export) == {}


def test_small_row_groups_are_read_together_and_large_ones_alone(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "small.parquet", row_group_size=10)
    large = pa.table({"a": [os.urandom(1 << 20) for _ in range(50)]})
    pq.write_table(large, tmp_path / "large.parquet", row_group_size=20)
    shards = opened(tmp_path, "*.parquet").listing().shards
    assert [(shard.file.path, shard.start, shard.end) for shard in shards] == [
        ("large.parquet", 0, 1),
        ("large.parquet", 1, 3),
        ("small.parquet", 0, 30),
    ]


NESTED = [
    {"a": {"b": "x", "c": None}, "l": ["1", "2", None, "3"], "s": [{"k": "p"}, {"k": "q"}], "m": [["u"], ["v", "w"]]},
    {"a": None, "l": [], "s": None, "m": [[], ["z"]]},
    {"a": {"b": "y", "c": "c"}, "l": ["4"], "s": [{"k": "r"}], "m": None},
]
FLAT = [
    {"a.b": "x", "l[]": "1", "s[].k": "p", "m[][]": "u"},
    {"m[][]": "z"},
    {"a.b": "y", "a.c": "c", "l[]": "4", "s[].k": "r"},
]
FURTHER = {("l[]", 0, "2"), ("l[]", 0, "3"), ("s[].k", 0, "q"), ("m[][]", 0, "v"), ("m[][]", 0, "w")}


def _further(export: Export) -> set[tuple[str, int, Value]]:
    return {
        (name, number, value)
        for batch in batches(export)
        if batch.numbers is not None
        for name in batch.rows.schema.names
        for number, value in zip(batch.numbers.to_pylist(), batch.rows[name].to_pylist(), strict=True)
    }


@pytest.mark.parametrize("layout", ["parquet", "ndjson", "avro"])
def test_nested_columns_are_paths_and_no_element_of_a_list_is_lost(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a"
    if layout == "parquet":
        pq.write_table(pa.Table.from_pylist(NESTED), path)
    elif layout == "ndjson":
        path.write_bytes(as_ndjson(NESTED))
    else:
        text = ["null", "string"]
        record = {
            "type": "record",
            "name": "R",
            "fields": [
                {
                    "name": "a",
                    "type": [
                        "null",
                        {
                            "type": "record",
                            "name": "A",
                            "fields": [{"name": "b", "type": text}, {"name": "c", "type": text}],
                        },
                    ],
                },
                {"name": "l", "type": ["null", {"type": "array", "items": text}]},
                {
                    "name": "s",
                    "type": [
                        "null",
                        {
                            "type": "array",
                            "items": {"type": "record", "name": "S", "fields": [{"name": "k", "type": "string"}]},
                        },
                    ],
                },
                {
                    "name": "m",
                    "type": ["null", {"type": "array", "items": {"type": "array", "items": "string"}}],
                },
            ],
        }
        with path.open("wb") as out:
            fastavro.writer(out, record, NESTED)
    export = opened(tmp_path, "a")
    assert table(export) == FLAT
    assert _further(export) == FURTHER
    assert left_out(export) == {}


def test_parquet_types_become_text_as_json_writes_it(tmp_path: Path) -> None:
    written = pa.table(
        {
            "int": [12345678901],
            "bool": [True],
            "double": [0.1],
            "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)], pa.timestamp("us", "Europe/Berlin")),
            "day": pa.array([19000], pa.date32()),
            "uuid": pa.array([bytes(range(16))], pa.uuid()),
            "bytes": pa.array([b"\xff\0"], pa.binary(2)),
            "dict": pa.array(["a"]).dictionary_encode(),
            "map": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
            "none": pa.nulls(1),
        }
    )
    pq.write_table(written, tmp_path / "a.parquet")
    assert table(opened(tmp_path, "a.parquet")) == [
        {
            "int": "12345678901",
            "bool": "true",
            "double": "0.1",
            "at": "2026-01-02T03:04:05.600000Z",
            "day": "2022-01-08",
            "uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "bytes": b"\xff\0",
            "dict": "a",
            "map[].key": "k",
            "map[].value": "v",
        }
    ]


def test_columns_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"email,email,a.b\ncipher,plain,x\n")
    assert table(opened(tmp_path, "a.csv")) == [{"email": "cipher", "email#2": "plain", "a.b": "x"}]
    twice = pa.Table.from_arrays([pa.array(["c"]), pa.array(["p"])], names=["email", "email"])
    pq.write_table(twice, tmp_path / "a.parquet")
    assert table(opened(tmp_path, "a.parquet")) == [{"email": "c", "email#2": "p"}]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_avro_round_trips(tmp_path: Path, codec: str) -> None:
    fields = [{"name": name, "type": ["null", "string", "bytes"]} for name in ROWS[0]]
    with (tmp_path / "a.avro").open("wb") as out:
        fastavro.writer(out, {"type": "record", "name": "R", "fields": fields}, ROWS, codec=codec, sync_interval=999)
    export = opened(tmp_path, "a.avro")
    assert table(export) == without_nulls(ROWS)
    assert left_out(export) == {}
    assert b"t0" in b"".join(export.raw(export.listing().files[0]))


def test_avro_blocks_of_codecs_that_fastavro_lacks(tmp_path: Path) -> None:
    import zlib

    schema = b'{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}'
    body = b"\x06abc" * 5
    packed = {
        b"snappy": pa.Codec("snappy").compress(body, asbytes=True) + zlib.crc32(body).to_bytes(4, "big"),
        b"zstandard": _arrow("zstd", body),
    }
    for codec, data in packed.items():
        head = b"Obj\x01\x04\x16avro.schema" + bytes([len(schema) * 2 & 127 | 128, len(schema) * 2 >> 7]) + schema
        head += b"\x14avro.codec" + bytes([len(codec) * 2]) + codec + b"\0" + b"s" * 16
        (tmp_path / "a.avro").write_bytes(head + bytes([10, len(data) * 2]) + data + b"s" * 16)
        export = opened(tmp_path, "a.avro")
        assert table(export) == [{"a": "abc"}] * 5
        assert left_out(export) == {}


def test_text_is_lines(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"one\n\ntwo\xff\nthree")
    assert table(opened(tmp_path, "app.log")) == [
        {"line": b"one"},
        {"line": b""},
        {"line": b"two\xff"},
        {"line": "three"},
    ]


def test_globs_and_partitions(tmp_path: Path) -> None:
    for tenant in ("a", "b%2Fc", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / "out" / f"tenant={tenant}" / "day=1"
        folder.mkdir(parents=True)
        (folder / "x.ndjson").write_bytes(b'{"v":"1"}\n')
    (tmp_path / "out" / "readme.txt").write_bytes(b"hello\n")
    export = opened(tmp_path, "out/**/*.ndjson")
    assert table(export) == [
        {"v": "1", "day": "1"},
        {"v": "1", "tenant": "a", "day": "1"},
        {"v": "1", "tenant": "b/c", "day": "1"},
    ]
    assert export.listing().columns == ("day", "tenant", "v")
    assert len(opened(tmp_path, "out").listing().files) == 4
    assert len(opened(tmp_path, "out/tenant=?/day=1/*").listing().files) == 1
    assert left_out(opened(tmp_path, "nothing/*.csv")) == {"no such file": 0}


def test_files_beside_have_no_columns_of_the_export(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"v":"1"}\n')
    (tmp_path / "app.log").write_bytes(b"jane@example.com\n")
    export = open_export(dataset("a.ndjson", beside=["app.log"]), tmp_path, (), {})
    listing = export.listing()
    assert listing.columns == ("v",)
    assert [(file.path, file.beside) for file in listing.files] == [("a.ndjson", False), ("app.log", True)]


def test_links_that_lead_out_devices_and_pipes_are_refused_and_counted(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b'{"v":"secret"}\n')
    (inside / "good.ndjson").write_bytes(b'{"v":"1"}\n')
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "within").symlink_to(inside / "good.ndjson")
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    (inside / "null").symlink_to("/dev/null")
    os.mkfifo(inside / "pipe")
    listing = opened(tmp_path, "in").listing()
    assert [file.path for file in listing.files] == ["in/good.ndjson"]  # `within` is another name of it
    assert {each.why: sorted(each.places) for each in listing.left_out} == {
        "a link that leads out of its directory": ["in/link", "in/null", "in/up"],
        "no regular file": ["in/pipe"],
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_denied_file_leaves_the_census_open(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"{}\n")
    (tmp_path / "b.ndjson").write_bytes(b"{}\n")
    (tmp_path / "b.ndjson").chmod(0)
    listing = opened(tmp_path, "*.ndjson").listing()
    assert [each.reason for each in listing.open] == [Reason.PERMISSION_DENIED]


def test_a_file_that_changed_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"v":"1"}\n')
    export = opened(tmp_path, "a.ndjson")
    listing = export.listing()
    path.write_bytes(b'{"v":"22"}\n')
    for use in (
        lambda: list(export.read(listing.shards[0]).batches),
        lambda: export.digest(listing.files[0]),
        lambda: list(export.raw(listing.files[0])),
    ):
        with pytest.raises(ProbeError) as raised:
            use()
        assert raised.value.reason is Reason.CONFLICTING
    path.unlink()
    with pytest.raises(ProbeError):
        export.read(listing.shards[0])


def test_another_file_for_the_moment_of_opening_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whoever owns the directory can: the right one lies there whenever somebody looks at its name."""
    right, wrong, name = tmp_path / "right", tmp_path / "wrong", tmp_path / "a.ndjson"
    right.write_bytes(b'{"v":"1"}\n')
    wrong.write_bytes(b'{"v":"2"}\n')
    name.symlink_to(right)
    export = opened(tmp_path, "a.ndjson")
    listing = export.listing()
    honest = Disk.open

    def swapped(self: Disk, path: str) -> object:
        name.unlink()
        name.symlink_to(wrong)
        file = honest(self, path)
        name.unlink()
        name.symlink_to(right)
        return file

    uses: list[Callable[[], object]] = [
        lambda: list(export.read(listing.shards[0]).batches),
        lambda: export.digest(listing.files[0]),
        lambda: list(export.raw(listing.files[0])),
    ]
    for use in uses:
        use()
    monkeypatch.setattr(Disk, "open", swapped)
    for use in uses:
        with pytest.raises(ProbeError) as raised:
            use()
        assert raised.value.reason is Reason.CONFLICTING


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"v":"1"}\n' * 300_000)
    export = opened(tmp_path, "a.ndjson")
    pieces = iter(export.raw(export.listing().files[0]))
    next(pieces)
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b'{"v":"3"}\n')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ProbeError):
        list(pieces)


def test_listing_is_the_same_each_time(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.ndjson").write_bytes(b'{"v":"1"}\n')
    first: Listing = opened(tmp_path, "*.ndjson").listing()
    assert first == opened(tmp_path, "*.ndjson").listing()
    assert [file.path for file in first.files] == sorted(file.path for file in first.files)
