"""The vendor's ways to the canary: cold records are read once, ever, and what cannot be looked at is said."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from keycheck.drill.home import Home
from keycheck.drill.spent import spend, spent
from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE, CommandWitness, Deployment
from keycheck.model.drill import Desk
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.keys.drill.telling import told
from probes.keys.drill.ways import COLD_AFTER, Cold, Stages, vendor_ways
from probes.keys.drill_facts import Mark
from probes.keys.subjects import CanaryPaths, Copy, KeyDrill
from probes.keys.timeline import Path as Way
from probes.keys.timeline import Sample, Saw, fold

PLANTED = datetime(2026, 11, 20, 9, tzinfo=UTC)
NAMES = tuple(f"cold-{n}" for n in range(5))


@pytest.fixture
def io(tmp_path: Path) -> Io:
    return Io(
        vantage=HERE,
        budget=5,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=tmp_path,
        environment={},
        resolver=lambda host, seconds: (),
        clock=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        entropy=bytes,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    names = (*NAMES, "warm", "copy")
    witnesses = tuple(
        CommandWitness(id=name, kind="command", argv=("/bin/sh", "-c", f"echo {name} >> read")) for name in names
    )
    deployment = Deployment(deployment="acme", witnesses=witnesses)
    return Desk(deployment, tmp_path / "d.yaml", tmp_path / "drills", threading.Event(), lambda line: None)


def ways(paths: CanaryPaths, io: Io, desk: Desk, stages: Stages | None = None, planted: datetime = PLANTED):  # type: ignore[no-untyped-def]
    cold = Cold(planted, Home(desk.home))
    return vendor_ways(paths, cold, timedelta(seconds=0), stages or Stages(), io, desk)


def test_a_cold_record_is_noted_before_it_is_read_and_never_read_again(io: Io, desk: Desk, tmp_path: Path) -> None:
    paths = CanaryPaths(cold=NAMES)
    stages = Stages()
    (way,), unsupported = ways(paths, io, desk, stages)
    assert {each.path for each in unsupported} == set(Way) - {Way.VENDOR_COLD, Way.SENTINEL, Way.CONTROL_PLANE}
    stages.acted.set()
    while len(spent(Home(desk.home))) < len(NAMES) - COLD_AFTER and way.turn():
        assert way.ask().saw is Saw.READABLE
    stages.undone.set()
    while way.turn():
        way.ask()
    read = (tmp_path / "read").read_text().split()
    assert sorted(read) == sorted(set(read)) == sorted(NAMES)
    with pytest.raises(ProbeError, match="none is cold") as caught:
        ways(paths, io, desk)
    assert caught.value.reason is Reason.NOT_COVERED
    assert ways(paths, io, desk, planted=PLANTED + timedelta(days=1))[0], "planted anew is cold again"


def test_a_cold_record_that_cannot_be_noted_is_not_read(io: Io, desk: Desk, tmp_path: Path) -> None:
    (way,), _ = ways(CanaryPaths(cold=NAMES), io, desk)
    Home(desk.home).prepare()
    (desk.home / ".spent").symlink_to(tmp_path / "elsewhere")
    assert way.turn()
    assert way.ask().saw is Saw.UNAVAILABLE
    assert not (tmp_path / "read").exists()


def test_what_was_read_before_must_be_known(io: Io, desk: Desk) -> None:
    spend(Home(desk.home), "one")
    (desk.home / ".spent").write_bytes(b"\xff")
    with pytest.raises(ProbeError) as caught:
        ways(CanaryPaths(cold=NAMES), io, desk)
    assert caught.value.reason is Reason.CONFLICTING


def test_copies_are_looked_at_as_further_ways(io: Io, desk: Desk) -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000001"
    found, unsupported = ways(CanaryPaths(copies=(Copy(resource=key, witness="copy"),)), io, desk)
    assert [(way.path, way.by) for way in found] == [(Way.OTHER, "copy")]
    assert Way.OTHER not in {each.path for each in unsupported}


def sample(at: int, saw: Saw, path: Way = Way.VENDOR_WARM) -> Sample:
    return Sample(path, at, 1000, saw, "", "w")


@pytest.mark.parametrize(
    ("samples", "path", "says"),
    [
        ([(-5, Saw.READABLE), (5, Saw.WITHHELD), (6, Saw.WITHHELD)], Way.VENDOR_WARM, "as meant"),
        ([(-5, Saw.READABLE), (5, Saw.READABLE)], Way.VENDOR_WARM, "LOOK"),
        ([(-5, Saw.READABLE), (5, Saw.WITHHELD), (6, Saw.UNAVAILABLE)], Way.VENDOR_WARM, "LOOK"),
        ([(-5, Saw.READABLE), (5, Saw.READABLE)], Way.CONTROL_RECORD, "as meant"),
        ([(-5, Saw.READABLE), (5, Saw.UNAVAILABLE)], Way.CONTROL_RECORD, "LOOK"),
    ],
)
def test_a_timeline_tells_good_from_bad(samples: list[tuple[int, Saw]], path: Way, says: str) -> None:
    line = fold([sample(at * 1_000_000, saw, path) for at, saw in samples], 0, 20_000_000)
    assert says in told(line, Mark(at=PLANTED, at_us=20_000_000))


@pytest.mark.parametrize(("name", "length"), [("hold", "P2D"), ("quiet", "PT25H"), ("settle", "PT11M")])
def test_no_deployment_can_make_anybody_wait_for_ever(name: str, length: str) -> None:
    with pytest.raises(ValidationError, match="at most"):
        KeyDrill.model_validate({"planted": PLANTED, "paths": {}, name: length})
