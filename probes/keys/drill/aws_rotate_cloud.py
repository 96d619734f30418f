"""What a rotation drill needs of AWS: the checks before, the change, which material is current, who used which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.clients import api
from probes.clouds.aws.reading import parsing, text
from probes.keys.aws.describe import Described, located
from probes.keys.drill import Refusal
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_common import read
from probes.keys.drill.aws_credentials import lasts
from probes.keys.drill.aws_log import RawLog, recent, with_files
from probes.keys.drill.aws_people import clock, people
from probes.keys.drill.aws_rotate import Rotate
from probes.keys.drill.aws_rotate_log import material_uses
from probes.keys.drill.aws_rotate_plan import MaterialEscrow, RotateParameters, check_incoming, rotate, unescrowed
from probes.keys.drill.aws_rotate_state import MOST, KeyNow, against, described, key_now, of, rotation_status, rotations
from probes.keys.drill.aws_window import markers, marking
from probes.keys.drill.canary import Canary, plant
from probes.keys.drill.muted import aws_muted
from probes.keys.drill.offset import SECOND
from probes.keys.drill.rotating import EscrowProof, MaterialSeen, MaterialUses, Order, PlaceSeen, refuse, target
from probes.keys.drill.window import Window
from probes.keys.drill_facts import Markers
from probes.keys.subjects import Escrow, Incoming, Key

KEPT: Final = timedelta(days=90)
"""How far CloudTrail's event history reaches."""
SETTLE: Final = timedelta(minutes=5)
"""After the deadline, for looking again: no material may expire before."""
_ORIGINS: Final = ("AWS_KMS", "EXTERNAL")


