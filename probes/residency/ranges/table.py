"""The rows of an index: labels, sources, and the disjoint intervals of both families. Built from imports, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeAlias

from probes.residency.ranges.claims import Label
from probes.residency.ranges.flatten import flattened, overlaid
from probes.residency.ranges.prefixes import BITS, Prefix
from probes.residency.ranges.seam import Source

FAMILIES: Final = (4, 6)
Entry: TypeAlias = tuple[int, int]
"""A label by its number, and the length of the prefix that carries it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One source with every prefix it holds: what an index is made of, and can be taken apart into again."""

    source: Source
    labels: Mapping[Prefix, Label] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cells:
    """The intervals of one family: `keys` are their first addresses in network order, `holds` the number of the answer
    from each to the next."""

    keys: Sequence[bytes]
    holds: Sequence[int]


@dataclass(frozen=True, slots=True)
class Answers:
    """What may hold in an interval: an entry for each source that holds it, ordered by source. The first is empty."""

    starts: Sequence[int]
    """Where the entries of each begin, and where the last end."""
    labels: Sequence[int]
    lengths: bytes

    def entries(self, number: int) -> Iterator[Entry]:
        """Raises IndexError."""
        for place in range(self.starts[number], self.starts[number + 1]):
            yield self.labels[place], self.lengths[place]


@dataclass(frozen=True, slots=True)
class Table:
    """All that an index file holds."""

    sources: tuple[Source, ...]
    labels: Sequence[tuple[int, Label]]
    """With the number of its source."""
    answers: Answers
    cells: Mapping[int, Cells]
    """By family."""


def table_of(imports: Iterable[Imported]) -> Table:
    """An index of sources, each of another name."""
    ordered = sorted(imports, key=lambda each: each.source.name)
    labels: dict[tuple[int, Label], int] = {}
    answers: dict[tuple[Entry, ...], int] = {(): 0}
    cells: dict[int, Cells] = {}
    for family in FAMILIES:
        entries: list[Entry] = []
        layers = []
        for number, each in enumerate(ordered):
            mine = sorted((prefix, label) for prefix, label in each.labels.items() if prefix.family == family)
            first = len(entries)
            entries += [(labels.setdefault((number, label), len(labels)), prefix.length) for prefix, label in mine]
            layers.append(flattened(((prefix, first + place) for place, (prefix, _) in enumerate(mine)), family))
        keys, holds = [], []
        for start, values in overlaid(layers):
            keys.append(start.to_bytes(BITS[family] // 8, "big"))
            holds.append(answers.setdefault(tuple(entries[value] for value in values), len(answers)))
        cells[family] = Cells(tuple(keys), tuple(holds))
    flat = [entry for answer in answers for entry in answer]
    return Table(
        tuple(each.source for each in ordered),
        tuple(labels),
        Answers(
            tuple(accumulate(map(len, answers), initial=0)),
            tuple(label for label, _ in flat),
            bytes(length for _, length in flat),
        ),
        cells,
    )


def imports_of(table: Table) -> tuple[Imported, ...]:
    """What the index was made of, by source. Left out are prefixes that longer ones fill: no lookup ever sees them."""
    found: list[dict[Prefix, Label]] = [{} for _ in table.sources]
    for family, cells in table.cells.items():
        for key, hold in zip(cells.keys, cells.holds, strict=True):
            address = int.from_bytes(key, "big")
            for number, length in table.answers.entries(hold):
                source, label = table.labels[number]
                rest = BITS[family] - length
                found[source][Prefix(family, address >> rest << rest, length)] = label
    return tuple(Imported(source, labels) for source, labels in zip(table.sources, found, strict=True))
