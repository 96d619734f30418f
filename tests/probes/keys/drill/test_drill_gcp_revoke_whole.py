"""A revoke drill in Google Cloud from end to end on the lab: a key of the canary's own, taken away and put back."""

from __future__ import annotations

import json
import secrets
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keycheck.drill.home import Home
from keycheck.drill.journal import read
from keycheck.drill.kept import kept_of
from keycheck.drill.phases import fold
from keycheck.errors import ProbeError
from keycheck.files.deployment import load_deployment
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.key_sites import G_APP, G_CONTROL, G_SUPPORT
from keycheck.lab.matrix import observe
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import DRILLS, Lab
from keycheck.model.authorization import Technique
from keycheck.model.deployment import HERE
from keycheck.model.drill import Where, Wish
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.verdict import ExitCode, Kind, Reason
from keycheck.registry import Registry, load_registry
from keycheck.resolve import system_resolver
from keycheck.session import Outcome
from probes.keys.drill.gcp_revoke import GcpRevocation, log_of
from probes.keys.drill_facts import Mark, Markers, Restored, RevocationFacts, WindowUses
from probes.keys.subjects import Key
from probes.keys.timeline import Path as Way
from probes.keys.timeline import PathTimeline, Saw

pytestmark = pytest.mark.slow

USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
POLLS_US = 2 * 250_000 + 150_000
"""Two polls, and what an answer takes on a busy machine."""


@dataclass
class Stage:
    lab: Lab
    registry: Registry
    home: Path
    said: list[str]

    @property
    def cloud(self) -> GcpCloud:
        assert self.lab.clouds is not None
        return self.lab.clouds.gcp.cloud

    @property
    def canary(self) -> str:
        assert self.lab.clouds is not None
        (key,) = (each for each in self.lab.clouds.keys if each.id == "contacts-g")
        assert key.canary is not None
        return key.canary

    def policy(self) -> frozenset[tuple[str, str, str]]:
        """What the canary's key grants, however it is grouped: role, member, condition."""
        return frozenset(
            (each.role, member, "" if each.condition is None else each.condition.expression)
            for each in self.cloud.iam.policy(self.canary).grants
            for member in each.members
        )

    def drilled(self) -> Outcome:
        self.said.clear()
        only = ("keys/contacts-g:keys.revocation",)
        return observe(self.lab, self.registry, self.home, drills=Wish(), only=only, say=self.said.append)[0]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Stage]:
    """One lab for drills that leave it as it was."""
    home = tmp_path_factory.mktemp("whole-g")
    with Lab(home / "lab", sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, registry, home / "runs", [])


@pytest.fixture
def stage(tmp_path: Path, registry: Registry) -> Iterator[Stage]:
    with Lab(tmp_path / "lab", sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, registry, tmp_path / "runs", [])


def verdicts(outcome: Outcome) -> dict[str, tuple[Kind, tuple[Reason, ...]]]:
    return {
        each.control.partition("@")[0]: (each.verdict, each.reasons)
        for each in outcome.assessment.findings
        if each.subject == "keys/contacts-g" and each.control.startswith(("keys.revocation", "keys.recovery"))
    }


def why(outcome: Outcome) -> list[str]:
    """What the findings say, for whoever reads a failure."""
    return [each.message for each in outcome.assessment.findings if each.message.startswith("drill:")]


def facts(outcome: Outcome) -> RevocationFacts:
    with zipfile.ZipFile(outcome.bundle.path) as plain:
        lines = [json.loads(line) for line in plain.read("observations.jsonl").splitlines()]
    (seen,) = (one for one in lines if one["schema"] == "keys.revocation/1" and one["outcome"]["kind"] == "seen")
    return RevocationFacts.model_validate(seen["outcome"]["facts"])


def line(found: RevocationFacts, path: Way) -> PathTimeline:
    (one,) = found.of(path)
    return one


PASSES = {"keys.revocation": (Kind.PASS, ()), "keys.recovery": (Kind.PASS, ())}


