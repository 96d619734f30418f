"""The facts of a rotation drill (`keys.rotation`): which key was turned, and under which material the vendor wrote from
then on. Never a verdict.

A wrapped data key is a ciphertext that only the cloud can read: its fingerprint shows that it changed, and no more.
What it was wrapped under is what the cloud said when our own principal had it decrypted, or what the customer's log
says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Digest, Instant, Model, Name, SafeInt, VendorText
from keycheck.model.verdict import Assurance
from probes.keys.drill_facts import MAX_TIMELINES, MAX_USES, Mark, Markers, Restored, Stop
from probes.keys.facts import Provider
from probes.keys.subjects import Agreed, KeyModel
from probes.keys.timeline import Path, PathTimeline

MAX_WRITES = 500
MAX_TIMES = 500


class PlaceMaterial(Model):
    """What the cloud names as current in one place."""

    place: VendorText
    """Region or location."""
    listed: VendorText
    """By the key's description. AWS: key material id. Google Cloud: resource name of the primary version."""
    used: VendorText
    """What an encryption of our own principal really used."""


class Material(Model):
    """Which material is current everywhere, when it was asked."""

    kind: Literal["material"] = "material"
    at: Instant
    places: Annotated[tuple[PlaceMaterial, ...], Field(min_length=1, max_length=100)]

    @property
    def settled(self) -> str | None:
        """The one material that everything names; None where they disagree."""
        named = {material for place in self.places for material in (place.listed, place.used)}
        return named.pop() if len(named) == 1 else None


class Proof(Model):
    """What lies in escrow was taken by the cloud as the very material."""

    kind: Literal["proof"] = "proof"
    at: Instant
    words: VendorText


class EscrowSeen(Model):
    """The escrow of one material in one place."""

    material: VendorText
    place: VendorText
    proof: Annotated[Proof | Unseen, Field(discriminator="kind")]


class Room(Model):
    """Rotations on demand that were made before the drill, and how many there may ever be."""

    kind: Literal["room"] = "room"
    used: Count
    most: Count


class CameFrom(StrEnum):
    """Where the new material is besides in the cloud."""

    CLOUD = "cloud"
    """The cloud made it and never gives it out."""
    WRAPPED = "wrapped"
    """The customer's own HSM wrapped it, before the drill began."""
    SEALED = "sealed"
    """Made by the drill, and sealed to a key of the customer's on disk before it was brought in."""
    UNKEPT = "unkept"
    """Made by the drill and kept nowhere."""


class Role(StrEnum):
    """What the cloud's answer to a decryption says of the material."""

    NAMED = "named"
    """It names the material (AWS: KeyMaterialId)."""
    PRIMARY = "primary"
    """It was the primary version of that moment (Google Cloud: usedPrimary)."""
    NOT_PRIMARY = "not-primary"
    """It was another version of the key than the primary of that moment."""
    OTHER_KEY = "other-key"
    """The cloud says that another key wrapped it."""


class Under(Model):
    """What a stored record's data key was wrapped under, by the cloud's answer when our own principal had it
    decrypted. The plaintext was dropped at once."""

    kind: Literal["under"] = "under"
    role: Role
    material: VendorText
    """Key material id; empty where the answer names none."""
    at_us: SafeInt
    """When it was asked."""


class Stored(Model):
    """The record as the vendor showed it stored, right after the write. It is the vendor's word that this is what it
    stored."""

    kind: Literal["stored"] = "stored"
    value: Digest
    """SHA-256 of the stored value."""
    wrapped: Digest
    """SHA-256 of the wrapped data key in it."""
    anew: bool
    """The value differs from what the same place showed before this write."""
    under: Annotated[Under | Unseen, Field(discriminator="kind")]


class Write(Model):
    """One write of the vendor, at our request."""

    by: VendorText
    """The witness."""
    at_us: SafeInt
    end_us: SafeInt
    said: Literal["acknowledged", "refused", "unavailable"]
    """`refused`: in the words that were declared for a withheld key."""
    words: VendorText
    stored: Annotated[Stored | Unseen, Field(discriminator="kind")]


class LoggedUse(Model):
    """Successful uses of the key that are alike, counted."""

    operation: VendorText
    principal: VendorText
    material: VendorText | None
    """None: the entry names none."""
    count: Count
    first: Instant
    last: Instant
    times: Annotated[tuple[Instant, ...], Field(max_length=MAX_TIMES)]
    """When each of the first was, as far as they are kept."""