@dataclass(frozen=True, slots=True)
class AwsRotation:
    """One rotation's hands and eyes in AWS."""

    drill: str
    subject: Key
    io: Io
    arns: tuple[KmsArn, ...]
    """The key in every Region, the primary first."""
    before: KeyNow
    """In the primary's Region."""
    canary: Canary
    change: Change
    mechanism: Mechanism
    imported: bool
    ours: tuple[str, ...]
    clock_us: int
    irreversible: tuple[str, ...]
    started: datetime
    notes: tuple[str, ...] = ()
    _proofs: dict[tuple[str, str], EscrowProof] = field(default_factory=dict)
    _marks: list[str] = field(default_factory=list)

    @classmethod
    def prepared(cls, order: Order, io: Io) -> AwsRotation:
        """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
        subject, plan, started = order.subject, order.plan, io.clock()
        named = target(order)
        found = located(subject.model_copy(update={"resource": named}), io)
        production = order.technique is Technique.ROTATE_KEY
        refuse(tuple(_kind(found)))
        if not production:
            _apart(order, found, io)
        spread = found.description.multi_region
        primary = found.arn if spread is None else kms_arn(spread.primary)
        arns = tuple(sorted(found.related, key=lambda arn: (arn != primary, arn.region)))
        places = tuple(key_now(hand(io, subject.identities.drill, arn), arn) for arn in arns)
        until = order.deadline + plan.settle + SETTLE
        imported = found.description.origin == "EXTERNAL"
        escrow = tuple(_escrow(plan.escrow, arns, places)) if imported else ()
        refusals = [
            *against(places, primary, rotation_status(hand(io, subject.identities.drill, primary), primary), until),
            *people(subject, arns, until, io),
            *_lasting(subject, primary, until, io),
            *_incoming(order, imported, len(arns), io),
        ]
        if production and imported:
            refusals += unescrowed(escrow, places)
        if order.deadline <= io.clock():
            refusals.append(Refusal(Reason.NOT_COVERED, "the deadline is over; plan the drill anew"))
        refuse(refusals)
        try:
            canary = plant(
                hand(io, subject.identities.control, primary),
                primary,
                plan.context,
                rest=plan.rest,
                varies=plan.varies,
                planted=plan.planted,
                entropy=io.entropy,
            )
        except ValueError as error:
            raise ProbeError(
                Reason.UNSUPPORTED, "no canary can have this `context`: see what the deployment says under `drill`"
            ) from error
        change = rotate(
            order.drill,
            subject,
            [str(arn) for arn in arns],
            str(primary),
            canary,
            order.deadline,
            imported=imported,
            production=production,
            incoming=plan.incoming,
            escrow=escrow,
        )
        proofs: dict[tuple[str, str], EscrowProof] = {}

        def told(proof: EscrowProof) -> None:
            proofs[proof.place, proof.material] = proof

        offset = clock(subject, arns, io)
        return cls(
            drill=order.drill,
            subject=subject,
            io=io,
            arns=arns,
            before=of(places, primary),
            canary=canary,
            change=change,
            mechanism=Rotate(workdir=order.workdir, told=told),
            imported=imported,
            ours=_ours(subject, primary, io),
            clock_us=((timedelta(0) if offset is None else offset.most) + SECOND) // timedelta(microseconds=1),
            irreversible=tuple(_irreversible(imported, rotations(of(places, primary)), _has_copy(plan.incoming))),
            started=started,
            _proofs=proofs,
        )

    @property
    def claims(self) -> frozenset[str]:
        """The key in every Region."""
        return frozenset(map(str, self.arns))

    @property
    def key(self) -> str:
        """The primary's ARN."""
        return str(self.arns[0])

    @property
    def places(self) -> tuple[str, ...]:
        """Its Regions."""
        return tuple(arn.region for arn in self.arns)

    @property
    def room(self) -> tuple[int, int]:
        """Of the rotations on demand that a key may have."""
        return rotations(self.before), MOST

    @property
    def escrow(self) -> tuple[EscrowProof, ...]:
        """Of every material in every Region."""
        if not self.imported:
            return ()
        missing = Unseen(reason=Reason.NOT_RECORDED, detail="not rehearsed")
        return tuple(
            self._proofs.get((arn.region, line.id), EscrowProof(line.id, arn.region, missing, missing.detail))
            for arn in self.arns
            for line in self.before.materials
        )

    def previous(self) -> tuple[str, ...]:
        """The current material first; the others as the key lists them."""
        current = self.before.current
        rest = [line.id for line in self.before.materials if line.id != current]
        return tuple(rest if current is None else [current, *rest])

    def material_now(self) -> MaterialSeen | Unseen:
        """DescribeKey's CurrentKeyMaterialId, and the KeyMaterialId of a ciphertext of our own, in every Region. The
        answer to Encrypt names no material; Decrypt's does."""
        try:
            places = tuple(self._place(arn) for arn in self.arns)
        except ProbeError as error:
            return Unseen(reason=error.reason, detail=vendor_text(str(error)))
        return MaterialSeen(self.io.clock(), places)

    def mark(self) -> None:
        """An Encrypt of our own in every Region, under a context that is like the canary's. Raises ProbeError."""
        for arn in self.arns:
            answer = hand(self.io, self.subject.identities.control, arn).ask(
                "kms:Encrypt",
                arn.region,
                KeyId=str(arn),
                Plaintext=b"keycheck",
                EncryptionContext=marking(self.canary, self.drill),
            )
            metadata = answer.get("ResponseMetadata")
            if isinstance(metadata, dict) and isinstance(request := metadata.get("RequestId"), str):
                self._marks.append(vendor_text(request, 100))

    def marks(self) -> tuple[str, ...]:
        """Request ids."""
        return tuple(self._marks)

    def log_uses(self, at: Mapping[str, datetime]) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
        """CloudTrail of every Region: its event history, and files of it that the deployment names."""
        return log_of(self.subject, self.change, self.marks(), self.started, at, self.io)

    def _place(self, arn: KmsArn) -> PlaceSeen:
        _, listed = described(hand(self.io, self.subject.identities.drill, arn), arn)
        who, context = hand(self.io, self.subject.identities.control, arn), dict(self.canary.context)
        sealed = who.ask(
            "kms:Encrypt", arn.region, KeyId=str(arn), Plaintext=b"keycheck", EncryptionContext=context
        ).get("CiphertextBlob")
        opened = who.ask("kms:Decrypt", arn.region, KeyId=str(arn), CiphertextBlob=sealed, EncryptionContext=context)
        with parsing("kms:Decrypt"):
            used = text(opened, "KeyMaterialId")
        if listed is None:
            raise ProbeError(Reason.MALFORMED, "kms:DescribeKey: names no current material")
        return PlaceSeen(arn.region, listed, used)


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
    """What the log says by now of a drill, from what its journal says of it. Raises nothing but for a journal that
    cannot be read."""
    if not {"intended", "acted"} <= at.keys():
        unseen = Unseen(reason=Reason.NOT_RECORDED, detail="the key was not rotated")
        return unseen, unseen
    now = io.clock()
    if now - started > KEPT:
        unseen = Unseen(reason=Reason.NOT_COVERED, detail="the drill is longer ago than CloudTrail's history reaches")
        return unseen, unseen
    about = read(RotateParameters, change.parameters)
    arns = about.arns()
    try:
        span = now - started + timedelta(seconds=2)
        logs: Sequence[RawLog] = [with_files(recent(subject, arn, span, io), subject, io) for arn in arns]
        muted = aws_muted(subject, arns, io)
    except ProbeError as error:
        unseen = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        return unseen, unseen
    window = Window(at["intended"], at["acted"], at.get("undo-intended", now), at.get("found-restored", now))
    return material_uses(logs, at["intended"], muted), markers(logs, window, about.canary, change.drill, ids=marks)


