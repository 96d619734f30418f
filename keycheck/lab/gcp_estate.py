"""Makes the planned Google keys: an organization, a folder, projects, keys with their versions, bindings, audit logs,
and practice uses by the vendor's application over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from keycheck.lab.crm.contacts import Store
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.doors import GcpDoor
from keycheck.lab.crm.gcp_aead import gcp_client
from keycheck.lab.crm.gcp_envelope import GcpEnvelope
from keycheck.lab.crm.traffic import work
from keycheck.lab.gcp.attest import Flaw
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.key_sites import (
    G_APP,
    G_CONTROL,
    G_DEAD_MAN,
    G_DRILL,
    G_INSPECTOR,
    G_OPENER,
    G_RESTORE,
    Attested,
    GcpSite,
    Use,
)
from keycheck.lab.lab_clock import LabClock

RING: Final = "crm"
INSPECTOR_ROLES: Final = (
    "roles/cloudkms.viewer",
    "roles/browser",
    "roles/iam.securityReviewer",
    "roles/logging.privateLogViewer",
)
DRILL_ROLES: Final = ("roles/browser", "roles/iam.securityReviewer")
"""What whoever drills may read above the keys: inherited grants are resolved before anything is taken away."""
_IDENTITIES: Final = (
    ("inspector-g", G_INSPECTOR),
    ("drill-g", G_DRILL),
    ("control-g", G_CONTROL),
    ("restore-g", G_RESTORE),
    ("opener-g", G_OPENER),
)

_FLAWS: Final = {
    Attested.NOT_CHAINED: Flaw.NOT_CHAINED,
    Attested.ANOTHER_KEY: Flaw.ANOTHER_VERSION,
    Attested.EXPIRED_ROOT: Flaw.EXPIRED_ROOT,
}


class GcpEstate:
    """The customer's Google Cloud. Raises LabError when a port cannot be had."""

    def __init__(self, home: Path, sites: Sequence[GcpSite], clock: LabClock) -> None:
        self._home = home
        self._clock = clock
        self.cloud = GcpCloud(clock=clock)
        self.cloud.start()
        with ExitStack() as held:
            held.callback(self.cloud.close)
            self._build(sites)
            held.pop_all()

    @property
    def identities(self) -> tuple[Mapping[str, object], ...]:
        """Who inspects, drills, controls and restores, and who opens samples, as a deployment declares them."""
        return tuple(self._identity(id, member) for id, member in _IDENTITIES)

    def door(self, key: str, principal: str = G_APP) -> GcpDoor:
        """The way of one of the vendor's principals to the key of this resource name."""
        client = gcp_client(endpoint=self.cloud.address, token=lambda: self.cloud.token(principal))
        return GcpDoor(client, key)

    def _identity(self, id: str, member: str) -> Mapping[str, object]:
        credentials = self.cloud.service_account(member.partition(":")[2], self._home)
        return {
            "id": id,
            "provider": "gcp",
            "credentials": f"file:{credentials.name}",
            "api_endpoint": self.cloud.address,
            "logging_endpoint": self.cloud.address,
            "resource_manager_endpoint": self.cloud.address,
            "scheduler_endpoint": self.cloud.rest_address,
            "storage_endpoint": self.cloud.storage_address,
            "unsafe_plaintext_to_loopback": True,
        }

    def roots(self, *, expired: bool) -> tuple[str, ...]:
        """Names of the PEM files of the roots that attestations chain to; `expired`: the maker's is past its end."""
        return tuple(path.name for path in self.cloud.hsm.roots(self._home, expired=expired))

    def close(self) -> None:
        """End the cloud."""
        self.cloud.close()

    def _build(self, sites: Sequence[GcpSite]) -> None:
        organization = self.cloud.directory.organization("acme.example")
        folder = self.cloud.directory.folder(organization, "keys")
        for role in INSPECTOR_ROLES:
            self.cloud.iam.bind(organization, role, G_INSPECTOR)
        for role in DRILL_ROLES:
            self.cloud.iam.bind(organization, role, G_DRILL, G_RESTORE)
        for project in dict.fromkeys(site.project for site in sites):
            self.cloud.directory.project(project, folder)
        for site in sites:
            self._key(site)
            if (canary := canary_of(site)) is not None:
                self._key(canary)
                self._dead_man(organization, folder, resource_of(canary))
        for site in sites:
            for use in site.uses:
                self._use(site, use)

    def _key(self, site: GcpSite) -> None:
        kms, iam, project = self.cloud.kms, self.cloud.iam, f"projects/{site.project}"
        name = resource_of(site)
        kms.seed_key(
            name,
            purpose=site.purpose,
            algorithm=site.algorithm,
            protection=site.protection,
            created=self._clock() - timedelta(days=max(site.ages_days)),
            destroy_scheduled=timedelta(days=site.destroy_days),
            allowed_reasons=site.justified or None,
            versions=0,
        )
        for number, age in enumerate(site.ages_days, 1):
            version = kms.seed_version(
                name,
                created=self._clock() - timedelta(days=age),
                import_job=f"{name.partition('/cryptoKeys/')[0]}/importJobs/escrow-{number}" if site.imported else "",
            )
            flaw = _FLAWS.get(site.attested)
            if flaw is not None:
                kms.attach(version, self.cloud.hsm.attest(kms.version(version), flaw))
        for bound, where in [*((b, name) for b in site.on_key), *((b, project) for b in site.on_project)]:
            iam.bind(where, bound.role, *bound.members, condition=bound.condition)
        if site.data_read:
            iam.audit(project, "DATA_READ", "DATA_WRITE", exempted=site.exempted)

    def _dead_man(self, organization: str, folder: str, key: str) -> None:
        """A service account that may enable the key's versions and no more, for whose project the restorer may plan
        jobs."""
        email = G_DEAD_MAN.partition(":")[2]
        project = f"projects/{email.partition('@')[2].partition('.')[0]}"
        if self.cloud.directory.node(project) is None:
            self.cloud.directory.project(project.partition("/")[2], folder)
        role = f"{organization}/roles/deadMan"
        self.cloud.iam.role(role, ["cloudkms.cryptoKeyVersions.update"])
        self.cloud.iam.bind(key, role, G_DEAD_MAN)
        self.cloud.iam.bind(project, "roles/cloudscheduler.admin", G_RESTORE)
        self.cloud.iam.bind(f"{project}/serviceAccounts/{email}", "roles/iam.serviceAccountUser", G_RESTORE)

    def _use(self, site: GcpSite, use: Use) -> None:
        client = gcp_client(endpoint=self.cloud.address, token=self.cloud.token(use.principal))
        if site.purpose == "RAW_ENCRYPT_DECRYPT":
            version = f"{resource_of(site)}/cryptoKeyVersions/{len(site.ages_days)}"
            for number in range(use.records):
                sealed = client.raw_encrypt(request={"name": version, "plaintext": b"practice %d" % number})
                client.raw_decrypt(
                    request={
                        "name": version,
                        "ciphertext": sealed.ciphertext,
                        "initialization_vector": sealed.initialization_vector,
                    }
                )
            return
        work(Crm(GcpEnvelope(client, resource_of(site)), Store(self._home / f"contacts-{site.id}.sqlite")), use.records)


def canary_of(site: GcpSite) -> GcpSite | None:
    """The key for canaries that goes with a key. What is bound on the project, and logged, is the project's affair."""
    if site.canary is None:
        return None
    return replace(site, id=site.canary, canary=None, ages_days=(100,), on_project=(), data_read=False, uses=())


def resource_of(site: GcpSite) -> str:
    """The key's resource name."""
    return f"projects/{site.project}/locations/{site.location}/keyRings/{RING}/cryptoKeys/{site.id}"
