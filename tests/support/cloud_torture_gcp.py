"""The lab's Google Cloud, to torture drills on: one CryptoKey for canaries a drill."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cloud_torture_gate import Fault, FaultError, Gate, Wire
from cloud_torture_stage import Scenario, Stage, Stand, scratch
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

from keycheck.drill.kit import Kit, load
from keycheck.lab.gcp.calls import Call
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.errors import ApiError, unauthenticated
from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.drill import Change
from keycheck.model.probe import Io
from probes.keys.drill.gcp_binding import binding
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_canary import GcpCanary, plant
from probes.keys.drill.gcp_dead_man import ACTOR_NEEDS
from probes.keys.drill.gcp_dead_man import NEEDS as DEAD_MAN_NEEDS
from probes.keys.drill.gcp_disable import disable
from probes.keys.drill.gcp_preflight import ABOVE, NEEDS
from probes.keys.subjects import Agreed, DeadMan, Key, KeyModel, OnKeyLoss, Roles

USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
VENDOR = "serviceAccount:app@vendor.iam.gserviceaccount.com"
ACCOUNTS = {role: f"{role}@acme.iam.gserviceaccount.com" for role in ("drill", "restore", "control")}
DEAD_MAN = "key-dead-man@acme.iam.gserviceaccount.com"
RING = "projects/acme/locations/europe-west3/keyRings/crm"

LOOK = ("x-torture-look", "1")
"""Metadata of calls that are the torture's own, and pass no gate."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class GcpStand(Stand):
    """One port, many keys."""

    def __init__(self, home: Path) -> None:
        self.home = scratch(home)
        self.gate = Gate()
        self.ended: set[str] = set()
        """Principals whose tokens are not taken any more."""
        self.cloud = GcpCloud(clock=utc_now)
        self._gated()
        self.cloud.start()
        addresses = (self.cloud.address, self.cloud.rest_address)
        self.wires = tuple(Wire(int(address.rpartition(":")[2])) for address in addresses)
        self.organization = self.cloud.directory.organization("acme.example")
        folder = self.cloud.directory.folder(self.organization, "keys")
        self.cloud.directory.project("acme", folder)
        self.cloud.iam.role(f"{self.organization}/roles/above", ABOVE)
        self.cloud.iam.bind(
            self.organization, f"{self.organization}/roles/above", f"serviceAccount:{ACCOUNTS['drill']}"
        )
        self._plan_jobs()
        self.files = {role: self.cloud.service_account(account, self.home).name for role, account in ACCOUNTS.items()}
        self._numbers = itertools.count()
        self._planting = self.load(self._kit(wired=False), {})
        self.clients = {who: self._client(who) for who in (VENDOR, f"serviceAccount:{ACCOUNTS['control']}")}

    def _plan_jobs(self) -> None:
        """Who restores may plan jobs that run as the dead-man."""
        iam, keeper = self.cloud.iam, f"serviceAccount:{ACCOUNTS['restore']}"
        iam.role("projects/acme/roles/deadMan", ACTOR_NEEDS)
        parts = {"projects/acme": "cloudsch", f"projects/acme/serviceAccounts/{DEAD_MAN}": "iam."}
        for number, (resource, start) in enumerate(parts.items()):
            role = f"projects/acme/roles/plansJobs{number}"
            iam.role(role, [each for each in DEAD_MAN_NEEDS if each.startswith(start)])
            iam.bind(resource, role, keeper)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()
        self.cloud.close()

    def load(self, kit: Kit, environment: object) -> Io:
        return load(kit, {})

    def stage(self, scenario: Scenario, drill: str, deadline: datetime) -> GcpStage:
        self.cloud.faults.clear()
        self.ended.clear()
        key = f"{RING}/cryptoKeys/crm-keycheck-canary-{next(self._numbers)}"
        self.cloud.kms.seed_key(key)
        for role in ("drill", "restore"):
            custom = f"{self.organization}/roles/{role}-{scenario.kind}"
            self.cloud.iam.role(custom, NEEDS[scenario.kind][role])
            self.cloud.iam.bind(key, custom, f"serviceAccount:{ACCOUNTS[role]}")
        self.cloud.iam.bind(key, "projects/acme/roles/deadMan", f"serviceAccount:{DEAD_MAN}")
        self.cloud.iam.bind(key, USE, VENDOR, f"serviceAccount:{ACCOUNTS['control']}")
        canary = plant(hand(self._planting, "control"), key, planted=utc_now(), entropy=os.urandom)
        subject = Key(
            id="byok", provider="gcp", resource=f"{RING}/cryptoKeys/byok", model=KeyModel.DIRECT_KMS,
            on_key_loss=OnKeyLoss.WITHHELD, identities=Roles(drill="drill", restore="restore", control="control"),
            agreed=Agreed(vendor=(VENDOR,)),
        )  # fmt: skip
        change = _change(scenario.kind, drill, subject, key, canary, deadline)
        faults = self.cloud.faults
        faults.iam_lag = faults.disable_lag = scenario.lag
        made = GcpStage(self, change, self._kit(wired=scenario.wired), key, canary)
        made.before = made.world()
        return made

    def _kit(self, *, wired: bool) -> Kit:
        address, rest = (
            (f"127.0.0.1:{wire.port}" for wire in self.wires)
            if wired
            else (self.cloud.address, self.cloud.rest_address)
        )
        identities = tuple(
            GcpIdentity(
                id=role, provider="gcp", credentials=f"file:{file}", api_endpoint=address,
                resource_manager_endpoint=address, scheduler_endpoint=rest, unsafe_plaintext_to_loopback=True,
            )
            for role, file in self.files.items()
        )  # fmt: skip
        return Kit(
            deployment="torture", file=str(self.home / "deployment.yaml"), subject="keys/byok", vantage=HERE,
            identities=identities, budget_s=30,
        )  # fmt: skip

    def _client(self, who: str) -> KeyManagementServiceClient:
        channel = self.cloud.channel(who, (LOOK,))
        return KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))

    def _gated(self) -> None:
        front, gate = self.cloud._front, self.gate
        answer = front._answer

        def gated(path: str, decode: object, handler: object, data: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            if LOOK[0] in metadata:
                return answer(path, decode, handler, data, context)  # type: ignore[arg-type]

            def work() -> bytes:
                if self.ended and self.cloud._tokens.principal(metadata.get("authorization")) in self.ended:
                    raise unauthenticated("ACCESS_TOKEN_EXPIRED")
                return answer(path, decode, handler, data, context)  # type: ignore[arg-type]

            try:
                return gate.around(work)
            except FaultError as error:
                raise ApiError(_CODES[error.fault], "made to fail") from None

        rest = front.rest

        def gated_rest(path: str, headers: Mapping[str, str], handle: Callable[[Call], object]) -> object:
            if self.cloud._tokens.principal(headers.get("authorization")) == f"serviceAccount:{DEAD_MAN}":
                return rest(path, headers, handle)  # a job's, and not the drill's
            try:
                return gate.around(lambda: rest(path, headers, handle))
            except FaultError as error:
                raise ApiError(_CODES[error.fault], "made to fail") from None

        front._answer, front.rest = gated, gated_rest  # type: ignore[method-assign]


_CODES = {
    Fault.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Fault.INTERNAL: grpc.StatusCode.INTERNAL,
    Fault.LOST: grpc.StatusCode.UNAVAILABLE,
}


@dataclass
class GcpStage(Stage):
    """A canary's CryptoKey."""

    stand: GcpStand
    change: Change
    kit: Kit
    key: str
    canary: GcpCanary
    before: object = field(default=None)

    def world(self) -> object:
        policy = self.stand.cloud.iam.policy(self.key)
        versions = self.stand.cloud.kms.store.keys[self.key].versions
        grants = {
            (grant.role, member, grant.condition and (grant.condition.title, grant.condition.expression))
            for grant in policy.grants
            for member in grant.members
        }
        return (
            sorted(map(repr, grants)),
            sorted(map(repr, policy.audits)),
            [(number, str(version.state)) for number, version in sorted(versions.items())],
        )

    def differs(self) -> str:
        now = self.world()
        return "" if now == self.before else f"was {self.before}, is {now}"

    def blind(self) -> str:
        request = {
            "name": self.key,
            "ciphertext": base64.b64decode(self.canary.ciphertext),
            "additional_authenticated_data": self.canary.authenticated.encode(),
        }
        for who, client in self.stand.clients.items():
            try:
                client.decrypt(request=request, retry=None, timeout=5)
            except GoogleAPICallError as error:
                return f"{who}: {type(error).__name__}"
        return ""

    def left(self) -> str:
        mine = f"keycheck-{self.change.drill}-"
        return ", ".join(name for name in self.stand.cloud.scheduler.names() if mine in name)

    def end_session(self) -> None:
        self.stand.ended.add(f"serviceAccount:{ACCOUNTS['drill']}")


def _change(kind: str, drill: str, subject: Key, key: str, canary: GcpCanary, deadline: datetime) -> Change:
    match kind:
        case "gcp-binding":
            return binding(drill, subject, key, canary, deadline)
        case "gcp-disable":
            return disable(
                drill, subject, key, ("1",), canary, deadline, dead_man=DeadMan(actor=f"serviceAccount:{DEAD_MAN}")
            )
        case _:
            raise ValueError(f"no mechanism {kind}")
