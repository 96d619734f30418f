"""What published ranges say of an address, as facts hold it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.endpoint_facts import RangeAnswer, Ranged, RangeSays, RangesSource
from probes.residency.ranges.seam import Attribution, Ranges, RangesError, Source

MAX_SERVICES: Final = 64


def range_answer(ranges: Ranges | Unseen, address: str, at: datetime) -> RangeAnswer:
    """What every source says of the address at that moment, or why nobody can say."""
    if isinstance(ranges, Unseen):
        return ranges
    try:
        says = ranges.lookup(address)
    except RangesError as error:
        return Unseen(reason=Reason.UNSUPPORTED, detail=vendor_text(str(error)))
    sources = ranges.sources()
    if not sources:
        return Unseen(reason=Reason.NOT_COVERED, detail="the index of ranges is empty: `keycheck ranges update`")
    return Ranged(looked_up=at, says=tuple(map(_says, says)), sources=tuple(map(_source, sources)))


def _says(one: Attribution) -> RangeSays:
    services = tuple(map(vendor_text, one.services))
    if len(services) > MAX_SERVICES:
        left_out = len(services) - MAX_SERVICES + 1
        services = (*services[: MAX_SERVICES - 1], f"and {left_out} more")
    return RangeSays(
        source=vendor_text(one.source),
        provider=vendor_text(one.provider),
        region=_text(one.region),
        border_group=_text(one.border_group),
        services=services,
        prefix=one.prefix,
        anycast=one.anycast,
        ambiguous=one.ambiguous,
    )


def _source(one: Source) -> RangesSource:
    return RangesSource(
        name=vendor_text(one.name),
        published=one.published,
        imported=one.imported_at,
        digest=one.digest,
        origin=vendor_text(one.origin),
        prefixes=one.prefixes,
        private_allowed=one.private_allowed,
        dated=one.dated,
    )


def _text(value: str | None) -> str | None:
    return None if value is None else vendor_text(value)
