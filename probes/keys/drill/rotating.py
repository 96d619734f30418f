"""What a rotation drill needs of a cloud, whichever it is: the change, which material is current, who used which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism, Wish
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill import Refusal
from probes.keys.drill_facts import MAX_USES, Markers
from probes.keys.subjects import Key, KeyDrill, OnKeyLoss

if TYPE_CHECKING:
    from keycheck.model.probe import Io


@dataclass(frozen=True, slots=True)
class EscrowProof:
    """Whether the customer could bring one material back, in one place.

    Proved is that what lies in escrow was the very material when the drill began, as the cloud took it once more; not
    that it will be there tomorrow.
    """

    material: str
    """AWS: the key material id. Google Cloud: the version's resource name."""
    place: str
    """Region or location."""
    proved: datetime | Unseen
    words: str
    """How: `imported again, and taken as the same`."""


Told: TypeAlias = Callable[[EscrowProof], None]


@dataclass(frozen=True, slots=True)
class PlaceSeen:
    """The material that the cloud names as current in one place."""

    place: str
    """Region or location."""
    listed: str
    """What the key's description names as current."""
    used: str
    """What an encryption of our own principal really used just now."""


@dataclass(frozen=True, slots=True)
class MaterialSeen:
    """Which material is current, by the cloud's own words and by an encryption of our own, everywhere the key is."""

    at: datetime
    """When the last answer was read, by our own clock."""
    places: tuple[PlaceSeen, ...]

    @property
    def settled(self) -> str | None:
        """The one material that everything names. None: they disagree, as they do while a rotation spreads."""
        named = {material for place in self.places for material in (place.listed, place.used)}
        return named.pop() if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class MaterialUse:
    """Successful uses of the key that are alike, counted."""

    operation: str
    """As the log names it: `GenerateDataKey`, `Encrypt`."""
    principal: str
    """As IAM writes it, sessions under their role."""
    material: str | None
    """Id of the material or resource name of the version. None: the entry names none."""
    count: int
    first: datetime
    """By the log's own clock; AWS writes whole seconds."""
    last: datetime
    times: tuple[datetime, ...] = ()
    """When each was, the first 500: which write of the vendor a data key was made for is told by its time alone where
    no witness shows the stored record. Empty: not kept."""


@dataclass(frozen=True, slots=True)
class MaterialUses:
    """What the customer's log says by now of the time since the drill began."""

    complete: bool
    """False: entries may still be on their way, or some that arrived were not read."""
    why_not: str
    muted: tuple[str, ...]
    """Excluded events and exempted principals: what this log keeps silent about."""
    entries: int
    uses: tuple[MaterialUse, ...]
    """Of everybody, our own calls included; `Rotating.ours` names ours."""


MAX_TIMES: Final = 500
"""Moments of one kind of use that are kept."""


@dataclass(slots=True)
class UseTally:
    """Adds successful uses up, those that are alike counted."""

    _groups: dict[tuple[str, str, str | None], list[datetime]] = field(default_factory=dict)
    entries: int = 0

    def add(self, operation: str, principal: str, material: str | None, at: datetime) -> None:
        """One use."""
        self.entries += 1
        self._groups.setdefault((operation, principal, material), []).append(at)

    def uses(self, gaps: Sequence[str], muted: Iterable[str]) -> MaterialUses:
        """What was counted. `gaps`: why that may not be all."""
        ordered = sorted(self._groups.items(), key=lambda each: (each[0][0], each[0][1], each[0][2] or ""))
        short = [*gaps, *([f"more than {MAX_USES} kinds of use"] if len(ordered) > MAX_USES else [])]
        return MaterialUses(
            complete=not short,
            why_not=vendor_text("; ".join(short)),
            muted=tuple(sorted(map(vendor_text, muted)))[:200],
            entries=self.entries,
            uses=tuple(
                MaterialUse(*kind, len(times), min(times), max(times), tuple(sorted(times)[:MAX_TIMES]))
                for kind, times in ordered[:MAX_USES]
            ),
        )


