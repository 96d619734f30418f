"""Controls over a revoke drill: whether access ended, came back, and no copy stayed open. Pure.

Every bound is judged from both sides. Against the vendor counts only what surely was its own: the start of its last
success, less what the cloud itself took. For the vendor counts only what was seen: the end of its first refusal after
that, reckoned from the start of the act.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from keycheck.model.authorization import Technique
from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Duration, SortedSet
from keycheck.model.verdict import Reason, Verdict
from probes.keys.drill_facts import AvailabilityAnswer, Mark, RevocationFacts
from probes.keys.drill_log import Callers, judge_log
from probes.keys.drill_watch import (
    dense,
    micros,
    named,
    one_time,
    others_stayed,
    quiet_since,
    read_before,
    span,
    stably_denied,
)
from probes.keys.judgement import Judgement
from probes.keys.key_control import CAVEAT, shown, unread
from probes.keys.timeline import VENDOR_PATHS, Path, PathTimeline

_SOURCES = (
    "AWS KMS Developer Guide: Key policies, Grants (eventual consistency); Condition keys (kms:EncryptionContext)",
    "Cloud KMS: Consistency of key versions; IAM: access change propagation",
    "AWS Encryption SDK: Data key caching; Hierarchical keyring (cached branch keys)",
)


def _of_vendor(paths: frozenset[Path]) -> frozenset[Path]:
    if not paths or not paths <= VENDOR_PATHS:
        raise ValueError(f"choose paths of the vendor: {', '.join(sorted(VENDOR_PATHS))}")
    return paths


VendorPaths = Annotated[SortedSet[Path], AfterValidator(_of_vendor), Tighter("superset")]


class DrillControl(Control):
    """Base of the controls over a revoke drill."""

    needs: ClassVar[tuple[type[Facts], ...]] = (RevocationFacts,)
    section: ClassVar[str] = "keys"
    technique: ClassVar[str] = Technique.DRILL
    caveat: ClassVar[str] = CAVEAT


class Revocation(DrillControl, id="keys.revocation", version=1):
    """Revoking the customer's key makes the vendor's data unreadable within the agreed time, on every path."""

    proves = (
        "The key was taken away from the canary for real. Our own principal, which could read it before, was denied in "
        "every Region. On each path of `paths`, and on every other that was looked at, the vendor read the canary "
        "before and refused it, in words declared beforehand, no later than `within` after the act; then nothing but "
        "refusals for at least `quiet`, while a record under another key stayed readable. The customer's log, "
        "complete between marker calls of our own, shows no later use of the key on the canary, and none by anybody "
        "who is not declared."
    )
    does_not_prove = (
        "Anything about other records, and about paths and copies that were not looked at. That the vendor holds no "
        "other key, and that its refusal was not made for the canary alone. What happens between two reads: the "
        "resolution is stated. A use so soon after our own denial that the two clocks cannot be told apart. In AWS a "
        "denied cross-account call is logged with the caller only."
    )
    example = (
        "{control: keys.revocation@1, for: keys, with: {within: PT15M, paths: [vendor-cold, vendor-warm, search]}, "
        "evidence: {assurance: caused, max_age: P90D}}"
    )
    sources = _SOURCES

    within: Annotated[Duration, Tighter("lower")]
    paths: VendorPaths = frozenset({Path.VENDOR_COLD, Path.VENDOR_WARM})
    """Paths that must have been looked at; every other that was is judged, too."""
    quiet: Annotated[Duration, Tighter("higher")] = timedelta(minutes=1)
    """How long nothing but refusals confirms that a success was the last."""
    resolution: Annotated[Duration, Tighter("lower")] = timedelta(seconds=10)
    """Largest gap between two reads of a path while the key was revoked."""
    callers: Annotated[Callers, Tighter("order", ("account", "named"))] = "named"
    """`account`: of callers in another account, whom CloudTrail may show by their account only, it is enough that the
    account is that of a declared principal."""

    def judge(self, facts: RevocationFacts) -> Verdict:
        """The log first: what it proves decides what a late read means."""
        out = Judgement()
        denied = stably_denied(facts, self.quiet, out)
        silent = judge_log(facts, denied if one_time(facts, out) else None, self.callers, out)
        lines = facts.of(*VENDOR_PATHS)
        for line in lines:
            read_before(line, out)
            dense(line, self.resolution, out)
            self._ended(line, denied, silent, out)
        for path in sorted(self.paths - {line.path for line in lines}):
            why = shown(each.why for each in facts.unsupported if each.path is path)
            out.doubt(f"{path} was not looked at{f': {why}' if why else ''}")
        others_stayed(facts, lines, self.resolution, out)
        for stop in facts.stops:
            out.doubt(f"the drill was stopped early: {stop.what}")
        if isinstance(facts.acted, Unseen):
            out.doubts.append(unread("whether the act was acknowledged", facts.acted))
        refused = max((line.refused.end_us for line in lines if line.refused), default=0)
        last = max((line.latency_us for line in lines), default=0)
        return out.verdict(
            f"last readable {span(last)} after the act and refused by {span(refused)} on "
            f"{shown(named(line) for line in lines)}; our own principal was denied by {span(denied or 0)}"
        )

    def _ended(self, line: PathTimeline, denied: int | None, silent: bool, out: Judgement) -> None:
        name, within = named(line), micros(self.within)
        sure = quiet_since(line, self.quiet, out)
        last = line.last_success
        if last is not None:
            read = f"{name} read the canary {span(last.at_us)} after the act"
            if denied is None:
                out.doubt(f"{read}, and when our own principal was denied is not known", Reason.PROPAGATION_PENDING)
            elif last.at_us - denied > within:
                out.breach(
                    f"{read} and {span(last.at_us - denied)} after our own principal was stably denied",
                    silent,
                    "the restriction never met the vendor, which only a log that is whole and agrees can rule out",
                )
        if sure and line.refused is not None and line.refused.end_us > within:
            pending = last is not None and last.at_us > within
            out.doubt(
                f"{name} was first seen refused for good {span(line.refused.end_us)} after the act",
                Reason.PROPAGATION_PENDING if pending else Reason.NOT_COVERED,
            )


class Recovery(DrillControl, id="keys.recovery", version=1):
    """When the key is given back, the vendor's data is readable again within the agreed time."""

    proves = (
        "Our own principal was denied while the key was away. What the drill changed was put back, seen twice with "
        "time between. On every path on which the vendor lost the canary it read it again no later than `within` after "
        "the undo began, and went on reading it for at least `steady`."
    )
    does_not_prove = (
        "That data of other records came back, that nothing was lost or written wrongly meanwhile, or how the vendor "
        "recovers from a longer loss."
    )
    example = "{control: keys.recovery@1, for: keys, with: {within: PT1H}, evidence: {assurance: caused}}"
    sources = _SOURCES

    within: Annotated[Duration, Tighter("lower")]
    steady: Annotated[Duration, Tighter("higher")] = timedelta(seconds=5)
    """How long nothing but success confirms that it is back."""

    def judge(self, facts: RevocationFacts) -> Verdict:
        """Ours first: what was not restored cannot be recovered."""
        out = Judgement()
        restored = not isinstance(facts.restored, Unseen)
        one_time(facts, out)
        if isinstance(facts.restored, Unseen):
            out.doubts.append(unread("that everything was put back", facts.restored))
        lines = facts.of(*VENDOR_PATHS)
        if not any(line.refused for line in lines):
            out.doubt("no path was seen to lose the canary for good, so none could recover it", Reason.NO_POSITIVE)
        denied = [line for line in facts.of(Path.SENTINEL) if line.refused]
        if len(denied) < facts.scope.regions:
            out.doubt("our own principal was not denied everywhere: what refused may have had another cause")
        match facts.undoing, facts.undone:
            case Mark() as undoing, Mark() as undone:
                base = self._given_back(facts, undone, out)
                for line in lines:
                    self._one(line, undoing.at_us, base, restored, out)
                longest = max((line.steady.end_us - undoing.at_us for line in lines if line.steady), default=0)
                return out.verdict(
                    f"readable again {span(longest)} after the undo began on {shown(named(line) for line in lines)}"
                )
            case _:
                for mark in (facts.undoing, facts.undone):
                    if isinstance(mark, Unseen):
                        out.doubts.append(unread("when the key was given back", mark))
                return out.verdict("")

    def _given_back(self, facts: RevocationFacts, undone: Mark, out: Judgement) -> int | None:
        """When our own principal read again everywhere: the cloud's own delay is not the vendor's."""
        sentinels = facts.of(Path.SENTINEL)
        back = [line.steady.end_us for line in sentinels if line.steady]
        if len(back) < max(len(sentinels), facts.scope.regions):
            out.doubt("our own principal was not seen to read again everywhere", Reason.PROPAGATION_PENDING)
            return None
        return max(undone.at_us, *back)

    def _one(self, line: PathTimeline, undoing: int, base: int | None, restored: bool, out: Judgement) -> None:
        name = named(line)
        read_before(line, out)
        late = line.last_refusal_after
        if late is not None and base is not None and late.at_us - base > micros(self.within):
            out.breach(
                f"{name} was still withheld {span(late.at_us - base)} after our own principal read again",
                restored and not line.before.refused,
                "it was not the drill that withheld it",
            )
        if not line.after.all:
            out.doubt(f"{name} was not read after the undo")
        elif line.steady is None:
            reason = Reason.UNREACHABLE if line.last_trouble and not late else Reason.NOT_COVERED
            out.doubt(f"{name} was not seen to read steadily again", reason)
        elif line.steady_us < micros(self.steady):
            out.doubt(f"{name} read again for {span(line.steady_us)} only")
        elif line.steady.end_us - undoing > micros(self.within):
            reason = Reason.UNREACHABLE if line.last_trouble else Reason.NOT_COVERED
            out.doubt(f"{name} read steadily again only {span(line.steady.end_us - undoing)} after the undo", reason)


