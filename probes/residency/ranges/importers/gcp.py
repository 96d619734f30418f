"""Google's cloud.json, with goog.json beside it where that is given. Source: "Obtain Google IP address ranges" in
Google Workspace Admin Help, cloud.json and goog.json on www.gstatic.com/ipranges.

goog.json holds all of Google's addresses without regions; what cloud.json names too is told by cloud.json. The rest is
of the provider `google`: its edges stand in more places than the cloud has regions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from probes.residency.ranges.claims import Claim, Listing, name
from probes.residency.ranges.documents import GET_AGAIN, items, json_of, members, moment, text_at
from probes.residency.ranges.prefixes import parse_published
from probes.residency.ranges.seam import RangesError

NOWHERE: Final = "global"
GOOGLE: Final = "Google"
"""The service of a row that names none: Google itself, not its cloud."""


def read(files: tuple[bytes, ...]) -> Listing:
    """Raises RangesError."""
    lists = [_list(data) for data in files]
    regional = {claim.prefix for claims, _ in lists for claim in claims if claim.service != GOOGLE}
    claims = [claim for each, _ in lists for claim in each]
    kept = tuple(claim for claim in claims if claim.service != GOOGLE or claim.prefix not in regional)
    return Listing(kept, min(date for _, date in lists), len(claims) - len(kept))


def _list(data: bytes) -> tuple[list[Claim], datetime]:
    whole = members(json_of(data), "the list")
    date = moment(text_at(whole, "creationTime", "the list"))
    return [_claim(members(row, "a row")) for row in items(whole, "prefixes", "the list")], date


def _claim(row: dict[str, object]) -> Claim:
    if ("ipv4Prefix" in row) == ("ipv6Prefix" in row):
        raise RangesError("a row has no ipv4Prefix or ipv6Prefix, or both", advice=GET_AGAIN)
    prefix = parse_published(row.get("ipv4Prefix", row.get("ipv6Prefix")))
    if "scope" not in row and "service" not in row:
        return Claim(prefix, "google", service=GOOGLE)
    scope = name(row.get("scope"), "scope")
    service = name(row.get("service"), "service")
    return Claim(prefix, "gcp", None if scope == NOWHERE else scope, service=service)
