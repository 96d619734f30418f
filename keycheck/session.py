"""One run from end to end: files in, probes run, judge compares, a signed bundle out.

outcome = run_contract(request, load_registry(), world, watch, stop)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from keycheck.assess import Inputs, assess, assessment_bytes
from keycheck.canonical import dumps
from keycheck.drill.home import Home
from keycheck.drill.kept import append, note_bundle
from keycheck.drill.serial import drilled
from keycheck.errors import DeploymentError, KeycheckError, UsageError
from keycheck.evidence.bundle import BundleWriter, WrittenBundle
from keycheck.evidence.inputs import salted
from keycheck.evidence.keys import SigningKey
from keycheck.executors import Factory
from keycheck.files.authorization import Allowed, covers
from keycheck.files.deployment import LoadedDeployment, load_deployment
from keycheck.files.profile import LoadedProfile, load_profile
from keycheck.model.assessment import Assessment
from keycheck.model.authorization import WIDE, AcceptedWaiver, Technique
from keycheck.model.deployment import Deployment, Subject, Vantage
from keycheck.model.drill import Desk, DrillProbe, Wish
from keycheck.model.observation import Observation
from keycheck.model.once import Once
from keycheck.model.probe import Io, Resolver
from keycheck.model.types import Clock, Entropy
from keycheck.model.verdict import ExitCode, Reason, Tier
from keycheck.papers import Grant, Paper, accepted, grant, idle, lapsed, read_paper
from keycheck.plan import Binding, Impossible, Task, bind, selected, tasks
from keycheck.recorder import Recorder
from keycheck.registry import Registry
from keycheck.run import Engine
from keycheck.runstart import Commitment, run_start
from keycheck.units import Advance

PEOPLE: Final = 2
"""Approvers who must have signed for what reaches beyond a canary."""
WORKERS: Final = 16
"""Units of work in flight at once; a probe bounds its own connections."""


@dataclass(frozen=True, slots=True)
class World:
    """What a run takes from outside: time, randomness, names, workers."""

    clock: Clock
    entropy: Entropy
    resolver: Resolver
    factory: Factory
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: int = 0
    """Worker processes of the factory; 0 for as many as there are processors."""
    drills: Path = Path("keycheck-drills")
    """Where drills keep their journals."""
    once: Once = field(default_factory=Once)
    """What one run shares; a world serves one run."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `keycheck run` and `keycheck plan` were asked for."""

    deployment: Path
    profile: str
    only: tuple[str, ...] = ()
    waivers: tuple[Path, ...] = ()
    authorization: Path | None = None
    as_of: datetime | None = None
    fail_on: Tier = Tier.STRONGLY_PREFERRED
    drills: Wish | None = None
    """How drills are really done: without it they stay `not-tested`, whatever is authorized."""


def silently(line: str) -> None:
    """Nobody listens."""


class Watch(Protocol):
    """Whoever shows progress. Called in the engine's thread."""

    def begin(self, expected: int) -> None:
        """That many subjects are about to be observed."""

    def saw(self, observation: Observation) -> None:
        """One more observation was recorded."""

    def advanced(self, advance: Advance) -> None:
        """Large work on one subject came a step on."""

    def end(self) -> None:
        """Observing is over."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before anything is touched."""

    request: Request
    profile: LoadedProfile
    deployment: LoadedDeployment
    bindings: tuple[Binding, ...]
    tasks: tuple[Task | Impossible, ...]
    grant: Grant | None
    papers: tuple[Paper, ...]
    waivers: tuple[AcceptedWaiver, ...]
    remarks: tuple[str, ...]
    """Sentences for people: waivers that do not count, an authorization that does not fit."""

    def allowed(self, task: Task | Impossible, now: datetime) -> frozenset[Technique]:
        """What may be done to the task's subject from its vantage at this moment."""
        if self.grant is None:
            return frozenset()
        source = self.vantage(task).egress
        authorization, enough = self.grant.authorization, self.grant.people >= PEOPLE
        return frozenset(
            technique
            for technique in Technique
            if (enough or technique not in WIDE)
            and isinstance(covers(authorization, task.entry.id, technique, source, now), Allowed)
        )

    def vantage(self, task: Task | Impossible) -> Vantage:
        """The vantage of a task."""
        return next(v for v in self.deployment.deployment.vantages if v.id == task.vantage)

    def io(self, task: Task, world: World) -> Io:
        """What the task's probe may use of the world."""
        now = world.clock()
        return Io(
            vantage=self.vantage(task),
            budget=task.probe.limit,
            demands=task.demands,
            samples=task.samples,
            authorized=self.allowed(task, now),
            base=_directory(self.request.deployment),
            environment=world.environment,
            resolver=world.resolver,
            clock=world.clock,
            entropy=world.entropy,
            identities=self.deployment.deployment.identities,
            once=world.once,
            subjects=self.deployment.deployment.subjects,
        )


