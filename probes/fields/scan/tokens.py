"""What the exact comparison of a whole export needs of every value: numbers that say nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from probes.fields.scan.hashing import Hashes

N = TypeVar("N", bound=np.generic)
Numbers: TypeAlias = NDArray[np.generic]


@dataclass(slots=True)
class Tokens:
    """One line a value, in the order of the rows, each field in an array of its own."""

    row: NDArray[np.uint32]
    unit: Hashes
    """Of (data key, nonce); of the whole value where the nonce is hidden."""
    check: NDArray[np.uint32]
    """The same under other coefficients."""
    content: NDArray[np.uint32]
    """Of the whole value, after peeling."""
    key: Hashes
    """Of the data key, or of the whole value where it has none of its own; 0: not to be drawn."""
    own: NDArray[np.bool_]
    """It has a data key of its own."""
    tenant: Hashes
    """0: none."""
    stratum: NDArray[np.uint16]
    """Index in `ColumnResult.strata`."""

    def __len__(self) -> int:
        return len(self.row)

    def __reduce__(self) -> tuple[Callable[..., Tokens], tuple[int | Numbers, ...]]:
        """What a worker hands back: of rows the steps from each to the next, and whatever is the same for all values
        once. So it is 24 bytes a value where no row is missing and no tenant is named."""
        steps = np.diff(self.row, prepend=self.row[:1])
        narrow = steps.astype(np.uint8)
        lean: Numbers = narrow if np.array_equal(narrow, steps) else steps
        same: tuple[Numbers, ...] = (self.unit, self.check, self.content, self.key, self.own, self.tenant, self.stratum)
        return _thawed, (len(self), self.row[:1], _once(lean[1:]), *(_once(one) for one in same))


def _once(values: Numbers) -> Numbers:
    """Only the first one, where all are the same."""
    return values[:1] if len(values) and (values == values[0]).all() else values


def _thawed(
    count: int,
    first: NDArray[np.uint32],
    steps: Numbers,
    unit: Hashes,
    check: NDArray[np.uint32],
    content: NDArray[np.uint32],
    key: Hashes,
    own: NDArray[np.bool_],
    tenant: Hashes,
    stratum: NDArray[np.uint16],
) -> Tokens:
    """Tokens as they were; what is the same for all values is held once."""
    row = np.empty(count, np.uint32)
    if count:
        row[0] = 0
        np.cumsum(np.broadcast_to(steps, count - 1), dtype=np.uint32, out=row[1:])
        row += first

    def every(values: NDArray[N]) -> NDArray[N]:
        return np.broadcast_to(values, count)

    return Tokens(row, every(unit), every(check), every(content), every(key), every(own), every(tenant), every(stratum))
