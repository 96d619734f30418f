"""Live tables: a PostgreSQL of this test's own, and SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from field_postgres import POSTGRES, execute, postgres
from field_reading import batches, left_out, table

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.fields.read import table as reading
from probes.fields.read.export import open_export
from probes.fields.read.seam import Export
from probes.fields.subjects import Dataset

__all__ = ["postgres"]  # a fixture of this module


def export(base: Path, url: str, name: str, schema: str | None = None) -> Export:
    (base / "url").write_text(url)
    source = {"kind": "table", "url": "file:url", "table": name, "schema": schema}
    origin = {"made_by": "customer", "method": "read access"}
    return open_export(Dataset.model_validate({"id": "t", "source": source, "origin": origin}), base, (), {})


@POSTGRES
def test_postgres_types_are_read_as_the_server_writes_them(tmp_path: Path, postgres: str) -> None:
    execute(
        postgres,
        "drop table if exists kinds",
        """create table kinds (id uuid primary key, b bytea, t text, n numeric, at timestamptz, naive timestamp,
           doc json, docb jsonb, tags text[], flag bool, "Odd ""Name" varchar(9), nothing text)""",
        r"""insert into kinds values ('00010203-0405-0607-0809-0a0b0c0d0e0f', '\xff00', 'ü', 1.10,
            '2026-01-02 03:04:05.6+02', 'infinity', '{"a": "x", "l": [1]}', '{"k": null, "z": "y"}',
            '{p,q}', true, 'v', null)""",
        """insert into kinds (id, doc) values ('10010203-0405-0607-0809-0a0b0c0d0e0f', '{"a": 1, "a": 2}')""",
    )
    opened = export(tmp_path, postgres, "kinds", "public")
    assert table(opened) == [
        {
            "id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "b": b"\xff\x00",
            "t": "ü",
            "n": "1.10",
            "at": "2026-01-02T01:04:05.600000Z",
            "naive": "infinity",
            "doc.a": "x",
            "doc.l[]": "1",
            "docb.z": "y",
            "tags[]": "p",
            "flag": "true",
            'Odd "Name': "v",
        }
    ]
    assert left_out(opened) == {"duplicate key": 1}
    assert [batch.rows.to_pylist() for batch in batches(opened) if batch.numbers is not None] == [[{"tags[]": "q"}]]
    listing = opened.listing()
    assert b"\xff\x00\n" in b"".join(opened.raw(listing.files[0]))
    assert opened.digest(listing.files[0]) == opened.digest(listing.files[0])


@POSTGRES
def test_postgres_is_split_by_its_key_and_read_to_the_last_row(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        postgres,
        "drop table if exists many",
        "create table many (id bigint primary key, v bytea)",
        "insert into many select n * 3 - 500, decode(md5(n::text), 'hex') from generate_series(1, 30000) n",
    )
    monkeypatch.setattr(reading, "SHARD_ROWS", 10_000)
    opened = export(tmp_path, postgres, "many")
    assert len(opened.listing().shards) == 3
    got = table(opened)
    assert [row["id"] for row in got] == [str(number * 3 - 500) for number in range(1, 30_001)]
    execute(postgres, "alter table many drop constraint many_pkey")
    opened = export(tmp_path, postgres, "many")
    assert len(opened.listing().shards) == 1
    assert len(table(opened)) == 30_000


@POSTGRES
def test_postgres_refusals(tmp_path: Path, postgres: str) -> None:
    execute(
        postgres,
        "drop table if exists hidden",
        "create table hidden (id int)",
        "drop role if exists poor",
        "create role poor login",
        "revoke all on hidden from public",
    )
    with pytest.raises(ProbeError) as raised:
        export(tmp_path, postgres.replace("kc@", "poor@"), "hidden").listing()
    assert raised.value.reason is Reason.PERMISSION_DENIED
    with pytest.raises(ProbeError, match="no table absent") as raised:
        export(tmp_path, postgres, "absent").listing()
    with pytest.raises(ProbeError) as raised:
        export(tmp_path, "postgresql://u:S3CRET@127.0.0.1:1/x", "hidden").listing()
    assert raised.value.reason is Reason.UNREACHABLE
    assert "S3CRET" not in str(raised.value)


def test_sqlite_holds_anything_anywhere(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("create table t (id integer primary key, at timestamp, v text, doc json)")
        connection.execute("insert into t values (1, 'no time', x'ff00', '{\"a\":\"x\"}')")
        connection.execute("insert into t values (2, 7, cast(x'fe41' as text), 'no json')")
        connection.execute("insert into t values (3, null, 1.5, null)")
    connection.close()
    opened = export(tmp_path, "sqlite:///a.db", "t")
    assert table(opened) == [
        {"id": "1", "at": "no time", "v": b"\xff\x00", "doc.a": "x"},
        {"id": "3", "v": b"1.5"},
    ]
    assert left_out(opened) == {"bad JSON": 1}
    (batch,) = batches(opened)
    assert batch.first == 0


def test_sqlite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ProbeError):
        export(tmp_path, "sqlite:///absent.db", "t").listing()
    assert not (tmp_path / "absent.db").exists()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:S3CRET@h/d", "sqlite://"])
def test_other_urls_are_refused_without_a_word_of_them(tmp_path: Path, url: str) -> None:
    with pytest.raises(ProbeError) as raised:
        export(tmp_path, url, "t").listing()
    assert "S3CRET" not in str(raised.value)
