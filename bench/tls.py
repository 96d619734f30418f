"""Benchmark of the TLS contract storey, beside other scanners on the same servers in the same run.

    python bench/tls.py [--quick] [--peers sslyze,sslscan,testssl] [--cache DIR] [--limit SECONDS]

A benchmark, not a test: it prints, and ends with 0 however slow the machine is. Everything happens on loopback
against the lab. Connections are counted for the whole network namespace; on a busy machine have one to yourself:

    unshare -n sh -c 'ip link set lo up && exec python bench/tls.py'
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import fleet
import ours
import peers
import show
from answers import Said, mark
from measure import Finished, Timing, busy, machine, repeated, shown_time
from scene import SERVERS, Server, defects, endpoints, fleet_id, papers_for, raise_descriptor_limit

from keycheck.lab.world import Lab, LabEndpoint

ROUND_TRIP_MS: Final = 40
CALM_S: Final = 1.2
"""Between two visits, so that a server that limits its rate has forgotten the last one."""
TARGETS: Final = {"loopback": 0.020, "far": 0.150, "fleet": 5.0, "help": 0.3}
MOST_CONNECTIONS: Final = 16
MOST_MIB: Final = 100.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    quick: bool
    peers: tuple[str, ...]
    cache: Path
    limit: float
    now: datetime

    @property
    def runs(self) -> int:
        """Calls in this process."""
        return 15 if self.quick else 60

    @property
    def starts(self) -> int:
        """Starts of a program."""
        return 3 if self.quick else 7

    @property
    def fleet(self) -> int:
        """Endpoints of the fleet."""
        return 100 if self.quick else 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part."""
    options = _options(argv)
    raise_descriptor_limit()
    print(f"{options.now:%Y-%m-%d %H:%M} UTC; {machine()}")
    if (warning := busy()) is not None:
        print(warning)
    found = [peers.find(name, options.cache) for name in options.peers]
    tools = [each for each in found if isinstance(each, peers.Peer)]
    for each in found:
        print(f"{each.name}: {each.advice if isinstance(each, peers.Missing) else each.version}")
    with TemporaryDirectory(prefix="keycheck-bench-") as scratch:
        home = Path(scratch)
        _one_address(options, home)
        _start_up(options, home)
        _fleet(options, home, tools)
        with Lab(home / "scene", defects(), fleet=len(SERVERS)) as lab:
            _speed(options, home, lab, tools)
            _answers(options, home, lab, tools)
    return 0


def _options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs, 100 endpoints, no scan of half a minute")
    parser.add_argument("--peers", default=",".join(peers.NAMES), help="which to compare with; empty for none")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="where sslyze is installed (%(default)s)")
    parser.add_argument("--limit", type=float, help="seconds that one scan of a peer may take (600; quick: 60)")
    given = parser.parse_args(argv)
    names = tuple(name for name in given.peers.split(",") if name)
    if unknown := set(names) - set(peers.NAMES):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; use some of {', '.join(peers.NAMES)}")
    return Options(given.quick, names, given.cache, given.limit or (60.0 if given.quick else 600.0), datetime.now(UTC))


