"""Benchmark of the keys: a hundred of them inspected, other tools asked about the same ones, and the fakes' speed.

    python bench/keys.py [--quick] [--peers prowler,scoutsuite,c7n] [--cache DIR] [--limit SECONDS]

A benchmark, not a test: it prints, and ends with 0 however slow the machine is. Everything happens on loopback
against the lab's clouds; nothing is known of how fast the real ones answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import fleet
import key_peers
import lab_gcp
import lab_kms
import ours
import show
from key_access import reaching
from key_scene import QUESTIONS, Calls, Question, clouds, hide_loopback, many_keys, questions
from measure import Finished, Timing, busy, machine, repeated, shown_time

from keycheck.forecast import Forecast, forecast
from keycheck.lab.matrix import world
from keycheck.lab.paperwork import Papers, write_papers
from keycheck.registry import load_registry
from probes.clouds.gcp.pace import QUOTAS, Api

OWN_KEYS: Final = 5
"""Of the lab's honest customer, besides the fleet."""
TARGET_S: Final = 10.0
TARGET_RATE: Final = 500


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    quick: bool
    peers: tuple[str, ...]
    cache: Path
    limit: float
    now: datetime

    @property
    def keys(self) -> int:
        """In two clouds."""
        return 25 if self.quick else 100

    @property
    def runs(self) -> int:
        """Of everything that is repeated."""
        return 3 if self.quick else 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part."""
    options = _options(argv)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nothing of this machine's account is asked
    print(f"{options.now:%Y-%m-%d %H:%M} UTC; {machine()}")
    if (warning := busy()) is not None:
        print(warning)
    found = [key_peers.find(name, options.cache) for name in options.peers]
    for each in (*found, key_peers.STEAMPIPE) if options.peers else ():
        print(f"{each.name}: {each.why if isinstance(each, key_peers.Missing) else f'{each.version}, {each.asks}'}")
    with TemporaryDirectory(prefix="keycheck-bench-") as scratch:
        home = Path(scratch)
        _many(options, home)
        _questions(options, home, [each for each in found if isinstance(each, key_peers.Peer)])
    _decrypts(options)
    return 0


def _options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs, 25 keys")
    parser.add_argument("--peers", default=",".join(key_peers.NAMES), help="which to compare with; empty for none")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="where peers are installed (%(default)s)")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that one run may take (%(default)s)")
    given = parser.parse_args(argv)
    names = tuple(name for name in given.peers.split(",") if name)
    if unknown := set(names) - set(key_peers.NAMES):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; use some of {', '.join(key_peers.NAMES)}")
    return Options(given.quick, names, given.cache, given.limit, datetime.now(UTC))


def _many(options: Options, home: Path) -> None:
    """Whole runs on many keys, at the emulator's pace and at AWS's. Each on a cloud of its own, as reading the log is
    itself logged, and makes the next run longer."""
    show.heading(f"keycheck: {options.keys} keys in two clouds, from start to exit")
    rows: list[tuple[str, ...]] = []
    details: list[str] = []
    for label, paced in (("no quotas, as on an emulator", False), ("AWS's quotas kept", True)):
        here = home / f"many-{paced}"
        with many_keys(here, options.keys - OWN_KEYS) as (lab, calls):
            papers = write_papers(lab, options.now)
            if paced:
                hide_loopback(lab)
            planned = forecast(ours.prepared(papers, load_registry()), world())
            done, made = _runs(options, here, papers, calls)
            rows.append((label, *_figures(done), _goal(done) if not paced else ""))
            details.append(f"{label}: {_inside(done)}\n{_made(made, planned)}")
            if paced:
                details.append(_quotas(calls))
    show.table(("what", "median", "runs", "observing", "peak memory", "target"), rows)
    print("\n".join(details))


def _goal(done: Sequence[fleet.Fleet]) -> str:
    return f"< {shown_time(TARGET_S)}: {show.target(statistics.median(each.process for each in done), TARGET_S)}"


def _runs(options: Options, home: Path, papers: Papers, calls: Calls) -> tuple[list[fleet.Fleet], tuple[int, int]]:
    """The runs, and the calls of the first one to AWS and to Google."""
    files = [papers.deployment, papers.profile, papers.authorization, papers.signer, home / "out"]
    done: list[fleet.Fleet] = []
    made: list[tuple[int, int]] = []
    for _ in range(options.runs):
        calls.forget()
        done.append(fleet.measure([*map(str, files)], options.keys, limit=options.limit))
        made.append((calls.aws.total(), calls.gcp.total()))
    return done, made[0]


def _figures(done: Sequence[fleet.Fleet]) -> tuple[str, ...]:
    whole = Timing(tuple(each.process for each in done))
    peaks = [each.peak_mib for each in done if each.peak_mib is not None]
    peak = f"{max(peaks):.0f} MiB" if peaks else "unavailable"
    observing = statistics.median(each.observe for each in done)
    return shown_time(whole.median), whole.spread, shown_time(observing), peak


def _inside(done: Sequence[fleet.Fleet]) -> str:
    one = sorted(done, key=lambda each: each.process)[len(done) // 2]
    parts = ("prepare", one.prepare), ("observe", one.observe), ("judge and sign", one.rest)
    times = ", ".join(f"{name} {shown_time(seconds)}" for name, seconds in parts)
    seen = sorted({each.observed for each in done})
    runs = ", ".join(shown_time(each.process) for each in done)
    size = f"CPU {shown_time(one.cpu)}; bundle {one.bundle_mib:.1f} MiB"
    text = f"{times}; {size}; runs in order {runs}; {one.observed} observed"
    return text if len(seen) == 1 else f"{text}; NOT THE SAME IN ALL RUNS: {seen}"


def _made(made: tuple[int, int], planned: Forecast) -> str:
    aws, gcp = made
    return f"first run: {aws + gcp} API calls ({aws} AWS, {gcp} Google); the plan announced about {planned.calls}"


def _quotas(calls: Calls) -> str:
    """What was asked last, and what Google's quotas would cost, which cannot be switched on here."""
    most = ", ".join(f"{name} {count}" for name, count in (calls.aws + calls.gcp).most_common(8))
    entries = calls.gcp["ListLogEntries"]
    quota = QUOTAS[Api.LOGGING]
    wait = max(0.0, (entries - quota.burst) / quota.rate)
    return (
        f"most called, last run: {most}\n"
        "Google's quotas are not kept here: keycheck skips them for an emulator without TLS. By keycheck's own pace the"
        f"\n{entries} calls for log entries (a burst of {quota.burst}, then {quota.rate:g} a second) would take "
        f"{shown_time(wait)}, the longest of all its queues."
    )


