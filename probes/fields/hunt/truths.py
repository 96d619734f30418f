"""The ground-truth hunt: what a sample was opened to, sought in every column and in every file beside the export.

Proves that an opened value lies in the clear where it is found, in a spelling that `needles` knows. Finding nothing
proves little: the sample is a sample, and a copy in another encoding or another system is not seen. Runs only in the
process that opened the sample: truths are never pickled, spilled or shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from probes.fields.facts import Hunt
from probes.fields.hunt.hits import Hits, Weak, digests
from probes.fields.hunt.needles import LONGEST, Wanted, canary_needles, dictionary
from probes.fields.hunt.seam import Needle, Truth
from probes.fields.hunt.search import Searcher
from probes.fields.hunt.twins import Twin, Twins
from probes.fields.hunt.under import under
from probes.fields.read.seam import BESIDE, Batch, Export, ExportFile, Listing, Shard, place
from probes.fields.scan.seam import ScanPlan

COMMON: Final = 3
"""A value that so many of the sample's rows of one column hold says nothing of where it came from."""
MOST: Final = 20_000
"""Values sought at most, evenly of all that were opened."""
UNDER: Final = 200_000
"""Values of a column that are looked at under their encodings."""
_VAGUE: Final = frozenset({"date-of-birth"})
"""Classes of so few values that any of them turns up by chance."""
_PROSE: Final = frozenset({"name", "address", "free-text"})


def hunt(
    export: Export, plan: ScanPlan, truths: tuple[Truth, ...], listing: Listing, columns: Sequence[str] | None = None
) -> Mapping[str, Hunt]:
    """Seek truths everywhere. Keys: each column's path, and `file:PATH` for each file beside the export.

    Three ways: the bytes of every column and file as they stand; each truth's own row closely, in all columns but its
    own, where also dates and few values are sought (`twins` states the rule); and what lies under the encodings of
    columns that are encoded as a whole, with the plan's canaries (`under`; the first 200,000 values of each column that
    the field map does not call sensitive). A truth in its own column counts, too: the column is mixed then.

    Of Parquet and Avro the file's own bytes are searched besides, for what lies in metadata, headers and behind the
    end. What no column has and such a file does is told under the first column in sorted order, with the file's path
    and the byte as its place: it is no column's.

    `columns` limits the hunt to some; None is every column, those that the listing did not see included. `short`
    counts values that are sought in no way, and for a file those that are not sought in files: too short, too common
    in the sample, or one of few. Hunts have `canaries` and `present` 0: they are for truths. Raises ProbeError where a
    shard or a file cannot be read.
    """
    sought = wanted(truths, plan)
    chosen = dictionary(sought.values)
    weak = tuple(_weak(each, sought.values[each.value]) for each in chosen.needles)
    sighting = _Sighting(Searcher(chosen.needles), digests(chosen.needles, plan.key), weak)
    values, both = _with_canaries(sought.values, sighting, plan)
    sealed = {each.column for each in plan.columns if each.role == "sensitive"}
    search = _Columns(export, values, both, Twins(truths, _light(truths, plan)), plan.key, sealed)
    for truth in truths:
        search.homes[truth.value].add((truth.shard, truth.row))
    search.parts.update((name, _Part(Hits())) for name in (listing.columns if columns is None else columns))
    for shard in listing.shards:
        if not shard.file.beside:
            search.shard(shard, columns is None)
    search.conclude()
    search.files(listing)
    everything = {truth.value for truth in truths}
    needled = {sought.values[each.value].content for each in chosen.needles}
    found = {
        name: _told(part, needled | (search.twins.sought - search.twins.missed[name]), everything)
        for name, part in search.parts.items()
    }
    for file in listing.files:
        if file.beside:
            found[BESIDE + file.path] = _told(_through(export, file, sighting), needled, everything)
    return found


def _told(part: _Part, sought: Set[bytes], everything: Set[bytes]) -> Hunt:
    return Hunt(
        canaries=0,
        truths=len(sought),
        short=len(everything - sought),
        bytes=part.bytes,
        hits=part.hits.told(),
        more=part.hits.more,
    )


