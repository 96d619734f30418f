"""Conditions of key policies, as far as they say who: principals, accounts, organizations. Pure.

A condition that says who narrows a statement for everybody to those; every other one only limits how, where or when,
and leaves everybody in. Sources: IAM User Guide "Global condition context keys" and "Condition operators"; KMS
Developer Guide "Condition keys for AWS KMS".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from probes.keys.aws_actions import matches
from probes.keys.aws_facts import Condition
from probes.keys.instants import aware
from probes.keys.key_control import SKEW

_ACCOUNT_KEYS: Final = frozenset({"aws:principalaccount", "kms:calleraccount"})
_ARN_KEY: Final = "aws:principalarn"
_ORGANIZATION_KEYS: Final = frozenset({"aws:principalorgid", "aws:principalorgpaths"})
_WHO_UNREAD: Final = (
    "aws:principaltag/", "aws:userid", "aws:username", "aws:principaltype", "aws:federatedprovider",
    "aws:principalservicename", "aws:principalisawsservice", "aws:sourceidentity", "sts:", "saml:", "cognito-identity.",
)  # fmt: skip
"""Keys that say something about the principal which keycheck cannot resolve to principals."""
_HOW: Final = (
    "kms:viaservice", "kms:encryptioncontext:", "kms:encryptioncontextkeys", "kms:grant", "kms:requestalias",
    "kms:resourcealiases", "kms:key", "kms:multiregion", "kms:origin", "kms:wrapping", "kms:expirationmodel",
    "kms:validto", "kms:encryptionalgorithm", "kms:signingalgorithm", "kms:macalgorithm", "kms:messagetype",
    "kms:keyagreementalgorithm", "kms:primaryregion", "kms:replicaregion", "kms:retiringprincipal",
    "kms:rotationperiodindays", "kms:schedulekeydeletionpendingwindowindays", "kms:datakeypairspec",
    "kms:bypasspolicylockoutsafetycheck", "kms:recipientattestation:", "kms:reencryptonsamekey", "kms:customer",
    "kms:trailingdayswithoutkeyusage", "aws:source", "aws:vpcsource", "aws:securetransport", "aws:currenttime",
    "aws:epochtime", "aws:requestedregion", "aws:multifactorauth", "aws:tokenissuetime", "aws:calledvia",
    "aws:viaawsservice", "aws:useragent", "aws:referer", "aws:resourcetag/", "aws:requesttag/", "aws:tagkeys",
    "aws:resourceaccount", "aws:resourceorg",
)  # fmt: skip
"""Keys about the request or the key, by their beginnings: they name nobody."""
_SOURCE_KEYS: Final = frozenset({"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"})
"""For whose resources a service acts."""

_EQUALS: Final = frozenset({"stringequals", "stringequalsignorecase", "arnequals"})
_LIKE: Final = frozenset({"stringlike", "arnlike", "arnequals"})
"""ArnEquals and ArnLike behave alike."""
_NOT: Final = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


class Says(Enum):
    """What a condition is about."""

    WHO = "who"
    WHO_UNREAD = "who-unread"
    HOW = "how"
    UNKNOWN = "unknown"


def says(condition: Condition) -> Says:
    """What a condition is about, by its key. Names of condition keys are case-insensitive."""
    key = condition.key.lower()
    if key in _ACCOUNT_KEYS or key == _ARN_KEY or key in _ORGANIZATION_KEYS:
        return Says.WHO
    if key.startswith(_WHO_UNREAD):
        return Says.WHO_UNREAD
    return Says.HOW if key.startswith(_HOW) else Says.UNKNOWN


@dataclass(frozen=True, slots=True)
class Named:
    """ARNs, or patterns of ARNs, that the principal must be one of."""

    values: tuple[str, ...]
    any_case: bool
    by_part: bool
    """Compared between colons: no wildcard reaches from one part of an ARN into the next."""


def arns(conditions: Iterable[Condition]) -> tuple[Named, ...]:
    """For each condition that says so, the ARNs that the principal must be one of."""
    return tuple(
        Named(c.values, c.operator.lower() == "stringequalsignorecase", c.operator.lower().startswith("arn"))
        for c in _about(conditions, frozenset({_ARN_KEY}), _EQUALS | _LIKE)
    )


def accounts(conditions: Iterable[Condition]) -> tuple[tuple[str, ...], ...]:
    """For each condition that says so, the accounts that the principal must be of."""
    return tuple(c.values for c in _about(conditions, _ACCOUNT_KEYS, _EQUALS | _LIKE))


def organizations(conditions: Iterable[Condition]) -> tuple[tuple[str, ...], ...]:
    """For each condition that says so, the organizations that the principal's account must be in."""
    plain = _EQUALS | _LIKE
    operators = plain | {f"foranyvalue:{name}" for name in plain}
    return tuple(c.values for c in _about(conditions, _ORGANIZATION_KEYS, operators))


