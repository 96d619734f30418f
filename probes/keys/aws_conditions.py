"""Conditions of key policies, as far as they say who: principals, accounts, organizations. Pure.

A condition that says who narrows a statement for everybody to those; every other one only limits how, where or when,
and leaves everybody in. Sources: IAM User Guide "Global condition context keys" and "Condition operators"; KMS
Developer Guide "Condition keys for AWS KMS".
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, Literal

from probes.keys.aws_actions import matches
from probes.keys.aws_facts import Condition

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


def arns(conditions: Iterable[Condition]) -> tuple[str, ...] | None:
    """The ARNs, or patterns of ARNs, that the principal must be one of; None: no condition says so."""
    return _values(conditions, frozenset({_ARN_KEY}), _EQUALS | _LIKE)


def accounts(conditions: Iterable[Condition]) -> tuple[str, ...] | None:
    """The accounts that the principal must be of; None: no condition says so."""
    return _values(conditions, _ACCOUNT_KEYS, _EQUALS | _LIKE)


def organizations(conditions: Iterable[Condition]) -> tuple[str, ...] | None:
    """The organizations that the principal's account must be in; None: no condition says so."""
    plain = _EQUALS | _LIKE
    return _values(conditions, _ORGANIZATION_KEYS, plain | {f"foranyvalue:{name}" for name in plain})


def _values(conditions: Iterable[Condition], keys: frozenset[str], operators: frozenset[str]) -> tuple[str, ...] | None:
    for condition in sorted(conditions, key=lambda c: (c.key, c.operator, c.values)):
        if condition.key.lower() in keys and condition.operator.lower() in operators:
            return condition.values
    return None


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


def names_some(condition: Condition) -> bool:
    """Says that the principal is one of some, without a negation: others surely do not meet it."""
    return says(condition) is Says.WHO and condition.operator.lower() in _EQUALS | _LIKE


def only_for_aws_resources(conditions: Iterable[Condition]) -> Literal["all", "grants", "no"]:
    """Whether grants are limited to AWS services acting on behalf of the principal.

    `all`: the whole statement is, because the key stands only in requests about grants; `grants`: under IfExists.
    """
    for condition in conditions:
        if condition.key.lower() == "kms:grantisforawsresource" and [v.lower() for v in condition.values] == ["true"]:
            if condition.operator.lower() == "bool":
                return "all"
            if condition.operator.lower() == "boolifexists":
                return "grants"
    return "no"
