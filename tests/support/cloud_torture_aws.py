"""The lab's AWS, to torture drills on: one key a drill, or one in two Regions."""

from __future__ import annotations

import base64
import itertools
import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloud_torture_gate import Fault, FaultError, Gate, Weather, Wire
from cloud_torture_stage import NEVER_ENDS, Scenario, Stage, Stand, scratch
from dead_men import aws_dead_man, may, own_policy

from keycheck.drill.kit import Kit, load
from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.identity import Credentials, Directory, Session
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.aws.seams import Caller, Document
from keycheck.lab.aws.wire import Answer, Request, Reset
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.drill import Change
from keycheck.model.once import Once
from keycheck.model.probe import Io
from probes.clouds.aws.arns import kms_arn
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_deny import deny
from probes.keys.drill.aws_disable import disable
from probes.keys.drill.aws_grant import revoke_grant
from probes.keys.drill.aws_material import Escrow, delete_material
from probes.keys.drill.aws_needs import NEEDS
from probes.keys.drill.canary import Canary, plant
from probes.keys.subjects import Agreed, DeadMan, Key, KeyModel, OnKeyLoss, Roles

CUSTOMER, VENDOR = "111122223333", "444455556666"
REGION, SECOND = "eu-central-1", "eu-west-3"
ROOT = f"arn:aws:iam::{CUSTOMER}:root"
APP = f"arn:aws:iam::{VENDOR}:role/crm-app"
CONTROL = f"arn:aws:iam::{CUSTOMER}:user/control"
LOG = f"arn:aws:iam::{CUSTOMER}:user/log"
RESTORE = f"arn:aws:iam::{CUSTOMER}:user/restore"
DRILLER = f"arn:aws:iam::{CUSTOMER}:role/driller"
RESTORER = f"arn:aws:iam::{CUSTOMER}:role/restorer"
PAIRS = (("tenant", "acme"), ("record", "c-canary-7f3a"))
CONTEXT = dict(PAIRS)
MATERIAL = b"M" * 32
SERVICES = ("kms", "sts", "cloudtrail", "scheduler")
ACTS = ("DescribeKey", "GetKeyPolicy", "ListGrants", "ListKeyRotations")
DRILLS = (*ACTS, "PutKeyPolicy", "EnableKey", "DisableKey", "RevokeGrant", "DeleteImportedKeyMaterial")
RESTORES = (
    *ACTS, "PutKeyPolicy", "EnableKey", "CreateGrant", "GetParametersForImport", "ImportKeyMaterial",
)  # fmt: skip


def utc_now() -> datetime:
    return datetime.now(UTC)


class Brief(Directory):
    """Sessions of some roles last two seconds, so that they end half way and are renewed."""

    brief: tuple[str, ...] = (RESTORER,)

    def _open(self, role: object, name: str, expires: datetime) -> Session:
        made = super()._open(role, name, expires)  # type: ignore[arg-type]
        if role.caller.arn not in self.brief:  # type: ignore[attr-defined]
            return made
        # The SDK is told a whole second; the cloud ends it then.
        ends = (utc_now() + timedelta(seconds=3)).replace(microsecond=0)
        key = made.credentials.access_key_id
        self._keys[key] = replace(self._keys[key], expires=ends)
        return replace(made, expires=ends)

    def end(self, access_key_id: str) -> None:
        """This session is over."""
        self._keys[access_key_id] = replace(self._keys[access_key_id], expires=utc_now() - timedelta(seconds=1))


class GatedAws(AwsCloud):
    """Every call passes the gate."""

    def __init__(self, gate: Gate, directory: Directory) -> None:
        self._gate = gate
        super().__init__(clock=utc_now, directory=directory)

    def _answer(self, request: Request) -> Answer | Reset:
        answer = super()._answer
        try:
            return self._gate.around(lambda: answer(request))
        except FaultError as error:
            match error.fault:
                case Fault.LOST:
                    return Reset()
                case Fault.INTERNAL:
                    return _refused("KMSInternalException", 500)
                case Fault.THROTTLED:
                    return _refused("ThrottlingException", 400)


def _refused(code: str, status: int) -> Answer:
    body = json.dumps({"__type": code, "message": "made to fail"}).encode()
    return Answer(status, body, headers={"x-amzn-ErrorType": code})  # where REST says it