def prepare(request: Request, registry: Registry) -> Prepared:
    """Read and check every file; touch nothing. Raises ProfileError, DeploymentError, UsageError."""
    profile = load_profile(request.profile, registry)
    deployment = load_deployment(request.deployment, registry)
    _refuse_twin_vantages(deployment.deployment)
    bindings = bind(profile.profile, deployment.deployment, registry)
    planned_tasks = tuple(tasks(bindings, registry))
    if request.only and not any(selected(task, bindings, request.only) for task in planned_tasks):
        raise UsageError(
            f"--only {' '.join(request.only)} matches no subject, clause or control that would be observed",
            advice="name one as `keycheck plan` shows it, e.g. --only endpoints/api or --only 'tls.*'",
        )
    given = grant_for(request, profile, deployment)
    papers = tuple(read_paper(path) for path in request.waivers)
    waivers, remarks = accepted(papers, profile.profile)
    return Prepared(
        request=request,
        profile=profile,
        deployment=deployment,
        bindings=bindings,
        tasks=planned_tasks,
        grant=given,
        papers=papers,
        waivers=waivers,
        remarks=remarks,
    )


def _refuse_twin_vantages(deployment: Deployment) -> None:
    """Two vantages that leave this machine the same way are one: a contract that demands several would be met by
    names. Raises DeploymentError."""
    first: dict[tuple[str, str], str] = {}
    for vantage in deployment.vantages:
        if vantage.worker != "local":
            continue
        other = first.setdefault((vantage.proxy or "", vantage.source or ""), vantage.id)
        if other != vantage.id:
            raise DeploymentError(
                f"vantages {other} and {vantage.id} both look from this machine the same way",
                advice="give one its own `proxy` or `source`, say `worker: elsewhere`, or delete it",
            )


def grant_for(request: Request, profile: LoadedProfile, deployment: LoadedDeployment) -> Grant | None:
    """The authorization, if one was given, checked to be for this deployment."""
    if request.authorization is None:
        return None
    given = grant(read_paper(request.authorization), profile.profile)
    named = given.authorization.deployment
    if named != deployment.deployment.deployment:
        raise DeploymentError(
            f"{request.authorization} authorizes work on {named!r}, not on {deployment.deployment.deployment!r}",
            advice="give the authorization of this deployment, or have this one's signed",
        )
    return given


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ends with."""

    assessment: Assessment
    assessment_json: bytes
    bundle: WrittenBundle
    interrupted: bool
    remarks: tuple[str, ...] = ()
    """Sentences for people that only the end of the run could tell: waivers that are not in force."""

    unrestored: tuple[str, ...] = ()
    """Commands for a person: of every change that a drill could not prove to be put back."""
    drills: tuple[str, ...] = ()
    """Ids of the drills that were done, or settled."""
    locked: tuple[str, ...] = ()
    """Why a drill could not begin now, though it may later."""

    @property
    def exit_code(self) -> ExitCode:
        """The assessment's, unless something was left changed or the run was interrupted."""
        if self.unrestored:
            return ExitCode.NOT_RESTORED
        if self.locked and not self.interrupted:
            return ExitCode.LOCKED
        return ExitCode.INTERRUPTED if self.interrupted else self.assessment.exit_code


