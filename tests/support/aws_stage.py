"""A key in the lab's AWS, who drills on it, and a vendor that uses it. A clock that a test turns."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.identity import Credentials
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.aws.seams import Caller, Document
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.resolve import system_resolver
from probes.clouds.aws.arns import kms_arn
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.canary import Canary, plant
from probes.keys.subjects import Agreed, CanaryPaths, Key, KeyDrill, KeyModel, OnKeyLoss, Roles

OWNER, VENDOR = "111122223333", "444455556666"
REGION, SECOND = "eu-central-1", "eu-west-3"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
APP = f"arn:aws:iam::{VENDOR}:role/crm-app"
PEOPLE = ("inspect", "log", "drill", "control", "restore")
PAIRS = (("tenant", "acme"), ("record", "c-canary-7f3a"))
MATERIAL = b"M" * 32
USES = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")


def user(role: str) -> str:
    return f"arn:aws:iam::{OWNER}:user/{role}"


def allow(sid: str, principal: str, actions: Iterable[str], **condition: object) -> dict[str, Any]:
    made: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": principal}, "Resource": "*"}
    return {**made, "Action": list(actions), **({"Condition": condition} if condition else {})}


def statements(needs: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """A key policy in which each role may do what it needs, and no more."""
    theirs = [allow("Owner", f"arn:aws:iam::{OWNER}:role/owner", ["kms:PutKeyPolicy"]), allow("App", APP, USES)]
    ours = [
        allow(role.title(), user(role), found)
        for role, actions in needs.items()
        if (found := [action for action in actions if action.startswith("kms:")])
    ]
    return [*theirs, *ours]


@dataclass
class AwsStage:
    cloud: AwsCloud
    home: Path
    loader: object
    credentials: dict[str, Credentials] = field(default_factory=dict)
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
            identities=self.identities,
        )

    @property
    def identities(self) -> tuple[AwsIdentity, ...]:
        return tuple(AwsIdentity(id=role, provider="aws", profile=role) for role in PEOPLE)

    def key(self, needs: Mapping[str, Iterable[str]], *, multi_region: bool = False) -> LabKey:
        made = self.cloud.kms.create(
            OWNER,
            REGION,
            origin=Origin.EXTERNAL,
            material=MATERIAL,
            multi_region=multi_region,
            created=NOON - timedelta(days=99),
        )
        self.allow(made, needs)
        return made

    def allow(self, key: LabKey, needs: Mapping[str, Iterable[str]]) -> None:
        """The key policy says what `needs` says, besides what it says of the owner and the vendor."""
        self.put(key, statements(needs))

    def put(self, key: LabKey, listed: list[dict[str, Any]]) -> None:
        self.cloud.kms.set_policy(key, {"Version": "2012-10-17", "Statement": listed})

    def policy(self, key: LabKey) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(key.policies.value["default"])
        return found

    def sids(self, key: LabKey) -> list[str]:
        return [item["Sid"] for item in self.policy(key)["Statement"]]

    def vendor(self) -> Caller:
        may: Document = {"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        return Caller(VENDOR, f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/i-1", APP, "ASIAAPPAPPAPPAPPAPPA", (may,))

    def vendor_reads(self, key: LabKey) -> bool:
        """Whether the vendor can use the key for the canary's record now."""
        try:
            self.cloud.kms.call(
                self.vendor(), key.region, "Encrypt", KeyId=key.arn, Plaintext=b"x", EncryptionContext=dict(PAIRS)
            )
        except KmsError:
            return False
        return True

    def subject(self, key: LabKey, **changed: object) -> Key:
        plain = Key(
            id="contacts",
            provider="aws",
            resource=key.arn,
            model=KeyModel.DIRECT_KMS,
            on_key_loss=OnKeyLoss.WITHHELD,
            identities=Roles(**{role: role for role in PEOPLE}),
            agreed=Agreed(owner=OWNER, vendor=(APP,), users=tuple(map(user, PEOPLE))),
            drill=KeyDrill(context=PAIRS, planted=NOON, paths=CanaryPaths()),
        )
        return plain.model_copy(update=changed)

    def canary(self, key: LabKey) -> Canary:
        arn = kms_arn(key.arn)
        who = hand(self.io(), "control", arn)
        return plant(who, arn, PAIRS, planted=self.now, entropy=os.urandom)


@contextmanager
def staged_aws(home: Path) -> Iterator[AwsStage]:
    """A cloud with five people and no key. The caller clears `AWS_*` from the environment: see `plain_environment`."""
    from botocore.loaders import create_loader

    stage: AwsStage
    with AwsCloud(clock=lambda: stage.now) as cloud:
        stage = AwsStage(cloud, home, create_loader())
        looks: Document = {"Statement": [{"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}]}
        cloud.directory.add_role(f"arn:aws:iam::{OWNER}:role/owner", trusts=(), policies=())
        lines = ["[services lab]\n"]
        lines += [f"{name} =\n  endpoint_url = {cloud.url}\n" for name in ("kms", "sts", "cloudtrail", "scheduler")]
        for role in PEOPLE:
            given = cloud.directory.add_user(user(role), policies=[looks] if role == "log" else [])
            stage.credentials[role] = given
            keys = f"aws_access_key_id = {given.access_key_id}\naws_secret_access_key = {given.secret}\n"
            lines.append(f"[profile {role}]\nservices = lab\n{keys}")
        (home / "config").write_text("".join(lines))
        yield stage


def plain_environment(home: Path) -> dict[str, str]:
    """The process's environment, with AWS's own names pointing at the stage."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name.lower() not in ("http_proxy", "https_proxy", "all_proxy")
    }
    return {
        **kept,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
    }
