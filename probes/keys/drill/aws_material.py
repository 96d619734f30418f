"""Revoke by deleting imported key material. Only with proved escrow: the same material was imported again before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, StringConstraints, model_validator

from keycheck.errors import ProbeError
from keycheck.model.deployment import FileRef
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Instant, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.keys.aws.arns import KmsArn, kms_arn
from probes.keys.aws.pages import Page, collect
from probes.keys.aws.reading import Answer, children, flag, instant_or_none, parsing, text, text_or_none
from probes.keys.drill.aws_calls import Hand, Sleep, hand, pause
from probes.keys.drill.aws_common import KeyArn, KeyArns, commands, everywhere, felt, read, subject_of, together
from probes.keys.drill.aws_common import written as kept
from probes.keys.drill.aws_disable import state_of
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.canary import Canary
from probes.keys.subjects import Key

_OCTETS: Final = 32
_MAX_FILE: Final = 16 * 1024
_PAUSES: Final = (0.0, 0.2, 0.4, 0.8, 1.6)
_FOREVER: Final = "KEY_MATERIAL_DOES_NOT_EXPIRE"

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
) -> Change:
    """The change that a drill makes. Ends only when somebody imports the same material again."""
    parameters = MaterialParameters(keys=tuple(keys), material=material, escrow=tuple(escrow), canary=canary)
    return Change(
        kind=DeleteMaterial.kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=kept(subject),
        parameters=kept(parameters),
        deadline=deadline,
        by_hand=commands(
            parameters.arns(),
            lambda arn: (
                f"aws kms import-key-material --region {arn.region} --key-id {arn} --key-material-id {material} "
                "--encrypted-key-material fileb://… --import-token fileb://… --expiration-model …   # as in the record"
            ),
        ),
    )


class DeleteMaterial(Mechanism):
    """DeleteImportedKeyMaterial and ImportKeyMaterial of the very same material.

    The rehearsal imports it while it is still there, with the expiration that it has: AWS takes nothing but the same
    material, so this proves the escrow. Source: KMS developer guide, "Reimport key material".
    """

    kind: ClassVar[str] = "aws-delete-material"
    lossless: ClassVar[bool] = False
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None) -> None:
        self._sleep = sleep or pause()

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The material in every Region, as the key lists it."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        states = tuple(
            _state(hand(io, subject.identities.drill, arn), arn, parameters.material) for arn in parameters.arns()
        )
        return kept(MaterialBefore(states=states))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Import the same material again while it is there, as the identity that restores."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        for arn in parameters.arns():
            if (state := known.of(arn)).imported != "IMPORTED" or state.state != "Enabled":
                raise ProbeError(
                    Reason.UNSUPPORTED, f"{arn.region}: the material is not imported, or the key not Enabled"
                )
            if state.valid_to is not None and state.valid_to <= change.deadline:
                raise ProbeError(Reason.UNSUPPORTED, f"{arn.region}: the material expires before the deadline")
            who = hand(io, subject.identities.restore, arn)
            self._import(who, arn, parameters, state, io)
            if _state(who, arn, parameters.material) != state:
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: importing again changed the material's standing")

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """DeleteImportedKeyMaterial in every Region."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        if io.clock() >= change.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
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
        """Import the same material again where it is not there as it was."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)

        def restore(arn: KmsArn) -> None:
            who, state = hand(io, subject.identities.restore, arn), known.of(arn)
            for wait in _PAUSES:
                self._sleep(wait)
                if _state(who, arn, parameters.material).imported != "IMPORTED":
                    self._import(who, arn, parameters, state, io)
                elif wait:  # looked twice: the first answer may be stale
                    return
            raise ProbeError(Reason.PROPAGATION_PENDING, f"{arn.region}: the import was taken, and does not show yet")

        everywhere(parameters.arns(), restore)

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The material as it was, the key enabled, and the canary decrypted, in every Region."""
        subject, parameters = subject_of(change), read(MaterialParameters, change.parameters)
        known = read(MaterialBefore, before)
        return together([(arn, self._stands(arn, subject, parameters, known, io)) for arn in parameters.arns()])

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

    def _import(self, who: Hand, arn: KmsArn, parameters: MaterialParameters, was: MaterialState, io: Io) -> None:
        token, wrapped = _wrapped(who, arn, parameters.escrow_of(arn), io.base)
        ends: dict[str, Any] = {"ExpirationModel": _FOREVER}
        if was.valid_to is not None:
            ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": was.valid_to}
        who.ask(
            "kms:ImportKeyMaterial",
            arn.region,
            KeyId=str(arn),
            ImportToken=token,
            EncryptedKeyMaterial=wrapped,
            KeyMaterialId=parameters.material,
            ImportType="EXISTING_KEY_MATERIAL",
            **ends,
        )


def _wrapped(who: Hand, arn: KmsArn, escrow: Escrow, base: Path) -> tuple[bytes, bytes]:
    """Import token and wrapped material."""
    if escrow.wrapped is not None and escrow.token is not None:
        return _file(base / escrow.token), _file(base / escrow.wrapped)
    if escrow.local is None:
        raise ProbeError(Reason.MALFORMED, "the drill's own record names no escrow")
    operation = "kms:GetParametersForImport"
    answer = who.ask(
        operation, arn.region, KeyId=str(arn), WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_4096"
    )
    token, public = answer.get("ImportToken"), answer.get("PublicKey")
    if not isinstance(token, bytes) or not isinstance(public, bytes):
        raise ProbeError(Reason.MALFORMED, f"{operation}: answered no token or no key")
    material = _file(base / escrow.local)
    if len(material) != _OCTETS:
        raise ProbeError(Reason.MALFORMED, f"the escrow file does not hold {_OCTETS} octets")
    return token, _sealed(material, public)


def _sealed(material: bytes, public: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProbeError(Reason.MALFORMED, "kms:GetParametersForImport: answered no public key") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise ProbeError(Reason.MALFORMED, "kms:GetParametersForImport: answered no RSA key of 2048 bits or more")
    return key.encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise ProbeError(
            Reason.UNREACHABLE, f"an escrow file cannot be read ({type(error).__name__}); check its path"
        ) from error
    if not content or len(content) > _MAX_FILE:
        raise ProbeError(Reason.MALFORMED, "an escrow file is empty or too long")
    return content


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