class LoggedUses(Model):
    """What the customer's log says of the time since the drill began."""

    kind: Literal["uses"] = "uses"
    state: Literal["complete", "awaiting"]
    why_not: VendorText
    muted: Annotated[tuple[VendorText, ...], Field(max_length=200)]
    entries: Count
    uses: Annotated[tuple[LoggedUse, ...], Field(max_length=MAX_USES)]


class RotationFacts(Facts, schema="keys.rotation/1"):
    """One rotation of one key. Where the key's model allows none, the sighting is `Unseen(unsupported)` instead.

    All `…_us` are of one monotonic clock, 0 when the act began (`began` on the wall).
    """

    assurance: ClassVar[Assurance] = Assurance.CAUSED

    agreed: Agreed
    """As the deployment declares it."""
    provider: Provider
    ours: Annotated[tuple[VendorText, ...], Field(max_length=20)]
    """Principals of the drill itself, as the log names them."""
    model: KeyModel
    rotated: VendorText
    """The key that was turned: ARN or resource name."""
    canary: bool
    """It seals nothing but canaries, as the customer says; so nothing is shown of the key that the contract names but
    how the vendor handles a key. False: it is that key itself."""
    mechanism: Name
    occasion: Name
    """Id of the drill."""
    began: Instant
    acted: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """The cloud acknowledged the rotation."""
    undoing: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """Tidying up began: there is no undo of a rotation."""
    undone: Annotated[Mark | Unseen, Field(discriminator="kind")]
    """Nothing was seen to be left half done."""
    ended: Instant
    clock_us: Count
    """Most that our clock and the cloud's log can differ."""
    interval_us: Count
    """Wanted time between the starts of two writes."""
    quiet_us: Count
    """How long the drill wanted nothing but new material."""
    before: Annotated[Material | Unseen, Field(discriminator="kind")]
    after: Annotated[Material | Unseen, Field(discriminator="kind")]
    """When the drill stopped looking."""
    previous: Annotated[tuple[VendorText, ...], Field(max_length=200)]
    """Every material that the key had before."""
    switched_us: SafeInt | None
    """From when on every look of ours found the new material everywhere: the end of the first of them. None: that was
    not seen."""
    imported: bool
    """The customer brought the material, so that it can and must be kept in escrow."""
    escrow: Annotated[tuple[EscrowSeen, ...], Field(max_length=1000)]
    """Of every material of before in every place; empty where the cloud made it."""
    incoming: CameFrom
    room: Annotated[Room | Unseen, Field(discriminator="kind")]
    irreversible: Annotated[tuple[VendorText, ...], Field(max_length=20)]
    """What stays for ever, in sentences."""
    writes: Annotated[tuple[Write, ...], Field(max_length=MAX_WRITES)]
    """Before and after the act, by their starts."""
    timelines: Annotated[tuple[PathTimeline, ...], Field(max_length=MAX_TIMELINES)]
    """Reads of records that were written before (`other`), and of records under another key (`control-record`)."""
    markers: Annotated[Markers | Unseen, Field(discriminator="kind")]
    log: Annotated[LoggedUses | Unseen, Field(discriminator="kind")]
    restored: Annotated[Restored | Unseen, Field(discriminator="kind")]
    """Nothing of the drill is left half done, the key is enabled, and what was sealed under the old material decrypts
    for our own principal; seen twice."""
    stops: Annotated[tuple[Stop, ...], Field(max_length=20)]

    def of(self, *paths: Path) -> tuple[PathTimeline, ...]:
        """The timelines of some paths."""
        return tuple(line for line in self.timelines if line.path in paths)

    @property
    def old_material(self) -> str | None:
        """The one that was current before. None: not known."""
        return self.before.settled if isinstance(self.before, Material) else None

    @property
    def new_material(self) -> str | None:
        """The one that is current after, where it surely is another one than before. None: not known, or the same."""
        if isinstance(self.before, Unseen) or isinstance(self.after, Unseen):
            return None
        old, new = self.before.settled, self.after.settled
        return new if old is not None and new is not None and new not in (old, *self.previous) else None

    def samples(self) -> int:
        """Writes and reads."""
        reads = sum(c.all for line in self.timelines for c in (line.before, line.during, line.astride, line.after))
        return len(self.writes) + reads
