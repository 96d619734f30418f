"""Torture of the drill engine, the long form: points tried, and how many were restored.

    python bench/torture.py [--quick] [--seed N] [--jobs N]

Every drill runs in a process of its own on a toy cloud and dies at every write of the journal (before, torn in the
middle, written, synced), between any two calls, at lines of the engine, or gets two signals at a random moment; with
and without watchdog, with and without propagation lag, on a cloud that fails. Ends with 1 when anything was not
restored, or when a second recovery changed anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from drill_torture import Torturer, ToyScenario, torture  # noqa: E402 - the support of the tests, found just now
from toy_mechanism import Habits  # noqa: E402


def main() -> int:
    """Print a line a scenario and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every fourth point only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4, help="trials at once; most of a trial is waiting")
    options = parser.parse_args()
    scenarios = [
        ToyScenario("toy, no lag"),
        ToyScenario("toy, 1 s lag, every write starts it anew", Habits(lag_ms=1000, rewrites=True)),
        ToyScenario("toy, throttling and lost answers", Habits(errors=40)),
    ]
    every, lines, signals = (4, 25, 5) if options.quick else (1, 100, 25)
    tried: Counter[str] = Counter()
    restored: Counter[str] = Counter()
    began = time.monotonic()
    with TemporaryDirectory(prefix="keycheck-torture-") as scratch:
        torturer = Torturer(Path(scratch))
        for scenario in scenarios:
            at = time.monotonic()
            for trial in torture(
                torturer, [scenario], every=every, lines=lines, signals=signals, seed=options.seed, jobs=options.jobs
            ):
                tried[scenario.name] += 1
                restored[scenario.name] += not trial.wrong
                if trial.wrong:
                    print(f"NOT RESTORED: {trial.what}: {trial.wrong}")
            name = scenario.name
            print(
                f"{name:45} {tried[name]:5} tried {restored[name]:5} restored {time.monotonic() - at:7.0f} s",
                flush=True,
            )
    total = (tried.total(), restored.total())
    print(f"{'all':45} {total[0]:5} tried {total[1]:5} restored {time.monotonic() - began:7.0f} s")
    return 0 if total[0] == total[1] else 1


if __name__ == "__main__":
    sys.exit(main())
