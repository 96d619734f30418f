"""`keycheck fields map` and `keycheck fields scan` through the real command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from field_exports import made
from fields_whole import ORIGIN, Ran, command, scan
from scan_stage import ARN

from keycheck.files.deployment import load_deployment
from keycheck.model.verdict import ExitCode, Kind
from keycheck.registry import load_registry
from probes.fields.formats.catalogue import FORMATS

USAGE = ExitCode.USAGE
MAP = Path("map.yaml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything is relative to where one stands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entry(id: str, *files: str, **more: object) -> Mapping[str, object]:
    source = {"kind": "files", "files": list(files)}
    rules = [{"column": "token", "class": "secret", "format": "fernet"}, {"column": "id", "class": "none"}]
    return {"id": id, "source": source, "origin": dict(ORIGIN), "fields": rules, **more}


def write(*entries: Mapping[str, object], path: Path = MAP) -> Path:
    path.write_text(yaml.safe_dump({"deployment": "whole", **({"datasets": list(entries)} if entries else {})}))
    return path


def refused(ran: Ran, *words: str) -> None:
    """Wrong usage, told in one sentence and one advice; nothing was run."""
    assert ran.code == USAGE, ran.err
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert ran.out == ""
    assert "  → " in ran.err


def test_a_map_is_proposed_corrected_and_scanned() -> None:
    made(Path("a.parquet"), 200, 50)
    proposed = command("fields", "map", "a.parquet", "--out", "map.yaml")
    assert (proposed.code, proposed.out) == (0, "")
    assert "keycheck fields scan --map map.yaml" in proposed.err
    ran = scan(MAP.absolute())
    assert ran.code == ExitCode.CLAUSE_FAILS
    assert ran.verdicts()["fields.algorithm"] == {Kind.FAIL}  # Fernet is AES-128
    assert set(ran.columns()) == {"id", "note", "token"}
    assert not list(Path().glob(".keycheck-scan-*"))


def test_a_proposal_is_a_deployment_and_shows_no_value() -> None:
    made(Path("a.parquet"), 60, 50)
    proposed = command("fields", "map", "a.parquet")
    Path("b.yaml").write_text(proposed.out)
    loaded = load_deployment(Path("b.yaml"), load_registry()).deployment
    (subject,) = loaded.in_section("datasets")
    rules = {rule["column"]: rule for rule in yaml.safe_load(proposed.out)["datasets"][0]["fields"]}
    assert subject.id == "datasets/export"
    assert (rules["token"]["format"], rules["token"]["class"]) == ("fernet", "sensitive")
    said = proposed.out + proposed.err
    values = {value for column in pq.read_table("a.parquet").to_pydict().values() for value in column}
    texts = {value.decode() if isinstance(value, bytes) else value for value in values}
    assert [text for text in texts if len(text) > 3 and text in said] == []


def test_names_of_files_and_columns_cannot_break_out_of_the_proposal() -> None:
    name = 'a"], x: [y] #.ndjson'
    evil = 'x", class: none}\n  - id: other\x07\u2028'
    Path(name).write_text(json.dumps({evil: "1", "id: {a": "2", "- b": "3"}) + "\n")
    proposed = command("fields", "map", name)
    assert proposed.code == 0
    Path("b.yaml").write_text(proposed.out)
    (subject,) = load_deployment(Path("b.yaml"), load_registry()).deployment.in_section("datasets")
    assert subject.id == "datasets/export"
    (subject,) = yaml.safe_load(proposed.out)["datasets"]
    assert subject["source"]["files"] == [name]
    assert [rule["column"] for rule in subject["fields"]][:2] == ["- b", "id: {a"]
    assert len(subject["fields"]) == 3
    assert all(sign not in proposed.out for sign in ("\x07", "\u2028"))


def test_a_proposal_of_three_thousand_columns_is_a_deployment() -> None:
    for file in ("a", "b"):
        names = (*(f"{file}{number}" for number in range(1_500)), "x" * 300)
        pq.write_table(pa.table({name: ["1"] for name in names}), f"{file}.parquet")
    proposed = command("fields", "map", "*.parquet", "--out", "map.yaml")
    assert proposed.code == 0
    load_deployment(MAP, load_registry())
    assert "1001 are left away" in MAP.read_text()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "no such file"),
        (Path.touch, "no rows"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.symlink_to("/etc/hostname"), "leads out"),
    ],
    ids=["absent", "empty-folder", "empty", "fifo", "link"],
)
def test_nothing_is_proposed_of_nothing(make: object, why: str) -> None:
    assert callable(make)
    make(Path("x.csv"))
    refused(command("fields", "map", "x.csv"), "nothing can be proposed", why)


def test_a_map_that_is_there_is_not_overwritten() -> None:
    made(Path("a.parquet"), 10, 10)
    MAP.write_text("mine")
    refused(command("fields", "map", "a.parquet", "--out", "map.yaml"), "map.yaml", "not there yet")
    refused(command("fields", "map", "a.parquet", "--out", "nowhere/map.yaml"), "nowhere/map.yaml")
    assert MAP.read_text() == "mine"


def test_other_files_take_the_place_of_the_maps_and_the_map_stays_as_it_was() -> None:
    Path("sub").mkdir()
    made(Path("sub/a.parquet"), 10, 10)
    made(Path("b.parquet"), 30, 10)
    map_ = write(entry("one", "a.parquet"), path=Path("sub/map.yaml"))
    before = map_.read_bytes()
    assert scan(map_.absolute()).columns()["token"].rows == 10
    assert scan(map_.absolute(), "b.parquet").columns()["token"].rows == 30  # from where one stands
    assert scan(map_.absolute(), "b.parquet", "sub/a.parquet").columns()["token"].rows == 40
    assert scan(map_.absolute(), str(Path("b.parquet").absolute())).columns()["token"].rows == 30
    assert map_.read_bytes() == before
    assert {path.name for path in Path("sub").iterdir()} == {
        "a.parquet", "map.yaml", "runs", "signer.pem", "signer.pem.pub",
    }  # fmt: skip


def test_files_that_are_not_there_are_no_pass_and_no_crash() -> None:
    map_ = write(entry("one", "nothing.parquet"))
    for ran in (scan(map_.absolute()), scan(map_.absolute(), "neither.parquet")):
        assert ran.code == ExitCode.INCOMPLETE
        assert ran.passed() == frozenset()
        assert ran.left_out() == {"no such file": 0}


def test_a_map_with_two_data_sets_needs_a_name() -> None:
    made(Path("a.parquet"), 10, 10)
    made(Path("b.parquet"), 20, 10)
    map_ = write(entry("one", "a.parquet"), entry("two", "b.parquet")).absolute()
    refused(scan(map_), "2 data sets", "--dataset one")
    refused(scan(map_, "--dataset", "three"), "three")
    ran = scan(map_, "--dataset", "two")
    assert ran.columns()["token"].rows == 20
    assert Kind.PASS not in set().union(*ran.verdicts("datasets/one").values())
    assert scan(map_, "--dataset", "two", "a.parquet").columns()["token"].rows == 10


def test_maps_that_are_none() -> None:
    refused(scan(write().absolute()), "no data set", "keycheck fields map")
    refused(scan(Path("absent.yaml").absolute()), "absent.yaml")
    Path("folder.yaml").mkdir()
    refused(scan(Path("folder.yaml").absolute()), "folder.yaml")
    for text in ("{", "datasets: 5", "deployment: x\ndatasets: [{id: 7}]", "\x00", "deployment: x\nfields: []"):
        MAP.write_text(text)
        refused(scan(MAP.absolute()), "map.yaml")
        refused(scan(MAP.absolute(), "a.parquet"), "map.yaml")


def test_a_live_table_has_no_files_to_be_replaced() -> None:
    Path("url").write_text("sqlite:///x.db")
    map_ = write(entry("one", source={"kind": "table", "url": "file:url", "table": "t"}))
    refused(scan(map_.absolute(), "a.parquet"), "live table", "leave EXPORT away")
    assert not list(Path().glob(".keycheck-scan-*"))


def test_an_export_that_could_not_be_had_and_now_is_there() -> None:
    made(Path("a.parquet"), 10, 10)
    map_ = write(entry("one", source={"kind": "none", "asked": "a dump of the table, twice"})).absolute()
    without = scan(map_)
    assert without.code == ExitCode.INCOMPLETE
    assert without.passed() == frozenset()
    assert scan(map_, "a.parquet").columns()["token"].rows == 10


def test_engines_and_profiles_that_are_none() -> None:
    made(Path("a.parquet"), 10, 10)
    map_ = write(entry("one", "a.parquet")).absolute()
    refused(scan(map_, engine="steam"), "steam")
    refused(scan(map_, "--profile", "nothing-of-the-kind"), "nothing-of-the-kind")


def test_formats_are_listed() -> None:
    ran = command("fields", "formats")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == sorted(each.id for each in FORMATS)


@pytest.mark.slow
def test_worker_processes_come_to_the_same() -> None:
    made(Path("a.parquet"), 400, 100)
    map_ = write(entry("one", "a.parquet")).absolute()
    assert scan(map_, engine="processes:2").verdicts() == scan(map_).verdicts()


def test_a_signing_key_may_have_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KC_PASS", "correct horse battery staple")
    made(Path("a.parquet"), 20, 20)
    assert command("key", "new", "s.pem", "--passphrase", "env:KC_PASS").code == 0
    write(entry("export", "a.parquet"))
    arguments = ("fields", "scan", "--map", "map.yaml", "--engine", "threads", "--key", "s.pem")
    assert command(*arguments, "--passphrase", "env:KC_PASS").code == ExitCode.CLAUSE_FAILS
    assert "passphrase" in command(*arguments, "--passphrase", "env:NOTHING").err


def test_what_is_left_out_of_a_plan_stands_in_it_once() -> None:
    key = {"id": "k", "provider": "aws", "resource": ARN, "model": "direct-kms", "on_key_loss": "withheld"}
    MAP.write_text(yaml.safe_dump({"deployment": "whole", "keys": [key], "datasets": [entry("export", "a.parquet")]}))
    ran = command("plan", "map.yaml", "--profile", "base-saas", "--only", "datasets/*")
    lines = [line for line in ran.out.splitlines() if "keys/k" in line and "not-selected" in line]
    assert len(lines) == 1
    assert "probes)" in lines[0]
