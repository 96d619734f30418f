"""What is sought in the clear while a column is scanned: planted canaries everywhere, personal data in plaintext."""

from __future__ import annotations

import numpy as np
import polars as pl

from probes.fields.hunt.detectors import detect
from probes.fields.hunt.needles import canary_needles
from probes.fields.hunt.search import Searcher
from probes.fields.scan.arrays import Cells
from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import Longs, Regions, array_of, series_of
from probes.fields.scan.result import HITS, ColumnResult, Found
from probes.fields.scan.seam import Canary
from probes.fields.scan.tabulate import Row
from probes.fields.scan.tallies import Bounded, Seen


def searcher(canaries: tuple[Canary, ...]) -> Searcher | None:
    """What seeks the canaries in all their spellings; None without canaries."""
    if not canaries:
        return None
    return Searcher(canary_needles(canaries).needles)


class Hunting:
    """One column of one shard."""

    def __init__(self, key: bytes, sought: Searcher | None) -> None:
        self._sought = sought
        self._searched = 0
        self._found: Bounded[tuple[str, str, int], Seen[int]] = Bounded(HITS, key)
        self._detected: dict[tuple[str, bool], Seen[int]] = {}
        self._plain: list[tuple[Longs, Regions]] = []

    def search(self, column: Cells, about: Row) -> None:
        """Canaries in every value as it stands."""
        self._searched += int(column.lengths.sum())
        if self._sought is None:
            return
        for sighted in self._sought.column(column.array):
            needle = self._sought.needles[sighted.needle]
            row = int(about.numbers[column.rows[sighted.at]])
            self._found.add((needle.of, needle.encoding, needle.value), Seen(1, (row,)))

    def plain(self, walked: Walked, chosen: Longs, about: Row) -> None:
        """Values that are plaintext, after peeling."""
        self._plain.append((about.numbers[walked.row[chosen]], walked.content[chosen]))

    def end_batch(self) -> None:
        """Personal data in the plaintext of a batch: all of it at once, as chance is judged over a batch."""
        if not self._plain:
            return
        rows, texts = self._plain[0]
        if len(self._plain) > 1:
            rows = np.concatenate([part for part, _ in self._plain])
            order = np.argsort(rows, kind="stable")
            whole = pl.concat([series_of(part) for _, part in self._plain]).gather(order)
            rows, array = rows[order], whole.to_arrow()
        else:
            array = array_of(texts)
        self._plain = []
        for found in detect(array):
            key = (found.kind, found.certain)
            places = tuple(rows[list(found.rows)].tolist())
            self._detected[key] = self._detected.get(key, Seen()) + Seen(found.count, places)

    def finish(self, result: ColumnResult) -> None:
        """Write what was found into the result."""
        result.searched = self._searched
        result.detected = self._detected
        told = list(self._found.items())
        result.found = tuple(Found(*key, seen) for key, seen in told)
        result.found_more = self._found.more