class AwsStand(Stand):
    """One port, many keys."""

    def __init__(self, home: Path) -> None:
        self.home = scratch(home)
        self.gate = Gate()
        self.directory = Brief()
        self.cloud = GatedAws(self.gate, self.directory).start()
        self.wires = (Wire(int(self.cloud.url.rpartition(":")[2])),)
        plans = tuple(own_policy(kind, "restore") for kind in NEVER_ENDS if kind in NEEDS)
        reads = (may("cloudtrail:LookupEvents"),)
        self.control = self.directory.add_user(CONTROL)
        self.log = self.directory.add_user(LOG, policies=reads)
        self.restore = self.directory.add_user(RESTORE, policies=plans)
        self.directory.add_role(DRILLER, trusts=(ROOT,))
        self.directory.add_role(RESTORER, trusts=(RESTORE,), policies=plans)
        self.dead_man = aws_dead_man(self.cloud, CUSTOMER)
        everything = (may("*"),)
        self.owner = Caller(CUSTOMER, ROOT, ROOT, "AKIAROOTROOTROOTROOT", everything)
        self.app = Caller(
            VENDOR, f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/i-1", APP, "ASIAAPPAPPAPPAPPAPPA", everything
        )
        (self.home / "escrow.bin").write_bytes(MATERIAL)
        from botocore.loaders import create_loader

        self._loader = create_loader()
        self._numbers = itertools.count()
        self._planting = self._io(self._identities(self._config(self._session(), wired=False), brief=False))

    def close(self) -> None:
        self.wires[0].close()
        self.cloud.close()

    def load(self, kit: Kit, environment: object) -> Io:
        io = load(kit, {})
        io.once.get(("aws", "loader"), lambda: self._loader)
        return io

    def stage(self, scenario: Scenario, drill: str, deadline: datetime) -> AwsStage:
        self.cloud.faults.clear()
        session = self._session()
        config = self._config(session, wired=scenario.wired)
        identities = self._identities(config, brief=scenario.weather is Weather.SESSIONS)
        by_grant = scenario.kind == "aws-revoke-grant"
        keys = self._keys(scenario, _policy(app=not by_grant))
        grant = self._grant(keys[0]) if by_grant else ""
        arn = kms_arn(keys[0].arn)
        canary = plant(hand(self._planting, "control", arn), arn, PAIRS, planted=utc_now(), entropy=os.urandom)
        roles = Roles(inspect="control", log="log", drill="drill", control="control", restore="restore")
        subject = Key(
            id="contacts", provider="aws", resource=keys[0].arn, model=KeyModel.DIRECT_KMS,
            on_key_loss=OnKeyLoss.WITHHELD, identities=roles, agreed=Agreed(owner=CUSTOMER, vendor=(APP,)),
        )  # fmt: skip
        change = _change(scenario.kind, drill, subject, keys, canary, grant, deadline, self.dead_man)
        kit = Kit(
            deployment="torture", file=str(self.home / "deployment.yaml"), subject="keys/contacts", vantage=HERE,
            identities=identities, budget_s=30,
        )  # fmt: skip
        sealed = self.cloud.kms.call(
            self.app, keys[0].region, "GenerateDataKey", KeyId=keys[0].arn, KeySpec="AES_256",
            EncryptionContext=CONTEXT,
        )["CiphertextBlob"]  # fmt: skip
        lags = self.cloud.faults.lags
        lags.state = lags.policy = lags.grants = scenario.lag
        made = AwsStage(self, change, kit, keys, canary, sealed, session, ())
        made.before = made.world()
        return made

    def _keys(self, scenario: Scenario, policy: Document) -> tuple[LabKey, ...]:
        kms, many = self.cloud.kms, scenario.regions > 1
        brought = scenario.kind == "aws-delete-material"
        made = {"origin": Origin.EXTERNAL, "material": MATERIAL} if brought else {}
        key = kms.create(CUSTOMER, REGION, multi_region=many, **made)  # type: ignore[arg-type]
        kms.set_policy(key, policy)
        if not many:
            return (key,)
        kms.call(self.owner, REGION, "ReplicateKey", KeyId=key.arn, ReplicaRegion=SECOND, Policy=json.dumps(policy))
        replica = kms.find(key.arn.replace(REGION, SECOND))
        if brought:
            kms.import_material(replica, MATERIAL)
        return (key, replica)

    def _grant(self, key: LabKey) -> str:
        made = self.cloud.kms.call(
            self.owner, key.region, "CreateGrant", KeyId=key.arn, GranteePrincipal=APP, Name="crm",
            Operations=["Decrypt", "GenerateDataKey"], Constraints={"EncryptionContextSubset": {"tenant": "acme"}},
        )  # fmt: skip
        return str(made["GrantId"])

    def _session(self) -> Credentials:
        made = self.directory.assume(self.owner, DRILLER, "person", None, utc_now(), 3600)
        if not isinstance(made, Session):
            raise RuntimeError(made.message)
        return made.credentials

    def _config(self, session: Credentials, *, wired: bool) -> str:
        url = f"http://127.0.0.1:{self.wires[0].port}" if wired else self.cloud.url
        lines = ["[services lab]\n", *(f"{name} =\n  endpoint_url = {url}\n" for name in SERVICES)]
        for role, given in {
            "control": self.control,
            "log": self.log,
            "restore": self.restore,
            "drill": session,
        }.items():
            token = f"aws_session_token = {given.session_token}\n" if given.session_token else ""
            keys = f"aws_access_key_id = {given.access_key_id}\naws_secret_access_key = {given.secret}\n{token}"
            lines.append(f"[profile {role}]\nservices = lab\n{keys}")
        name = f"config-{next(self._numbers)}"
        (self.home / name).write_text("".join(lines))
        return name

    def _identities(self, config: str, *, brief: bool) -> tuple[AwsIdentity, ...]:
        return tuple(
            AwsIdentity(
                id=role, provider="aws", config_file=config, profile=role,
                role_arn=RESTORER if brief and role == "restore" else None,
            )
            for role in ("control", "log", "restore", "drill")
        )  # fmt: skip

    def _io(self, identities: tuple[AwsIdentity, ...]) -> Io:
        kit = Kit(
            deployment="torture", file=str(self.home / "deployment.yaml"), subject="keys/contacts", vantage=HERE,
            identities=identities,
        )  # fmt: skip
        return replace(self.load(kit, {}), once=self._once())

    def _once(self) -> Once:
        once = Once()
        once.get(("aws", "loader"), lambda: self._loader)
        return once


