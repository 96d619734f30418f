"""A recording: what a cloud answered to each step of each case, one canonical JSON file a run; and how two compare.

    {"schema": "keycheck.live-recording/1", "cloud": "aws", "complete": true, "region": …, "started": …, "sdk": {…},
     "cases": [{"name": …, "version": 1, "outcome": "done", "why": "",
                "steps": [{"name": …, "operation": …, "request": …, "answer": … or "error": {code, message, status},
                           "latency_us": …, "tries": …, "waited_us": …}]}]}

What is compared: which steps there are, operation, request, and answer or error. What is not: times, tries, dates.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from live_normal import Plain, Symbols

from keycheck import canonical

SCHEMA: Final = "keycheck.live-recording/1"
MOST_BYTES: Final = 8 * 1024 * 1024
_DEPTH: Final = 24
Outcome = Literal["done", "skipped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call and what came of it; of a poll the last call."""

    name: str
    operation: str
    request: Plain
    answer: Plain = None
    error: Mapping[str, str] | None = None
    latency_us: int = 0
    tries: int = 1
    waited_us: int = 0

    def plain(self) -> dict[str, Plain]:
        shown: dict[str, Plain] = {
            "name": self.name,
            "operation": self.operation,
            "request": self.request,
            "latency_us": self.latency_us,
            "tries": self.tries,
            "waited_us": self.waited_us,
        }
        if self.error is None:
            shown["answer"] = self.answer
        else:
            shown["error"] = dict(self.error)
        return shown


@dataclass(slots=True)
class CaseRecord:
    """One case as it went."""

    name: str
    version: int
    outcome: Outcome = "interrupted"
    why: str = ""
    steps: list[Step] = field(default_factory=list)

    def plain(self) -> dict[str, Plain]:
        return {
            "name": self.name,
            "version": self.version,
            "outcome": self.outcome,
            "why": self.why,
            "steps": [step.plain() for step in self.steps],
        }


@dataclass(slots=True)
class Recording:
    """A run."""

    cloud: str
    region: str
    started: str
    sdk: Mapping[str, str]
    cases: list[CaseRecord] = field(default_factory=list)
    complete: bool = False

    def plain(self) -> dict[str, Plain]:
        return {
            "schema": SCHEMA,
            "cloud": self.cloud,
            "region": self.region,
            "started": self.started,
            "sdk": dict(self.sdk),
            "complete": self.complete,
            "cases": [case.plain() for case in self.cases],
        }


def write(recording: Recording, path: Path, symbols: Symbols) -> None:
    """Write the file, readable by the owner alone. Raise LeakError instead where it would give something away."""
    data = canonical.dumps(recording.plain(), max_depth=_DEPTH)
    symbols.check(data.decode("utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


class RecordingError(ValueError):
    """A file that is no recording."""


def read(path: Path) -> Mapping[str, Plain]:
    """Raise RecordingError for anything but a recording in canonical form."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        document = canonical.loads(data, max_bytes=MOST_BYTES, max_depth=_DEPTH)
    except (OSError, canonical.CanonicalError) as error:
        raise RecordingError(f"{path.name}: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise RecordingError(f"{path.name} is no {SCHEMA}")
    if document.get("cloud") not in ("aws", "gcp", "fake"):
        raise RecordingError(f"{path.name} names no cloud that is known")
    return document


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a fake departs from the cloud."""

    case: str
    step: str
    what: str

    def __str__(self) -> str:
        return f"{self.case} / {self.step}: {self.what}" if self.step else f"{self.case}: {self.what}"


def differences(real: Mapping[str, Plain], fake: Mapping[str, Plain]) -> Sequence[Difference]:
    """Where the fake's recording departs from the real cloud's, for every case that the real one finished."""
    ours = {_text(case, "name"): case for case in _members(fake.get("cases"))}
    found: list[Difference] = []
    for theirs in _members(real.get("cases")):
        if theirs.get("outcome") != "done":
            continue
        name = _text(theirs, "name")
        mine = ours.get(name)
        if mine is None:
            found.append(Difference(name, "", "there is no such case any more"))
        elif mine.get("version") != theirs.get("version"):
            found.append(Difference(name, "", "the case has changed since: record it again"))
        elif mine.get("outcome") != "done":
            found.append(Difference(name, "", f"not covered by the fake: {_text(mine, 'why')}"))
        else:
            found.extend(_steps(name, _members(theirs.get("steps")), _members(mine.get("steps"))))
    return found


def finished(recording: Mapping[str, Plain]) -> frozenset[str]:
    """Cases that ran to their end."""
    cases = _members(recording.get("cases"))
    return frozenset(_text(case, "name") for case in cases if case.get("outcome") == "done")


def _steps(case: str, real: Sequence[Mapping[str, Plain]], fake: Sequence[Mapping[str, Plain]]) -> Iterable[Difference]:
    ours = {_text(step, "name"): step for step in fake}
    for step in real:
        name = _text(step, "name")
        mine = ours.pop(name, None)
        if mine is None:
            yield Difference(case, name, "the fake never got here")
            continue
        for part in ("operation", "request", "answer", "error"):
            yield from (Difference(case, name, each) for each in _parts(part, step.get(part), mine.get(part)))
    for name in ours:
        yield Difference(case, name, "only the fake got here")


def _parts(place: str, real: Plain, fake: Plain) -> Iterable[str]:
    if isinstance(real, dict) and isinstance(fake, dict):
        for key in sorted(real.keys() | fake.keys()):
            if key not in fake:
                yield f"{place}.{key} is missing in the fake"
            elif key not in real:
                yield f"{place}.{key} is in the fake only"
            else:
                yield from _parts(f"{place}.{key}", real[key], fake[key])
    elif isinstance(real, list) and isinstance(fake, list):
        if len(real) != len(fake):
            yield f"{place} has {len(real)} entries, the fake's has {len(fake)}"
        for index, (left, right) in enumerate(zip(real, fake, strict=False)):
            yield from _parts(f"{place}[{index}]", left, right)
    elif real != fake or type(real) is not type(fake):
        yield f"{place} is {_shown(real)}, the fake says {_shown(fake)}"


def _shown(value: Plain) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _members(value: Plain) -> Sequence[Mapping[str, Plain]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Mapping[str, Plain], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
