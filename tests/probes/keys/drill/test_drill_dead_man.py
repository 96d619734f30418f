"""The dead-man in the cloud: it puts the key back when nothing of ours is left, and without it no drill starts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from dead_men import aws_dead_man, may, own_policy
from gcp_stage import Stage, patient, staged

from keycheck.drill.journal import Journal
from keycheck.drill.records import Planned, Writer
from keycheck.drill.restore import Book, Tools, withdraw
from keycheck.errors import ProbeError
from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.faults import Damage
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.aws.seams import Caller
from keycheck.lab.gcp.store import State
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.drill import Change, Mechanism, Where
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from keycheck.resolve import system_resolver
from probes.clouds.aws.arns import kms_arn
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_dead_man import Deed
from probes.keys.drill.aws_disable import Disable, disable
from probes.keys.drill.aws_material import DeleteMaterial, Escrow, delete_material
from probes.keys.drill.canary import plant
from probes.keys.drill.dead_man import GRACE, Waits, name_of
from probes.keys.drill.gcp_disable import DisableVersion
from probes.keys.drill.gcp_disable import disable as gcp_disable
from probes.keys.subjects import DeadMan, Key, KeyModel, OnKeyLoss, Roles

CUSTOMER, REGION, SECOND = "111122223333", "eu-central-1", "eu-west-3"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROLES = ("log", "drill", "control", "restore")
MATERIAL = bytes(range(32))
FEW = Waits(patience=timedelta(seconds=60))
ROLE = f"arn:aws:iam::{CUSTOMER}:role/key-dead-man"


def user(role: str) -> str:
    return f"arn:aws:iam::{CUSTOMER}:user/{role}"


def soon(done: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


@dataclass
class Lab:
    """A customer's AWS with a multi-Region key, a drill on it, and a clock that waiting turns."""

    cloud: AwsCloud
    home: Path
    loader: object
    now: datetime = NOON

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def io(self) -> Io:
        once = Once()
        once.get(("aws", "loader"), lambda: self.loader)
        return Io(
            once=once,
            vantage=HERE,
            budget=30.0,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=self.home,
            environment={},
            resolver=system_resolver,
            clock=lambda: self.now,
            entropy=os.urandom,
            monotonic=time.monotonic,
            identities=tuple(AwsIdentity(id=role, provider="aws", profile=role) for role in ROLES),
        )

    def calls(self, operation: str) -> int:
        return self.cloud.faults.calls[operation]


@dataclass
class Drill:
    lab: Lab
    keys: tuple[LabKey, ...]
    change: Change
    mechanism: Mechanism

    def looked(self) -> CanonicalJson:
        return self.mechanism.look(self.change, self.lab.io())

    def begun(self) -> CanonicalJson:
        """Everything up to the moment in which this machine burns down."""
        before = self.looked()
        self.mechanism.rehearse(self.change, before, self.lab.io())
        self.mechanism.act(self.change, before, self.lab.io())
        return before

    def standing(self, before: CanonicalJson) -> tuple[Where, str]:
        found = self.mechanism.standing(self.change, before, self.lab.io())
        return found.where, found.words

    def states(self) -> set[str]:
        found = set()
        for key in self.keys:
            who = Caller(CUSTOMER, (root := f"arn:aws:iam::{CUSTOMER}:root"), root, "AKIAROOTROOTROOTROOT")
            shown = self.lab.cloud.kms.call(who, key.region, "DescribeKey", KeyId=key.arn)["KeyMetadata"]
            assert isinstance(shown, dict)
            found.add(str(shown["KeyState"]))
        return found


