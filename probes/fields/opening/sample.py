"""Opens the drawn values under the customer's key, in this process alone, and keeps nothing but counts and places.

What it proves: that these values are sealed under data keys that the pinned key unwraps, and (where they decrypt to
plaintext of their class) that those data keys encrypt them. It proves nothing of values that were not drawn beyond the
exact bound, and never that the vendor holds no other key and no other copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import zip_longest
from types import MappingProxyType
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from keycheck.turns import waiting
from probes.fields.facts import Opened
from probes.fields.hunt.seam import Truth
from probes.fields.opening.binding import Binding
from probes.fields.opening.column import Ask, ColumnSample
from probes.fields.opening.counting import Count
from probes.fields.opening.price import PLANTED, negative_count, reserved_calls
from probes.fields.opening.remembered import Remembered
from probes.fields.opening.rows import Row, Rows, read_rows
from probes.fields.opening.unwrap import Answer, Budget, MakeUnwrapper, Sleep, Unwrapper
from probes.fields.read.seam import Export, Shard, place
from probes.fields.scan.hashing import Regions, WholeHasher
from probes.fields.scan.seam import Canary, ColumnPlan, Draw, Pick, ScanPlan
from probes.fields.subjects import FieldRule

TRUTHS: Final = 10_000
TRUTH_BYTES: Final = 16 * 2**20
"""Opened values that are handed to the hunt, all columns together."""
TRUTH_LONGEST: Final = 64 * 1024


_NO_KEY: Final = Unseen(
    reason=Reason.UNSUPPORTED, detail="the field map names no key of this column that can be asked; name one"
)
_CHANGED: Final = Unseen(
    reason=Reason.CONFLICTING, detail="a drawn value is not the one that was scanned: the export changed in between"
)
_NONE_DRAWN: Final = Unseen(
    reason=Reason.NOT_COVERED, detail="no value of this column holds a data key, so that none could be drawn"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What opening came to."""

    opened: Mapping[str, Opened | Unseen]
    """By column, for every column that was drawn from."""
    truths: tuple[Truth, ...] = field(repr=False)
    """For the hunt, in this process alone."""
    truths_left: int = 0
    """Values that were opened beyond those: too many, or too long."""


