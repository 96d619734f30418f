"""A canary's CryptoKey in the lab's Google Cloud, who drills on it, and a vendor that uses it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dead_men import gcp_dead_man
from gcp_company import no_names
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_canary import GcpCanary, plant
from probes.keys.drill.gcp_preflight import ABOVE, NEEDS, PLANTS
from probes.keys.subjects import Agreed, DeadMan, Key, KeyModel, OnKeyLoss, Roles

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = timedelta(minutes=5)
USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
VENDOR = "serviceAccount:app@vendor.iam.gserviceaccount.com"
ACCOUNTS = {role: f"{role}@acme.iam.gserviceaccount.com" for role in ("drill", "restore", "control")}
CONTROL = f"serviceAccount:{ACCOUNTS['control']}"
RING = "projects/acme/locations/europe-west3/keyRings/crm"
PRODUCTION = f"{RING}/cryptoKeys/byok"


@dataclass
class Turn:
    """A clock that a test turns."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


@dataclass
class Stage:
    """organization > folder > project acme > ring crm > production key and canary's key."""

    cloud: GcpCloud
    clock: Turn
    home: Path
    organization: str
    folder: str
    key: str
    identities: tuple[GcpIdentity, ...]
    kind: str
    man: DeadMan | None = None
    monotonic: Callable[[], float] = field(default=itertools.count(0.0, 0.001).__next__)
    canary: GcpCanary = field(init=False)

    def __post_init__(self) -> None:
        who = hand(self.io(), "control")
        self.canary = plant(who, self.key, planted=self.clock(), entropy=lambda count: b"e" * count)

    def io(self) -> Io:
        """As of a new process."""
        return Io(
            vantage=HERE,
            budget=30.0,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=self.home,
            environment={},
            resolver=no_names,
            clock=self.clock,
            entropy=lambda count: b"e" * count,
            monotonic=self.monotonic,
            identities=self.identities,
            once=Once(),
        )

    def subject(self, **given: object) -> Key:
        fields: dict[str, object] = {
            "id": "byok",
            "provider": "gcp",
            "resource": PRODUCTION,
            "model": KeyModel.DIRECT_KMS,
            "on_key_loss": OnKeyLoss.WITHHELD,
            "identities": Roles(drill="drill", restore="restore", control="control"),
            "agreed": Agreed(vendor=(VENDOR,)),
        }
        return Key.model_validate({**fields, **given})

    def deadline(self) -> datetime:
        return START + HOLD

    def role(self, who: str) -> str:
        """The custom role that holds exactly what an identity needs on the key."""
        return f"{self.organization}/roles/{who}"

    def vendor_reads(self) -> bool:
        """Whether the vendor can use the key now: a real client's encryption."""
        channel = self.cloud.channel(VENDOR)
        try:
            client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            try:
                client.encrypt(request={"name": self.key, "plaintext": b"x"}, retry=None, timeout=5)
            except GoogleAPICallError:
                return False
            return True
        finally:
            channel.close()

    def granted(self) -> set[tuple[str, str, str | None]]:
        """(role, member, condition) on the key, read past every API."""
        return {
            (grant.role, member, None if grant.condition is None else grant.condition.expression)
            for grant in self.cloud.iam.policy(self.key).grants
            for member in grant.members
        }

    def titles(self) -> set[str]:
        return {grant.condition.title for grant in self.cloud.iam.policy(self.key).grants if grant.condition}


@contextmanager
def staged(home: Path, kind: str) -> Iterator[Stage]:
    """A stage for one mechanism; each identity holds exactly what `gcp_preflight.NEEDS` says."""
    clock = Turn()
    with GcpCloud(clock=clock) as cloud:
        organization = cloud.directory.organization("acme.example")
        folder = cloud.directory.folder(organization, "keys")
        cloud.directory.project("acme", folder)
        for name in (PRODUCTION, key := f"{RING}/cryptoKeys/crm-keycheck-canary"):
            cloud.kms.seed_key(name, protection="HSM", created=START - timedelta(days=40))
        for role in ("drill", "restore"):
            custom = f"{organization}/roles/{role}"
            cloud.iam.role(custom, NEEDS[kind][role])
            cloud.iam.bind(key, custom, f"serviceAccount:{ACCOUNTS[role]}")
        cloud.iam.role(f"{organization}/roles/above", ABOVE)
        cloud.iam.bind(organization, f"{organization}/roles/above", f"serviceAccount:{ACCOUNTS['drill']}")
        cloud.iam.bind(key, USE, VENDOR, CONTROL)
        assert {*NEEDS[kind]["control"], *PLANTS} <= {
            "cloudkms.cryptoKeyVersions.useToDecrypt",
            "cloudkms.cryptoKeyVersions.useToEncrypt",
        }
        identities = tuple(
            GcpIdentity(
                id=role,
                provider="gcp",
                credentials=f"file:{cloud.service_account(account, home).name}",
                api_endpoint=cloud.address,
                resource_manager_endpoint=cloud.address,
                scheduler_endpoint=cloud.rest_address,
                unsafe_plaintext_to_loopback=True,
            )
            for role, account in ACCOUNTS.items()
        )
        restores = f"serviceAccount:{ACCOUNTS['restore']}"
        man = gcp_dead_man(cloud, key, restores) if kind == "gcp-disable" else None
        yield Stage(cloud, clock, home, organization, folder, key, identities, kind, man)


def patient(_seconds: float) -> None:
    """A wait that is over at once."""
