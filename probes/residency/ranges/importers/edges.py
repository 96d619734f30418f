"""The lists of edges: Cloudflare's ips-v4 and ips-v6, Fastly's public-ip-list. Sources: "IP Ranges" on cloudflare.com,
"Accessing Fastly's IP ranges" in Fastly's documentation.

Both announce every prefix from everywhere: what is in their lists is never a place.
"""

from __future__ import annotations

from typing import Final

from probes.residency.ranges.claims import Claim, Listing
from probes.residency.ranges.documents import items, json_of, members, text_of
from probes.residency.ranges.prefixes import parse_published

EDGES: Final = frozenset({"cloudflare", "fastly"})


def read_cloudflare(files: tuple[bytes, ...]) -> Listing:
    """One prefix a line, in one file or two. Raises RangesError."""
    lines = [line.strip() for data in files for line in text_of(data).splitlines()]
    return _edges("cloudflare", [line for line in lines if line])


def read_fastly(files: tuple[bytes, ...]) -> Listing:
    """Raises RangesError."""
    whole = members(json_of(files[0]), "public-ip-list")
    return _edges("fastly", [*items(whole, "addresses", "the list"), *items(whole, "ipv6_addresses", "the list")])


def _edges(provider: str, prefixes: list[object] | list[str]) -> Listing:
    return Listing(tuple(Claim(parse_published(text), provider, anycast=True) for text in prefixes))
