"""What forbids other Regions: policies of the organisation, and Regions that are not enabled.

None of it proves where anything is: a policy is not retroactive, does not bind the management account, and has
exceptions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.reading import Answer, MalformedError, child, children, parsing, structure, text, text_or_none
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.graph import seen_not
from probes.residency.store_facts import Guard

_KIND: Final = "service-control-policy"
_ABOVE: Final = 8
"""An organisation has a root and at most five levels of units."""
_POLICIES: Final = 40
_LISTED: Final = 64
_MAX_POLICY: Final = 40_000
"""Characters; AWS allows 5,120 (10,240 since 2025)."""
_DENIES: Final = ("StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ForAllValues:StringNotEquals")
_CONDITION: Final = "aws:requestedregion"


def guards(asking: Asking) -> tuple[Guard, ...] | Unseen:
    """Policies above the account that deny requests to Regions other than named ones, and the Regions that are
    enabled, where they were asked about."""
    own: tuple[Guard, ...] = ()
    if asking.regions:
        enabled = tuple(vendor_text(each) for each in asking.regions[:_LISTED])
        own = (Guard(name="enabled Regions of the account", kind="account-region-opt-in", allows=enabled),)
    try:
        # Organizations allows about one call a second: asked once for all parts of a run.
        found = asking.door.api.shared(
            "guards", asking.home, lambda api: _policies(asking, replace(asking.door, api=api))
        )
        return (*own, *found)[:_LISTED]
    except AwsError as error:
        if error.code == "AWSOrganizationsNotInUseException":
            return own
        return seen_not(error)
    except ProbeError as error:
        return seen_not(error)


def _policies(asking: Asking, door: Door) -> tuple[Guard, ...]:
    target: str | None = door.account
    seen: set[str] = set()
    found: list[Guard] = []
    for _ in range(_ABOVE):
        if target is None:
            break
        for id, name in _attached(asking, door, target):
            if id in seen:
                continue
            seen.add(id)
            if len(seen) > _POLICIES:
                raise ProbeError(Reason.NOT_COVERED, f"more than {_POLICIES} policies above the account")
            found += _guard(asking, door, id, name)
        target = _parent(asking, door, target)
    return tuple(found)


def _attached(asking: Asking, door: Door, target: str) -> tuple[tuple[str, str], ...]:
    operation = "organizations:ListPoliciesForTarget"
    answer = asking.ask(operation, asking.home, door, TargetId=target, Filter="SERVICE_CONTROL_POLICY")
    with parsing(operation):
        if text_or_none(answer, "NextToken") is not None:
            raise MalformedError("more policies than may be attached")
        return tuple((text(item, "Id"), text(item, "Name")) for item in children(answer, "Policies", required=True))


def _parent(asking: Asking, door: Door, target: str) -> str | None:
    if target.startswith("r-"):
        return None
    operation = "organizations:ListParents"
    answer = asking.ask(operation, asking.home, door, ChildId=target)
    with parsing(operation):
        parents = [text(item, "Id") for item in children(answer, "Parents", required=True)]
        if len(parents) != 1:
            raise MalformedError("not exactly one parent")
        return parents[0]


def _guard(asking: Asking, door: Door, id: str, name: str) -> Iterator[Guard]:
    operation = "organizations:DescribePolicy"
    answer = asking.ask(operation, asking.home, door, PolicyId=id)
    with parsing(operation):
        content = child(answer, "Policy").get("Content")
        if not isinstance(content, str) or len(content) > _MAX_POLICY:
            raise MalformedError("Content is no policy")
        try:
            policy = structure("Content", json.loads(content))
        except (ValueError, RecursionError) as error:
            raise MalformedError("Content is no policy") from error
        for statement in _listed(policy.get("Statement")):
            yield from _denying(structure("Statement", statement), name)


def _denying(statement: Answer, name: str) -> Iterator[Guard]:
    condition = statement.get("Condition")
    if statement.get("Effect") != "Deny" or not isinstance(condition, dict):
        return
    for operator, tests in condition.items():
        if operator not in _DENIES or not isinstance(tests, dict):
            continue
        for key, values in tests.items():
            if not isinstance(key, str) or key.lower() != _CONDITION:
                continue
            further = [f"also needs {other}" for other in condition if other != operator]
            excepted = [*_listed(statement.get("NotAction")), *further]
            yield Guard(
                name=vendor_text(name),
                kind=_KIND,
                allows=_texts(_listed(values)),
                exceptions=_texts(excepted),
            )


def _listed(value: object) -> list[object]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _texts(values: list[object]) -> tuple[str, ...]:
    shown = [vendor_text(str(value), 200) for value in values]
    more = len(shown) - (_LISTED - 1)
    return tuple(shown) if more <= 1 else (*shown[: _LISTED - 1], f"and {more} more")