@pytest.fixture(scope="module")
def dead_man_loader() -> object:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def lab(tmp_path: Path, dead_man_loader: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with AwsCloud(clock=lambda: lab.now) as cloud:
        lab = Lab(cloud, tmp_path, dead_man_loader)
        services = "".join(f"{each} =\n  endpoint_url = {cloud.url}\n" for each in ("kms", "cloudtrail", "scheduler"))
        lines = [f"[services lab]\n{services}"]
        for role in ROLES:
            given = cloud.directory.add_user(user(role), policies=[may("kms:*"), own_policy("aws-disable", role)])
            secrets = f"aws_access_key_id = {given.access_key_id}\naws_secret_access_key = {given.secret}\n"
            lines.append(f"[profile {role}]\nservices = lab\n{secrets}")
        (tmp_path / "config").write_text("".join(lines))
        aws_dead_man(cloud, CUSTOMER)
        yield lab


def drill(lab: Lab, kind: str = "disable", *, man: DeadMan | None = None, minutes: int = 10) -> Drill:
    owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:root"}, "Action": "kms:*"}
    policy = {"Version": "2012-10-17", "Statement": [{**owner, "Resource": "*"}]}
    made = lab.cloud.kms.create(
        CUSTOMER, REGION, origin=Origin.EXTERNAL, material=MATERIAL, multi_region=True, policy=policy
    )
    root = f"arn:aws:iam::{CUSTOMER}:root"
    who = Caller(CUSTOMER, root, root, "AKIAROOTROOTROOTROOT")
    asked = {"KeyId": made.arn, "ReplicaRegion": SECOND, "Policy": json.dumps(policy)}
    lab.cloud.kms.call(who, REGION, "ReplicateKey", **asked)
    replica = lab.cloud.kms.find(made.arn.replace(REGION, SECOND))
    lab.cloud.kms.import_material(replica, MATERIAL)
    subject = Key(
        id="contacts",
        provider="aws",
        resource=made.arn,
        model=KeyModel.DIRECT_KMS,
        on_key_loss=OnKeyLoss.WITHHELD,
        identities=Roles(log="log", drill="drill", control="control", restore="restore"),
    )
    arn, arns = kms_arn(made.arn), (made.arn, replica.arn)
    pairs = (("record", "c-canary"),)
    canary = plant(hand(lab.io(), "control", arn), arn, pairs, planted=lab.now, entropy=os.urandom)
    until = lab.now + timedelta(minutes=minutes)
    if kind == "disable":
        change = disable("kc-1", subject, arns, canary, until, dead_man=man)
        return Drill(lab, (made, replica), change, Disable(lab.sleep, FEW))
    (lab.home / "escrow.bin").write_bytes(MATERIAL)
    (material,) = made.ring.materials
    escrow = [Escrow(key=each, local="escrow.bin") for each in arns]
    change = delete_material("kc-1", subject, arns, material.id, escrow, canary, until, dead_man=man)
    return Drill(lab, (made, replica), change, DeleteMaterial(lab.sleep, FEW))


@pytest.mark.parametrize(("kind", "gone"), [("disable", "Disabled"), ("material", "PendingImport")])
def test_aws_the_cloud_puts_it_back_when_nobody_else_does(lab: Lab, kind: str, gone: str) -> None:
    ready = drill(lab, kind, man=DeadMan(actor=ROLE))
    before = ready.begun()
    assert ready.states() == {gone}
    assert lab.cloud.scheduler.names() == ("keycheck-kc-1-eu-central-1", "keycheck-kc-1-eu-west-3")
    lab.now = ready.change.deadline + GRACE - timedelta(seconds=1)
    time.sleep(0.1)
    assert ready.states() == {gone}
    lab.now += timedelta(seconds=1)
    soon(lambda: ready.states() == {"Enabled"})
    assert lab.cloud.scheduler.names() == ()
    assert ready.standing(before)[0] is Where.RESTORED
    ready.mechanism.undo(ready.change, before, lab.io())  # somebody comes back later
    assert ready.states() == {"Enabled"}


def test_aws_it_fires_once(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    ready.begun()
    lab.now = ready.change.deadline + GRACE
    soon(lambda: ready.states() == {"Enabled"})
    for key in ready.keys:
        key.enabled = False
    lab.now += timedelta(days=400)
    time.sleep(0.1)
    assert ready.states() == {"Disabled"}


@pytest.mark.parametrize("kind", ["disable", "material"])
def test_aws_without_one_nothing_is_taken_away(lab: Lab, kind: str) -> None:
    ready = drill(lab, kind)
    before = ready.looked()
    for step in (ready.mechanism.rehearse, ready.mechanism.act):
        with pytest.raises(ProbeError, match="no `dead_man` is declared") as caught:
            step(ready.change, before, lab.io())
        assert caught.value.reason is Reason.UNSUPPORTED
    assert (ready.states(), lab.calls("CreateSchedule")) == ({"Enabled"}, 0)


def no_schedules(lab: Lab) -> None:
    lab.cloud.directory.set_policies(user("restore"), [may("kms:*", "iam:PassRole")])


def no_passing(lab: Lab) -> None:
    lab.cloud.directory.set_policies(user("restore"), [may("kms:*", "scheduler:*")])


def powerless(lab: Lab) -> None:
    lab.cloud.directory.set_policies(ROLE, [may("kms:DescribeKey")])


def trusting_nobody(lab: Lab) -> None:
    lab.cloud.directory.add_role(ROLE, trusts=(), policies=(may("kms:EnableKey"),))


def standing_still(lab: Lab) -> None:
    lab.cloud.scheduler.stalled = True


def never_logged(lab: Lab) -> None:
    lab.cloud.ledger.lag = timedelta(days=1)


def never_delivered(lab: Lab) -> None:
    lab.cloud.faults.fail("InvokeTarget", "InternalServerException")


def taken_name(lab: Lab) -> None:
    """A schedule of the same name that does something else."""
    full = lab.cloud.directory.add_user(user("other"), policies=[may("*")])
    import boto3

    client = boto3.Session().client(
        "scheduler",
        region_name=SECOND,
        endpoint_url=lab.cloud.url,
        aws_access_key_id=full.access_key_id,
        aws_secret_access_key=full.secret,
    )
    client.create_schedule(
        Name="keycheck-kc-1-eu-west-3",
        ScheduleExpression="at(2027-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:scheduler:::aws-sdk:kms:enableKey", "RoleArn": ROLE, "Input": '{"KeyId": "x"}'},
    )


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (no_schedules, Reason.PERMISSION_DENIED, "scheduler:CreateSchedule"),
        (no_passing, Reason.PERMISSION_DENIED, "iam:PassRole"),
        (powerless, Reason.UNSUPPORTED, "EnableKey ended with AccessDenied"),
        (trusting_nobody, Reason.UNSUPPORTED, "must allow AWS EventBridge Scheduler to assume"),
        (standing_still, Reason.UNSUPPORTED, "did not fire"),
        (never_logged, Reason.UNSUPPORTED, "the log shows no EnableKey by arn:aws:iam"),
        (never_delivered, Reason.UNSUPPORTED, "did not fire"),
        (taken_name, Reason.UNSUPPORTED, "eu-west-3: the schedule reads back with another Description"),
    ],
)
def test_aws_one_that_does_not_work_keeps_the_drill_from_starting(
    lab: Lab, spoil: Callable[[Lab], None], reason: Reason, words: str
) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    before = ready.looked()
    spoil(lab)
    with pytest.raises(ProbeError, match=words) as caught:
        ready.mechanism.rehearse(ready.change, before, lab.io())
    assert caught.value.reason is reason, caught.value
    assert (ready.states(), lab.calls("DisableKey")) == ({"Enabled"}, 0)
    assert spoil is no_schedules or lab.cloud.scheduler.names() == ()


