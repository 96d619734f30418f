"""Duplicates are hashes until the bytes were read again: the first ones are, and counted by what they really are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from probes.fields import recognise
from probes.fields.facts import PLACES
from probes.fields.formats.catalogue import by_id
from probes.fields.read.seam import Export, Shard
from probes.fields.scan.arrays import cells
from probes.fields.scan.classing import key_identity
from probes.fields.scan.ledger import Group, Place
from probes.fields.scan.seam import ColumnPlan

Counts: TypeAlias = tuple[int, int, int]
"""(reused, copies, across)."""


@dataclass(frozen=True, slots=True)
class Reread:
    """One value, read again."""

    nonce: tuple[bytes, bytes] | None = field(repr=False)
    """(data key, nonce); None where the nonce is hidden."""
    content: bytes = field(repr=False)


def reread(
    export: Export, shards: Sequence[Shard], groups: Iterable[Group], plan_of: Callable[[int], ColumnPlan]
) -> dict[tuple[int, int, int], Reread]:
    """The members of groups as they stand in the export, by (column, shard, row). Each shard is read once, as far as
    its last member. What is no longer there is missing. Raises ProbeError when a shard cannot be read."""
    wanted: dict[int, list[Place]] = {}
    for group in groups:
        for member in group.members:
            wanted.setdefault(member.shard, []).append(member)
    found: dict[tuple[int, int, int], Reread] = {}
    for number, members in wanted.items():
        last = max(member.row for member in members)
        for batch in export.read(shards[number]).batches:
            if batch.numbers is not None:
                continue
            for member in members:
                at = member.row - batch.first
                plan = plan_of(member.column)
                if 0 <= at < batch.rows.num_rows and plan.column in batch.rows.schema.names:
                    column = cells(batch.rows.column(plan.column).slice(at, 1))
                    if len(column):
                        found[member.column, number, member.row] = _read(column.values()[0], plan)
            if batch.first + batch.rows.num_rows > last:
                break
    return found


def _read(value: bytes, plan: ColumnPlan) -> Reread:
    declared = plan.rule.format if plan.rule is not None else None
    told = recognise.classify(value, by_id(declared) if declared is not None else None)
    if told.parsed is None or not told.parsed.unit:
        return Reread(None, told.content)
    return Reread((key_identity(told.parsed), told.parsed.unit), told.content)


def corrections(groups: Iterable[Group], read: Mapping[tuple[int, int, int], Reread]) -> dict[int, Counts]:
    """What must be added to the counts of each column. Only groups of which every member was read again are counted
    anew; of larger ones the first members stand for all."""
    added: dict[int, Counts] = {}
    for group in groups:
        members = [(place, read.get((place.column, place.shard, place.row))) for place in group.members]
        whole = [(place, seen) for place, seen in members if seen is not None]
        if len(whole) < len(members) or len(members) >= PLACES:
            continue
        truth = _counted(whole)
        for column, counted in group.counted.items():
            now, have = truth.get(column, (0, 0, 0)), added.get(column, (0, 0, 0))
            added[column] = (
                have[0] + now[0] - counted[0],
                have[1] + now[1] - counted[1],
                have[2] + now[2] - counted[2],
            )
    return {column: counts for column, counts in added.items() if any(counts)}


def _counted(members: Sequence[tuple[Place, Reread]]) -> dict[int, Counts]:
    """Reuse, copies and reuse across columns among these, by their bytes."""
    found: dict[int, Counts] = {}
    for place, seen in members:
        same = [(other, one) for other, one in members if one.nonce == seen.nonce and one.nonce is not None]
        own = {one.content for other, one in same if other.column == place.column}
        elsewhere = {other.column for other, _ in same} - {place.column}
        contents = {one.content for _, one in same}
        copies = sum(one.content == seen.content for other, one in members if other.column == place.column)
        have = found.get(place.column, (0, 0, 0))
        found[place.column] = (
            have[0] + (len(own) > 1),
            have[1] + (copies > 1),
            have[2] + (bool(elsewhere) and len(contents) > 1),
        )
    return found
