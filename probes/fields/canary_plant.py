"""Planting canaries through the vendor's front door, and taking them away again.

What will be asked is written down before it is asked: a plant that was killed half-way can be removed. Shows that the
front door took the values and gave them back, and what that took; not that they were encrypted: that is read from an
export, where `fields.encrypted` seeks them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keycheck.model.types import Clock, Entropy
from probes.clouds.bounded_http import NoReply
from probes.fields.canaries import CanaryFile, Record, Value, create_canaries, save_canaries
from probes.fields.canary_front import Done, Front, holds, learned
from probes.fields.canary_plan import ID, Call, CanaryPlan
from probes.fields.canary_values import Shape, make, record_id

READS: Final = 3
"""Times that each record is read for its latency."""


@dataclass(frozen=True, slots=True)
class Story:
    """How a verb ended: the file as it is now, and a sentence for everything that went wrong."""

    file: CanaryFile
    troubles: tuple[str, ...]


def plant(
    plan: CanaryPlan,
    front: Front,
    path: Path,
    *,
    deployment: str,
    plan_bytes: bytes,
    times: int,
    clock: Clock,
    entropy: Entropy,
    stopped: Callable[[], bool] = lambda: False,
    apart: int = 0,
    wait: Callable[[float], object] = time.sleep,
) -> Story:
    """Plant `times` records with canaries and, where the plan says how, as many plain ones, in turn, with `apart` to
    twice as many seconds between them, by chance: where only the moments of calls can tie them, nobody shall know
    these beforehand. Raises
    FileExistsError where the file of canaries is there already, OSError where it cannot be written; then nothing more
    is asked of the vendor."""
    file = CanaryFile(
        deployment=deployment,
        dataset=plan.dataset,
        plan=plan.canary_plan,
        plan_sha256=hashlib.sha256(plan_bytes).hexdigest(),
    )
    create_canaries(path, file)
    troubles: list[str] = []
    for number in range(times):
        if number and apart and not stopped():
            wait(apart * (1 + int.from_bytes(entropy(4), "big") / (1 << 32)))
        for call, sealed in ((plan.create, True), (plan.plain, False)):
            if call is None or stopped():
                continue
            record, known = _record(plan, number, sealed, clock, entropy)
            file = file.with_record(record)
            save_canaries(path, file)
            record, trouble = _planted(plan, front, call, record, known, clock)
            file = file.with_record(record)
            save_canaries(path, file)
            troubles += trouble
    if stopped():
        troubles.append("interrupted: what is in the file was planted, or may have been")
    return Story(file, tuple(troubles))


def remove(plan: CanaryPlan, front: Front, path: Path, file: CanaryFile) -> Story:
    """Delete every record that is or may be there, and prove it by reading: the vendor showed it before, and must say
    that there is none now. Raises OSError where the file of canaries cannot be written."""
    troubles: list[str] = []
    for record in file.records:
        if record.state == "removed":
            continue
        known = dict(record.named)
        missing = (plan.delete.placeholders() | plan.read.placeholders()) - known.keys()
        if missing:
            troubles.append(
                f"record {record.id} was begun, and the vendor's id of it never came: have it removed there"
            )
            continue
        # "No such record" counts only beside its twin: the same question was answered before. What was never seen to
        # be planted, or was deleted before, may be gone by now.
        before = front.send(plan.read, known)
        if record.state == "planted" and (isinstance(before, NoReply) or before.status not in plan.read.ok):
            troubles.append(f"{_trouble(record, 'read', before)} before it was deleted: nothing was done")
            continue
        file = file.with_record(record.model_copy(update={"state": "removing"}))
        save_canaries(path, file)
        if trouble := _removed(plan, front, record, known):
            troubles.append(trouble)
            continue
        file = file.with_record(record.model_copy(update={"state": "removed"}))
        save_canaries(path, file)
    return Story(file, tuple(troubles))


def _record(
    plan: CanaryPlan, number: int, sealed: bool, clock: Clock, entropy: Entropy
) -> tuple[Record, dict[str, str]]:
    """A record as it will be asked for, and what fills the request's placeholders."""
    name = f"{'canary' if sealed else 'plain'}-{number + 1:03d}"
    learned_names = {each for each, _ in plan.learn}
    own = {} if ID in learned_names else {ID: record_id(entropy)}
    made: dict[str, str] = {}
    if sealed:
        made = {each.name: make(each.class_, Shape(each.domain, each.prefix), entropy) for each in plan.values}
    record = Record(
        id=name,
        sealed=sealed,
        state="begun",
        row=plan.identity(own | made) if sealed and not plan.learn else (),
        named=tuple(own.items()),
        values=tuple(
            Value(id=f"{name}.{each.name}", class_=each.class_, column=each.column, value=made[each.name])
            for each in (plan.values if sealed else ())
        ),
        began=clock(),
    )
    return record, own | made


def _planted(
    plan: CanaryPlan, front: Front, call: Call, record: Record, known: dict[str, str], clock: Clock
) -> tuple[Record, list[str]]:
    done = front.send(call, known)
    if isinstance(done, NoReply) or done.status not in call.ok:
        return record, [_trouble(record, "write", done)]
    told = learned(plan, done.body)
    if told is None:
        return record, [f"record {record.id}: written, but the reply does not tell its id: have it removed there"]
    record = record.model_copy(
        update={
            "state": "planted",
            "planted": clock(),
            "write_us": done.micros,
            "named": tuple(sorted((dict(record.named) | told).items())),
            "row": plan.identity(known | told) if record.sealed else (),
        }
    )
    return _read_back(plan, front, record, known | told)


def _read_back(plan: CanaryPlan, front: Front, record: Record, known: dict[str, str]) -> tuple[Record, list[str]]:
    micros: list[int] = []
    for _ in range(READS):
        done = front.send(plan.read, known)
        if isinstance(done, NoReply) or done.status not in plan.read.ok:
            return record, [_trouble(record, "read", done)]
        if unseen := [value.id for value in record.values if not holds(done.body, value.value)]:
            return record, [f"record {record.id}: written, but reading it does not show {unseen[0]}"]
        micros.append(done.micros)
    return record.model_copy(update={"read_us": tuple(micros)}), []


def _removed(plan: CanaryPlan, front: Front, record: Record, known: dict[str, str]) -> str:
    """Why it is not proved to be gone; empty where it is."""
    deleted = front.send(plan.delete, known)
    seen = front.send(plan.read, known)
    if isinstance(seen, NoReply):
        return f"record {record.id}: not proved to be removed: {seen.words}"
    if seen.status in plan.gone:
        return ""
    said = "no reply" if isinstance(deleted, NoReply) else f"HTTP {deleted.status}"
    return f"record {record.id}: not removed: deleting said {said}, and reading still says HTTP {seen.status}"


def _trouble(record: Record, what: str, done: Done | NoReply) -> str:
    said = f"no whole reply ({done.words})" if isinstance(done, NoReply) else f"HTTP {done.status}"
    return f"record {record.id}: the {what} got {said}"


def summary(file: CanaryFile) -> Iterator[str]:
    """What was planted, in lines for people, without any value."""
    for record in file.records:
        if record.sealed:
            yield f"{record.id}  {record.state}  {', '.join(value.column for value in record.values)}"
    if (cost := file.cost()) is not None:
        yield (
            f"cost of encryption, medians over {cost.records} records of each sort: "
            f"write {cost.write_sealed} us (plain {cost.write_plain} us, {cost.write_sealed - cost.write_plain:+d}), "
            f"read {cost.read_sealed} us (plain {cost.read_plain} us, {cost.read_sealed - cost.read_plain:+d})"
        )
