"""Results of shards, gathered in any order, to the draw of the sample and the facts of every column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.facts import PLACES, ColumnFacts, Export, Hunt, LeftOut, Opened, Place, Tally
from probes.fields.read.seam import BESIDE, Shard, place
from probes.fields.read.seam import Export as SourceExport
from probes.fields.scan.conclude import At, Sum, Tallies, data_keys, located, recognised
from probes.fields.scan.confirm import Counts, corrections, reread
from probes.fields.scan.draw import Drawing
from probes.fields.scan.hashing import Longs
from probes.fields.scan.ledger import KeyUse, Ledger, Order, Repeats
from probes.fields.scan.result import STRATA, ShardResult
from probes.fields.scan.seam import ColumnPlan, Draw, Pick, ScanPlan
from probes.fields.scan.statistics import tests_of
from probes.fields.scan.tallies import Distinct

MEMORY: Final = 256 << 20
_FURTHER: Final = "further"
_LEFT_OUT: Final = 64
_NO_OPENING: Final = Unseen(reason=Reason.NOT_SELECTED, detail="nothing of this column was opened")


class Gathering:
    """Everything that is known of an export's columns. Lives in the process that gathers.

    `add` and `lose` may come in any order: the same shards give the same facts, byte for byte. What is held is bounded
    whatever the values are; the lines of the ledger go to `spill` (a private folder, to be removed by the caller)
    beyond `memory` bytes.
    """

    def __init__(self, plan: ScanPlan, columns: tuple[str, ...], spill: Path, memory: int = MEMORY) -> None:
        self._plan = plan
        plans = {column.column: column for column in plan.columns}
        self._names = tuple(sorted(columns))
        self._sums = {name: Sum(plans.get(name) or ColumnPlan(name, "unmapped"), plan.key) for name in self._names}
        self._shards: dict[str, Shard] = {}
        self._numbers: dict[str, int] = {}
        self._ledger = Ledger(spill, memory)
        self._strata: dict[tuple[str, str], int] = {}
        self._tenants = Distinct()
        self._present: set[int] = set()
        self._planted: set[tuple[int, int, int]] = set()
        """(column, shard, row) of values that we planted."""
        self._lost: list[tuple[tuple[str, int, str], LeftOut]] = []
        self._dialect = ""
        self._surprises: set[str] = set()
        self._corrections: dict[int, Counts] = {}
        self.lost: set[str] = set()
        """Names of shards of which nothing is known."""
        self.rows = 0
        """Rows that were read."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What could not be read, in the order of the export; beyond 64 kinds put together."""
        merged: dict[str, tuple[int, list[str]]] = {}
        for _, one in sorted(self._lost, key=lambda each: (each[0], each[1].why)):
            rows, places = merged.get(one.why, (0, []))
            merged[one.why] = (rows + one.rows, [*places, *one.places][:PLACES])
        told = [LeftOut(why=why, rows=rows, places=tuple(places)) for why, (rows, places) in merged.items()]
        if len(told) <= _LEFT_OUT:
            return tuple(told)
        rest = LeftOut(why="for further reasons", rows=sum(one.rows for one in told[_LEFT_OUT - 1 :]))
        return (*told[: _LEFT_OUT - 1], rest)

    @property
    def all_canaries(self) -> bool:
        """Whether the row of every planted canary was read."""
        return bool(self._plan.canaries) and len(self._present) == len(self._plan.canaries)

    def add(self, shard: Shard, result: ShardResult) -> None:
        """The result of one shard, once."""
        self._dialect = self._dialect or result.dialect
        if result.dialect != self._dialect:
            words = "scanned by another version of the software, whose hashes cannot be compared"
            self.lose(shard, Unseen(reason=Reason.UNSUPPORTED, detail=words))
            return
        number = self._number(shard)
        self._lost += [((shard.file.path, shard.start, shard.name), one) for one in result.left_out]
        seen = set()
        for column in result.columns:
            if column.column not in self._sums:
                self._surprise(column.column)
                continue
            seen.add(column.column)
            self._sums[column.column].add(column, shard)
            if column.tokens is not None and len(column.tokens):
                strata = np.array([self._stratum(shard.file.path, label) for label in column.strata], np.uint32)
                self._ledger.add(self._names.index(column.column), number, column.tokens, strata)
        lost = sum(one.rows for one in result.left_out)
        if not shard.file.beside:
            self.rows += result.rows
            for name in set(self._own) - seen:
                self._missing(name, result.rows, lost)
        self._tenants += result.tenants
        self._present |= result.present
        for index, row in result.planted:
            column_of = self._plan.canaries[index].column
            if column_of in self._sums:
                self._planted.add((self._names.index(column_of), number, row))

    @property
    def _own(self) -> tuple[str, ...]:
        """Columns of the export itself."""
        return tuple(name for name in self._names if not name.startswith(BESIDE))

    def _missing(self, name: str, rows: int, lost: int) -> None:
        """A shard whose file does not have this column."""
        column = self._sums[name]
        column.rows += rows + lost
        column.nulls += rows
        column.left_out += lost

    def _surprise(self, name: str) -> None:
        if name in self._surprises:
            return
        self._surprises.add(name)
        one = LeftOut(why=vendor_text(f"column {name[:100]} that the listing did not see"), rows=0)
        entry = (("", 0, ""), one)
        if entry not in self._lost and len(self._surprises) <= _LEFT_OUT:
            self._lost.append(entry)

    def lose(self, shard: Shard, why: Unseen) -> None:
        """A shard of which nothing is known: in every column that it has, one row at least was not looked at."""
        self.lost.add(shard.name)
        words = f"{why.reason.value}: {why.detail}"
        at = (shard.file.path, shard.start, shard.name)
        lost = LeftOut(why=vendor_text(words), rows=0, places=(vendor_text(shard.name),))
        self._lost.append((at, lost))
        beside = f"{BESIDE}{shard.file.path}"
        for name in (beside,) if shard.file.beside else self._own:
            if name in self._sums:
                self._sums[name].rows += 1
                self._sums[name].left_out += 1

    def _number(self, shard: Shard) -> int:
        if shard.name in self._numbers:
            raise ValueError("a shard is added once")
        self._shards[shard.name] = shard
        return self._numbers.setdefault(shard.name, len(self._numbers))

    def _stratum(self, file: str, label: str) -> int:
        key = (file, label) if len(self._strata) < STRATA else (_FURTHER, "")
        return self._strata.setdefault(key, len(self._strata))

    def _order(self) -> tuple[Order, list[Shard]]:
        """Rank of each shard's number, and the shards by rank."""
        ordered = sorted(self._shards.values(), key=lambda shard: (shard.file.path, shard.start, shard.name))
        ranks = np.zeros(max(1, len(ordered)), np.int64)
        for rank, shard in enumerate(ordered):
            ranks[self._numbers[shard.name]] = rank
        return ranks, ordered

    def confirm(self, export: SourceExport) -> None:
        """Read the first thousand values of duplicates again, and correct the counts of what is none. To be called
        after the last `add` and before `facts`. Raises ProbeError when the export can no longer be read."""
        order, _ = self._order()
        _, groups = self._ledger.repeats(order)
        by_number = sorted(self._shards.values(), key=lambda shard: self._numbers[shard.name])
        read = reread(export, by_number, groups, lambda column: self._sums[self._names[column]].plan)
        self._corrections = corrections(groups, read)

    def draw(self, column: str, seed: bytes, samples: int) -> Draw:
        """Draw values of a column: a simple random sample, without replacement, of all that a format explains, by a
        hash of `seed` and their place. So every value is as likely as any other, under whatever data key, in whatever
        file, wherever in its list; how many stand under one data key changes nothing, and the bound is over values.
        `seed`: made after the export's digest was written down, so that nobody could choose what is drawn."""
        order, ordered = self._order()
        labels, rank = self._labels()
        number = self._names.index(column)
        drawing = Drawing(seed, column, samples)
        for part in self._ledger.values():
            if len(chosen := np.flatnonzero(part["column"] == number)):
                here = part.lines(chosen)
                at = (order[here["shard"]].astype(np.uint64) << np.uint64(32)) | here["row"]
                # Elements of one list share their row; equal elements are one.
                drawing.add(here, at ^ (here["content"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))
        drawn = drawing.drawn()
        if drawn is None:
            return Draw((), 0, 0)
        picks = [
            Pick(
                column,
                ordered[int(order[line["shard"]])].name,
                int(line["row"]),
                labels[int(rank[line["stratum"]])],
                int(line["content"]),
            )
            for line in drawn
        ]
        picks = sorted(set(picks), key=lambda pick: (pick.shard, pick.row, pick.content or 0))
        return Draw(tuple(picks), drawing.population, len(drawing.strata))

    def planted(self) -> Mapping[str, tuple[Pick, ...]]:
        """By column, the values of the rows that we planted, as far as a format explains them: to be opened besides
        what is drawn, and never to be counted with it."""
        order, ordered = self._order()
        found: dict[str, set[Pick]] = {}
        wanted = np.array([(shard << 32) | row for _, shard, row in self._planted], np.uint64)
        for part in self._ledger.values() if len(wanted) else ():
            chosen = np.flatnonzero(
                np.isin((part["shard"].astype(np.uint64) << np.uint64(32)) | part["row"].astype(np.uint64), wanted)
            )
            for line in part.lines(chosen):
                column, shard, row = int(line["column"]), int(line["shard"]), int(line["row"])
                if (column, shard, row) in self._planted:
                    name = self._names[column]
                    pick = Pick(name, ordered[int(order[shard])].name, row, "", int(line["content"]))
                    found.setdefault(name, set()).add(pick)
        return {
            name: tuple(sorted(picks, key=lambda pick: (pick.shard, pick.row, pick.content or 0)))
            for name, picks in found.items()
        }

    def _labels(self) -> tuple[list[str], Longs]:
        """Strata in the order of their names, and the rank of each number."""
        ordered = sorted(self._strata, key=lambda one: one)
        rank = np.zeros(max(1, len(ordered)), np.int64)
        for index, key in enumerate(ordered):
            rank[self._strata[key]] = index
        return [vendor_text(f"{label} in {file}".strip()) for file, label in ordered], rank

    def facts(
        self,
        export: Export,
        opened: Mapping[str, Opened | Unseen],
    ) -> Iterator[ColumnFacts]:
        """The facts of every column, in the order of their names. What the hunt for opened values finds is not in
        them."""
        order, ordered = self._order()
        where = located(self._shards)

        def tally(count: int, places: Sequence[tuple[int, int]]) -> Tally:
            return Tally(count=count, places=tuple(_place(ordered[rank], row) for rank, row in places))

        repeats, _ = self._ledger.repeats(order)
        uses = self._ledger.key_uses(order)
        for number, (reused, copies, across) in self._corrections.items():
            if number in repeats:
                repeats[number].reused += reused
                repeats[number].copies += copies
                repeats[number].across += across
        for number, name in enumerate(self._names):
            yield self._column(
                self._sums[name].resolved(self._plan.vault),
                export,
                opened.get(name, _NO_OPENING),
                repeats.get(number),
                uses.get(number),
                tally,
                where,
            )

    def _column(
        self,
        seen: Sum,
        export: Export,
        opened: Opened | Unseen,
        repeats: Repeats | None,
        use: KeyUse | None,
        tally: Tallies,
        where: Callable[[At], Place],
    ) -> ColumnFacts:
        plan = seen.plan
        wrapped, more = seen.wrapped_facts()
        canaries, further = seen.hits(self._plan.canaries, self._plan.key, where)
        known = recognised(seen.kinds.items())
        tenants = len(self._tenants) if self._plan.tenant is not None else None
        return ColumnFacts(
            export=export,
            column=vendor_text(plan.column),
            role=plan.role,
            rule=plan.rule,
            key_resource=vendor_text(plan.key_resource),
            tenants_declared=self._plan.tenant is not None,
            rows=seen.rows,
            nulls=seen.nulls,
            empties=seen.empties,
            left_out=seen.left_out,
            kinds=seen.kind_facts(where),
            evidence_bits=seen.evidence(),
            ciphers=seen.cipher_facts(),
            wrapped=wrapped,
            wrapped_more=more,
            unwrapped=seen.unwrapped,
            static_keys=tuple(vendor_text(key) for key, _ in seen.static_keys.items())[:64],
            wraps=seen.wraps or (0, 0),
            remarks=tuple(sorted((vendor_text(word), count) for word, count in seen.remarks.items())[:64]),
            committed=seen.committed,
            deterministic=Tally(count=seen.deterministic.count, places=tuple(map(where, seen.deterministic.rows))),
            units=seen.units(repeats, tally),
            data_keys=data_keys(use, known, tenants, tally),
            contexts=seen.context_facts(where),
            lengths=seen.length_facts(),
            tests=tests_of(seen.statistics, len(self._names)),
            detected=seen.detected_facts(where),
            hunt=Hunt(
                canaries=len(self._plan.canaries),
                truths=0,
                bytes=seen.searched,
                hits=canaries[:1000],
                more=further + max(0, len(canaries) - 1000),
                present=len(self._present),
            ),
            opened=opened,
        )


def _place(shard: Shard, row: int) -> Place:
    return vendor_text(place(shard, row))