def test_an_honest_vendor_passes_and_everything_is_as_before(shared: Stage) -> None:
    before = shared.policy()
    outcome = shared.drilled()
    assert verdicts(outcome) == PASSES, (shared.said, why(outcome))
    assert outcome.unrestored == ()
    assert shared.policy() == before
    found = facts(outcome)
    assert found.mechanism == "gcp-binding"
    assert found.scope.context_names == ()
    assert isinstance(found.restored, Restored)
    assert found.markers == Markers(before="arrived", during="arrived", after="arrived")
    assert isinstance(found.log, WindowUses)
    assert (found.log.state, found.log.muted) == ("complete", ())
    assert {use.principal for use in found.log.uses} <= {G_APP, G_CONTROL}
    assert found.clock_us < 1_000_000  # the lab's clock is ours, and its log has microseconds
    assert line(found, Way.CONTROL_RECORD).during.refused == 0
    for path in (Way.SENTINEL, Way.VENDOR_WARM, Way.VENDOR_COLD, Way.SEARCH, Way.EXPORT):
        seen = line(found, path)
        assert seen.confirmed, path
        assert seen.steady is not None, path


def test_a_second_drill_does_not_start_where_no_canary_is_cold(shared: Stage) -> None:
    if not (shared.lab.home / "drills").exists():
        shared.drilled()
    before = shared.policy()
    outcome = shared.drilled()
    assert (outcome.unrestored, outcome.drills) == ((), ())
    assert shared.policy() == before
    assert any("none is cold" in words for words in shared.said)


def test_a_lag_of_a_second_is_measured_to_within_two_polls(stage: Stage) -> None:
    stage.cloud.faults.iam_lag = timedelta(seconds=1)
    outcome = stage.drilled()
    assert verdicts(outcome) == PASSES, (stage.said, why(outcome))
    found = facts(outcome)
    assert isinstance(found.acted, Mark)
    assert isinstance(found.undoing, Mark)
    sentinel = line(found, Way.SENTINEL)
    assert sentinel.refused is not None
    assert sentinel.last_success is not None
    assert sentinel.last_success.at_us <= found.acted.at_us + 1_000_000
    assert 1_000_000 <= sentinel.refused.end_us <= found.acted.at_us + 1_000_000 + POLLS_US
    assert sentinel.steady is not None
    assert 900_000 <= sentinel.steady.end_us - found.undoing.at_us <= 1_400_000 + POLLS_US


@contextmanager
def bound(stage: Stage, where: str, member: str, role: str = USE) -> Iterator[None]:
    stage.cloud.iam.bind(where, role, member)
    try:
        yield
    finally:
        stage.cloud.iam.unbind(where, role, member)


@pytest.mark.parametrize(
    ("where", "member", "role"),
    [
        ("project", G_APP, USE),
        ("ring", G_APP, USE),
        ("key", "group:crm@vendor.example", USE),
        ("project", "group:crm@vendor.example", USE),
        ("project", G_APP, "roles/editor"),
    ],
    ids=["inherited-from-project", "inherited-from-ring", "group-on-the-key", "group-on-the-project", "basic-role"],
)
def test_a_way_in_that_the_binding_would_not_close_is_refused_before(
    shared: Stage, where: str, member: str, role: str
) -> None:
    at = {
        "key": shared.canary,
        "ring": shared.canary.partition("/cryptoKeys/")[0],
        "project": shared.canary.partition("/locations/")[0],
    }[where]
    with bound(shared, at, member, role):
        before = shared.policy()
        outcome = shared.drilled()
        assert shared.policy() == before
    kind, reasons = verdicts(outcome)["keys.revocation"]
    assert (kind, reasons) == (Kind.INCONCLUSIVE, (Reason.UNSUPPORTED,)), shared.said
    assert any("nothing was changed" in words for words in shared.said)


def test_a_canarys_key_that_the_vendor_does_not_use_condemns_nobody(stage: Stage) -> None:
    assert stage.lab.clouds is not None
    stage.cloud.logs._entries.clear()  # as if it never had
    before = stage.policy()
    outcome = stage.drilled()
    kind, reasons = verdicts(outcome)["keys.revocation"]
    assert (kind, reasons) == (Kind.INCONCLUSIVE, (Reason.UNSUPPORTED,)), stage.said
    assert stage.policy() == before


def test_a_stranger_at_the_canarys_key_stops_it_before(stage: Stage) -> None:
    assert stage.lab.clouds is not None
    with bound(stage, stage.canary, G_SUPPORT):
        stage.lab.clouds.gcp.door(stage.canary, G_SUPPORT).envelope(0.0).seal(b"x", {})
        outcome = stage.drilled()
    kind, reasons = verdicts(outcome)["keys.revocation"]
    assert (kind, reasons) == (Kind.INCONCLUSIVE, (Reason.CONFLICTING,)), stage.said


