"""Times whole revoke drills on the lab: how long they take, how finely they look, and how well they measure a lag.

python bench/drills.py [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import show
from measure import busy, machine, shown_time

from keycheck.lab.matrix import observe
from keycheck.lab.world import DRILLS, Lab
from keycheck.model.drill import Wish
from keycheck.registry import load_registry

LAG: Final = timedelta(seconds=1)
TARGET_S: Final = 10.0
KEYS: Final = {"contacts": "AWS, Deny for the canary", "contacts-g": "Google Cloud, conditioned binding"}


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill, in seconds."""

    whole: float
    """From reading the files to the signed bundle."""
    away: float
    """From the act to the undo."""
    quiet: float
    """Of that, what the deployment wants nothing to happen for."""
    resolution: float
    """Longest time between two looks on any path that is looked at again and again."""
    denied: float
    """When our own principal was first denied."""
    restored: bool
    verdict: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="of each drill (%(default)s)")
    given = parser.parse_args(argv)
    print(machine())
    if (warning := busy()) is not None:
        print(warning)
    show.heading("Whole revoke drills on the honest practice vendor, each on a lab of its own")
    rows = []
    for key, what in KEYS.items():
        for lag in (timedelta(0), LAG):
            done = [_drill(key, lag) for _ in range(given.runs)]
            rows.append(_row(f"{what}, lag {lag.total_seconds():.0f} s", done, lag))
    show.table(("drill", "whole", "key away", "quiet wanted", "resolution", "denied after", "target", "restored"), rows)
    print("`denied after` less the lag is what measuring adds; two polls are 0.5 s.")
    return 0


def _row(label: str, done: Sequence[Drill], lag: timedelta) -> tuple[str, ...]:
    whole = statistics.median(each.whole for each in done)
    goal = f"< {TARGET_S:.0f} s: {show.target(whole, TARGET_S)}" if not lag else ""
    return (
        label,
        shown_time(whole),
        shown_time(statistics.median(each.away for each in done)),
        shown_time(done[0].quiet),
        shown_time(max(each.resolution for each in done)),
        shown_time(max(each.denied for each in done)),
        goal,
        f"{sum(each.restored for each in done)} of {len(done)}, {'/'.join(sorted({each.verdict for each in done}))}",
    )


def _drill(key: str, lag: timedelta) -> Drill:
    with TemporaryDirectory(prefix="keycheck-bench-") as home:
        with Lab(Path(home), sections=frozenset({"keys", DRILLS})) as lab:
            clouds = lab.clouds
            if clouds is None:
                raise RuntimeError("the lab serves no keys")
            clouds.aws.cloud.faults.lags.policy = lag
            clouds.gcp.cloud.faults.iam_lag = lag
            time.sleep(2 * lag.total_seconds())  # what the lab itself wrote is obeyed by now
            began = time.monotonic()
            outcome, _ = observe(lab, load_registry(), Path(home), drills=Wish(), only=(f"keys/{key}:keys.revocation",))
            whole = time.monotonic() - began
        facts = _facts(outcome.bundle.path)
    verdicts = {f.verdict for f in outcome.assessment.findings if f.control.startswith("keys.revocation@")} - {
        "not-tested"
    }
    lines = [line for line in facts["timelines"] if line["path"] != "vendor-cold"]
    sentinel = next(line for line in lines if line["path"] == "sentinel")
    return Drill(
        whole=whole,
        away=(facts["undoing"]["at_us"] - facts["acted"]["at_us"]) / 1e6,
        quiet=facts["quiet_us"] / 1e6,
        resolution=max(line["resolution_us"] for line in lines) / 1e6,
        denied=sentinel["refused"]["end_us"] / 1e6,
        restored=facts["restored"]["kind"] == "restored",
        verdict=", ".join(sorted(verdicts)),
    )


def _facts(bundle: Path) -> dict[str, Any]:
    with zipfile.ZipFile(bundle) as plain:
        lines = [json.loads(line) for line in plain.read("observations.jsonl").splitlines()]
    for line in lines:
        if line["schema"] == "keys.revocation/1" and line["outcome"]["kind"] == "seen":
            found: dict[str, Any] = line["outcome"]["facts"]
            return found
    raise RuntimeError("the drill was not done: run it with `keycheck drill revoke` and see why")


if __name__ == "__main__":
    raise SystemExit(main())
