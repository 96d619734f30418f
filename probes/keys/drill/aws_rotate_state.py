"""An AWS key and all its materials in one Region, as a rotation must know them; and why none may begin. Looks only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field

from keycheck.errors import ProbeError
from keycheck.model.types import Instant, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.pages import Page, collect, whole
from probes.clouds.aws.reading import Answer, child, children, flag, instant_or_none, parsing, text, text_or_none
from probes.keys.drill import Refusal
from probes.keys.drill.aws_calls import Hand

MOST: Final = 25
"""Rotations on demand that a key may ever have ("Quotas", KMS developer guide)."""
_MATERIALS: Final = 500


class MaterialLine(Model):
    """One line of ListKeyRotations."""

    id: VendorText
    state: VendorText | None
    """`CURRENT`, `NON_CURRENT`, `PENDING_ROTATION`, `PENDING_MULTI_REGION_IMPORT_AND_ROTATION`."""
    imported: VendorText | None
    """`IMPORTED`, `PENDING_IMPORT`; None for material that AWS made."""
    expiration: VendorText | None
    valid_to: Instant | None
    description: VendorText | None
    rotation: VendorText | None
    """`ON_DEMAND`, `AUTOMATIC`."""

    @property
    def pending(self) -> bool:
        """Whether it waits for its rotation, and may still be taken away without a trace."""
        return (self.state or "").startswith("PENDING_")


class KeyNow(Model):
    """The key in one Region."""

    arn: VendorText
    state: VendorText
    current: VendorText | None
    """What DescribeKey names as the current material."""
    materials: Annotated[tuple[MaterialLine, ...], Field(max_length=_MATERIALS)]

    @property
    def settled(self) -> frozenset[str]:
        """Materials that belong to the key for ever."""
        return frozenset(line.id for line in self.materials if not line.pending)


def key_now(who: Hand, arn: KmsArn) -> KeyNow:
    """DescribeKey and ListKeyRotations of all key material, every page. Raises ProbeError, also when it is not all."""
    state, current = described(who, arn)
    operation = "kms:ListKeyRotations"

    def fetch(token: str | None) -> Page[Answer]:
        asked: dict[str, Any] = {"KeyId": str(arn), "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 100}
        answer = who.ask(operation, arn.region, **(asked if token is None else asked | {"Marker": token}))
        with parsing(operation):
            more = flag(answer, "Truncated", default=False)
            return Page(children(answer, "Rotations", required=True), text(answer, "NextMarker") if more else None)

    lines = whole(collect(operation, fetch, max_items=_MATERIALS))
    with parsing(operation):
        return KeyNow(arn=str(arn), state=state, current=current, materials=tuple(map(_line, lines)))


def described(who: Hand, arn: KmsArn) -> tuple[str, str | None]:
    """State and current material by DescribeKey. Raises ProbeError."""
    operation = "kms:DescribeKey"
    answer = who.ask(operation, arn.region, KeyId=str(arn))
    with parsing(operation):
        metadata = child(answer, "KeyMetadata")
        return text(metadata, "KeyState"), text_or_none(metadata, "CurrentKeyMaterialId")


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """One answer to GetKeyRotationStatus."""

    going: datetime | None
    """When a rotation on demand that is not yet complete was asked for."""
    due: datetime | None
    """When AWS rotates the key by itself."""


def rotation_status(who: Hand, primary: KmsArn) -> RotationStatus:
    """GetKeyRotationStatus. Raises ProbeError."""
    operation = "kms:GetKeyRotationStatus"
    answer = who.ask(operation, primary.region, KeyId=str(primary))
    with parsing(operation):
        going = instant_or_none(answer, "OnDemandRotationStartDate")
        return RotationStatus(going, instant_or_none(answer, "NextRotationDate"))


def rotations(primary: KeyNow) -> int:
    """Rotations on demand that the key has had."""
    return sum(line.rotation == "ON_DEMAND" for line in primary.materials)


def against(places: Sequence[KeyNow], primary: KmsArn, status: RotationStatus, until: datetime) -> Iterator[Refusal]:
    """Why this key may not be rotated now. Pure."""
    for now in places:
        region = now.arn.split(":")[3]
        if now.state != "Enabled":
            yield Refusal(
                Reason.UNSUPPORTED, vendor_text(f"{region}: the key is {now.state} and not Enabled; mend that first")
            )
        if any(line.pending for line in now.materials):
            yield Refusal(
                Reason.CONFLICTING,
                f"{region}: a rotation is pending; finish it (RotateKeyOnDemand) or delete the pending material",
            )
        if any(line.imported == "PENDING_IMPORT" for line in now.materials if not line.pending):
            yield Refusal(Reason.CONFLICTING, f"{region}: a material of the key is not imported; import it first")
        if any(line.valid_to is not None and line.valid_to <= until for line in now.materials):
            yield Refusal(
                Reason.CONFLICTING,
                f"{region}: imported material expires before the drill is over; import it anew first",
            )
        if now.arn == str(primary) and (used := rotations(now)) >= MOST:
            yield Refusal(
                Reason.UNSUPPORTED,
                f"{region}: {used} rotations on demand were made, and a key may have {MOST}: use another key",
            )
    if status.due is not None and status.due <= until:
        yield Refusal(
            Reason.CONFLICTING,
            f"{primary.region}: AWS rotates the key by itself before the drill is over; wait for that",
        )
    if status.going is not None:
        yield Refusal(Reason.CONFLICTING, f"{primary.region}: a rotation on demand is in progress; wait for its end")
    if len({(now.current, now.settled) for now in places}) > 1:
        yield Refusal(Reason.CONFLICTING, "the key's Regions do not name the same materials; wait until they do")


def of(places: Sequence[KeyNow], arn: KmsArn) -> KeyNow:
    """In one Region. Raises ProbeError(malformed)."""
    found = next((now for now in places if now.arn == str(arn)), None)
    if found is None:
        raise ProbeError(Reason.MALFORMED, f"the key in {arn.region} was not looked at before")
    return found


def _line(answer: Answer) -> MaterialLine:
    description = answer.get("KeyMaterialDescription")  # may hold line breaks, and whatever a stranger wrote
    return MaterialLine(
        id=text(answer, "KeyMaterialId"),
        state=text_or_none(answer, "KeyMaterialState"),
        imported=text_or_none(answer, "ImportState"),
        expiration=text_or_none(answer, "ExpirationModel"),
        valid_to=instant_or_none(answer, "ValidTo"),
        description=None if description is None else vendor_text(str(description)),
        rotation=text_or_none(answer, "RotationType"),
    )
