"""Which grants on a canary's CryptoKey a drill restricts, and why it may not: the vendor must have no other way in.

Pure but for `grants_of`, which reads the policies. Not read, as elsewhere: deny policies, principal access boundaries,
who is in a group, what a custom role holds, and who may pass for whom. So a group, a domain or everybody counts as the
vendor unless the annex lists it as the customer's own; a custom role counts as use where the vendor holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.once import Once
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import unseen
from probes.clouds.gcp.names import KeyName
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.session import Session
from probes.keys.drill.gcp_calls import Hand
from probes.keys.drill.gcp_policy import PREFIX, Grant, Pairs, grants
from probes.keys.gcp.hierarchy import ancestry, policy_of
from probes.keys.gcp_facts import GcpHierarchy, PolicyLevel
from probes.keys.gcp_roles import powers
from probes.keys.powers import Power
from probes.keys.principals import gcp_named
from probes.keys.subjects import Agreed, Key

if TYPE_CHECKING:
    from google.iam.v1.iam_policy_pb2 import GetIamPolicyRequest  # type: ignore[import-untyped]
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

BASIC: Final = frozenset({"roles/owner", "roles/editor", "roles/viewer"})
_SINGLE: Final = ("user:", "serviceAccount:", "principal://")
_GONE: Final = "deleted:"
MOST: Final = 200
"""Others that are written down."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who is restricted, and who else could use the key."""

    base: Pairs
    """Granted on the key itself without condition: every role of use, whoever holds it."""
    others: tuple[str, ...]
    """Principals, none of them the vendor's, that a grant from above or a custom role may still let use the key."""


def control_account(subject: Key, hand: Hand) -> str:
    """The account of the control identity. Raises ProbeError where it cannot be told from those that drill and restore:
    who is restricted must not be who lifts the restriction."""
    accounts: dict[str, str] = {}
    for role, ref in (
        ("drill", subject.identities.drill),
        ("restore", subject.identities.restore),
        ("control", subject.identities.control),
    ):
        account = clients.account(clients.identity_of(ref, hand.io), hand.io)
        if account is None:
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"the credential of the identity for `{role}` names no account, so its grants cannot be told; use a "
                f"service account, or `impersonate` one",
            )
        accounts[role] = account.casefold()
    if accounts["control"] in (accounts["drill"], accounts["restore"]):
        raise ProbeError(
            Reason.UNSUPPORTED,
            "the identity for `control` is restricted by the drill and must be another account than those that drill "
            "and restore; name another",
        )
    return accounts["control"]


def grants_of(subject: Key, key: KeyName, policy: Policy, hand: Hand) -> Resolved:
    """Who is restricted on the key whose policy this is. Asks for every policy above it anew.

    Raises ProbeError(unsupported, not-covered, conflicting) with words when the drill would prove nothing.
    """
    control = control_account(subject, hand)
    return resolved(grants(policy), _above(key, hand), subject.agreed, control)


def resolved(own: Sequence[Grant], above: GcpHierarchy, agreed: Agreed, control: str) -> Resolved:
    """Pure. `own`: of the key itself; `above`: of its ring and upwards. Raises ProbeError as `grants_of`."""
    if not agreed.vendor:
        raise ProbeError(
            Reason.NOT_COVERED, "`agreed.vendor` lists no principal of the vendor's, so what it holds cannot be told"
        )
    if not above.complete:
        raise ProbeError(
            Reason.NOT_COVERED,
            vendor_text(f"not every grant that the canary's key inherits can be read: {above.why_not}"),
        )
    who = _Who(agreed, control)
    others: list[str] = []
    for level in above.levels:
        for each in level.bindings if isinstance(level.bindings, tuple) else ():
            for member in each.members:
                others += _inherited(each.role, member, level.resource, who)
    base, kept = _on_key(own, who)
    _both(base, who)
    return Resolved(base, tuple(dict.fromkeys(kept + others))[:MOST])


@dataclass(frozen=True, slots=True)
class _Who:
    agreed: Agreed
    control: str

    def is_target(self, member: str) -> bool:
        return self.is_vendor(member) or self.is_control(member)

    def is_vendor(self, member: str) -> bool:
        return gcp_named(member, self.agreed.vendor)

    def is_control(self, member: str) -> bool:
        return gcp_named(member, (self.control,))

    def is_crowd(self, member: str) -> bool:
        """Stands for people whom it does not name, and whom the customer has not declared to be its own."""
        own = (*self.agreed.users, *self.agreed.administrators, *self.agreed.readers)
        return not member.startswith((*_SINGLE, _GONE)) and (self.is_vendor(member) or not gcp_named(member, own))


def _uses(given: frozenset[Power] | None) -> bool:
    return given is None or Power.USE in given


