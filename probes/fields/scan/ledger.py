"""Exact duplicates and uses of data keys over a whole export, however large.

Of every value two lines are held: one of its nonce (a hash of data key and nonce, a second hash of both of 32 bits, and
one of the whole value), one of its data key. They are held field by field as the shards gave them; beyond a budget of
memory they are spilled to disk in partitions by their hash. At the end the hashes of each partition are sorted, and the
lines of those that stand there more than once are compared.

Equal pairs are always found. Falsely equal ones: two different pairs of (data key, nonce) meet in 64 + 32 bits; for n
values that were not chosen with the run's key in hand that is expected n^2 / 2^97 times, 6e-12 for 10^9 values, and for
values chosen to collide at most n^2 / 2^65, as the two multilinear hashes share no coefficient. Nothing is said of a
group that was read again and proved different (`Gathering.confirm`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from probes.fields.facts import PLACES
from probes.fields.scan.hashing import Longs
from probes.fields.scan.spilled import Lines, Part, Spilled, Values, concatenated
from probes.fields.scan.tokens import Tokens

NONCES: Final = np.dtype(
    [
        ("unit", "<u8"),
        ("check", "<u4"),
        ("content", "<u4"),
        ("row", "<u4"),
        ("shard", "<u4"),
        ("count", "<u4"),
        ("column", "<u2"),
    ]
)
USES: Final = np.dtype(
    [
        ("key", "<u8"),
        ("tenant", "<u8"),
        ("content", "<u4"),
        ("stratum", "<u4"),
        ("row", "<u4"),
        ("shard", "<u4"),
        ("count", "<u4"),
        ("column", "<u2"),
        ("own", "?"),
    ]
)
CANDIDATES: Final = 1_000
"""Values of duplicates that can be read again."""
Order: TypeAlias = Longs
"""Rank of each shard in the order of the export."""


@dataclass(slots=True)
class Place:
    """Where a value is, by numbers."""

    column: int
    shard: int
    row: int


@dataclass(slots=True)
class Group:
    """Values that seem to share (data key, nonce), and what they were counted as: by column (reused, copies,
    across)."""

    members: list[Place]
    counted: dict[int, tuple[int, int, int]]


@dataclass(slots=True)
class Repeats:
    """Of one column."""

    reused: int = 0
    copies: int = 0
    across: int = 0
    reused_at: list[tuple[int, int]] = field(default_factory=list)
    copies_at: list[tuple[int, int]] = field(default_factory=list)
    across_at: list[tuple[int, int]] = field(default_factory=list)
    """(rank of the shard, row), the first ones in order."""


@dataclass(slots=True)
class KeyUse:
    """Data keys of one column."""

    visible: int = 0
    distinct: int = 0
    most: int = 0
    sharing: int = 0
    sharing_at: list[tuple[int, int]] = field(default_factory=list)


class Ledger:
    """Lines of all values of all columns."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.nonces = Spilled(folder, "nonces", NONCES, "unit", memory // 2)
        self.uses = Spilled(folder, "uses", USES, "key", memory // 2)

    def add(self, column: int, shard: int, tokens: Tokens, strata: NDArray[np.uint32]) -> None:
        """The tokens of one column of one shard; `strata` are the numbers of its strata in the whole export."""
        place: dict[str, Values | int] = {"shard": shard, "column": column, "count": 1}
        nonces: dict[str, Values] = {
            "unit": tokens.unit,
            "check": tokens.check,
            "content": tokens.content,
            "row": tokens.row,
        }
        self.nonces.add(Part(NONCES, len(tokens), {**nonces, **place}))
        count = int(np.count_nonzero(tokens.key))
        if not count:
            return
        uses: dict[str, Values] = {
            "key": tokens.key,
            "tenant": tokens.tenant,
            "own": tokens.own,
            "content": tokens.content,
            "row": tokens.row,
        }
        stratum = strata[tokens.stratum]
        if count < len(tokens):
            drawn = np.flatnonzero(tokens.key)
            uses, stratum = {name: values[drawn] for name, values in uses.items()}, stratum[drawn]
        self.uses.add(Part(USES, count, {**uses, "stratum": stratum, **place}))

    def values(self) -> Iterator[Part]:
        """Every value that can be drawn, as it was added: nothing is put together."""
        yield from self.uses.parts()

    def repeats(self, order: Order) -> tuple[dict[int, Repeats], list[Group]]:
        """Duplicates by column, and the first groups of them in the order of the export."""
        found: dict[int, Repeats] = {}
        groups: list[tuple[tuple[int, int], Group]] = []
        for parts in self.nonces.partitions(lambda many: _fewer_nonces(many, order)):
            doubled = _doubled(parts, "unit")
            if len(doubled):
                _count_repeats(doubled, order, found, groups)
                groups = _first_groups(groups)
        return found, [group for _, group in groups]

    def key_uses(self, order: Order) -> dict[int, KeyUse]:
        """Uses by column."""
        found: dict[int, KeyUse] = {}
        for parts in self.uses.partitions(lambda many: _fewer_uses(many, order)):
            _count_uses(parts, order, found)
        return found


def _doubled(parts: Sequence[Part], by: str) -> Lines:
    """Lines whose hash stands there more than once, or that stand for several."""
    ordered = np.concatenate([part[by] for part in parts])
    ordered.sort()
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return concatenated(
        [part.lines(np.flatnonzero(np.greater(part["count"], 1) | _among(part[by], twice))) for part in parts]
    )


def _among(values: Values, ordered: Values) -> NDArray[np.bool_]:
    """Which of them are among these, which are in order."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)] == values, np.bool_)


def _starts(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a run of equal lines begins."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _ranked(lines: Lines, order: Order, *names: str) -> Lines:
    """Sorted by the named fields, then by place."""
    keys = [lines["row"], order[lines["shard"]], *(lines[name] for name in reversed(names))]
    return np.asarray(lines[np.lexsort(keys)])


def _fewer_nonces(lines: Lines, order: Order) -> Lines:
    """Of equal values the first ones; the last of these stands for the rest, too."""
    lines = _ranked(lines, order, "unit", "check", "column", "content")
    new = _starts(lines["unit"], lines["check"], lines["column"], lines["content"])
    starts = np.flatnonzero(new)
    within = np.arange(len(lines)) - starts[np.cumsum(new) - 1]
    kept = within < PLACES
    holders = np.flatnonzero(within == PLACES - 1)
    run = np.cumsum(new) - 1
    totals = np.add.reduceat(lines["count"].astype(np.int64), starts)
    shown = np.add.reduceat(np.where(within < PLACES - 1, lines["count"], 0).astype(np.int64), starts)
    lines["count"][holders] = (totals - shown)[run[holders]]
    return np.asarray(lines[kept])


def _count_repeats(
    lines: Lines, order: Order, found: dict[int, Repeats], groups: list[tuple[tuple[int, int], Group]]
) -> None:
    lines = _ranked(lines, order, "unit", "check", "column", "content")
    group = np.cumsum(_starts(lines["unit"], lines["check"])) - 1
    part = np.cumsum(_starts(group, lines["column"])) - 1
    same = np.cumsum(_starts(part, lines["content"])) - 1
    count = lines["count"].astype(np.int64)
    copies = np.bincount(same, weights=count).astype(np.int64)[same] > 1
    contents = _distinct(part, lines["content"])
    reused = contents[part] > 1
    columns = _distinct(group, lines["column"])
    in_group = _distinct_sorted(group, lines["content"])
    across = (columns[group] > 1) & (in_group[group] > 1)
    rank = order[lines["shard"]]
    for column in _distinct_values(lines["column"]):
        here = lines["column"] == column
        into = found.setdefault(column, Repeats())
        for flags, name in ((reused, "reused"), (copies, "copies"), (across, "across")):
            chosen = np.flatnonzero(here & flags)
            if len(chosen):
                setattr(into, name, getattr(into, name) + int(count[chosen].sum()))
                places = getattr(into, f"{name}_at")
                setattr(into, f"{name}_at", _first_places(places, rank[chosen], lines["row"][chosen]))
    flagged = np.flatnonzero(copies | reused | across)
    if not len(flagged):
        return
    place = rank[flagged] * (1 << 32) + lines["row"][flagged]
    first = flagged[np.argpartition(place, min(CANDIDATES, len(place)) - 1)[:CANDIDATES]]
    for number in _distinct_values(group[first]):
        members = np.flatnonzero(group == number) if len(lines) < 1 << 16 else _run(group, number)
        some = members[np.lexsort((lines["row"][members], rank[members]))]
        counted = {
            column: _sums(count, members[lines["column"][members] == column], (reused, copies, across))
            for column in _distinct_values(lines["column"][members])
        }
        held = [Place(int(lines["column"][i]), int(lines["shard"][i]), int(lines["row"][i])) for i in some[:PLACES]]
        groups.append(((int(rank[some[0]]), int(lines["row"][some[0]])), Group(held, counted)))


def _sums(count: Longs, members: Longs, flags: tuple[NDArray[np.bool_], ...]) -> tuple[int, int, int]:
    reused, copies, across = (int(count[members[flag[members]]].sum()) for flag in flags)
    return reused, copies, across


def _run(group: Longs, number: int) -> Longs:
    low, high = np.searchsorted(group, [number, number + 1])
    return np.arange(low, high)


def _first_groups(groups: list[tuple[tuple[int, int], Group]]) -> list[tuple[tuple[int, int], Group]]:
    kept: list[tuple[tuple[int, int], Group]] = []
    total = 0
    for place, group in sorted(groups, key=lambda one: one[0]):
        if total + len(group.members) > CANDIDATES:
            break
        total += len(group.members)
        kept.append((place, group))
    return kept


def _first_places(have: Sequence[tuple[int, int]], ranks: Longs, rows: NDArray[np.uint32]) -> list[tuple[int, int]]:
    place = ranks * (1 << 32) + rows
    if len(place) > PLACES:
        place = np.partition(place, PLACES - 1)[:PLACES]
    return sorted({*have, *((int(one >> 32), int(one & 0xFFFFFFFF)) for one in place.tolist())})[:PLACES]


def _distinct(run: Longs, values: NDArray[np.generic]) -> Longs:
    """Different values in each run; equal ones stand together."""
    new = _starts(run, values)
    return np.bincount(run, weights=new).astype(np.int64)


def _distinct_sorted(run: Longs, values: NDArray[np.generic]) -> Longs:
    """The same where equal values do not stand together."""
    order = np.lexsort((values, run))
    return _distinct(run[order], values[order])


def _distinct_values(values: NDArray[np.generic]) -> list[int]:
    ordered = np.sort(values)
    return [int(one) for one in ordered[_starts(ordered)]] if len(ordered) else []


def _fewer_uses(lines: Lines, order: Order) -> Lines:
    """One line for each (data key, column, tenant): its first value, and how many there are."""
    lines = _ranked(lines, order, "key", "column", "tenant")
    starts = np.flatnonzero(_starts(lines["key"], lines["column"], lines["tenant"]))
    fewer = lines[starts]
    fewer["count"] = np.add.reduceat(lines["count"].astype(np.int64), starts)
    return np.asarray(fewer)


def _count_uses(parts: Sequence[Part], order: Order, found: dict[int, KeyUse]) -> None:
    """Counts."""
    doubled = _doubled(parts, "key")
    if len(doubled):
        doubled = _fewer_uses(doubled, order)
    for part in parts:
        single = np.logical_and(part["own"], ~_among(part["key"], doubled["key"]))
        for column, count in enumerate(np.bincount(part["column"].astype(np.int64)[single]).tolist()):
            if count:
                into = found.setdefault(column, KeyUse())
                into.visible += count
                into.distinct += count
                into.most = max(into.most, 1)
    if not len(doubled):
        return
    key = np.cumsum(_starts(doubled["key"])) - 1
    run = np.cumsum(_starts(key, doubled["column"])) - 1
    count = doubled["count"].astype(np.int64)
    total = np.bincount(key, weights=count).astype(np.int64)
    known = doubled["tenant"] != 0
    tenants = _distinct_sorted(key[known], doubled["tenant"][known])
    tenants = np.concatenate((tenants, np.zeros(len(total) - len(tenants), np.int64)))
    firsts = _ranked(doubled, order, "key", "column")
    firsts = firsts[_starts(firsts["key"], firsts["column"])]
    of_key = np.cumsum(_starts(firsts["key"])) - 1
    uses = np.bincount(run, weights=count).astype(np.int64)
    rank = order[firsts["shard"]]
    for column in _distinct_values(firsts["column"]):
        here = (firsts["column"] == column) & firsts["own"]
        if not here.any():
            continue
        into = found.setdefault(column, KeyUse())
        into.visible += int(uses[here].sum())
        into.distinct += int(np.count_nonzero(here))
        into.most = max(into.most, int(total[of_key[here]].max()))
        shared = np.flatnonzero(here & (tenants[of_key] > 1))
        into.sharing += len(shared)
        into.sharing_at = _first_places(into.sharing_at, rank[shared], firsts["row"][shared])
