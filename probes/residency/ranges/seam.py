"""What published ranges say about an address, and where that comes from. Frozen types, one protocol, no machinery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal, Protocol, TypeAlias

from keycheck.errors import KeycheckError
from keycheck.model.verdict import ExitCode

PROVIDERS: Final = ("aws", "gcp", "azure", "oci", "cloudflare", "fastly")
"""Sources that have an importer of their own; the user's own are called `own:<name>`."""
OWN: Final = "own:"
SOURCE_NAME: Final = rf"^(?:{'|'.join(PROVIDERS)}|{OWN}[a-z0-9][a-z0-9._-]{{0,39}})$"

Address: TypeAlias = str | IPv4Address | IPv6Address

Dated: TypeAlias = Literal["list", "file-name", "stated", "fetched", "own", "undated"]
"""How a snapshot's age is known: `list`: the list says its date. `file-name`: the name that the provider gave the file
does. `stated`: whoever imported it did. `fetched`: the list has none and was fetched from its URL when it was imported.
`own`: a file of the user's own, stated when it was imported. `undated`: a provider's file without any date."""


class RangesError(KeycheckError):
    """Ranges that cannot be read, are refused, or cannot be looked up in; never an answer that may be wrong. On the
    command line it is wrong usage: nothing was done."""

    exit_code: Final = ExitCode.USAGE


class RangesBusyError(KeycheckError):
    """Another process is changing the same index."""

    exit_code: Final = ExitCode.LOCKED


@dataclass(frozen=True, slots=True)
class Source:
    """One import of one provider's ranges: what makes an attribution checkable by somebody else."""

    name: str
    """One of `PROVIDERS`, or `own:<name>`."""
    published: datetime | None
    """The snapshot's date; None where neither the list nor anybody else states one."""
    digest: str
    """SHA-256 of the bytes that were imported, lower-case hex."""
    origin: str
    """Where the bytes came from, in words: a URL or the name of a file."""
    prefixes: int
    """Different prefixes that are in the index."""
    imported_at: datetime
    rows: int = 0
    """Rows of the file, before rows on one prefix are joined."""
    left_out: int = 0
    """Rows that are not in the index, because other rows of the same file say more about the same addresses."""
    ambiguous: int = 0
    """Prefixes that the file claims for several regions: they are nowhere."""
    shrunk_from: int | None = None
    """Prefixes of the import before this one, where a sudden shrink was accepted by hand."""
    private_allowed: bool = False
    """Whether private and reserved ranges were accepted by hand."""
    dated: Dated = "list"

    def age(self, now: datetime) -> timedelta | None:
        """How old the snapshot is: by its date, or since it was fetched or stated. None: nobody knows, which is as
        bad as stale. Negative: it is dated in the future, and is no better."""
        if self.published is not None:
            return now - self.published
        return now - self.imported_at if self.dated in ("fetched", "own") else None


@dataclass(frozen=True, slots=True)
class Attribution:
    """What one source says of an address, by its longest prefix that holds the address."""

    source: str
    """`Source.name`."""
    provider: str
    region: str | None
    """The provider's name of the region. None: the source gives none (GLOBAL, unregioned, an edge)."""
    border_group: str | None
    """AWS's network_border_group, where it is another than the region: that is then the place, not the region."""
    services: tuple[str, ...]
    """Sorted."""
    prefix: str
    """The prefix that matched, as `192.0.2.0/24`."""
    anycast: bool
    """Announced from many places: never a place, whatever else is said."""
    ambiguous: bool = False
    """The source claims the prefix for several regions: never a place."""

    @property
    def place(self) -> str | None:
        """The provider's name of the place: border group before region. None: this names no place."""
        if self.anycast or self.ambiguous:
            return None
        return self.border_group or self.region


class Ranges(Protocol):
    """An index of ranges."""

    def lookup(self, address: Address) -> tuple[Attribution, ...]:
        """What every source says, sorted by source; empty: no source holds it, which says nothing about where it
        is. Raises RangesError for what is no address. An IPv4-mapped IPv6 address is looked up as IPv4."""
        ...

    def sources(self) -> tuple[Source, ...]:
        """What the index was made from, sorted by name."""
        ...