@dataclass(slots=True)
class _Columns:
    """The search through the rows of an export."""

    export: Export
    values: tuple[Wanted, ...]
    """Truths, then canaries."""
    sighting: _Sighting
    twins: Twins
    key: bytes = field(repr=False)
    sealed: Set[str]
    """Columns whose values the scan walked to the last byte."""
    parts: dict[str, _Part] = field(default_factory=dict)
    homes: dict[bytes, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    """Where each opened value was opened."""
    seen: set[tuple[str, str, int, bytes]] = field(default_factory=set)
    """(column, shard, row, value) of what was found in its own row."""
    anywhere: set[bytes] = field(default_factory=set)
    """Values that some column has."""

    def shard(self, shard: Shard, all_: bool) -> None:
        """Search one shard."""
        near = np.array(self.twins.rows(shard.name), dtype=np.int64)
        for batch in self.export.read(shard).batches:
            lines = _lines(batch, near)
            for name, array in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                if not all_ and name not in self.parts:
                    continue
                part = self.parts.setdefault(name, _Part(Hits()))
                part.bytes += _size(array)
                told = self._plain(shard, batch, name, array, part)
                self._under(shard, batch, name, array, part, told)
                for line, number in lines:
                    self._near(shard, number, name, array[line], part)

    def _plain(self, shard: Shard, batch: Batch, name: str, array: pa.Array, part: _Part) -> Set[tuple[int, bytes]]:
        """The values as they stand; gives (line, value) of what was found."""
        told: set[tuple[int, bytes]] = set()
        for needle, line in self.sighting.column(array):
            value = self._value(needle)
            told.add((line, value.content))
            home = self._known(name, shard, batch.number(line), value.content)
            if value.sought == "truth":  # the scan has told of canaries
                self.sighting.note(part.hits, needle, place(shard, batch.number(line)), home=home)
        return told

    def _under(
        self, shard: Shard, batch: Batch, name: str, array: pa.Array, part: _Part, told: Set[tuple[int, bytes]]
    ) -> None:
        """What lies under the encodings of a whole column, where it is not `told` of the line already."""
        if name in self.sealed or part.undressed >= UNDER or not self.sighting.searcher.needles:
            return
        found = under(array)
        if found is None:
            return
        taken, content = found
        part.undressed += len(content)
        for needle, line in self.sighting.column(content):
            value = self._value(needle).content
            if (line, value) not in told:
                home = self._known(name, shard, batch.number(line), value)
                self.sighting.note(part.hits, needle, place(shard, batch.number(line)), home=home, taken=taken)

    def _value(self, needle: int) -> Wanted:
        return self.values[self.sighting.searcher.needles[needle].value]

    def _near(self, shard: Shard, number: int, name: str, scalar: pa.Scalar, part: _Part) -> None:
        cell = scalar.as_buffer() if scalar.is_valid and hasattr(scalar, "as_buffer") else None
        if cell is None:
            return
        for twin in self.twins.look(shard.name, number, name, bytes(cell), place(shard, number)):
            if (name, shard.name, number, twin.value) not in self.seen:
                self._known(name, shard, number, twin.value)
                self._twin(twin, part)

    def _known(self, name: str, shard: Shard, number: int, value: bytes) -> bool:
        """Remember what was found; whether that is its own row."""
        self.anywhere.add(value)
        home = (shard.name, number) in self.homes.get(value, ())
        if home:
            self.seen.add((name, shard.name, number, value))
        return home

    def _twin(self, twin: Twin, part: _Part) -> None:
        truth = twin.truth
        needle = Needle("truth", truth.column, twin.encoding, 0, truth.value[:LONGEST])
        (digest,) = digests((needle,), self.key)
        weak: Weak = "word" if truth.of in _PROSE else ""
        for number in range(twin.count):
            part.hits.add(needle, digest, twin.places[min(number, len(twin.places) - 1)], home=True, weak=weak)

    def conclude(self) -> None:
        """Tell what had to be counted."""
        for twin in self.twins.told():
            self._twin(twin, self.parts[twin.column])

    def files(self, listing: Listing) -> None:
        """The own bytes of files whose layout is binary."""
        if not self.parts:
            return
        first = self.parts[min(self.parts)]
        for file in listing.files:
            if file.beside or file.layout not in ("parquet", "avro"):
                continue
            # As text, a file is its bytes.
            for seen in self.sighting.searcher.raw(self.export.raw(replace(file, layout="text"))):
                if self._value(seen.needle).content not in self.anywhere:
                    self.sighting.note(first.hits, seen.needle, f"{file.path}:byte {seen.at}")


def _with_canaries(
    values: tuple[Wanted, ...], sighting: _Sighting, plan: ScanPlan
) -> tuple[tuple[Wanted, ...], _Sighting]:
    """The plan's canaries are sought with the truths."""
    chosen = canary_needles(plan.canaries).needles
    if not chosen:
        return values, sighting
    planted = (Wanted("canary", each.of, each.value.encode("utf-8", "replace"), each.of) for each in plan.canaries)
    more = (replace(each, value=each.value + len(values)) for each in chosen)
    needles = (*sighting.searcher.needles, *more)
    strong: list[Weak] = [""] * len(chosen)
    keyed = digests(needles, plan.key)
    return (*values, *planted), _Sighting(Searcher(needles), keyed, (*sighting.weak, *strong))


def _lines(batch: Batch, near: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(line, number of the row) of the wanted rows of a batch."""
    if not len(near):
        return []
    count = batch.rows.num_rows
    numbers = np.arange(batch.first, batch.first + count) if batch.numbers is None else np.asarray(batch.numbers)
    return [(line, int(numbers[line])) for line in np.flatnonzero(np.isin(numbers, near)).tolist()]


def _light(truths: Iterable[Truth], plan: ScanPlan) -> Callable[[Truth], bool]:
    """Values that turn up by chance, whatever they weigh."""
    few = {each.column for each in plan.columns if each.rule is not None and each.rule.values is not None}
    counted = Counter((truth.column, truth.value) for truth in truths)
    return lambda truth: truth.column in few or truth.of in _VAGUE or counted[truth.column, truth.value] >= COMMON


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
    undressed: int = 0
    """Values that were looked at under their encodings."""


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

    def note(self, hits: Hits, needle: int, where: str, *, home: bool = False, taken: str = "") -> None:
        """Record a sighting; `taken`: encodings that were taken off first."""
        weak = self.weak[needle] if self.weak else ""
        found = self.searcher.needles[needle]
        if taken:
            found = replace(found, encoding=f"{taken}/{found.encoding}")
        hits.add(found, self.digests[needle], where, home=home, weak=weak)


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
