"""Whether a call is allowed: key policies, identity policies, grants and organization policies together.

What is modelled is the evaluation that AWS documents for KMS keys: everything is denied by default, an explicit Deny
in any policy wins, organization policies only limit, the key policy is needed, and identity policies count only where
the key policy delegates to the account or the caller belongs to another account. Permissions boundaries, session
policies, resource control policies and VPC endpoint policies are not modelled.

Sources: IAM User Guide, "Policy evaluation logic" and "Cross-account policy evaluation logic"; KMS Developer Guide,
"Key policies in AWS KMS", "Allowing users in other accounts to use a KMS key", "Grants in AWS KMS".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from keycheck.lab.aws.conditions import RequestContext, Truth, context_of, holds, matches, substitute, values_of
from keycheck.lab.aws.policy_documents import PolicyError, check_document
from keycheck.lab.aws.seams import Access, Caller, Decision, Document, GrantView, Json

__all__ = ["FULL_ACCESS", "PolicyError", "check_document", "decide", "decide_identity", "locks_out"]

FULL_ACCESS: Final[Document] = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "FullAWSAccess", "Effect": "Allow", "Action": "*", "Resource": "*"}],
}
"""The organization policy that AWS attaches everywhere: without an Allow an organization policy list denies all."""

ACROSS_ACCOUNTS: Final = frozenset(
    f"kms:{name}".lower()
    for name in (
        "CreateGrant",
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "DescribeKey",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "ListGrants",
        "ReEncryptFrom",
        "ReEncryptTo",
        "RetireGrant",
        "RevokeGrant",
        "Sign",
        "Verify",
        "VerifyMac",
    )
) | {"sts:assumerole"}
"""Actions whose API page says "Cross-account use: Yes"; for all others a foreign principal has no effect."""

WITH_CONTEXT: Final = frozenset(
    f"kms:{name}"
    for name in (
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    )
)
"""Operations to which encryption-context constraints of a grant apply (API page of GrantConstraints)."""


class Match(Enum):
    """How a Principal element meets the caller."""

    NONE = "none"
    ACCOUNT = "account"
    """Names the caller's account, which delegates to the identity policies of that account."""
    DIRECT = "direct"


def decide(
    access: Access,
    *,
    key_policies: Sequence[Document],
    grants: Sequence[GrantView],
    organization: Sequence[Document] = (),
) -> Decision:
    """Whether `access` to a KMS key is allowed, with the sentence for AccessDeniedException where not.

    `key_policies` are all policies of the key (`default` and `AWS_RAM`); they count as one. `organization` are the
    service control policies in force for the caller's account, as one level: when there are any, one must allow.
    Pure: no clock, no state; the order of statements and policies never matters.
    """
    context = context_of(access)
    refused = _denied(access, context, key_policies, organization)
    if refused is not None:
        return refused
    caller = access.caller
    same = caller.account == access.account
    if not same and access.action.lower() not in ACROSS_ACCOUNTS:
        return _no(access, _VAGUE)
    matched = {match for policy in key_policies for match in _allows(policy, access, context, resource_policy=True)}
    granted = {match for grant in grants if (match := _grants(grant, access, context)) is not Match.NONE}
    offered = matched | granted
    if not offered:
        return _no(access, _VAGUE)
    if same and Match.DIRECT in offered:
        return Decision(True, "a grant allows it" if Match.DIRECT in granted else "the key policy allows it")
    if caller.arn.endswith(":root") or _identity_allows(access, context):
        return Decision(True, "the key policy and the caller's identity policies allow it")
    return _no(access, f"because no identity-based policy allows the {access.action} action", named=True)


def decide_identity(access: Access, *, organization: Sequence[Document] = ()) -> Decision:
    """Whether an action without a resource policy is allowed (kms:CreateKey, kms:ListKeys, cloudtrail:LookupEvents):
    the identity policies of the caller must allow it and nothing may deny it. The root of an account may do all."""
    context = context_of(access)
    refused = _denied(access, context, (), organization)
    if refused is not None:
        return refused
    if access.caller.arn.endswith(":root") or _identity_allows(access, context):
        return Decision(True, "the caller's identity policies allow it")
    return _no(access, f"because no identity-based policy allows the {access.action} action", named=True)


def locks_out(document: Document, account: str, caller: Caller, *, now: datetime | None = None) -> bool:
    """Whether `caller` could not put a key policy again under `document`: what PutKeyPolicy and CreateKey refuse
    unless BypassPolicyLockoutSafetyCheck is set.

    Assumed: the check looks at the key policy alone, and a delegation to the caller's account is enough.
    """
    access = Access(
        caller=caller,
        action="kms:PutKeyPolicy",
        resource=f"arn:aws:kms:us-east-1:{account}:key/*",
        account=account,
        region="us-east-1",
        now=now or datetime(2000, 1, 1, tzinfo=UTC),
    )
    context = context_of(access)
    if caller.account != account or _denies(document, access, context, resource_policy=True):
        return True
    return not _allows(document, access, context, resource_policy=True)


