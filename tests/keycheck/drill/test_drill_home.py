"""The state directory: ours alone, one open drill a subject, a lever that everybody sees."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from toy_mechanism import World, toy_change, toy_io, toy_kit

from keycheck.drill.home import DrillOpenError, Home, default_home
from keycheck.drill.kit import KIT, kit_for, load, read_kit
from keycheck.drill.records import Closed, Closing, Intended, Planned
from keycheck.drill.status import status
from keycheck.errors import IntegrityError, UsageError
from keycheck.model.deployment import AwsIdentity, Deployment, Vantage
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import ExitCode


def now() -> datetime:
    return datetime.now(UTC)


def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "state" / "drills")


def plan(tmp_path: Path, drill: str = "d1") -> Planned:
    change = toy_change(World(tmp_path / "world.json"), drill)
    return Planned(change=change, before=CanonicalJson.of({}), settle_ms=0, patience_ms=0)


def test_the_place_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_home({"XDG_STATE_HOME": str(tmp_path)}).root == tmp_path / "keycheck" / "drills"
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "keycheck" / "drills"
    assert default_home({}).root == expected
    assert default_home({"XDG_STATE_HOME": "relative"}).root == expected


def test_directories_are_private_and_an_open_one_is_refused(tmp_path: Path) -> None:
    mine = home(tmp_path)
    mine.open("d1", toy_kit(tmp_path), now).close()
    for path in (mine.root, mine.root / "d1"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (mine.root / "d1").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mine.root.chmod(0o755)
    with pytest.raises(UsageError, match="open to others"):
        mine.open("d2", toy_kit(tmp_path), now)


def test_a_second_drill_on_an_open_subject_is_locked_out(tmp_path: Path) -> None:
    mine = home(tmp_path)
    journal = mine.open("d1", toy_kit(tmp_path), now)
    with pytest.raises(DrillOpenError, match="running") as refused:
        mine.open("d2", toy_kit(tmp_path), now)
    assert refused.value.exit_code is ExitCode.LOCKED
    journal.append(plan(tmp_path))
    journal.append(Intended())
    journal.close()
    with pytest.raises(DrillOpenError, match="not closed") as refused:
        mine.open("d2", toy_kit(tmp_path), now)
    assert "recover d1" in refused.value.advice
    mine.open("d3", toy_kit(tmp_path, "keys/other"), now).close()
    journal = mine.existing("d1", now, journal._by)
    journal.append(Closed(outcome=Closing.RESTORED, words="x"))
    journal.close()
    mine.open("d4", toy_kit(tmp_path), now).close()


def test_the_same_key_under_another_name_is_locked_out_too(tmp_path: Path) -> None:
    mine = home(tmp_path)
    arn = frozenset({"arn:aws:kms:eu-central-1:111122223333:key/k"})
    journal = mine.open("d1", toy_kit(tmp_path, claims=arn), now)
    with pytest.raises(DrillOpenError):
        mine.open("d2", toy_kit(tmp_path / "elsewhere", "keys/alias", arn), now)
    mine.open("d3", toy_kit(tmp_path / "elsewhere", "keys/main"), now).close()
    journal.close()


def test_a_drill_that_died_before_it_planned_anything_blocks_nobody(tmp_path: Path) -> None:
    mine = home(tmp_path)
    mine.open("d1", toy_kit(tmp_path), now).close()
    (mine.root / "d0").mkdir()
    mine.open("d2", toy_kit(tmp_path), now).close()


def test_what_cannot_be_read_is_never_taken_for_closed(tmp_path: Path) -> None:
    mine = home(tmp_path)
    journal = mine.open("d1", toy_kit(tmp_path), now)
    journal.append(plan(tmp_path))
    journal.close()
    path = mine.root / "d1" / "journal.jsonl"
    path.write_bytes(b"?\n" + path.read_bytes())
    with pytest.raises(IntegrityError):
        mine.open("d2", toy_kit(tmp_path), now)
    (told,) = status(mine, now)
    assert told.phase is None
    assert "line 1" in told.words
    (mine.root / "d1" / KIT).write_text("{}")
    with pytest.raises(IntegrityError):
        mine.open("d2", toy_kit(tmp_path), now)


def test_an_id_never_leaves_the_directory(tmp_path: Path) -> None:
    for drill in ("..", "a/b", ".halt", "", "A", "x" * 64):
        with pytest.raises(UsageError):
            home(tmp_path).directory(drill)


def test_the_lever(tmp_path: Path) -> None:
    mine = home(tmp_path)
    assert mine.halted() is None
    mine.halt("customers complain\n\x1b[0m")
    assert mine.halted() == r"customers complain\n\x1b[0m"
    mine.release()
    mine.release()
    assert mine.halted() is None
    (mine.root / ".halt").mkdir()
    assert "cannot be read" in (mine.halted() or "")


def test_the_kit_gives_the_same_io_without_the_deployment_file(tmp_path: Path) -> None:
    identity = AwsIdentity(id="restorer", provider="aws", profile="break-glass", external_id="env:EXTERNAL_ID")
    deployment = Deployment(deployment="acme", vantages=(Vantage(id="office"),), identities=(identity,))
    made = load(toy_kit(tmp_path), {"OPENSSL_CONF": "digest"})
    kit = kit_for(deployment, tmp_path / "deployment.yaml", "keys/main", toy_io(tmp_path), frozenset({"arn:x"}))
    kit = kit.model_copy(update={"identities": deployment.identities, "vantage": deployment.vantages[0]})
    mine = home(tmp_path)
    mine.open("d1", kit, now).close()
    assert read_kit(mine.root / "d1") == kit
    io = load(read_kit(mine.root / "d1"), {})
    assert (io.identities, io.vantage.id, io.base) == ((identity,), "office", tmp_path)
    assert made.environment == {"OPENSSL_CONF": "digest"}
