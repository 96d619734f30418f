"""A key with imported material in the lab's AWS, who rotates it, and a vendor that uses it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import MaterialState, Origin
from keycheck.lab.aws.seams import Caller, Document
from keycheck.model.authorization import Technique
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.drill import Wish
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.resolve import system_resolver
from probes.keys.drill.rotate_needs import ROTATE_NEEDS
from probes.keys.drill.rotating import Order
from probes.keys.subjects import Agreed, CanaryPaths, Escrow, Key, KeyDrill, KeyModel, OnKeyLoss, Roles

CUSTOMER, VENDOR = "111122223333", "444455556666"
REGION, SECOND = "eu-central-1", "eu-west-3"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
APP = f"arn:aws:iam::{VENDOR}:role/crm-app"
PEOPLE = ("inspect", "log", "drill", "control", "restore")
CONTEXT = (("tenant", "keycheck-acme"), ("record", "keycheck-7f3a"))
OLD, CURRENT = b"O" * 32, b"C" * 32
NEEDS = ROTATE_NEEDS["aws-rotate"]


def user(role: str) -> str:
    return f"arn:aws:iam::{CUSTOMER}:user/{role}"


def allow(principal: str, *actions: str, **condition: object) -> dict[str, object]:
    made: dict[str, object] = {"Effect": "Allow", "Principal": {"AWS": principal}, "Resource": "*"}
    made["Action"] = [action if action.startswith("kms:") else f"kms:{action}" for action in actions]
    return {**made, **({"Condition": condition} if condition else {})}


def policy(without: str = "") -> dict[str, object]:
    """Each identity may do exactly what `ROTATE_NEEDS` says."""
    only = {"kms:EncryptionContext:tenant": "keycheck-*"}
    given = {role: [action for action in NEEDS[role] if action != without] for role in NEEDS if role != "log"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow(f"arn:aws:iam::{CUSTOMER}:root", "*"),
            allow(APP, "Encrypt", "Decrypt", "GenerateDataKey*"),
            *(allow(user(role), *given[role]) for role in ("inspect", "drill", "restore") if given[role]),
            allow(user("control"), *given["control"], StringLike=only),
        ],
    }


@dataclass
class Stage:
    cloud: AwsCloud
    home: Path
    loader: object
    now: datetime = NOON
    waits: list[float] = field(default_factory=list)
    other: LabKey | None = None
    """The subject's own key, where a canary's is rotated."""

    @property
    def workdir(self) -> Path:
        made = self.home / "drill"
        made.mkdir(exist_ok=True)
        return made

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)

    def io(self, monotonic: Callable[[], float] = time.monotonic) -> Io:
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
            monotonic=monotonic,
            identities=tuple(AwsIdentity(id=role, provider="aws", profile=role) for role in PEOPLE),
        )

    def owner(self) -> Caller:
        root = f"arn:aws:iam::{CUSTOMER}:root"
        return Caller(CUSTOMER, root, root, "AKIAROOTROOTROOTROOT")

    def do(self, operation: str, key: LabKey, **parameters: object) -> dict[str, object]:
        return dict(self.cloud.kms.call(self.owner(), key.region, operation, KeyId=key.arn, **parameters))

    def key(self, *, origin: Origin = Origin.EXTERNAL, spread: bool = False) -> LabKey:
        """Imported: with an old material and a current one; `spread`: with a replica."""
        made = self.cloud.kms.create(
            CUSTOMER,
            REGION,
            origin=origin,
            material=OLD if origin is Origin.EXTERNAL else None,
            multi_region=spread,
            created=NOON - timedelta(days=99),
        )
        self.cloud.kms.set_policy(made, policy())  # type: ignore[arg-type]
        if spread:
            self.do("ReplicateKey", made, ReplicaRegion=SECOND, Policy=json.dumps(policy()))
            self.cloud.kms.import_material(self.replica(made), OLD)
        if origin is Origin.EXTERNAL:
            self.cloud.kms.import_material(made, CURRENT, new=True)
            if spread:
                self.cloud.kms.import_material(self.replica(made), CURRENT)
            self.do("RotateKeyOnDemand", made)
        self.now += timedelta(minutes=1)
        return made

    def replica(self, key: LabKey) -> LabKey:
        return self.cloud.kms.find(key.arn.replace(REGION, SECOND))

    def escrow(self, key: LabKey) -> tuple[Escrow, ...]:
        """Of both materials, as plain files."""
        declared = []
        for name, octets in (("old", OLD), ("current", CURRENT)):
            (self.home / f"{name}.bin").write_bytes(octets)
            declared.append(Escrow(material=self.ids(key)[len(declared)], local=f"{name}.bin"))
        return tuple(declared)

    def ids(self, key: LabKey, *states: MaterialState) -> list[str]:
        return [each.id for each in key.ring.materials if not states or each.state in states]

    def current(self, key: LabKey) -> str:
        (found,) = self.ids(key, MaterialState.CURRENT)
        return found

    def octets(self, key: LabKey) -> bytes:
        """The current material itself."""
        assert key.ring.current is not None
        secret = key.ring.current.secret
        assert isinstance(secret, bytes)
        return secret

    def vendor_writes(self, key: LabKey) -> bytes:
        may: Document = {"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        caller = Caller(VENDOR, f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/i-1", APP, "ASIAAPPAPPAPPAPPAPPA", (may,))
        given = self.cloud.kms.call(
            caller, key.region, "GenerateDataKey", KeyId=key.arn, KeySpec="AES_256", EncryptionContext=dict(CONTEXT)
        )
        sealed = given["CiphertextBlob"]
        assert isinstance(sealed, bytes)
        return sealed

    def order(
        self, key: LabKey, technique: Technique = Technique.ROTATE_CANARY, wish: Wish | None = None, **plan: object
    ) -> Order:
        """ROTATE_CANARY: `key` is the canary's; ROTATE_KEY: it is the subject's own."""
        canary = technique is Technique.ROTATE_CANARY
        self.other = self.other or self.key()
        drill = KeyDrill.model_validate(
            {
                "context": CONTEXT,
                "canary_key": key.arn if canary else None,
                "canary_declared": canary,
                "planted": NOON,
                "paths": CanaryPaths(),
                **plan,
            }
        )
        subject = Key(
            id="contacts",
            provider="aws",
            resource=self.other.arn if canary else key.arn,
            model=KeyModel.DIRECT_KMS,
            on_key_loss=OnKeyLoss.WITHHELD,
            identities=Roles(inspect="inspect", log="log", drill="drill", control="control", restore="restore"),
            agreed=Agreed(owner=CUSTOMER, vendor=(APP,)),
            drill=drill,
        )
        asked = wish or Wish(technique=technique, typed=subject.resource, confirmed=True)
        deadline = self.now + timedelta(minutes=10)
        return Order("kc-1", subject, drill, deadline, technique, asked, self.workdir)


@contextmanager
def staged(home: Path, loader: object) -> Iterator[Stage]:
    """The environment must point AWS_CONFIG_FILE at `home/config`."""
    stage: Stage
    with AwsCloud(clock=lambda: stage.now) as cloud:
        stage = Stage(cloud, home, loader)
        looks: Document = {"Statement": [{"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}]}
        lines = ["[services lab]\n"]
        lines += [f"{name} =\n  endpoint_url = {cloud.url}\n" for name in ("kms", "sts", "cloudtrail")]
        for role in PEOPLE:
            given = cloud.directory.add_user(user(role), policies=[looks] if role == "log" else [])
            lines.append(
                f"[profile {role}]\nservices = lab\naws_access_key_id = {given.access_key_id}\n"
                f"aws_secret_access_key = {given.secret}\n"
            )
        (home / "config").write_text("".join(lines))
        yield stage
