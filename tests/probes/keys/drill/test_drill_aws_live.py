"""Drills in the lab's AWS, by the real SDK over real sockets. Waiting turns the lab's clock and takes no time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dead_men import aws_dead_man, may

from keycheck.errors import ProbeError
from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.identity import Credentials
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.aws.seams import Caller, Document
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.drill import Change, Mechanism, Where
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from keycheck.resolve import system_resolver
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.keys import aws
from probes.keys.aspects import Aspect
from probes.keys.drill import Refusal, Sight
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_deny import Deny, deny, sid_of
from probes.keys.drill.aws_disable import Disable, disable
from probes.keys.drill.aws_grant import RevokeGrant, revoke_grant
from probes.keys.drill.aws_log import RawLog, recent
from probes.keys.drill.aws_material import DeleteMaterial, Escrow, delete_material
from probes.keys.drill.aws_needs import NEEDS
from probes.keys.drill.aws_preflight import of_rehearsal, refusals
from probes.keys.drill.aws_sentinel import Sentinel, sentinels
from probes.keys.drill.canary import Canary, plant
from probes.keys.facts import KeyFacts
from probes.keys.subjects import Agreed, DeadMan, Key, KeyModel, OnKeyLoss, Roles

CUSTOMER, VENDOR, STRANGER = "111122223333", "444455556666", "999988887777"
REGION, SECOND = "eu-central-1", "eu-west-3"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
APP = f"arn:aws:iam::{VENDOR}:role/crm-app"
PEOPLE = ("inspect", "log", "drill", "control", "restore")
PAIRS = (("tenant", "acme"), ("record", "c-canary-7f3a"))
MATERIAL = b"M" * 32
DRILL = "drill-2026-11-22-a"

ALL = {
    role: tuple(sorted({item[4:] for needs in NEEDS.values() for item in needs[role] if item.startswith("kms:")}))
    for role in ("inspect", "drill", "restore", "control")
}
"""What each identity needs on the key, for all mechanisms together."""


class KilledError(BaseException):
    """The process dies here."""


def user(role: str) -> str:
    return f"arn:aws:iam::{CUSTOMER}:user/{role}"


def allow(sid: str, principal: str, *actions: str, **condition: object) -> dict[str, object]:
    made: dict[str, object] = {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": principal}, "Resource": "*"}
    made["Action"] = [f"kms:{action}" for action in actions]
    return {**made, **({"Condition": condition} if condition else {})}


def policy() -> dict[str, object]:
    only = {"kms:EncryptionContext:Record": PAIRS[1][1]}
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("Owner", f"arn:aws:iam::{CUSTOMER}:root", "*"),
            allow("App", APP, "Encrypt", "Decrypt", "GenerateDataKey*"),
            *(allow(role.title(), user(role), *ALL[role]) for role in ("inspect", "drill", "restore")),
            allow("Control", user("control"), *ALL["control"], StringEquals=only),
        ],
    }


@dataclass
class Lab:
    cloud: AwsCloud
    home: Path
    loader: object
    credentials: dict[str, Credentials] = field(default_factory=dict)
    now: datetime = NOON
    man: DeadMan | None = None

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def io(self, monotonic: Callable[[], float] = time.monotonic, ahead: timedelta = timedelta(0)) -> Io:
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
            clock=lambda: self.now + ahead,
            entropy=os.urandom,
            monotonic=monotonic,
            identities=tuple(AwsIdentity(id=role, provider="aws", profile=role) for role in PEOPLE),
        )

    def owner(self) -> Caller:
        root = f"arn:aws:iam::{CUSTOMER}:root"
        return Caller(CUSTOMER, root, root, "AKIAROOTROOTROOTROOT")

    def vendor(self) -> Caller:
        may: Document = {"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        return Caller(VENDOR, f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/i-1", APP, "ASIAAPPAPPAPPAPPAPPA", (may,))

    def seal(self, key: LabKey, **context: str) -> bytes:
        given = self.cloud.kms.call(
            self.vendor(), key.region, "GenerateDataKey", KeyId=key.arn, KeySpec="AES_256", EncryptionContext=context
        )
        sealed = given["CiphertextBlob"]
        assert isinstance(sealed, bytes)
        return sealed

    def open(self, key: LabKey, sealed: bytes, **context: str) -> str:
        try:
            self.cloud.kms.call(
                self.vendor(), key.region, "Decrypt", KeyId=key.arn, CiphertextBlob=sealed, EncryptionContext=context
            )
        except KmsError as error:
            return error.code
        return "read"

    def write_config(self, extra: str = "") -> None:
        lines = [f"[services lab]\nkms =\n  endpoint_url = {self.cloud.url}\n"]
        lines += [f"{name} =\n  endpoint_url = {self.cloud.url}\n" for name in ("sts", "cloudtrail", "scheduler")]
        for role, given in self.credentials.items():
            token = f"aws_session_token = {given.session_token}\n" if given.session_token else ""
            keys = f"aws_access_key_id = {given.access_key_id}\naws_secret_access_key = {given.secret}\n{token}"
            lines.append(f"[profile {role}]\nservices = lab\n{keys}")
        (self.home / "config").write_text("".join(lines) + extra)

    def policy_of(self, key: LabKey) -> dict[str, object]:
        found: dict[str, object] = json.loads(key.policies.value["default"])
        return found

    def sids(self, key: LabKey) -> list[str]:
        listed = self.policy_of(key)["Statement"]
        assert isinstance(listed, list)
        return [item["Sid"] for item in listed]


@pytest.fixture(scope="session")
def drill_loader() -> object:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def lab(tmp_path: Path, drill_loader: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with AwsCloud(clock=lambda: lab.now) as cloud:
        lab = Lab(cloud, tmp_path, drill_loader)
        own = {"log": [may("cloudtrail:LookupEvents")], "restore": [may("scheduler:*", "iam:PassRole")]}
        for role in PEOPLE:
            lab.credentials[role] = cloud.directory.add_user(user(role), policies=own.get(role, []))
        lab.man = aws_dead_man(cloud, CUSTOMER)
        lab.write_config()
        yield lab


@pytest.fixture
def key(lab: Lab) -> LabKey:
    made = lab.cloud.kms.create(
        CUSTOMER,
        REGION,
        origin=Origin.EXTERNAL,
        material=MATERIAL,
        multi_region=True,
        created=NOON - timedelta(days=99),
    )
    lab.cloud.kms.set_policy(made, policy())  # type: ignore[arg-type]
    return made


@pytest.fixture
def replica(lab: Lab, key: LabKey) -> LabKey:
    asked = {"KeyId": key.arn, "ReplicaRegion": SECOND, "Policy": json.dumps(policy())}
    lab.cloud.kms.call(lab.owner(), REGION, "ReplicateKey", **asked)
    found = lab.cloud.kms.find(key.arn.replace(REGION, SECOND))
    lab.cloud.kms.import_material(found, MATERIAL)
    return found


@dataclass
class Case:
    lab: Lab
    keys: tuple[LabKey, ...]
    subject: Key
    canary: Canary
    change: Change
    mechanism: Mechanism

    @property
    def arn(self) -> KmsArn:
        return kms_arn(self.keys[0].arn)

    def started(self) -> object:
        io = self.lab.io()
        before = self.mechanism.look(self.change, io)
        self.mechanism.rehearse(self.change, before, io)
        self.mechanism.act(self.change, before, io)
        return before

    def sights(self) -> list[Sight]:
        arns = [key.arn for key in self.keys]
        return [item.ask().sight for item in sentinels(self.lab.io(), self.subject, self.canary, arns)]


def subject_of(key: LabKey, **changed: object) -> Key:
    agreed = Agreed(owner=CUSTOMER, vendor=(APP,), users=tuple(user(role) for role in PEOPLE), administrators=())
    roles = Roles(inspect="inspect", log="log", drill="drill", control="control", restore="restore")
    plain = Key(
        id="contacts",
        provider="aws",
        resource=key.arn,
        model=KeyModel.DIRECT_KMS,
        on_key_loss=OnKeyLoss.WITHHELD,
        identities=roles,
        agreed=agreed,
    )
    return plain.model_copy(update=changed)


def case(lab: Lab, *keys: LabKey, minutes: int = 10, drill: str = DRILL) -> Case:
    subject, io, arn = subject_of(keys[0]), lab.io(), kms_arn(keys[0].arn)
    who = hand(io, "control", arn)
    canary = plant(who, arn, PAIRS, rest=(("field", "email"),), varies=("field",), planted=lab.now, entropy=os.urandom)
    change = deny(drill, subject, [key.arn for key in keys], canary, lab.now + timedelta(minutes=minutes))
    return Case(lab, keys, subject, canary, change, Deny(lab.sleep))


CANARY = {"tenant": "acme", "record": "c-canary-7f3a", "field": "name"}
OTHER = {"tenant": "acme", "record": "c-000001", "field": "name"}


class TestDeny:
    def test_bites_the_canary_alone_in_every_region_and_is_undone(self, lab: Lab, key: LabKey, replica: LabKey) -> None:
        canary, other = lab.seal(key, **CANARY), lab.seal(key, **OTHER)
        drill = case(lab, key, replica)
        assert drill.sights() == [Sight.READABLE, Sight.READABLE]
        before = drill.started()
        for place in (key, replica):
            assert lab.open(place, canary, **CANARY) == "AccessDeniedException"
            assert lab.open(place, other, **OTHER) == "read"
        assert drill.sights() == [Sight.DENIED, Sight.DENIED]
        assert drill.mechanism.standing(drill.change, before, lab.io()).where is Where.CHANGED
        drill.mechanism.undo(drill.change, before, lab.io())
        standing = drill.mechanism.standing(drill.change, before, lab.io())
        assert standing.where is Where.RESTORED, standing.words
        for place in (key, replica):
            assert lab.open(place, canary, **CANARY) == "read"
            assert lab.policy_of(place) == policy()

    def test_names_do_not_depend_on_case_and_new_data_keys_are_denied_too(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        drill.started()
        shouted = {"Tenant": "acme", "RECORD": "c-canary-7f3a"}
        with pytest.raises(KmsError, match="AccessDenied"):
            lab.seal(key, **shouted)
        lab.seal(key, tenant="acme", record="C-CANARY-7F3A")  # values do depend on it

    def test_ends_by_itself_with_nobody_undoing(self, lab: Lab, key: LabKey) -> None:
        sealed = lab.seal(key, **CANARY)
        drill = case(lab, key, minutes=10)
        before = drill.started()
        lab.now = drill.change.deadline - timedelta(seconds=1)
        assert (drill.sights(), lab.open(key, sealed, **CANARY)) == ([Sight.DENIED], "AccessDeniedException")
        lab.now = drill.change.deadline
        assert (drill.sights(), lab.open(key, sealed, **CANARY)) == ([Sight.READABLE], "read")
        standing = drill.mechanism.standing(drill.change, before, lab.io())
        assert (standing.where, "expired" in standing.words) == (Where.CHANGED, True)
        drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.policy_of(key) == policy()

    def test_undo_keeps_what_somebody_else_added_and_says_so(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.started()
        document = lab.policy_of(key)
        listed = document["Statement"]
        assert isinstance(listed, list)
        listed.append(allow("New", user("log"), "DescribeKey"))
        lab.cloud.kms.set_policy(key, json.dumps(document, indent=4))
        drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.sids(key) == ["Owner", "App", "Inspect", "Drill", "Restore", "Control", "New"]
        standing = drill.mechanism.standing(drill.change, before, lab.io())
        assert (standing.where, "somebody else" in standing.words) == (Where.RESTORED, True)

    def test_a_statement_that_somebody_rewrote_is_left_alone(self, lab: Lab, key: LabKey, replica: LabKey) -> None:
        drill = case(lab, key, replica)
        before = drill.started()
        text = key.policies.value["default"].replace("kms:ReEncryptTo", "kms:ReEncrypt*")
        lab.cloud.kms.set_policy(key, text)
        with pytest.raises(ProbeError, match="rewrote") as error:
            drill.mechanism.undo(drill.change, before, lab.io())
        assert error.value.reason is Reason.CONFLICTING
        assert key.policies.value["default"] == text
        assert sid_of(DRILL) not in lab.sids(replica)  # the other Region is put back all the same
        assert drill.mechanism.standing(drill.change, before, lab.io()).where is Where.FOREIGN

    def test_a_policy_that_keycheck_cannot_write_back_is_foreign(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.started()
        document = lab.policy_of(key)
        assert isinstance(document["Statement"], list)
        odd = {"kms:ScheduleKeyDeletionPendingWindowInDays": 7.5}
        document["Statement"].append(allow("Odd", user("log"), "DescribeKey", NumericLessThan=odd))
        lab.cloud.kms.set_policy(key, document)  # type: ignore[arg-type]
        assert drill.mechanism.standing(drill.change, before, lab.io()).where is Where.FOREIGN
        with pytest.raises(ProbeError, match="does not touch"):
            drill.mechanism.undo(drill.change, before, lab.io())

    def test_another_spelling_of_the_same_policy_is_the_same(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        io = lab.io()
        before = drill.mechanism.look(drill.change, io)
        lab.cloud.kms.set_policy(key, json.dumps(policy(), indent=2))
        drill.mechanism.act(drill.change, before, io)
        document = lab.policy_of(key)
        listed = document["Statement"]
        assert isinstance(listed, list)
        listed[-1]["Principal"] = {"AWS": "*"}
        listed[-1]["Action"].reverse()
        lab.cloud.kms.set_policy(key, json.dumps(document, indent=1))
        drill.mechanism.undo(drill.change, before, io)
        assert drill.mechanism.standing(drill.change, before, io).where is Where.RESTORED

    def test_does_not_act_on_a_policy_that_changed_since(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.mechanism.look(drill.change, lab.io())
        document = policy()
        assert isinstance(document["Statement"], list)
        document["Statement"].append(allow("New", user("log"), "DescribeKey"))
        lab.cloud.kms.set_policy(key, document)  # type: ignore[arg-type]
        with pytest.raises(ProbeError, match="somebody else changed"):
            drill.mechanism.act(drill.change, before, lab.io())
        assert lab.policy_of(key) == document

    def test_a_lost_update_is_noticed_and_undone_again(self, lab: Lab, key: LabKey) -> None:
        """Somebody who read before us writes after us: their text replaces ours before our next look."""
        drill = case(lab, key)
        before = drill.mechanism.look(drill.change, lab.io())
        theirs: list[dict[str, object]] = [policy()]
        lab.cloud.faults.sleep = lambda _: lab.cloud.kms.set_policy(key, theirs[-1])  # type: ignore[arg-type]
        lab.cloud.faults.delay("GetKeyPolicy", 0.001, after=1, times=1)
        with pytest.raises(ProbeError, match="not there when read back") as error:
            drill.mechanism.act(drill.change, before, lab.io())
        assert error.value.reason is Reason.CONFLICTING
        assert lab.policy_of(key) == policy()
        lab.cloud.faults.clear()
        drill.mechanism.act(drill.change, before, lab.io())
        theirs.append(lab.policy_of(key))
        lab.cloud.faults.delay("GetKeyPolicy", 0.001, after=1, times=1)
        drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.policy_of(key) == policy()

    def test_a_policy_that_names_a_vanished_principal_is_refused_when_rehearsed(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        lab.cloud.directory.remove(user("inspect"))
        before = drill.mechanism.look(drill.change, lab.io())
        with pytest.raises(ProbeError, match="invalid principals"):
            drill.mechanism.rehearse(drill.change, before, lab.io())
        assert lab.policy_of(key) == policy()

    def test_a_denied_undo_is_found_before_anything_is_written(self, lab: Lab, key: LabKey) -> None:
        scp: Document = {
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {
                    "Effect": "Deny",
                    "Action": "kms:PutKeyPolicy",
                    "Resource": "*",
                    "Condition": {"ArnEquals": {"aws:PrincipalArn": user("restore")}},
                },
            ]
        }
        lab.cloud.kms.holdings.organization[CUSTOMER] = (scp,)
        drill = case(lab, key)
        text = key.policies.value["default"]
        before = drill.mechanism.look(drill.change, lab.io())
        with pytest.raises(ProbeError) as error:
            drill.mechanism.rehearse(drill.change, before, lab.io())
        refusal = of_rehearsal(error.value)
        assert (refusal.reason, "rehearsed" in refusal.words) == (Reason.PERMISSION_DENIED, True)
        assert key.policies.value["default"] is text

    def test_a_denied_act_leaves_no_rehearsed_copy(self, lab: Lab, key: LabKey) -> None:
        document = json.loads(json.dumps(policy()).replace(user("drill"), user("log")))
        document["Statement"].append(allow("Looks", user("drill"), "GetKeyPolicy"))
        lab.cloud.kms.set_policy(key, document)
        drill = case(lab, key)
        before = drill.mechanism.look(drill.change, lab.io())
        with pytest.raises(ProbeError, match="PutKeyPolicy"):
            drill.mechanism.rehearse(drill.change, before, lab.io())
        assert lab.policy_of(key) == document

    def test_a_policy_without_room_is_refused_when_rehearsed(self, lab: Lab, key: LabKey) -> None:
        document = policy()
        assert isinstance(document["Statement"], list)
        document["Statement"].append(allow("x" * (32_400 - len(json.dumps(document))), user("log"), "DescribeKey"))
        lab.cloud.kms.set_policy(key, json.dumps(document, separators=(",", ":")))
        drill = case(lab, key)
        before = drill.mechanism.look(drill.change, lab.io())
        with pytest.raises(ProbeError, match="make room"):
            drill.mechanism.rehearse(drill.change, before, lab.io())
        assert lab.cloud.faults.calls["PutKeyPolicy"] == 0

    def test_propagation_is_measured_and_waited_for(self, lab: Lab, key: LabKey) -> None:
        lab.cloud.faults.lags.policy = timedelta(seconds=1)
        drill = case(lab, key)
        io = lab.io()
        before = drill.mechanism.look(drill.change, io)
        drill.mechanism.act(drill.change, before, io)
        start, (look,) = lab.now, sentinels(io, drill.subject, drill.canary, [key.arn])
        while (sample := look.ask()).sight is Sight.READABLE:
            lab.sleep(0.25)
        assert sample.sight is Sight.DENIED
        assert timedelta(0) <= lab.now - start - timedelta(seconds=1) <= timedelta(seconds=0.5)
        drill.mechanism.undo(drill.change, before, io)
        assert drill.mechanism.standing(drill.change, before, io).where is Where.CHANGED  # written, not yet felt
        lab.sleep(1)
        assert drill.mechanism.standing(drill.change, before, io).where is Where.RESTORED

    def test_throttling_and_errors_of_the_service_are_waited_out(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        lab.cloud.faults.throttle("PutKeyPolicy", every=2)
        lab.cloud.faults.fail("PutKeyPolicy", "KMSInternalException", status=500, every=3)
        before = drill.started()
        assert drill.sights() == [Sight.DENIED]
        drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.policy_of(key) == policy()

    def test_a_region_that_refuses_leaves_the_others_to_the_undo(self, lab: Lab, key: LabKey, replica: LabKey) -> None:
        drill = case(lab, key, replica)
        before = drill.mechanism.look(drill.change, lab.io())
        lab.cloud.faults.fail("PutKeyPolicy", "ExpiredTokenException", after=1)
        with pytest.raises(ProbeError, match="expired"):
            drill.mechanism.act(drill.change, before, lab.io())
        assert drill.sights() == [Sight.DENIED, Sight.READABLE]
        with pytest.raises(ProbeError, match="expired"):
            drill.mechanism.undo(drill.change, before, lab.io())
        assert drill.mechanism.standing(drill.change, before, lab.io()).where is Where.CHANGED
        lab.cloud.faults.clear()
        drill.mechanism.undo(drill.change, before, lab.io())
        assert drill.mechanism.standing(drill.change, before, lab.io()).where is Where.RESTORED

    def test_everything_may_be_done_twice(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.mechanism.look(drill.change, lab.io())
        drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.cloud.faults.calls["PutKeyPolicy"] == 0  # nothing had been done
        for _ in range(2):
            drill.mechanism.act(drill.change, before, lab.io())
        assert lab.sids(key).count(sid_of(DRILL)) == 1
        for _ in range(2):
            drill.mechanism.undo(drill.change, before, lab.io())
        assert lab.cloud.faults.calls["PutKeyPolicy"] == 2
        assert lab.policy_of(key) == policy()

    def test_never_bypasses_the_lockout_check(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.started()
        drill.mechanism.undo(drill.change, before, lab.io())
        written = [e for e in lab.cloud.ledger.events(CUSTOMER, REGION, lab.now) if e.name == "PutKeyPolicy"]
        assert len(written) == 4
        assert not any("bypassPolicyLockoutSafetyCheck" in event.parameters for event in written)

    @pytest.mark.slow
    @pytest.mark.parametrize("lag", [0, 1])
    def test_killed_before_any_call_a_fresh_process_restores(
        self, lab: Lab, key: LabKey, replica: LabKey, lag: int
    ) -> None:
        lab.cloud.faults.lags.policy = timedelta(seconds=lag)
        drill = case(lab, key, replica, minutes=60)
        before = drill.mechanism.look(drill.change, lab.io())
        points = 0
        for phase in ("rehearse", "act", "undo"):
            alive, at = False, 0
            while not alive:
                at += 1
                if phase == "undo":
                    Deny(lab.sleep).act(drill.change, before, lab.io())
                ticks = iter(range(at))

                def clock(ticks: Iterator[int] = ticks) -> float:
                    if next(ticks, None) is None:
                        raise KilledError
                    return time.monotonic()

                try:
                    getattr(Deny(lab.sleep), phase)(drill.change, before, lab.io(monotonic=clock))
                    alive = True
                except KilledError:
                    points += 1
                change = Change.model_validate_json(drill.change.model_dump_json())
                Deny(lab.sleep).undo(change, before, lab.io())
                lab.sleep(lag)
                standing = Deny(lab.sleep).standing(change, before, lab.io())
                assert standing.where is Where.RESTORED, (phase, at, standing.words)
                assert lab.policy_of(key) == lab.policy_of(replica) == policy()
        assert points > 20

    def test_what_is_written_down_holds_no_secret(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        before = drill.started()
        kept = f"{drill.change.model_dump_json()}{before}{drill.change!r}{lab.io()!r}{drill.canary!r}"
        samples = [item.ask() for item in sentinels(lab.io(), drill.subject, drill.canary, [key.arn])]
        kept += repr(samples) + repr(sentinels(lab.io(), drill.subject, drill.canary, [key.arn]))
        for given in lab.credentials.values():
            assert given.secret not in kept
            assert given.access_key_id not in kept
        assert "nobody's data" not in kept
        assert MATERIAL.decode() not in kept

    def test_the_commands_for_a_person_name_the_statement_and_fit(self, lab: Lab, key: LabKey, replica: LabKey) -> None:
        drill = case(lab, key, replica)
        assert len(drill.change.by_hand) == 2
        for place, line in zip((key, replica), drill.change.by_hand, strict=True):
            assert place.arn in line
            assert sid_of(DRILL) in line
            assert not line.endswith("…")


class TestSentinel:
    def test_denied_only_by_an_explicit_deny_of_the_policy(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        sentinel = Sentinel(lab.io(), "control", drill.arn, drill.canary)
        sample = sentinel.ask()
        assert (sample.sight, sample.place, sample.took_us > 0) == (Sight.READABLE, REGION, True)
        for trouble in ("ThrottlingException", "AccessDeniedException", "DisabledException", "KMSInternalException"):
            lab.cloud.faults.fail("Decrypt", trouble, "User is not authorized", times=1)
            assert sentinel.ask().sight is Sight.UNAVAILABLE
        calls = lab.cloud.faults.calls["Decrypt"]
        lab.cloud.faults.throttle("Decrypt", times=1)
        sentinel.ask()
        assert lab.cloud.faults.calls["Decrypt"] == calls + 1  # one question, one sample
        lab.cloud.faults.clear()
        lab.cloud.kms.set_policy(key, json.dumps(policy()).replace(user("control"), user("log")))
        sample = sentinel.ask()
        assert (sample.sight, "permission-denied" in sample.words) == (Sight.UNAVAILABLE, True)

    def test_a_wrong_answer_is_no_reading(self, lab: Lab, key: LabKey) -> None:
        drill = case(lab, key)
        forged = drill.canary.model_copy(update={"sha256": "0" * 64})
        assert Sentinel(lab.io(), "control", drill.arn, forged).ask().sight is Sight.UNAVAILABLE


def facts_of(lab: Lab, subject: Key, *keys: LabKey) -> tuple[KeyFacts, ...]:
    asked = frozenset({Aspect.DESCRIPTION, Aspect.CALLER, Aspect.MATERIALS, Aspect.POLICIES})
    io = lab.io()
    return tuple(
        KeyFacts(
            agreed=subject.agreed,
            model=subject.model,
            named=subject.resource,
            looked=lab.now,
            asked=tuple(sorted(asked)),
            key=aws.key(subject, key.region, asked, io)[0],
        )
        for key in keys
    )


class TestPreflight:
    @pytest.fixture
    def ready(self, lab: Lab, key: LabKey) -> Case:
        """A canary that the vendor read, well after other records were."""
        lab.now -= timedelta(hours=3)
        other = lab.seal(key, **OTHER)
        lab.open(key, other, **OTHER)
        lab.now += timedelta(hours=2)
        drill = case(lab, key)
        sealed = lab.seal(key, **CANARY)
        lab.open(key, sealed, **CANARY)
        lab.now += timedelta(hours=1)
        change = deny(DRILL, drill.subject, [key.arn], drill.canary, lab.now + timedelta(minutes=10))
        return replace(drill, change=change)

    def ask(
        self, drill: Case, subject: Key | None = None, change: Change | None = None, io: Io | None = None
    ) -> tuple[Refusal, ...]:
        lab = drill.lab
        whom = subject or drill.subject
        facts = facts_of(lab, whom, *drill.keys)
        logs = [self.log(drill, key) for key in drill.keys]
        change = change or drill.change
        if subject is not None:
            change = deny(DRILL, subject, [key.arn for key in drill.keys], drill.canary, drill.change.deadline)
        return refusals(whom, facts, logs, change, io or lab.io())

    def log(self, drill: Case, key: LabKey) -> RawLog:
        return recent(drill.subject, kms_arn(key.arn), timedelta(days=30), drill.lab.io())

    def words(self, drill: Case, **more: Key | Change | Io) -> str:
        return "\n".join(f"{item.reason}: {item.words}" for item in self.ask(drill, **more))  # type: ignore[arg-type]

    def test_nothing_speaks_against_an_honest_drill(self, ready: Case) -> None:
        assert self.ask(ready) == ()

    def test_what_the_deployment_declares(self, ready: Case) -> None:
        for field_, value, words in (
            ("model", KeyModel.SERVICE_INTEGRATED, "unsupported: the deployment declares `model: service-integrated`"),
            ("on_key_loss", OnKeyLoss.DELETE, "deletes data"),
            ("on_key_loss", OnKeyLoss.UNKNOWN, "ask the vendor in writing"),
        ):
            assert words in self.words(ready, subject=subject_of(ready.keys[0], **{field_: value}))

    def test_calls_without_context_are_unsupported(self, ready: Case) -> None:
        ready.lab.open(ready.keys[0], ready.lab.seal(ready.keys[0]))
        assert "unsupported: eu-central-1: 2 of the vendor's 6 calls carry no encryption context" in self.words(ready)

    def test_a_canary_that_no_call_carries_is_unsupported(self, ready: Case) -> None:
        elsewhere = ready.canary.model_copy(
            update={"pairs": (("record", "nowhere"),), "context": (("record", "nowhere"),)}
        )
        change = deny(DRILL, ready.subject, [ready.keys[0].arn], elsewhere, ready.change.deadline)
        assert "unsupported: no logged decryption of the vendor's carries" in self.words(ready, change=change)

    def test_a_context_that_others_share_is_unsupported(self, ready: Case) -> None:
        tenant = ready.canary.model_copy(update={"pairs": PAIRS[:1], "context": PAIRS[:1]})
        change = deny(DRILL, ready.subject, [ready.keys[0].arn], tenant, ready.change.deadline)
        words = self.words(ready, change=change)
        assert "carried the canary's context before it was planted" in words
        assert "differ in record" in words
        assert "c-canary" not in words  # values are never told
        assert "c-000001" not in words

    def test_a_log_that_is_short_or_not_read_proves_nothing(self, ready: Case) -> None:
        ready.lab.cloud.faults.throttle("LookupEvents", after=1)
        lab, key = ready.lab, ready.keys[0]
        for _ in range(60):
            lab.open(key, b"junk", **CANARY)
        log = self.log(ready, key)
        assert not log.complete
        facts = facts_of(lab, ready.subject, key)
        found = refusals(ready.subject, facts[0], [log], ready.change, lab.io())
        assert any(item.reason is Reason.NOT_COVERED for item in found)
        found = refusals(ready.subject, facts, [], ready.change, lab.io())
        assert "was not read" in str(found)

    def test_a_drill_on_the_whole_key_needs_no_context(self, ready: Case) -> None:
        lab, key = ready.lab, ready.keys[0]
        lab.open(key, lab.seal(key))
        change = disable(DRILL, ready.subject, [key.arn], ready.canary, ready.change.deadline)
        assert self.ask(ready, change=change) == ()

    def test_who_else_uses_the_key(self, ready: Case) -> None:
        lab, key = ready.lab, ready.keys[0]
        lab.cloud.kms.call(lab.owner(), REGION, "Encrypt", KeyId=key.arn, Plaintext=b"x", EncryptionContext=OTHER)
        assert "also used by arn:aws:iam::111122223333:root" in self.words(ready)

    def test_the_state_of_the_key(self, ready: Case) -> None:
        lab, key = ready.lab, ready.keys[0]
        lab.cloud.kms.import_material(key, b"N" * 32, new=True, at=lab.now)
        assert "a rotation is pending" in self.words(ready)
        key.enabled = False
        assert "the key is Disabled" in self.words(ready)
        key.enabled = True
        (material,) = (item for item in key.ring.materials if item.state.permanent)
        key.imports[material.id] = replace(key.imports[material.id], expires=lab.now + timedelta(minutes=12))
        assert "expires before the drill is over" in self.words(ready)

    def test_a_forgotten_replica(self, lab: Lab, ready: Case, replica: LabKey) -> None:
        assert f"leaves out the key's replicas {replica.arn}" in self.words(ready)

    def test_the_policy(self, ready: Case) -> None:
        lab, key = ready.lab, ready.keys[0]
        other = case(lab, key, drill="another")
        Deny(lab.sleep).act(other.change, Deny(lab.sleep).look(other.change, lab.io()), lab.io())
        assert "of another drill that is still open" in self.words(ready)
        lab.now = other.change.deadline  # over: without effect, and no hindrance
        later = deny(DRILL, ready.subject, [key.arn], ready.canary, lab.now + timedelta(minutes=5))
        assert self.ask(ready, change=later) == ()
        document = policy()
        assert isinstance(document["Statement"], list)
        frozen = {**allow("Frozen", user("restore"), "Put*"), "Effect": "Deny"}
        document["Statement"].append(frozen)
        lab.cloud.kms.set_policy(key, document)  # type: ignore[arg-type]
        assert "statement Frozen, denies kms:PutKeyPolicy to the identity that restores" in self.words(
            ready, change=later
        )

    def test_our_clock(self, ready: Case) -> None:
        assert "clock-untrusted" not in self.words(ready, io=ready.lab.io(ahead=timedelta(seconds=4)))
        for ahead in (timedelta(seconds=8), timedelta(seconds=-8)):
            assert "clock-untrusted: this machine's clock differs" in self.words(ready, io=ready.lab.io(ahead=ahead))
        ready.lab.cloud.faults.skew = timedelta(minutes=20)
        found = refusals(ready.subject, (), [], ready.change, ready.lab.io())
        assert Reason.CLOCK_UNTRUSTED in {item.reason for item in found}

    def test_credentials_that_end_too_early(self, ready: Case) -> None:
        lab = ready.lab
        role = f"arn:aws:iam::{CUSTOMER}:role/restorer"
        root = f"arn:aws:iam::{CUSTOMER}:root"
        lab.cloud.directory.add_role(role, trusts=(root,))
        may: Document = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
        caller = replace(lab.owner(), policies=(may,))
        session = lab.cloud.directory.assume(caller, role, "person", None, lab.now, 3600)
        kept = lab.credentials["restore"]
        lab.credentials["restore"] = session.credentials  # type: ignore[union-attr]
        lab.write_config()
        assert "do not outlive the drill: they are a session whose end is not stated" in self.words(ready)

        def process(end: datetime) -> None:
            told = {"Version": 1, "AccessKeyId": kept.access_key_id, "SecretAccessKey": kept.secret}
            told |= {"SessionToken": "t" * 40, "Expiration": end.isoformat()}
            (lab.home / "told.json").write_text(json.dumps(told))
            lab.credentials.pop("restore", None)
            lab.write_config(f"[profile restore]\nservices = lab\ncredential_process = cat {lab.home}/told.json\n")

        soon, late = (datetime.now(UTC) + timedelta(minutes=n) for n in (20, 900))
        process(soon)
        there = {item.words for item in self.ask(ready) if "outlive" in item.words}
        assert not there or soon > ready.change.deadline  # judged by the end that the process states
        lab.now = datetime.now(UTC)
        hour = deny(DRILL, ready.subject, [ready.keys[0].arn], ready.canary, lab.now + timedelta(minutes=16))
        assert "do not outlive the drill: they end at" in self.words(ready, change=hour)
        process(late)
        assert "outlive" not in self.words(ready, change=hour)

    def test_identities_that_do_not_work(self, ready: Case) -> None:
        ready.lab.cloud.directory.remove(user("restore"))
        words = self.words(ready)
        assert "the identity for `restore` does not work" in words
        ready.lab.credentials.pop("control")
        ready.lab.write_config()
        assert "the identity for `control` does not work" in self.words(ready)


class TestDisable:
    def test_round_trip(self, lab: Lab, key: LabKey, replica: LabKey) -> None:
        plain = case(lab, key, replica)
        arns, ends = [key.arn, replica.arn], lab.now + timedelta(minutes=5)
        change = disable(DRILL, plain.subject, arns, plain.canary, ends, dead_man=lab.man)
        drill = replace(plain, change=change, mechanism=Disable(lab.sleep))
        sealed = lab.seal(key, **OTHER)
        before = drill.started()
        assert lab.open(replica, sealed, **OTHER) == "DisabledException"
        assert drill.mechanism.standing(change, before, lab.io()).where is Where.CHANGED
        for _ in range(2):
            Disable(lab.sleep).undo(change, before, lab.io())
        assert drill.mechanism.standing(change, before, lab.io()).where is Where.RESTORED
        assert lab.open(key, sealed, **OTHER) == "read"

    def test_undo_denied_is_found_when_rehearsed_and_a_foreign_state_is_left(self, lab: Lab, key: LabKey) -> None:
        plain = case(lab, key)
        ends = lab.now + timedelta(minutes=5)
        change = disable(DRILL, plain.subject, [key.arn], plain.canary, ends, dead_man=lab.man)
        mechanism = Disable(lab.sleep)
        before = mechanism.look(change, lab.io())
        lab.cloud.kms.set_policy(key, json.dumps(policy()).replace("kms:EnableKey", "kms:UpdateAlias"))
        with pytest.raises(ProbeError, match="EnableKey"):
            mechanism.rehearse(change, before, lab.io())
        lab.cloud.kms.call(lab.owner(), REGION, "ScheduleKeyDeletion", KeyId=key.arn, PendingWindowInDays=7)
        assert mechanism.standing(change, before, lab.io()).where is Where.FOREIGN

    def test_lag_and_throttling(self, lab: Lab, key: LabKey) -> None:
        lab.cloud.faults.lags.state = timedelta(seconds=1)
        plain = case(lab, key)
        ends = lab.now + timedelta(minutes=5)
        change = disable(DRILL, plain.subject, [key.arn], plain.canary, ends, dead_man=lab.man)
        before = replace(plain, change=change, mechanism=Disable(lab.sleep)).started()
        lab.sleep(1)
        lab.cloud.faults.throttle("EnableKey", times=4)
        Disable(lab.sleep).undo(change, before, lab.io())
        assert Disable(lab.sleep).standing(change, before, lab.io()).where is Where.CHANGED
        lab.sleep(1)
        assert Disable(lab.sleep).standing(change, before, lab.io()).where is Where.RESTORED


class TestGrant:
    def test_round_trip_makes_the_grant_once_again(self, lab: Lab, key: LabKey) -> None:
        asked: dict[str, object] = {
            "KeyId": key.arn,
            "GranteePrincipal": APP,
            "Operations": ["Decrypt", "GenerateDataKey"],
            "Constraints": {"EncryptionContextSubset": {"tenant": "acme"}},
            "Name": "crm",
        }
        made = lab.cloud.kms.call(lab.owner(), REGION, "CreateGrant", **asked)
        plain = case(lab, key)
        change = revoke_grant(
            DRILL, plain.subject, key.arn, str(made["GrantId"]), plain.canary, lab.now + timedelta(minutes=5)
        )
        drill = replace(plain, change=change, mechanism=RevokeGrant())
        before = drill.started()
        assert RevokeGrant().standing(change, before, lab.io()).where is Where.CHANGED
        for _ in range(2):
            RevokeGrant().undo(change, before, lab.io())
        (grant,) = (item for item in key.grants.values() if item.ended is None)
        assert (grant.id != made["GrantId"], grant.name, grant.view.context_subset) == (True, "crm", {"tenant": "acme"})
        standing = RevokeGrant().standing(change, before, lab.io())
        assert (standing.where, "another id" in standing.words) == (Where.RESTORED, True)
        lab.cloud.kms.call(lab.owner(), REGION, "CreateGrant", **{**asked, "Name": "twin"})
        again = revoke_grant(DRILL, plain.subject, key.arn, grant.id, plain.canary, lab.now + timedelta(minutes=5))
        with pytest.raises(ProbeError, match="other grants have the same terms"):
            RevokeGrant().rehearse(again, RevokeGrant().look(again, lab.io()), lab.io())


class TestMaterial:
    def test_round_trip_keeps_the_expiration(self, lab: Lab, key: LabKey) -> None:
        (material,) = key.ring.materials
        ends = lab.now + timedelta(days=30)
        key.imports[material.id] = replace(key.imports[material.id], expires=ends)
        (lab.home / "escrow.bin").write_bytes(MATERIAL)
        plain = case(lab, key)
        escrow = [Escrow(key=key.arn, local="escrow.bin")]
        until, arns = lab.now + timedelta(minutes=5), [key.arn]
        change = delete_material(DRILL, plain.subject, arns, material.id, escrow, plain.canary, until, dead_man=lab.man)
        drill = replace(plain, change=change, mechanism=DeleteMaterial(lab.sleep))
        before = drill.started()
        assert str(drill.sights()[0]) == "unavailable"
        assert DeleteMaterial(lab.sleep).standing(change, before, lab.io()).where is Where.CHANGED
        for _ in range(2):
            DeleteMaterial(lab.sleep).undo(change, before, lab.io())
        assert DeleteMaterial(lab.sleep).standing(change, before, lab.io()).where is Where.RESTORED
        assert key.imports[material.id].expires == ends

    def test_escrow_that_is_not_the_material_is_found_before(self, lab: Lab, key: LabKey) -> None:
        (material,) = key.ring.materials
        (lab.home / "escrow.bin").write_bytes(b"X" * 32)
        plain = case(lab, key)
        escrow = [Escrow(key=key.arn, local="escrow.bin")]
        until, arns = lab.now + timedelta(minutes=5), [key.arn]
        change = delete_material(DRILL, plain.subject, arns, material.id, escrow, plain.canary, until, dead_man=lab.man)
        mechanism = DeleteMaterial(lab.sleep)
        before = mechanism.look(change, lab.io())
        with pytest.raises(ProbeError, match="IncorrectKeyMaterial") as error:
            mechanism.rehearse(change, before, lab.io())
        assert "XXXX" not in str(error.value)
        assert lab.cloud.faults.calls["DeleteImportedKeyMaterial"] == 0
        assert "XXXX" not in change.model_dump_json()


def test_each_identity_needs_what_is_said_and_no_more(lab: Lab, key: LabKey) -> None:
    (lab.home / "escrow.bin").write_bytes(MATERIAL)
    (material,) = key.ring.materials
    made = lab.cloud.kms.call(
        lab.owner(), REGION, "CreateGrant", KeyId=key.arn, GranteePrincipal=APP, Operations=["Decrypt"]
    )
    plain = case(lab, key)
    subject, keys, until = plain.subject, [key.arn], lab.now + timedelta(minutes=9)
    escrow = [Escrow(key=key.arn, local="escrow.bin")]
    drills: list[tuple[Change, Mechanism]] = [
        (plain.change, Deny(lab.sleep)),
        (disable(DRILL, subject, keys, plain.canary, until, dead_man=lab.man, tagged=True), Disable(lab.sleep)),
        (revoke_grant(DRILL, subject, key.arn, str(made["GrantId"]), plain.canary, until, tagged=True), RevokeGrant()),
        (
            delete_material(
                DRILL, subject, keys, material.id, escrow, plain.canary, until, dead_man=lab.man, tagged=True
            ),
            DeleteMaterial(lab.sleep),
        ),
    ]
    for change, mechanism in drills:
        only = {**policy()}
        needs = NEEDS[change.kind]
        assert isinstance(only["Statement"], list)
        only["Statement"] = only["Statement"][:2] + [
            allow(role, user(role), *(action[4:] for action in needs[role] if action.startswith("kms:")))
            for role in ("inspect", "drill", "restore", "control")
        ]
        lab.cloud.kms.set_policy(key, only)  # type: ignore[arg-type]
        lab.cloud.ledger.forget_asked()
        drill = replace(case(lab, key), change=change, mechanism=mechanism)
        facts_of(lab, subject, key)
        recent(subject, plain.arn, timedelta(days=1), lab.io())
        before = drill.started()
        mechanism.undo(change, before, lab.io())
        assert mechanism.standing(change, before, lab.io()).where is Where.RESTORED
        drill.sights()
        asked = {role: set[str]() for role in PEOPLE}
        for principal, action in lab.cloud.ledger.asked():
            if (role := principal.rpartition("/")[2]) in asked:
                asked[role].add(action)
        asked = {role: actions - {"sts:GetCallerIdentity"} for role, actions in asked.items()}
        assert asked == {role: set(actions) for role, actions in needs.items()}, change.kind
