"""What the fast paths share: base64 by the batch, and values of several templates in one order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import Longs, Regions, regions_of
from probes.fields.scan.result import Shape


def decoded(values: pl.Series) -> tuple[Regions, Longs]:
    """What is in canonical base64, decoded, and the numbers of these values."""
    found = values.bin.decode("base64", strict=False)
    if found.null_count():
        taken = np.flatnonzero(found.is_not_null().to_numpy())
        found = found.gather(taken)
    else:
        taken = np.arange(len(found))
    return regions_of(found), taken


def together(parts: Sequence[tuple[Walked, Longs]], shapes: list[Shape]) -> tuple[Walked, Longs]:
    """The values of several templates in the order of their rows."""
    if len(parts) == 1:
        return parts[0]
    chosen = np.concatenate([at for _, at in parts])
    order = np.argsort(chosen, kind="stable")
    each = [walked for walked, _ in parts]

    def joined(regions: Sequence[Regions]) -> Regions:
        return Regions.joined(regions)[order]

    first = each[0]
    return (
        Walked(
            shapes,
            np.concatenate([one.shape for one in each])[order],
            np.concatenate([one.row for one in each])[order],
            joined([one.content for one in each]),
            joined([one.payload for one in each]),
            joined([one.unit for one in each]),
            joined([one.key for one in each]),
            joined([one.context for one in each]),
            {name: joined([one.entries[name] for one in each]) for name in first.entries},
            {name: np.concatenate([one.has[name] for one in each])[order] for name in first.has},
        ),
        chosen[order],
    )