def _on_key(own: Sequence[Grant], who: _Who) -> tuple[Pairs, list[str]]:
    base: set[tuple[str, str]] = set()
    others: list[str] = []
    for each in own:
        if each.expression is not None and each.title.startswith(PREFIX):
            raise ProbeError(
                Reason.CONFLICTING,
                vendor_text(
                    f"the policy of the canary's key holds a condition `{each.title}` of a drill: recover that drill "
                    f"first, or take the condition off by hand"
                ),
            )
        _not_basic(each.role, each.member, "the canary's key", who)
        given = powers(each.role)
        if not _uses(given) or each.member.startswith(_GONE):
            continue
        if who.is_crowd(each.member):
            raise _crowd(each.role, each.member, "the canary's key")
        if each.expression is not None and who.is_target(each.member):
            raise ProbeError(
                Reason.UNSUPPORTED,
                vendor_text(
                    f"{each.member} holds {each.role} on the canary's key on a condition already; grant it without one"
                ),
            )
        if each.expression is None and (given is not None or who.is_target(each.member)):
            base.add(each.pair)
        else:
            others.append(vendor_text(f"{each.member} ({each.role} on the key)", 300))
    return frozenset(base), others


def _inherited(role: str, member: str, where: str, who: _Who) -> Iterable[str]:
    """Conditions are not weighed: one that has ended, or that names other keys, still stands in the way."""
    _not_basic(role, member, where, who)
    given = powers(role)
    if not _uses(given) or member.startswith(_GONE):
        return ()
    if who.is_target(member):
        what = "may hold use by the custom role" if given is None else "holds use by"
        raise ProbeError(
            Reason.UNSUPPORTED,
            vendor_text(
                f"{member} {what} {role} on {where}, which the canary's key inherits: restricting the key would change "
                f"nothing; grant it on keys instead"
            ),
        )
    if who.is_crowd(member):
        raise _crowd(role, member, where)
    return (vendor_text(f"{member} ({role} on {where})", 300),)


def _not_basic(role: str, member: str, where: str, who: _Who) -> None:
    if role in BASIC and (who.is_target(member) or (role == "roles/owner" and who.is_crowd(member))):
        raise ProbeError(
            Reason.UNSUPPORTED,
            vendor_text(
                f"{member} holds the basic role {role} on {where}; basic roles take no condition: replace it by roles "
                f"on keys"
            ),
        )


def _crowd(role: str, member: str, where: str) -> ProbeError:
    return ProbeError(
        Reason.UNSUPPORTED,
        vendor_text(
            f"{member} holds {role} on {where}, and the vendor may be among them, which keycheck cannot see; bind "
            f"principals one by one, or list it among the customer's own in `agreed`"
        ),
    )


def _both(base: Pairs, who: _Who) -> None:
    vendor = {role for role, member in base if who.is_vendor(member)}
    if not vendor:
        raise ProbeError(
            Reason.NOT_COVERED,
            "no principal of `agreed.vendor` holds use on the canary's key itself: there is nothing to take away, and "
            "nothing would follow from it",
        )
    if not vendor & {role for role, member in base if who.is_control(member)}:
        raise ProbeError(
            Reason.NOT_COVERED,
            vendor_text(
                f"{who.control}, the control account, does not hold {', '.join(sorted(vendor))} on the canary's key, "
                f"as the vendor does; bind it, or propagation cannot be measured"
            ),
        )


def _above(key: KeyName, hand: Hand) -> GcpHierarchy:
    # what was read earlier in the run may be older than what decides here
    io = replace(hand.io, once=Once())
    session = Session(hand.identity, io)
    client = clients.kms(hand.identity, hand.io)

    def ask(request: GetIamPolicyRequest, seconds: float) -> Policy:
        return client.get_iam_policy(request=request, retry=None, timeout=seconds)

    try:
        ring: PolicyLevel = PolicyLevel(
            resource="keyRing", bindings=policy_of(key.ring_name, Api.KMS, ask, session).bindings
        )
    except ProbeError as error:
        ring = PolicyLevel(resource="keyRing", bindings=unseen(error))
    found = ancestry(key.project, session)
    why_not = [f"keyRing: {ring.bindings.detail}"] if isinstance(ring.bindings, Unseen) else []
    if found.why_not:
        why_not.append(found.why_not)
    levels = tuple(
        PolicyLevel(
            resource=vendor_text(each.resource),
            bindings=each.policy if isinstance(each.policy, Unseen) else each.policy.bindings,
        )
        for each in found.levels
    )
    return GcpHierarchy(levels=(ring, *levels), complete=not why_not, why_not=vendor_text("; ".join(why_not)))
