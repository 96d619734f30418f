"""The text of a key policy as statements, each element as it is written: nothing is evaluated, ignored or repaired.

What IAM's grammar does not know makes the whole policy malformed: a statement that is read half allows something else.
Source: IAM user guide, "Grammar of the IAM JSON policy language"; KMS developer guide, "Key policies".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from probes.clouds.aws.reading import MalformedError, exact
from probes.keys.aws_facts import Condition, PrincipalPattern, Statement

MAX_BYTES: Final = 32 * 1024
"""As KMS limits a key policy."""
_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_DOCUMENT: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_PRINCIPALS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


def parse_policy(text: str) -> tuple[Statement, ...]:
    """The statements of a key policy, in order. Raises MalformedError.

    A statement may name no Resource: such one has no effect in a key policy, which is for the judge to know.
    Numbers and booleans in conditions become the texts that IAM compares them as.
    """
    document = _object("the policy", _load(text), _DOCUMENT)
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise MalformedError("the policy has a Version that is not known")
    if not isinstance(document.get("Id", ""), str):
        raise MalformedError("the policy's Id is no text")
    written = document.get("Statement")
    statements = written if isinstance(written, list) else [written]
    if not statements:
        raise MalformedError("the policy has no Statement")
    return tuple(_statement(item) for item in statements)


def _load(text: str) -> object:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise MalformedError(f"the policy is longer than {MAX_BYTES} bytes")
    try:
        # Numbers stay as written: their text is what is compared, and a long one costs nothing.
        value: object = json.loads(
            text, object_pairs_hook=_members, parse_int=str, parse_float=str, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise MalformedError("the policy is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"the policy is not JSON at character {error.pos}") from error
    return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("the policy names the same key twice")
    return members


def _no_constant(name: str) -> object:
    raise MalformedError(f"the policy holds {name}, which is not JSON")


def _object(what: str, value: object, known: frozenset[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is no object")
    if strange := sorted(set(value) - known):
        raise MalformedError(f"{what} has an element that is not known: {exact('its name', strange[0], 100)}")
    return value


def _statement(value: object) -> Statement:
    statement = _object("a statement", value, _STATEMENT)
    if None in statement.values():
        raise MalformedError("a statement has an element that is null")
    for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction")):
        if (one in statement) == (other in statement):
            raise MalformedError(f"a statement has not exactly one of {one} and {other}")
    if "Resource" in statement and "NotResource" in statement:
        raise MalformedError("a statement has both Resource and NotResource")
    sid = statement.get("Sid")
    match statement.get("Effect"):
        case "Allow":
            allow = True
        case "Deny":
            allow = False
        case _:
            raise MalformedError("a statement has an Effect that is neither Allow nor Deny")
    return Statement(
        sid=None if sid is None else exact("a Sid", sid),
        effect="Allow" if allow else "Deny",
        principals=_principals(statement.get("Principal")),
        not_principals=_principals(statement.get("NotPrincipal")),
        actions=_strings("Action", statement.get("Action")),
        not_actions=_strings("NotAction", statement.get("NotAction")),
        resources=_strings("Resource", statement.get("Resource")),
        not_resources=_strings("NotResource", statement.get("NotResource")),
        conditions=_conditions(statement.get("Condition")),
    )


def _principals(value: object) -> tuple[PrincipalPattern, ...]:
    if value is None:
        return ()
    if value == "*":
        return (PrincipalPattern(type="*", value="*"),)
    principals = tuple(
        PrincipalPattern(type=kind, value=name)
        for kind, names in _object("a Principal", value, _PRINCIPALS).items()
        for name in _strings("Principal", names)
    )
    if not principals:
        raise MalformedError("a Principal names nobody")
    return principals


def _strings(what: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not values:
        raise MalformedError(f"{what} is an empty list")
    return tuple(_string(what, item) for item in values)


def _string(what: str, value: object) -> str:
    item = exact(what, value)
    if not item:
        raise MalformedError(f"{what} is empty")
    return item


def _conditions(value: object) -> tuple[Condition, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise MalformedError("a Condition is no object")
    conditions: list[Condition] = []
    for operator, tests in value.items():
        if not isinstance(tests, dict) or not tests:
            raise MalformedError("a Condition's operator has no keys")
        conditions += [
            Condition(
                operator=_string("a Condition's operator", operator),
                key=_string("a Condition's key", key),
                values=_operands(values),
            )
            for key, values in tests.items()
        ]
    return tuple(conditions)


def _operands(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    # An empty list is legal: a condition that nothing can match.
    return tuple(
        ("true" if item else "false") if isinstance(item, bool) else exact("a Condition's value", item)
        for item in values
    )
