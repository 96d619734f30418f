"""Exports in a bucket and live tables through the whole run, with the verdicts that their bytes deserve."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from field_postgres import POSTGRES, execute, postgres
from field_s3 import client, served
from fields_whole import ORIGIN, Ran, scan
from scan_stage import ARN, OTHER_ARN, esdk

import keycheck.run
from keycheck.model.verdict import ExitCode, Kind, Reason
from probes.fields.observe import ColumnProbe

__all__ = ["postgres"]
SECRET = "s3cr3t-of-the-identity"
RULES: Sequence[Mapping[str, object]] = (
    {
        "column": "email",
        "class": "email",
        "format": "aws-esdk",
        "key": "contacts",
        "context": [{"name": "record", "column": "id"}],
    },
    {"column": "id", "class": "none"},
)
KEY = {"id": "contacts", "provider": "aws", "resource": ARN, "model": "direct-kms", "on_key_loss": "withheld"}
RNG = random.Random(8)
NUMBERS = itertools.count()


def sealed(rows: int, **more: object) -> list[dict[str, object]]:
    ids = [f"c-{next(NUMBERS)}" for _ in range(rows)]
    return [{"id": id, "email": esdk(RNG, 24, {"record": id}, **more)} for id in ids]  # type: ignore[arg-type]


def run(folder: Path, source: Mapping[str, object], *more: str) -> Ran:
    entry = {"id": "crm", "source": dict(source), "origin": dict(ORIGIN), "fields": [dict(each) for each in RULES]}
    who = {"id": "auditor", "provider": "aws", "config_file": "aws.ini", "region": "eu-central-1"}
    (folder / "aws.ini").write_text(f"[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = {SECRET}\n")
    deployment = {"deployment": "whole", "identities": [who], "keys": [KEY], "datasets": [entry]}
    (folder / "map.yaml").write_text(yaml.safe_dump(deployment))
    ran = scan(folder / "map.yaml", *more)
    assert SECRET not in ran.err + ran.out
    return ran


def shows(ran: Ran, control: str) -> frozenset[Kind]:
    return ran.verdicts("datasets/crm")[f"fields.{control}"]


def good(ran: Ran, rows: int) -> None:
    """All that can be shown without a key passes; what needs one is open."""
    column = ran.columns()["email"]
    assert (column.rows, column.nulls, column.left_out, ran.left_out()) == (rows, 0, 0, {})
    for control in ("coverage", "nonce", "escrow", "context", "data-key-length", "data-key-use", "commitment"):
        assert shows(ran, control) == {Kind.PASS}, control
    for control in ("encrypted", "algorithm", "key", "tag", "tamper"):
        assert shows(ran, control) == {Kind.INCONCLUSIVE}, control
    assert ran.code == ExitCode.INCOMPLETE


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with served("vendor-whole") as url:
        _filled(client(url))
        yield url


def _filled(bucket: Any) -> None:
    for name, rows in (("good/a", sealed(40)), ("good/b", sealed(30)), ("escrow/a", sealed(20, keys=[ARN, OTHER_ARN]))):
        out = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=16)
        bucket.put_object(Bucket="vendor-whole", Key=f"{name}.parquet", Body=out.getvalue().to_pybytes())
    clear = "".join(json.dumps({"id": f"c-{row}", "email": f"anna.{row}@example.org"}) + "\n" for row in range(10))
    bucket.put_object(Bucket="vendor-whole", Key="clear/a.ndjson", Body=clear.encode())


def s3(url: str, *files: str) -> Mapping[str, object]:
    return {"kind": "files", "files": list(files), "identity": "auditor", "endpoint": url, "region": "eu-central-1"}


def test_an_export_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    good(run(tmp_path, s3(bucket, "s3://vendor-whole/good/*")), 70)


def test_other_objects_take_the_place_of_the_maps(tmp_path: Path, bucket: str) -> None:
    good(run(tmp_path, s3(bucket, "s3://vendor-whole/clear/*"), "s3://vendor-whole/good/a.parquet"), 40)


def test_an_escrow_key_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    ran = run(tmp_path, s3(bucket, "s3://vendor-whole/escrow/"))
    assert shows(ran, "escrow") == {Kind.FAIL}
    assert ran.code == ExitCode.CLAUSE_FAILS


def test_clear_text_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    ran = run(tmp_path, s3(bucket, "s3://vendor-whole/clear/a.ndjson"))
    assert shows(ran, "encrypted") == shows(ran, "plaintext") == {Kind.FAIL}


def test_a_bucket_that_is_not_there_or_does_not_answer(tmp_path: Path, bucket: str) -> None:
    for source in (s3(bucket, "s3://nobodys/*"), s3("http://127.0.0.1:9", "s3://vendor-whole/*")):
        ran = run(tmp_path, source)
        assert ran.passed() == frozenset()
        assert ran.code in (ExitCode.INCOMPLETE, ExitCode.TOOL_FAILED)
        assert ran.unseen() | ran.open() or ran.left_out()


def table(name: str) -> Mapping[str, object]:
    return {"kind": "table", "url": "file:url", "table": name}


def hex_of(rows: Sequence[Mapping[str, object]]) -> str:
    return ", ".join(f"('{row['id']}', '\\x{bytes(row['email']).hex()}')" for row in rows)  # type: ignore[call-overload]


@POSTGRES
def test_a_live_table_of_postgresql(tmp_path: Path, postgres: str) -> None:
    (tmp_path / "url").write_text(postgres)
    execute(
        postgres,
        "create table good (id text primary key, email bytea)",
        f"insert into good values {hex_of(sealed(60))}",
        "create table mixed (id text primary key, email bytea)",
        f"insert into mixed values {hex_of(sealed(20))}, ('c-x', 'anna.peeters@example.org'::bytea)",
    )
    good(run(tmp_path, table("good")), 60)
    ran = run(tmp_path, table("mixed"))
    assert ran.columns()["email"].rows == 21
    assert shows(ran, "encrypted") == shows(ran, "plaintext") == {Kind.FAIL}


@POSTGRES
def test_a_table_that_is_not_there_and_one_that_may_not_be_read(tmp_path: Path, postgres: str) -> None:
    execute(postgres, "create table shut (id text, email text)", "create role reader login")
    (tmp_path / "url").write_text(postgres)
    absent = run(tmp_path, table("nothing"))
    (tmp_path / "url").write_text(postgres.replace("kc@", "reader@"))
    denied = run(tmp_path, table("shut"))
    (tmp_path / "url").write_text("postgresql+psycopg://kc:" + SECRET + "@127.0.0.1:9/x")
    away = run(tmp_path, table("good"))
    for ran in (absent, denied, away):
        assert ran.passed() == frozenset()
        assert ran.code == ExitCode.INCOMPLETE
        assert ran.unseen() | ran.open()


@POSTGRES
def test_a_table_that_takes_too_long_is_not_seen(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        postgres,
        "create table base (id text, email bytea)",
        f"insert into base values {hex_of(sealed(20))}",
        "create function late(given bytea) returns bytea language sql volatile as "
        "$$ select given from (select pg_sleep(0.1)) as nap $$",
        "create view slow as select id, late(email) as email from base",
    )
    (tmp_path / "url").write_text(postgres)
    monkeypatch.setattr(ColumnProbe, "limit", 0.7)
    monkeypatch.setitem(keycheck.run.GRACE, "processes", 0.0)
    ran = run(tmp_path, table("slow"))
    assert ran.passed() == frozenset()
    assert Reason.TIMEOUT in ran.unseen()


def test_a_live_table_of_sqlite(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "crm.db") as store:
        store.execute("create table good (id text primary key, email text)")
        store.executemany(
            "insert into good values (?, ?)",
            [(row["id"], base64.b64encode(bytes(row["email"])).decode()) for row in sealed(30)],  # type: ignore[call-overload]
        )
    store.close()
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/crm.db")
    good(run(tmp_path, table("good")), 30)
