"""Azure's ServiceTags_Public json. Source: "Virtual network service tags" in Microsoft Learn, and the download "Azure
IP Ranges and Service Tags, Public Cloud", whose URL changes every week.

`AzureCloud.<region>` says where addresses are. The other tags repeat most of them by service; of those, what a regional
tag covers is left out and counted, and what none covers is kept, without a region where the tag has none. Azure Front
Door answers from edges everywhere: it is kept always, and is no place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from probes.places.azure_regions import region_name
from probes.residency.ranges.claims import Claim, Listing, name
from probes.residency.ranges.documents import GET_AGAIN, items, json_of, members, text_at
from probes.residency.ranges.prefixes import BITS, SHORTEST, Prefix, parse_published
from probes.residency.ranges.seam import RangesError

EDGE: Final = "AzureFrontDoor"
"""The service whose addresses are announced from edges everywhere."""
_CLOUD: Final = "AzureCloud"


def read(files: tuple[bytes, ...]) -> Listing:
    """Raises RangesError."""
    whole = members(json_of(files[0]), "the file of service tags")
    tags = [_tag(members(value, "a tag")) for value in items(whole, "values", "the file of service tags")]
    claims = [claim for tag in tags for claim in tag]
    clouds = {claim.prefix for claim in claims if claim.service == _CLOUD and claim.region is not None}
    kept = [claim for claim in claims if _own_say(claim) or not _covered(claim.prefix, clouds)]
    # Of what no regional tag of the cloud covers, a tag with a region says more than one without.
    placed = {claim.prefix for claim in kept if claim.region is not None}
    kept = [claim for claim in kept if claim.region is not None or claim.anycast or not _covered(claim.prefix, placed)]
    return Listing(tuple(kept), None, len(claims) - len(kept))


def _own_say(claim: Claim) -> bool:
    return claim.anycast or (claim.service == _CLOUD and claim.region is not None)


def _covered(prefix: Prefix, by: set[Prefix]) -> bool:
    bits = BITS[prefix.family]
    return any(
        Prefix(prefix.family, prefix.value >> (bits - length) << (bits - length), length) in by
        for length in range(prefix.length, SHORTEST[prefix.family] - 1, -1)
    )


def _tag(tag: dict[str, object]) -> Iterator[Claim]:
    called = name(tag.get("name"), "service tag")
    properties = members(tag.get("properties"), f"tag {called}")
    code = text_at(properties, "region", f"tag {called}")
    service, _, suffix = called.partition(".")
    edge = service == EDGE
    if service == _CLOUD and suffix != code:
        raise RangesError(f"tag {called} says that its region is {code[:40]!r}", advice=GET_AGAIN)
    region = region_name(name(code, "region")) if code else None
    for text in items(properties, "addressPrefixes", f"tag {called}"):
        yield Claim(parse_published(text), "azure", None if edge else region, service=service, anycast=edge)
