"""Hostile files: never a crash, and every row that exists is in a batch or counted with its reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from field_reading import as_csv, as_ndjson, batches, left_out, opened, table
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from probes.fields.read import parquet

LINES = {
    b'{"a":"1"': "bad JSON",
    b'{"a":"1"} {"a":"2"}': "bad JSON",
    b'{"a":"1","a":"2"}': "duplicate key",
    b'{"a":"1","\\u0061":"2"}': "duplicate key",
    b'{"b":{"c":"1","c":"1"}}': "duplicate key",
    b'{"a":{"b":"1"},"a.b":"2"}': "two values at one path",
    b'["a"]': "no JSON object",
    b'"a"': "no JSON object",
    b'{"a":"\\x"}': "bad JSON",
    b'{"a":"x"y"}': "bad JSON",
    b"{'a':1}": "bad JSON",
    b'{"a":' + b"[" * 100 + b"]" * 100 + b"}": "nested deeper than 64",
    b'{"a":' + b"[" * 100 + b"1" + b"]" * 100 + b"}": "nested deeper than 64",
    b'{"a":' * 100 + b"1" + b"}" * 100: "nested deeper than 64",
    b'{"a":' + b"[" * 200_000: "nested deeper than 64",
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("many", [1, 50])
def test_an_odd_line_of_json_is_counted_and_the_others_read(tmp_path: Path, line: bytes, many: int) -> None:
    good = b"".join(b'{"a":"%d"}\n' % number for number in range(many))
    (tmp_path / "a.ndjson").write_bytes(good + line + b"\n" + good)
    export = opened(tmp_path, "a.ndjson", format="ndjson")
    why = LINES[line]
    assert left_out(export) == {why: 1}
    assert len(table(export)) == 2 * many


def test_shapes_that_change_from_line_to_line(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    for number in range(2_000):
        row: dict[str, object] = {f"k{number % 30}": "x", "n": None if number % 3 else number, "o": {"p": "q" * 9}}
        if number % 11 == 0:
            row["o"] = "no record now"
        if number % 13 == 0:
            row["e"] = '\\"\n{,}'
        rows.append(row)
    (tmp_path / "a.ndjson").write_bytes(as_ndjson(rows))
    export = opened(tmp_path, "a.ndjson")
    assert left_out(export) == {}
    for got, row in zip(table(export), rows, strict=True):
        inner = row["o"]
        wanted = {name: str(value) for name, value in row.items() if name != "o" and value is not None}
        wanted |= {"o": inner} if isinstance(inner, str) else {"o.p": "q" * 9}
        assert got == wanted


def test_numbers_and_words_stay_as_they_are_written(tmp_path: Path) -> None:
    texts = ["0", "-1", "1.10", "1e400", "123456789012345678901234567890", "true", "false", "-0.5E-3", "17"]
    data = b"".join(b'{"n":%s,"s":"x"}\n' % text.encode() for text in texts) + b'{"n":null,"s":"x"}\n'
    (tmp_path / "a.ndjson").write_bytes(data)
    assert table(opened(tmp_path, "a.ndjson")) == [{"n": text, "s": "x"} for text in texts] + [{"s": "x"}]
    for bad in (b"01", b"1.", b"+1", b"tru", b"truex", b"1 2", b"--1", b""):
        (tmp_path / "b.ndjson").write_bytes(b'{"n":1,"s":"x"}\n{"n":' + bad + b',"s":"x"}\n')
        export = opened(tmp_path, "b.ndjson")
        assert left_out(export) == {"bad JSON": 1}
        assert len(table(export)) == 1


def test_bytes_that_are_no_utf8_stay_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(
        b'{"a":"\xff\xfe","b":"x"}\n{"a":"\\ud800","b":"y"}\n{"a":"z","b":"\xc3\xbc"}\n'
    )
    assert table(opened(tmp_path, "a.ndjson")) == [
        {"a": b"\xff\xfe", "b": "x"},
        {"a": b"\xed\xa0\x80", "b": "y"},
        {"a": b"z", "b": "ü"},
    ]
    (tmp_path / "a.csv").write_bytes("a,b\nM\xfcller,x\n".encode("latin-1"))
    assert table(opened(tmp_path, "a.csv")) == [{"a": b"M\xfcller", "b": "x"}]
    lying = pa.array([b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"a": lying}), tmp_path / "a.parquet")
    assert table(opened(tmp_path, "a.parquet")) == [{"a": b"\xff"}]
    assert left_out(opened(tmp_path, "a.*")) == {}


def test_new_columns_in_the_middle_of_a_file_are_surprises(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"a":"1"}\n' * 150_000 + b'{"a":"1","late":"plain"}\n' + b'{"a":"1"}\n' * 10)
    export = opened(tmp_path, "a.ndjson")
    assert export.listing().columns == ("a",)
    assert {name for batch in batches(export) for name in batch.surprises} == {"late"}
    assert sum("late" in row for row in table(export)) == 1


def test_columns_without_number(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(as_ndjson([{f"k{number}": "x"} for number in range(5_000)]))
    export = opened(tmp_path, "a.ndjson")
    counted = left_out(export)
    assert counted == {"more than 2000 columns": 3_000}
    assert len(table(export)) == 2_000


def test_a_last_line_without_newline_counts_unless_it_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"a":"1"}\n{"a":"2"}')
    assert [row["a"] for row in table(opened(tmp_path, "a.ndjson"))] == ["1", "2"]
    (tmp_path / "a.ndjson").write_bytes(b'{"a":"1"}\n{"a":"2')
    export = opened(tmp_path, "a.ndjson")
    assert len(table(export)) == 1
    assert left_out(export) == {"cut off": 1}


def test_lines_over_sixteen_mebibytes(tmp_path: Path) -> None:
    giant = b'{"a":"' + b"x" * (17 << 20) + b'"}\n'
    larger = b'{"a":"' + b"x" * (40 << 20) + b'"}\n'
    good = b'{"a":"1"}\n'
    (tmp_path / "a.ndjson").write_bytes(good + giant + good + larger + good)
    export = opened(tmp_path, "a.ndjson")
    assert len(export.listing().shards) == 2
    assert [row["a"] for row in table(export)] == ["1", "1", "1"]
    assert left_out(export) == {"line longer than 16 MiB": 2}


@pytest.mark.parametrize("codec", ["gzip", "zstd", "lz4", "bz2"])
def test_compressed_files_that_are_cut_or_damaged(tmp_path: Path, codec: str) -> None:
    import os

    plain = b"".join(b'{"a":"%s"}\n' % os.urandom(60).hex().encode() for _ in range(20_000))
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as stream:
        stream.write(plain)
    data = out.getvalue().to_pybytes()
    variants = [data[: len(data) * 2 // 3], data[:-3], data + b"junk"]
    if codec in ("gzip", "bz2"):  # the others have checksums only where they are asked for
        variants.append(data[:-9] + b"\0\0\0" + data[-6:])
    for broken in variants:
        (tmp_path / "a.ndjson").write_bytes(broken)
        export = opened(tmp_path, "a.ndjson", format="ndjson")
        (why,) = left_out(export)
        assert why.startswith(f"{codec} data is ")
        assert left_out(export) == {why: 0}
        assert len(table(export)) > 4_000
        with pytest.raises(Exception, match=f"{codec} data is "):
            list(export.raw(export.listing().files[0]))


def test_a_bomb_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b'{"a":"0"}\n' * (12 << 20)))
    export = opened(tmp_path, "a.ndjson.gz")
    (shard,) = export.listing().shards
    reading = export.read(shard)
    rows = sum(batch.rows.num_rows for batch in reading.batches)
    assert 6 << 20 < rows < 8 << 20
    assert [each.why for each in reading.left_out] == [
        "gzip data grows more than 250-fold when it is decompressed: nobody knows how many rows"
    ]


def test_csv_rows_of_the_wrong_width_and_wrong_quotes(tmp_path: Path) -> None:
    data = b'a,b\r\n1,2\r\n\r\n1\r\n1,2,3\r\n"1","2"\r\n"1""x","2\n3"\r\n1,"2"x\r\n5" x 3",2\r\n"",\r\n1,2'
    (tmp_path / "a.csv").write_bytes(data)
    export = opened(tmp_path, "a.csv")
    assert table(export) == [
        {"a": "1", "b": "2"},
        {"a": "1", "b": "2"},
        {"a": '1"x', "b": "2\n3"},
        {"a": "", "b": ""},
        {"a": "1", "b": "2"},
    ]
    assert left_out(export) == {
        "fewer fields than the header": 1,
        "more fields than the header": 1,
        "quotes that RFC 4180 does not allow": 2,
    }


def test_a_quote_that_nothing_closes_costs_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"1,2\n" * 9_000 + b'5",2\n' + b"3,4\n" * 9_000)
    export = opened(tmp_path, "a.csv")
    assert len(table(export)) == 18_000
    assert left_out(export) == {"quotes that RFC 4180 does not allow": 1}


def test_a_header_that_cannot_be_read_costs_the_file_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'"a,b\n1,2\n')
    (why,) = left_out(opened(tmp_path, "a.csv"))
    assert why.startswith("a file without a header")


def test_raw_of_a_damaged_columnar_file_is_no_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x" * 50 + str(number) for number in range(10_000)]}), path)
    hurt = bytearray(path.read_bytes())
    hurt[2_000:4_000] = b"\xff" * 2_000
    path.write_bytes(hurt)
    export = opened(tmp_path, "a.parquet")
    with pytest.raises(ProbeError, match="not all of it"):
        list(export.raw(export.listing().files[0]))


def test_copy_with_quotes_and_escapes(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b'a\tb\n"x\t\\N\n\\\\x6a6b\t\\x41\\101\\q\n1\n\\.\n')
    export = opened(tmp_path, "a.tsv")
    assert table(export) == [{"a": '"x'}, {"a": "\\x6a6b", "b": "AAq"}]
    assert left_out(export) == {"fewer fields than the header": 1}


def test_parquet_without_footer_with_damage_and_with_giants(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x" * 50 + str(number) for number in range(10_000)]}), path, row_group_size=5_000)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert left_out(opened(tmp_path, "a.parquet")) == {"damaged or truncated auto file (ArrowInvalid)": 0}
    hurt = bytearray(whole)
    hurt[2_000:4_000] = b"\xff" * 2_000
    path.write_bytes(hurt)
    export = opened(tmp_path, "a.parquet")
    counted = left_out(export)
    assert len(table(export)) + sum(counted.values()) == 10_000
    assert all(why.startswith("damaged row group") for why in counted)
    pq.write_table(pa.table({"a": ["x" * (17 << 20), "y"], "b": ["1", "2"]}), path)
    export = opened(tmp_path, "a.parquet")
    assert table(export) == [{"b": "1"}, {"a": "y", "b": "2"}]
    assert left_out(export) == {"value longer than 16 MiB": 1}


def test_a_dictionary_of_giants_is_read_a_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 8 << 20)
    monkeypatch.setattr(parquet, "SMALL_DICTIONARY", 1 << 10)
    giant = pa.array(["x" * (1 << 20), "y"])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 20, pa.int8()), giant)
    for codec in ("none", "zstd", "snappy", "gzip", "lz4", "brotli"):
        options = {"dictionary_pagesize_limit": 4 << 20, "compression": codec}
        pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet", **options)
        export = opened(tmp_path, "a.parquet")
        sizes = [batch.rows.num_rows for batch in export.read(export.listing().shards[0]).batches]
        assert sum(sizes) == 40
        assert max(sizes) <= 8


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=300), st.text("ab", min_size=250, max_size=600).map(str.encode)), max_size=9)
)
def test_the_longest_entry_of_a_dictionary(values: list[bytes]) -> None:
    data = b"".join(len(value).to_bytes(4, "little") + value for value in values)
    assert parquet._longest(data) == max(map(len, values), default=0)


@pytest.mark.parametrize("footer", [True, False])
@pytest.mark.parametrize("algorithm", ["AES_GCM_V1", "AES_GCM_CTR_V1"])
def test_encrypted_parquet_is_named(tmp_path: Path, footer: bool, algorithm: str) -> None:
    import base64

    import pyarrow.parquet.encryption as pe

    class Kms(pe.KmsClient):
        def __init__(self, _: object) -> None:
            super().__init__()

        def wrap_key(self, key: bytes, master: str) -> bytes:
            return base64.b64encode(key)

        def unwrap_key(self, wrapped: bytes, master: str) -> bytes:
            return base64.b64decode(wrapped)

    factory = pe.CryptoFactory(Kms)
    settings = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["a"]}, plaintext_footer=not footer, encryption_algorithm=algorithm
    )
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    written = pa.table({"a": ["x"] * 9, "b": ["y"] * 9})
    with pq.ParquetWriter(tmp_path / "a.parquet", written.schema, encryption_properties=properties) as writer:
        writer.write_table(written)
    what = "footer and columns" if footer else "columns"
    assert left_out(opened(tmp_path, "a.parquet")) == {
        f"Parquet modular encryption of {what} with {algorithm}: not readable without its keys": 0 if footer else 9
    }


def test_avro_that_is_damaged_lies_or_bites_its_tail(tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}
    with path.open("wb") as out:
        fastavro.writer(out, schema, [{"a": "x" * 90}] * 1_000, sync_interval=10_000)
    whole = path.read_bytes()
    hurt = bytearray(whole)
    hurt[20_000:20_200] = b"\xff" * 200
    path.write_bytes(hurt)
    export = opened(tmp_path, "a.avro")
    counted = left_out(export)
    assert counted.keys() == {"damaged avro block"}
    assert len(table(export)) + counted["damaged avro block"] == 1_000
    path.write_bytes(whole[:-50])
    assert "truncated avro block" in left_out(opened(tmp_path, "a.avro"))
    for fields, why in (
        ([{"name": "n", "type": ["null", "R"]}], "an avro schema with a type within itself"),
        ([{"name": "n", "type": {"type": "array", "items": "null"}}], "an avro schema with arrays of nothing"),
    ):
        raw = json.dumps({"type": "record", "name": "R", "fields": fields}).encode()
        size = len(raw) * 2
        head = b"Obj\x01\x02\x16avro.schema" + bytes([size & 127 | 128, size >> 7]) + raw + b"\0" + b"s" * 16
        path.write_bytes(head + b"\x02\x02\x00" + b"s" * 16)
        assert left_out(opened(tmp_path, "a.avro")) == {why: 0}


def test_json_arrays_that_are_cut_or_hold_other_things(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a":"1"}, 7, {"a":"2","a":"3"}, {"a":"4"}]')
    export = opened(tmp_path, "a.json")
    assert table(export) == [{"a": "1"}, {"a": "4"}]
    assert left_out(export) == {"no JSON object": 1, "duplicate key": 1}
    path.write_bytes(b'[{"a":"1"}, {"a":"2')
    assert left_out(opened(tmp_path, "a.json")) == {"cut off": 1}
    path.write_bytes(b'[{"a":"1"}')
    export = opened(tmp_path, "a.json")
    assert sum(left_out(export).values()) + len(table(export)) >= 1
    assert left_out(export)


def test_files_of_nothing_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "a.bin").write_bytes(b"\0\1\2" * 99)
    export = opened(tmp_path, "*")
    assert left_out(export) == {"a file of no layout that is known: name it as the source's `format`": 0}
    assert len(export.listing().files) == 2


def test_no_value_stands_in_what_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"a":"SECRET"\n{"a":"SECRET","a":"SECRET"}\n[SECRET]\n')
    (tmp_path / "b.csv").write_bytes(as_csv([{"a": "SECRET", "b": "SECRET"}]) + b'SECRET\n"SECRET"SECRET,\n')
    export = opened(tmp_path, "*")
    assert len(left_out(export)) == 4
    told = [each for shard in export.listing().shards for each in _left(export, shard)]
    assert "SECRET" not in str(told)


def _left(export, shard):  # type: ignore[no-untyped-def]
    reading = export.read(shard)
    list(reading.batches)
    return reading.left_out