def test_aws_whoever_wants_out_need_not_wait_for_a_rehearsal(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    before, began = ready.looked(), lab.now
    never_logged(lab)
    with pytest.raises(ProbeError, match="stopped while the dead-man") as caught:
        ready.mechanism.rehearse(ready.change, before, replace(lab.io(), stopped=lambda: True))
    assert caught.value.reason is Reason.INTERRUPTED
    assert lab.now - began < timedelta(seconds=10)
    assert (ready.states(), lab.cloud.scheduler.names()) == ({"Enabled"}, ())


def test_aws_what_somebody_else_disabled_while_it_was_rehearsed_is_left_so(lab: Lab, tmp_path: Path) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    before, (made, replica) = ready.looked(), ready.keys
    root = f"arn:aws:iam::{CUSTOMER}:root"

    def in_an_emergency() -> None:
        who = Caller(CUSTOMER, root, root, "AKIAROOTROOTROOTROOT")
        for key in (made, replica):
            lab.cloud.kms.call(who, key.region, "DisableKey", KeyId=key.arn)

    ready.mechanism.rehearse(ready.change, before, lab.io())
    in_an_emergency()
    plan = Planned(change=ready.change, before=before, settle_ms=0, patience_ms=1000)
    tmp_path.joinpath("drill").mkdir()
    journal = Journal(tmp_path / "drill", Writer.RUNNER, lambda: lab.now)
    journal.append(plan)
    tools = Tools(ready.mechanism, lab.io(), lab.sleep, time.monotonic)
    assert withdraw(plan, tools, Book(journal), "stopped", patience=1.0, died=True) is None
    journal.close()
    assert "the key is Disabled, not by this drill, and is left so" in str(journal.state.last)
    assert (ready.states(), lab.cloud.scheduler.names()) == ({"Disabled"}, ())


def test_aws_a_deadline_that_leaves_no_time_to_rehearse(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE), minutes=1)
    lab.cloud.ledger.lag = timedelta(minutes=5)
    with pytest.raises(ProbeError, match="must be over before the drill's deadline"):
        ready.mechanism.rehearse(ready.change, ready.looked(), lab.io())
    assert lab.now < ready.change.deadline + timedelta(seconds=10)
    assert lab.cloud.scheduler.names() == ()