@dataclass
class AwsStage(Stage):
    """A key, in one Region or two."""

    stand: AwsStand
    change: Change
    kit: Kit
    keys: tuple[LabKey, ...]
    canary: Canary
    sealed: object
    session: Credentials
    before: object

    def world(self) -> object:
        now = utc_now()
        return [
            {
                "policy": json.loads(key.policies.value["default"]),
                "state": str(key.state(now)),
                "imports": sorted((id_, str(each.expires)) for id_, each in key.imports.items()),
                "materials": [(each.id, str(each.state)) for each in key.ring.materials],
                "tags": sorted(key.tags.items()),
                "grants": sorted(
                    repr((each.name, each.retiring, sorted(each.operations), each.view))
                    for each in key.grants.values()
                    if each.ended is None
                ),
            }
            for key in self.keys
        ]

    def differs(self) -> str:
        now = self.world()
        return "" if now == self.before else f"was {self.before}, is {now}"

    def blind(self) -> str:
        control = Caller(CUSTOMER, CONTROL, CONTROL, self.stand.control.access_key_id)
        looks = {
            "control": (control, base64.b64decode(self.canary.ciphertext)),
            "vendor": (self.stand.app, self.sealed),
        }
        for key in self.keys:
            for who, (caller, sealed) in looks.items():
                try:
                    self.stand.cloud.kms.call(
                        caller, key.region, "Decrypt", KeyId=key.arn, CiphertextBlob=sealed, EncryptionContext=CONTEXT
                    )
                except KmsError as error:
                    return f"{who} in {key.region}: {error.code}"
        return ""

    def left(self) -> str:
        mine = f"keycheck-{self.change.drill}-"
        return ", ".join(name for name in self.stand.cloud.scheduler.names() if mine in name)

    def end_session(self) -> None:
        self.stand.directory.end(self.session.access_key_id)


def _policy(*, app: bool) -> Document:
    def allow(sid: str, who: str | list[str], actions: tuple[str, ...]) -> Document:
        named = [f"kms:{action}" for action in actions]
        return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": who}, "Action": named, "Resource": "*"}

    said = [allow("Owner", ROOT, ("*",))]
    said += [allow("App", APP, ("Encrypt", "Decrypt", "GenerateDataKey*"))] if app else []
    said += [allow("Drill", DRILLER, DRILLS), allow("Restore", [RESTORE, RESTORER], RESTORES)]
    said += [allow("Control", CONTROL, ("Decrypt", "Encrypt"))]
    return {"Version": "2012-10-17", "Statement": said}


def _change(
    kind: str,
    drill: str,
    subject: Key,
    keys: tuple[LabKey, ...],
    canary: Canary,
    grant: str,
    deadline: datetime,
    dead_man: DeadMan,
) -> Change:
    arns = [key.arn for key in keys]
    match kind:
        case "aws-deny":
            return deny(drill, subject, arns, canary, deadline)
        case "aws-disable":
            return disable(drill, subject, arns, canary, deadline, dead_man=dead_man)
        case "aws-revoke-grant":
            return revoke_grant(drill, subject, arns[0], grant, canary, deadline)
        case "aws-delete-material":
            (material,) = keys[0].ring.materials
            escrow = [Escrow(key=arn, local="escrow.bin") for arn in arns]
            return delete_material(drill, subject, arns, material.id, escrow, canary, deadline, dead_man=dead_man)
        case _:
            raise ValueError(f"no mechanism {kind}")
