"""keycheck's side: the probe's work called directly, a whole run in this process, and the program."""

from __future__ import annotations

import json
import statistics
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final

from answers import VERSIONS, Said
from measure import Finished, Timing, execute, timed

from keycheck.evidence.keys import SigningKey
from keycheck.lab.matrix import Silent, world
from keycheck.lab.paperwork import Papers
from keycheck.model.probe import Observed
from keycheck.plan import Task
from keycheck.registry import Registry, load_registry
from keycheck.session import Outcome, Prepared, Request, prepare, run_contract
from probes.tls.facts import TlsFacts
from probes.tls.wire.codepoints import GROUPS

_NAMES: Final = dict(zip(VERSIONS, (0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304), strict=True))
_ANCIENT: Final = ("sslv2-", "sslv3-")


@dataclass(frozen=True, slots=True)
class Storey:
    """The contract storey on one address under the right name, after import."""

    work: Timing
    run: Timing
    kinds: tuple[tuple[str, int], ...]
    """Connections of one pass by what they were for, by keycheck's own record."""
    slowest: tuple[str, ...]
    """The connections that ended last: what the time went into."""


def prepared(papers: Papers, registry: Registry) -> Prepared:
    """What `keycheck run` does before it touches anything."""
    return prepare(Request(papers.deployment, str(papers.profile), authorization=papers.authorization), registry)


def storey(papers: Papers, runs: int) -> Storey:
    """Measure both ways on the only endpoint in the papers."""
    registry = load_registry()
    ready = prepared(papers, registry)
    (task,) = (each for each in ready.tasks if isinstance(each, Task))
    around = world()

    def look() -> Observed:
        io = ready.io(task, around)
        (part,) = task.probe.survey(task.subject, io).parts
        seen = task.probe.work(task.subject, part, io)
        if not isinstance(seen, Observed) or not isinstance(seen.facts, TlsFacts):
            raise TypeError(f"the clean server was not seen: {seen}")
        return seen

    work, seen = timed(look, runs)
    key = SigningKey.load(papers.signer)
    with TemporaryDirectory(prefix="keycheck-bench-") as out:

        def whole() -> Outcome:
            again = prepared(papers, registry)
            return run_contract(again, registry, world(), Path(out), key, Silent(), Event())

        run, _ = timed(whole, max(3, runs // 3))
    lines = [json.loads(line) for line in seen.blobs[0].content.splitlines()]
    return Storey(work, run, _kinds(lines), _slowest(lines))


def _kinds(lines: Iterable[dict[str, object]]) -> tuple[tuple[str, int], ...]:
    ancient = other = 0
    for line in lines:
        if str(line["question"]).startswith(_ANCIENT):
            ancient += 1
        else:
            other += 1
    return (("handshake and TLS questions", other), ("SSLv2 and SSLv3", ancient))


def _slowest(lines: Iterable[dict[str, object]]) -> tuple[str, ...]:
    ends = []
    for line in lines:
        start, took = line["at_us"], line["duration_us"]
        if isinstance(start, int) and isinstance(took, int):
            again = "" if line["try"] == 1 else f" (try {line['try']})"
            text = f"{line['question']}{again}: from {start / 1000:.0f} to {(start + took) / 1000:.0f} ms"
            ends.append((start + took, text))
    return tuple(text for _, text in sorted(ends, reverse=True)[:3])


def program(papers: Papers, cwd: Path, limit: float) -> Finished:
    """`keycheck run` as a program of its own, from start to exit."""
    argv = [sys.executable, "-m", "keycheck", "run", str(papers.deployment), "-p", str(papers.profile)]
    argv += ["-a", str(papers.authorization), "-k", str(papers.signer), "--out", str(_out(papers))]
    return execute([*argv, "-o", "json"], limit=limit, cwd=cwd)


def _out(papers: Papers) -> Path:
    return papers.deployment.with_suffix(".out")


def said(papers: Papers, finished: Finished) -> Said:
    """What the newest bundle of `program` says of the only endpoint, and the verdict."""
    bundles = sorted(_out(papers).glob("*.zip"), key=lambda path: path.stat().st_mtime_ns)
    if finished.exit_code is None or not bundles:
        return Said(trouble="no bundle")
    verdict = str(json.loads(finished.output)["verdict"])
    with zipfile.ZipFile(bundles[-1]) as bundle:
        lines = [json.loads(line) for line in bundle.read("observations.jsonl").splitlines()]
    for line in lines:
        if line["part"] is None:
            continue
        outcome = line["outcome"]
        if outcome["kind"] == "unseen":
            return Said(reached=False, verdict=f"{verdict}: {outcome['reason']}")
        return _read(TlsFacts.model_validate_json(json.dumps(outcome["facts"])), verdict)
    return Said(trouble="nothing observed")


def _read(facts: TlsFacts, verdict: str) -> Said:
    on = facts.accepted_versions()
    off = facts.evidence.ruled_out_versions() - on
    return Said(
        on=frozenset(name for name, code in _NAMES.items() if code in on),
        off=frozenset(name for name, code in _NAMES.items() if code in off),
        groups=frozenset(GROUPS.name(code).lower() for code in facts.accepted_groups()),
        verdict=verdict,
    )


def start_up(runs: int, cwd: Path) -> tuple[tuple[str, float], ...]:
    """Median seconds of starting to do nothing, and of each way to begin."""
    ways = (
        ("python -c pass", ("-c", "pass")),
        ("import keycheck", ("-c", "import keycheck")),
        ("keycheck --help", ("-m", "keycheck", "--help")),
        ("import of the engine and the TLS area", ("-c", "import keycheck.session, probes.tls.observe")),
    )
    found = []
    for name, arguments in ways:
        execute([sys.executable, *arguments], limit=30, cwd=cwd)
        seconds = [execute([sys.executable, *arguments], limit=30, cwd=cwd).seconds for _ in range(runs)]
        found.append((name, statistics.median(seconds)))
    return tuple(found)
