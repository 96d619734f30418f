"""What a rotation in AWS is told: which key, what comes in, what of it lies in escrow; and what of that is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.types import Model, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.keys.drill import Refusal
from probes.keys.drill.aws_common import BY_HAND, KeyArn, KeyArns, written
from probes.keys.drill.aws_material import Escrow, MaterialId
from probes.keys.drill.aws_rotate_state import KeyNow
from probes.keys.drill.canary import Canary
from probes.keys.drill.wrapping import owner_key, read_file
from probes.keys.subjects import Incoming, Key

KIND: Final = "aws-rotate"


class MaterialEscrow(Escrow):
    """Where one material of the key, for one Region, lies outside of AWS."""

    material: MaterialId


class RotateParameters(Model):
    """Which key, what comes in, and what of it lies in escrow."""

    keys: KeyArns
    primary: KeyArn
    """Of a multi-Region key: where it is rotated. Otherwise the key itself."""
    production: bool
    """Escrow of every material in every Region must be proved first."""
    imported: bool
    incoming: Incoming
    escrow: Annotated[tuple[MaterialEscrow, ...], Field(max_length=2000)]
    canary: Canary

    def arns(self) -> tuple[KmsArn, ...]:
        """The key in every Region."""
        return tuple(kms_arn(key) for key in self.keys)

    def escrow_of(self, arn: KmsArn, material: str) -> MaterialEscrow | None:
        """Of one material in one Region."""
        return next((item for item in self.escrow if (item.key, item.material) == (str(arn), material)), None)


class RotateBefore(Model):
    """The key as it was."""

    places: Annotated[tuple[KeyNow, ...], Field(max_length=100)]


def description_of(drill: str) -> str:
    """How new material that a drill brought in is told from anybody else's (KeyMaterialDescription)."""
    return f"keycheck drill {drill}"


def rotate(
    drill: str,
    subject: Key,
    keys: Iterable[str],
    primary: str,
    canary: Canary,
    deadline: datetime,
    *,
    imported: bool,
    production: bool = True,
    incoming: Incoming | None = None,
    escrow: Iterable[MaterialEscrow] = (),
) -> Change:
    """The change that a drill makes: for ever, so what is left to a person is new material that was not rotated to."""
    parameters = RotateParameters(
        keys=tuple(keys),
        primary=primary,
        production=production,
        imported=imported,
        incoming=incoming or Incoming(),
        escrow=tuple(escrow),
        canary=canary,
    )
    return Change(
        kind=KIND,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=written(subject),
        parameters=written(parameters),
        deadline=deadline,
        by_hand=tuple(_by_hand(parameters, drill)),
    )


def check_incoming(incoming: Incoming, regions: int, base: Path, *, imported: bool, production: bool) -> None:
    """What is to come in can be had, and will not be lost. Raises ProbeError."""
    if not imported:
        if incoming.wrapped is not None:
            raise ProbeError(Reason.UNSUPPORTED, "AWS makes this key's material: none can be brought; drop `incoming`")
        return
    if incoming.wrapped is not None:
        if incoming.token is None:
            raise ProbeError(Reason.UNSUPPORTED, "`incoming` needs the import `token` that its material is bound to")
        if regions > 1:
            raise ProbeError(
                Reason.UNSUPPORTED,
                "material that was wrapped beforehand is good for one Region, and the key has replicas: let it be made "
                "here, with `keep`",
            )
        read_file(base / incoming.wrapped)
        read_file(base / incoming.token)
    elif incoming.keep is not None:
        owner_key(base / incoming.keep)
    elif production:
        raise ProbeError(
            Reason.UNSUPPORTED,
            "material that is made here and kept nowhere would be lost for ever if AWS lost it: wrap it in your HSM ("
            "`keycheck drill import-parameters`), or name under `keep` the public key that it is sealed to",
        )


def unescrowed(escrow: Iterable[MaterialEscrow], places: Iterable[KeyNow]) -> Iterator[Refusal]:
    """Whether a material somewhere has no escrow declared."""
    have = {(item.key, item.material) for item in escrow}
    lacking = [(now.arn, line.id) for now in places for line in now.materials if (now.arn, line.id) not in have]
    if lacking:
        arn, material = lacking[0]
        yield Refusal(
            Reason.UNSUPPORTED,
            vendor_text(
                f"escrow is not declared of every material in every Region ({len(lacking)} lacking, {material} in "
                f"{arn.split(':')[3]} among them): after a rotation all of them must stay imported for ever; declare "
                "`escrow`, or rotate a canary key"
            ),
        )


def _by_hand(parameters: RotateParameters, drill: str) -> Iterator[str]:
    """What is left to a person; of more Regions than fit, the first."""
    if not parameters.imported:
        yield f"nothing can be taken back: {parameters.primary} has new material, or a rotation to it is in progress"
        return
    shown = sorted(parameters.arns(), key=lambda arn: str(arn) == parameters.primary)[-BY_HAND:]
    for arn in shown:
        yield vendor_text(
            f"aws kms delete-imported-key-material --region {arn.region} --key-id {arn} --key-material-id …   # only "
            f"one that `aws kms list-key-rotations --include-key-material ALL_KEY_MATERIAL` shows as PENDING_… and "
            f"described as '{description_of(drill)}'"
        )
