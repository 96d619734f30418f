"""The journal: on disk before anything is done, one writer, torn tails tolerated, everything else refused."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from toy_mechanism import World, toy_change

from keycheck.canonical import dumps
from keycheck.drill import journal as journals
from keycheck.drill.journal import JOURNAL, Journal, JournalBusyError, JournalFullError, is_locked, read
from keycheck.drill.records import Closed, Closing, Found, Intended, Observed, Planned, Writer
from keycheck.errors import IntegrityError
from keycheck.model.drill import Where
from keycheck.model.types import CanonicalJson


def now() -> datetime:
    return datetime(2026, 11, 22, 10, 0, 0, 5, tzinfo=UTC)


def plan(tmp_path: Path) -> Planned:
    change = toy_change(World(tmp_path / "world.json"))
    return Planned(change=change, before=CanonicalJson.of({"policy": "é"}), settle_ms=10, patience_ms=1000)


def journal(tmp_path: Path) -> Journal:
    directory = tmp_path / "d1"
    directory.mkdir(mode=0o700, exist_ok=True)
    return Journal(directory, Writer.RUNNER, now)


def written(tmp_path: Path, count: int = 3) -> Path:
    mine = journal(tmp_path)
    mine.append(plan(tmp_path))
    for number in range(count - 1):
        mine.append(Observed(words=f"note {number}"))
    mine.close()
    return tmp_path / "d1" / JOURNAL


def test_what_was_appended_is_read_back_and_chained(tmp_path: Path) -> None:
    path = written(tmp_path)
    entries = read(path.parent)
    assert entries[0].record == plan(tmp_path).model_copy(update={"change": entries[0].record.change})
    assert [entry.seq for entry in entries] == [1, 2, 3]
    lines = path.read_bytes().splitlines()
    assert entries[0].prev == "0" * 64
    assert entries[2].prev == hashlib.sha256(lines[1]).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_append_is_synced_and_so_is_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
    )
    mine = journal(tmp_path)
    assert synced == ["directory"]
    mine.append(plan(tmp_path))
    mine.append(Intended())
    mine.close()
    assert synced == ["directory", "file", "file"]


def test_one_writer_also_among_processes_and_reading_needs_no_lock(tmp_path: Path) -> None:
    mine = journal(tmp_path)
    mine.append(plan(tmp_path))
    with pytest.raises(JournalBusyError):
        journal(tmp_path)
    code = (
        "import sys; from pathlib import Path; from keycheck.drill.journal import is_locked; "
        "print(is_locked(Path(sys.argv[1])))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "d1")], capture_output=True, text=True, check=True, timeout=30
    )
    assert seen.stdout.strip() == "True"
    assert len(read(tmp_path / "d1")) == 1
    mine.close()
    assert not is_locked(tmp_path / "d1")
    journal(tmp_path).close()


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_last_line_is_left_out_and_cut_away_by_the_next_writer(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -len(last)] + last[: kept if kept >= 0 else len(last) - 1])
    assert len(read(path.parent)) == 2
    mine = journal(tmp_path)
    mine.append(Observed(words="after"))
    mine.close()
    assert [getattr(entry.record, "words", "") for entry in read(path.parent)] == ["", "note 0", "after"]


def test_a_torn_first_line_is_an_empty_journal(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    assert read(path.parent) == ()


def damages() -> list[tuple[str, object]]:
    def spaced(lines: list[bytes]) -> list[bytes]:
        return [lines[0], lines[1].replace(b'","', b'", "', 1), lines[2]]

    return [
        ("dropped", lambda lines: [lines[0], lines[2]]),
        ("moved", lambda lines: [lines[1], lines[0], lines[2]]),
        ("doubled", lambda lines: [*lines, lines[2]]),
        ("changed", lambda lines: [lines[0], lines[1].replace(b"note 0", b"note 9"), lines[2]]),
        ("spaced", spaced),
        ("not json", lambda lines: [lines[0], b"?", lines[2]]),
        ("empty line", lambda lines: [lines[0], b"", *lines[1:]]),
        ("unknown record", lambda lines: [lines[0], lines[1].replace(b"observed", b"absolved"), lines[2]]),
        ("not json at the end", lambda lines: [*lines, b"?"]),
        ("deep", lambda lines: [b"[" * 100 + b"]" * 100, *lines]),
    ]


@pytest.mark.parametrize(("name", "damage"), damages())
def test_anything_else_out_of_order_is_refused_by_readers_and_writers(tmp_path: Path, name: str, damage) -> None:
    path = written(tmp_path)
    path.write_bytes(b"".join(line + b"\n" for line in damage(path.read_bytes().splitlines())))
    with pytest.raises(IntegrityError):
        read(path.parent)
    with pytest.raises(IntegrityError):
        journal(tmp_path)
    assert not is_locked(path.parent)


def test_a_full_disk_leaves_no_half_line_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = journal(tmp_path)
    mine.append(plan(tmp_path))

    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journals, "write_all", full)
        with pytest.raises(OSError, match="No space"):
            mine.append(Intended())
    assert len(mine.entries) == 1
    mine.append(Observed(words="there is space again"))
    mine.close()
    assert [entry.record.type for entry in read(tmp_path / "d1")] == ["planned", "observed"]


def test_sizes_are_bounded_and_notes_never_take_the_room_of_the_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = journal(tmp_path)
    mine.append(plan(tmp_path))
    monkeypatch.setattr(journals, "MAX_NOTES", 1500)
    mine.append(Observed(words="x" * 200))
    with pytest.raises(JournalFullError):
        mine.append(Observed(words="x" * 500))
    mine.append(Found(where=Where.RESTORED, words="as before"))
    mine.close()
    huge = Planned(
        change=toy_change(World(tmp_path / "w")),
        before=CanonicalJson.of({"policy": "x" * journals.MAX_LINE}),
        settle_ms=0,
        patience_ms=0,
    )
    other = tmp_path / "d2"
    other.mkdir()
    mine = Journal(other, Writer.RUNNER, now)
    with pytest.raises(JournalFullError):
        mine.append(huge)
    mine.close()
    (other / JOURNAL).write_bytes(b"x" * (journals.MAX_LINE + 1))
    with pytest.raises(IntegrityError):
        read(other)


def test_a_journal_that_is_a_link_or_a_pipe_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "d1"
    directory.mkdir()
    (tmp_path / "elsewhere").write_bytes(dumps({}))
    (directory / JOURNAL).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):  # noqa: PT011 - which one is the platform's choice
        journal(tmp_path)
    (directory / JOURNAL).unlink()
    os.mkfifo(directory / JOURNAL)
    with pytest.raises(OSError):  # noqa: PT011
        journal(tmp_path)


def test_what_cannot_follow_is_never_written(tmp_path: Path) -> None:
    mine = journal(tmp_path)
    mine.append(plan(tmp_path))
    mine.append(Closed(outcome=Closing.UNTOUCHED, words="refused"))
    with pytest.raises(IntegrityError):
        mine.append(Observed(words="a straggler"))
    mine.close()
    assert len(read(tmp_path / "d1")) == 2
