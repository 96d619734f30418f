"""Revoke by deleting imported key material. Only with proved escrow: the same material was imported again before."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, StringConstraints, model_validator

from keycheck.errors import ProbeError
from keycheck.model.deployment import FileRef
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Instant, Model, VendorText, format_instant, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import Answer, children, flag, instant_or_none, parsing, text, text_or_none
from probes.keys.drill.aws_calls import Hand, Sleep, hand, pause
from probes.keys.drill.aws_common import KeyArn, KeyArns, commands, everywhere, felt, read, subject_of, together
from probes.keys.drill.aws_common import written as kept
from probes.keys.drill.aws_dead_man import AwsDeadMan, Deed, delete_command
from probes.keys.drill.aws_disable import state_of, swept
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.aws_tags import Breadcrumbs, untag_command
from probes.keys.drill.aws_wrapping import brought
from probes.keys.drill.canary import Canary
from probes.keys.drill.dead_man import WAITS, Waits, dismissed, missing
from probes.keys.subjects import DeadMan, Key

_PAUSES: Final = (0.0, 0.2, 0.4, 0.8, 1.6)
_FOREVER: Final = "KEY_MATERIAL_DOES_NOT_EXPIRE"
_UNTIL: Final = "KEY_MATERIAL_EXPIRES"
_SAME: Final = "EXISTING_KEY_MATERIAL"

MaterialId = Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$")]


class Escrow(Model):
    """Where the material of the key in one Region lies outside of AWS: wrapped beforehand in the customer's HSM
    together with its import token, or as 32 plain octets that are wrapped when needed and never written or kept."""

    key: KeyArn
    wrapped: FileRef | None = None
    token: FileRef | None = None
    """Of GetParametersForImport; both it and what was wrapped are good for a day."""
    local: FileRef | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.local is None) == (self.wrapped is None) or (self.wrapped is None) != (self.token is None):
            raise ValueError("name either `local`, or `wrapped` and `token`")
        return self


class MaterialParameters(Model):
    """Which material of which key, and where its escrow is."""

    keys: KeyArns
    material: MaterialId
    escrow: Annotated[tuple[Escrow, ...], Field(min_length=1, max_length=100)]
    canary: Canary
    dead_man: DeadMan | None = None
    """Without one nothing is taken away."""
    tagged: bool = False
    """Whether tags on the key tell of the drill."""

    @model_validator(mode="after")
    def _everywhere(self) -> Self:
        if sorted(item.key for item in self.escrow) != sorted(self.keys):
            raise ValueError("escrow of the material for each Region, once")
        return self

    def arns(self) -> tuple[KmsArn, ...]:
        """The key in every Region."""
        return tuple(kms_arn(key) for key in self.keys)

    def escrow_of(self, arn: KmsArn) -> Escrow:
        """For one Region."""
        return next(item for item in self.escrow if item.key == str(arn))


class MaterialState(Model):
    """The material in one Region."""

    arn: VendorText
    state: VendorText
    """Of the key."""
    role: VendorText | None
    """`CURRENT`, `NON_CURRENT`."""
    imported: VendorText | None
    expiration: VendorText | None
    valid_to: Instant | None


class MaterialBefore(Model):
    """The material as it was."""

    states: Annotated[tuple[MaterialState, ...], Field(max_length=100)]

    def of(self, arn: KmsArn) -> MaterialState:
        """In one Region. Raises ProbeError(malformed)."""
        found = next((item for item in self.states if item.arn == str(arn)), None)
        if found is None:
            raise ProbeError(Reason.MALFORMED, f"the material in {arn.region} was not looked at before")
        return found


def delete_material(
    drill: str,
    subject: Key,
    keys: Iterable[str],
    material: str,
    escrow: Iterable[Escrow],
    canary: Canary,
    deadline: datetime,
    *,
    dead_man: DeadMan | None = None,
    tagged: bool = False,
) -> Change:
    """The change that a drill makes. Ends only when somebody imports the same material again: we, or the dead-man in
    the cloud."""
    parameters = MaterialParameters(
        keys=tuple(keys), material=material, escrow=tuple(escrow), canary=canary, dead_man=dead_man, tagged=tagged
    )
    importing = commands(
        parameters.arns(),
        lambda arn: (
            f"aws kms import-key-material --region {arn.region} --key-id {arn} --key-material-id {material} "
            "--encrypted-key-material fileb://… --import-token fileb://… --expiration-model …   # as in the record"
        ),
    )
    return Change(
        kind=DeleteMaterial.kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=kept(subject),
        parameters=kept(parameters),
        deadline=deadline,
        by_hand=(
            *importing,
            *(() if dead_man is None else (delete_command(dead_man, drill, parameters.arns()),)),
            *((untag_command(parameters.arns()),) if tagged else ()),
        ),
    )


class DeleteMaterial(Mechanism):
    """DeleteImportedKeyMaterial and ImportKeyMaterial of the very same material.

    The rehearsal imports it while it is still there, with the expiration that it has: AWS takes nothing but the same
    material, so this proves the escrow. The dead-man's schedule carries import token and wrapped material, both of
    which only AWS can open; the rehearsal shows that it imports them. They are good for a day: what was wrapped
    beforehand must be younger than that at the deadline, which no call tells. Source: KMS developer guide, "Reimport
    key material".
    """

    kind: ClassVar[str] = "aws-delete-material"
    lossless: ClassVar[bool] = False
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None, waits: Waits = WAITS) -> None:
        self._sleep = sleep or pause()
        self._waits = waits

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The material in every Region, as the key lists it."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        states = tuple(
            _state(hand(io, subject.identities.drill, arn), arn, parameters.material) for arn in parameters.arns()
        )
        return kept(MaterialBefore(states=states))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Import the same material again while it is there, as the identity that restores, and by the dead-man, which
        is armed then."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        dead_man = self._needed(change, subject, parameters)
        deeds: list[Deed] = []
        for arn in parameters.arns():
            if (state := known.of(arn)).imported != "IMPORTED" or state.state != "Enabled":
                raise ProbeError(
                    Reason.UNSUPPORTED, f"{arn.region}: the material is not imported, or the key not Enabled"
                )
            if state.valid_to is not None and state.valid_to <= change.deadline:
                raise ProbeError(Reason.UNSUPPORTED, f"{arn.region}: the material expires before the deadline")
            who = hand(io, subject.identities.restore, arn)
            given = brought(who, arn, parameters.escrow_of(arn), io.base)
            _import(who, arn, parameters, state, given)
            if _state(who, arn, parameters.material) != state:
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: importing again changed the material's standing")
            deeds.append(_deed(arn, parameters, state, given))
            Breadcrumbs(change, subject, parameters.tagged).rehearse(arn, io)
        dead_man.arm(deeds, io)
        for arn in parameters.arns():
            if _state(hand(io, subject.identities.restore, arn), arn, parameters.material) != known.of(arn):
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: the dead-man imported it with another standing")

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """DeleteImportedKeyMaterial in every Region, if the dead-man stands in each."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        if io.clock() >= change.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
        deeds = [_deed(arn, parameters, known.of(arn), (b"", b"")) for arn in parameters.arns()]
        self._needed(change, subject, parameters).armed(deeds, io)
        for arn in parameters.arns():
            Breadcrumbs(change, subject, parameters.tagged).set(arn, io)
        for arn in parameters.arns():
            who = hand(io, subject.identities.drill, arn)
            if _state(who, arn, parameters.material) != known.of(arn):
                raise ProbeError(
                    Reason.CONFLICTING, f"{arn.region}: the material is not as it was looked at; start anew"
                )
            who.ask(
                "kms:DeleteImportedKeyMaterial",
                arn.region,
                once=True,
                KeyId=str(arn),
                KeyMaterialId=parameters.material,
            )

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Import the same material again where it is not there as it was; then the dead-man may go."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        dead_man = self._dead_man(change, subject, parameters)

        def restore(arn: KmsArn) -> None:
            who, state = hand(io, subject.identities.restore, arn), known.of(arn)
            for wait in _PAUSES:
                self._sleep(wait)
                if _state(who, arn, parameters.material).imported != "IMPORTED":
                    _import(who, arn, parameters, state, brought(who, arn, parameters.escrow_of(arn), io.base))
                elif wait:  # looked twice: the first answer may be stale
                    if dead_man is not None:
                        dead_man.dismiss(arn, io)
                    Breadcrumbs(change, subject, parameters.tagged).dismiss(arn, io)
                    return
            raise ProbeError(Reason.PROPAGATION_PENDING, f"{arn.region}: the import was taken, and does not show yet")

        everywhere(parameters.arns(), restore)

    def tidy(self, change: Change, before: CanonicalJson, io: Io) -> str:
        """The dead-man and the tags go; material that is away before we took it was taken by somebody else."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        dead_man, crumbs = self._dead_man(change, subject, parameters), Breadcrumbs(change, subject, parameters.tagged)
        words = swept(parameters.arns(), dead_man, crumbs, io)
        for arn in parameters.arns():
            now = _state(hand(io, subject.identities.restore, arn), arn, parameters.material)
            if (now.imported, now.state) != ("IMPORTED", "Enabled"):
                told = f"{arn.region}: the material is {now.imported}, the key {now.state}"
                words.append(vendor_text(f"{told}, not by this drill, and is left so"))
        return "; ".join(filter(None, words))

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The material as it was, the key enabled, and the canary decrypted, in every Region."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        dead_man = self._dead_man(change, subject, parameters)
        found = [(arn, self._stands(arn, subject, parameters, known, io)) for arn in parameters.arns()]
        if dead_man is not None and all(each.where is Where.RESTORED for _, each in found):
            found = [(arn, dismissed(each, partial(dead_man.left, arn, io))) for arn, each in found]
        crumbs = Breadcrumbs(change, subject, parameters.tagged)
        return together([(arn, dismissed(each, partial(crumbs.left, arn, io))) for arn, each in found])

    def _needed(self, change: Change, subject: Key, parameters: MaterialParameters) -> AwsDeadMan:
        dead_man = self._dead_man(change, subject, parameters)
        if dead_man is None:
            raise missing("deleting imported material")
        return dead_man

    def _dead_man(self, change: Change, subject: Key, parameters: MaterialParameters) -> AwsDeadMan | None:
        if parameters.dead_man is None:
            return None
        return AwsDeadMan(change.drill, subject, parameters.dead_man, change.deadline, self._waits, self._sleep)

    def _stands(
        self, arn: KmsArn, subject: Key, parameters: MaterialParameters, known: MaterialBefore, io: Io
    ) -> Standing:
        was = known.of(arn)
        try:
            now = _state(hand(io, subject.identities.restore, arn), arn, parameters.material)
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the key's material is not known: {error}"))
        if now.imported != "IMPORTED":
            return Standing(Where.CHANGED, "the material is not imported")
        if (now.role, now.expiration, now.valid_to) != (was.role, was.expiration, was.valid_to):
            return Standing(Where.FOREIGN, "the material is imported with another role or expiration than before")
        if now.state != "Enabled":
            return Standing(Where.CHANGED, vendor_text(f"the material is imported, and the key is {now.state}"))
        standing = felt(io, subject, arn, parameters.canary, Withholding.PENDING_IMPORT)
        return Standing(standing.where, f"the material is imported as before and {standing.words}")


def _import(
    who: Hand, arn: KmsArn, parameters: MaterialParameters, was: MaterialState, given: tuple[bytes, bytes]
) -> None:
    ends: dict[str, Any] = {"ExpirationModel": _FOREVER}
    if was.valid_to is not None:
        ends = {"ExpirationModel": _UNTIL, "ValidTo": was.valid_to}
    who.ask(
        "kms:ImportKeyMaterial",
        arn.region,
        KeyId=str(arn),
        ImportToken=given[0],
        EncryptedKeyMaterial=given[1],
        KeyMaterialId=parameters.material,
        ImportType=_SAME,
        **ends,
    )


def _deed(arn: KmsArn, parameters: MaterialParameters, was: MaterialState, given: tuple[bytes, bytes]) -> Deed:
    """The same as a universal target takes it. That times are written as texts there is assumed, and the rehearsal
    shows whether it holds."""
    token, wrapped = (b64encode(each).decode("ascii") for each in given)
    asked = {"KeyId": str(arn), "KeyMaterialId": parameters.material, "ImportType": _SAME, "ExpirationModel": _FOREVER}
    if was.valid_to is not None:
        asked |= {"ExpirationModel": _UNTIL, "ValidTo": format_instant(was.valid_to)}
    asked |= {"ImportToken": token, "EncryptedKeyMaterial": wrapped}
    return Deed(arn, "ImportKeyMaterial", asked, frozenset({"ImportToken", "EncryptedKeyMaterial"}))


def _state(who: Hand, arn: KmsArn, material: str) -> MaterialState:
    operation = "kms:ListKeyRotations"

    def fetch(token: str | None) -> Page[Answer]:
        asked: dict[str, Any] = {"KeyId": str(arn), "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 100}
        answer = who.ask(operation, arn.region, **(asked if token is None else asked | {"Marker": token}))
        with parsing(operation):
            more = flag(answer, "Truncated", default=False)
            return Page(children(answer, "Rotations", required=True), text(answer, "NextMarker") if more else None)

    state = state_of(who, arn)
    listing = collect(operation, fetch)
    with parsing(operation):
        found = next((item for item in listing.items if item.get("KeyMaterialId") == material), None)
        if found is None:
            raise ProbeError(Reason.UNREACHABLE, f"{arn.region}: the key has no such material; list its rotations")
        return MaterialState(
            arn=str(arn),
            state=state,
            role=text_or_none(found, "KeyMaterialState"),
            imported=text_or_none(found, "ImportState"),
            expiration=text_or_none(found, "ExpirationModel"),
            valid_to=instant_or_none(found, "ValidTo"),
        )
