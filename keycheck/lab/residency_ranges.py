"""The lab's own list of ranges: which region each second octet of 127.0.0.0/8 stands for. As the user's own file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from keycheck.lab.config import EdgeKind
from keycheck.lab.residency_parts import Entry
from keycheck.lab.residency_places import ASHBURN, POPS, REGIONS, V6_ABROAD, Region
from keycheck.lab.residency_sites import PlacedSite, RangesManner

RANGES_FILE: Final = "ranges.json"
RANGES_ENTRY: Final[Entry] = {
    "id": "ranges",
    "what": {"kind": "ranges", "file": RANGES_FILE, "source": "own:lab", "allow_private": True},
}
"""Its place in the section `references`."""
_STALE: Final = timedelta(days=200)
_NETWORKS: Final = {
    EdgeKind.CLOUDFRONT: ("aws", "CLOUDFRONT"),
    EdgeKind.FASTLY: ("fastly", "FASTLY"),
    EdgeKind.CLOUDFLARE: ("cloudflare", "CLOUDFLARE"),
}

Row = dict[str, str]


def ranges_file(sites: Sequence[PlacedSite], now: datetime) -> str:
    """The file's text; bad in every way that one of the sites has it."""
    manners = {site.ranges for site in sites}
    made = now - (_STALE if RangesManner.STALE in manners else timedelta(days=1))
    rows = list(_rows())
    if RangesManner.DEFAULT_ROUTE in manners:
        rows.append({"prefix": "0.0.0.0/0", "provider": "aws", "region": "eu-central-1", "service": "AMAZON"})
    for site in sites:
        if site.ranges is RangesManner.ANYCAST:
            rows += [_anycast(f"{address}/32", EdgeKind.CLOUDFRONT) for address, _ in site.standing]
    return json.dumps({"published": f"{made:%Y-%m-%dT%H:%M:%SZ}", "prefixes": rows}, indent=1) + "\n"


def _rows() -> Iterator[Row]:
    for region in REGIONS:
        yield _row(region.network, region)
    yield _row(V6_ABROAD, ASHBURN)
    for pop in POPS:
        yield _anycast(pop.network, pop.cdn)


def _row(prefix: str, region: Region) -> Row:
    row = {"prefix": prefix, "provider": region.provider, "region": region.name, "service": region.service}
    return row | ({"border_group": region.border_group} if region.border_group else {})


def _anycast(prefix: str, cdn: EdgeKind) -> Row:
    provider, service = _NETWORKS[cdn]
    return {"prefix": prefix, "provider": provider, "region": "", "service": service, "anycast": "yes"}
