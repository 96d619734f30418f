"""profile x deployment -> the subjects that MUST be observed, and by which probes. Pure.

The judge and the engine both start from `bind`: what the judge expects never depends on what was run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import ValidationError

from keycheck.model.control import Control
from keycheck.model.deployment import Deployment, Subject, SubjectEntry
from keycheck.model.facts import Facts
from keycheck.model.profile import Clause, Demand, EvidenceDemands, Planned, Profile, covers
from keycheck.model.verdict import Reason
from keycheck.registry import AnyProbe, Broken, Registry


@dataclass(frozen=True, slots=True)
class Unusable:
    """A control that a profile demands and that cannot be used, and which verdict that is."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Binding:
    """One demanded control with everything it is demanded of."""

    clause: Clause
    demand: Demand | Planned
    control: Control | Unusable
    subjects: tuple[SubjectEntry, ...]

    @property
    def reference(self) -> str:
        """`id@version`, or `planned`."""
        return self.demand.control if isinstance(self.demand, Demand) else "planned"

    @property
    def control_id(self) -> str:
        """The control without its version: half of a finding's identity."""
        return self.demand.control_id if isinstance(self.demand, Demand) else "planned"

    @property
    def evidence(self) -> EvidenceDemands:
        """The demands on the evidence."""
        return self.demand.evidence if isinstance(self.demand, Demand) else EvidenceDemands()


def bind(profile: Profile, deployment: Deployment, registry: Registry) -> tuple[Binding, ...]:
    """Every requirement of the profile with its control and its subjects, in the order of the profile."""
    return tuple(
        _bind(clause, demand, deployment, registry) for clause in profile.clauses for demand in clause.requires
    )


def _bind(clause: Clause, demand: Demand | Planned, deployment: Deployment, registry: Registry) -> Binding:
    if isinstance(demand, Planned):
        return Binding(clause, demand, Unusable(Reason.PLANNED, demand.planned), ())
    subjects = tuple(subject for subject in deployment.subjects if covers(demand.for_, subject.id))
    return Binding(clause, demand, _control(demand, registry), subjects)


def _control(demand: Demand, registry: Registry) -> Control | Unusable:
    kind = registry.control(demand.control)
    if kind is None:
        return Unusable(
            Reason.CANNOT_JUDGE,
            f"control {demand.control} is not installed; install the package that brings it",
        )
    if isinstance(kind, Broken):
        return Unusable(Reason.PLUGIN_BROKEN, kind.message)
    try:
        return kind.model_validate(demand.with_.parsed())
    except ValidationError as error:
        return Unusable(
            Reason.CANNOT_JUDGE,
            f"{demand.control} does not take these parameters ({error.error_count()} problems)",
        )


@dataclass(frozen=True, slots=True)
class Task:
    """One probe to be run on one subject from one vantage, for all the controls that need its facts."""

    probe: AnyProbe
    subject: Subject
    entry: SubjectEntry
    vantage: str
    demands: tuple[Control, ...]
    samples: int

    @property
    def key(self) -> tuple[str, str, str]:
        """(probe, subject, vantage): what censuses and results are keyed by."""
        return (self.probe.id, self.entry.id, self.vantage)


@dataclass(frozen=True, slots=True)
class Impossible:
    """A task that cannot even start: its probe is broken or missing."""

    facts: type[Facts]
    entry: SubjectEntry
    vantage: str
    reason: Reason
    message: str


def tasks(bindings: Iterable[Binding], registry: Registry) -> Iterator[Task | Impossible]:
    """The work that the bindings ask for, each (facts, subject, vantage) once, sorted."""
    wanted: dict[tuple[str, str, str], tuple[type[Facts], SubjectEntry, dict[str, Control], int]] = {}
    for binding in bindings:
        if isinstance(binding.control, Unusable):
            continue
        label = f"{binding.control.reference()} {binding.control.model_dump_json()}"
        for facts in binding.control.needs:
            for entry in binding.subjects:
                for vantage in entry.vantages:
                    key = (facts.schema_id, entry.id, vantage)
                    _, _, demands, samples = wanted.get(key, (facts, entry, {}, 1))
                    demands.setdefault(label, binding.control)
                    wanted[key] = (facts, entry, demands, max(samples, binding.evidence.samples))
    for (_, _, vantage), (facts, entry, demands, samples) in sorted(wanted.items(), key=lambda item: item[0]):
        yield _task(facts, entry, vantage, tuple(demands.values()), samples, registry)


def _task(
    facts: type[Facts],
    entry: SubjectEntry,
    vantage: str,
    demands: tuple[Control, ...],
    samples: int,
    registry: Registry,
) -> Task | Impossible:
    probe = registry.probe_for(facts)
    if probe is None:
        message = f"no probe yields {facts.schema_id}; install the package that brings it"
        return Impossible(facts, entry, vantage, Reason.PLUGIN_BROKEN, message)
    if isinstance(probe, Broken):
        return Impossible(facts, entry, vantage, Reason.PLUGIN_BROKEN, probe.message)
    model = registry.subject(entry.section)
    if model is None or isinstance(model, Broken):
        message = model.message if isinstance(model, Broken) else f"no package owns the section {entry.section}"
        return Impossible(facts, entry, vantage, Reason.PLUGIN_BROKEN, message)
    return Task(probe, model.model_validate(entry.body.parsed()), entry, vantage, demands, samples)


def selected(task: Task | Impossible, bindings: Iterable[Binding], only: tuple[str, ...]) -> bool:
    """Whether `--only` keeps the task: a glob matches its subject, or a clause or control that needs it; with a colon
    (`keys/contacts:keys.revocation`) the subject and the facts or controls must match.
    What is left out stays expected and comes out as `not-tested(not-selected)`."""
    if not only:
        return True
    facts = task.facts if isinstance(task, Impossible) else task.probe.facts
    names = {task.entry.id}
    needing = {facts.schema_id.partition("/")[0]}
    for binding in bindings:
        if isinstance(binding.demand, Demand) and covers(binding.demand.for_, task.entry.id):
            if isinstance(binding.control, Unusable):
                names |= {binding.clause.id, binding.control_id, binding.reference}
            elif facts in binding.control.needs:
                names |= {binding.clause.id, binding.control_id, binding.reference}
                needing |= {binding.control_id, binding.reference}
    return any(_keeps(glob, task.entry.id, names, needing) for glob in only)


def _keeps(glob: str, subject: str, names: Iterable[str], needing: Iterable[str]) -> bool:
    where, colon, what = glob.partition(":")
    if colon:
        return fnmatchcase(subject, where) and any(fnmatchcase(name, what) for name in needing)
    return any(fnmatchcase(name, glob) for name in names)