def test_a_foreign_change_meanwhile_is_left_alone_and_alerts(stage: Stage) -> None:
    over = threading.Event()
    theirs = 'request.time >= timestamp("2099-01-01T00:00:00Z")'

    def meddle() -> None:
        while not over.wait(0.02):
            policy = stage.cloud.iam.policy(stage.canary)
            if any(each.condition is not None and "rehearsal" not in each.condition.title for each in policy.grants):
                grants = tuple(
                    each
                    if each.condition is None
                    else replace(each, condition=replace(each.condition, expression=theirs))
                    for each in policy.grants
                )
                stage.cloud.iam.put(stage.canary, replace(policy, grants=grants))
                return

    with _beside(meddle, over):
        outcome = stage.drilled()
    assert outcome.exit_code is ExitCode.NOT_RESTORED
    assert outcome.unrestored
    assert verdicts(outcome)["keys.revocation"][0] is Kind.INCONCLUSIVE
    kind, reasons = verdicts(outcome)["keys.recovery"]
    assert kind is Kind.INCONCLUSIVE
    assert Reason.CONFLICTING in reasons
    assert {condition for _, _, condition in stage.policy() if condition} == {theirs}


def test_a_log_that_comes_late_proves_nothing_until_it_is_there(stage: Stage) -> None:
    lag = timedelta(seconds=12)
    stage.cloud.faults.log_lag = lag
    outcome = stage.drilled()
    assert verdicts(outcome)["keys.revocation"][0] is Kind.INCONCLUSIVE
    found = facts(outcome)
    assert isinstance(found.log, Unseen)
    assert found.log.reason is Reason.CLOCK_UNTRUSTED
    directory = Home(stage.lab.home / "drills").directory(found.occasion)
    entries = read(directory)
    plan = fold(entry.record for entry in entries).plan
    assert plan is not None
    at = {"intended": found.began}
    for kind, moment in (("acted", found.acted), ("undo-intended", found.undoing), ("found-restored", found.undone)):
        assert isinstance(moment, Mark)
        at[kind] = moment.at
    time.sleep(max(0.0, (found.ended + lag - datetime.now(UTC)).total_seconds()) + 1)
    started = entries[0].at - timedelta(minutes=1)
    subject, io = _subject(stage)
    log, markers = log_of(subject, plan.change, kept_of(directory).marks, started, at, io)
    assert isinstance(log, WindowUses)
    assert log.state == "complete"
    assert markers == Markers(before="arrived", during="arrived", after="arrived")


def test_a_disabled_key_of_the_canarys_has_a_dead_man_and_comes_back(stage: Stage) -> None:
    subject, io = _subject(stage)
    assert subject.drill is not None
    until = io.clock() + timedelta(minutes=5)
    cloud = GcpRevocation.prepared("kc-1", subject, subject.drill, until, Technique.DISABLE_KEY, io)
    assert cloud.mechanism.kind == "gcp-disable"
    assert cloud.claims == {stage.canary}
    (way,) = cloud.sentinel_ways()
    before = cloud.mechanism.look(cloud.change, io)
    cloud.mechanism.rehearse(cloud.change, before, io)
    cloud.mark()
    assert way.ask().saw is Saw.READABLE
    cloud.mechanism.act(cloud.change, before, io)
    try:
        assert way.ask().saw is Saw.DENIED
        cloud.mark()
    finally:
        cloud.mechanism.undo(cloud.change, before, io)
    assert way.ask().saw is Saw.READABLE
    assert cloud.mechanism.standing(cloud.change, before, io).where is Where.RESTORED
    without = subject.drill.model_copy(update={"dead_man": None})
    with pytest.raises(ProbeError) as caught:
        GcpRevocation.prepared("kc-2", subject, without, until, Technique.DISABLE_KEY, io)
    assert caught.value.reason is Reason.UNSUPPORTED


def _subject(stage: Stage) -> tuple[Key, Io]:
    """The key as the deployment declares it, and what a probe may use of the world."""
    declared = load_deployment(write_papers(stage.lab, datetime.now(UTC)).deployment, stage.registry).deployment
    (entry,) = (each for each in declared.in_section("keys") if each.id == "keys/contacts-g")
    io = Io(
        vantage=HERE,
        budget=30.0,
        demands=(),
        samples=1,
        authorized=frozenset(Technique),
        base=stage.lab.home,
        environment={},
        resolver=system_resolver,
        clock=lambda: datetime.now(UTC),
        entropy=secrets.token_bytes,
        identities=declared.identities,
    )
    return Key.model_validate(entry.body.parsed()), io


@contextmanager
def _beside(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
