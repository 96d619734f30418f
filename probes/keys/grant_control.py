"""The control over grants, which stand beside an AWS key's policies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Verdict, not_applicable, passed
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsGrant, AwsKey
from probes.keys.facts import KeyFacts
from probes.keys.judgement import Judgement
from probes.keys.key_control import KeyControl, day, shown, undeclared, unread
from probes.keys.principals import aws_named, aws_standings, identity, nobody_declared
from probes.keys.subjects import Agreed

GrantOperation: TypeAlias = Literal[
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encapsulate",
    "Decapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "VerifyMac",
]
"""Operations that a profile may allow in grants: never those that pass a grant on or end one."""

ENVELOPES: Final[frozenset[GrantOperation]] = frozenset(
    {
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    }
)
"""What envelope encryption needs."""


class Grants(KeyControl, id="keys.grants", version=1):
    """Grants give declared principals what the contract allows, once each."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.GRANTS})
    proves = (
        "All grants of the key were listed: each goes to a principal that the deployment declares as the vendor's or a "
        "user, holds only operations in `operations`, and is no second grant of the same; whoever may retire it is "
        "declared too."
    )
    does_not_prove = (
        "Anything about policies, which keys.policy judges: grants outlive a policy that no longer names their "
        "grantee. Grants made and revoked between two looks show in the log only."
    )
    example = (
        "{control: keys.grants@1, for: keys, with: {operations: [Decrypt, GenerateDataKey], context_required: true}}"
    )
    sources = (
        "AWS KMS Developer Guide: Grants in AWS KMS, Best practices for grants",
        "AWS KMS API Reference: ListGrants",
    )

    operations: Annotated[SortedSet[GrantOperation], Tighter("subset"), Field(min_length=1)] = ENVELOPES
    context_required: Annotated[bool, Tighter("order", ("False", "True"))] = False
    """Every grant must be bound to an encryption context."""

    def judge(self, facts: KeyFacts) -> Verdict:
        """Each grant by itself, then those that are alike."""
        if not isinstance(facts.key, AwsKey):
            return not_applicable("Cloud KMS has no grants beside its IAM policies")
        grants = facts.key.grants
        if isinstance(grants, Unseen):
            return unread("the key's grants", grants)
        if not grants:
            return passed("has no grants")
        found = Judgement()
        for grant in grants:
            self._one(grant, facts.agreed, found)
        for alike in _alike(grants):
            newest = max(alike, key=_age)
            older = [_short(grant) for grant in alike if grant is not newest]
            found.breach(
                f"{newest.grantee} holds the same grant more than once: {shown(older)} beside {_short(newest)}"
            )
        if any(grant.other_constraints for grant in grants):
            names = shown(name for grant in grants for name in grant.other_constraints)
            found.leans.add(f"constraints that keycheck does not weigh: {names}")
        count = "its one grant goes" if len(grants) == 1 else f"all {len(grants)} grants go"
        return found.verdict(f"{count} to declared principals, for {shown(op for g in grants for op in g.operations)}")

    def _one(self, grant: AwsGrant, agreed: Agreed, found: Judgement) -> None:
        name = f"grant {_short(grant)}"
        if too_much := set(grant.operations) - self.operations:
            found.breach(f"{name} to {grant.grantee} allows {shown(too_much)}")
        if not aws_named(grant.grantee, (*agreed.vendor, *agreed.users)):
            if nobody_declared(agreed):
                found.doubts.append(undeclared(f"{name} goes to {grant.grantee}, and nobody was declared", "vendor"))
            else:
                found.breach(f"{name} goes to {grant.grantee}, which is not declared as the vendor's or a user")
        if grant.retiring is not None and not nobody_declared(agreed) and not aws_standings(grant.retiring, agreed):
            found.breach(f"{name} can be retired by {grant.retiring}, which is not declared")
        if self.context_required and not (grant.context_equals or grant.context_subset):
            found.breach(f"{name} to {grant.grantee} is bound to no encryption context")


def _short(grant: AwsGrant) -> str:
    made = f" of {day(grant.created)}" if grant.created else ""
    return f"{grant.id[:12]}…{made}" if len(grant.id) > 13 else f"{grant.id}{made}"


def _age(grant: AwsGrant) -> tuple[float, str]:
    return (grant.created.timestamp() if grant.created else 0.0, grant.id)


def _alike(grants: Sequence[AwsGrant]) -> list[list[AwsGrant]]:
    groups: dict[object, list[AwsGrant]] = {}
    for grant in grants:
        same = (
            identity(grant.grantee),
            frozenset(grant.operations),
            frozenset(grant.context_equals),
            frozenset(grant.context_subset),
            frozenset(grant.other_constraints),
        )
        groups.setdefault(same, []).append(grant)
    return [group for group in groups.values() if len(group) > 1]
