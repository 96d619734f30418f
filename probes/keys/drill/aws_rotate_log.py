"""Which material the logged uses of an AWS key were made with. Pure.

Source: KMS developer guide, "Examples of CloudTrail log entries": `additionalEventData.keyMaterialId`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from keycheck.model.types import vendor_text
from probes.keys.drill.aws_log import RawLog, uses_of
from probes.keys.drill.offset import SECOND
from probes.keys.drill.rotating import MaterialUses, UseTally

_NAMES: Final = ("keyMaterialId", "destinationKeyMaterialId")
"""Of a use, and of what ReEncrypt wrote."""


def material_uses(logs: Sequence[RawLog], began: datetime, muted: Iterable[str]) -> MaterialUses:
    """Successful uses since `began`, those that are alike counted."""
    gaps = [f"{log.arn.region}: {log.why_not}" for log in logs if not log.complete]
    tally = UseTally()
    for written, event in uses_of(logs, gaps):
        if event.alike.error is None and event.at >= began - SECOND:
            tally.add(event.alike.operation, event.alike.principal, _material(written), event.at)
    return tally.uses(gaps, muted)


def _material(written: str) -> str | None:
    """Of an event that was read before."""
    more = json.loads(written, parse_int=str, parse_float=str).get("additionalEventData")
    if not isinstance(more, dict):
        return None
    found = next((more[name] for name in _NAMES if isinstance(more.get(name), str)), None)
    return None if found is None else vendor_text(found, 100)
