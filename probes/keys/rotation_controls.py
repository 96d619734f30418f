"""Controls over a rotation drill: whether new data is written under new material, and whether every material can be
brought back. Pure.

A write counts against the vendor only where it surely began later than agreed after our own principal's encryptions had
switched, and for it only where the cloud itself said, of that write, what its data key was wrapped under.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, assert_never

from pydantic import Field

from keycheck.model.authorization import Technique
from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Duration
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.keys.drill_log import whole
from probes.keys.drill_watch import dense, micros, named, one_time, read_before, span
from probes.keys.judgement import Judgement
from probes.keys.key_control import CAVEAT, unread
from probes.keys.rotation_facts import CameFrom, EscrowSeen, Material, Proof, Role, RotationFacts, Under, Write
from probes.keys.rotation_log import Caller, Callers, accounted, caller, slack, wall, wrapped_by, wraps
from probes.keys.timeline import Path

_SOURCES = (
    "AWS KMS Developer Guide: Rotate KMS keys; Importing key material (every material of the key must stay imported)",
    "AWS KMS API Reference: RotateKeyOnDemand, ListKeyRotations, Decrypt (KeyMaterialId)",
    "Cloud KMS: Key rotation; Re-importing a destroyed key; DecryptResponse.usedPrimary",
)
_CAME: Final = {
    CameFrom.CLOUD: "the new one is the cloud's own",
    CameFrom.WRAPPED: "the new one came wrapped by the customer's HSM",
    CameFrom.SEALED: "the new one was sealed to the customer before it came in",
    CameFrom.UNKEPT: "the new one is kept nowhere",
}


class _Which(StrEnum):
    NEW = "new"
    OLD = "old"
    OTHER_KEY = "another key"
    UNKNOWN = "unknown"


class RotationControl(Control):
    """Base of the controls over a rotation drill."""

    needs: ClassVar[tuple[type[Facts], ...]] = (RotationFacts,)
    section: ClassVar[str] = "keys"
    technique: ClassVar[str] = Technique.ROTATE_CANARY
    caveat: ClassVar[str] = CAVEAT


class Rotation(RotationControl, id="keys.rotation", version=1):
    """After a rotation the vendor writes new data under the new material, and goes on reading the old."""

    proves = (
        "A key was rotated for real: the cloud names a material that the key never had, and our own encryptions use "
        "it. The vendor was made to write again and again. No later than `within` after that, and from then until we "
        "stopped looking, at least `writes` in a row and for at least `quiet`, the cloud itself says of each write "
        "that its data key was wrapped under the new material: in answer to our own decryption of the wrapped data key "
        "that the vendor shows, or, where it shows none, in the customer's log of the calls that were made while that "
        "write went on. Records written before stayed readable. The customer's log is complete between marker calls of "
        "our own, and agrees."
    )
    does_not_prove = (
        "That what the vendor shows is what it stores, or that the payload is sealed under the data key that stands "
        "beside it. That any record is re-wrapped: old ones rightly stay under the old material, which must never be "
        "lost. Anything of records that were not written. Where a canary's own key was rotated, anything of the key "
        "that the contract names but how the vendor handles keys."
    )
    example = (
        "{control: keys.rotation@1, for: keys, with: {within: PT5M, writes: 5}, "
        "evidence: {assurance: caused, max_age: P180D}}"
    )
    sources = _SOURCES

    within: Annotated[Duration, Tighter("lower")]
    """How long after the rotation a data key of before may still be used, as caches do."""
    writes: Annotated[int, Field(ge=1, le=100), Tighter("higher")] = 3
    """Writes under the new material, in a row, that make it plausible that all are."""
    quiet: Annotated[Duration, Tighter("higher")] = timedelta(seconds=10)
    """From the first of them to the last."""
    resolution: Annotated[Duration, Tighter("lower")] = timedelta(seconds=10)
    """Largest gap between two reads of an old record."""
    callers: Annotated[Callers, Tighter("order", ("account", "named"))] = "named"
    """`account`: a logged call counts as the vendor's also where CloudTrail shows the account of a caller alone."""

    def judge(self, facts: RotationFacts) -> Verdict:
        """First whether there is a new material, then every write under it."""
        out = Judgement()
        if isinstance(facts.acted, Unseen):
            out.doubts.append(unread("whether the rotation was acknowledged", facts.acted))
        if isinstance(facts.restored, Unseen):
            out.doubts.append(unread("that nothing was left half done", facts.restored))
        for stop in facts.stops:
            out.doubt(f"the drill was stopped early: {stop.what}")
        alike = one_time(facts, out)
        silent = whole(facts.markers, facts.log, out) and alike
        self._old_records(facts, out)
        self._baseline(facts, out)
        new, since = _changed(facts, out), facts.switched_us
        if new is None or since is None:
            if since is None:
                out.doubt("our own encryptions were not seen to switch", Reason.PROPAGATION_PENDING)
            return out.verdict("")
        proved = self._writes(facts, new, since, silent, out)
        if alike:
            self._old_wraps(facts, new, since, out)
        run = _last_run(facts, proved)
        length = run[-1].at_us - run[0].at_us if run else 0
        if len(run) < self.writes:
            out.doubt(f"{len(run)} writes in a row were seen under the new material, not {self.writes}")
        elif run[0].at_us - since > micros(self.within):
            out.doubt(f"the first of them was only seen {span(run[0].at_us - since)} after the switch")
        elif length < micros(self.quiet):
            out.doubt(f"writes under the new material were seen for {span(length)}, not for {span(micros(self.quiet))}")
        last = max((write.end_us for write in facts.writes if _which(write, facts, new) is _Which.OLD), default=0)
        slow = f"the last old write ended {span(last)} after the act" if last > 0 else "none under the old one"
        return out.verdict(
            f"{len(run)} writes in a row under the new material, {slow}; our own encryptions switched by {span(since)}"
            f"{'; it was the key of canaries alone' if facts.canary else ''}"
        )

    def _writes(self, facts: RotationFacts, new: str, since: int, silent: bool, out: Judgement) -> frozenset[int]:
        """Starts of the writes that are proved to be under the new material. Adds what speaks against the others."""
        by_log = accounted(facts, new, self.callers)
        proved: set[int] = set()
        earlier: dict[str, int] = {}
        for write in sorted(facts.writes, key=_began):
            before = earlier.get(write.by, write.at_us)
            earlier[write.by] = write.at_us
            if write.at_us < 0:
                continue
            which = _which(write, facts, new)
            late = write.at_us - since
            when = f"{write.by} wrote {span(max(0, late))} after the switch"
            if which is _Which.NEW:
                if silent and not wrapped_by(facts, new, write.end_us):
                    out.doubt(f"{when} under the new material, of which the log knows nothing", Reason.CONFLICTING)
                else:
                    proved.add(write.at_us)
            elif which is _Which.UNKNOWN and _shows_none(write) and write.at_us in by_log:
                proved.add(write.at_us)
            elif which is _Which.OLD and before - since <= micros(self.within) < late:
                out.doubt(f"{when}, and a value under the old material was shown that may be of the write before")
            elif late > micros(self.within):
                self._late(write, which, when, facts, new, silent, out)
        return frozenset(proved)

    def _late(
        self, write: Write, which: _Which, when: str, facts: RotationFacts, new: str, silent: bool, out: Judgement
    ) -> None:
        """A write that is not proved to be under the new material, though it should be."""
        if which is _Which.OLD:
            # What is shown may lag behind what is stored: sure is what the log agrees with, or what never changed.
            ever = any(_which(each, facts, new) is _Which.NEW for each in facts.writes if each.by == write.by)
            out.breach(
                f"{when} under the old material",
                not ever or (silent and not wrapped_by(facts, new, write.end_us)),
                "what is shown lags behind what is stored, which only a whole log can rule out",
            )
        elif which is not _Which.UNKNOWN:
            out.breach(f"{when} under another key")
        elif write.said == "unavailable":
            out.doubt(f"a write of {write.by} was not acknowledged: {write.words}", Reason.UNREACHABLE)
        elif write.said == "refused":
            out.doubt(f"a write of {write.by} was refused after the rotation")
        elif silent and not wrapped_by(facts, new, write.end_us):
            out.breach(f"{when}, and by then no data key had been wrapped under the new material")
        elif isinstance(write.stored, Unseen):
            out.doubts.append(unread(f"what {write.by} stored", write.stored))
        elif not write.stored.anew:
            out.doubt(f"{write.by} showed the same stored value as before the write", Reason.CONFLICTING)
        elif isinstance(write.stored.under, Unseen):
            out.doubts.append(unread(f"what the data key of {write.by} was wrapped under", write.stored.under))
        else:
            out.doubt(f"{when} under a material that is neither the old nor the new one", Reason.CONFLICTING)

    def _old_wraps(self, facts: RotationFacts, new: str, since: int, out: Judgement) -> None:
        """Data keys that the vendor had wrapped under old material, which in Google Cloud a caller can choose. Tidying
        up may make the old version primary again there, so what comes after its start does not count."""
        end = wall(facts, since + micros(self.within)) + slack(facts)
        until = (facts.ended if isinstance(facts.undoing, Unseen) else facts.undoing.at) - slack(facts)
        old = {facts.old_material, *facts.previous} - {new, None}
        for use in wraps(facts):
            if use.material in old and caller(use.principal, facts) in (Caller.VENDOR, Caller.ACCOUNT):
                late = [time for time in (use.first, use.last, *use.times) if end < time < until]
                if late:
                    out.breach(
                        f"{use.principal} did {use.operation} under the old material at {max(late):%H:%M:%S} UTC"
                    )

    def _old_records(self, facts: RotationFacts, out: Judgement) -> None:
        lines = facts.of(Path.OTHER)
        if not lines:
            out.doubt("no record of before the rotation was read")
        for line in lines:
            name = f"the old record ({line.by})"
            read_before(line, out)
            dense(line, self.resolution, out)
            if line.during.refused:
                out.breach(
                    f"{name} was refused {line.during.refused} times after the rotation",
                    not isinstance(facts.restored, Unseen) and not line.before.refused,
                    "the old material serves nobody any more, not us either",
                )
            if line.during.unavailable:
                out.doubt(f"{name} was unavailable {line.during.unavailable} times after the act", Reason.UNREACHABLE)
        for line in facts.of(Path.CONTROL_RECORD):
            read_before(line, out)
            if line.during.refused:
                out.doubt(f"{named(line)} was refused, though its key was not rotated", Reason.CONFLICTING)
            if line.during.unavailable:
                out.doubt(f"{named(line)} was unavailable {line.during.unavailable} times", Reason.UNREACHABLE)

    def _baseline(self, facts: RotationFacts, out: Judgement) -> None:
        """Before the act each way of writing worked, and wrote under the material that was current or an older one."""
        for by in sorted({write.by for write in facts.writes}):
            before = sorted((each for each in facts.writes if each.by == by and each.end_us <= 0), key=_began)
            if not before or before[-1].said != "acknowledged":
                out.doubt(f"{by} acknowledged no write just before the act", Reason.NO_POSITIVE)
            elif not _shows_none(before[-1]) and _which(before[-1], facts, None) is not _Which.OLD:
                out.doubt(f"{by} was not seen to write under the key just before the act", Reason.NO_POSITIVE)
        if not facts.writes:
            out.doubt("the vendor was not made to write")