def open_sample(
    export: Export,
    draws: Mapping[str, Draw],
    plan: ScanPlan,
    shards: Mapping[str, Shard],
    *,
    seed: bytes,
    calls: int,
    unwrapper: MakeUnwrapper,
    sleep: Sleep | None = None,
    planted: Mapping[str, Sequence[Pick]] = MappingProxyType({}),
    stopped: Callable[[], bool] = lambda: False,
) -> Sample:
    """Open what was drawn, by column; and `planted`, which we put there, apart from it.

    `shards` by their names; `seed` as the draw used it; at most `calls` calls to the key service, spread evenly over
    the columns; `unwrapper` makes the client of a key's resource name. Once `stopped` says so, nothing more is asked.
    Raises nothing: what goes wrong is in the facts.
    """
    opened: dict[str, Opened | Unseen] = {}
    asked: dict[str, _Asked] = {}
    plans = {each.column: each for each in plan.columns}
    for column, draw in sorted(draws.items()):
        found = _asked(plans.get(column), draw, unwrapper)
        if isinstance(found, Unseen):
            opened[column] = found
        else:
            asked[column] = found
    ours = {name: tuple(planted.get(name, ()))[:PLANTED] for name in asked}
    picks = [pick for each in asked.values() for pick in each.draw.picks]
    picks += [pick for each in ours.values() for pick in each]
    rows = read_rows(export, picks, shards, {name: _beside(each.rule, plan.canaries) for name, each in asked.items()})
    budget = Budget(calls, reserved_calls((len(each.draw.picks) for each in asked.values()), calls), stopped)
    remembered = Remembered(budget, sleep or _wait)
    samples = {
        name: _Sampled(
            _mixed(each.draw.picks, seed),
            ColumnSample(
                each.rule,
                each.who,
                Count(each.draw),
                [row.beside for pick in each.draw.picks if isinstance(row := rows[pick], Row)],
                plan.canaries,
            ),
            _asking(each, remembered),
        )
        for name, each in asked.items()
    }
    truths = _Truths()
    whole = WholeHasher(plan.key)
    sown = {
        name: _sown(each, ours[name], samples[name].ask, rows, shards, plan.canaries, whole)
        for name, each in asked.items()
    }
    for turn in zip_longest(*([(each, pick) for pick in each.picks] for each in samples.values())):
        for sampled, pick in filter(None, turn):  # columns by turns: a limit of calls hits all of them alike
            row = rows[pick]
            if isinstance(row, Unseen):
                sampled.sample.count.unanswered[row] += 1
                continue
            same = _same(row, pick, whole, sampled.sample)
            if isinstance(same, Unseen):
                sampled.sample.count.unanswered[same] += 1
                continue
            value = sampled.sample.open(same, _place(pick, shards), sampled.ask)
            truths.add(pick, sampled.sample.rule.class_, value)
    budget.release()
    again = [(each, negative_count(each.sample.unwrapped)) for each in samples.values()]
    for number in range(max((most for _, most in again), default=0)):
        for sampled, most in again:
            if number < most:
                sampled.sample.ask_changed(number, sampled.ask)
    remembered.forget()
    for sampled in samples.values():
        sampled.sample.conclude()
    opened |= {
        name: _concluded(each.sample.count, seed, sown[name], len(planted.get(name, ())))
        for name, each in samples.items()
    }
    return Sample(opened, tuple(truths.kept), truths.left)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A column whose key can be asked about."""

    rule: FieldRule
    resource: str
    who: Unwrapper
    draw: Draw


@dataclass(frozen=True, slots=True)
class _Sampled:
    picks: tuple[Pick, ...]
    sample: ColumnSample
    ask: Ask


@dataclass(slots=True)
class _Truths:
    kept: list[Truth] = field(default_factory=list, repr=False)
    left: int = 0
    room: int = TRUTH_BYTES

    def add(self, pick: Pick, of: str, value: bytes | None) -> None:
        if not value:
            return
        if len(value) > min(TRUTH_LONGEST, self.room) or len(self.kept) >= TRUTHS:
            self.left += 1
            return
        self.room -= len(value)
        self.kept.append(Truth(pick.column, of, value, pick.shard, pick.row))


def _asked(plan: ColumnPlan | None, draw: Draw, make: MakeUnwrapper) -> _Asked | Unseen:
    if plan is None or plan.rule is None or not plan.key_resource:
        return _NO_KEY
    if not draw.picks:
        return _NONE_DRAWN
    try:
        return _Asked(plan.rule, plan.key_resource, make(plan.key_resource), draw)
    except ProbeError as error:
        return Unseen(reason=error.reason, detail=vendor_text(str(error)))


def _mixed(picks: Sequence[Pick], seed: bytes) -> tuple[Pick, ...]:
    """In an order that the seed gives, not the places: what a limit of calls cuts off, and what is asked about once
    more, is then a random part of the sample."""
    return tuple(sorted(picks, key=lambda pick: sha256(b"%b\0%b\0%d" % (seed, pick.shard.encode(), pick.row)).digest()))


def _asking(asked: _Asked, remembered: Remembered) -> Ask:
    def ask(blob: bytes, sent: Binding) -> tuple[Answer, int]:
        return remembered.ask(asked.resource, asked.who, blob, sent.context, sent.associated)

    return ask


def _sown(
    asked: _Asked,
    picks: tuple[Pick, ...],
    ask: Ask,
    rows: Rows,
    shards: Mapping[str, Shard],
    canaries: Sequence[Canary],
    whole: WholeHasher,
) -> Count:
    """What the planted values of one column open to. First of all, so that no limit of calls leaves them out."""
    count = Count(Draw(picks, len(picks), 0))
    beside = [row.beside for pick in picks if isinstance(row := rows[pick], Row)]
    sample = ColumnSample(asked.rule, asked.who, count, beside, canaries)
    for pick in picks:
        row = rows[pick]
        same = row if isinstance(row, Unseen) else _same(row, pick, whole, sample)
        if isinstance(same, Row):
            sample.open(same, _place(pick, shards), ask)
    sample.conclude()
    return count


def _same(row: Row, pick: Pick, whole: WholeHasher, sample: ColumnSample) -> Row | Unseen:
    """The value that was scanned and drawn, among the elements of its row: what is served only to who reads a second
    time proves nothing."""
    if pick.content is None:
        return row
    for value in (row.value, *row.others):
        content = sample.content(value)
        if int(whole.regions(Regions.of([content]))[0]) & 0xFFFFFFFF == pick.content:
            return Row(value, row.beside)
    return _CHANGED


def _beside(rule: FieldRule, canaries: Sequence[Canary]) -> Sequence[str]:
    """Other columns of the row that opening needs."""
    names = {entry.column for entry in rule.context if entry.column is not None}
    return sorted(names | {name for each in canaries if each.column == rule.column for name, _ in each.row})


def _place(pick: Pick, shards: Mapping[str, Shard]) -> str:
    shard = shards.get(pick.shard)
    return pick.shard if shard is None else place(shard, pick.row)


def _concluded(count: Count, seed: bytes, sown: Count, found: int) -> Opened | Unseen:
    """The facts; where nothing at all can be opened, what to ask the vendor for."""
    stuck = [each for each in count.unanswered if each.reason is Reason.UNSUPPORTED]
    if stuck and sum(count.unanswered[each] for each in stuck) == len(count.draw.picks):
        return stuck[0]
    count.calls += sown.calls
    return count.facts(seed.hex()).model_copy(update={"planted": sown.planted(found)})


def _wait(seconds: float) -> None:
    with waiting():
        time.sleep(seconds)