def test_aws_a_log_that_is_late_and_calls_that_are_lost_are_waited_out(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    lab.cloud.ledger.lag = timedelta(seconds=30)
    lab.cloud.faults.damage("CreateSchedule", Damage.RESET, times=1)
    lab.cloud.faults.throttle("GetSchedule", every=2, times=3)
    ready.begun()
    assert ready.states() == {"Disabled"}


def test_aws_only_a_role_can_be_one(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=user("log")))
    with pytest.raises(ProbeError, match="ARN of a role"):
        ready.mechanism.rehearse(ready.change, ready.looked(), lab.io())
    assert lab.calls("CreateSchedule") == 0


@pytest.mark.parametrize("kind", ["disable", "material"])
def test_aws_it_is_gone_when_the_key_is_back_and_missed_before_it_is_taken(lab: Lab, kind: str) -> None:
    ready = drill(lab, kind, man=DeadMan(actor=ROLE))
    before = ready.begun()
    fresh = Change.model_validate_json(ready.change.model_dump_json())
    ready.mechanism.undo(fresh, before, lab.io())
    assert (ready.states(), lab.cloud.scheduler.names()) == ({"Enabled"}, ())
    where, words = ready.standing(before)
    assert (where, "dead-man" in words) == (Where.RESTORED, False)
    gone = lab.calls("DisableKey") + lab.calls("DeleteImportedKeyMaterial")
    with pytest.raises(ProbeError, match="not there any more"):
        ready.mechanism.act(ready.change, before, lab.io())
    assert gone == lab.calls("DisableKey") + lab.calls("DeleteImportedKeyMaterial")


def test_aws_one_that_cannot_be_deleted_is_told_and_costs_no_restore(lab: Lab) -> None:
    ready = drill(lab, man=DeadMan(actor=ROLE))
    before = ready.begun()
    lab.cloud.faults.fail("DeleteSchedule", "AccessDeniedException", status=403)
    ready.mechanism.undo(ready.change, before, lab.io())
    where, words = ready.standing(before)
    assert (where, "keycheck-kc-1-eu-west-3 still stands" in words) == (Where.RESTORED, True)
    lab.cloud.faults.fail("GetSchedule", "AccessDeniedException", status=403)
    assert "not known whether the dead-man" in ready.standing(before)[1]
    assert "aws scheduler delete-schedule --region eu-central-1 --group-name default" in ready.change.by_hand[-1]


