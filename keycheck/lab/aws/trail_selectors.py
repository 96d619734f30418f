"""Which management events a trail keeps: its basic or advanced event selectors.

Source: CloudTrail API reference, EventSelector and AdvancedEventSelector (selectors are alternatives, the fields of an
advanced one must all match).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from keycheck.lab.aws.seams import ApiEvent, Document, Json
from keycheck.lab.aws.trails import Trail

_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "Equals": str.__eq__,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}


def keeps(trail: Trail, event: ApiEvent) -> bool:
    """Whether the files of a trail hold the event."""
    if trail.advanced_event_selectors:
        return any(_advanced(selector, event) for selector in trail.advanced_event_selectors)
    return any(_basic(selector, event) for selector in trail.event_selectors)


def _basic(selector: Document, event: ApiEvent) -> bool:
    if selector.get("IncludeManagementEvents") is False or event.source in _texts(
        selector.get("ExcludeManagementEventSources")
    ):
        return False
    kind = selector.get("ReadWriteType", "All")
    return kind == "All" or kind == ("ReadOnly" if event.read_only else "WriteOnly")


def _advanced(selector: Document, event: ApiEvent) -> bool:
    fields = selector.get("FieldSelectors")
    if not isinstance(fields, Sequence) or isinstance(fields, str):
        return False
    return all(isinstance(field, Mapping) and _holds(field, event) for field in fields)


def _holds(field: Mapping[str, Json], event: ApiEvent) -> bool:
    value = {
        "eventCategory": "Management",
        "readOnly": "true" if event.read_only else "false",
        "eventSource": event.source,
        "eventName": event.name,
        "resources.ARN": event.resources[0] if event.resources else "",
    }.get(str(field.get("Field")), "")
    for name, test in _TESTS.items():
        wanted, unwanted = _texts(field.get(name)), _texts(field.get(f"Not{name}"))
        if wanted and not any(test(value, each) for each in wanted):
            return False
        if any(test(value, each) for each in unwanted):
            return False
    return True


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else ()