class Rotating(Protocol):
    """One rotation's hands and eyes in a cloud. Whoever makes one (`prepared`) has looked at everything, and changed
    nothing."""

    @property
    def change(self) -> Change:
        """What is to be changed."""

    @property
    def mechanism(self) -> Mechanism:
        """What changes it. This very object must be handed to the runner: it tells `escrow` what its rehearsal
        proved."""

    @property
    def claims(self) -> frozenset[str]:
        """Names in the world that no two drills may touch at once."""

    @property
    def ours(self) -> tuple[str, ...]:
        """Our own principals, as the log names them."""

    @property
    def clock_us(self) -> int:
        """Most that our clock and the cloud's log can differ."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked beforehand, and is no reason not to start. For people."""

    @property
    def key(self) -> str:
        """ARN or resource name of the key that is rotated: a canary's own, or the subject itself."""

    @property
    def places(self) -> tuple[str, ...]:
        """Regions, or the location, in which the key is."""

    @property
    def irreversible(self) -> tuple[str, ...]:
        """Sentences: what stays for ever."""

    @property
    def imported(self) -> bool:
        """Whether the customer brought the key's material. False: the cloud made it, it never leaves, and there is
        nothing to keep in escrow."""

    @property
    def escrow(self) -> tuple[EscrowProof, ...]:
        """Of every material in every place; proofs are there once the runner has rehearsed. Empty where `imported` is
        false."""

    @property
    def room(self) -> tuple[int, int] | None:
        """Rotations on demand that were made before this drill, and how many there may ever be. None: no such bound."""

    def previous(self) -> tuple[str, ...]:
        """Materials that the key had before, the one that was current first."""

    def material_now(self) -> MaterialSeen | Unseen:
        """Which material is current. Raises nothing. Makes an encryption and, in AWS, a decryption of our own, which
        stand in the log."""

    def log_uses(self, at: Mapping[str, datetime]) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
        """What the log says by now of all successful uses since `at["intended"]`, and which of our marks of before,
        during and after have arrived. `at`: when the journal's records of each type were first written, and
        `found-restored`. Raises nothing."""

    def mark(self) -> None:
        """A call of our own for the log, which shows whether the log is whole. Raises ProbeError."""

    def marks(self) -> tuple[str, ...]:
        """How our marking calls so far are found in the log again; kept for whoever reads it later."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of `prepared`."""

    drill: str
    subject: Key
    plan: KeyDrill
    deadline: datetime
    technique: Technique
    """ROTATE_CANARY or ROTATE_KEY."""
    wish: Wish
    workdir: Path
    """The drill's own directory; `material.sealed` is written there. It may come to be only when the drill starts."""


def target(order: Order) -> str:
    """The key that is to be rotated, as the deployment names it. Raises ProbeError unless whoever asks may mean it."""
    subject, plan, wish = order.subject, order.plan, order.wish
    if subject.on_key_loss is not OnKeyLoss.WITHHELD:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"`on_key_loss` is {subject.on_key_loss}: no drill on this key; ask the vendor in writing what happens to "
            "data when the key is gone",
        )
    match order.technique:
        case Technique.ROTATE_CANARY:
            if plan.canary_key is None:
                raise ProbeError(
                    Reason.UNSUPPORTED, "the deployment names no `canary_key`, the key that a rotation turns by default"
                )
            return plan.canary_key
        case Technique.ROTATE_KEY:
            if not wish.confirmed:
                raise ProbeError(
                    Reason.NOT_AUTHORIZED,
                    "rotating a production key cannot be undone: say that you know (--confirmed), or take a canary key",
                )
            if wish.typed != subject.resource:
                raise ProbeError(Reason.NOT_AUTHORIZED, f"type the key's own name, --typed {subject.resource}")
            return subject.resource
        case _:
            raise ProbeError(Reason.UNSUPPORTED, f"{order.technique} is no rotation")


def refuse(against: Sequence[Refusal]) -> None:
    """Raises ProbeError with every reason not to start, if there is one: `unsupported` before all others, as no
    permission or patience would help there."""
    if against:
        reasons = [each.reason for each in against]
        gravest = Reason.UNSUPPORTED if Reason.UNSUPPORTED in reasons else reasons[0]
        raise ProbeError(gravest, "not started: " + "; ".join(dict.fromkeys(each.words for each in against)))


def prepared(order: Order, io: Io) -> Rotating:
    """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
    if order.subject.provider == "aws":
        from probes.keys.drill.aws_rotate_cloud import AwsRotation

        return AwsRotation.prepared(order, io)
    from probes.keys.drill.gcp_rotate_cloud import GcpRotation

    return GcpRotation.prepared(order, io)


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
    """What the log says by now of a rotation that is over: `marks` as `Rotating.marks` gave them, `started` when the
    drill began, `at` as for `Rotating.log_uses`. Raises ProbeError."""
    if subject.provider == "aws":
        from probes.keys.drill import aws_rotate_cloud

        return aws_rotate_cloud.log_of(subject, change, marks, started, at, io)
    from probes.keys.drill import gcp_rotate_cloud

    return gcp_rotate_cloud.log_of(subject, change, marks, started, at, io)
