"""Tying canaries by the moments of calls alone, where a key's log shows no context: Google Cloud's.

The log shows that the vendor's principal asked our key to wrap data keys, and when. One such call near a planting says
nothing on a busy key. What counts is the whole pattern: near every planting at least as many calls as the record has
sensitive columns, and so few around that chance would have put them there once in a million at most. The busiest hour
around decides how likely chance is, as plantings may fall into it. A vendor that wraps a data key for something else at
each write would look the same: this tie is by the moment, and names no record.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.keys.principals import gcp_named
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from probes.fields.tie import Tie

WRAPS: Final = frozenset({"Encrypt", "RawEncrypt"})
"""How a data key comes under a key in Google Cloud: its client makes it, and the key wraps it."""
NEAR: Final = timedelta(seconds=10)
"""What the two clocks may differ, and a vendor that writes behind its answer may take."""
AROUND: Final = timedelta(hours=3)
"""How long before the first planting and after the last one is looked, to see how busy the key is."""
HOUR: Final = timedelta(hours=1)
CHANCE: Final = Fraction(1, 1_000_000)
KEPT: Final = timedelta(days=30)
"""How long Data Access entries are kept unless somebody set another time: what is gone looks like silence."""
_MICRO: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

Written: TypeAlias = tuple[datetime, datetime, int]
"""When a record was begun and planted, and how many data keys it takes."""
Window: TypeAlias = tuple[datetime, datetime]


def read_calls(subject: Key, written: Sequence[Written], io: Io) -> tuple[Sequence[datetime], Window]:
    """When the vendor's principals had data keys wrapped around the plantings, and what time was looked at. Raises
    ProbeError, also where the log may hold more."""
    from probes.clouds.gcp.names import key_name
    from probes.keys.drill.gcp_log import DATA_ACCESS, between

    now = io.clock()
    since = min(began for began, _, _ in written) - NEAR - AROUND
    until = min(now, max(planted for _, planted, _ in written) + NEAR + AROUND)
    if now - since > KEPT:
        raise ProbeError(Reason.NOT_COVERED, f"the planting is longer ago than it surely keeps, {KEPT.days} days")
    (log,) = between(subject, (key_name(subject.resource),), (since, until), io)
    if not log.complete:
        raise ProbeError(Reason.NOT_COVERED, f"it is not whole: {log.why_not}")
    calls = (
        entry.at
        for entry in log.entries()
        if entry.operation in WRAPS
        and entry.log == DATA_ACCESS
        and entry.code == 0
        and gcp_named(entry.principal, subject.agreed.vendor)
    )
    return sorted(calls), (since, until)


@dataclass(frozen=True, slots=True)
class _Span:
    """Plantings whose neighbourhoods touch, in microseconds, and how many calls they take together."""

    start: int
    end: int
    need: int


def judged_by_time(written: Sequence[Written], calls: Sequence[datetime], window: Window) -> Tie:
    """Whether calls near every planting are there, and are hardly there by chance. Pure."""
    from probes.fields.tie import Tie

    spans = _spans(written)
    at = sorted(map(_micros, calls))
    for span in spans:
        found = bisect_right(at, span.end) - bisect_left(at, span.start)
        if found < span.need:
            return Tie("untied", f"{found} data keys were wrapped near a planting that takes {span.need}")
    quiet = [*_hours(_micros(window[0]), spans[0].start), *_hours(spans[-1].end, _micros(window[1]))]
    likely = Fraction(1)
    for span in spans:
        likely *= _chance(at, quiet, span.end - span.start, span.need)
    if likely > CHANCE:
        return Tie(
            "untied",
            f"the calls near {len(spans)} plantings may be there by chance, once in {int(1 / likely)}: plant more "
            "records, further apart (`keycheck canary plant --times --apart`), and wait some hours",
        )
    return Tie("tied", f"by the moments of the calls alone, which chance explains once in {int(1 / likely)}")


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICRO


def _spans(written: Sequence[Written]) -> list[_Span]:
    spans: list[_Span] = []
    for began, planted, need in sorted(written):
        start, end = _micros(began - NEAR), _micros(planted + NEAR)
        if spans and start <= spans[-1].end:
            last = spans.pop()
            spans.append(_Span(last.start, max(last.end, end), last.need + need))
        else:
            spans.append(_Span(start, end, need))
    return spans


def _hours(start: int, end: int) -> list[tuple[int, int]]:
    step = HOUR // _MICRO
    return [(at, min(at + step, end)) for at in range(start, end, step)]


def _chance(at: Sequence[int], hours: Sequence[tuple[int, int]], length: int, need: int) -> Fraction:
    """How likely a time of this length, anywhere in the busiest of these hours, holds so many calls; never less than
    one such time among all that were looked at."""
    total = sum(end - start for start, end in hours)
    likely = min(Fraction(1), Fraction(length, total)) if total else Fraction(1)
    for start, end in hours:
        room = end - start - length
        if room > 0:
            likely = max(likely, Fraction(_holding(at, start, start + room, length, need), room))
    return likely


def _holding(at: Sequence[int], first: int, last: int, length: int, need: int) -> int:
    """For how much of the beginnings from `first` to `last` the time of this length holds so many calls."""
    covered, reached = 0, first
    for index in range(bisect_left(at, first), len(at) - need + 1):
        begin, stop = max(reached, at[index + need - 1] - length), min(last, at[index])
        if begin >= last:
            break
        if stop > begin:
            covered += stop - begin
            reached = stop
    return covered