def _kind(found: Described) -> Iterator[Refusal]:
    what = found.description
    if what.usage != "ENCRYPT_DECRYPT" or what.spec != "SYMMETRIC_DEFAULT":
        yield Refusal(Reason.UNSUPPORTED, "AWS rotates only symmetric keys for encryption and decryption")
    if what.origin not in _ORIGINS:
        yield Refusal(
            Reason.UNSUPPORTED,
            f"the key is held in a custom key store ({what.origin}): rotate it in that store, by hand, and let the "
            "vendor show which version its new records use",
        )
    if what.manager != "CUSTOMER":
        yield Refusal(Reason.UNSUPPORTED, "the key is AWS's own: only AWS rotates it")


def _apart(order: Order, found: Described, io: Io) -> None:
    """Raises ProbeError for a canary key that the customer has not declared to be one, or that is a key of the
    deployment itself."""
    subject = order.subject
    if not order.plan.canary_declared:
        raise ProbeError(
            Reason.UNSUPPORTED,
            "an AWS key's id does not say what is under it: declare `canary_declared: true` if it is canaries alone",
        )
    for resource in (subject.resource, *subject.availability_keys):
        if located(subject.model_copy(update={"resource": resource}), io).arn.related == found.arn.related:
            raise ProbeError(
                Reason.UNSUPPORTED,
                "`canary_key` is a key of the deployment itself: name another one, or rotate the key itself on purpose",
            )


def _escrow(declared: Sequence[Escrow], arns: Sequence[KmsArn], places: Sequence[KeyNow]) -> Iterator[MaterialEscrow]:
    """What is declared, for each Region that it is good for: plain octets for all, wrapped ones for one."""
    for arn in arns:
        for line in of(places, arn).materials:
            for item in declared:
                region = item.region or (arn.region if item.local is not None else arns[0].region)
                if item.material == line.id and region == arn.region and item.import_job is None:
                    yield MaterialEscrow(
                        key=str(arn), material=line.id, wrapped=item.wrapped, token=item.token, local=item.local
                    )
                    break


def _incoming(order: Order, imported: bool, regions: int, io: Io) -> Iterator[Refusal]:
    production = order.technique is Technique.ROTATE_KEY
    try:
        check_incoming(order.plan.incoming, regions, io.base, imported=imported, production=production)
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(str(error)))


def _lasting(subject: Key, primary: KmsArn, until: datetime, io: Io) -> Iterator[Refusal]:
    """Whoever tidies up must be able to until the end: here it is who acts."""
    try:
        why = lasts(io, subject.identities.drill, primary, until)
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(f"the credentials for `drill`: {error}"))
        return
    if why is not None:
        yield Refusal(Reason.PERMISSION_DENIED, f"the credentials for `drill` do not outlive the drill: {why}")


def _has_copy(incoming: Incoming) -> bool:
    """Whether the new material exists outside of AWS, too."""
    return incoming.wrapped is not None or incoming.keep is not None


def _irreversible(imported: bool, used: int, kept: bool) -> Iterator[str]:
    yield "AWS does not turn a rotation back: the old material decrypts, and never becomes current again"
    yield f"it takes one of the {MOST} rotations on demand that a key may have; {MOST - used - 1} are left after it"
    if imported:
        yield "from now on every material of the key must stay imported: if one expires or is deleted, the key stops"
        if not kept:
            yield "material that is made here and not sealed to a key of yours exists in AWS alone"


def _ours(subject: Key, arn: KmsArn, io: Io) -> tuple[str, ...]:
    """Our own principals as the log names them, sessions under their roles."""
    roles = subject.identities
    named = {
        api(io, ref, arn.partition, arn.region).caller(arn.region)[0]
        for ref in (roles.drill, roles.control, roles.restore)
    }
    return tuple(sorted(named))
