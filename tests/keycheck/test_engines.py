"""`--engine`: the same work on processes, threads and a Dask cluster, with the same outcome."""

from __future__ import annotations

import socket
from threading import Event

import pytest
from door_tasks import io, now, task
from practice_plugin import DoorFacts, HeavyDoorProbe

from keycheck.engines import engine
from keycheck.errors import UsageError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from keycheck.run import Engine


def seen(name: str) -> dict[tuple[str, str | None], object]:
    doors = [task(f"d{i}", ["one", "open-two"], HeavyDoorProbe()) for i in range(3)]
    with engine(name) as workers:
        run = Engine(workers.factory, workers=16, clock=now, stop=Event(), processes=workers.processes)
        recorded = list(run.run([*doors, task("bad", ["die", "fine"], HeavyDoorProbe())], io))
    return {
        (r.task.entry.id, r.observed.part): r.observed.facts
        for r in recorded
        if isinstance(r.observed.facts, DoorFacts | Unseen)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["processes:2", "dask:2"])
def test_work_that_kills_its_worker_is_lost_alone(name: str) -> None:
    found = seen(name)
    lost = found.pop(("doors/bad", "die"))
    assert isinstance(lost, Unseen)
    assert lost.reason is Reason.WORKER_LOST
    assert found == {
        **{(f"doors/d{i}", "one"): DoorFacts(locked=True) for i in range(3)},
        **{(f"doors/d{i}", "open-two"): DoorFacts(locked=False) for i in range(3)},
        ("doors/bad", "fine"): DoorFacts(locked=True),
    }


@pytest.mark.parametrize("name", ["", "spark", "dask:0", "processes:-1", "dask://", "dask://host", "dask://a:1/x"])
def test_an_engine_that_does_not_exist_is_refused_with_the_names_of_those_that_do(name: str) -> None:
    with pytest.raises(UsageError) as caught, engine(name):
        pass
    assert "dask://HOST:PORT" in caught.value.advice


def test_a_scheduler_that_does_not_answer_is_said_so() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        unused_port = held.getsockname()[1]
    with pytest.raises(UsageError, match="no Dask scheduler answers"), engine(f"dask://127.0.0.1:{unused_port}", 1.0):
        pass
