"""A CryptoKey and its versions, as a rotation must know them; why none may begin; and the calls that turn it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from keycheck.errors import ProbeError
from keycheck.model.types import Instant, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, enum_name, maybe_moment, same_key, version_number
from probes.keys.drill import Refusal
from probes.keys.drill.gcp_calls import WRITES, Hand
from probes.keys.gcp.describe import crypto_key, version_fact, versions_of

SYMMETRIC: Final = "GOOGLE_SYMMETRIC_ENCRYPTION"
_HERE: Final = ("SOFTWARE", "HSM", "HSM_SINGLE_TENANT")
"""Protection levels of keys that Google holds."""


class VersionLine(Model):
    """One version."""

    id: VendorText
    """Its number."""
    state: VendorText
    imported: bool
    """Its material was brought by the customer."""


class KeyNow(Model):
    """The key."""

    primary: VendorText | None
    """Number of the version that encrypts."""
    purpose: VendorText
    protection: VendorText
    """Of new versions."""
    import_only: bool
    next_rotation: Instant | None
    versions: Annotated[tuple[VersionLine, ...], Field(max_length=2_000)]

    def of(self, number: str | None) -> VersionLine | None:
        """One version."""
        return next((line for line in self.versions if line.id == number), None)

    @property
    def imported(self) -> bool:
        """Whether the customer brings its material."""
        line = self.of(self.primary)
        return self.import_only or (line is not None and line.imported)


def key_now(who: Hand, key: KeyName) -> KeyNow:
    """GetCryptoKey and ListCryptoKeyVersions. Raises ProbeError, also when it is not all."""
    from google.cloud.kms_v1.types import CryptoKey, ProtectionLevel

    found = crypto_key(key, who.session)
    raw = CryptoKey.pb(found)
    versions = tuple(version_fact(each, key, None) for each in versions_of(key, who.session))
    return KeyNow(
        primary=version_number(raw.primary.name, key) if raw.HasField("primary") and raw.primary.name else None,
        purpose=enum_name(CryptoKey.CryptoKeyPurpose, raw.purpose),
        protection=enum_name(ProtectionLevel, raw.version_template.protection_level),
        import_only=raw.import_only,
        next_rotation=maybe_moment(raw, "next_rotation_time"),
        versions=tuple(
            VersionLine(id=each.id, state=each.state, imported=each.import_job is not None) for each in versions
        ),
    )


def primary_of(who: Hand, key: KeyName) -> str:
    """Number of the primary version. Raises ProbeError."""
    return version_number(crypto_key(key, who.session).primary.name, key)


def make_primary(who: Hand, key: KeyName, number: str) -> None:
    """UpdateCryptoKeyPrimaryVersion, once. Raises ProbeError."""
    found = who.once(
        WRITES,
        f"make version {number} of {key.full} primary",
        lambda seconds: who.client.update_crypto_key_primary_version(
            name=key.full, crypto_key_version_id=number, retry=None, timeout=seconds
        ),
    )
    if not same_key(found.name, key) or version_number(found.primary.name, key) != number:
        raise ProbeError(Reason.PROPAGATION_PENDING, f"version {number} was made primary, and does not show yet")


def new_version(who: Hand, key: KeyName) -> str:
    """CreateCryptoKeyVersion with material that Google makes, once; gives its number. Raises ProbeError."""
    found = who.once(
        WRITES,
        f"create a version of {key.full}",
        lambda seconds: who.client.create_crypto_key_version(parent=key.full, retry=None, timeout=seconds),
    )
    return version_number(found.name, key)


def import_version(who: Hand, key: KeyName, job: str, wrapped: bytes) -> str:
    """ImportCryptoKeyVersion as a new version, once; gives its number. Raises ProbeError."""
    from google.cloud.kms_v1.types import ImportCryptoKeyVersionRequest

    request = ImportCryptoKeyVersionRequest(
        parent=key.full,
        algorithm=SYMMETRIC,
        import_job=job,
        wrapped_key=wrapped,
    )
    found = who.once(
        WRITES,
        f"import a version of {key.full}",
        lambda seconds: who.client.import_crypto_key_version(request=request, retry=None, timeout=seconds),
    )
    return version_number(found.name, key)


def against(now: KeyNow, until: datetime) -> Iterator[Refusal]:
    """Why this key may not be rotated now. Pure."""
    if now.purpose != "ENCRYPT_DECRYPT":
        yield Refusal(Reason.UNSUPPORTED, "only keys for encryption and decryption have a primary version to change")
    if now.protection not in _HERE:
        yield Refusal(
            Reason.UNSUPPORTED,
            vendor_text(f"the key is {now.protection}: rotate it where it is held, and let the vendor show it"),
        )
    line = now.of(now.primary)
    if line is None or line.state != "ENABLED":
        yield Refusal(Reason.UNSUPPORTED, "the key has no primary version that is ENABLED; mend that first")
    if now.next_rotation is not None and now.next_rotation <= until:
        yield Refusal(
            Reason.CONFLICTING, "the key rotates by itself before the drill is over; let it rotate first, or later"
        )
    for version in now.versions:
        if version.state.startswith("PENDING_"):
            yield Refusal(Reason.CONFLICTING, vendor_text(f"version {version.id} is {version.state}; wait for its end"))
