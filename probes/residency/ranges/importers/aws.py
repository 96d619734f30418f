"""AWS ip-ranges.json. Source: "AWS IP address ranges" in the Amazon VPC User Guide.

The border group, not the region, is where AWS announces an address: `eu-central-1-ist-1` is not Frankfurt.
"""

from __future__ import annotations

from typing import Final

from probes.residency.ranges.claims import Claim, Listing, name
from probes.residency.ranges.documents import items, json_of, members, moment, text_at
from probes.residency.ranges.prefixes import parse_published

ANYCAST: Final = frozenset({"CLOUDFRONT", "GLOBALACCELERATOR"})
"""Services whose addresses are announced from edges everywhere, whatever region a row gives."""
NOWHERE: Final = "GLOBAL"
_DATE: Final = "%Y-%m-%d-%H-%M-%S"


def read(files: tuple[bytes, ...]) -> Listing:
    """Raises RangesError."""
    whole = members(json_of(files[0]), "ip-ranges.json")
    rows = [(row, "ip_prefix") for row in items(whole, "prefixes", "ip-ranges.json")]
    rows += [(row, "ipv6_prefix") for row in items(whole, "ipv6_prefixes", "ip-ranges.json")]
    return Listing(
        tuple(_claim(members(row, "a row"), key) for row, key in rows),
        moment(text_at(whole, "createDate", "ip-ranges.json"), _DATE),
    )


def _claim(row: dict[str, object], key: str) -> Claim:
    region = name(row.get("region"), "region")
    border = name(row.get("network_border_group"), "network border group")
    service = name(row.get("service"), "service")
    return Claim(
        parse_published(row.get(key)),
        "aws",
        None if NOWHERE in (region, border) else region,
        None if border in (NOWHERE, region) else border,
        service,
        service in ANYCAST,
    )
