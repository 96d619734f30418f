"""What forbids other places: the organisation policy `gcp.resourceLocations`.

It proves nothing of where anything is: it applies to what is newly made, and not to all of it
(https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations).
"""

from __future__ import annotations

from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from probes.clouds.aws.reading import Answer, child_or_none, children, flag, parsing, text_or_none, texts
from probes.residency.gcp.asking import Asking
from probes.residency.graph import seen_not, unknown
from probes.residency.store_facts import Guard

_OPERATION: Final = "orgpolicy.policies.getEffectivePolicy"
_NAME: Final = "gcp.resourceLocations"
_LISTED: Final = 64


def guards(asking: Asking, project: str | None) -> tuple[Guard, ...] | Unseen:
    """The policy that is in effect in a project, with all that it inherits."""
    if project is None:
        return unknown("the project is not told, so its organisation policies were not asked about")
    try:
        answer = asking.ask("orgpolicy", _OPERATION, f"projects/{project}/policies/{_NAME}:getEffectivePolicy")
        with parsing(_OPERATION):
            rules = children(child_or_none(answer, "spec") or {}, "rules")
            return tuple(_guard(rule) for rule in rules if not flag(rule, "allowAll", default=False))[:_LISTED]
    except ProbeError as error:
        return seen_not(error)


def _guard(rule: Answer) -> Guard:
    values = child_or_none(rule, "values") or {}
    condition = text_or_none(child_or_none(rule, "condition") or {}, "expression")
    excepted = [f"denied: {each}" for each in texts(values, "deniedValues")]
    if condition:
        excepted.insert(0, f"only where {condition}")
    return Guard(
        name=_NAME,
        kind=_NAME,
        allows=_shown(texts(values, "allowedValues")),
        exceptions=_shown(tuple(excepted)),
    )


def _shown(values: tuple[str, ...]) -> tuple[str, ...]:
    shown = tuple(vendor_text(value, 200) for value in values)
    return shown if len(shown) <= _LISTED else (*shown[: _LISTED - 1], f"and {len(shown) - _LISTED + 1} more")