_VAGUE: Final = (
    "because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)


def _no(access: Access, reason: str, named: bool = False) -> Decision:
    where = f"on resource: {access.resource}" if named and access.resource not in ("", "*") else ""
    where = where if named else "on this resource"
    sentence = f"User: {access.caller.arn} is not authorized to perform: {access.action} {where} {reason}"
    return Decision(False, " ".join(sentence.split()))


def _denied(
    access: Access, context: RequestContext, key_policies: Sequence[Document], organization: Sequence[Document]
) -> Decision | None:
    """The refusal by an explicit Deny, or by an organization that does not allow."""
    if any(_denies(policy, access, context) for policy in organization):
        return _no(access, "with an explicit deny in a service control policy", named=True)
    if any(_denies(policy, access, context) for policy in access.caller.policies):
        return _no(access, "with an explicit deny in an identity-based policy", named=True)
    if any(_denies(policy, access, context, resource_policy=True) for policy in key_policies):
        if access.caller.account != access.account:
            return _no(access, _VAGUE)
        return _no(access, "with an explicit deny in a resource-based policy", named=True)
    if organization and not any(_allows(policy, access, context) for policy in organization):
        return _no(access, f"because no service control policy allows the {access.action} action", named=True)
    return None


def _identity_allows(access: Access, context: RequestContext) -> bool:
    return any(_allows(policy, access, context) for policy in access.caller.policies)


def _statements(document: Document) -> tuple[Mapping[str, Json], ...]:
    listed = document.get("Statement")
    items: Sequence[Json] = (
        (listed,) if isinstance(listed, Mapping) else listed if isinstance(listed, list | tuple) else ()
    )
    return tuple(item for item in items if isinstance(item, Mapping))


def _allows(
    document: Document, access: Access, context: RequestContext, resource_policy: bool = False
) -> frozenset[Match]:
    """How the Allow statements that match meet the caller; an unknown condition does not match."""
    found = set()
    for statement in _statements(document):
        if statement.get("Effect") != "Allow" or "NotPrincipal" in statement:
            continue  # AWS supports NotPrincipal with Deny only.
        match = _principal(statement.get("Principal"), access.caller) if resource_policy else Match.DIRECT
        if match is not Match.NONE and _applies(statement, document, access, context) is True:
            found.add(match)
    return frozenset(found)


def _denies(document: Document, access: Access, context: RequestContext, resource_policy: bool = False) -> bool:
    """Whether a Deny statement matches; an unknown condition does."""
    for statement in _statements(document):
        if statement.get("Effect") != "Deny":
            continue
        if resource_policy and not _deny_names(statement, access.caller):
            continue
        if _applies(statement, document, access, context) is not False:
            return True
    return False


def _applies(statement: Mapping[str, Json], document: Document, access: Access, context: RequestContext) -> Truth:
    """Action, resource and condition of a statement, without its principal."""
    variables = document.get("Version") == "2012-10-17"
    action = access.action.lower()
    if "Action" in statement:
        if not any(matches(item.lower(), action) for item in values_of(statement["Action"])):
            return False
    elif any(matches(item.lower(), action) for item in values_of(statement.get("NotAction", "*"))):
        return False
    if "Resource" in statement:
        wanted = [substitute(item, context, variables) for item in values_of(statement["Resource"])]
        if not any(matches(item, access.resource) for item in wanted):
            return False
    elif "NotResource" in statement:
        spared = [substitute(item, context, variables) for item in values_of(statement["NotResource"])]
        if any(matches(item, access.resource) for item in spared):
            return False
    return holds(statement.get("Condition"), context, variables)


def _named(element: Json) -> dict[str, tuple[str, ...]]:
    """A Principal element by type; a bare `*` means everyone."""
    if isinstance(element, Mapping):
        return {kind: values_of(value) for kind, value in element.items()}
    return {"AWS": ("*",)} if element == "*" else {}


def _account_of(name: str) -> str | None:
    """The account that a principal stands for: twelve digits, or the root ARN."""
    if len(name) == 12 and name.isdigit():
        return name
    parts = name.split(":")
    return parts[4] if len(parts) == 6 and parts[2] == "iam" and parts[5] == "root" else None


def _principal(element: Json, caller: Caller) -> Match:
    """How `element` meets `caller`. A role ARN covers its sessions. An account covers its root user directly and
    everyone else by delegation."""
    best = Match.NONE
    for kind, names in _named(element).items():
        for name in names:
            if name in (caller.arn, caller.principal) or (name == "*" and kind == "AWS"):
                return Match.DIRECT
            if kind == "AWS" and _account_of(name) == caller.account:
                best = Match.DIRECT if caller.arn.endswith(":root") else Match.ACCOUNT
    return best


def _deny_names(statement: Mapping[str, Json], caller: Caller) -> bool:
    if "NotPrincipal" not in statement:
        return _principal(statement.get("Principal"), caller) is not Match.NONE
    spared = {name for names in _named(statement["NotPrincipal"]).values() for name in names}
    if "*" in spared:
        return False
    # The account and the role are judged before the session, so every one of them has to be spared.
    account = any(_account_of(name) == caller.account for name in spared)
    service = not caller.arn.startswith("arn:")
    return not ({caller.arn, caller.principal} <= spared and (account or service))


def _grants(grant: GrantView, access: Access, context: RequestContext) -> Match:
    """How a grant allows `access`. Names in its context constraints are case-insensitive, values are not."""
    operation = access.action.removeprefix("kms:")
    match = _principal({"AWS": grant.grantee}, access.caller)
    if match is Match.NONE or operation not in grant.operations:
        return Match.NONE
    if operation == "CreateGrant" and not set(context.get("kms:GrantOperations")) <= grant.operations:
        return Match.NONE  # A grant can pass on only what it holds.
    if access.action in WITH_CONTEXT:
        given = {name.lower(): value for name, value in access.encryption_context.items()}
        for constraint, exact in ((grant.context_equals, True), (grant.context_subset, False)):
            if constraint is None:
                continue
            wanted = {name.lower(): value for name, value in constraint.items()}
            if not wanted.items() <= given.items() or (exact and len(access.encryption_context) != len(constraint)):
                return Match.NONE
    return match
