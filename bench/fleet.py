"""Many endpoints in one run, in a process of its own: `fleet.py DEPLOYMENT PROFILE AUTHORIZATION KEY OUT`.

Prints one JSON object. As a module: starts itself and reads it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from measure import execute, high_water_kib

from keycheck.model.observation import Observation
from keycheck.units import Advance


@dataclass(frozen=True, slots=True)
class Fleet:
    """One run on many endpoints. Seconds; `judge` is part of `rest`, measured by itself afterwards."""

    endpoints: int
    process: float
    """From start to exit, imports included, the second judging left out."""
    prepare: float
    observe: float
    rest: float
    """Judging, and closing and signing the bundle."""
    judge: float
    cpu: float
    """User and system time of the whole, imports included: what another's load disturbs least."""
    peak_mib: float | None
    connections: int | None
    bundle_mib: float
    verdict: str
    observed: int


class Stopwatch:
    """A watch that notes when observing began and ended, and keeps what was seen."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.seen: list[Observation] = []

    def begin(self, expected: int) -> None:
        """Observing begins."""
        self.began = time.perf_counter()

    def saw(self, observation: Observation) -> None:
        """One more."""
        self.seen.append(observation)

    def advanced(self, advance: Advance) -> None:
        """Not what is measured."""

    def end(self) -> None:
        """Observing is over."""
        self.ended = time.perf_counter()


def measure(arguments: list[str], endpoints: int, *, limit: float) -> Fleet:
    """Run this file in a fresh process."""
    with TemporaryDirectory(prefix="keycheck-bench-") as scratch:
        done = execute([sys.executable, __file__, *arguments], limit=limit, cwd=Path(scratch))
    if done.exit_code != 0:
        raise RuntimeError(f"the fleet run ended with {done.exit_code}")
    told = json.loads(done.output)
    whole = done.seconds - told["judge"]
    return Fleet(endpoints=endpoints, process=whole, connections=done.connections, **told)


def main(arguments: list[str]) -> int:
    """One run, timed in its parts."""
    from keycheck.assess import Inputs, assess
    from keycheck.evidence.keys import SigningKey
    from keycheck.lab.matrix import world
    from keycheck.registry import load_registry
    from keycheck.session import Request, prepare, run_contract

    deployment, profile, authorization, key, out = map(Path, arguments)
    start = time.perf_counter()
    registry = load_registry()
    ready = prepare(Request(deployment, str(profile), authorization=authorization), registry)
    watch, signer = Stopwatch(), SigningKey.load(key)
    before = time.perf_counter()
    outcome = run_contract(ready, registry, world(), out, signer, watch, Event())
    after = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = high_water_kib()
    assess(
        Inputs(
            profile=ready.profile.profile,
            deployment=ready.deployment.deployment,
            observations=watch.seen,
            waivers=(),
            as_of=outcome.assessment.as_of,
        ),
        registry,
    )
    print(
        json.dumps(
            {
                "prepare": before - start,
                "observe": watch.ended - before,
                "rest": after - watch.ended,
                "judge": time.perf_counter() - after,
                "cpu": used.ru_utime + used.ru_stime,
                "peak_mib": None if peak is None else peak / 1024,
                "bundle_mib": outcome.bundle.path.stat().st_size / 2**20,
                "verdict": outcome.assessment.verdict.value,
                "observed": outcome.assessment.population.observed,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
