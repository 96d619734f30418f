"""The facts of a revoke drill (`keys.revocation`): what was taken away, what was seen meanwhile, and what came back.
Never a verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Instant, Model, Name, SafeInt, VendorText
from keycheck.model.verdict import Assurance
from probes.keys.facts import Provider
from probes.keys.subjects import Agreed, KeyModel, OnKeyLoss
from probes.keys.timeline import Path, PathTimeline

MAX_TIMELINES = 200
MAX_USES = 1000


class Scope(Model):
    """What the restriction was limited to."""

    context_names: Annotated[tuple[VendorText, ...], Field(max_length=20)]
    """Names of the canary's encryption context, never its values. Empty: the whole key, as with a canary key of its
    own."""
    regions: Annotated[int, Field(ge=1, le=100)]
    """Places in which the key was restricted: AWS replicas have policies and states of their own."""


class Mark(Model):
    """A moment on both clocks."""

    kind: Literal["mark"] = "mark"
    at: Instant
    at_us: SafeInt
    """Monotonic, microseconds since the act began."""


class Match(StrEnum):
    """How the encryption context of a logged call compares with the restriction's."""

    CANARY = "canary"
    """It is what the restriction names; with a key that only the canary uses, every call."""
    OTHER = "other"
    """Another one: the restriction does not concern it."""
    NONE = "none"
    """The call carried none."""
    UNKNOWN = "unknown"
    """The log does not show it."""


class WindowUse(Model):
    """Successful uses of the key between the start of the act and the start of the undo that are alike, counted."""

    operation: VendorText
    principal: VendorText
    grant: VendorText | None
    """The grant that the log names. None: it names none."""
    match: Match
    count: Count
    first: Instant
    last: Instant


class WindowUses(Model):
    """What the customer's log says of the time between act and undo."""

    kind: Literal["uses"] = "uses"
    state: Literal["complete", "awaiting"]
    """`awaiting`: entries may still be on their way, or some of those that arrived were not read."""
    why_not: VendorText
    muted: Annotated[tuple[VendorText, ...], Field(max_length=200)]
    """Excluded events and exempted principals: what this log keeps silent about."""
    entries: Count
    uses: Annotated[tuple[WindowUse, ...], Field(max_length=MAX_USES)]


class Markers(Model):
    """Our own calls, made to see whether the log is whole: silence counts only between marks that have arrived."""

    kind: Literal["markers"] = "markers"
    before: Literal["arrived", "missing"]
    during: Literal["arrived", "missing"]
    after: Literal["arrived", "missing"]


class Restored(Model):
    """Ours: policy and state as before, and the canary decrypts; seen twice with a settle interval between."""

    kind: Literal["restored"] = "restored"
    first: Instant
    again: Instant


class AvailabilityAnswer(Model):
    """What one way that is declared to keep copies readable did while the key was revoked."""

    resource: VendorText
    """The availability key, as the deployment names it."""
    seen: Annotated[PathTimeline | Unseen, Field(discriminator="kind")]


class Unsupported(Model):
    """A path that this drill could not look at, and why."""

    path: Path
    why: VendorText


class Stop(Model):
    """A stop condition that fired and ended the drill early."""

    at: Instant
    what: VendorText


class RevocationFacts(Facts, schema="keys.revocation/1"):
    """One revoke drill on one key. Where the key's model allows none, the sighting is `Unseen(unsupported)` instead.

    All `…_us` are of one monotonic clock, 0 when the act began (`began` on the wall).
    """

    assurance: ClassVar[Assurance] = Assurance.CAUSED

    agreed: Agreed
    """As the deployment declares it."""
    provider: Provider
    ours: Annotated[tuple[VendorText, ...], Field(max_length=20)]
    """Principals of the drill itself, as the cloud names them: sentinel, control, restorer."""
    model: KeyModel
    on_key_loss: OnKeyLoss
    mechanism: Name
    """What took the key away: `aws-deny`."""
    scope: Scope
    occasion: Name
    """Id of the drill; before, during and after stand under it."""
    began: Instant
    acted: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """The cloud acknowledged the last restriction."""
    undoing: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """The undo began."""
    undone: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """The cloud acknowledged the undo."""
    ended: Instant
    clock_us: Count
    """Most that our clock and the cloud's log can differ: the measured offset with its error, and the log's own
    resolution."""
    interval_us: Count
    """Wanted time between the starts of two reads of a path: the bound on the rate. What was reached is each
    timeline's resolution."""
    quiet_us: Count
    """Quiet that the drill waited for."""
    timelines: Annotated[tuple[PathTimeline, ...], Field(max_length=MAX_TIMELINES)]
    """Each path and whoever read it, sorted; sentinels are named after their Region."""
    markers: Annotated[Markers | Unseen, Field(discriminator="kind")]
    log: Annotated[WindowUses | Unseen, Field(discriminator="kind")]
    restored: Annotated[Restored | Unseen, Field(discriminator="kind")]
    availability: Annotated[tuple[AvailabilityAnswer, ...], Field(max_length=40)]
    """One for each availability key that the deployment declares."""
    unsupported: Annotated[tuple[Unsupported, ...], Field(max_length=20)]
    stops: Annotated[tuple[Stop, ...], Field(max_length=20)]

    def of(self, *paths: Path) -> tuple[PathTimeline, ...]:
        """The timelines of some paths."""
        return tuple(line for line in self.timelines if line.path in paths)

    @property
    def resolution_us(self) -> int | None:
        """The worst resolution of any timeline. None: one of them has none, or there is none."""
        gaps = [line.resolution_us for line in self.timelines]
        known = [gap for gap in gaps if gap is not None]
        return max(known) if known and len(known) == len(gaps) else None

    def recovered(self) -> tuple[tuple[Path, str, int | None], ...]:
        """For each path how long after the start of the undo it read steadily again, in microseconds. None: never
        seen."""
        start = self.undoing.at_us if isinstance(self.undoing, Mark) else None
        return tuple(
            (line.path, line.by, None if start is None or line.steady is None else line.steady.end_us - start)
            for line in self.timelines
        )

    def samples(self) -> int:
        """Reads on all paths."""
        return sum(c.all for line in self.timelines for c in (line.before, line.during, line.astride, line.after))
