"""From a list's bytes to what goes into an index, past the guards. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from keycheck.model.types import vendor_text
from probes.residency.ranges.claims import MAX_ROWS, joined
from probes.residency.ranges.importers.registry import importer_of
from probes.residency.ranges.seam import OWN, Dated, RangesError, Source
from probes.residency.ranges.table import Imported

SHRINK: Final = (7, 10)
"""An import with fewer prefixes than this part of the one before is refused: lists have been cut short before now."""
_DATED_NAME: Final = re.compile(r"ServiceTags_\w+?_(20\d{6})\.json\Z")


@dataclass(frozen=True, slots=True)
class Lists:
    """The bytes of one source's lists and how they were come by."""

    source: str
    files: tuple[bytes, ...]
    origin: str
    names: tuple[str, ...] = ()
    """Names of the files, which some providers put the date into."""
    fetched: bool = False
    """Whether they came from their URL just now."""
    stated: datetime | None = None
    """Their date by the word of whoever imports them."""


@dataclass(frozen=True, slots=True)
class Accept:
    """What would be refused and is accepted by hand."""

    shrink: bool = False
    private: bool = False


def imported(lists: Lists, now: datetime, before: Source | None, accept: Accept) -> Imported:
    """Read, checked and joined. Raises RangesError; then nothing of it may be used."""
    importer = importer_of(lists.source, allow_private=accept.private)
    if not 1 <= len(lists.files) <= importer.files:
        raise RangesError(
            f"{lists.source} takes {'one file' if importer.files == 1 else f'1 to {importer.files} files'}",
            advice="name no more of them",
        )
    listing = importer.read(lists.files)
    rows = len(listing.claims) + listing.left_out
    if rows > MAX_ROWS:
        raise RangesError(f"{lists.source} has {rows:,} rows", advice=f"the most is {MAX_ROWS:,}: check the file")
    if not listing.claims:
        raise RangesError(f"the list of {lists.source} holds no prefix", advice="get it again; what is there is kept")
    labels = joined(listing.claims)
    published, dated = _date(lists, listing.published)
    source = Source(
        name=lists.source,
        published=published,
        digest=hashlib.sha256(b"".join(lists.files)).hexdigest(),
        origin=vendor_text(lists.origin),
        prefixes=len(labels),
        imported_at=now,
        rows=rows,
        left_out=listing.left_out,
        ambiguous=sum(label.ambiguous for label in labels.values()),
        private_allowed=accept.private,
        dated=dated,
    )
    return Imported(_unshrunk(source, before, accept), labels)


def _unshrunk(source: Source, before: Source | None, accept: Accept) -> Source:
    part, whole = SHRINK
    if before is None or source.prefixes * whole >= before.prefixes * part:
        return source
    if not accept.shrink:
        raise RangesError(
            f"{source.name} shrank from {before.prefixes:,} prefixes to {source.prefixes:,}",
            advice="look at the list: if it is whole, import it with --accept-shrink, which the index will record",
        )
    return replace(source, shrunk_from=before.prefixes)


def _date(lists: Lists, published: datetime | None) -> tuple[datetime | None, Dated]:
    """The list's own date, or else the older of what its name and whoever imports it say. Raises RangesError."""
    if published is not None:
        if lists.stated is not None:
            raise RangesError(f"the list of {lists.source} has a date of its own", advice="leave --dated away")
        return published, "list"
    named = map(_named_date, lists.names if lists.source == "azure" else ())
    said: list[tuple[datetime, Dated]] = [(found, "file-name") for found in named if found is not None]
    if lists.stated is not None:
        said.append((lists.stated, "stated"))
    if said:
        return min(said)
    if lists.source.startswith(OWN):
        return None, "own"
    return None, "fetched" if lists.fetched else "undated"


def _named_date(name: str) -> datetime | None:
    found = _DATED_NAME.search(name)
    try:
        return found and datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
