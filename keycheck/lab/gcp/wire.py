"""Between the messages of the KMS API and the lab's own words. Messages are read and built here and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.cloud import kms_v1
from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message

from keycheck.lab.gcp.errors import invalid, unimplemented
from keycheck.lab.gcp.store import EXTERNALLY, Job, Key, Protection, Purpose, State, Version

_UNSPECIFIED: Final = "_UNSPECIFIED"
_Word = TypeVar("_Word", Purpose, Protection, State)


def shown_version(version: Version, *, full: bool = True) -> kms_v1.CryptoKeyVersion:
    """`full`: with its attestation, which lists leave out."""
    message = kms_v1.CryptoKeyVersion(
        name=version.name,
        state=str(version.state),
        protection_level=str(version.protection),
        algorithm=version.algorithm,
        create_time=version.created,
        generate_time=version.generated,
        destroy_time=version.destroy_time,
        destroy_event_time=version.destroyed,
        import_job=version.import_job,
        import_time=version.imported,
        import_failure_reason=version.import_failure,
        reimport_eligible=bool(version.import_job) and version.state in (State.DESTROYED, State.IMPORT_FAILED),
        attestation=version.attestation if full else None,
    )
    if version.protection in EXTERNALLY:
        message.external_protection_level_options = kms_v1.ExternalProtectionLevelOptions(
            external_key_uri=version.external_uri, ekm_connection_key_path=version.ekm_path
        )
    return message


def shown_key(key: Key, *, full: bool = True) -> kms_v1.CryptoKey:
    """With its primary version inside."""
    settings = key.settings
    primary = key.versions.get(key.primary)
    policy = None
    if settings.allowed_reasons is not None:
        policy = kms_v1.KeyAccessJustificationsPolicy(allowed_access_reasons=list(settings.allowed_reasons))
    return kms_v1.CryptoKey(
        name=key.name,
        primary=None if primary is None else shown_version(primary, full=full),
        purpose=str(settings.purpose),
        create_time=settings.created,
        next_rotation_time=settings.next_rotation,
        rotation_period=settings.rotation_period,
        version_template={"protection_level": str(settings.protection), "algorithm": settings.algorithm},
        labels=dict(settings.labels),
        import_only=settings.import_only,
        destroy_scheduled_duration=settings.destroy_scheduled,
        crypto_key_backend=settings.backend,
        key_access_justifications_policy=policy,
    )


def shown_ring(name: str, created: datetime) -> kms_v1.KeyRing:
    return kms_v1.KeyRing(name=name, create_time=created)


def shown_job(job: Job) -> kms_v1.ImportJob:
    pem = job.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return kms_v1.ImportJob(
        name=job.name,
        import_method=job.method,
        protection_level=str(job.protection),
        create_time=job.created,
        generate_time=job.created,
        expire_time=job.expires,
        expire_event_time=job.expires if job.expired else None,
        state="EXPIRED" if job.expired else "ACTIVE",
        public_key=None if job.expired else kms_v1.ImportJob.WrappingPublicKey(pem=pem),
    )


def purpose_of(message: kms_v1.CryptoKey) -> Purpose:
    """Raises INVALID_ARGUMENT where none is stated, UNIMPLEMENTED for what the lab has not."""
    word = _word(message, "purpose", Purpose)
    if word is None:
        raise invalid("crypto_key.purpose must be set.")
    return word


def protection_of(
    message: kms_v1.CryptoKeyVersionTemplate | kms_v1.ImportJob | kms_v1.GenerateRandomBytesRequest,
) -> Protection | None:
    """None: none is stated."""
    return _word(message, "protection_level", Protection)


def state_of(message: kms_v1.CryptoKeyVersion) -> State | None:
    return _word(message, "state", State)


def enum_name(message: object, field: str) -> str:
    """The name of an enum field's value; empty where it is not set."""
    raw = pb(message)
    number = getattr(raw, field)
    value = raw.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)  # type: ignore[union-attr]
    if value is None:
        raise invalid(f"{field} has no such value.")
    return "" if value.name.endswith(_UNSPECIFIED) else str(value.name)


def moment(message: object, field: str) -> datetime | None:
    """A Timestamp field; None: not set."""
    raw = pb(message)
    if not raw.HasField(field):
        return None
    value: timestamp_pb2.Timestamp = getattr(raw, field)
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise invalid(f"{field} is out of range.") from None


def span(message: object, field: str) -> timedelta | None:
    """A Duration field; None: not set."""
    raw = pb(message)
    if not raw.HasField(field):
        return None
    value: duration_pb2.Duration = getattr(raw, field)
    try:
        return value.ToTimedelta()
    except (ValueError, OverflowError):
        raise invalid(f"{field} is out of range.") from None


def reasons_of(message: kms_v1.CryptoKey) -> tuple[str, ...] | None:
    """Allowed reasons of a justifications policy; None: no policy."""
    raw = pb(message)
    if not raw.HasField("key_access_justifications_policy"):
        return None
    policy = message.key_access_justifications_policy
    try:
        return tuple(kms_v1.AccessReason(each).name for each in policy.allowed_access_reasons)
    except ValueError:
        raise invalid("allowed_access_reasons has no such value.") from None


def sent(message: object, field: str) -> int | None:
    """A checksum that a request carries; None: none."""
    raw = pb(message)
    return getattr(raw, field).value if raw.HasField(field) else None


def pb(message: object) -> Message:
    """The protobuf message inside a proto-plus one."""
    raw: Message = type(message).pb(message)  # type: ignore[attr-defined]  # proto-plus has no type information
    return raw


def _word(message: object, field: str, kind: type[_Word]) -> _Word | None:
    name = enum_name(message, field)
    if not name:
        return None
    if name not in kind.__members__:
        raise unimplemented(f"{field} {name}")
    return kind(name)
