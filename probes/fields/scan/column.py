"""One shard, scanned: every value of every column, without any key. What a worker process runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from probes.fields.facts import PLACES, LeftOut
from probes.fields.read.seam import BESIDE, Batch, Export, Shard
from probes.fields.scan.arrays import NO_TIME, Cells, cells, equal, instants, rows_equal
from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import Hashes, Longs, Regions
from probes.fields.scan.hunting import Hunting, searcher
from probes.fields.scan.likeness import alike
from probes.fields.scan.paths import Paths
from probes.fields.scan.result import EMPTY, PLAINTEXT, ColumnResult, ShardResult
from probes.fields.scan.seam import ColumnPlan, ScanPlan
from probes.fields.scan.tabulate import Hashers, Row, Tabulation
from probes.fields.scan.tallies import Distinct, Seen
from probes.fields.subjects import ContextRule


def scan_shard(export: Export, shard: Shard, plan: ScanPlan, *, fast: bool = True) -> ShardResult:
    """Scan one shard. Pure apart from reading: the same shard under the same plan gives an equal result.

    Every value of every column is classified. `fast=False` takes every value by itself; the result is the same.
    Raises ProbeError when the shard cannot be read.
    """
    scan = _Scan(shard, plan, fast)
    reading = export.read(shard)
    surprises: set[str] = set()
    for batch in reading.batches:
        scan.add(batch)
        surprises.update(batch.surprises)
    return scan.finish(tuple(reading.left_out), tuple(sorted(surprises)[:64]))


@dataclass(slots=True)
class _Column:
    """What is kept of one column while its shard is read."""

    plan: ColumnPlan
    tabulation: Tabulation
    hunting: Hunting
    paths: Paths
    seen: int = 0
    """Rows whose batches had it."""
    extra: int = 0
    """Further elements of lists."""
    nulls: int = 0
    empties: int = 0
    empty_rows: Seen[int] = field(default_factory=Seen)

    @property
    def rules(self) -> tuple[ContextRule, ...]:
        return self.plan.rule.context if self.plan.rule is not None else ()


@dataclass(frozen=True, slots=True)
class _Whole:
    """A batch of whole rows: what further elements of their lists are compared with."""

    found: Mapping[str, Cells]
    about: Row
    first: int
    size: int

    def homes(self, numbers: Longs) -> Longs:
        """Where in this batch the rows of these numbers are; -1 for rows of other batches."""
        at = numbers - self.first
        return np.where((at >= 0) & (at < self.size), at, -1)

    def about_further(self, numbers: Longs) -> Row:
        """What is known of the rows of further elements."""
        homes = self.homes(numbers)
        written, tenant = self.about.written, self.about.tenant
        return Row(
            numbers,
            None if written is None else np.where(homes < 0, NO_TIME, written[homes]),
            None if tenant is None else np.where(homes < 0, np.uint64(0), tenant[homes]),
        )


class _Scan:
    """One shard in the making."""

    def __init__(self, shard: Shard, plan: ScanPlan, fast: bool) -> None:
        self._shard = shard
        self._plan = plan
        self._fast = fast
        self._hashers = Hashers.of(plan.key)
        self._sought = searcher(plan.canaries)
        self._plans = {column.column: column for column in plan.columns}
        self._columns: dict[str, _Column] = {}
        self._rows = 0
        self._tenants = Distinct()
        self._present: set[int] = set()
        self._planted: list[tuple[int, int]] = []
        self._whole: _Whole | None = None

    def add(self, batch: Batch) -> None:
        """Rows side by side."""
        rows = batch.rows
        found = {name: cells(rows.column(index)) for index, name in enumerate(rows.schema.names)}
        if batch.numbers is None:
            numbers = np.arange(batch.first, batch.first + rows.num_rows)
            self._rows += rows.num_rows
            self._canaries(found, rows.num_rows, batch.first)
            self._whole = _Whole(found, self._about(found, numbers), batch.first, rows.num_rows)
            about, homes = self._whole.about, np.arange(rows.num_rows)
        else:
            numbers = batch.numbers.to_numpy().astype(np.int64)
            whole = self._whole or _Whole({}, Row(numbers, None, None), 0, 0)
            about, homes = whole.about_further(numbers), whole.homes(numbers)
        for name, column in found.items():
            self._column(name, column, about, homes, rows.num_rows, batch.numbers is not None)

    def _about(self, found: Mapping[str, Cells], numbers: Longs) -> Row:
        written = found.get(self._plan.written or "")
        tenant = found.get(self._plan.tenant or "")
        return Row(
            numbers,
            None if written is None else instants(written),
            None if tenant is None else self._tenant(tenant),
        )

    def _tenant(self, column: Cells) -> Hashes:
        hashes = np.zeros(column.size, np.uint64)
        hashes[column.rows] = self._hashers.key.regions(column.regions)
        self._tenants += Distinct.of(hashes[column.rows])
        return hashes

    def _canaries(self, found: Mapping[str, Cells], size: int, first: int) -> None:
        for index, canary in enumerate(self._plan.canaries):
            if index in self._present or not canary.row or any(name not in found for name, _ in canary.row):
                continue
            wanted = [(found[name], value.encode("utf-8", "surrogatepass")) for name, value in canary.row]
            at = rows_equal(wanted, size)
            own = found.get(canary.column)
            # A row without the planted value shows nothing of it.
            here = at[:0] if own is None else at[np.isin(at, own.rows[own.regions.length > 0])]
            if len(here):
                self._present.add(index)
                self._planted += [(index, first + row) for row in here[:PLACES].tolist()]

    def _column(self, name: str, column: Cells, about: Row, homes: Longs, size: int, further: bool) -> None:
        state = self._state(name)
        state.seen += 0 if further else size
        state.extra += size if further else 0
        state.nulls += size - len(column)
        state.hunting.search(column, about)
        filled = np.flatnonzero(column.lengths)
        if len(filled) < len(column):
            bare = about.numbers[column.rows[column.lengths == 0]]
            state.empties += len(bare)
            state.empty_rows += Seen(len(bare), tuple(bare[:8].tolist()))
        values = column.take(filled)
        if not len(values):
            return
        rules = state.rules
        for walked in state.paths.walk(values, tuple({rule.name for rule in rules})):
            told = [self._rule(rule, walked, homes) for rule in rules]
            state.tabulation.add(walked, about, told)
            plain = np.array([shape.kind == PLAINTEXT for shape in walked.shapes], np.bool_)
            if plain.any():
                state.hunting.plain(walked, np.flatnonzero(plain[walked.shape]), about)
        state.tabulation.end_batch()
        state.hunting.end_batch()

    def _rule(self, rule: ContextRule, walked: Walked, homes: Longs) -> NDArray[np.int8]:
        """Of each value: 0 equal, 1 differs, 2 the entry or the column's value is missing."""
        told = np.full(len(walked), 2, np.int8)
        if rule.name not in walked.entries:
            return told
        entry = walked.entries[rule.name]
        here = np.flatnonzero(walked.has[rule.name])
        if rule.value is not None:
            wanted = Regions.of([rule.value.encode("utf-8")])
            zeros = np.zeros(len(here), np.int64)
            twin = Regions(wanted.buffer, zeros, zeros + wanted.length[0])
        else:
            column = self._whole.found.get(rule.column or "") if self._whole is not None else None
            if column is None:
                return told
            # The last place stands for rows that are not in this batch.
            at = np.full(column.size + 1, -1, np.int64)
            at[column.rows] = np.arange(len(column))
            cell = at[homes[walked.row[here]]]
            here, cell = here[cell >= 0], cell[cell >= 0]
            twin = column.regions[cell]
        told[here] = np.where(equal(entry[here], twin), 0, 1)
        for other in np.flatnonzero(told[here] == 1).tolist():
            if alike(entry.content(int(here[other])), twin.content(other)):
                told[here[other]] = 0
        return told

    def _state(self, name: str) -> _Column:
        if name not in self._columns:
            column = f"{BESIDE}{self._shard.file.path}" if self._shard.file.beside else name
            plan = self._plans.get(column) or ColumnPlan(column, "unmapped")
            rules = plan.rule.context if plan.rule is not None else ()
            self._columns[name] = _Column(
                plan,
                Tabulation(column, rules, self._plan.key, self._hashers),
                Hunting(self._plan.key, self._sought),
                Paths(plan, self._fast),
            )
        return self._columns[name]

    def finish(self, left_out: tuple[LeftOut, ...], surprises: tuple[str, ...]) -> ShardResult:
        """The result."""
        if not self._shard.file.beside:
            for name in self._shard.columns:
                self._state(name)
        lost = sum(one.rows for one in left_out)
        return ShardResult(
            self._shard.name,
            self._rows,
            tuple(self._finished(self._columns[name], lost) for name in sorted(self._columns)),
            left_out,
            self._tenants,
            frozenset(self._present),
            surprises,
            self._hashers.whole.dialect,
            tuple(self._planted),
        )

    def _finished(self, state: _Column, lost: int) -> ColumnResult:
        result = state.tabulation.finish()
        result.rows = self._rows + state.extra + lost
        result.nulls = state.nulls + self._rows - state.seen
        result.empties = state.empties
        result.left_out = lost
        if state.empties:
            result.kinds.add(_EMPTY, state.empty_rows)
        state.hunting.finish(result)
        return result


_EMPTY = (EMPTY, "", "")