def test_aws_nothing_secret_is_kept(lab: Lab) -> None:
    ready = drill(lab, "material", man=DeadMan(actor=ROLE))
    before = ready.begun()
    deed = Deed(kms_arn(ready.keys[0].arn), "ImportKeyMaterial", {"ImportToken": "c2VjcmV0"})
    assert "c2VjcmV0" not in repr(deed)
    kept = f"{ready.change.model_dump_json()}{before}"
    assert "ImportToken" not in kept
    assert MATERIAL.hex() not in kept


def test_names_fit_and_are_the_drills_own() -> None:
    assert name_of("kc-20261122-120000-ab12cd34", "ap-northeast-3-r") == (
        "keycheck-kc-20261122-120000-ab12cd34-ap-northeast-3-r"
    )
    long = [name_of("d" * 60 + end, "ap-northeast-3-r") for end in ("1", "2")]
    assert all(len(each) <= 64 and each.endswith("-ap-northeast-3-r") for each in long)
    assert len(set(long)) == 2


# --- Google Cloud ---------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-disable") as found:
        yield found


JOB = "projects/acme/locations/europe-west3/jobs/keycheck-d-1-1"


def planned(stage: Stage, man: DeadMan | None) -> tuple[Change, DisableVersion, CanonicalJson]:
    change = gcp_disable("d-1", stage.subject(), stage.key, ("1",), stage.canary, stage.deadline(), dead_man=man)
    mechanism = DisableVersion(patient, Waits(patience=timedelta(seconds=60), pause=0.5))
    return change, mechanism, mechanism.look(change, stage.io())


def version_state(stage: Stage) -> State:
    return stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state


def test_gcp_the_cloud_puts_it_back_when_nobody_else_does(stage: Stage) -> None:
    change, mechanism, before = planned(stage, stage.man)
    mechanism.rehearse(change, before, stage.io())
    mechanism.act(change, before, stage.io())
    assert version_state(stage) is State.DISABLED
    assert stage.cloud.scheduler.names() == (JOB,)
    stage.clock.now = change.deadline + GRACE - timedelta(seconds=1)
    time.sleep(0.1)
    assert version_state(stage) is State.DISABLED
    stage.clock.forward(timedelta(seconds=1))
    soon(lambda: version_state(stage) is State.ENABLED)
    where, words = (found := mechanism.standing(change, before, stage.io())).where, found.words
    assert (where, "still stands" in words) == (Where.RESTORED, True)  # it would fire again in a year
    mechanism.undo(change, before, stage.io())
    assert stage.cloud.scheduler.names() == ()
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DISABLED
    stage.clock.forward(timedelta(days=800))
    time.sleep(0.1)
    assert version_state(stage) is State.DISABLED


def acts_for_nobody(stage: Stage) -> DeadMan:
    stage.cloud.iam.role("projects/acme/roles/actsAs", [])
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com")


def plans_nothing(stage: Stage) -> DeadMan:
    stage.cloud.iam.role("projects/acme/roles/plansJobs", ["cloudscheduler.jobs.get", "cloudscheduler.jobs.delete"])
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com")


def may_not_enable(stage: Stage) -> DeadMan:
    stage.cloud.iam.role("projects/acme/roles/deadMan", ["cloudkms.cryptoKeys.get"])
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com")


def asleep(stage: Stage) -> DeadMan:
    stage.cloud.scheduler.stalled = True
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com")


def unreachable(stage: Stage) -> DeadMan:
    stage.cloud.faults.fail("InvokeTarget", grpc.StatusCode.UNAVAILABLE)
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com")


def in_no_region(stage: Stage) -> DeadMan:
    return DeadMan(actor="serviceAccount:key-dead-man@acme.iam.gserviceaccount.com", location="europe")