class NotRestoredError(KeycheckError):
    """A drill could not prove that it restored what it changed, and the run ended before it could be recorded."""

    exit_code: Final = ExitCode.NOT_RESTORED


@contextmanager
def _owing(desk: Desk) -> Iterator[None]:
    """A second Ctrl-C or a full disk must not hide that something is not proved to be restored."""
    try:
        yield
    except (KeyboardInterrupt, KeycheckError, OSError) as error:
        if not desk.unrestored:
            raise
        why = "it was interrupted" if isinstance(error, KeyboardInterrupt) else "nothing of it could be recorded"
        raise NotRestoredError(
            f"NOT PROVED TO BE RESTORED, and {why}. Do this now:\n  " + "\n  ".join(desk.unrestored),
            advice="then see `keycheck drill status`",
        ) from error


def run_contract(
    prepared: Prepared,
    registry: Registry,
    world: World,
    out: Path,
    key: SigningKey,
    watch: Watch,
    stop: Event,
    say: Callable[[str], None] = silently,
) -> Outcome:
    """Observe, drill, judge, sign. What was seen before an interrupt is kept and judged as incomplete."""
    started = world.clock()
    request = prepared.request
    commitment = Commitment(
        inputs={name: salted(data, world.entropy) for name, data in inputs(prepared).items()},
        expected=prepared.tasks,
        only=request.only,
        authorized_by=prepared.grant.signed_by if prepared.grant else (),
        environment=world.environment,
        fail_on=request.fail_on,
    )
    record = run_start(commitment, registry, started, world.entropy)
    out.mkdir(parents=True, exist_ok=True)
    path = out / bundle_name(prepared.deployment.deployment.deployment, started, world.entropy)
    wish = request.drills or Wish()
    desk = Desk(prepared.deployment.deployment, request.deployment, world.drills, stop, say, wish)
    bundle = BundleWriter(path, run_start=record, inputs=commitment.inputs, random=world.entropy)
    with _owing(desk), bundle as writer:
        recorder = Recorder(writer, world.entropy)
        watch.begin(len({(task.entry.id, task.vantage) for task in prepared.tasks}))
        runnable = tuple(_runnable(prepared, recorder, started, say))
        engine = Engine(
            world.factory, workers=WORKERS, clock=world.clock, stop=stop, processes=world.processes, told=watch.advanced
        )
        looking = [task for task in runnable if not isinstance(task.probe, DrillProbe)]
        for recorded in engine.run(looking, lambda task: prepared.io(task, world)):
            watch.saw(recorder.record(recorded))
        watch.end()
        for task in runnable:
            if not isinstance(task.probe, DrillProbe):
                continue
            if why := _refused(prepared, task, task.probe, now := world.clock()):  # looking may have taken hours
                recorder.missing(task, Reason.NOT_AUTHORIZED, why, now)
                continue
            for recorded in drilled(task, prepared.io(task, world), desk):
                recorder.record(recorded)
        ended = last_moment(recorder.observations) or started
        judged = assess(
            Inputs(
                profile=prepared.profile.profile,
                deployment=prepared.deployment.deployment,
                observations=recorder.observations,
                waivers=prepared.waivers,
                as_of=request.as_of or ended,
                fail_on=request.fail_on,
            ),
            registry,
        )
        del recorder  # judged: a thousand observations need not stay in memory while the rest is written
        text = assessment_bytes(judged)
        written = writer.finish(text, [key])
    remarks = (*lapsed(prepared.waivers, max(judged.as_of, ended)), *idle(prepared.waivers, judged))
    for drill in desk.drills:
        _keep(drill, written, desk, world.clock(), key)
    return Outcome(
        judged,
        text,
        written,
        interrupted=stop.is_set(),
        remarks=remarks,
        unrestored=tuple(desk.unrestored),
        drills=tuple(desk.drills),
        locked=tuple(desk.locked),
    )


