"""What every control over a revoke drill asks of its timelines: doubts, each with its reason. Pure.

A read that was unavailable is never taken for a refusal, and never ignored where it may have been a success: with
less evidence no verdict gets better.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from keycheck.model.verdict import Reason
from probes.keys.drill_facts import Mark, RevocationFacts
from probes.keys.judgement import Judgement
from probes.keys.rotation_facts import RotationFacts
from probes.keys.timeline import Path, PathTimeline


def micros(length: timedelta) -> int:
    """Whole microseconds."""
    return length // timedelta(microseconds=1)


def span(us: int) -> str:
    """A length of time for people: milliseconds below a minute, seconds beyond."""
    if us < 60_000_000:
        return f"{us // 1_000_000}.{us // 1000 % 1000:03} s"
    hours, rest = divmod(us // 1_000_000, 3600)
    return f"{f'{hours} h ' if hours else ''}{rest // 60} min {rest % 60} s"


def named(line: PathTimeline) -> str:
    """A path for people."""
    return f"{line.path} ({line.by})" if line.by else str(line.path)


def one_time(facts: RevocationFacts | RotationFacts, out: Judgement) -> bool:
    """Whether both clocks ran alike, so that the log's times can be set beside what was seen, and nothing took longer
    than was measured: a monotonic clock stands still while a host sleeps, and a wall clock can be set."""
    marks = [mark for mark in (facts.acted, facts.undoing, facts.undone) if isinstance(mark, Mark)]
    off = max((abs(micros(mark.at - facts.began) - mark.at_us) for mark in marks), default=0)
    if off > max(facts.clock_us, micros(timedelta(seconds=1))):
        out.doubt(f"our two clocks came apart by {span(off)}: the host slept, or was set", Reason.CLOCK_UNTRUSTED)
        return False
    return True


def read_before(line: PathTimeline, out: Judgement) -> None:
    """A refusal counts only beside a success, and only where there was none before the act."""
    if not line.before.readable:
        out.doubt(f"{named(line)} never read its record before the act", Reason.NO_POSITIVE)
    if line.before.refused:
        out.doubt(f"{named(line)} was refused {line.before.refused} times before the act, too", Reason.CONFLICTING)
    if line.before.unavailable:
        out.doubt(
            f"{named(line)} was unavailable {line.before.unavailable} times before the act, too", Reason.UNREACHABLE
        )


def dense(line: PathTimeline, resolution: timedelta, out: Judgement) -> None:
    """Whether it was read often enough while the key was revoked."""
    if line.resolution_us is None:
        out.doubt(f"{named(line)} was not read while the key was revoked")
    elif line.resolution_us > micros(resolution):
        out.doubt(f"{named(line)} was not read for {span(line.resolution_us)} at a time")


def quiet_since(line: PathTimeline, quiet: timedelta, out: Judgement, pending: Reason = Reason.NOT_COVERED) -> bool:
    """Whether access surely ended: nothing but refusals for long enough, none of it unavailable."""
    if line.unknown:
        out.doubt(f"{named(line)} was unavailable {line.unknown} times after its last success", Reason.UNREACHABLE)
    elif line.refused is None:
        out.doubt(f"{named(line)} was never seen refused after its last success", pending)
    elif line.quiet_us < micros(quiet):
        out.doubt(f"{named(line)} was refused for {span(line.quiet_us)} only, not for {span(micros(quiet))}", pending)
    else:
        return True
    return False


def stably_denied(facts: RevocationFacts, quiet: timedelta, out: Judgement) -> int | None:
    """When our own principal was denied everywhere, in microseconds since the act began; None: that is not known."""
    sentinels = facts.of(Path.SENTINEL)
    if (seen := len({line.by for line in sentinels})) < facts.scope.regions:
        out.doubt(f"our own principal was watched in {seen} of {facts.scope.regions} Regions")
        return None
    before = len(out.doubts)
    for line in sentinels:
        read_before(line, out)
        quiet_since(line, quiet, out, Reason.PROPAGATION_PENDING)
    ends = [line.refused.end_us for line in sentinels if line.refused]
    return max(ends) if len(out.doubts) == before else None


def others_stayed(
    facts: RevocationFacts, refused: Iterable[PathTimeline], resolution: timedelta, out: Judgement
) -> None:
    """Without a record under another key that stays readable all the while, an outage looks like revocation."""
    records = facts.of(Path.CONTROL_RECORD)
    if not records:
        out.doubt("no record under another key was watched: it may have been an outage")
    end = max((line.last_refusal.at_us for line in refused if line.last_refusal), default=0)
    for line in records:
        name = named(line)
        read_before(line, out)
        dense(line, resolution, out)
        if line.during.unavailable:
            out.doubt(f"{name} was unavailable {line.during.unavailable} times: an outage", Reason.UNREACHABLE)
        if line.during.refused:
            out.doubt(f"{name} was refused, though its key was not revoked", Reason.CONFLICTING)
        if line.latency_us + micros(resolution) < end:
            out.doubt(f"{name} was no longer watched when the last refusals were seen")
