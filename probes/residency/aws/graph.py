"""The graph that all clouds share, and where something of AWS is."""

from __future__ import annotations

from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.graph import (
    GONE,
    MAX_BYTES,
    MAX_OPEN,
    NOT_OURS,
    PENDING,
    Graph,
    Matters,
    seen_not,
    unknown,
)
from probes.residency.store_facts import NodePlace

__all__ = [
    "GONE",
    "MAX_BYTES",
    "MAX_OPEN",
    "NOT_OURS",
    "PENDING",
    "Graph",
    "Matters",
    "in_region",
    "seen_not",
    "unknown",
]

_KIND: Final = "region"
_ZONE: Final = "zone"


def in_region(region: str, zone: str | None = None) -> NodePlace | Unseen:
    """One Region, or a local zone's own group (`eu-central-1-waw-1`) where its Availability Zone is not in the Region's
    own place: there a letter follows the Region's name."""
    if zone is None or (zone[:-1] == region and zone[-1:].isalpha()):
        return NodePlace(regions=(vendor_text(region),), type=_KIND)
    if not zone.startswith(f"{region}-"):
        return unknown(f"in {region} and in the zone {zone}: the answer contradicts itself", Reason.CONFLICTING)
    return NodePlace(regions=(vendor_text(zone.rstrip("abcdefghijklmnopqrstuvwxyz")),), type=_ZONE)
