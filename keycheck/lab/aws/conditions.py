"""The condition block of a policy statement: operators, set operators, condition keys and policy variables.

The answer has three values. `True` and `False` are what AWS documents; `None` means that the lab does not model the
operator or the key, so nobody may rely on the outcome. policy.py resolves `None` against the caller: an Allow with an
unknown condition does not match and a Deny with one does, because a fake that is more generous than AWS would let a
test pass that fails in the customer's account.

Sources: IAM User Guide, "Condition operators", "Set operators for multi-valued context keys", "Variables and tags",
"Global condition context keys"; KMS Developer Guide, "KMS condition keys".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from keycheck.lab.aws.seams import Access, Json

Truth: TypeAlias = "bool | None"

MODELLED: Final = frozenset(
    name.lower()
    for name in (
        "aws:CalledVia",
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID",
        "aws:PrincipalType",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIp",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "aws:TagKeys",
        "aws:username",
        "aws:ViaAWSService",
        "kms:BypassPolicyLockoutSafetyCheck",
        "kms:CallerAccount",
        "kms:EncryptionContextKeys",
        "kms:GrantIsForAWSResource",
        "kms:GrantOperations",
        "kms:GranteePrincipal",
        "kms:KeyOrigin",
        "kms:KeySpec",
        "kms:RequestAlias",
        "kms:ResourceAliases",
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "kms:ViaService",
    )
)
"""Keys whose absence from a request means something here; any other absent key is unknown."""

MODELLED_PREFIXES: Final = ("kms:encryptioncontext:", "aws:principaltag/", "aws:resourcetag/", "aws:requesttag/")
NEVER: Final = "\ue002"
"""Stands for a policy variable without a value: occurs in no request, so it matches nothing."""
_LITERAL: Final = str.maketrans({"*": "\ue000", "?": "\ue001"})
_VARIABLE: Final = re.compile(r"\$\{([^{}]{1,300})\}")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The condition keys of one request, names in lower case (key names are case-insensitive in AWS)."""

    values: Mapping[str, tuple[str, ...]]

    def get(self, key: str) -> tuple[str, ...]:
        """The values; none where the key is absent."""
        return self.values.get(key.lower(), ())

    def knows(self, key: str) -> bool:
        """Whether absence can be told from not being modelled."""
        name = key.lower()
        return name in self.values or name in MODELLED or name.startswith(MODELLED_PREFIXES)


