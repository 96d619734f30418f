"""A toy cloud on disk, and a mechanism that takes a statement's effect away in it and puts it back.

The world is a file: the list of statements, the list that is in effect, and when the last write was made. A write
takes effect `lag_ms` after the *last* write, so that writing again postpones it, as a real fake was seen to do.
Importable by other processes and, through `install`, by name through real entry points.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keycheck.drill.kit import Kit, load
from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from keycheck.registry import MECHANISMS, Plugin, Registry

BASE = ["vendor-may-read"]


@dataclass(frozen=True)
class Habits:
    """How the toy cloud behaves."""

    lag_ms: int = 0
    errors: int = 0
    """Per cent of calls that fail, half of them after they took effect."""
    rewrites: bool = False
    """An undo writes even where nothing is to be undone."""
    foreign_after: int = 0
    """Somebody else adds a statement after so many writes."""
    deny: str = ""
    """The method that is denied."""
    crash: str = ""
    """The method that crashes, with a secret in its message."""
    hang: str = ""
    """The method that sleeps for a minute."""


class World:
    """The toy cloud's file. Safe between processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path, habits: Habits | None = None) -> World:
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"now": BASE, "felt": BASE, "written_ns": 0, "writes": 0, "habits": (habits or Habits()).__dict__}
        path.write_text(json.dumps(state))
        return cls(path)

    @contextmanager
    def _locked(self) -> Iterator[dict]:
        with Path(f"{self.path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield json.loads(self.path.read_text())

    def _save(self, state: dict) -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self.path)

    @staticmethod
    def _settled(state: dict) -> dict:
        if time.time_ns() - state["written_ns"] >= state["habits"]["lag_ms"] * 1_000_000:
            state["felt"] = state["now"]
        return state

    def habits(self) -> Habits:
        with self._locked() as state:
            return Habits(**state["habits"])

    def become(self, habits: Habits) -> None:
        with self._locked() as state:
            self._save(state | {"habits": habits.__dict__})

    def statements(self) -> tuple[list[str], list[str]]:
        """What is written and what is felt."""
        with self._locked() as state:
            state = self._settled(state)
            return list(state["now"]), list(state["felt"])

    def writes(self) -> int:
        with self._locked() as state:
            return int(state["writes"])

    def write(self, change: Callable[[list[str]], list[str]]) -> None:
        with self._locked() as state:
            state = self._settled(state)
            state["now"] = change(list(state["now"]))
            state["written_ns"] = time.time_ns()
            state["writes"] += 1
            if state["habits"]["foreign_after"] and state["writes"] == state["habits"]["foreign_after"]:
                state["now"] = [*state["now"], "somebody-else"]
            self._save(self._settled(state))

    def as_before(self) -> bool:
        return self.statements() == (BASE, BASE)


POINT: list[Callable[[str], None]] = []
"""Called between any two things that the toy does; a torture dies there."""


def point(name: str) -> None:
    for call in POINT:
        call(name)


class Toy(Mechanism):
    """Adds a statement that denies; removes only its own."""

    kind = "toy"
    lossless = True
    expires = False

    def _call(self, method: str, change: Change) -> World:
        point(f"{method}:begin")
        world = World(Path(str(change.parameters.parsed()["world"])))
        habits = world.habits()
        if habits.deny == method:
            raise ProbeError(Reason.PERMISSION_DENIED, f"{method} is denied")
        if habits.crash == method:
            raise RuntimeError("password=hunter2")
        if habits.hang == method:
            time.sleep(60)
        return world

    def _maybe_fail(self, world: World) -> None:
        if random.randrange(200) < world.habits().errors:
            raise ProbeError(Reason.THROTTLED, "slow down")

    def _write(self, world: World, edit: Callable[[list[str]], list[str]]) -> None:
        self._maybe_fail(world)
        point("write:begin")
        world.write(edit)
        point("write:end")
        self._maybe_fail(world)

    def look(self, change: Change, io: Io) -> CanonicalJson:
        now, _ = self._call("look", change).statements()
        return CanonicalJson.of({"statements": now})

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        world = self._call("rehearse", change)
        self._write(world, lambda now: now)

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        world = self._call("act", change)
        self._write(world, lambda now: [*now, f"deny-{change.drill}"])

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        world = self._call("undo", change)
        ours = f"deny-{change.drill}"
        if world.habits().rewrites or ours in world.statements()[0]:
            self._write(world, lambda now: [each for each in now if each != ours])

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        world = self._call("standing", change)
        self._maybe_fail(world)
        now, felt = world.statements()
        ours = f"deny-{change.drill}"
        point("standing:end")
        if ours in now or ours in felt:
            return Standing(Where.CHANGED, "our statement is there" if ours in now else "our statement is still felt")
        if now != before.parsed()["statements"]:
            return Standing(Where.FOREIGN, "somebody else changed the statements")
        return Standing(Where.RESTORED, "the statements are as before")


def toy_change(world: World, drill: str = "d1", seconds: float = 60, subject: str = "keys/main") -> Change:
    return Change(
        kind="toy",
        drill=drill,
        subject=subject,
        body=CanonicalJson.of({"id": subject.partition("/")[2]}),
        parameters=CanonicalJson.of({"world": str(world.path)}),
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
        by_hand=(f"remove deny-{drill} from {world.path.name}",),
    )


def toy_kit(base: Path, subject: str = "keys/main", claims: frozenset[str] = frozenset()) -> Kit:
    return Kit(deployment="toy", file=str(base / "deployment.yaml"), subject=subject, claims=claims, vantage=HERE)


def toy_io(base: Path) -> Io:
    return load(toy_kit(base), {})


def toy_registry(mechanism: type[Mechanism] = Toy) -> Registry:
    return Registry({Plugin(MECHANISMS, "toy", "toy_mechanism:Toy", "toy", "1"): lambda: mechanism})


def install(site: Path) -> None:
    """This module as a distribution of its own, for processes that find `site` on their path."""
    info = site / "toy_mechanism-1.dist-info"
    info.mkdir(parents=True)
    shutil.copy(__file__, site / "toy_mechanism.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-mechanism\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[keycheck.mechanisms]\ntoy = toy_mechanism:Toy\n")
    (info / "RECORD").write_text("toy_mechanism.py,,\ntoy_mechanism-1.dist-info/METADATA,,\n")


def fingerprint(*places: Path) -> str:
    """Of every file below: equal when nothing was changed."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*") if place.is_dir() else [place]):
            if path.is_file():
                digest.update(f"{path}:{path.stat().st_mtime_ns}:".encode() + path.read_bytes())
    return digest.hexdigest()
