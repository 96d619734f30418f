"""Oracle's public_ip_ranges.json, which holds the commercial realm alone. Source: "IP Address Ranges" in the Oracle
Cloud Infrastructure documentation."""

from __future__ import annotations

from collections.abc import Iterator

from probes.residency.ranges.claims import Claim, Listing, name
from probes.residency.ranges.documents import items, json_of, members, moment, text_at
from probes.residency.ranges.prefixes import parse_published


def read(files: tuple[bytes, ...]) -> Listing:
    """Raises RangesError."""
    whole = members(json_of(files[0]), "the list")
    claims = [claim for region in items(whole, "regions", "the list") for claim in _region(members(region, "a region"))]
    return Listing(tuple(claims), moment(text_at(whole, "last_updated_timestamp", "the list")))


def _region(region: dict[str, object]) -> Iterator[Claim]:
    called = name(region.get("region"), "region")
    for row in items(region, "cidrs", called):
        cidr = members(row, f"a row of {called}")
        prefix = parse_published(cidr.get("cidr"))
        tags: list[str | None] = [name(tag, "tag") for tag in items(cidr, "tags", f"a row of {called}")]
        for tag in tags or [None]:
            yield Claim(prefix, "oci", called, service=tag)
