"""What is done once every row was seen and the export's digest stands in the record: the sample and the hunt.

Everything here happens in one process, because what is opened must not leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

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

T = TypeVar("T")

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
    tie: str = ""
    """How canaries are tied, or why they are not."""
    left_out: tuple[LeftOut, ...] = ()
    """What could not be read a second time."""


def finished(
    dataset: Dataset, source: Export, listing: Listing, plan: ScanPlan, gathering: Gathering, manifest: str, io: Io
) -> Finished:
    """Compare duplicates byte by byte, draw, open, seek. Randomness is drawn here, after `manifest` was recorded."""
    left_out: list[LeftOut] = []
    # What killed or stalled a worker must not be read again in the process that signs; that it was lost is told.
    lost = {each.file.path for each in listing.shards if each.name in gathering.lost}
    listing = replace(
        listing,
        shards=tuple(each for each in listing.shards if each.name not in gathering.lost),
        files=tuple(each for each in listing.files if each.path not in lost),
    )
    tied, tie = _tied(dataset, gathering, io)
    _again("duplicates were not compared byte by byte", lambda: gathering.confirm(source), left_out)
    opened, truths, unsought = _opened(dataset, source, listing, plan, gathering, manifest, io)

    def hunt() -> Mapping[str, Hunt]:
        if io.stopped():
            raise ProbeError(Reason.INTERRUPTED, "the run was interrupted")
        return _hunted(source, plan, truths, unsought, listing)

    hunts = _again("not searched for opened values", hunt, left_out)
    return Finished(opened, hunts or {}, tied, tie, tuple(left_out))


def _opened(
    dataset: Dataset, source: Export, listing: Listing, plan: ScanPlan, gathering: Gathering, manifest: str, io: Io
) -> tuple[Mapping[str, Opened | Unseen], tuple[Truth, ...], int]:
    """What the sample came to, what it was opened to, and how many values found no room."""
    if dataset.opening is None:
        return {column.column: _UNDECLARED for column in plan.columns}, (), 0
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
        planted=gathering.planted(),
        stopped=io.stopped,
    )
    return sample.opened, sample.truths, sample.truths_left


def _again(what: str, read: Callable[[], T], left_out: list[LeftOut]) -> T | None:
    """Something that reads the export once more; what cannot be read is told."""
    try:
        return read()
    except ProbeError as error:
        left_out.append(LeftOut(why=vendor_text(f"{what}: {error}"), rows=0))
        return None


def _hunted(
    source: Export, plan: ScanPlan, truths: tuple[Truth, ...], unsought: int, listing: Listing
) -> Mapping[str, Hunt]:
    """What was opened, sought everywhere, and canaries under the encodings of whole columns and in files' own bytes;
    values that found no room count as too short to be sought."""
    if not truths and not plan.canaries:
        return {}
    from probes.fields.hunt.truths import hunt

    found = hunt(source, plan, truths, listing)
    return {name: each.model_copy(update={"short": each.short + unsought}) for name, each in found.items()}


def _tied(dataset: Dataset, gathering: Gathering, io: Io) -> tuple[Literal["tied", "untied", "none"], str]:
    """Whether the canaries tie the export to the live store, and how or why not: their data keys were made when we
    planted them, and every one of their rows is here."""
    if dataset.canaries is None:
        return "none", ""
    from probes.fields.canaries import load_canaries
    from probes.fields.tie import tied

    if not gathering.all_canaries:
        return "untied", "not every planted row is in the export"
    answer = tied(load_canaries(io.base / dataset.canaries), dataset, io)
    return answer.state, answer.why