@pytest.mark.parametrize(
    ("spoilt", "reason", "words"),
    [
        (lambda stage: None, Reason.UNSUPPORTED, "no `dead_man` is declared"),
        (acts_for_nobody, Reason.PERMISSION_DENIED, "iam.serviceAccounts.actAs"),
        (plans_nothing, Reason.PERMISSION_DENIED, "cloudscheduler.jobs.create"),
        (may_not_enable, Reason.UNSUPPORTED, "ended with code 7"),
        (asleep, Reason.UNSUPPORTED, "was run and did not fire"),
        (unreachable, Reason.UNSUPPORTED, "ended with code 14"),
        (in_no_region, Reason.UNSUPPORTED, "Cloud Scheduler refuses it"),
    ],
)
def test_gcp_one_that_does_not_work_keeps_the_drill_from_starting(
    stage: Stage, spoilt: Callable[[Stage], DeadMan | None], reason: Reason, words: str
) -> None:
    change, mechanism, before = planned(stage, spoilt(stage))
    with pytest.raises(ProbeError, match=words) as caught:
        mechanism.rehearse(change, before, stage.io())
    assert caught.value.reason is reason
    assert stage.cloud.scheduler.names() == ()
    with pytest.raises(ProbeError):
        mechanism.act(change, before, stage.io())
    assert version_state(stage) is State.ENABLED


def test_gcp_a_job_of_that_name_that_does_something_else(stage: Stage) -> None:
    change, mechanism, before = planned(stage, stage.man)
    mechanism.rehearse(change, before, stage.io())
    job = stage.cloud.scheduler._jobs[JOB]
    for field, value in (("body", b'{"state":"DISABLED"}'), ("method", "POST"), ("account", "x@acme"), ("uri", "u")):
        kept = getattr(job, field)
        setattr(job, field, value)
        with pytest.raises(ProbeError, match="reads back with another httpTarget"):
            mechanism.act(change, before, stage.io())
        setattr(job, field, kept)
    job.next = None
    with pytest.raises(ProbeError, match="scheduleTime"):
        mechanism.act(change, before, stage.io())
    assert version_state(stage) is State.ENABLED


def test_gcp_what_somebody_else_disabled_while_it_was_rehearsed_is_left_so(stage: Stage) -> None:
    change, mechanism, before = planned(stage, stage.man)
    mechanism.rehearse(change, before, stage.io())
    mechanism.act(change, before, stage.io())  # as good as somebody else's: nothing tells them apart
    assert "version 1 is DISABLED, not by this drill" in mechanism.tidy(change, before, stage.io())
    assert (version_state(stage), stage.cloud.scheduler.names()) == (State.DISABLED, ())


def test_gcp_it_is_gone_when_the_version_is_back(stage: Stage) -> None:
    change, mechanism, before = planned(stage, stage.man)
    mechanism.rehearse(change, before, stage.io())
    mechanism.act(change, before, stage.io())
    stage.cloud.faults.fail("DeleteJob", grpc.StatusCode.PERMISSION_DENIED)
    fresh = DisableVersion(patient)
    fresh.undo(Change.model_validate_json(change.model_dump_json()), before, stage.io())
    standing = fresh.standing(change, before, stage.io())
    assert (standing.where, f"{JOB} still stands" in standing.words) == (Where.RESTORED, True)
    stage.cloud.faults.clear()
    stage.cloud.faults.fail("DeleteJob", grpc.StatusCode.UNAVAILABLE, times=2)
    for _ in range(2):
        fresh.undo(change, before, stage.io())
        assert stage.cloud.scheduler.names() == ()
    assert "dead-man" not in fresh.standing(change, before, stage.io()).words
    assert change.by_hand[-1] == (
        "gcloud scheduler jobs delete keycheck-d-1-1 --project acme --location europe-west3 --quiet"
    )
    with pytest.raises(ProbeError, match="another name"):
        mechanism.act(change, before, stage.io())
    assert version_state(stage) is State.ENABLED


def test_gcp_tokens_go_to_this_machine_alone(stage: Stage) -> None:
    change, mechanism, before = planned(stage, stage.man)
    for endpoint in (None, "scheduler.example.org:443"):
        stage.identities = tuple(
            each.model_copy(update={"scheduler_endpoint": endpoint}) if each.id == "restore" else each
            for each in stage.identities
        )
        with pytest.raises(ProbeError, match="needs an endpoint of this machine") as caught:
            mechanism.rehearse(change, before, stage.io())
        assert caught.value.reason is Reason.UNSUPPORTED
    assert version_state(stage) is State.ENABLED
