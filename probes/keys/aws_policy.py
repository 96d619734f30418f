"""Who may do what by an AWS key policy: Allow minus Deny, as an upper bound of what is really allowed. Pure.

An Allow counts whatever its conditions on how, where and when: they narrow requests, not principals. A Deny takes away
only what it denies to a principal in every request; one whose conditions may or may not be about the principal leaves
what it denies `contested`, which is neither a breach nor a pass. What the IAM policies of an account allow, service
control policies, VPC endpoint policies and permissions boundaries is not read: they only matter where the key policy
delegates to an account, or take more away. Sources: KMS Developer Guide "Key policies in AWS KMS" and "Default key
policy"; IAM User Guide "Policy evaluation logic", "AWS JSON policy elements: Principal, NotPrincipal".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from probes.keys import aws_actions, aws_conditions
from probes.keys.aws_facts import AwsGrant, AwsPolicy, PrincipalPattern, Statement
from probes.keys.aws_who import Sort, Who, account_in, asked, is_everybody, narrowed, who_is
from probes.keys.principals import identity


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do by one statement or grant."""

    who: Who
    actions: frozenset[str]
    contested: frozenset[str]
    """Of the actions: those that a Deny may take away from this principal."""
    where: str
    """Policy and statement, or grant."""
    for_services: Literal["yes", "unclear", "no"] = "no"
    """Whether grants can only be made for AWS services that act on behalf of this principal."""
    bound_to_source: bool = False
    """A service may act only for resources, accounts or organizations that the statement names."""

    @property
    def sure(self) -> frozenset[str]:
        """The actions that no Deny touches."""
        return self.actions - self.contested


def accesses(
    policies: Sequence[AwsPolicy], key_arn: str, looked: datetime, grants: Sequence[AwsGrant] = ()
) -> tuple[Access, ...]:
    """All that is allowed, over the policies together and, where given, grants. A Deny of either policy counts against
    both, and against grants; an Allow that was over when it was `looked` at counts no more. Policies that could not be
    read give nothing: the caller must look for them. While the default policy is one of those, everything is contested
    (the other, of Resource Access Manager, only allows)."""
    statements = [(p.name, s) for p in policies if isinstance(p.statements, tuple) for s in p.statements]
    denials = [s for _, s in statements if s.effect == "Deny" and _about(s, key_arn) != "no"]
    allowed = [
        access
        for name, s in statements
        if s.effect == "Allow" and not aws_conditions.over(s.conditions, looked)
        for access in _allowed(name, s, key_arn)
    ]
    allowed += [_granted(grant) for grant in grants]
    left = [_minus(access, denials, key_arn) for access in allowed]
    if any(p.name == "default" and not isinstance(p.statements, tuple) for p in policies):
        left = [replace(access, contested=access.actions) for access in left]
    return tuple(access for access in left if access.actions)


def unheard(policies: Iterable[AwsPolicy], key_arn: str) -> frozenset[str]:
    """Actions that the policies allow and keycheck does not know."""
    return frozenset(
        action
        for policy in policies
        if isinstance(policy.statements, tuple)
        for statement in policy.statements
        if statement.effect == "Allow" and _about(statement, key_arn) != "no"
        for action in aws_actions.unheard(statement)
    )


def everybody_denied(statement: Statement, action: str, key_arn: str) -> bool:
    """Whether a Deny is about everybody, this key and this action; its conditions are the caller's."""
    return (
        statement.effect == "Deny"
        and _about(statement, key_arn) == "yes"
        and action in aws_actions.of(statement)
        and not statement.not_principals
        and any(is_everybody(principal) for principal in statement.principals)
    )


def _about(statement: Statement, key_arn: str) -> Literal["yes", "unclear", "no"]:
    """Whether a statement speaks of this key. In a key policy `*` is the key that it is attached to; what stands for a
    variable (`${…}`) is known with the request only."""
    patterns = statement.not_resources or statement.resources
    if not patterns:
        return "yes" if statement.effect == "Allow" else "no"  # not understood: an Allow may count, a Deny may not
    if any(aws_actions.matches(text, key_arn) for text in patterns):
        return "no" if statement.not_resources else "yes"
    if any("${" in text for text in patterns):
        return "unclear"
    return "yes" if statement.not_resources else "no"


