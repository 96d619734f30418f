"""Wherever a file is split, the same rows come out, and none twice; the fast way and the slow way read alike."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from probes.fields.read import delimited, ndjson, ndjson_fast, rows
from probes.fields.read.layouts import Opened, Piece
from probes.fields.read.lines import PAD, Lines, lines, ranges
from probes.fields.read.lost import Lost
from probes.fields.read.records import is_flat
from probes.fields.read.seam import ExportFile, Layout, Shard
from probes.fields.read.streams import compression

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
RECORD = st.dictionaries(
    st.sampled_from(["a", "b", "a b", "ü", '"', "c.d"]),
    st.one_of(SCALAR, st.dictionaries(TEXT, SCALAR, max_size=2)),
    max_size=4,
)
JUNK = st.one_of(
    st.binary(max_size=12).filter(lambda data: b"\n" not in data),
    st.sampled_from(
        [
            b"",
            b" ",
            b'{"a":"x","a":"y"}',
            b'{"a":1e5}',
            b'{"a":"\\u0041\\n"}',
            b'{"a":[1,"2"]}',
            b"\xff",
            b'{"a":"\xff"}',
        ]
    ),
)
LINE = st.one_of(
    RECORD.map(lambda row: json.dumps(row, ensure_ascii=False).encode()),
    RECORD.map(lambda row: json.dumps(row).encode()),
    JUNK,
)


def parsed(line: bytes) -> dict[str, bytes] | str | None:
    try:
        row = rows.parse(line)
    except rows.BadRowError as error:
        return str(error)
    return None if row is None else {name: rows.encoded(value) for name, value in row.values.items()}


def plain(pieces: Iterator[Piece]) -> list[dict[str, bytes]]:
    return [
        {name: value.encode() if isinstance(value, str) else value for name, value in row.items() if value is not None}
        for piece in pieces
        if piece.numbers is None
        for row in piece.rows.to_pylist()
    ]


def read(data: bytes, layout: Layout, unit: int) -> tuple[list[dict[str, bytes]], int]:
    """Rows, and how many were left out, with a shard every `unit` bytes."""
    listed = ExportFile("a", len(data), "", layout)
    module = ndjson if layout == "ndjson" else delimited
    found: list[dict[str, bytes]] = []
    left = 0
    for start, end in ranges(len(data), unit):
        opened = Opened(listed, pa.BufferReader(data), local=True)
        found += plain(module.read(opened, Shard("s", listed, start, end, ())))
        left += sum(each.rows for each in opened.lost.told())
    return found, left


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=12), st.booleans())
def test_ndjson_reads_as_the_slow_way_does_wherever_it_is_split(content: list[bytes], closed: bool) -> None:
    data = b"\n".join(content) + (b"\n" if closed else b"")
    assume(compression(data) is None)
    wanted = [parsed(line) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    good = [row for row in wanted if isinstance(row, dict)]
    bad = sum(isinstance(row, str) for row in wanted)
    for unit in {1, 2, 7, len(data) // 2 + 1, len(data) + 1}:
        assert read(data, "ndjson", unit) == (good, bad)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE.filter(lambda line: b"\n" not in line), min_size=1, max_size=30))
def test_what_the_fast_way_reads_is_what_the_slow_way_reads(content: list[bytes]) -> None:
    data = b"\n".join(content)
    (block,) = lines(io.BytesIO(data + b"\n"), 100)
    matched = ndjson_fast.match(block)
    for index in np.flatnonzero(matched.read):
        assert isinstance(parsed(content[index]), dict) or b"\\" in content[index]
    repeated = content * 3
    lost = Lost()
    (block,) = lines(io.BytesIO(b"\n".join(repeated) + b"\n"), 1_000)
    got = plain(ndjson.Objects(lost, str).pieces(block))
    assert got == [row for line in repeated if isinstance(row := parsed(line), dict)]


FIELD = st.text(st.sampled_from('ab,"\n\r\t\\ü x'), max_size=5)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FIELD, FIELD), max_size=10))
def test_csv_round_trips_and_splits_only_where_it_may(table: list[tuple[str, str]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"' if set(value) & set(',"\n\r') else value

    data = "".join(f"{quoted(a)},{quoted(b)}\n" for a, b in [("k", "v"), *table]).encode()
    wanted = [{"k": a.encode(), "v": b.encode()} for a, b in table]
    assert read(data, "csv", len(data)) == (wanted, 0)
    if all(is_flat(block) for block in lines(io.BytesIO(data), 4)):
        for unit in {1, 3, len(data) // 2 + 1}:
            assert read(data, "csv", unit) == (wanted, 0)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.sampled_from('a,"x'), max_size=8), max_size=12))
def test_every_line_of_csv_is_a_row_or_counted(content: list[str]) -> None:
    data = "\n".join(["k,v", *content]).encode() + b"\n"
    records = sum(bool(line) for line in content)
    got, left = read(data, "csv", len(data))
    newlines = sum(value.count(b"\n") for row in got for value in row.values())
    blank = len(content) - records
    assert records - newlines <= len(got) + left <= records + blank
    if all(is_flat(block) for block in lines(io.BytesIO(data), 3)):
        for unit in {1, 5}:
            assert read(data, "csv", unit) == (got, left)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_tsv_never_loses_a_line(body: bytes, unit: int) -> None:
    data = b"k\tv\n" + body
    content = data.split(b"\n")[1:]
    if content and not content[-1]:
        content.pop()
    count = sum(line.removesuffix(b"\r") not in (b"", b"\\.") for line in content)
    got, left = read(data, "tsv", len(data))
    assert len(got) + left == count
    assert read(data, "tsv", unit) == (got, left)


def test_lines_padding_is_never_read_as_data() -> None:
    block = Lines(b'{"a":"' + b"\0" * PAD, np.array([0]), np.array([6]), 0)
    lost = Lost()
    assert list(ndjson.Objects(lost, str).pieces(block)) == []
    assert [each.why for each in lost.told()] == ["bad JSON"]