def context_of(access: Access) -> RequestContext:
    """All condition keys of `access`: what the lab derives, then what the service adds in `access.conditions`."""
    caller = access.caller
    now = access.now.astimezone(UTC)
    values: dict[str, tuple[str, ...]] = {
        "aws:currenttime": (now.isoformat(),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:principalaccount": (caller.account,),
        "aws:principalarn": (caller.principal,),
        "aws:principalisawsservice": ("false",),
        "aws:principaltype": (_principal_type(caller.arn),),
        "aws:requestedregion": (access.region,),
        "aws:resourceaccount": (access.account,),
        "aws:securetransport": ("true",),
        "aws:viaawsservice": ("true" if caller.via else "false",),
        "kms:calleraccount": (caller.account,),
    }
    if caller.via:
        values["kms:viaservice"] = (caller.via,)
        values["aws:calledvia"] = (f"{caller.via.split('.')[0]}.amazonaws.com",)
    else:
        # A call on someone's behalf comes from the service's own network, so the key is left out there.
        values["aws:sourceip"] = (caller.source,)
    if ":user/" in caller.arn:
        values["aws:username"] = (caller.arn.rpartition("/")[2],)
    for name, value in access.encryption_context.items():
        key = f"kms:encryptioncontext:{name.lower()}"
        values[key] = (*values.get(key, ()), value)
    if access.encryption_context:
        values["kms:encryptioncontextkeys"] = tuple(access.encryption_context)
    for name, given in access.conditions.items():
        values[name.lower()] = tuple(given)
    return RequestContext(values)


def _principal_type(arn: str) -> str:
    if ":assumed-role/" in arn:
        return "AssumedRole"
    return "Account" if arn.endswith(":root") else "User"


def glob(pattern: str, text: str) -> bool:
    """`*` and `?` matching without backtracking blow-up: hostile patterns cost at most `len(pattern) * len(text)`."""
    if pattern == "*":
        return True
    i = j = 0
    star = mark = -1
    while j < len(text):
        if i < len(pattern) and pattern[i] == "*":
            star, mark = i, j
            i += 1
        elif i < len(pattern) and pattern[i] in ("?", text[j]):
            i += 1
            j += 1
        elif star >= 0:
            mark += 1
            i, j = star + 1, mark
        else:
            return False
    return all(char == "*" for char in pattern[i:])


def matches(pattern: str, text: str) -> bool:
    """`glob` on a substituted pattern, against text in which `*` and `?` are ordinary characters."""
    return glob(pattern, text.translate(_LITERAL))


def substitute(text: str, context: RequestContext, variables: bool = True) -> str:
    """`text` with policy variables replaced; wildcards out of a variable are literal. `${key, 'default'}` works."""
    if not variables or "${" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        name, _, default = found.group(1).partition(",")
        name = name.strip()
        if name in ("*", "?", "$"):
            return name.translate(_LITERAL)
        values = context.get(name)
        if len(values) == 1:
            return values[0].translate(_LITERAL)
        quoted = re.fullmatch(r"\s*'([^']*)'\s*", default)
        return quoted.group(1).translate(_LITERAL) if quoted else NEVER

    return _VARIABLE.sub(value, text)


def _equal(policy: str, request: str) -> bool:
    return policy.translate(_LITERAL) == request.translate(_LITERAL)


def _equal_ignoring_case(policy: str, request: str) -> bool:
    return _equal(policy.lower(), request.lower())


def _arn(policy: str, request: str) -> bool:
    pattern, value = policy.split(":", 5), request.split(":", 5)
    return len(pattern) == len(value) == 6 and all(map(matches, pattern, value))


def _bool(policy: str, request: str) -> bool:
    return policy.lower() == request.lower() and policy.lower() in ("true", "false")


def _address(policy: str, request: str) -> bool:
    try:
        return ipaddress.ip_address(request) in ipaddress.ip_network(policy, strict=False)
    except ValueError:
        return False


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def instant_of(text: str) -> datetime | None:
    """A date of a policy: ISO 8601 (a date alone means midnight; no zone means UTC) or seconds since 1970."""
    try:
        if re.fullmatch(r"\d{1,12}", text) and len(text) != 4:
            return datetime.fromtimestamp(int(text), UTC)
        if re.fullmatch(r"\d{4}(-\d\d)?", text):
            text = f"{text}{'-01' * (2 - text.count('-'))}"
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _compare(order: str) -> Callable[[int], bool]:
    return {
        "Equals": lambda sign: sign == 0,
        "LessThan": lambda sign: sign < 0,
        "LessThanEquals": lambda sign: sign <= 0,
        "GreaterThan": lambda sign: sign > 0,
        "GreaterThanEquals": lambda sign: sign >= 0,
    }[order]


def _numeric(order: str) -> Callable[[str, str], bool]:
    accepts = _compare(order)

    def test(policy: str, request: str) -> bool:
        left, right = _number(request), _number(policy)
        return left is not None and right is not None and accepts((left > right) - (left < right))

    return test


def _date(order: str) -> Callable[[str, str], bool]:
    accepts = _compare(order)

    def test(policy: str, request: str) -> bool:
        left, right = instant_of(request), instant_of(policy)
        return left is not None and right is not None and accepts((left > right) - (left < right))

    return test


_ORDERS: Final = ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
_TESTS: Final[Mapping[str, tuple[Callable[[str, str], bool], bool]]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, True),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Bool": (_bool, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    **{f"Numeric{order}": (_numeric(order), False) for order in _ORDERS},
    "NumericNotEquals": (_numeric("Equals"), True),
    **{f"Date{order}": (_date(order), False) for order in _ORDERS},
    "DateNotEquals": (_date("Equals"), True),
}
_LITERAL_OPERATORS: Final = ("String", "Arn")
"""Policy variables stand in strings and ARNs only."""


def values_of(value: Json) -> tuple[str, ...]:
    """One value or a list, as text; JSON booleans and numbers are written as AWS normalises them."""
    items: Iterable[Json] = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def _test(operator: str, key: str, wanted: tuple[str, ...], context: RequestContext) -> Truth:
    """One operator with one key: the values of a key are alternatives, and negation applies to all of them."""
    quantifier, _, bare = operator.rpartition(":")
    if_exists = bare.endswith("IfExists")
    name = bare.removesuffix("IfExists")
    if not context.knows(key) or quantifier not in ("", "ForAnyValue", "ForAllValues"):
        return None
    given = context.get(key)
    if name == "Null":
        return None if quantifier or if_exists else any(_bool(item, str(not given)) for item in wanted)
    if name not in _TESTS:
        return None
    test, negated = _TESTS[name]
    if not given:
        # An absent key fails a positive test and passes a negated one; ForAnyValue needs a value to point at.
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue")
    results = [any(test(item, value) for item in wanted) is not negated for value in given]
    if quantifier == "ForAllValues" or (not quantifier and negated):
        return all(results)
    return any(results)


def holds(block: Json, context: RequestContext, variables: bool = True) -> Truth:
    """Whether the whole block holds: all operators and all keys. A known `False` outweighs an unknown."""
    if block is None:
        return True
    if not isinstance(block, Mapping):
        return None
    outcome: Truth = True
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            outcome = None
            continue
        for key, value in keys.items():
            wanted = values_of(value)
            if operator.rpartition(":")[2].startswith(_LITERAL_OPERATORS):
                wanted = tuple(substitute(item, context, variables) for item in wanted)
            truth = _test(operator, key, wanted, context)
            if truth is False:
                return False
            if truth is None:
                outcome = None
    return outcome
