"""Controls over who may do what with a key: policies and bindings, grants, separation of duties. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, assert_never

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason, Verdict
from probes.keys import aws_actions, aws_policy, gcp_roles
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsGrant, AwsKey, AwsPolicy
from probes.keys.aws_policy import Access
from probes.keys.aws_who import Sort, Who
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpHierarchy, GcpKey
from probes.keys.judgement import Judgement
from probes.keys.key_control import KeyControl, shown, undeclared, unread
from probes.keys.powers import MANAGES, Power, Standing, forbidden
from probes.keys.principals import (
    aws_standings,
    gcp_standings,
    identity,
    nobody_declared,
)
from probes.keys.subjects import Agreed

AccountIam: TypeAlias = Annotated[Literal["unread", "trusted"], Tighter("order", ("trusted", "unread"))]
"""`trusted`: what the IAM policies of the customer's own account allow, to which a key policy may delegate, is the
customer's affair; keycheck does not read it, and says so."""


class Policy(KeyControl, id="keys.policy", version=1):
    """Nobody unknown may do anything with the key; the vendor may use it and nothing else; administrators cannot."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.POLICIES})
    proves = (
        "Everybody whom a key policy allows anything (both of AWS: `default`, and `AWS_RAM`, which shares the key), or "
        "whom a binding on the key, its ring, project, folders or organization gives a role with power over it, is "
        "named in the deployment, and allowed no more than that name may be: the vendor and users use; administrators "
        "manage and do not use; readers read. The vendor may make grants only for AWS services "
        "(kms:GrantIsForAWSResource)."
    )
    does_not_prove = (
        "What the IAM policies of an account allow where the key policy delegates to its root, who can pass for a "
        "named principal, who is in a named group, or what was allowed yesterday. A role is known by its name: where "
        "one session of it is declared, the whole role counts as declared. For whom a declared AWS service acts is "
        "not read. Google's predefined roles are taken as Google lists them; entitlements of Privileged Access "
        "Manager, by which somebody may get a role for a while, are not read."
    )
    example = "{control: keys.policy@1, for: keys, with: {account_iam: trusted}}"
    sources = (
        "AWS KMS Developer Guide: Key policies in AWS KMS, Default key policy, Condition keys",
        "IAM User Guide: Policy evaluation logic; Principal, NotPrincipal",
        "Service Authorization Reference: AWS Key Management Service",
        "Cloud KMS: Permissions and roles; IAM: Cloud Key Management Service roles and permissions",
    )

    account_iam: AccountIam = "unread"

    def judge(self, facts: KeyFacts) -> Verdict:
        """Every statement and binding by itself; keys.separation takes them together."""
        found = Judgement()
        match facts.key:
            case AwsKey() as key:
                self._aws(key, facts.agreed, facts.looked, found)
            case GcpKey() as key:
                _gcp_policy(key, facts.agreed, facts.looked, found)
            case _:
                assert_never(facts.key)
        return found.verdict("only declared principals are named, each with what it may")

    def _aws(self, key: AwsKey, agreed: Agreed, looked: datetime, found: Judgement) -> None:
        policies = _policies(key, found)
        if action := shown(aws_policy.unheard(policies, key.arn)):
            found.doubt(f"allows {action}, which keycheck does not know", Reason.UNSUPPORTED)
        for access in aws_policy.accesses(policies, key.arn, looked):
            _aws_access(access, key, agreed, self.account_iam, found)


def _policies(key: AwsKey, found: Judgement) -> tuple[AwsPolicy, ...]:
    if isinstance(key.policies, Unseen):
        found.doubts.append(unread("the key policies", key.policies))
        return ()
    for policy in key.policies:
        if isinstance(policy.statements, Unseen):
            found.doubts.append(unread(f"key policy {policy.name}", policy.statements))
    if not any(policy.name == "default" for policy in key.policies):
        found.doubt("AWS names no default key policy, which every key has", Reason.MALFORMED)
    return key.policies


def _may(actions: Iterable[str]) -> str:
    return f"may {shown(f'kms:{action}' for action in actions)}"


def _aws_access(access: Access, key: AwsKey, agreed: Agreed, account_iam: str, found: Judgement) -> None:
    who = access.who
    match who.sort:
        case Sort.EVERYBODY:
            found.breach(f"everybody {_may(access.actions)} ({access.where})", bool(access.sure))
            return
        case Sort.UNCLEAR:
            found.doubt(f"{who} {_may(access.actions)} ({access.where}), and who does is not resolved")
            return
        case Sort.ACCOUNT if who.account == key.account:
            _delegated(access, key, agreed, account_iam, found)
            return
        case _:
            pass
    standings = aws_standings(who.value, agreed)
    if not standings:
        if nobody_declared(agreed):
            found.doubts.append(undeclared(f"{who} {_may(access.actions)}, and nobody was declared", "vendor"))
        else:
            found.breach(f"{who}, which is not declared, {_may(access.actions)} ({access.where})", bool(access.sure))
        return
    refused = forbidden(standings)
    forgiven = access.for_services if standings & _MAY_LET_SERVICES else "no"
    for actions, sure in ((access.sure, True), (access.contested, False)):
        for_services = actions & aws_actions.FOR_AWS_RESOURCES if forgiven != "no" else frozenset()
        if too_much := [action for action in actions - for_services if aws_actions.POWER_OF[action] in refused]:
            found.breach(f"{_called(standings)} {who} {_may(too_much)} ({access.where})", sure)
        if forgiven == "unclear" and for_services & _GRANTING:
            found.doubt(
                f"{_called(standings)} {who} {_may(for_services & _GRANTING)} ({access.where}) in requests that do "
                "not say for whom: use Bool, not BoolIfExists, on kms:GrantIsForAWSResource"
            )
    if who.account is None and who.value.endswith(".amazonaws.com") and not access.bound_to_source:
        found.leans.add(f"{who} acts for whomever AWS lets it: no aws:SourceAccount or aws:SourceArn says for whom")


_MAY_LET_SERVICES: Final = frozenset({Standing.VENDOR, Standing.USER})
"""Who may make grants where an AWS service asks for them on its behalf."""
_GRANTING: Final = frozenset({"CreateGrant", "RevokeGrant"})


def _called(standings: frozenset[Standing]) -> str:
    return " and ".join(sorted(standings))


def _delegated(access: Access, key: AwsKey, agreed: Agreed, account_iam: str, found: Judgement) -> None:
    """The root of the key's own account: whoever that account's IAM policies allow."""
    if aws_actions.powers(access.actions) <= {Power.READ}:
        return
    if agreed.owner is None:
        found.doubts.append(undeclared(f"delegates to account {key.account}, whose that is was not declared", "owner"))
    elif agreed.owner != key.account:
        found.breach(f"delegates to account {key.account}, which is not the customer's", bool(access.sure))
    elif account_iam == "trusted":
        found.leans.add(f"what the IAM policies of account {key.account} allow is trusted, not read")
    else:
        found.doubt(
            f"delegates to the IAM policies of account {key.account} ({access.where}), which keycheck does not read: "
            "name principals in the key policy instead of the account's root, or accept them with account_iam: trusted"
        )


def _hierarchy(key: GcpKey, found: Judgement) -> GcpHierarchy | None:
    if isinstance(key.hierarchy, Unseen):
        found.doubts.append(unread("the IAM policies from the key upwards", key.hierarchy))
        return None
    for level in key.hierarchy.levels:
        if isinstance(level.bindings, Unseen):
            found.doubts.append(unread(f"the IAM policy of {level.resource}", level.bindings))
    if not key.hierarchy.complete:
        found.doubt(f"not every level above the key was read: {key.hierarchy.why_not}")
    if not key.hierarchy.levels:
        found.doubt("no IAM policy was read", Reason.NO_POSITIVE)
    return key.hierarchy


def _gcp_policy(key: GcpKey, agreed: Agreed, looked: datetime, found: Judgement) -> None:
    hierarchy = _hierarchy(key, found)
    for held in gcp_roles.held(hierarchy, looked) if hierarchy else ():
        where = f"{held.role} on {held.where}"
        if held.powers is None:
            found.doubt(f"{held.member} has {where}, a role that keycheck does not know")
            continue
        if not held.powers:
            continue
        what = f"may {shown(held.powers)} ({where})"
        if held.member.startswith("deleted:"):
            found.doubt(f"{held.member}, which was deleted and can come back, has {where}: remove the binding")
            continue
        if held.member in gcp_roles.PUBLIC:
            found.breach(f"{held.member} {what}", held.sure)
            continue
        standings = gcp_standings(held.member, agreed)
        if not standings:
            if nobody_declared(agreed):
                found.doubts.append(undeclared(f"{held.member} {what}, and nobody was declared", "vendor"))
            else:
                found.breach(f"{held.member}, which is not declared, {what}", held.sure)
        elif too_much := held.powers & forbidden(standings):
            found.breach(f"{_called(standings)} {held.member} may {shown(too_much)} ({where})", held.sure)


class Separation(KeyControl, id="keys.separation", version=1):
    """Nobody can both manage the key and use it, over all ways together."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.POLICIES, Aspect.GRANTS})
    proves = (
        "No principal that may change the key's policy, state, material or deletion may also use the key: by both key "
        "policies and all grants taken together, or by all bindings from the key up to the organization."
    )
    does_not_prove = (
        "That whoever manages does not give itself use: to change a policy is enough for that, and shows in the log. "
        "What the IAM policies of an account allow is not read; nor who can pass for two principals."
    )
    example = "{control: keys.separation@1, for: keys, with: {account_iam: trusted}}"
    sources = (
        "NIST SP 800-57 Part 2 Rev. 1 (separation of duties)",
        "CIS Google Cloud Platform Foundation Benchmark 1.11",
        "AWS KMS Developer Guide: Key policies, Grants in AWS KMS",
    )

    account_iam: AccountIam = "unread"

    def judge(self, facts: KeyFacts) -> Verdict:
        """Powers are added up by principal."""
        found = Judgement()
        match facts.key:
            case AwsKey() as key:
                self._aws(key, facts.agreed, facts.looked, found)
            case GcpKey() as key:
                _gcp_separation(key, facts.looked, found)
            case _:
                assert_never(facts.key)
        return found.verdict("nobody may both manage the key and use it")

    def _aws(self, key: AwsKey, agreed: Agreed, looked: datetime, found: Judgement) -> None:
        policies = _policies(key, found)
        grants: tuple[AwsGrant, ...] = ()
        if isinstance(key.grants, Unseen):
            found.doubts.append(unread("the key's grants", key.grants))
        else:
            grants = key.grants
        users: list[tuple[Access, bool]] = []
        managers: list[tuple[Access, bool]] = []
        for access in aws_policy.accesses(policies, key.arn, looked, grants):
            if access.who.sort is Sort.ACCOUNT and access.who.account == key.account:
                _delegated(access, key, agreed, self.account_iam, found)
                continue
            sure, all_ = aws_actions.powers(access.sure), aws_actions.powers(access.actions)
            if Power.USE in all_:
                users.append((access, Power.USE in sure))
            if all_ & MANAGES:
                managers.append((access, bool(sure & MANAGES)))
        for user, surely_uses in users:
            for manager, surely_manages in managers:
                _overlap(user, manager, surely_uses and surely_manages, found)