def _allowed(policy: str, statement: Statement, key_arn: str) -> list[Access]:
    about = _about(statement, key_arn)
    actions = aws_actions.of(statement) if about != "no" else frozenset()
    for_services = aws_conditions.for_services(statement.conditions)
    if for_services == "yes":
        actions &= aws_actions.FOR_AWS_RESOURCES  # in other requests the condition key is missing
    bound = aws_conditions.bound_to_source(statement.conditions)
    where = f"policy {policy}, statement {statement.sid}" if statement.sid else f"policy {policy}"
    # An Allow with NotPrincipal is for everybody but those.
    everybody = PrincipalPattern(type="*", value="*")
    principals = (everybody,) if statement.not_principals else statement.principals
    own = account_in(key_arn)
    meant = [narrowed(who_is(principal), statement.conditions, own) for principal in principals]
    found = {(who, sure and about == "yes") for people, sure in meant for who in people}
    if not principals:
        found = {(Who("a principal that could not be read", Sort.UNCLEAR), False)}
    return [
        Access(who, actions, frozenset() if sure else actions, where, for_services, bound)
        for who, sure in sorted(found, key=lambda each: (each[0].value, each[0].sort.value, each[1]))
    ]


def _granted(grant: AwsGrant) -> Access:
    who = who_is(PrincipalPattern(type="AWS", value=grant.grantee))
    # A grant to an account's root is one to the account.
    return Access(who, aws_actions.matched(f"kms:{op}" for op in grant.operations), frozenset(), f"grant {grant.id}")


def _minus(access: Access, denials: Sequence[Statement], key_arn: str) -> Access:
    gone: set[str] = set()
    doubtful = set(access.contested)
    for statement in denials:
        match _denies(statement, access.who), _about(statement, key_arn):
            case "yes", "yes":
                gone |= aws_actions.of(statement)
            case "yes" | "unclear", _:
                doubtful |= aws_actions.of(statement)
            case _:
                pass
    left = access.actions - gone
    return replace(access, actions=left, contested=left & doubtful)


def _denies(statement: Statement, who: Who) -> str:
    """Whether a Deny hits every request of somebody: `yes`, `no` (there are requests that it lets by), `unclear`."""
    about = _denies_whom(statement, who)
    if about == "no":
        return "no"
    truths = [about]
    for condition in statement.conditions:
        if who.sort in (Sort.ACCOUNT, Sort.WHOLE_ACCOUNT, Sort.MATCHING) or who.account:
            truths.append(aws_conditions.holds_for(condition, *asked(who)))
        elif aws_conditions.names_some(condition):
            truths.append("no" if who.sort is Sort.EVERYBODY else "unclear")  # of everybody, the others stay
        else:
            truths.append(aws_conditions.holds_for(condition, None, None))
    return "no" if "no" in truths else "unclear" if "unclear" in truths else "yes"


def _denies_whom(statement: Statement, who: Who) -> str:
    if statement.not_principals:
        # Denies everybody but these. Whoever is one of them, or may be, is not surely denied.
        named = [who_is(principal) for principal in statement.not_principals]
        if who.sort is not Sort.NAMED or any(n.account is not None and n.account == who.account for n in named):
            return "unclear"
        return "no" if any(n.sort is Sort.EVERYBODY or n == who for n in named) else "yes"
    for principal in statement.principals:
        denied = who_is(principal)
        if denied.sort is Sort.EVERYBODY:
            return "yes"
        if denied.sort is Sort.ACCOUNT and denied.account == who.account:
            return "yes"
        if denied.sort is Sort.NAMED and who.sort in (Sort.NAMED, Sort.MATCHING) and _same(denied.value, who.value):
            return "yes"
    return "no"


def _same(denied: str, who: str) -> bool:
    """A Deny for a role hits its sessions; one for a session hits no other session, so not surely the role."""
    if ":assumed-role/" in denied:
        return denied == who
    return identity(denied) == identity(who)
