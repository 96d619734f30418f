"""Rotation, automatic and on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.describe import rotation
from keycheck.lab.aws.kms.errors import KmsError, bad_state, unsupported
from keycheck.lab.aws.kms.model import Key, MaterialState, Origin
from keycheck.lab.aws.kms.specs import Kind

ON_DEMAND: Final = 25
"""Rotations on demand that a key may ever have."""


def enable_key_rotation(call: Call) -> Result:
    """EnableKeyRotation."""
    key = call.key()
    call.may(key)
    _rotatable(key)
    call.steady(key, disabled=True)
    ring = key.ring
    if ring.origin is not Origin.AWS_KMS:
        raise _origin(key)
    _primary(key)
    with call.holdings.lock:
        days = call.params.number("RotationPeriodInDays") or 365
        if ring.rotation_days != days:
            ring.rotation_days = ring.last_period = days
            ring.next_rotation = call.now + timedelta(days=days)
    return {}


def disable_key_rotation(call: Call) -> Result:
    """DisableKeyRotation."""
    key = call.key()
    call.may(key)
    _rotatable(key)
    call.steady(key, disabled=True)
    if key.ring.origin is not Origin.AWS_KMS:
        raise _origin(key)
    _primary(key)
    key.ring.rotation_days = key.ring.next_rotation = None
    return {}


def get_key_rotation_status(call: Call) -> Result:
    """GetKeyRotationStatus; for imported keys it always says that nothing rotates by itself."""
    key = call.key()
    call.may(key)
    _rotatable(key)
    ring = key.ring
    going = key.deletion is not None
    out: dict[str, object] = {"KeyId": key.arn, "KeyRotationEnabled": ring.rotation_days is not None and not going}
    if ring.rotation_days is not None and not going:
        out["RotationPeriodInDays"] = ring.rotation_days
        out["NextRotationDate"] = ring.next_rotation
    return out


def rotate_key_on_demand(call: Call) -> Result:
    """RotateKeyOnDemand: new material, or the imported one that is pending."""
    key = call.key()
    call.may(key)
    _rotatable(key)
    call.steady(key, disabled=True)
    _primary(key)
    ring = key.ring
    fresh = None
    with call.holdings.lock:
        if ring.origin is Origin.EXTERNAL:
            fresh = ring.pending
            if fresh is None or fresh.state is not MaterialState.PENDING_ROTATION or not key.has(fresh, call.now):
                raise bad_state(f"No available key material pending rotation for the key: {key.arn}.")
        if ring.on_demand >= ON_DEMAND:
            raise KmsError(
                "LimitExceededException",
                "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can "
                f"be performed for this key: {key.arn}",
            )
        ring.on_demand += 1
        planned = ring.next_rotation
        call.holdings.rotate(key, call.now, "ON_DEMAND", fresh)
        ring.next_rotation = planned  # a rotation on demand does not move the schedule
    call.logged = {"KeyId": key.arn}
    return call.logged


def list_key_rotations(call: Call) -> Result:
    """ListKeyRotations, of completed rotations or of all key material."""
    key = call.key()
    call.may(key)
    _rotatable(key)
    everything = call.params.text("IncludeKeyMaterial", "ROTATIONS_ONLY") == "ALL_KEY_MATERIAL"
    lines = [rotation(key, item, call.now) for item in key.ring.materials if everything or item.rotated is not None]
    return call.page(lines, "Rotations")


def _rotatable(key: Key) -> None:
    if key.ring.spec.kind is not Kind.SYMMETRIC:
        raise unsupported()
    if key.store is not None:
        raise _origin(key)


def _primary(key: Key) -> None:
    if key.ring.multi_region and key.region != key.ring.primary:
        raise unsupported(f"{key.arn} is not a multi-region primary key.")


def _origin(key: Key) -> KmsError:
    return unsupported(f"{key.arn} origin is {key.ring.origin} which is not valid for this operation.")
