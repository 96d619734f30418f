"""Rotate an AWS key on demand. It stays rotated; what can be tidied up is new material that never became current."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.keys.drill.aws_calls import Hand, Sleep, hand, pause
from probes.keys.drill.aws_common import everywhere, felt, read, subject_of, together, written
from probes.keys.drill.aws_rotate_plan import (
    KIND,
    RotateBefore,
    RotateParameters,
    check_incoming,
    description_of,
    unescrowed,
)
from probes.keys.drill.aws_rotate_state import KeyNow, MaterialLine, against, key_now, of, rotation_status
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.aws_wrapping import brought, import_parameters
from probes.keys.drill.rotating import EscrowProof, Told, refuse
from probes.keys.drill.wrapping import keep, made, owner_key, read_file, sealed, wrapped
from probes.keys.subjects import Key

IN_FLIGHT: Final = 10.0
"""Seconds after which a request of a process that died has been done or never will be: more than twice what one call
may take."""
_SPREAD: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between looks whether new material has reached every Region."""
_FOREVER: Final = "KEY_MATERIAL_DOES_NOT_EXPIRE"


class Rotate(Mechanism):
    """ImportKeyMaterial of new material where the customer brings it, then RotateKeyOnDemand, each once.

    A rotation that happened cannot be undone: the old material never becomes current again, and from then on every
    material must stay imported. Undoing takes away new material of this drill's that still waits for a rotation, told
    by its description, and nothing else; whether a rotation that was asked for happened is for the key itself to say.
    Whether that deletion is permitted is not rehearsed, as only deleting would show it.
    Source: KMS developer guide, "Perform on-demand key rotation", "Importing key material"; API pages of
    RotateKeyOnDemand, ImportKeyMaterial, DeleteImportedKeyMaterial.
    """

    kind: ClassVar[str] = KIND
    lossless: ClassVar[bool] = False
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None, workdir: Path | None = None, told: Told | None = None) -> None:
        """`workdir`: where material that is made here is kept, sealed, and `told`: who hears what escrow was proved.
        Recovery has neither, and needs neither."""
        self._sleep = sleep or pause()
        self._workdir = workdir
        self._told = told

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """State and materials in every Region. Raises ProbeError for a key that may not be rotated now."""
        subject, parameters = subject_of(change), read(RotateParameters, change.parameters)
        places, primary = self._places(subject, parameters, io), kms_arn(parameters.primary)
        status = rotation_status(hand(io, subject.identities.drill, primary), primary)
        refuse(tuple(against(places, primary, status, change.deadline)))
        return written(RotateBefore(places=places))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Import again, as the identity that restores, what lies in escrow, while it is imported and with the
        expiration that it has: AWS takes nothing but the same material. Then the canary must decrypt."""
        subject, parameters = subject_of(change), read(RotateParameters, change.parameters)
        known = read(RotateBefore, before).places
        check_incoming(
            parameters.incoming,
            len(parameters.keys),
            io.base,
            imported=parameters.imported,
            production=parameters.production,
        )
        pairs = [(arn, line) for arn in parameters.arns() for line in of(known, arn).materials]
        if not parameters.imported:
            pairs = []
        if parameters.production and parameters.imported:
            refuse(tuple(unescrowed(parameters.escrow, known)))
        for arn, line in pairs:
            self._prove(arn, line, subject, parameters, io)
        for arn in parameters.arns():
            if key_now(hand(io, subject.identities.drill, arn), arn) != of(known, arn):
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: the key is not as it was looked at; start anew")
            standing = felt(io, subject, arn, parameters.canary, Withholding.PENDING_IMPORT)
            if standing.where is not Where.RESTORED:
                raise ProbeError(Reason.NO_POSITIVE, vendor_text(f"{arn.region}: {standing.words}"))

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """New material into every Region, the primary first; then the rotation."""
        subject, parameters = subject_of(change), read(RotateParameters, change.parameters)
        known = read(RotateBefore, before).places
        if io.clock() >= change.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
        for now in self._places(subject, parameters, io):
            if now != of(known, kms_arn(now.arn)):
                raise ProbeError(Reason.CONFLICTING, "the key is not as it was looked at; start anew")
        primary = kms_arn(parameters.primary)
        who = hand(io, subject.identities.drill, primary)
        if parameters.imported:
            self._bring(change, subject, parameters, io)
            self._spread(who, primary, description_of(change.drill))
        who.ask("kms:RotateKeyOnDemand", primary.region, once=True, KeyId=str(primary))

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Delete new material of ours that still waits for its rotation, after time enough for a request under way to
        be done; in the replicas first. Changes nothing where a rotation is in progress or has happened."""
        subject, parameters = subject_of(change), read(RotateParameters, change.parameters)
        primary, ours = kms_arn(parameters.primary), description_of(change.drill)
        who = hand(io, subject.identities.drill, primary)
        if not parameters.imported or not _waiting(key_now(who, primary), ours):
            return
        self._sleep(IN_FLIGHT)
        who = hand(io, subject.identities.drill, primary)
        if rotation_status(who, primary).going is not None:
            return
        waiting = {line.id for line in _waiting(key_now(who, primary), ours)}
        replicas = [arn for arn in parameters.arns() if arn != primary]

        def delete(arn: KmsArn) -> None:
            there = hand(io, subject.identities.drill, arn)
            for line in key_now(there, arn).materials:
                # asked at the last moment: a material that came to be current must never be touched
                if line.id in waiting and line.pending and (arn == primary or line.imported == "IMPORTED"):
                    there.ask(
                        "kms:DeleteImportedKeyMaterial",
                        arn.region,
                        once=True,
                        KeyId=str(arn),
                        KeyMaterialId=line.id,
                    )

        everywhere(replicas, delete)
        delete(primary)

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """Restored: nothing of ours waits for a rotation and none is in progress, the key is enabled with all its
        materials, and the canary, sealed before, decrypts. The words say whether the key was rotated."""
        subject, parameters = subject_of(change), read(RotateParameters, change.parameters)
        known, primary = read(RotateBefore, before).places, kms_arn(parameters.primary)
        try:
            going = rotation_status(hand(io, subject.identities.drill, primary), primary).going
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"whether a rotation is in progress is not known: {error}"))
        if going is not None:
            return Standing(Where.CHANGED, "the rotation is still in progress")
        ours = description_of(change.drill)
        return together(
            [(arn, self._stands(arn, subject, parameters, of(known, arn), ours, io)) for arn in parameters.arns()]
        )

    def _stands(
        self, arn: KmsArn, subject: Key, parameters: RotateParameters, was: KeyNow, ours: str, io: Io
    ) -> Standing:
        try:
            now = key_now(hand(io, subject.identities.drill, arn), arn)
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the key's materials are not known: {error}"))
        if waiting := _waiting(now, ours):
            return Standing(Where.CHANGED, f"new material {waiting[0].id} of this drill waits for a rotation")
        for line in now.materials:
            if line.imported == "PENDING_IMPORT" and not line.pending:
                if line.id in was.settled:
                    return Standing(Where.FOREIGN, f"somebody took away material {line.id}: import it again")
                return Standing(Where.CHANGED, f"the new material {line.id} is not imported: import it again")
        if now.state != "Enabled":
            where = Where.CHANGED if now.state == "Updating" else Where.FOREIGN
            return Standing(where, vendor_text(f"the key is {now.state}, which is not this drill's doing"))
        standing = felt(io, subject, arn, parameters.canary, Withholding.PENDING_IMPORT)
        same = now.current == was.current
        words = "was not rotated" if same else f"was rotated, for ever, to material {now.current}"
        foreign = ", and somebody else's material waits for a rotation" if any(m.pending for m in now.materials) else ""
        return Standing(standing.where, vendor_text(f"the key {words}{foreign}; {standing.words}"))

    def _places(self, subject: Key, parameters: RotateParameters, io: Io) -> tuple[KeyNow, ...]:
        return tuple(key_now(hand(io, subject.identities.drill, arn), arn) for arn in parameters.arns())

    def _prove(self, arn: KmsArn, line: MaterialLine, subject: Key, parameters: RotateParameters, io: Io) -> None:
        """Import one material again. Raises ProbeError when that fails."""
        told = self._told or (lambda proof: None)
        escrow = parameters.escrow_of(arn, line.id)
        if escrow is None:
            detail = "no escrow of it is declared"
            told(EscrowProof(line.id, arn.region, Unseen(reason=Reason.NOT_COVERED, detail=detail), detail))
            return
        who = hand(io, subject.identities.restore, arn)
        token, octets = brought(who, arn, escrow, io.base)
        ends: dict[str, Any] = {"ExpirationModel": _FOREVER}
        if line.valid_to is not None:
            ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": line.valid_to}
        who.ask(
            "kms:ImportKeyMaterial",
            arn.region,
            once=True,
            KeyId=str(arn),
            ImportToken=token,
            EncryptedKeyMaterial=octets,
            KeyMaterialId=line.id,
            ImportType="EXISTING_KEY_MATERIAL",
            **_described(line),
            **ends,
        )
        told(EscrowProof(line.id, arn.region, io.clock(), "imported again while it was there, and taken as the same"))

    def _bring(self, change: Change, subject: Key, parameters: RotateParameters, io: Io) -> None:
        primary, incoming = kms_arn(parameters.primary), parameters.incoming
        ours = description_of(change.drill)
        if incoming.wrapped is not None and incoming.token is not None:
            token, octets = read_file(io.base / incoming.token), read_file(io.base / incoming.wrapped)
            _import(hand(io, subject.identities.drill, primary), primary, token, octets, None, ours)
            return
        with made(io.entropy) as material:
            if incoming.keep is not None:
                if self._workdir is None:
                    raise ProbeError(Reason.TOOL_MISSING, "there is no directory in which new material could be kept")
                keep(self._workdir, sealed(material, owner_key(io.base / incoming.keep), io.entropy))
            named: str | None = None
            for arn in sorted(parameters.arns(), key=lambda arn: arn != primary):
                who = hand(io, subject.identities.drill, arn)
                given = import_parameters(who, arn)
                named = _import(who, arn, given.token, wrapped(material, given.public), named, ours)

    def _spread(self, who: Hand, primary: KmsArn, ours: str) -> None:
        """Wait until the new material may be rotated to. Raises ProbeError."""
        for wait in _SPREAD:
            self._sleep(wait)
            if any(line.state == "PENDING_ROTATION" for line in _waiting(key_now(who, primary), ours)):
                return
        raise ProbeError(Reason.PROPAGATION_PENDING, "the new material was taken, and cannot be rotated to yet")


