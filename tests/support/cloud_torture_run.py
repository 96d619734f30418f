"""Torture of the mechanisms on both lab clouds, the long form: points tried, and how many were restored.

    python tests/support/cloud_torture_run.py [--quick] [--seed N] [--jobs N] [--kind aws-deny …]

Ends with 1 when anything was not restored, or when a second recovery changed anything.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cloud_torture import CloudTorturer, torture, whole
from cloud_torture_stage import KINDS

OFTEN = 50
"""Trials between two words of progress."""


def main() -> int:
    """Print a line a scenario and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every eighth of the points only")
    parser.add_argument("--thin", type=int, default=1, help="every so many-th of the points")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=6, help="trials at once; most of a trial is waiting")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this mechanism (may be repeated)")
    options = parser.parse_args()
    began = time.monotonic()
    tried: Counter[str] = Counter()
    restored: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    with TemporaryDirectory(prefix="keycheck-torture-") as scratch:
        torturer = CloudTorturer(Path(scratch), options.jobs)
        try:
            kinds = tuple(options.kind or KINDS)
            plans = whole(torturer, kinds, options.seed, thin=8 if options.quick else options.thin)
            total = sum(len(harms) for _, harms in plans)
            print(f"{total} points, {options.jobs} at once, seed {options.seed}", flush=True)
            groups = itertools.groupby(torture(torturer, plans, options.seed), key=lambda each: each[0])
            for scenario, trials in groups:
                at = time.monotonic()
                for _, trial in trials:
                    tried[scenario.name] += 1
                    restored[scenario.name] += not trial.wrong
                    missed[scenario.name] += not trial.landed
                    if trial.wrong:
                        print(f"NOT RESTORED: {trial.what}: {trial.wrong}", flush=True)
                    if tried.total() % OFTEN == 0:
                        print(f"… {tried.total()} of {total}, {time.monotonic() - began:.0f} s", flush=True)
                name = scenario.name
                print(
                    f"{name:64} {tried[name]:5} tried {restored[name]:5} restored {missed[name]:4} over before "
                    f"{time.monotonic() - at:6.0f} s",
                    flush=True,
                )
        finally:
            torturer.close()
    print(f"{missed.total()} drills were over before their harm came")
    print(f"{tried.total()} points tried, {restored.total()} restored, {time.monotonic() - began:.0f} s")
    return 0 if tried.total() == restored.total() else 1


if __name__ == "__main__":
    sys.exit(main())
