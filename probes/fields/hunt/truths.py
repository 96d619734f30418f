"""The ground-truth hunt: what a sample was opened to, sought in every column and in every file beside the export.

Proves that an opened value lies in the clear where it is found, in a spelling that `needles` knows. Finding nothing
proves little: the sample is a sample, and a copy in another encoding or another system is not seen. Runs only in the
process that opened the sample: truths are never pickled, spilled or shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from probes.fields.facts import Hunt
from probes.fields.hunt.hits import Hits, Weak, digests
from probes.fields.hunt.needles import Wanted, canary_needles, dictionary
from probes.fields.hunt.seam import Needle, Truth
from probes.fields.hunt.search import Searcher
from probes.fields.read.seam import Export, ExportFile, Listing, place
from probes.fields.scan.seam import ScanPlan

COMMON: Final = 3
"""A value that so many of the sample's rows of one column hold says nothing of where it came from."""
MOST: Final = 20_000
"""Values sought at most, evenly of all that were opened."""
_VAGUE: Final = frozenset({"date-of-birth"})
"""Classes of so few values that any of them turns up by chance."""
_PROSE: Final = frozenset({"name", "address", "free-text"})
FILE: Final = "file:"
"""What stands before the path of a file beside the export, as the name of the part."""


def hunt(
    export: Export, plan: ScanPlan, truths: tuple[Truth, ...], listing: Listing, columns: Sequence[str] | None = None
) -> Mapping[str, Hunt]:
    """Seek truths everywhere. Keys: each column's path, and `file:PATH` for each file beside the export.

    A truth in its own column counts, too: the column is mixed then. `columns` limits the hunt to some; None is every
    column, those that the listing did not see included. `short` counts values that are not sought, being too short,
    too common in the sample, or one of few. Hunts have `canaries` and `present` 0: they are for truths alone. Raises
    ProbeError where a shard or a file cannot be read.
    """
    sought = wanted(truths, plan)
    chosen = dictionary(sought.values)
    short = sought.left_out + chosen.short
    weak = tuple(_weak(each, sought.values[each.value]) for each in chosen.needles)
    sighting = _Sighting(Searcher(chosen.needles), digests(chosen.needles, plan.key), weak)
    homes: dict[bytes, set[tuple[str, int]]] = defaultdict(set)
    for truth in truths:
        homes[truth.value].add((truth.shard, truth.row))
    found: dict[str, _Part] = {name: _Part(Hits()) for name in (listing.columns if columns is None else columns)}
    for shard in listing.shards:
        if shard.file.beside:
            continue
        for batch in export.read(shard).batches:
            for name, array in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                if columns is not None and name not in found:
                    continue
                part = found.setdefault(name, _Part(Hits()))
                part.bytes += _size(array)
                for needle, row in sighting.column(array):
                    number = batch.number(row)
                    home = (shard.name, number) in homes[sought.values[sighting.searcher.needles[needle].value].content]
                    sighting.note(part.hits, needle, place(shard, number), home=home)
    for file in listing.files:
        if file.beside:
            found[FILE + file.path] = _through(export, file, sighting)
    count = len(sought.values) - chosen.short
    return {
        name: Hunt(canaries=0, truths=count, short=short, bytes=part.bytes, hits=part.hits.told(), more=part.hits.more)
        for name, part in found.items()
    }


def hunt_file(export: Export, file: ExportFile, plan: ScanPlan) -> Hunt:
    """Seek the plan's canaries in one file beside the export: a unit of work that may run anywhere. Raises ProbeError
    where the file cannot be read."""
    chosen = canary_needles(plan.canaries)
    part = _through(export, file, _Sighting(Searcher(chosen.needles), digests(chosen.needles, plan.key)))
    return Hunt(
        canaries=len(plan.canaries) - chosen.short,
        truths=0,
        short=chosen.short,
        bytes=part.bytes,
        hits=part.hits.told(),
        more=part.hits.more,
    )


@dataclass(frozen=True, slots=True)
class Sifted:
    """Truths that are worth seeking."""

    values: tuple[Wanted, ...]
    left_out: int
    """Different values that are not: of a class or a column that has few, common in the sample, or beyond the bound."""


def wanted(truths: Iterable[Truth], plan: ScanPlan) -> Sifted:
    """Each value once, without those that would turn up by chance."""
    few = {each.column for each in plan.columns if each.rule is not None and each.rule.values is not None}
    counted = Counter((truth.column, truth.of, truth.value) for truth in truths)
    values: dict[bytes, Wanted] = {}
    dropped: set[bytes] = set()
    for (column, of, value), count in counted.items():
        if column in few or of in _VAGUE or count >= COMMON:
            dropped.add(value)
        elif value not in values:
            values[value] = Wanted("truth", column, value, of)
    kept = [value for content, value in values.items() if content not in dropped]
    sought = kept if len(kept) <= MOST else [kept[index * len(kept) // MOST] for index in range(MOST)]
    return Sifted(tuple(sought), len(dropped) + len(kept) - len(sought))


@dataclass(slots=True)
class _Part:
    hits: Hits
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Sighting:
    searcher: Searcher
    digests: tuple[str, ...]
    weak: tuple[Weak, ...] = ()
    """By needle."""

    def column(self, array: pa.Array) -> Iterator[tuple[int, int]]:
        """(needle, row); a row is told once for each value, by its plainest spelling there."""
        told: set[tuple[int, int]] = set()
        for seen in sorted(self.searcher.column(array), key=lambda each: (each.at, each.needle)):
            value = (self.searcher.needles[seen.needle].value, seen.at)
            if value not in told:
                told.add(value)
                yield seen.needle, seen.at

    def note(self, hits: Hits, needle: int, where: str, *, home: bool = False) -> None:
        """Record a sighting."""
        weak = self.weak[needle] if self.weak else ""
        hits.add(self.searcher.needles[needle], self.digests[needle], where, home=home, weak=weak)


def _through(export: Export, file: ExportFile, sighting: _Sighting) -> _Part:
    part = _Part(Hits())

    def counted() -> Iterator[bytes]:
        for chunk in export.raw(file):
            part.bytes += len(chunk)
            yield chunk

    for seen in sighting.searcher.raw(counted()):
        sighting.note(part.hits, seen.needle, f"{file.path}:byte {seen.at}")
    return part


def _weak(needle: Needle, value: Wanted) -> Weak:
    if any(word in needle.encoding for word in ("subscriber", "national", "digits")):
        return "number"
    return "word" if "local-part" in needle.encoding or value.kind in _PROSE else ""


def _size(array: pa.Array) -> int:
    """Bytes of the values."""
    if pa.types.is_null(array.type) or not len(array):
        return 0
    return int(array.nbytes)
