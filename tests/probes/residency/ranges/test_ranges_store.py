"""The index on disk: replaced whole, by one writer at a time, and trusted only where no one else may write."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_ranges import imports

from probes.residency.ranges import store
from probes.residency.ranges.seam import RangesBusyError, RangesError, Source
from probes.residency.ranges.store import default_path, load, put
from probes.residency.ranges.table import Imported


def test_one_source_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "ranges.index"
    seen: list[Mapping[str, Source]] = []

    def make(imported: Imported) -> Imported:
        put(path, lambda there: (seen.append(there), imported)[1])
        return imported

    make(imports("gcp", {"34.0.0.0/8": "x"}))
    make(imports("aws", {"3.0.0.0/8": "old", "4.0.0.0/8": "gone", "34.1.0.0/16": "mine"}))
    make(imports("aws", {"3.0.0.0/8": "new"}))
    assert [sorted(there) for there in seen] == [[], ["gcp"], ["aws", "gcp"]]
    assert seen[2]["aws"].prefixes == 3
    index = load(path)
    assert [each.region for each in index.lookup("3.1.1.1")] == ["new"]
    assert [each.region for each in index.lookup("34.1.1.1")] == ["x"]
    assert index.lookup("4.1.1.1") == ()
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [".ranges.index.lock", "ranges.index"]


def test_a_refused_import_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "i"
    put(path, lambda _: imports("aws", {"3.0.0.0/8": "a"}))
    before = path.read_bytes()

    def refuse(_: Mapping[str, Source]) -> Imported:
        raise RangesError("no", advice="no")

    with pytest.raises(RangesError):
        put(path, refuse)
    assert path.read_bytes() == before


def test_a_damaged_index_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_bytes(b"kcranges damaged")
    for call in (lambda: load(path), lambda: put(path, lambda _: imports("aws", {"3.0.0.0/8": "a"}))):
        with pytest.raises(RangesError) as caught:
            call()
        assert "delete the index" in caught.value.advice
    assert path.read_bytes() == b"kcranges damaged"


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", tmp_path / "none" / "x"):
        with pytest.raises(RangesError) as caught:
            load(path)
        assert caught.value.advice
    with pytest.raises(RangesError):
        put(tmp_path / "pipe" / "x", lambda _: imports("aws", {"3.0.0.0/8": "a"}))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_index_that_others_may_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "i"
    put(path, lambda _: imports("aws", {"3.0.0.0/8": "a"}))
    path.chmod(mode)
    with pytest.raises(RangesError, match="written by others"):
        load(path)
    path.chmod(0o644)
    load(path)


def test_writers_wait_for_each_other_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "i"
    threads = [
        threading.Thread(target=put, args=(path, lambda _, n=n: imports(f"own:{n}", {f"{n}.0.0.0/8": "a"})))
        for n in range(20, 28)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [each.name for each in load(path).sources()] == [f"own:{n}" for n in range(20, 28)]


def test_a_writer_that_hangs_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE_S", 0.1)
    path = tmp_path / "i"
    put(path, lambda _: imports("aws", {"3.0.0.0/8": "a"}))
    with (tmp_path / ".i.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RangesBusyError):
            put(path, lambda _: imports("aws", {"3.0.0.0/8": "b"}))
    put(path, lambda _: imports("aws", {"3.0.0.0/8": "b"}))


def test_the_index_is_in_the_users_data_directory(tmp_path: Path) -> None:
    assert default_path({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "keycheck" / "ranges.index"
    assert default_path({}) == Path.home() / ".local" / "share" / "keycheck" / "ranges.index"
