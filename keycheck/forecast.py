"""What a run would touch, worked out from the files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from keycheck.canonical import Jsonable, dumps
from keycheck.model.authorization import Technique
from keycheck.model.drill import DrillProbe
from keycheck.model.probe import Touch
from keycheck.plan import Binding, Impossible, Task, Unusable, selected
from keycheck.session import WORKERS, Prepared, World


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that will be touched, or the reason why it will not."""

    subject: str
    vantage: str
    touch: Touch | None
    note: str
    """Why it is not run, or what it lacks; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan for people and for tools."""

    profile: str
    deployment: str
    lines: tuple[Line, ...]
    untested: tuple[tuple[str, str], ...]
    """(clause, why) for requirements that no run will decide: planned, broken, without a subject."""

    @property
    def connections(self) -> int:
        """Upper bound of connections."""
        return sum(line.touch.connections for line in self.lines if line.touch)

    @property
    def calls(self) -> int:
        """Estimate of requests to cloud APIs."""
        return sum(line.touch.calls for line in self.lines if line.touch)

    @property
    def seconds(self) -> int:
        """Upper bound of the time, with that many units of work side by side."""
        total = sum(line.touch.seconds for line in self.lines if line.touch)
        longest = max((line.touch.seconds for line in self.lines if line.touch), default=0)
        return max(longest, -(-total // WORKERS))


def forecast(prepared: Prepared, world: World) -> Forecast:
    """Ask every probe what it would touch. Pure but for the clock, which decides authorization windows."""
    return Forecast(
        profile=f"{prepared.profile.profile.profile}@{prepared.profile.profile.version}",
        deployment=prepared.deployment.deployment.deployment,
        lines=tuple(line for task in prepared.tasks for line in _lines(task, prepared, world)),
        untested=tuple(_untested(prepared.bindings)),
    )


def _lines(task: Task | Impossible, prepared: Prepared, world: World) -> Iterator[Line]:
    if isinstance(task, Impossible):
        yield Line(task.entry.id, task.vantage, None, f"{task.reason}: {task.message}")
        return
    if not selected(task, prepared.bindings, prepared.request.only):
        yield Line(task.entry.id, task.vantage, None, "not-selected: left out by --only; stays expected")
        return
    if prepared.vantage(task).worker != "local":
        yield Line(task.entry.id, task.vantage, None, "no-vantage: no worker there; stays expected")
        return
    io = prepared.io(task, world)
    for touch in task.probe.touches(task.subject, io):
        free = touch.technique is Technique.PASSIVE or touch.technique in io.authorized
        lacking = "" if free else f"not-authorized: needs {touch.technique} in an authorization"
        if isinstance(task.probe, DrillProbe) and not lacking:
            lacking = "only with `keycheck run --drills` or `keycheck drill`"
        yield Line(task.entry.id, task.vantage, touch, lacking)


def _untested(bindings: tuple[Binding, ...]) -> Iterator[tuple[str, str]]:
    for binding in bindings:
        if isinstance(binding.control, Unusable):
            yield binding.clause.id, f"{binding.control.reason}: {binding.control.message}"
        elif not binding.subjects:
            yield binding.clause.id, f"no-subject: the deployment names nothing that {binding.reference} is about"


def forecast_json(foreseen: Forecast) -> bytes:
    """The plan as canonical JSON, one line."""
    record: dict[str, Jsonable] = {
        "schema": "keycheck.dev/plan/1",
        "profile": foreseen.profile,
        "deployment": foreseen.deployment,
        "connections": foreseen.connections,
        "calls": foreseen.calls,
        "seconds": foreseen.seconds,
        "touches": [
            {
                "subject": line.subject,
                "vantage": line.vantage,
                "what": line.touch.what if line.touch else None,
                "credential": line.touch.credential if line.touch else None,
                "changes": line.touch.changes if line.touch else False,
                "technique": line.touch.technique.value if line.touch else None,
                "connections": line.touch.connections if line.touch else 0,
                "seconds": line.touch.seconds if line.touch else 0,
                "calls": line.touch.calls if line.touch else 0,
                "cost": line.touch.cost if line.touch else "none",
                "note": line.note,
            }
            for line in foreseen.lines
        ],
        "untested": [{"clause": clause, "why": why} for clause, why in foreseen.untested],
    }
    return dumps(record) + b"\n"


def _amount(connections: int, calls: int) -> str:
    return f"up to {connections} connections" + (f", about {calls} API calls" if calls else "")


def forecast_text(foreseen: Forecast) -> str:
    """The plan for people."""
    lines = [f"plan for {foreseen.deployment} under {foreseen.profile}; nothing was touched", ""]
    again = Counter(line for line in foreseen.lines if line.touch is None)
    for line in foreseen.lines:
        touch = line.touch
        if touch is None:
            # of one subject several probes may be left out for one reason: said once, with their number
            if times := again.pop(line, 0):
                more = f" ({times} probes)" if times > 1 else ""
                lines.append(f"  - {line.subject} from {line.vantage}: {line.note}{more}")
            continue
        mode = "CHANGES" if touch.changes else "read-only"
        lines.append(f"  {mode:<9} {line.subject} from {line.vantage}: {touch.what}")
        lines.append(
            f"            {touch.technique}, credential {touch.credential}, {_amount(touch.connections, touch.calls)},"
            f" at most {touch.seconds} s, cost {touch.cost}"
        )
        if line.note:
            lines.append(f"            ! {line.note}")
    changing = sum(bool(line.touch and line.touch.changes) for line in foreseen.lines)
    lines += [
        "",
        f"in all: {_amount(foreseen.connections, foreseen.calls)}, at most {foreseen.seconds} s,"
        f" {changing} changing steps",
    ]
    if foreseen.untested:
        lines += ["", "will stay untested or undecided whatever is found:"]
        width = max(len(clause) for clause, _ in foreseen.untested)
        lines += [f"  {clause:<{width}} {why}" for clause, why in foreseen.untested]
    return "\n".join(lines) + "\n"
