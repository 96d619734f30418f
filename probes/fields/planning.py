"""From a data set and what else the deployment names to what a scan must know. Pure but for the file of canaries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from keycheck.model.deployment import SubjectEntry
from keycheck.model.probe import Io
from keycheck.model.types import PartName, vendor_text
from probes.fields.read.seam import BESIDE
from probes.fields.scan.seam import Canary, ColumnPlan, Role, ScanPlan
from probes.fields.subjects import NONE, Dataset, FieldRule

_LONGEST: Final = 160


def part_of(column: str) -> PartName:
    """The name of a column as a part. What cannot be shown, or is too long, ends in a digest of the whole name, so that
    no two columns share a part."""
    shown = vendor_text(column, _LONGEST)
    return (
        shown
        if shown == column
        else f"{shown} #{hashlib.sha256(column.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    )


def scan_plan(dataset: Dataset, columns: Iterable[str], canaries: tuple[Canary, ...], io: Io) -> ScanPlan:
    """What the scan of every shard is told. Draws the run's hashing key."""
    return ScanPlan(
        columns=tuple(_column(dataset, column, io.subjects) for column in columns),
        row=dataset.row,
        tenant=dataset.tenant,
        written=dataset.written,
        limits=dataset.limits,
        key=io.entropy(32),
        canaries=canaries,
    )


def _column(dataset: Dataset, column: str, subjects: tuple[SubjectEntry, ...]) -> ColumnPlan:
    rule = dataset.rule(column)
    return ColumnPlan(column, _role(column, rule), rule, key_resource(rule, subjects) if rule is not None else "")


def _role(column: str, rule: FieldRule | None) -> Role:
    if rule is None:
        return "plain" if column.startswith(BESIDE) else "unmapped"
    return "plain" if rule.class_ == NONE else "sensitive"


def key_resource(rule: FieldRule, subjects: Iterable[SubjectEntry]) -> str:
    """The resource name of the key that the rule names; empty where the deployment declares no such key."""
    for entry in subjects:
        if rule.key is not None and entry.id == f"keys/{rule.key}":
            resource = entry.body.parsed().get("resource")
            return resource if isinstance(resource, str) else ""
    return ""