def _keep(drill: str, written: WrittenBundle, desk: Desk, now: datetime, key: SigningKey) -> None:
    """Beside the drill's journal: where its evidence is, or one more addendum. What fails is told."""
    directory = Home(desk.home).directory(drill)
    try:
        if desk.wish.settle:
            desk.say(f"addendum: {append(directory, written.manifest_sha256, now, key)}")
        else:
            note_bundle(directory, written.path, written.manifest_sha256)
    except (KeycheckError, OSError) as error:
        desk.say(f"{drill}: not noted beside its journal: {error}")


@lru_cache(maxsize=8)
def _directory(path: Path) -> Path:
    """Where a file really lies; asked for each of a run's tasks."""
    return path.resolve().parent


def _runnable(prepared: Prepared, recorder: Recorder, moment: datetime, say: Callable[[str], None]) -> Iterable[Task]:
    """The tasks that can be run; why the others cannot is recorded at once."""
    for task in prepared.tasks:
        if not selected(task, prepared.bindings, prepared.request.only):
            recorder.missing(task, Reason.NOT_SELECTED, "left out by --only", moment)
        elif isinstance(task, Impossible):
            recorder.missing(task, task.reason, task.message, moment)
        elif prepared.vantage(task).worker != "local":
            recorder.missing(task, Reason.NO_VANTAGE, f"no worker at vantage {task.vantage}", moment)
        elif isinstance(task.probe, DrillProbe) and (why := _refused(prepared, task, task.probe, moment)):
            if prepared.request.drills is not None:
                say(f"{task.entry.id}: {task.probe.id} not done, and nothing was changed: {why}")
            recorder.missing(task, Reason.NOT_AUTHORIZED, why, moment)
        else:
            yield task


def _refused(prepared: Prepared, task: Task, probe: DrillProbe[Subject], moment: datetime) -> str | None:
    """Why a drill is not done; None where it may be."""
    wish = prepared.request.drills
    if wish is None:
        return "a drill changes the world: ask for it with --drills"
    technique = probe.needed(wish)
    if technique is Technique.PASSIVE:
        return None
    if not probe.reversible and not wish.confirmed:
        return "it cannot be undone: say --irreversible"
    if technique in prepared.allowed(task, moment):
        return None
    if technique in WIDE and prepared.grant is not None and prepared.grant.people < PEOPLE:
        return (
            f"{technique} reaches beyond a canary: the authorization needs the signatures of {PEOPLE} approvers of "
            f"different names whom the profile lists, and has {prepared.grant.people}"
        )
    return f"needs the technique {technique} in an authorization that covers it now; see `keycheck plan`"


def last_moment(observations: Iterable[Observation]) -> datetime | None:
    """The end of the last observation: what `as_of` defaults to, never to now."""
    return max((observation.ended for observation in observations), default=None)


def bundle_name(deployment: str, started: datetime, entropy: Entropy) -> str:
    """`DEPLOYMENT-YYYYMMDDTHHMMSSZ-RANDOM.zip`."""
    return f"{deployment}-{started:%Y%m%dT%H%M%SZ}-{entropy(4).hex()}.zip"


def inputs(prepared: Prepared) -> dict[str, bytes]:
    """What the run starts from, resolved for the judge and as the original bytes."""
    profile, deployment = prepared.profile, prepared.deployment
    files = {
        "profile.json": dumps(profile.profile.model_dump(mode="json", by_alias=True)),
        "deployment.json": dumps(deployment.deployment.model_dump(mode="json", by_alias=True)),
        "files/deployment.yaml": deployment.text,
    }
    for number, (name, text) in enumerate(profile.texts):
        files[f"files/profile-{number}-{name}"] = text
    for number, paper in enumerate(prepared.papers, 1):
        files[f"waivers/{number:03}.yaml"] = paper.data
        files[f"waivers/{number:03}.dsse.json"] = paper.envelope
    if prepared.grant is not None:
        files["authorization.yaml"] = prepared.grant.paper.data
        files["authorization.dsse.json"] = prepared.grant.paper.envelope
    return files
