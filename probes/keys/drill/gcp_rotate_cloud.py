"""What a rotation drill needs of Google Cloud: the checks before, the change, which version is primary, who used it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.names import KeyName, key_name
from probes.keys.drill import Refusal, Sight, gcp_preflight
from probes.keys.drill.aws_common import read
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_canary import GcpCanary, plant
from probes.keys.drill.gcp_log import USES, GcpRawLog, recent, with_files
from probes.keys.drill.gcp_marks import Marks, mark, marks_of, measured
from probes.keys.drill.gcp_rotate import (
    RotateVersion,
    RotateVersionParameters,
    apart,
    check_incoming,
    rotate,
    unproved,
)
from probes.keys.drill.gcp_rotate_state import KeyNow, against, key_now, primary_of
from probes.keys.drill.gcp_sentinel import Sentinel, Withholding
from probes.keys.drill.gcp_window import markers
from probes.keys.drill.muted import gcp_muted
from probes.keys.drill.offset import MAX_SKEW, SECOND, Offset, together
from probes.keys.drill.rotate_needs import GCP_IMPORTS, ROTATE_NEEDS
from probes.keys.drill.rotating import (
    EscrowProof,
    MaterialSeen,
    MaterialUses,
    Order,
    PlaceSeen,
    UseTally,
    refuse,
    target,
)
from probes.keys.drill.window import Window
from probes.keys.drill_facts import Markers
from probes.keys.key_control import HOLLOW
from probes.keys.subjects import Key

SETTLE: Final = timedelta(minutes=15)
"""After the deadline, for undoing and for looking again."""


@dataclass(frozen=True, slots=True)
class GcpRotation:
    """One rotation's hands and eyes in Google Cloud."""

    subject: Key
    io: Io
    name: KeyName
    before: KeyNow
    change: Change
    mechanism: Mechanism
    imported: bool
    ours: tuple[str, ...]
    control: str
    """The control identity, as the log names it."""
    started: datetime
    dated: Offset | None
    notes: tuple[str, ...]
    room: tuple[int, int] | None = None
    _proofs: dict[str, EscrowProof] = field(default_factory=dict)
    _calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Encryptions of the control identity, each of which is a mark."""
    _logged: list[Offset] = field(default_factory=list)

    @classmethod
    def prepared(cls, order: Order, io: Io) -> GcpRotation:
        """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
        subject, plan, started = order.subject, order.plan, io.clock()
        name, production = key_name(target(order)), order.technique is Technique.ROTATE_KEY
        now = key_now(hand(io, subject.identities.drill), name)
        until, notes = order.deadline + plan.settle + SETTLE, list[str]()
        refuse(tuple(against(now, until)))
        control = hand(io, subject.identities.control)
        asked = io.clock()
        canary = plant(control, name.full, planted=plan.planted, entropy=io.entropy)
        planted = (asked, io.clock())
        try:
            change = rotate(
                order.drill,
                subject,
                name.full,
                canary,
                order.deadline,
                primary=now.primary or "",
                imported=now.imported,
                production=production,
                declared=plan.canary_declared,
                incoming=plan.incoming,
            )
        except ValidationError as error:
            said = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise ProbeError(Reason.UNSUPPORTED, vendor_text(f"the canary's key: {said}")) from error
        dated = gcp_preflight._clock(subject, name, io, notes)
        refuse(
            [
                *unproved(now, production=production),
                *_incoming(order, change, now, io),
                *_people(subject, name, now, io),
                *gcp_preflight._lasting(subject, until, io, notes),
                *_clock(dated),
                *_readable(subject, name, canary, io),
            ]
        )
        account = _account(subject.identities.control, io)
        refs = (subject.identities.drill, subject.identities.restore)
        proofs: dict[str, EscrowProof] = {}

        def told(proof: EscrowProof) -> None:
            proofs[proof.material] = proof

        return cls(
            subject=subject,
            io=io,
            name=name,
            before=now,
            change=change,
            mechanism=RotateVersion(workdir=order.workdir, told=told),
            imported=now.imported,
            ours=tuple(sorted({account, *(_account(ref, io) for ref in refs)})),
            control=account,
            started=started,
            dated=dated,
            notes=tuple(notes),
            _proofs=proofs,
            _calls=[planted],
        )

    @property
    def claims(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.name.full})

    @property
    def key(self) -> str:
        """Its resource name."""
        return self.name.full

    @property
    def places(self) -> tuple[str, ...]:
        """Its location."""
        return (self.name.location,)

    @property
    def clock_us(self) -> int:
        """By the answers' Date and by our marks in the log; what a drill may start with where there is neither, for
        then the log does not count."""
        offset = self._offset()
        return (MAX_SKEW if offset is None else offset.most) // timedelta(microseconds=1)

    @property
    def irreversible(self) -> tuple[str, ...]:
        """What stays."""
        made = "the new version stays: keycheck destroys none, and what was written meanwhile needs it"
        incoming = read(RotateVersionParameters, self.change.parameters).incoming
        if self.imported and incoming.wrapped is None and incoming.keep is None:
            return made, "material that is made here and not sealed to a key of yours exists in Google Cloud alone"
        return (made,)

    @property
    def escrow(self) -> tuple[EscrowProof, ...]:
        """Of every imported version that still has its material; none can be proved."""
        missing = Unseen(reason=Reason.NOT_RECORDED, detail="not rehearsed")
        names = [self._version(line.id) for line in self.before.versions if line.imported and line.state not in HOLLOW]
        return tuple(
            self._proofs.get(name, EscrowProof(name, self.name.location, missing, missing.detail)) for name in names
        )

    def previous(self) -> tuple[str, ...]:
        """The primary version first; the others as the key lists them."""
        first = self.before.primary
        rest = [line.id for line in self.before.versions if line.id != first]
        return tuple(self._version(number) for number in (rest if first is None else [first, *rest]))

    def material_now(self) -> MaterialSeen | Unseen:
        """The primary version that GetCryptoKey names, and the one that an Encrypt of our own used."""
        try:
            listed = primary_of(hand(self.io, self.subject.identities.drill), self.name)
            asked = self.io.clock()
            sealed = plant(
                hand(self.io, self.subject.identities.control),
                self.name.full,
                planted=asked,
                entropy=self.io.entropy,
            )
        except ProbeError as error:
            return Unseen(reason=error.reason, detail=vendor_text(str(error)))
        answered = self.io.clock()
        self._calls.append((asked, answered))  # it stands in the log as a mark does
        seen = PlaceSeen(self.name.location, self._version(listed), self._version(sealed.version))
        return MaterialSeen(answered, (seen,))

    def mark(self) -> None:
        """An Encrypt of our own. Raises ProbeError."""
        self._calls.append(mark(self.name, hand(self.io, self.subject.identities.control)))

    def marks(self) -> tuple[str, ...]:
        """When our marks were made: the log names their caller, and has no id of theirs."""
        return Marks(tuple(self._calls), self.dated).texts()

    def log_uses(self, at: Mapping[str, datetime]) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
        """Cloud Audit Logs of the key."""
        calls = Marks(tuple(self._calls), self.dated)
        found, arrived, offset = _log(self.subject, self.name, self.control, calls, self.started, at, self.io)
        self._logged[:] = () if offset is None else (offset,)
        return found, arrived

    def _offset(self) -> Offset | None:
        return together([*(() if self.dated is None else (self.dated,)), *self._logged])

    def _version(self, number: str) -> str:
        return f"{self.name.full}/cryptoKeyVersions/{number}"


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
    """What the log says by now of a drill, from what its journal says of it. Raises ProbeError for a journal that
    cannot be read, and a control identity that does not say whose it is."""
    name = key_name(read(RotateVersionParameters, change.parameters).key)
    control = _account(subject.identities.control, io)
    found, arrived, _ = _log(subject, name, control, marks_of(marks), started, at, io)
    return found, arrived


