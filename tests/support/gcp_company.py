"""A company in the lab's Google Cloud, and what a probe is given to look at it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from probes.keys.aspects import ALWAYS, GCP_PERMISSIONS, Aspect
from probes.keys.subjects import Key, KeyModel, Roles

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY_ASPECTS = ALWAYS | {Aspect.POLICIES, Aspect.ATTESTATION, Aspect.JUSTIFICATIONS}
LOG_ASPECTS = frozenset({Aspect.LOGGING, Aspect.EVENTS})
NEEDED = frozenset(each for wanted in GCP_PERMISSIONS.values() for each in wanted)
INSPECTOR = "inspector@acme.iam.gserviceaccount.com"


def no_names(host: str, seconds: float) -> Sequence[str]:
    """A resolver for tests in which nothing is to be looked up."""
    raise AssertionError(f"looked up {host}")


@dataclass
class Company:
    """organization > folder > project acme > ring crm, and an identity that may read what keycheck needs."""

    cloud: GcpCloud
    home: Path
    organization: str
    folder: str
    role: str
    identity: GcpIdentity

    @property
    def ring(self) -> str:
        return "projects/acme/locations/europe-west3/keyRings/crm"

    def seed(self, key: str = "byok", protection: str = "HSM", **given: object) -> str:
        name: str = self.cloud.kms.seed_key(f"{self.ring}/cryptoKeys/{key}", protection=protection, **given)  # type: ignore[arg-type]
        return name

    def allow(self, *permissions: str) -> None:
        """Exactly these."""
        self.cloud.iam.role(self.role, permissions)

    def without(self, *permissions: str) -> None:
        """All that keycheck needs but these."""
        self.allow(*(NEEDED - set(permissions)))

    def subject(self, resource: str, *, roots: bool = True) -> Key:
        files = tuple(path.name for path in self.cloud.hsm.roots(self.home)) if roots else ()
        return Key(
            id="k",
            provider="gcp",
            resource=resource,
            model=KeyModel.DIRECT_KMS,
            identities=Roles(inspect="inspector", log="inspector"),
            attestation_roots=files,
        )

    def io(self, *identities: GcpIdentity, budget: float = 30.0) -> Io:
        return Io(
            vantage=HERE,
            budget=budget,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=self.home,
            environment={},
            resolver=no_names,
            clock=lambda: NOW,
            entropy=lambda count: b"e" * count,
            identities=identities or (self.identity,),
            once=Once(),
        )

    def named(self, **changes: object) -> GcpIdentity:
        return self.identity.model_copy(update=changes)


@contextmanager
def founded(home: Path, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Company]:
    """A company whose cloud runs while the context lasts. `wall` is the cloud's clock for tokens."""
    with GcpCloud(clock=lambda: NOW, wall=wall) as cloud:
        organization = cloud.directory.organization("acme.example")
        folder = cloud.directory.folder(organization, "production")
        cloud.directory.project("acme", folder)
        role = f"{organization}/roles/keycheck"
        cloud.iam.role(role, NEEDED)
        cloud.iam.bind(organization, role, f"serviceAccount:{INSPECTOR}")
        file = cloud.service_account(INSPECTOR, home)
        identity = GcpIdentity(
            id="inspector",
            provider="gcp",
            credentials=f"file:{file.name}",
            api_endpoint=cloud.address,
            logging_endpoint=cloud.address,
            resource_manager_endpoint=cloud.address,
            unsafe_plaintext_to_loopback=True,
        )
        yield Company(cloud, home, organization, folder, role, identity)
