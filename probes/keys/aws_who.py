"""Whom a statement of a key policy is for, by its principals and the conditions that say who. Pure.

Sources: IAM User Guide "AWS JSON policy elements: Principal", "Global condition context keys".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from probes.keys import aws_actions, aws_conditions
from probes.keys.aws_facts import Condition, PrincipalPattern
from probes.keys.principals import account_of, identity


class Sort(Enum):
    """What kind of somebody may act, from the widest to the narrowest."""

    EVERYBODY = "everybody"
    UNCLEAR = "unclear"
    """Everybody, under a condition that keycheck cannot resolve to principals."""
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    """An account's root as principal: whoever the account's own IAM allows."""
    WHOLE_ACCOUNT = "whole-account"
    """Everybody in an account, with no need for a word of its IAM."""
    MATCHING = "matching"
    """Principals whose ARN matches a pattern."""
    NAMED = "named"
    """A role, a user, a session, a service, a federated identity."""


@dataclass(frozen=True, slots=True, order=True)
class Who:
    """Somebody that a policy or a grant speaks of."""

    value: str
    sort: Sort

    @property
    def account(self) -> str | None:
        """The account that it belongs to, where it names one."""
        return account_of(self.value)

    def __str__(self) -> str:
        match self.sort:
            case Sort.EVERYBODY:
                return "everybody"
            case Sort.UNCLEAR:
                return f"whoever meets {self.value}"
            case Sort.ORGANIZATION:
                return f"everybody in organization {self.value}"
            case Sort.WHOLE_ACCOUNT:
                return f"everybody in account {self.account}"
            case Sort.ACCOUNT:
                return f"account {self.account}"
            case Sort.MATCHING:
                return f"every principal that matches {self.value}"
            case Sort.NAMED:
                return self.value


def is_everybody(principal: PrincipalPattern) -> bool:
    """Whether a principal is `*`: no account, no service."""
    return principal.value == "*" and principal.type in ("*", "AWS")


def who_is(principal: PrincipalPattern) -> Who:
    """Whom a principal stands for, by itself."""
    if is_everybody(principal):
        return Who("*", Sort.EVERYBODY)
    if principal.type == "AWS" and identity(principal.value).endswith(":root"):
        return Who(_root(principal.value), Sort.ACCOUNT)
    return Who(principal.value, Sort.NAMED)


def _root(principal: str) -> str:
    """An account's root as an ARN. The partition says nothing more: it is the key's."""
    return principal if principal.startswith("arn:") else f"arn:aws:iam::{principal}:root"


_WIDTHS: Final = tuple(Sort)[::-1]


def narrowed(who: Who, conditions: Sequence[Condition], own: str | None) -> tuple[list[Who], bool]:
    """Whom a statement for everybody, or for an account, is really for, and whether it is for all of those. All
    conditions must hold, so each alone bounds who is meant, and the narrowest bound counts; of a wide one the others
    may leave fewer. `own`: the key's account."""
    if who.sort not in (Sort.EVERYBODY, Sort.ACCOUNT) or (who.account is not None and who.account == own):
        return [who], True  # its own account's IAM says who, whatever conditions take away from that
    bounds = [[who], *_named(conditions)]
    if who.sort is Sort.ACCOUNT:
        inside = [[n for n in bound if n.account in (who.account, None)] for bound in bounds]
        bounds = [[n if n.account else who for n in bound] for bound in inside]
    else:
        bounds += [*map(_of_accounts, aws_conditions.accounts(conditions))]
        bounds += [*map(_of_organizations, aws_conditions.organizations(conditions))]
        if unresolved := aws_conditions.unresolved(conditions):
            bounds.append([Who(" and ".join(sorted(set(unresolved))), Sort.UNCLEAR)])
    narrowest = min(bounds, key=lambda bound: max((_WIDTHS.index(n.sort) for n in bound), default=-1))
    return narrowest, len(bounds) <= 2 or all(n.sort is Sort.NAMED for n in narrowest)


def _of_accounts(values: Sequence[str]) -> list[Who]:
    return [
        Who(_root(value), Sort.WHOLE_ACCOUNT) if account_of(value) else Who("*", Sort.EVERYBODY) for value in values
    ]


def _of_organizations(values: Sequence[str]) -> list[Who]:
    return [
        Who("*", Sort.EVERYBODY) if value.startswith(("*", "o-*", "?")) else Who(value, Sort.ORGANIZATION)
        for value in values
    ]


def _named(conditions: Sequence[Condition]) -> list[list[Who]]:
    """For each condition on the principal's ARN, those of its principals that no other condition keeps out."""
    sets = [set(values) for values in aws_conditions.accounts(conditions) if all(map(account_of, values))]
    accounts = set.intersection(*sets) if sets else None
    return [
        [
            who
            for value in named.values
            for arn in (_in_accounts(value, accounts) if named.by_part and accounts is not None else (value,))
            if aws_conditions.may_be(*asked(who := _of_arn(arn, named.any_case)), conditions)
        ]
        for named in aws_conditions.arns(conditions)
    ]


def _in_accounts(arn: str, accounts: Iterable[str]) -> list[str]:
    """A pattern for principals of any account, spelled for each of these."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or account_of(parts[4]) or "$" in arn:
        return [arn]
    return [":".join((*parts[:4], each, parts[5])) for each in accounts if aws_actions.matches(parts[4], each)]


def account_in(arn: str) -> str | None:
    """The account of an ARN of any service; None: it names none, or a pattern of them."""
    parts = arn.split(":", 5)
    return account_of(parts[4]) if len(parts) == 6 else None


def _of_arn(arn: str, any_case: bool) -> Who:
    if not {"*", "?", "$"} & set(arn):
        if identity(arn).endswith(":root"):
            return Who(arn, Sort.ACCOUNT)
        # Without regard to case it is a pattern: how the one that it matches is spelled is not known.
        return Who(arn, Sort.MATCHING if any_case else Sort.NAMED)
    return Who(arn, Sort.MATCHING) if account_in(arn) else Who("*", Sort.EVERYBODY)  # any account's


def asked(who: Who) -> tuple[str | None, str | None]:
    """The ARN and the account of somebody, as far as conditions can be held against them."""
    # A session's own principal ARN is its role's, whose path the session does not show.
    named = who.sort is Sort.NAMED and account_of(who.value) and ":assumed-role/" not in who.value
    return who.value if named else None, who.account
