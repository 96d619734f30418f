"""Lines of one kind, however many: in memory while they fit, and in partitions on disk by a hash of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from probes.fields.scan.hashing import Longs

Lines: TypeAlias = NDArray[np.void]
Values: TypeAlias = NDArray[np.generic]
PARTITIONS: Final = 64
_SHIFT: Final = np.uint64(58)
_CHUNK: Final = 1 << 20
"""Lines that are read at a time; more than twice as many of one partition are reduced first."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines, field by field: each an array, or one number that stands in every line. Written as lines only where
    they are needed so, which of sound data are next to none."""

    kind: np.dtype[np.void]
    count: int
    fields: Mapping[str, Values | int]

    @staticmethod
    def of(lines: Lines) -> Part:
        """Lines as they were written."""
        return Part(lines.dtype, len(lines), {name: lines[name] for name in lines.dtype.names or ()})

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, name: str) -> Values:
        found = self.fields[name]
        return np.broadcast_to(np.array(found, self.kind[name]), self.count) if isinstance(found, int) else found

    def lines(self, chosen: Longs | None = None) -> Lines:
        """These lines, or some of them."""
        lines = np.empty(self.count if chosen is None else len(chosen), self.kind)
        for name, found in self.fields.items():
            lines[name] = found if chosen is None or isinstance(found, int) else found[chosen]
        return lines


class Spilled:
    """Lines of one kind, in memory while they fit and in partitions on disk when not."""

    def __init__(self, folder: Path, name: str, kind: np.dtype[np.void], by: str, memory: int) -> None:
        self._folder = folder
        self._name = name
        self._kind = kind
        self._by = by
        self._memory = memory
        self._held: list[Part] = []
        self._bytes = 0
        self.on_disk = False

    def add(self, part: Part) -> None:
        """More lines."""
        self._held.append(part)
        self._bytes += len(part) * self._kind.itemsize
        if self._bytes > self._memory:
            self._spill()

    def _spill(self) -> None:
        self.on_disk = True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for held in self._held:
            lines = held.lines()
            part = (lines[self._by] >> _SHIFT).astype(np.uint8)
            order = np.argsort(part, kind="stable")
            ends = np.cumsum(np.bincount(part, minlength=PARTITIONS))
            ordered = lines[order]
            for number, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
                if start < end:
                    with self._path(number).open("ab") as file:
                        ordered[start:end].tofile(file)
        self._held, self._bytes = [], 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:02}"

    def parts(self) -> Iterator[Part]:
        """All lines, as many at a time as were added or are read."""
        yield from self._held
        for number in range(PARTITIONS) if self.on_disk else ():
            if (path := self._path(number)).exists():
                with path.open("rb") as file:
                    while len(lines := np.fromfile(file, self._kind, _CHUNK)):
                        yield Part.of(lines)

    def partitions(self, reduce: Callable[[Lines], Lines]) -> Iterator[Sequence[Part]]:
        """The lines, equal ones in the same partition; `reduce` puts equal lines together where there are too many."""
        if self._held and self.on_disk:
            self._spill()
        if not self.on_disk:
            if self._held:
                yield self._held
            return
        for number in range(PARTITIONS):
            if not (path := self._path(number)).exists():
                continue
            held: list[Lines] = []
            with path.open("rb") as file:
                while len(lines := np.fromfile(file, self._kind, _CHUNK)):
                    held.append(lines)
                    if sum(map(len, held)) > 2 * _CHUNK:
                        held = [reduce(concatenated(held))]
            if held:
                yield [Part.of(lines) for lines in held]


def concatenated(parts: Sequence[Lines]) -> Lines:
    """As plain bytes: numpy copies structures field by field."""
    if len(parts) == 1:
        return parts[0]
    return np.asarray(np.concatenate([part.view(np.uint8) for part in parts]).view(parts[0].dtype))