def _overlap(user: Access, manager: Access, sure: bool, found: Judgement) -> None:
    same = _same_somebody(user.who, manager.who)
    if same == "no":
        return
    who = user.who if user.who.sort is Sort.NAMED else manager.who
    message = f"{who} can both use the key ({user.where}) and manage it ({manager.where})"
    if same == "yes":
        found.breach(message, sure)
    else:
        found.doubt(f"{message}, if {user.who} and {manager.who} are the same")


def _same_somebody(one: Who, other: Who) -> Literal["yes", "no", "unclear"]:
    """Whether some principal is surely both."""
    sorts = {one.sort, other.sort}
    if Sort.UNCLEAR in sorts or (Sort.ORGANIZATION in sorts and one != other):
        return "yes" if Sort.EVERYBODY in sorts else "unclear"
    if Sort.EVERYBODY in sorts or identity(one.value) == identity(other.value):
        return "yes"
    if {Sort.ACCOUNT, Sort.WHOLE_ACCOUNT} & sorts and one.account is not None and one.account == other.account:
        return "yes" if Sort.WHOLE_ACCOUNT in sorts else "unclear"
    if Sort.MATCHING in sorts:
        matching, rest = (one, other) if one.sort is Sort.MATCHING else (other, one)
        if rest.sort is Sort.MATCHING:
            return "unclear"
        if ":assumed-role/" in rest.value:
            # The pattern is held against the role, whose path the session does not show.
            return "no" if matching.account not in (rest.account, None) else "unclear"
        return "yes" if aws_actions.matches(matching.value, rest.value, any_case=True) else "no"
    return "no"


def _gcp_separation(key: GcpKey, looked: datetime, found: Judgement) -> None:
    hierarchy = _hierarchy(key, found)
    ways: dict[str, list[gcp_roles.Held]] = {}
    for held in gcp_roles.held(hierarchy, looked) if hierarchy else ():
        if held.powers is None:
            found.doubt(f"{held.member} has {held.role} on {held.where}, a role that keycheck does not know")
        elif held.powers:
            ways.setdefault(held.member, []).append(held)
    # What everybody holds, each member holds.
    public = [held for member in gcp_roles.PUBLIC for held in ways.get(member, ())]
    for member, own in ways.items():
        together = [*own, *public]
        for sure in (True, False):
            counted = [held for held in together if held.sure or not sure]
            use = [held for held in counted if Power.USE in (held.powers or ())]
            manage = [held for held in counted if MANAGES & (held.powers or frozenset())]
            if use and manage:
                by = shown(f"{held.role} on {held.where}" for held in (*use, *manage))
                found.breach(f"{member} can both use the key and manage it ({by})", sure)
                break