def _import(who: Hand, arn: KmsArn, token: bytes, octets: bytes, named: str | None, ours: str) -> str:
    """Bring in new material; `named`: its id, once the primary key has it. Gives its id. Raises ProbeError."""
    kind: dict[str, Any] = {"ImportType": "NEW_KEY_MATERIAL"}
    if named is not None:
        kind = {"ImportType": "EXISTING_KEY_MATERIAL", "KeyMaterialId": named}
    answer = who.ask(
        "kms:ImportKeyMaterial",
        arn.region,
        once=True,
        KeyId=str(arn),
        ImportToken=token,
        EncryptedKeyMaterial=octets,
        ExpirationModel=_FOREVER,
        KeyMaterialDescription=ours,
        **kind,
    )
    found = answer.get("KeyMaterialId")
    if not isinstance(found, str) or (named is not None and found != named):
        raise ProbeError(Reason.MALFORMED, "kms:ImportKeyMaterial: answered no id of the material, or another one")
    return found


def _described(line: MaterialLine) -> dict[str, str]:
    """Its own description again, unless it cannot be written as it was read: what a request leaves out is kept, as the
    API's page says."""
    told = line.description
    return {} if told is None or "\\" in told else {"KeyMaterialDescription": told}


def _waiting(now: KeyNow, ours: str) -> tuple[MaterialLine, ...]:
    return tuple(line for line in now.materials if line.pending and line.description == ours)
