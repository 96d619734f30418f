"""What others published, as the deployment's `references` name it: ranges, country polygons, network owners.

Each is read once in a run. One that is absent, damaged or not to be trusted is `Unseen` with its reason, and so is
everything that would have rested on it: the rest of several is never used without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from pydantic import ValidationError

from keycheck.evidence.files import read_bounded
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.endpoint.owners import Owners, read_owners
from probes.residency.endpoint.reach import Outlines
from probes.residency.endpoint_facts import NotAsked
from probes.residency.physics.polygons import MAX_BYTES, read_polygons
from probes.residency.ranges.importing import Accept, Lists, imported
from probes.residency.ranges.index import Index
from probes.residency.ranges.reading import read_list
from probes.residency.ranges.seam import Address, Attribution, Ranges, RangesError, Source
from probes.residency.ranges.store import default_path, load
from probes.residency.ranges.table import table_of
from probes.residency.subjects import Borders, Networks, RangesFile, Reference

SECTION: Final = "references"

T = TypeVar("T")
B = TypeVar("B", Borders, Networks)
Found: TypeAlias = tuple[str, T]


def ranges_of(io: Io) -> Ranges | Unseen:
    """Published ranges: all that the deployment names together, or the index of whoever runs keycheck."""
    return io.once.get(("residency.references", "ranges"), lambda: _ranges(io))


def borders_of(io: Io) -> Outlines | NotAsked | Unseen:
    """Country polygons, where the deployment names them."""
    return io.once.get(("residency.references", "borders"), lambda: _borders(io))


def owners_of(io: Io) -> Owners | NotAsked | Unseen:
    """A database of network owners, where the deployment names one."""
    return io.once.get(("residency.references", "networks"), lambda: _owners(io))


@dataclass(frozen=True, slots=True)
class References:
    """All that others published, for one address after the other."""

    ranges: Ranges | Unseen
    borders: Outlines | NotAsked | Unseen
    owners: Owners | NotAsked | Unseen


def references_of(io: Io) -> References:
    """Everything that the deployment names."""
    return References(ranges_of(io), borders_of(io), owners_of(io))


class Together:
    """Several ranges as one (a `Ranges`)."""

    def __init__(self, parts: tuple[Ranges, ...]) -> None:
        self._parts = parts
        self._sources = tuple(sorted((one for part in parts for one in part.sources()), key=lambda one: one.name))

    def lookup(self, address: Address) -> tuple[Attribution, ...]:
        """What every source of every part says, sorted by source. Raises RangesError."""
        return tuple(sorted((one for part in self._parts for one in part.lookup(address)), key=lambda one: one.source))

    def sources(self) -> tuple[Source, ...]:
        """All of them, sorted by name."""
        return self._sources


def _references(io: Io, what: type[T]) -> Iterator[Found[T]]:
    """References of one kind with their ids. Raises ValidationError for what is no reference."""
    for entry in io.subjects:
        if entry.section == SECTION:
            reference = Reference.model_validate_json(entry.body)
            if isinstance(reference.what, what):
                yield reference.id, reference.what


def _ranges(io: Io) -> Ranges | Unseen:
    try:
        named = tuple(_references(io, RangesFile))
    except ValidationError as error:
        return _damaged(str(error))
    parts: list[Ranges] = []
    for name, one in named or (("", RangesFile()),):
        path = default_path(os.environ) if one.file is None else io.base / one.file
        if one.file is None and not path.exists():
            detail = "there is no index of published ranges: make one with `keycheck ranges update`"
            return Unseen(reason=Reason.NOT_COVERED, detail=detail)
        try:
            parts.append(load(path) if one.source is None else _list(path, one, io.clock()))
        except RangesError as error:
            return _damaged(f"{_named(name)}{error}: {error.advice}")
    names = [source.name for part in parts for source in part.sources()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return _damaged(f"several references hold ranges of {twice[0]}: name one")
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


def _list(path: Path, one: RangesFile, now: datetime) -> Index:
    """A provider's own list, indexed in memory. Its date is its own, and it has none where it states none: it was not
    made when it was read. Raises RangesError."""
    lists = Lists(one.source or "", (read_list(path),), origin=path.name, names=(path.name,))
    read = imported(lists, now, None, Accept(private=one.allow_private))
    if read.source.published is None:
        read = replace(read, source=replace(read.source, dated="undated"))
    return Index(table_of([read]))


def _borders(io: Io) -> Outlines | NotAsked | Unseen:
    return _only(io, Borders, lambda path: Outlines.of(read_polygons(read_bounded(path, MAX_BYTES))))


def _owners(io: Io) -> Owners | NotAsked | Unseen:
    return _only(io, Networks, read_owners)


def _only(io: Io, what: type[B], read: Callable[[Path], T]) -> T | NotAsked | Unseen:
    """The only reference of a kind, read. `read` may raise OSError and ValueError."""
    try:
        named = tuple(_references(io, what))
    except ValidationError as error:
        return _damaged(str(error))
    if not named:
        return NotAsked()
    if len(named) > 1:
        return _damaged(f"several references of one kind ({', '.join(name for name, _ in named)}): name one")
    ((name, one),) = named
    try:
        return read(io.base / one.file)
    except FileNotFoundError:
        return Unseen(reason=Reason.TOOL_MISSING, detail=vendor_text(f"{_named(name)}there is no {one.file}"))
    except (OSError, ValueError) as error:
        return _damaged(f"{_named(name)}{one.file}: {error}")


def _named(name: str) -> str:
    return f"references/{name}: " if name else ""


def _damaged(detail: str) -> Unseen:
    return Unseen(reason=Reason.MALFORMED, detail=vendor_text(detail))
