"""Where planted canaries lie in an export: by their row's identity, and in the clear by their value.

A canary's row in an export shows that the export reaches what we wrote: a hunt through an export without it could not
have found anything. A canary in the clear is a breach wherever it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from keycheck.model.types import vendor_text
from probes.fields.facts import PLACES, LeftOut
from probes.fields.hunt.needles import canary_needles
from probes.fields.hunt.search import Searcher
from probes.fields.read.seam import BESIDE, Export, Listing, place
from probes.fields.scan.seam import Canary


@dataclass(frozen=True, slots=True)
class Lies:
    """One canary."""

    id: str
    column: str
    rows: tuple[str, ...]
    """Places of the rows with its identity that hold something in its column; the first ones."""
    clear: tuple[tuple[str, str, str], ...]
    """(column or `file:PATH`, spelling, place) where its value lies in the clear; the first ones."""


@dataclass(frozen=True, slots=True)
class Located:
    """All canaries, and what could not be looked through."""

    canaries: tuple[Lies, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def all_there(self) -> bool:
        """Whether each canary's row is in the export, and all of the export could be read."""
        return all(each.rows for each in self.canaries) and not self.left_out


@dataclass(slots=True)
class _Found:
    rows: list[str] = field(default_factory=list)
    clear: list[tuple[str, str, str]] = field(default_factory=list)


def locate(export: Export, canaries: tuple[Canary, ...], listing: Listing | None = None) -> Located:
    """Look through the whole export and the files beside it. Raises ProbeError where it cannot be read."""
    listed = export.listing() if listing is None else listing
    chosen = canary_needles(canaries)
    searcher = Searcher(chosen.needles)
    found = [_Found() for _ in canaries]
    left_out = list(listed.left_out)

    def sighted(needle: int, column: str, where: str) -> None:
        clear = found[searcher.needles[needle].value].clear
        if len(clear) < PLACES:
            clear.append((column, searcher.needles[needle].encoding, vendor_text(where)))

    for shard in listed.shards:
        if shard.file.beside:
            continue
        reading = export.read(shard)
        for batch in reading.batches:
            for number, row in _rows(batch.rows, canaries):
                rows = found[number].rows
                if len(rows) < PLACES:
                    rows.append(vendor_text(place(shard, batch.first + row)))
            for name, array in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                for seen in searcher.column(array):
                    sighted(seen.needle, name, place(shard, batch.first + seen.at))
        left_out += reading.left_out
    for file in listed.files:
        if file.beside:
            for seen in searcher.raw(export.raw(file)):
                sighted(seen.needle, f"{BESIDE}{file.path}", f"{file.path}:byte {seen.at}")
    lies = tuple(
        Lies(canary.id, canary.column, tuple(each.rows), tuple(each.clear))
        for canary, each in zip(canaries, found, strict=True)
    )
    return Located(lies, tuple(left_out))


def _rows(rows: pa.RecordBatch, canaries: tuple[Canary, ...]) -> Iterator[tuple[int, int]]:
    """(canary, row) where the row has the canary's identity and something in its column."""
    names = set(rows.schema.names)
    for number, canary in enumerate(canaries):
        if not canary.row or not {column for column, _ in canary.row} | {canary.column} <= names:
            continue
        held = pc.is_valid(rows.column(canary.column))
        for column, value in canary.row:
            array = rows.column(column)
            if pa.types.is_null(array.type):
                held = pa.array([False] * len(rows))
                break
            held = pc.and_kleene(
                held, pc.equal(array.cast(pa.large_binary()), pa.scalar(value.encode(), pa.large_binary()))
            )
        yield from ((number, row) for row in pc.indices_nonzero(pc.fill_null(held, False)).to_pylist())