class Escrow(RotationControl, id="keys.escrow", version=1):
    """The customer can bring back every material that the key has: each lies in escrow and was tried."""

    proves = (
        "For every material that the key had, in every Region in which the key is, the cloud took what lies in escrow "
        "as that very material, during this drill. The new material came in wrapped, or was "
        "sealed to a key of the customer's and on disk before it came in."
    )
    does_not_prove = (
        "That the escrow will be there tomorrow, that nobody else has it, that the new material was tried a second "
        "time, or anything about materials of other keys: where a canary's own key was rotated, nothing about the key "
        "that the contract names."
    )
    example = "{control: keys.escrow@1, for: keys, evidence: {assurance: caused, max_age: P365D}}"
    sources = _SOURCES[:1]

    def judge(self, facts: RotationFacts) -> Verdict:
        """One proof for each material in each place."""
        out = Judgement()
        if facts.canary:
            out.doubt("only a canary's own key was rotated, so the escrow of this one was not tried")
            return out.verdict("")
        if not facts.imported:
            return not_applicable("the cloud made the material and never gives it out: there is nothing to keep")
        _changed(facts, out)
        places = {place.place for place in facts.before.places} if isinstance(facts.before, Material) else set()
        known = {(each.material, each.place): each for each in facts.escrow}
        for material in sorted({*facts.previous, facts.old_material} - {None}, key=str):
            for place in sorted(places):
                self._one(str(material), place, known.get((str(material), place)), out)
        match facts.incoming:
            case CameFrom.UNKEPT | CameFrom.CLOUD:
                out.doubt("the new material was made by the drill and is kept nowhere but in the cloud")
            case CameFrom.WRAPPED | CameFrom.SEALED:
                pass
            case _:
                assert_never(facts.incoming)
        return out.verdict(f"{len(known)} copies in escrow were taken as the very materials; {_CAME[facts.incoming]}")

    def _one(self, material: str, place: str, seen: EscrowSeen | None, out: Judgement) -> None:
        name = f"the escrow of material {material[-12:]} in {place}"
        if seen is None:
            out.doubt(f"{name} was not tried")
        elif not isinstance(seen.proof, Proof):
            out.doubts.append(unread(name, seen.proof))


