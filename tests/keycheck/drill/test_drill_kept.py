"""Addenda of a drill: signed, chained, and never silently one short."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from keycheck.drill.home import Home
from keycheck.drill.kept import Kept, addenda, append, bundle_of, keep, kept_of, note_bundle, verified
from keycheck.drill.spent import spend, spent
from keycheck.errors import IntegrityError, UsageError
from keycheck.evidence.keys import SigningKey

KEY = SigningKey.generate()
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def drill(tmp_path: Path) -> Path:
    directory = tmp_path / "kc-1"
    directory.mkdir()
    note_bundle(directory, tmp_path / "first.zip", "a" * 64)
    return directory


def test_what_is_kept_comes_back(drill: Path) -> None:
    assert keep(drill, Kept(drill="kc-1", marks=("one", "two"))) == ""
    assert kept_of(drill).marks == ("one", "two")
    assert bundle_of(drill).manifest_sha256 == "a" * 64


def test_the_marks_of_a_day_are_kept(drill: Path) -> None:
    marks = ("2026-11-22T10:00:00.123456Z 2026-11-22T10:00:00.234567Z",) * 90_000
    assert keep(drill, Kept(drill="kc-1", marks=marks)) == ""
    assert kept_of(drill).marks == marks


def test_each_addendum_names_the_one_before(drill: Path) -> None:
    for manifest in ("b" * 64, "c" * 64):
        append(drill, manifest, NOW, KEY)
    found = verified(drill, (KEY.public,))
    assert [each.manifest_sha256[0] for each in found] == ["b", "c"]
    assert found[0].previous == "a" * 64
    assert found[1].previous not in ("a" * 64, "b" * 64)


def test_an_addendum_that_is_taken_away_exchanged_or_a_strangers_is_seen(drill: Path) -> None:
    one, two = (append(drill, manifest * 64, NOW, KEY) for manifest in "bc")
    with pytest.raises(IntegrityError):
        verified(drill, (SigningKey.generate().public,))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    with pytest.raises(IntegrityError):
        verified(drill, (KEY.public,))
    one.write_bytes(kept)
    assert len(verified(drill, (KEY.public,))) == 2
    one.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        addenda(drill)


def test_canaries_that_were_read_stay_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "drills")
    assert spent(home) == frozenset()
    spend(home, "cold-1 planted 2026-11-22T10:00:00Z")
    spend(home, "cold-2\nplanted")
    assert spent(home) == {"cold-1 planted 2026-11-22T10:00:00Z", "cold-2 planted"}
    (home.root / ".spent").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not known"):
        spent(home)


def test_a_drill_that_never_finished_has_nothing_to_settle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bundle"):
        bundle_of(tmp_path)


def test_what_keycheck_did_not_write_is_no_record(drill: Path) -> None:
    (drill / "kept.json").write_bytes(b'{"format":"keycheck.drill.kept/1","drill":"kc-1","marks":[1]}')
    with pytest.raises(IntegrityError):
        kept_of(drill)
