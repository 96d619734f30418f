"""What a list claims about prefixes, and one answer for each prefix. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from keycheck.model.types import vendor_text
from probes.residency.ranges.prefixes import Prefix
from probes.residency.ranges.seam import RangesError

MAX_ROWS: Final = 1_000_000
MAX_NAME: Final = 100
MAX_SERVICES: Final = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a list: this prefix is of this provider, in this region, for this service."""

    prefix: Prefix
    provider: str
    region: str | None = None
    border_group: str | None = None
    service: str | None = None
    anycast: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as an importer read it."""

    claims: tuple[Claim, ...] = field(repr=False)
    published: datetime | None = None
    left_out: int = 0


class Label(NamedTuple):
    """What is claimed about a prefix, without the prefix: many prefixes share one."""

    provider: str
    region: str | None
    border_group: str | None
    services: tuple[str, ...]
    anycast: bool
    ambiguous: bool


def name(text: object, what: str) -> str:
    """A provider's name of something: bounded, printable ASCII without spaces at its ends and without
    what separates names in tables (comma, semicolon, bar, quote). Raises
    RangesError."""
    if isinstance(text, str) and len(text) <= MAX_NAME and _NAME.fullmatch(text):
        return text
    shown = repr(vendor_text(text, MAX_NAME)) if isinstance(text, str) else type(text).__name__
    raise RangesError(f"{shown} is no {what}", advice="the list is damaged or of another format: get it again")


_NAME: Final = re.compile(r"(?! )[^\x00-\x1f\x7f-\U0010ffff,;|\"]+(?<! )")


def joined(claims: Iterable[Claim]) -> Mapping[Prefix, Label]:
    """One label for each prefix. Rows that say the same of where it is are one, with all their services; rows that
    differ (another region, or a region and none) make the prefix ambiguous: it is then nowhere."""
    rows: dict[Prefix, list[Claim]] = {}
    for claim in claims:
        rows.setdefault(claim.prefix, []).append(claim)
    return {prefix: _label(each) for prefix, each in rows.items()}


def _label(rows: list[Claim]) -> Label:
    first = rows[0]
    services = tuple(sorted({row.service for row in rows if row.service is not None}))
    if len(services) > MAX_SERVICES:
        raise RangesError(
            f"{first.prefix} is claimed for {len(services)} services", advice="the list is damaged: get it again"
        )
    providers = sorted({row.provider for row in rows})
    places = {(row.region, row.border_group) for row in rows}
    anycast = any(row.anycast for row in rows)
    if len(places) == len(providers) == 1:
        return Label(first.provider, first.region, first.border_group, services, anycast, ambiguous=False)
    return Label("+".join(providers), None, None, services, anycast, ambiguous=True)
