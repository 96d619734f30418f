"""What was seen of one path while a key was revoked, folded into when access ended and when it came back. Pure.

A pool with caches fails first long before it fails last, so what counts is the last success, confirmed by quiet. All
times are integer microseconds of one monotonic clock, 0 when the act began; what came before the act is negative.
A read that began before the undo and ended after it may have been served by either, and counts to neither side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import Field

from keycheck.model.types import Count, Model, SafeInt, VendorText, vendor_text

MAX_OUTAGES: Final = 50
MAX_WORDS: Final = 10


class Path(StrEnum):
    """A way to the canary, or to what it is compared with."""

    CONTROL_PLANE = "control-plane"
    """The cloud's own description of the restriction, read back."""
    SENTINEL = "sentinel"
    """Our own principal, under the same restriction: measures propagation."""
    VENDOR_COLD = "vendor-cold"
    """The vendor's read of data under a data key that no process can have cached."""
    VENDOR_WARM = "vendor-warm"
    """The vendor's read of a record that it read before."""
    SEARCH = "search"
    EXPORT = "export"
    CONTROL_RECORD = "control-record"
    """A record under a key that is not revoked: tells revocation from outage."""
    OTHER = "other"


VENDOR_PATHS: Final = frozenset({Path.VENDOR_COLD, Path.VENDOR_WARM, Path.SEARCH, Path.EXPORT, Path.OTHER})
"""The ways on which the vendor serves the canary."""


class Saw(StrEnum):
    """The outcome of one read."""

    READABLE = "readable"
    WITHHELD = "withheld"
    """Refused with the signature that was declared beforehand."""
    DENIED = "denied"
    """The cloud itself refused our own principal."""
    UNAVAILABLE = "unavailable"
    """Anything else. Says nothing about the key."""


REFUSED: Final = frozenset({Saw.WITHHELD, Saw.DENIED})


@dataclass(frozen=True, slots=True)
class Sample:
    """One read: when it began, how long it took, what it saw. `by` tells witnesses or Regions of one path apart."""

    path: Path
    at_us: int
    took_us: int
    saw: Saw
    words: str = ""
    by: str = ""

    @property
    def end_us(self) -> int:
        """When the answer was whole."""
        return self.at_us + self.took_us


class Counts(Model):
    """Reads by outcome."""

    readable: Count = 0
    withheld: Count = 0
    denied: Count = 0
    unavailable: Count = 0

    @property
    def refused(self) -> int:
        """Withheld or denied."""
        return self.withheld + self.denied

    @property
    def all(self) -> int:
        """Every read."""
        return self.readable + self.refused + self.unavailable


class Read(Model):
    """When one read began and ended."""

    at_us: SafeInt
    end_us: SafeInt


class Outage(Model):
    """Reads in a row that said nothing: from the first one's start to the last one's end."""

    from_us: SafeInt
    until_us: SafeInt
    reads: Count


class PathTimeline(Model):
    """One path. None stands for "never seen".

    The moment at which access ended lies between the start of `last_success` and the end of `refused`: a finding
    against the vendor may use only the first, one for the vendor only the second.
    """

    kind: Literal["timeline"] = "timeline"
    path: Path
    by: VendorText
    before: Counts
    """Reads that began before the act; refusals that ended before it."""
    during: Counts
    """Between the act and the start of the undo."""
    astride: Counts
    """Begun before the undo, ended after its start."""
    after: Counts
    """Begun after the undo was."""
    first_success: Read | None
    """Of the whole drill."""
    first_refusal: Read | None
    """After the act: where a pool of caches begins to run dry."""
    last_success: Read | None
    """After the act and before the undo. None: not readable once after the act."""
    refused: Read | None
    """The first refusal that began when every success before the undo was over."""
    last_refusal: Read | None
    """The last one before the undo."""
    quiet_us: Count
    """From the start of `refused` to the start of `last_refusal`: nothing but refusals. 0 where a read after the last
    success was unavailable, as it may have been a success."""
    unknown: Count
    """Reads before the undo that were unavailable and not over when the last success began."""
    confirmed: bool
    """The quiet is at least what the drill wanted."""
    resolution_us: Count | None
    """Largest gap between the starts of reads from the act to the last one before the undo. None: there was none."""
    outages: Annotated[tuple[Outage, ...], Field(max_length=MAX_OUTAGES)]
    more_outages: Count
    words: Annotated[tuple[VendorText, ...], Field(max_length=MAX_WORDS)]
    """What unavailable and refused reads were like."""
    again: Read | None
    """First success that began after the undo did."""
    last_trouble: Read | None
    """Last read after that which was unavailable."""
    last_refusal_after: Read | None
    """Last refusal that began after the undo did."""
    steady: Read | None
    """First success after the undo after which nothing but success was seen."""
    steady_us: Count
    """From the start of `steady` to the start of the last read."""

    @property
    def latency_us(self) -> int:
        """Start of the last success; 0 where there was none after the act."""
        return self.last_success.at_us if self.last_success else 0


