"""The importers by the names of their sources."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Final

from probes.residency.ranges.claims import Listing
from probes.residency.ranges.importers import aws, azure, edges, gcp, oci, own
from probes.residency.ranges.seam import OWN, PROVIDERS, SOURCE_NAME, RangesError


@dataclass(frozen=True, slots=True)
class Importer:
    """How one provider's lists are read, and where the provider's documentation says that they are."""

    read: Callable[[tuple[bytes, ...]], Listing]
    urls: tuple[str, ...] = ()
    """Fetched together; empty: the provider has no lasting URL."""
    files: int = 1
    """How many files may be given at once."""
    note: str = ""


_IMPORTERS: Final = {
    "aws": Importer(aws.read, ("https://ip-ranges.amazonaws.com/ip-ranges.json",)),
    "gcp": Importer(gcp.read, ("https://www.gstatic.com/ipranges/cloud.json",), files=2),
    "azure": Importer(
        azure.read,
        note="Microsoft changes the URL every week: take it from the download page 'Azure IP Ranges and Service Tags, "
        "Public Cloud' and name it with --from, or import the file",
    ),
    "oci": Importer(oci.read, ("https://docs.oracle.com/en-us/iaas/tools/public_ip_ranges.json",)),
    "cloudflare": Importer(
        edges.read_cloudflare, ("https://www.cloudflare.com/ips-v4", "https://www.cloudflare.com/ips-v6"), files=2
    ),
    "fastly": Importer(edges.read_fastly, ("https://api.fastly.com/public-ip-list",)),
}


def importer_of(source: str, *, allow_private: bool = False) -> Importer:
    """The importer of a source by its name, as `aws` or `own:lab`. Raises RangesError."""
    if source.startswith(OWN):
        if not re.fullmatch(SOURCE_NAME, source):
            raise RangesError(
                f"{source!r} is no name of ranges of your own",
                advice="write own: and then lower-case letters, digits, . _ -",
            )
        return Importer(partial(own.read, allow_private=allow_private))
    if source not in _IMPORTERS:
        near = get_close_matches(source, PROVIDERS, n=1)
        raise RangesError(
            f"there is no source {source!r}",
            advice=f"did you mean {near[0]}?" if near else f"one of {', '.join(PROVIDERS)}, or own:NAME",
        )
    if allow_private:
        raise RangesError(
            f"{source} publishes no private ranges", advice="--allow-private is for ranges of your own: own:NAME"
        )
    return _IMPORTERS[source]