class AvailabilityCopy(DrillControl, id="keys.availability-copy", version=1):
    """While the customer's key is revoked, nothing that is kept under another key gives the data out."""

    proves = (
        "The canary was asked for through each availability key that the deployment declares and refused there no "
        "later than `within` after our own principal was stably denied, and for at least `quiet`. Every path of the "
        "vendor that was looked at refused the canary in the end, so that no copy served it there."
    )
    does_not_prove = (
        "That there is no copy. One that is not declared and that no path serves cannot be seen from outside, such as "
        "a backup that is only restored by hand."
    )
    example = "{control: keys.availability-copy@1, for: keys, evidence: {assurance: caused}}"
    sources = ("Microsoft Purview: Customer Key, availability key (the pattern that the name is from)", *_SOURCES[:1])

    within: Annotated[Duration, Tighter("lower")] = timedelta(0)
    """How long after our own principal was stably denied a declared copy may still answer, from a cache."""
    quiet: Annotated[Duration, Tighter("higher")] = timedelta(minutes=1)
    resolution: Annotated[Duration, Tighter("lower")] = timedelta(seconds=10)

    def judge(self, facts: RevocationFacts) -> Verdict:
        """A declared copy that still answers fails, however short the drill was."""
        out = Judgement()
        denied = stably_denied(facts, self.quiet, out)
        lines = facts.of(*VENDOR_PATHS)
        answers = facts.availability
        for answer in answers:
            self._one(answer, denied, out)
        for line in lines:
            self._refused(line, out)
        if not lines:
            out.doubt("no path of the vendor was looked at")
        others_stayed(facts, lines, self.resolution, out)
        through = f"; nor through {shown(answer.resource for answer in answers)}" if answers else ""
        return out.verdict(f"no copy gave the canary out on {shown(named(line) for line in lines)}{through}")

    def _one(self, answer: AvailabilityAnswer, denied: int | None, out: Judgement) -> None:
        if isinstance(answer.seen, Unseen):
            out.doubts.append(unread(f"the copy under {answer.resource}", answer.seen))
            return
        last = answer.seen.last_success
        if last is not None and denied is not None and last.at_us - denied > micros(self.within):
            out.breach(
                f"the copy under {answer.resource} gave the canary out {span(last.at_us - denied)} after our own "
                "principal was stably denied"
            )
        self._refused(answer.seen, out)

    def _refused(self, line: PathTimeline, out: Judgement) -> None:
        read_before(line, out)
        dense(line, self.resolution, out)
        quiet_since(line, self.quiet, out)
