"""What a scan is told, and what it draws samples from. Everything here is picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from probes.fields.formats.seam import Wrapped
from probes.fields.subjects import FieldRule, Limits

Role: TypeAlias = Literal["sensitive", "plain", "unmapped"]


@dataclass(frozen=True, slots=True)
class Canary:
    """A value that we planted, and where."""

    id: str
    of: str
    """Class of the field that it was planted in."""
    column: str
    """Column in which it must lie, encrypted."""
    value: str = field(repr=False)
    row: tuple[tuple[str, str], ...] = ()
    """(column, value) of the row's identity, where the front door told it."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column, and what the deployment says of it."""

    column: str
    role: Role
    rule: FieldRule | None = None
    key_resource: str = ""
    """Resource name of the key that must wrap its data keys; empty where the deployment names none."""


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Everything that the scan of one shard needs besides the shard."""

    columns: tuple[ColumnPlan, ...]
    """Columns that are not listed here are scanned as `unmapped`."""
    row: tuple[str, ...]
    tenant: str | None
    written: str | None
    limits: Limits
    key: bytes = field(repr=False)
    """32 random bytes of the run: hashes under it collide for nobody who could choose the values, and digests of
    findings can be guessed by nobody. Never recorded."""
    canaries: tuple[Canary, ...] = ()
    vault: Mapping[str, Wrapped] = field(default_factory=dict, repr=False)
    """Wrapped data keys of MongoDB's key vault, by the hex of their UUIDs. Not needed to scan: workers get none."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One value drawn for opening, standing for its data key."""

    column: str
    shard: str
    row: int
    """Within the shard."""
    stratum: str
    """Wrapping key, its material, file and month of writing."""
    content: int | None = None
    """Hash of the value after peeling, as the scan saw it, under the run's key: what is read again must have it. None:
    not compared."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn of one column."""

    picks: tuple[Pick, ...]
    population: int
    """Data keys there were to draw from."""
    strata: int