def _one_address(options: Options, home: Path) -> None:
    """The storey on one address, near and far."""
    show.heading("keycheck: one address, right name, one try, after import")
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for place, trip in (("loopback", 0), (f"{ROUND_TRIP_MS} ms round trip", ROUND_TRIP_MS)):
        with Lab(home / f"one-{trip}", fleet=1, round_trip_ms=trip) as lab:
            papers = papers_for(lab, [fleet_id(1)], "one", options.now)
            measured = ours.storey(papers, options.runs if not trip else options.runs // 3)
        limit = TARGETS["far" if trip else "loopback"]
        goal = f"< {shown_time(limit)}: {show.target(measured.work.median, limit)}"
        count = show.count(measured.work.connections) if not trip else "(relay counts too)"
        rows.append((f"probe and facts, {place}", shown_time(measured.work.median), measured.work.spread, count, goal))
        rows.append((f"whole run, {place}", shown_time(measured.run.median), measured.run.spread, "", ""))
        kinds = dict(measured.kinds)
        main_part = kinds["handshake and TLS questions"]
        parts = "; ".join(f"{number} {kind}" for kind, number in measured.kinds)
        notes.append(f"{place}: {parts} (target <= {MOST_CONNECTIONS} of the first: {_within(main_part)})")
        notes.append(f"{place}, last to end: {'; '.join(measured.slowest)}")
    show.table(("what", "median", "runs", "connections", "target"), rows)
    print("A whole run reads the files, plans, observes, judges, signs and writes the bundle.")
    print("The relay holds a client's first bytes back for one round trip, as the TCP handshake would.")
    print("\n".join(notes))


def _within(connections: int) -> str:
    return show.target(connections, MOST_CONNECTIONS + 1)


def _start_up(options: Options, home: Path) -> None:
    show.heading("keycheck: start-up")
    rows = []
    for name, seconds in ours.start_up(options.starts, home):
        goal = f"< {shown_time(TARGETS['help'])}: {show.target(seconds, TARGETS['help'])}" if "--help" in name else ""
        rows.append((name, shown_time(seconds), goal))
    show.table(("what", "median", "target"), rows)


def _fleet(options: Options, home: Path, tools: Sequence[peers.Peer]) -> None:
    number = options.fleet
    show.heading(f"{number} endpoints, one address each, right name, one process")
    ids = [fleet_id(each) for each in range(1, number + 1)]
    with Lab(home / "fleet", fleet=number) as lab:
        papers = papers_for(lab, ids, "fleet", options.now)
        files = [papers.deployment, papers.profile, papers.authorization, papers.signer, home / "fleet-out"]
        done = [fleet.measure([*map(str, files)], number, limit=600) for _ in range(1 if options.quick else 3)]
        best = sorted(done, key=lambda each: each.process)[len(done) // 2]
        peak = "unavailable" if best.peak_mib is None else f"{best.peak_mib:.0f} MiB"
        rows: list[tuple[str, ...]] = [
            ("keycheck", shown_time(best.process), peak, show.count(best.connections), "1x", "-")
        ]
        if any(each.name == "sslyze" for each in tools):
            rows.append(_sslyze_fleet(options, home, [lab.endpoint(each) for each in ids], best))
    show.table(("tool", "time", "peak memory", "connections", "time, ratio", "exit"), rows)
    parts = ("prepare", best.prepare), ("observe", best.observe), ("judge and sign", best.rest)
    print("keycheck: " + ", ".join(f"{name} {shown_time(seconds)}" for name, seconds in parts), end="")
    print(
        f" (judging alone {shown_time(best.judge)}); CPU {shown_time(best.cpu)}; bundle {best.bundle_mib:.1f} MiB; ",
        end="",
    )
    print(f"{best.observed} seen, verdict {best.verdict}; runs {', '.join(shown_time(d.process) for d in done)}")
    inside = best.prepare + best.observe + best.rest
    memory = "?" if best.peak_mib is None else show.target(best.peak_mib, MOST_MIB)
    goal = f"< {shown_time(TARGETS['fleet'])}: {show.target(inside, TARGETS['fleet'])}; < {MOST_MIB:.0f} MiB: {memory}"
    print(f"target for 1000, after import: {goal}" + (f" (with {number} only)" if number != 1000 else ""))


def _sslyze_fleet(options: Options, home: Path, many: Sequence[LabEndpoint], best: fleet.Fleet) -> tuple[str, ...]:
    done = peers.sslyze_fleet(options.cache, many, home, options.limit)
    peak = "unavailable" if done.peak_kib is None else f"{done.peak_kib / 1024:.0f} MiB"
    name = "sslyze (certificate, TLS 1.3, groups)"
    return (name, _took(done), peak, show.count(done.connections), show.ratio(done.seconds, best.process), _exit(done))


def _speed(options: Options, home: Path, lab: Lab, tools: Sequence[peers.Peer]) -> None:
    """Whole programs on the clean server."""
    show.heading("whole programs, from start to exit, on the clean server")
    endpoint = endpoints(lab)[0]
    papers = papers_for(lab, [endpoint.id], "speed", options.now)
    ours_, _ = repeated(lambda: ours.program(papers, home, options.limit), options.starts)
    rows = [("keycheck run, bundle signed", *_figures(ours_, ours_))]
    for tool in tools:
        for mode in tool.modes:
            if mode.slow and options.quick:
                continue
            times = 1 if mode.slow else 3
            theirs, _ = repeated(partial(_call, tool, mode, endpoint, home, options.limit), times)
            rows.append((f"{tool.name} {tool.version}, {mode.label}", *_figures(theirs, ours_)))
    show.table(("tool", "median", "connections", "time, ratio", "connections, ratio"), rows)


def _call(tool: peers.Peer, mode: peers.Mode, endpoint: LabEndpoint, home: Path, limit: float) -> Finished:
    return tool.run(mode, endpoint, home, limit)[0]


def _figures(theirs: Timing, mine: Timing) -> tuple[str, ...]:
    return (
        shown_time(theirs.median),
        show.count(theirs.connections),
        show.ratio(theirs.median, mine.median),
        show.ratio(theirs.connections, mine.connections),
    )


def _answers(options: Options, home: Path, lab: Lab, tools: Sequence[peers.Peer]) -> None:
    """Who says what about which server."""
    show.heading("what was said: versions, deciding groups, and the exit code")
    head = ("server", "tool", "time", "connections", "exit", "verdict", "versions", "deciding groups")
    rows: list[tuple[str, ...]] = []
    for server, endpoint in zip(SERVERS, endpoints(lab), strict=True):
        papers = papers_for(lab, [endpoint.id], endpoint.id, options.now)
        time.sleep(CALM_S)
        done = ours.program(papers, home, options.limit)
        rows.append(_row(server, "keycheck", done, ours.said(papers, done)))
        for tool in tools:
            time.sleep(CALM_S)
            theirs, said = tool.run(tool.modes[0], endpoint, home, options.limit)
            rows.append(_row(server, tool.name, theirs, said))
    show.table(head, rows)
    print(
        "The contract: TLS 1.3 only, 256-bit suites, hybrid and elliptic-curve groups. Beside X25519MLKEM768 the clean"
    )
    print("server takes X25519, P-256 and P-384. A deciding group shows a contract kept (X25519MLKEM768) or broken")
    print("(ffdhe). Nobody can know which old versions a server speaks that is silent to old hellos.")


def _row(server: Server, tool: str, done: Finished, said: Said) -> tuple[str, ...]:
    marked = mark(server.truth, said)
    count = show.count(done.connections)
    verdict = said.verdict or "-"
    return (server.name, tool, _took(done), count, _exit(done), verdict, marked.versions, marked.groups)


def _took(done: Finished) -> str:
    return shown_time(done.seconds) if done.exit_code is not None else f"> {shown_time(done.seconds)}"


def _exit(done: Finished) -> str:
    return "killed" if done.exit_code is None else str(done.exit_code)


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("the lab needs Linux or macOS")
    sys.exit(main())
