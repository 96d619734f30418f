"""The lab's Cloud KMS: all handlers put together, and the way in for tests that seed it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from google.cloud import kms_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.crypto import Crypto
from keycheck.lab.gcp.errors import invalid
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.iam import Iam
from keycheck.lab.gcp.iampolicy import PolicyDoor
from keycheck.lab.gcp.imports import Imports
from keycheck.lab.gcp.keys import Keys
from keycheck.lab.gcp.lifecycle import Lifecycle
from keycheck.lab.gcp.names import above, checked
from keycheck.lab.gcp.places import Places
from keycheck.lab.gcp.raw import Raw
from keycheck.lab.gcp.signing import Signing
from keycheck.lab.gcp.store import Key, Protection, Purpose, Settings, State, Store, Version
from keycheck.lab.gcp.versions import DESTROY_SCHEDULED, Attestor, Maker, checked_settings
from keycheck.model.types import Clock

_IAM: Final = "/google.iam.v1.IAMPolicy/"


class Kms:
    """Cloud KMS of the lab."""

    def __init__(
        self, clock: Clock, entropy: Callable[[int], bytes], iam: Iam, faults: Faults, attestor: Attestor
    ) -> None:
        self._clock = clock
        self._maker = Maker(entropy, attestor)
        self.store = Store(self._maker.rotate)
        self._services = (
            Keys(self.store, self._maker),
            Lifecycle(self.store, self._maker, faults),
            Crypto(self.store, entropy),
            Imports(self.store, self._maker),
            Raw(self.store, entropy),
            Signing(self.store),
            Places(self.store),
        )
        self._door = PolicyDoor(iam)

    def handlers(self) -> Mapping[str, Handler]:
        served: dict[str, Handler] = {}
        for service in self._services:
            served.update(service.handlers())
        return {
            **served,
            _IAM + "GetIamPolicy": self._get_policy,
            _IAM + "SetIamPolicy": self._set_policy,
            _IAM + "TestIamPermissions": self._test_permissions,
        }

    def seed_key(
        self,
        name: str,
        *,
        purpose: str = "ENCRYPT_DECRYPT",
        algorithm: str = "",
        protection: str = "SOFTWARE",
        created: datetime | None = None,
        rotation_period: timedelta | None = None,
        next_rotation: datetime | None = None,
        destroy_scheduled: timedelta = DESTROY_SCHEDULED,
        import_only: bool = False,
        backend: str = "",
        allowed_reasons: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        versions: int = 1,
    ) -> str:
        """Make a key (and its ring) as of `created`, with so many versions, the last one primary; gives its name.

        `allowed_reasons`: names of a Key Access Justifications policy; None: no policy.
        """
        at = self._clock() if created is None else created
        first = at + rotation_period if next_rotation is None and rotation_period is not None else next_rotation
        settings = Settings(
            Purpose(purpose),
            Protection(protection),
            algorithm,
            at,
            destroy_scheduled,
            rotation_period,
            first,
            import_only,
            backend,
            dict(labels or {}),
            None if allowed_reasons is None else tuple(allowed_reasons),
        )
        ring = above(checked(name, 4))
        self.store.rings.setdefault(ring, at)
        self.store.keys[name] = Key(name, checked_settings(name, settings))
        for _ in range(versions):
            self.seed_version(name, created=at)
        return name

    def seed_version(
        self,
        key_name: str,
        *,
        created: datetime | None = None,
        state: str = "ENABLED",
        primary: bool = True,
        material: bytes | None = None,
        import_job: str = "",
        external_uri: str = "",
        ekm_path: str = "",
        destroy_time: datetime | None = None,
        attestation: kms_v1.KeyOperationAttestation | None = None,
    ) -> str:
        """Add a version as of `created`; gives its name. With `import_job` it counts as imported at that time."""
        key = self.store.keys[key_name]
        at = self._clock() if created is None else created
        version = self._maker.add(key, at)
        version.state, version.destroy_time = State(state), destroy_time
        version.external_uri, version.ekm_path = external_uri, ekm_path
        if import_job:
            version.import_job, version.imported, version.generated = import_job, at, None
        if material is not None:
            version.material = material
            version.imported_digest = hashlib.sha256(material).digest() if import_job else b""
        if import_job or material is not None:
            self._maker.attest(version)
        if attestation is not None:
            version.attestation = attestation
        if primary and key.settings.purpose is Purpose.ENCRYPT_DECRYPT:
            key.primary = version.number
        return version.name

    def seed_connection(self, name: str, hostname: str = "ekm.example.com") -> str:
        """Make an EkmConnection `projects/…/locations/…/ekmConnections/…`; gives its name."""
        resolver = kms_v1.EkmConnection.ServiceResolver(
            service_directory_service=f"{above(name)}/namespaces/lab/services/ekm", hostname=hostname
        )
        self.store.connections[name] = kms_v1.EkmConnection(
            name=name, create_time=self._clock(), service_resolvers=[resolver], etag="lab"
        )
        return name

    def version(self, name: str) -> Version:
        """A version with its material, for tests that check what is really used."""
        return self.store.version(name, self._clock())[1]

    def attach(self, version_name: str, attestation: kms_v1.KeyOperationAttestation | None) -> None:
        """Put another attestation (or none) on a version."""
        self.version(version_name).attestation = attestation

    def reachable(self, version_name: str, reachable: bool) -> None:
        """Whether the external key manager of a version answers."""
        self.version(version_name).ekm_reachable = reachable

    def _get_policy(self, call: Call, request: iam_policy_pb2.GetIamPolicyRequest) -> policy_pb2.Policy:
        call.resource = request.resource
        return self._door.get(call, request, _prefix(request.resource), exists=self._exists)

    def _set_policy(self, call: Call, request: iam_policy_pb2.SetIamPolicyRequest) -> policy_pb2.Policy:
        call.resource = request.resource
        return self._door.set(call, request, _prefix(request.resource), exists=self._exists)

    def _test_permissions(
        self, call: Call, request: iam_policy_pb2.TestIamPermissionsRequest
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        call.resource = request.resource
        _prefix(request.resource)
        return self._door.test(call, request)

    def _exists(self, resource: str) -> None:
        match resource.split("/")[-2]:
            case "keyRings":
                self.store.ring(resource)
            case "cryptoKeys":
                self.store.key(resource, self._clock())
            case "importJobs":
                self.store.job(resource, self._clock())
            case _:
                pass


def _prefix(resource: str) -> str:
    parts = resource.split("/")
    kinds = {
        (6, "keyRings"): "cloudkms.keyRings",
        (8, "cryptoKeys"): "cloudkms.cryptoKeys",
        (8, "importJobs"): "cloudkms.importJobs",
        (6, "ekmConnections"): "cloudkms.ekmConnections",
        (5, "ekmConfig"): "cloudkms.ekmConfigs",
    }
    last = parts[-1] if len(parts) == 5 else parts[-2] if len(parts) > 1 else ""
    prefix = kinds.get((len(parts), last))
    if prefix is None or parts[0] != "projects":
        raise invalid(f"Resource name [{resource}] does not name a resource with a policy.")
    return prefix
