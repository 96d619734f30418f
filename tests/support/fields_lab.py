"""Whole runs on the practice vendor's exports: what they write, what they send to workers, what they conclude."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import ParamSpec, TypeVar

from keycheck.evidence.keys import SigningKey
from keycheck.executors import DaemonThreads, PoolKind
from keycheck.lab.data_rows import rows
from keycheck.lab.data_sites import clean_data_sets
from keycheck.lab.matrix import Silent, world
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab
from keycheck.model.verdict import Kind, Reason
from keycheck.registry import load_registry
from keycheck.session import Outcome, Prepared, Request, prepare, run_contract
from keycheck.units import Advance

P = ParamSpec("P")
T = TypeVar("T")
ESDK, TINK = "datasets/contacts-export", "datasets/contacts-g-export"
SENSITIVE = ("name", "email", "phone", "iban", "notes")
"""Columns of values that nothing else in a run says. (A segment is a common word.)"""


@dataclass
class Posted:
    """Workers that are threads, to which work is sent as to another process: pickled."""

    sent: list[bytes] = field(default_factory=list)
    """What went to workers and what came back."""
    here: list[object] = field(default_factory=list)
    """What was done in this process only."""

    def factory(self, kind: PoolKind, workers: int) -> Executor:
        """Raises nothing."""
        return _Post(self, kind)


class _Post(Executor):
    def __init__(self, posted: Posted, kind: PoolKind) -> None:
        self._posted, self._kind, self._threads = posted, kind, DaemonThreads()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._kind == "threads":
            self._posted.here += args
            return self._threads.submit(fn, *args, **kwargs)
        letter = pickle.dumps((args, kwargs))
        self._posted.sent.append(letter)

        def there() -> T:
            given, named = pickle.loads(letter)
            answer = pickle.dumps(fn(*given, **named))
            self._posted.sent.append(answer)
            back: T = pickle.loads(answer)
            return back

        return self._threads.submit(there)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)


class Watching(Silent):
    """Calls whenever large work came a step on."""

    def __init__(self, each: Callable[[Advance], None]) -> None:
        self._each = each

    def advanced(self, advance: Advance) -> None:
        self._each(advance)


@dataclass(frozen=True, slots=True)
class Whole:
    """A run and what it was prepared from."""

    outcome: Outcome
    prepared: Prepared

    def verdicts(self, subject: str) -> Mapping[str, frozenset[Kind]]:
        """By control."""
        found: dict[str, frozenset[Kind]] = {}
        for each in self.outcome.assessment.findings:
            if each.subject == subject:
                control = each.control.partition("@")[0]
                found[control] = found.get(control, frozenset()) | {each.verdict}
        return found

    def reasons(self, subject: str, control: str) -> frozenset[Reason]:
        """Of one control's verdict."""
        return frozenset(
            reason
            for each in self.outcome.assessment.findings
            if each.subject == subject and each.control.startswith(f"{control}@")
            for reason in each.reasons
        )

    def passed(self, subject: str) -> frozenset[str]:
        """Controls that pass."""
        return frozenset(control for control, kinds in self.verdicts(subject).items() if Kind.PASS in kinds)


def whole(
    lab: Lab,
    out: Path,
    *only: str,
    posted: Posted | None = None,
    each: Callable[[Advance], None] | None = None,
    stop: Event | None = None,
) -> Whole:
    """One run over the exports, as `keycheck run` does it."""
    papers = write_papers(lab, datetime.now(UTC))
    registry = load_registry()
    prepared = prepare(Request(papers.deployment, str(papers.profile), only or ("datasets/*",)), registry)
    there = replace(world((posted or Posted()).factory), drills=lab.home / "drills")
    watch = Watching(each) if each is not None else Silent()
    signer = SigningKey.load(papers.signer)
    return Whole(run_contract(prepared, registry, there, out, signer, watch, stop or Event()), prepared)


def plaintexts(every: int = 1) -> set[bytes]:
    """Values of sensitive columns, of every so-manieth row."""
    return {
        row.values[column].encode()
        for site in clean_data_sets()
        for number, row in enumerate(rows(site, datetime.now(UTC), bytes))
        if number % every == 0 and not row.canary
        for column in SENSITIVE
        if column in row.values
    }


def canaries(lab: Lab) -> set[bytes]:
    """Values that were planted."""
    return {
        value["value"].encode()
        for path in lab.home.rglob("canaries.json")
        for record in json.loads(path.read_text())["records"]
        for value in record["values"]
    }
