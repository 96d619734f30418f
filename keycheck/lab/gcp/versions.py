"""Making CryptoKeys and CryptoKeyVersions, whoever asks: a call, the rotation schedule, or a test that seeds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from google.cloud import kms_v1

from keycheck.lab.gcp.errors import invalid
from keycheck.lab.gcp.material import EXTERNAL_SYMMETRIC, checked_algorithm, generated
from keycheck.lab.gcp.names import LOCATIONS, location_of
from keycheck.lab.gcp.store import EXTERNALLY, HARDWARE, Key, Protection, Purpose, Settings, Version

DESTROY_SCHEDULED: Final = timedelta(days=30)
_DAY: Final = timedelta(days=1)
_LONGEST_ROTATION: Final = timedelta(hours=876_000)
_LONGEST_DESTROY: Final = 120 * _DAY

Attestor: TypeAlias = Callable[[Version], kms_v1.KeyOperationAttestation]
"""A fresh HSM version with its name -> what the module signs about it."""


class Maker:
    """Makes versions with material of their own."""

    def __init__(self, entropy: Callable[[int], bytes], attestor: Attestor) -> None:
        self._entropy = entropy
        self._attestor = attestor

    def add(self, key: Key, now: datetime) -> Version:
        """Add a fresh version after the key's template, ENABLED; not as primary."""
        settings = key.settings
        external = settings.protection in EXTERNALLY
        version = Version(
            key.name,
            settings.protection,
            settings.algorithm,
            now,
            generated=None if external else now,
            material=generated(settings.algorithm, self._entropy),
        )
        key.add(version)
        self.attest(version)
        return version

    def attest(self, version: Version) -> None:
        """Put the module's statement on a version that lives in one."""
        if version.protection in HARDWARE:
            version.attestation = self._attestor(version)

    def rotate(self, key: Key, due: datetime) -> None:
        """What the schedule does."""
        key.primary = self.add(key, due).number


def checked_settings(name: str, wanted: Settings) -> Settings:
    """The key as it is stored, defaults filled in (an empty algorithm). Raises INVALID_ARGUMENT.

    Source: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys#CryptoKey
    """
    protection, purpose = wanted.protection, wanted.purpose
    external = protection in EXTERNALLY
    algorithm = wanted.algorithm
    if external and purpose is Purpose.ENCRYPT_DECRYPT and not algorithm:
        algorithm = EXTERNAL_SYMMETRIC
    algorithm = checked_algorithm(algorithm, purpose)
    if (algorithm == EXTERNAL_SYMMETRIC) != (external and purpose is Purpose.ENCRYPT_DECRYPT):
        raise invalid(f"The algorithm {algorithm} is not compatible with the protection level {protection}.")
    hardware_here, external_here = LOCATIONS[location_of(name)]
    if (protection in HARDWARE and not hardware_here) or (external and not external_here):
        raise invalid(f"Protection level {protection} is not supported in {location_of(name)}.")
    needs_backend = protection in (Protection.EXTERNAL_VPC, Protection.HSM_SINGLE_TENANT)
    if needs_backend != bool(wanted.backend):
        raise invalid("crypto_key_backend must be set for EXTERNAL_VPC and HSM_SINGLE_TENANT keys, and only for them.")
    if not _DAY <= wanted.destroy_scheduled <= _LONGEST_DESTROY:
        raise invalid("destroy_scheduled_duration must be between 24 hours and 120 days.")
    stored = Settings(
        purpose,
        protection,
        algorithm,
        wanted.created,
        wanted.destroy_scheduled,
        wanted.rotation_period,
        wanted.next_rotation,
        wanted.import_only,
        wanted.backend,
        dict(wanted.labels),
        wanted.allowed_reasons,
    )
    checked_rotation(stored)
    return stored


def checked_rotation(settings: Settings) -> None:
    """Raises INVALID_ARGUMENT for a schedule that cannot be."""
    if settings.rotation_period is None and settings.next_rotation is None:
        return
    if settings.purpose is not Purpose.ENCRYPT_DECRYPT or settings.protection in EXTERNALLY or settings.import_only:
        raise invalid("Automatic rotation is not supported for this key.")
    if settings.rotation_period is not None:
        if not _DAY <= settings.rotation_period <= _LONGEST_ROTATION:
            raise invalid("rotation_period must be between 24 hours and 876,000 hours.")
        if settings.next_rotation is None:
            raise invalid("next_rotation_time must be set if rotation_period is set.")