def _log(
    subject: Key, name: KeyName, control: str, marks: Marks, started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[MaterialUses | Unseen, Markers | Unseen, Offset | None]:
    if not {"intended", "acted"} <= at.keys():
        unseen = Unseen(reason=Reason.NOT_RECORDED, detail="the key was not rotated")
        return unseen, unseen, None
    now, about = io.clock(), _of_canaries(subject, name.full)
    try:
        logs = with_files(recent(about, (name,), now - started + 2 * SECOND, io), about, io)
    except ProbeError as error:
        unseen = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        return unseen, unseen, None
    window = Window(at["intended"], at["acted"], at.get("undo-intended", now), at.get("found-restored", now))
    arrived, offset = markers(logs, window, (control,)), measured(logs, marks, control)
    surely = together([each for each in (marks.dated, offset) if each is not None])
    if surely is None or surely.most > MAX_SKEW:
        why = "our marks in it are not enough to compare it with ours" if surely is None else "it is off"
        return Unseen(reason=Reason.CLOCK_UNTRUSTED, detail=f"the log's clock: {why}"), arrived, offset
    return _uses(logs, name, at["intended"], gcp_muted(about, io)), arrived, offset


def _uses(logs: Sequence[GcpRawLog], name: KeyName, began: datetime, silent: Sequence[str]) -> MaterialUses:
    gaps = [f"{log.key.key}: {log.why_not}" for log in logs if not log.complete]
    tally, nameless = UseTally(), 0
    for log in logs:
        for entry in log.entries():
            if entry.operation not in USES or entry.code != 0 or entry.at < began - SECOND:
                continue
            nameless += not entry.principal
            version = None if entry.version is None else f"{name.full}/cryptoKeyVersions/{entry.version}"
            tally.add(entry.operation, entry.principal or "not stated", version, entry.at)
    if nameless:
        gaps.append(f"{nameless} successful uses name no principal")
    return tally.uses(gaps, silent)


def _of_canaries(subject: Key, key: str) -> Key:
    """The subject, as if the key that is rotated were its canary's: marks are looked for there."""
    drill = subject.drill
    return (
        subject if drill is None else subject.model_copy(update={"drill": drill.model_copy(update={"canary_key": key})})
    )


def _incoming(order: Order, change: Change, now: KeyNow, io: Io) -> Iterator[Refusal]:
    """What the mechanism would refuse before it makes a version."""
    try:
        check_incoming(order.plan.incoming, io.base, imported=now.imported)
        apart(read(RotateVersionParameters, change.parameters), order.subject)
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(str(error)))


