"""Which way a value takes: a fast path where one walks it completely, by itself otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from probes.fields import recognise
from probes.fields.formats.catalogue import by_id
from probes.fields.formats.seam import Format
from probes.fields.scan.arrays import Cells
from probes.fields.scan.classing import Walked, walk
from probes.fields.scan.fast import ENCODINGS, HOT, FastPath
from probes.fields.scan.fast_text import HOT as HOT_TEXT
from probes.fields.scan.fast_text import TextPath
from probes.fields.scan.plainness import PlainPath
from probes.fields.scan.seam import ColumnPlan

SAMPLE: Final = 64
"""First values of a shard from which a format is proposed, and the encodings around it."""


class Paths:
    """The ways of one column of one shard."""

    def __init__(self, plan: ColumnPlan, fast: bool) -> None:
        declared = plan.rule.format if plan.rule is not None else None
        self._expected: Format | None = by_id(declared) if declared is not None else None
        self._declared = self._expected is not None
        self._encodings: tuple[str, ...] | None = None
        self._looked = False
        self._fast = fast
        self._path: FastPath | TextPath | None = None
        self._plainly: PlainPath | None = None

    def walk(self, values: Cells, names: Sequence[str]) -> Iterator[Walked]:
        """Every value once, classified."""
        if not self._looked:
            self._look(values)
        if self._path is not None:
            walked, left = self._path.walk(values, names)
            if walked is not None:
                yield walked
                if not len(left):
                    return
                values = values.take(left)
        if self._plainly is not None:
            plain, left = self._plainly.walk(values)
            yield from plain
            if not len(left):
                return
            values = values.take(left)
        yield walk(values.values(), values.rows, expected=self._expected, encodings=self._encodings, names=names)

    def _look(self, values: Cells) -> None:
        """What the first values are: their format, where the field map names none, and their encodings."""
        self._looked = True
        self._recognise(values)
        expected, encodings = self._expected, self._encodings
        if self._fast or expected is None:
            self._plainly = PlainPath(expected=expected is not None)
        if self._fast and expected is not None and expected.id in HOT and encodings in ENCODINGS:
            self._path = FastPath(expected, encodings or ())
        elif self._fast and expected is not None and expected.id in HOT_TEXT and not encodings:
            self._path = TextPath(expected)

    def _recognise(self, values: Cells) -> None:
        sample: list[bytes] = values.array.slice(0, SAMPLE).to_pylist()
        if not self._declared:
            if not all(map(recognise.fits_some, sample)):
                # Of so few values a format must take every one.
                return
            proposal = recognise.propose(sample)
            self._expected = proposal.format
            self._encodings = proposal.encodings if proposal.format is not None else None
            return
        for value in sample:
            found = recognise.classify(value, self._expected)
            if found.parsed is not None and self._expected is not None and found.kind == self._expected.id:
                self._encodings = found.encodings
                return
