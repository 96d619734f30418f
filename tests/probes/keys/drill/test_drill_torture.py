"""The mechanisms of both clouds, tortured: a sample. The whole of it is `make torture`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cloud_torture import CloudTorturer, every_harm
from cloud_torture_child import Harm, Kind
from cloud_torture_gate import Step, Weather
from cloud_torture_stage import KINDS, Scenario

from keycheck.model.drill import Change, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.registry import MECHANISMS, Plugin, Registry
from probes.keys.drill.aws_disable import Disable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # under a minute on two idle cores


@pytest.fixture
def torturer(tmp_path: Path) -> Iterator[CloudTorturer]:
    made = CloudTorturer(tmp_path, jobs=4)
    yield made
    made.close()


def test_torture_of_all_mechanisms_short(torturer: CloudTorturer) -> None:
    """Each mechanism: killed with and without watchdog, its recovery killed too, interrupted, its network lost."""
    chance = random.Random(20261122)
    chosen = []
    for kind in KINDS:
        calm = Scenario(kind)
        points = torturer.points(calm)

        def harm(kind: Kind, points: tuple[int, int] = points) -> Harm:
            return chance.choice(every_harm(points, kind, chance))

        sample = [
            (calm, harm(Kind.KILL), False),
            (calm, harm(Kind.KILL), False),
            (calm, harm(Kind.KILL), True),
            (calm, harm(Kind.KILL_TWICE), False),
            (calm, harm(Kind.INTERRUPT_TWICE), False),
            (replace(calm, weather=Weather.ERRORS), harm(Kind.KILL), False),
            (replace(calm, wired=True), harm(Kind.NETWORK), False),
        ]
        chosen += [
            partial(torturer.trial, scenario, bad, guarded=guarded, seed=number)
            for number, (scenario, bad, guarded) in enumerate(sample, 1)
        ]
    trials = list(torturer.trials(chosen))  # type: ignore[arg-type]
    assert [trial for trial in trials if trial.wrong] == []
    assert len(trials) == 42
    assert sum(trial.landed for trial in trials) > 30


class Forgetful(Disable):
    """Undoes nothing and says that all is well: what the torture must notice."""

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        return

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        return Standing(Where.RESTORED, "so to say")


def test_the_torture_notices_a_recovery_that_does_not_recover(tmp_path: Path) -> None:
    plugin = Plugin(MECHANISMS, "aws-disable", "test:Forgetful", "keycheck", "1")
    torturer = CloudTorturer(tmp_path, jobs=4, registry=Registry({plugin: lambda: Forgetful}))
    disable = Scenario("aws-disable")
    try:
        planned, acted = 3, 11  # points of the journal: the first and the third line, synced
        chosen = [
            partial(torturer.trial, disable, Harm(Kind.KILL, at), guarded=False, seed=1) for at in (planned, acted)
        ]
        trials = list(torturer.trials(chosen))  # type: ignore[arg-type]
    finally:
        torturer.close()
    before, after = trials
    assert not before.wrong  # there is nothing to undo
    assert "the world is not as before" in after.wrong


def test_what_a_dead_rehearsal_had_sent_and_arrives_late_is_tidied_up(torturer: CloudTorturer) -> None:
    """The third call of this drill puts the rehearsed copy into the policy."""
    trial = torturer.trial(Scenario("aws-deny"), Harm(Kind.KILL_LATE, 2, Step.ASKED), guarded=False, seed=1)
    assert (trial.wrong, trial.landed) == ("", True)