def _people(subject: Key, name: KeyName, now: KeyNow, io: Io) -> Iterator[Refusal]:
    roles = subject.identities
    refs = {"drill": roles.drill, "restore": roles.restore, "control": roles.control}
    for role, ref in refs.items():
        asked = [(name.full, ROTATE_NEEDS["gcp-rotate"][role])]
        if role == "drill" and now.imported:
            asked.append((name.ring_name, GCP_IMPORTS))
        for resource, needed in asked:
            try:
                lacking = set(needed) - hand(io, ref).permitted(resource, needed)
            except ProbeError as error:
                yield Refusal(error.reason, vendor_text(f"the identity for `{role}` does not work: {error}"))
                break
            if lacking:
                yield Refusal(
                    Reason.PERMISSION_DENIED,
                    f"the identity for `{role}` lacks {', '.join(sorted(lacking))} on {resource}; grant it there",
                )


def _clock(offset: Offset | None) -> Iterator[Refusal]:
    if offset is not None and offset.least > MAX_SKEW:
        yield Refusal(
            Reason.CLOCK_UNTRUSTED,
            f"our clock differs from Google's by {offset.least.total_seconds():.0f} s; set it right (NTP)",
        )


def _readable(subject: Key, name: KeyName, canary: GcpCanary, io: Io) -> Iterator[Refusal]:
    sample = Sentinel(io, subject.identities.control, name, canary, Withholding.DISABLED).ask()
    if sample.sight is not Sight.READABLE:
        yield Refusal(
            Reason.NO_POSITIVE,
            vendor_text(f"the control identity cannot read the canary before anything is changed: {sample.words}"),
        )


def _account(ref: str | None, io: Io) -> str:
    """As IAM writes it. Raises ProbeError for a credential that does not say whose it is."""
    identity = clients.identity_of(ref, io)
    email = clients.account(identity, io)
    if email is None:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"the credential of identity {identity.id} does not say whose it is, so it is not known in the log: use "
            "a service account",
        )
    return f"{'serviceAccount' if email.endswith('.gserviceaccount.com') else 'user'}:{email}"