def fold(samples: Iterable[Sample], quiet_us: int, undo_us: int | None) -> PathTimeline:
    """The timeline of one path. `undo_us`: when the undo began; None: not yet. The order of samples never matters.

    Raises ValueError for no sample, samples of several paths, and times that run backwards.
    """
    ordered = sorted(samples, key=lambda s: (s.at_us, s.end_us, s.saw, s.words))
    if len({(s.path, s.by) for s in ordered}) != 1:
        raise ValueError("a timeline is made of at least one sample, and of one path's only")
    if any(s.took_us < 0 for s in ordered) or quiet_us < 0:
        raise ValueError("a length of time is negative")
    before, rest = _split(ordered, _is_before)
    during, rest = _split(rest, lambda s: undo_us is None or s.end_us <= undo_us)
    astride, after = _split(rest, lambda s: undo_us is not None and s.at_us < undo_us)
    good = [s for s in during if s.saw is Saw.READABLE]
    bad = [s for s in during if s.saw in REFUSED]
    last = max(good, key=lambda s: (s.at_us, s.end_us), default=None)
    over = max((s.end_us for s in good), default=0)
    silent = [s for s in bad if s.at_us >= over]
    unknown = sum(s.saw is Saw.UNAVAILABLE and (last is None or s.end_us > last.at_us) for s in during)
    quiet = silent[-1].at_us - silent[0].at_us if silent and not unknown else 0
    outages = _outages(ordered)
    back = _recovery(after)
    return PathTimeline(
        path=ordered[0].path,
        by=vendor_text(ordered[0].by),
        before=_counts(before),
        during=_counts(during),
        astride=_counts(astride),
        after=_counts(after),
        first_success=_read(next((s for s in ordered if s.saw is Saw.READABLE), None)),
        first_refusal=_read(bad[0] if bad else None),
        last_success=_read(last),
        refused=_read(silent[0] if silent else None),
        last_refusal=_read(bad[-1] if bad else None),
        quiet_us=quiet,
        unknown=unknown,
        confirmed=bool(silent) and not unknown and quiet >= quiet_us,
        resolution_us=max((b - a for a, b in pairwise((0, *(max(0, s.at_us) for s in during)))), default=None),
        outages=outages[:MAX_OUTAGES],
        more_outages=max(0, len(outages) - MAX_OUTAGES),
        words=_words(ordered),
        again=_read(back.again),
        last_trouble=_read(back.trouble),
        last_refusal_after=_read(back.refusal),
        steady=_read(back.steady[0] if back.steady else None),
        steady_us=back.steady[-1].at_us - back.steady[0].at_us if back.steady else 0,
    )


def fold_all(samples: Iterable[Sample], quiet_us: int, undo_us: int | None) -> tuple[PathTimeline, ...]:
    """One timeline for each path and whoever read it, sorted."""
    groups: dict[tuple[Path, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.path, sample.by), []).append(sample)
    return tuple(fold(groups[key], quiet_us, undo_us) for key in sorted(groups))


def _is_before(sample: Sample) -> bool:
    """A success belongs to when it began, a refusal to when it ended: neither is put on the wrong side of the act."""
    return (sample.end_us if sample.saw in REFUSED else sample.at_us) < 0


@dataclass(frozen=True, slots=True)
class _Recovery:
    again: Sample | None
    trouble: Sample | None
    refusal: Sample | None
    steady: Sequence[Sample]


def _recovery(after: Sequence[Sample]) -> _Recovery:
    good = [s for s in after if s.saw is Saw.READABLE]
    ill = [s for s in after if s.saw is not Saw.READABLE]
    over = max((s.end_us for s in ill), default=None)
    return _Recovery(
        again=good[0] if good else None,
        trouble=max((s for s in ill if s.saw is Saw.UNAVAILABLE), key=_when, default=None),
        refusal=max((s for s in ill if s.saw in REFUSED), key=_when, default=None),
        steady=[s for s in good if over is None or s.at_us >= over],
    )


def _when(sample: Sample) -> tuple[int, int]:
    return (sample.at_us, sample.end_us)


def _split(samples: Iterable[Sample], first: Callable[[Sample], bool]) -> tuple[list[Sample], list[Sample]]:
    kept: list[Sample] = []
    rest: list[Sample] = []
    for sample in samples:
        (kept if first(sample) else rest).append(sample)
    return kept, rest


def _counts(samples: Iterable[Sample]) -> Counts:
    seen = Counter(sample.saw for sample in samples)
    return Counts(
        readable=seen[Saw.READABLE],
        withheld=seen[Saw.WITHHELD],
        denied=seen[Saw.DENIED],
        unavailable=seen[Saw.UNAVAILABLE],
    )


def _read(sample: Sample | None) -> Read | None:
    return None if sample is None else Read(at_us=sample.at_us, end_us=sample.end_us)


def _outages(ordered: Sequence[Sample]) -> tuple[Outage, ...]:
    found: list[Outage] = []
    row: list[Sample] = []
    for sample in (*ordered, None):
        if sample is not None and sample.saw is Saw.UNAVAILABLE:
            row.append(sample)
        elif row:
            found.append(Outage(from_us=row[0].at_us, until_us=max(s.end_us for s in row), reads=len(row)))
            row = []
    return tuple(found)


def _words(samples: Iterable[Sample]) -> tuple[str, ...]:
    said = {vendor_text(s.words, 200) for s in samples if s.saw is not Saw.READABLE and s.words}
    return tuple(sorted(said)[:MAX_WORDS])
