"""Keys that may be rotated in the lab's Google Cloud, who rotates them, and a vendor that uses them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from gcp_company import no_names
from gcp_stage import START, USE, VENDOR, Turn
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.store import State
from keycheck.model.authorization import Technique
from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.drill import Wish
from keycheck.model.once import Once
from keycheck.model.probe import Io
from probes.keys.drill.rotate_needs import GCP_IMPORTS, ROTATE_NEEDS
from probes.keys.drill.rotating import Order
from probes.keys.subjects import Agreed, CanaryPaths, Key, KeyDrill, KeyModel, OnKeyLoss, Roles

RING = "projects/acme/locations/europe-west3/keyRings/crm"
PRODUCTION, CANARY = f"{RING}/cryptoKeys/byok", f"{RING}/cryptoKeys/crm-keycheck-canary"
ACCOUNTS = {role: f"{role}@acme.iam.gserviceaccount.com" for role in ("drill", "restore", "control", "log")}
NEEDS = ROTATE_NEEDS["gcp-rotate"]


@dataclass
class Stage:
    """organization > project acme > ring crm > production key and canary's key."""

    cloud: GcpCloud
    clock: Turn
    home: Path
    organization: str
    identities: tuple[GcpIdentity, ...]
    waits: list[float] = field(default_factory=list)

    @property
    def workdir(self) -> Path:
        made = self.home / "drill"
        made.mkdir(exist_ok=True)
        return made

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def io(self, monotonic: Callable[[], float] = time.monotonic) -> Io:
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
            entropy=os.urandom,
            monotonic=monotonic,
            identities=self.identities,
            once=Once(),
        )

    def role(self, who: str) -> str:
        return f"{self.organization}/roles/{who}"

    def seed(self, name: str, *, imported: bool = False, protection: str = "HSM") -> None:
        """With one version of forty days ago."""
        created = START - timedelta(days=40)
        self.cloud.kms.seed_key(name, protection=protection, created=created, versions=0 if imported else 1)
        if imported:
            self.cloud.kms.seed_version(name, created=created, material=b"M" * 32, import_job=f"{RING}/importJobs/old")

    def states(self, key: str) -> dict[int, State]:
        return {number: version.state for number, version in sorted(self.cloud.kms.store.keys[key].versions.items())}

    def primary(self, key: str) -> int:
        return self.cloud.kms.store.keys[key].primary

    def octets(self, key: str, number: int) -> bytes:
        found = self.cloud.kms.store.keys[key].versions[number].material
        assert isinstance(found, bytes)
        return found

    def vendor_writes(self, key: str) -> tuple[str, bytes]:
        """Version and ciphertext of a real client's encryption."""
        channel = self.cloud.channel(VENDOR)
        try:
            client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            answer = client.encrypt(request={"name": key, "plaintext": b"x"}, retry=None, timeout=5)
            return answer.name, answer.ciphertext
        finally:
            channel.close()

    def vendor_reads(self, key: str, sealed: bytes) -> bytes:
        channel = self.cloud.channel(VENDOR)
        try:
            client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            opened: bytes = client.decrypt(request={"name": key, "ciphertext": sealed}, retry=None, timeout=5).plaintext
            return opened
        finally:
            channel.close()

    def order(self, technique: Technique = Technique.ROTATE_CANARY, wish: Wish | None = None, **plan: object) -> Order:
        drill = KeyDrill.model_validate({"canary_key": CANARY, "planted": START, "paths": CanaryPaths(), **plan})
        subject = Key(
            id="byok",
            provider="gcp",
            resource=PRODUCTION,
            model=KeyModel.DIRECT_KMS,
            on_key_loss=OnKeyLoss.WITHHELD,
            identities=Roles(drill="drill", restore="restore", control="control", log="log"),
            agreed=Agreed(vendor=(VENDOR,)),
            drill=drill,
        )
        asked = wish or Wish(technique=technique, typed=subject.resource, confirmed=True)
        deadline: datetime = self.clock() + timedelta(minutes=10)
        return Order("kc-1", subject, drill, deadline, technique, asked, self.workdir)


@contextmanager
def staged(home: Path) -> Iterator[Stage]:
    """Each identity holds exactly what `rotate_needs` says."""
    clock = Turn()
    with GcpCloud(clock=clock) as cloud:
        organization = cloud.directory.organization("acme.example")
        cloud.directory.project("acme", organization)
        identities = tuple(
            GcpIdentity(
                id=role,
                provider="gcp",
                credentials=f"file:{cloud.service_account(account, home).name}",
                api_endpoint=cloud.address,
                logging_endpoint=cloud.address,
                resource_manager_endpoint=cloud.address,
                unsafe_plaintext_to_loopback=True,
            )
            for role, account in ACCOUNTS.items()
        )
        stage = Stage(cloud, clock, home, organization, identities)
        stage.seed(PRODUCTION)
        stage.seed(CANARY)
        for role in ("drill", "restore", "control"):
            cloud.iam.role(stage.role(role), NEEDS[role])
            for key in (PRODUCTION, CANARY):
                cloud.iam.bind(key, stage.role(role), f"serviceAccount:{ACCOUNTS[role]}")
        cloud.iam.role(stage.role("imports"), GCP_IMPORTS)
        cloud.iam.bind(RING, stage.role("imports"), f"serviceAccount:{ACCOUNTS['drill']}")
        above = ("resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy")
        higher = ("resourcemanager.organizations.getIamPolicy", "resourcemanager.organizations.get")
        cloud.iam.role(stage.role("log"), (*NEEDS["log"], *above, *higher))
        cloud.iam.bind(organization, stage.role("log"), f"serviceAccount:{ACCOUNTS['log']}")
        cloud.iam.audit("projects/acme", "DATA_READ")
        for key in (PRODUCTION, CANARY):
            cloud.iam.bind(key, USE, VENDOR)
        yield stage