def _changed(facts: RotationFacts, out: Judgement) -> str | None:
    """The new material, where the cloud's own answers leave no doubt. Adds why not."""
    for what, seen in (("before", facts.before), ("after", facts.after)):
        if isinstance(seen, Unseen):
            out.doubts.append(unread(f"which material was current {what} the rotation", seen))
        elif seen.settled is None:
            out.doubt(f"the cloud named several current materials {what} the rotation", Reason.PROPAGATION_PENDING)
    new = facts.new_material
    if new is None and isinstance(facts.before, Material) and isinstance(facts.after, Material):
        out.doubt("the cloud names no material that the key did not have before", Reason.NO_POSITIVE)
    return new


def _shows_none(write: Write) -> bool:
    """The deployment declares no way to see the stored record; not: it could not be seen."""
    return (
        write.said == "acknowledged" and isinstance(write.stored, Unseen) and write.stored.reason is Reason.UNSUPPORTED
    )


def _which(write: Write, facts: RotationFacts, new: str | None) -> _Which:
    """What one write was wrapped under, as far as the cloud itself said so."""
    stored = write.stored
    if isinstance(stored, Unseen) or not stored.anew or not isinstance(stored.under, Under):
        return _Which.UNKNOWN
    under, since = stored.under, facts.switched_us
    switched = since is not None and under.at_us >= since
    match under.role:
        case Role.OTHER_KEY:
            return _Which.OTHER_KEY
        case Role.NAMED if new is not None and under.material == new:
            return _Which.NEW
        case Role.NAMED if under.material in (facts.old_material, *facts.previous):
            return _Which.OLD
        case Role.PRIMARY if switched and new is not None:
            return _Which.NEW
        case Role.PRIMARY if under.at_us < 0:
            return _Which.OLD
        case Role.NOT_PRIMARY if switched or under.at_us < 0:
            return _Which.OLD
        case _:
            return _Which.UNKNOWN


def _began(write: Write) -> tuple[int, int, str]:
    return (write.at_us, write.end_us, write.by)


def _last_run(facts: RotationFacts, proved: frozenset[int]) -> tuple[Write, ...]:
    """The writes at the end, each proved: one that is not proved begins them anew."""
    run: list[Write] = []
    for write in sorted(facts.writes, key=_began):
        if write.at_us in proved:
            run.append(write)
        else:
            run.clear()
    return tuple(run)
