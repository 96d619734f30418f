"""What the lab's Cloud KMS holds, in words of its own (see `wire.py`), and how it moves on with the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.cloud import kms_v1

from keycheck.lab.gcp.errors import ApiError, failed, not_found, precondition
from keycheck.lab.gcp.names import above

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Material: TypeAlias = bytes | PrivateKey

_MOST_ROTATIONS: Final = 1_000


class State(StrEnum):
    """CryptoKeyVersionState."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROYED = "DESTROYED"
    DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
    PENDING_GENERATION = "PENDING_GENERATION"
    PENDING_IMPORT = "PENDING_IMPORT"
    IMPORT_FAILED = "IMPORT_FAILED"
    GENERATION_FAILED = "GENERATION_FAILED"
    PENDING_EXTERNAL_DESTRUCTION = "PENDING_EXTERNAL_DESTRUCTION"
    EXTERNAL_DESTRUCTION_FAILED = "EXTERNAL_DESTRUCTION_FAILED"


class Purpose(StrEnum):
    """CryptoKeyPurpose, as far as the lab serves it."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    RAW_ENCRYPT_DECRYPT = "RAW_ENCRYPT_DECRYPT"
    ASYMMETRIC_SIGN = "ASYMMETRIC_SIGN"
    ASYMMETRIC_DECRYPT = "ASYMMETRIC_DECRYPT"
    MAC = "MAC"


class Protection(StrEnum):
    """ProtectionLevel."""

    SOFTWARE = "SOFTWARE"
    HSM = "HSM"
    EXTERNAL = "EXTERNAL"
    EXTERNAL_VPC = "EXTERNAL_VPC"
    HSM_SINGLE_TENANT = "HSM_SINGLE_TENANT"


HARDWARE: Final = frozenset({Protection.HSM, Protection.HSM_SINGLE_TENANT})
EXTERNALLY: Final = frozenset({Protection.EXTERNAL, Protection.EXTERNAL_VPC})


@dataclass(slots=True)
class Version:
    """A CryptoKeyVersion with what is secret about it. `number` 0: not part of a key yet."""

    key: str
    """Name of its key."""
    protection: Protection
    algorithm: str
    """`GOOGLE_SYMMETRIC_ENCRYPTION`, `AES_256_GCM`, …"""
    created: datetime
    state: State = State.ENABLED
    number: int = 0
    generated: datetime | None = None
    destroy_time: datetime | None = None
    destroyed: datetime | None = None
    import_job: str = ""
    imported: datetime | None = None
    import_failure: str = ""
    external_uri: str = ""
    ekm_path: str = ""
    attestation: kms_v1.KeyOperationAttestation | None = None
    material: Material | None = field(default=None, repr=False)
    imported_digest: bytes = field(default=b"", repr=False)
    """SHA-256 of what was imported: only the same bytes may be imported again."""
    usable_until: datetime | None = None
    """Disabled, but not yet everywhere."""
    ekm_reachable: bool = True

    @property
    def name(self) -> str:
        return f"{self.key}/cryptoKeyVersions/{self.number}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is stated of a CryptoKey. `allowed_reasons`: Key Access Justifications policy; None: no policy."""

    purpose: Purpose
    protection: Protection
    algorithm: str
    created: datetime
    destroy_scheduled: timedelta
    rotation_period: timedelta | None = None
    next_rotation: datetime | None = None
    import_only: bool = False
    backend: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    allowed_reasons: tuple[str, ...] | None = None


@dataclass(slots=True)
class Key:
    """A CryptoKey. `primary` is a number, or 0."""

    name: str
    settings: Settings
    versions: dict[int, Version] = field(default_factory=dict)
    primary: int = 0
    lagging: tuple[int, datetime] | None = None
    """The primary version before, and until when encryption still uses it."""

    def add(self, version: Version) -> int:
        """Give a version the next number; gives it."""
        version.number = max(self.versions, default=0) + 1
        self.versions[version.number] = version
        return version.number


@dataclass(slots=True)
class Job:
    """An ImportJob with its private key."""

    name: str
    method: str
    """`RSA_OAEP_3072_SHA256_AES_256`."""
    protection: Protection
    created: datetime
    expires: datetime
    private: rsa.RSAPrivateKey = field(repr=False)
    expired: bool = False


Generate: TypeAlias = Callable[[Key, datetime], None]
"""Adds a fresh version to a key and makes it primary."""


class Store:
    """All resources by name."""

    def __init__(self, rotate: Generate) -> None:
        self._rotated = rotate
        self.rings: dict[str, datetime] = {}
        self.keys: dict[str, Key] = {}
        self.jobs: dict[str, Job] = {}
        self.connections: dict[str, kms_v1.EkmConnection] = {}

    def ring(self, name: str) -> datetime:
        """When it was made."""
        created = self.rings.get(name)
        if created is None:
            raise not_found("KeyRing", name)
        return created

    def key(self, name: str, now: datetime) -> Key:
        """The key as it is now: rotated, and its versions destroyed, as the clock says."""
        key = self.keys.get(name)
        if key is None:
            raise not_found("CryptoKey", name)
        self._age(key, now)
        return key

    def version(self, name: str, now: datetime) -> tuple[Key, Version]:
        key = self.keys.get(above(name))
        number = name.rsplit("/", 1)[1]
        if key is None or not number.isdecimal() or len(number) > 9:
            raise not_found("CryptoKeyVersion", name)
        self._age(key, now)
        version = key.versions.get(int(number))
        if version is None:
            raise not_found("CryptoKeyVersion", name)
        return key, version

    def job(self, name: str, now: datetime) -> Job:
        job = self.jobs.get(name)
        if job is None:
            raise not_found("ImportJob", name)
        job.expired = job.expires <= now
        return job

    def _age(self, key: Key, now: datetime) -> None:
        for version in key.versions.values():
            if (
                version.state is State.DESTROY_SCHEDULED
                and version.destroy_time is not None
                and version.destroy_time <= now
            ):
                version.state = State.DESTROYED
                version.destroyed, version.destroy_time = version.destroy_time, None
                version.material = None
        for _ in range(_MOST_ROTATIONS):
            due, period = key.settings.next_rotation, key.settings.rotation_period
            if due is None or period is None or due > now:
                return
            self._rotated(key, due)
            key.settings = replace(key.settings, next_rotation=due + period)


def usable(version: Version, now: datetime) -> None:
    """Raises FAILED_PRECONDITION unless the version may be used now."""
    if version.state is State.ENABLED or (version.usable_until is not None and now < version.usable_until):
        return
    raise not_enabled(version)


def not_enabled(version: Version) -> ApiError:
    """As answered for a version that cannot be used in its state."""
    return precondition(
        f"{version.name} is not enabled, current state is: {version.state}.", f"KEY_{version.state}", version.name
    )


def wrong_state(version: Version, what: str) -> ApiError:
    return failed(f"{version.name} {what}, current state is: {version.state}.")
