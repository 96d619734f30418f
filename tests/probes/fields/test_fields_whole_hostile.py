"""Exports that mean harm, through the whole run: what is left out is counted, and nothing passes over it."""

from __future__ import annotations

import gzip
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from fields_whole import Ran, scan, write_map
from scan_stage import b64, esdk

from keycheck.model.verdict import Kind, Reason

pytestmark = pytest.mark.usefixtures("temporaries")
FIELDS = ({"column": "id", "class": "none"}, {"column": "email", "class": "email", "format": "aws-esdk"})
RNG = random.Random(20)
SEALED = [b64(esdk(RNG, 20)).decode() for _ in range(20)]
Rows = Sequence[Mapping[str, object]]


def lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" for row in rows)


def people(**more: object) -> Rows:
    return [{"id": str(number), "email": value, **more} for number, value in enumerate(SEALED)]


def run(folder: Path, content: bytes = b"", name: str = "a.ndjson", *files: str) -> Ran:
    if content:
        (folder / name).write_bytes(content)
    return scan(write_map(folder, files or (name,), FIELDS))


def test_a_harmless_export_passes_what_needs_no_key(tmp_path: Path) -> None:
    """So that the others do not pass for the reasons that they name."""
    ran = run(tmp_path, lines(people()))
    assert ran.passed() >= {"fields.coverage", "fields.nonce", "fields.data-key-use", "fields.commitment"}
    assert ran.left_out() == {}
    assert not ran.passed() & {"fields.encrypted", "fields.algorithm", "fields.key", "fields.tag", "fields.plaintext"}


@pytest.mark.parametrize(
    ("content", "name", "left_out"),
    [
        (
            b'{"id":"1","email":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
            "a.ndjson",
            {"nested deeper than 64": 1},
        ),
        (
            b"".join(b'{"id":"1","email":"anna@example.org","email":"%s"}\n' % each.encode() for each in SEALED),
            "a.ndjson",
            {"duplicate key": 20},
        ),
        (
            gzip.compress(b'{"id":"1","email":"' + b"a" * (80 << 20) + b'"}\n'),
            "a.ndjson.gz",
            {
                "gzip data grows more than 250-fold when it is decompressed: nobody knows how many rows": 0,
                "line longer than 16 MiB": 1,
            },
        ),
        (gzip.compress(lines(people()))[:-30], "a.ndjson.gz", None),
        (b"\x1f\x8b" + bytes(100), "a.ndjson.gz", None),
    ],
    ids=["deep", "duplicate-keys", "bomb", "cut", "no-gzip"],
)
def test_what_cannot_be_read_is_counted_and_nothing_passes(
    tmp_path: Path, content: bytes, name: str, left_out: Mapping[str, int] | None
) -> None:
    (tmp_path / "good.ndjson").write_bytes(lines(people()))
    ran = run(tmp_path, content, name, "good.ndjson", name)
    assert ran.passed() == frozenset()
    assert ran.columns()["email"].rows >= 20
    assert (ran.left_out() == left_out) if left_out is not None else ran.left_out()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def absent(path: Path) -> None:
    """Named, and not there."""


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (fifo, "no regular file"),
        (link, "a link that leads out of its directory"),
        (absent, "no such file"),
        (Path.mkdir, "no such file"),
    ],
    ids=["fifo", "link", "absent", "empty-folder"],
)
def test_a_file_that_is_no_file_of_the_export_is_left_out_and_nothing_passes(
    tmp_path: Path, make: Callable[[Path], None], why: str, alone: bool
) -> None:
    (tmp_path / "a.ndjson").write_bytes(lines(people()))
    make(tmp_path / "b.ndjson")
    ran = run(tmp_path, b"", "", *(("b.ndjson",) if alone else ("a.ndjson", "b.ndjson")))
    assert ran.left_out() == {why: 0}
    assert ran.passed() == frozenset()
    assert ran.code in (1, 3)
    assert ran.unseen() == frozenset()


@pytest.mark.parametrize("name", ["empty.csv", "head.csv", "empty.ndjson"])
def test_an_export_without_rows_passes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"id,email\n" if name == "head.csv" else b"")
    ran = run(tmp_path, b"", "", name)
    assert ran.passed() == frozenset()
    assert ran.code in (1, 3)


def test_columns_with_names_that_no_terminal_should_see(tmp_path: Path) -> None:
    strange = {"bell\x07": "1", "\u202ertl": "2", "n" * 300: "3", "": "4", "esc\x1b[2J": "5", "nul\0": "6"}
    ran = run(tmp_path, lines(people(**strange)))
    columns = ran.columns()
    assert len(columns) == len(strange) + 2
    assert all(part.isprintable() and len(part) <= 200 for part in columns)
    assert {column.role for part, column in columns.items() if part not in ("id", "email")} == {"unmapped"}
    assert all(column.rows == len(SEALED) for column in columns.values())
    assert ran.passed() == frozenset()
    assert all(sign not in ran.err for sign in ("\x07", "\u202e", "\x1b[2J", "\0"))


def test_three_thousand_columns_are_not_all_looked_at_and_that_is_said(tmp_path: Path) -> None:
    rows = [{**{f"c{number}": "1" for number in range(3_000)}, **row} for row in people()[:5]]
    ran = run(tmp_path, lines(rows))
    assert ran.left_out() == {"more than 2000 columns": 5}
    assert ran.passed() == frozenset()


def test_three_thousand_columns_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({**{f"c{number}": ["1"] for number in range(3_000)}, "id": ["1"]}), tmp_path / "a.parquet")
    ran = scan(write_map(tmp_path, ("a.parquet",), FIELDS))
    assert ran.passed() == frozenset()
    assert Reason.NOT_COVERED in ran.open() or ran.left_out()


def test_thousands_of_different_keys_are_counted_to_the_last(tmp_path: Path) -> None:
    """100,000 took 26 s and 0.4 GiB: as many as here take a twentieth."""
    keys = [f"arn:aws:kms:eu-central-1:111122223333:key/{number:032x}" for number in range(2_000)]
    rows = [{"id": key[-8:], "email": b64(esdk(RNG, 20, keys=[key])).decode()} for key in keys]
    began = time.monotonic()
    found = run(tmp_path, lines(rows)).columns()["email"]
    assert time.monotonic() - began < 20
    assert sum(each.count for each in found.wrapped) + found.wrapped_more == len(keys)
    assert len(found.wrapped) == 1_000


def test_values_of_a_mebibyte_are_looked_at_and_pass_nothing_of_encryption(tmp_path: Path) -> None:
    rows = [{"id": "1", "email": b64(RNG.randbytes(1 << 20)).decode()} for _ in range(2)]
    ran = run(tmp_path, lines(rows))
    assert ran.passed() <= {"fields.coverage"}
    assert [(kind.kind, kind.count) for kind in ran.columns()["email"].kinds] == [("opaque", 2)]


def test_invalid_utf_8_is_looked_at_as_bytes(tmp_path: Path) -> None:
    ran = run(tmp_path, b'{"id":"\xff","email":"anna.peeters\xff@example.org"}\n' + lines(people()))
    email = ran.columns()["email"]
    assert (email.rows, email.left_out) == (21, 0)
    assert ran.verdicts()["fields.encrypted"] == {Kind.FAIL}
    assert not ran.passed() - {"fields.coverage"}


def test_a_full_disk_is_no_pass_and_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be folded is known of no column."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        ran = run(folder, lines(people()))
    assert ran.unseen() == {Reason.PROBE_CRASHED}
    assert ran.columns() == {}
    assert ran.passed() == frozenset()
    assert ran.code == 4