def _questions(options: Options, home: Path, tools: Sequence[key_peers.Peer]) -> None:
    """Everybody on the same AWS keys."""
    show.heading(f"{len(QUESTIONS)} keys in AWS: who says what, whole programs from start to exit")
    with questions(home / "questions") as lab:
        arns = clouds(lab).aws.arns
        calls = clouds(lab).aws.cloud.faults.calls
        papers = write_papers(lab, options.now)
        mine, last = _ourselves(options, home, papers, calls)
        rows = [("keycheck run, bundle signed", shown_time(mine.median), mine.spread, str(calls.total()), "1x", "ok")]
        said: dict[str, Mapping[str, frozenset[str]]] = {"keycheck": _flags(last)}
        with reaching(lab) as environment:
            for tool in tools:
                done, flags, row = _peer(options, home, tool, environment, calls)
                rows.append(
                    (f"{tool.name} {tool.version}", *row, show.ratio(done.median, mine.median), _trouble(flags))
                )
                if not isinstance(flags, str):
                    said[tool.name] = {id: flags[arn] for id, arn in arns.items() if arn in flags}
        show.table(("tool", "median", "runs", "AWS calls", "time, ratio", "ended"), rows)
    print()
    show.table(("the key", "what is true of it"), [(each.id, each.truth) for each in QUESTIONS])
    print()
    show.table(("the key", "tool", "flags", "so it"), _verdicts(said))
    print("A tool sees a defect when it flags something that it does not flag on the honest key of the same make.")


def _ourselves(options: Options, home: Path, papers: Papers, calls: Counter[str]) -> tuple[Timing, Finished]:
    def once() -> Finished:
        calls.clear()
        return ours.program(papers, home, options.limit)

    return repeated(once, options.runs)


def _peer(
    options: Options, home: Path, tool: key_peers.Peer, environment: Mapping[str, str], calls: Counter[str]
) -> tuple[Timing, key_peers.Flags | str, tuple[str, str, str]]:
    outcomes: list[key_peers.Flags | str] = []

    def once() -> Finished:
        calls.clear()
        done, flags = tool.run(environment, home / "reports", options.limit)
        outcomes.append(flags)
        return done

    timing, _ = repeated(once, min(options.runs, 3))
    return timing, outcomes[-1], (shown_time(timing.median), timing.spread, str(calls.total()))


def _trouble(flags: key_peers.Flags | str) -> str:
    return flags if isinstance(flags, str) else "ok"


def _flags(done: Finished) -> Mapping[str, frozenset[str]]:
    """Failed and unknown controls of each key."""
    said: dict[str, frozenset[str]] = {}
    for finding in json.loads(done.output)["findings"]:
        if finding["subject"] is None:
            continue
        id, control = finding["subject"].removeprefix("keys/"), finding["control"].partition("@")[0]
        good = finding["verdict"] in ("pass", "not-applicable")
        said[id] = said.get(id, frozenset()) | (frozenset() if good else {control})
    return said


def _verdicts(said: Mapping[str, Mapping[str, frozenset[str]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for question in QUESTIONS:
        for tool, flags in said.items():
            mine = flags.get(question.id)
            shown = "not looked at" if mine is None else ", ".join(sorted(mine)) or "nothing"
            rows.append((question.id, tool, shown, _mark(question, mine, flags)))
    return rows


def _mark(question: Question, mine: frozenset[str] | None, flags: Mapping[str, frozenset[str]]) -> str:
    if mine is None:
        return "cannot know"
    if not question.twin:
        return "is right" if not mine else "FALSE ALARM"
    return "sees it" if mine - flags.get(question.twin, frozenset()) else "MISSES it"


def _decrypts(options: Options) -> None:
    """How fast the fakes are, so that they are no bottleneck."""
    show.heading("the fakes: decrypts a second")
    seconds = 1.5 if options.quick else 3.0
    rates = [*lab_kms.rates(seconds), *lab_gcp.rates(seconds)]
    goal = f">= {TARGET_RATE}"
    rows = [(name, f"{rate:.0f}", goal, "met" if rate >= TARGET_RATE else "MISSED") for name, rate in rates]
    show.table(("what", "a second", "target", ""), rows)


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("the lab needs Linux or macOS")
    sys.exit(main())