def _about(conditions: Iterable[Condition], keys: frozenset[str], operators: frozenset[str]) -> list[Condition]:
    found = [c for c in conditions if c.key.lower() in keys and c.operator.lower() in operators]
    return sorted(found, key=lambda c: (c.key, c.operator, c.values))


def unresolved(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Keys that may say who, in a way that keycheck cannot resolve."""
    return tuple(c.key for c in conditions if says(c) in (Says.WHO_UNREAD, Says.UNKNOWN) or _odd(c))


def _odd(condition: Condition) -> bool:
    """Says who, under an operator that does not simply name: IfExists, ForAllValues, Null. Negations name nobody."""
    operator = condition.operator.lower()
    if says(condition) is not Says.WHO or operator in _NOT:
        return False
    if condition.key.lower() in _ORGANIZATION_KEYS:
        operator = operator.removeprefix("foranyvalue:")
    return operator not in _EQUALS | _LIKE


def holds_for(condition: Condition, arn: str | None, account: str | None) -> Literal["yes", "no", "unclear"]:
    """Whether a condition that says who is true of one named principal, whatever else its request holds.

    Conditions on how count as `no`: there are requests for which they are false.
    """
    match says(condition):
        case Says.HOW:
            return "no"
        case Says.WHO_UNREAD | Says.UNKNOWN:
            return "unclear"
        case Says.WHO:
            pass
    key, operator = condition.key.lower(), condition.operator.lower()
    negated = operator in _NOT
    operator = _NOT.get(operator, operator)
    if key in _ORGANIZATION_KEYS or operator not in _EQUALS | _LIKE:
        return "unclear"
    own = arn if key == _ARN_KEY else account
    if own is None or any("${" in value for value in condition.values):
        return "unclear"
    found = any(_equal(operator, value, own) for value in condition.values)
    return "yes" if found is not negated else "no"


def _equal(operator: str, value: str, own: str) -> bool:
    if operator.startswith("arn"):
        wanted, parts = value.split(":", 5), own.split(":", 5)
        return len(wanted) == len(parts) and all(matches(want, part) for want, part in zip(wanted, parts, strict=True))
    if operator == "stringlike":
        return matches(value, own)
    return value.lower() == own.lower() if operator.endswith("ignorecase") else value == own


def may_be(arn: str | None, account: str | None, conditions: Iterable[Condition]) -> bool:
    """Whether no condition that says who keeps this principal out."""
    return all(says(c) is not Says.WHO or holds_for(c, arn, account) != "no" for c in conditions)


def names_some(condition: Condition) -> bool:
    """Says that the principal is one of some, without a negation: others surely do not meet it."""
    return says(condition) is Says.WHO and condition.operator.lower() in _EQUALS | _LIKE


def for_services(conditions: Iterable[Condition]) -> Literal["yes", "unclear", "no"]:
    """Whether grants are limited to those that AWS services ask for on behalf of the principal.

    `unclear`: under IfExists, which also holds for requests without the key, and AWS does not say that all have it.
    """
    operators = {
        c.operator.lower()
        for c in conditions
        if c.key.lower() == "kms:grantisforawsresource" and [value.lower() for value in c.values] == ["true"]
    }
    return "yes" if "bool" in operators else "unclear" if "boolifexists" in operators else "no"


def bound_to_source(conditions: Iterable[Condition]) -> bool:
    """Whether a service may act only for resources, accounts or organizations that a condition names."""
    return any(
        c.key.lower() in _SOURCE_KEYS
        and c.operator.lower().removeprefix("foranyvalue:") in _EQUALS | _LIKE
        and not any(value.strip("*") == "" for value in c.values)
        for c in conditions
    )


def over(conditions: Iterable[Condition], looked: datetime) -> bool:
    """Whether conditions on the time of a request (`aws:CurrentTime`) can never hold again."""
    return any(
        c.key.lower() == "aws:currenttime"
        and c.operator.lower() in ("datelessthan", "datelessthanequals")
        and all((end := aware(value)) is not None and end < looked - SKEW for value in c.values)
        and bool(c.values)
        for c in conditions
    )
