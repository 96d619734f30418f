"""What is done once every row was seen and the export's digest stands in the record: the sample and the hunt.

Everything here happens in one process, because what is opened must not leave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.facts import Hunt, LeftOut, Opened
from probes.fields.read.seam import Export, Listing
from probes.fields.scan.seam import Draw, ScanPlan
from probes.fields.subjects import Dataset

if TYPE_CHECKING:
    from probes.fields.hunt.seam import Truth
    from probes.fields.scan.gathering import Gathering

_UNDECLARED = Unseen(
    reason=Reason.NOT_COVERED,
    detail="nothing was opened: declare `opening` with an identity that may decrypt with the key",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """What the sample and the hunt came to. No opened value is in it."""

    opened: Mapping[str, Opened | Unseen]
    """By column; a column that is not there was not drawn from."""
    hunts: Mapping[str, Hunt] = field(default_factory=dict)
    tied: Literal["tied", "untied", "none"] = "none"
    left_out: tuple[LeftOut, ...] = ()
    """What could not be read a second time."""


def finished(
    dataset: Dataset, source: Export, listing: Listing, plan: ScanPlan, gathering: Gathering, manifest: str, io: Io
) -> Finished:
    """Draw, open, seek. The randomness is drawn here, after `manifest` was recorded."""
    tied = _tied(dataset, gathering, io)
    if dataset.opening is None:
        return Finished({column.column: _UNDECLARED for column in plan.columns}, tied=tied)
    from probes.fields.opening.sample import open_sample
    from probes.fields.opening.seed import seed
    from probes.fields.opening.unwrap import unwrapper

    grain = seed(manifest, io.entropy(32))
    draws: dict[str, Draw] = {
        column.column: gathering.draw(column.column, grain, dataset.opening.samples)
        for column in plan.columns
        if column.role == "sensitive"
    }
    sample = open_sample(
        source,
        draws,
        plan,
        {shard.name: shard for shard in listing.shards},
        seed=grain,
        calls=dataset.opening.calls,
        unwrapper=partial(unwrapper, io, dataset.opening.identity),
    )
    try:
        hunts = _hunted(source, plan, sample.truths, listing)
    except ProbeError as error:
        words = vendor_text(f"not searched for opened values: {error}")
        return Finished(sample.opened, tied=tied, left_out=(LeftOut(why=words, rows=0),))
    return Finished(sample.opened, hunts, tied)


def _hunted(source: Export, plan: ScanPlan, truths: tuple[Truth, ...], listing: Listing) -> Mapping[str, Hunt]:
    if not truths:
        return {}
    from probes.fields.hunt.truths import hunt

    return hunt(source, plan, truths, listing)


def _tied(dataset: Dataset, gathering: Gathering, io: Io) -> Literal["tied", "untied", "none"]:
    """Whether the canaries tie the export to the live store: their data keys were made when we planted them, and every
    one of their rows is here."""
    if dataset.canaries is None:
        return "none"
    from probes.fields.canaries import load_canaries
    from probes.fields.tie import tied

    if not gathering.all_canaries:
        return "untied"
    return tied(load_canaries(io.base / dataset.canaries), dataset, io).state
