"""Revoke by putting the vendor's grant on a canary's CryptoKey on a condition that becomes true by itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, StringConstraints

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Digest, Instant, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill import gcp_policy
from probes.keys.drill.aws_common import read, subject_of, whole_seconds, written
from probes.keys.drill.gcp_calls import Sleep, hand, waiting_sleep
from probes.keys.drill.gcp_canary import CanaryKey, GcpCanary
from probes.keys.drill.gcp_common import change_of, in_time
from probes.keys.drill.gcp_grants import MOST, grants_of
from probes.keys.drill.gcp_policy import PREFIX, Marks, Pairs, grants, meaning, missing, rewritten
from probes.keys.drill.gcp_sentinel import Withholding, felt
from probes.keys.drill.gcp_writing import PolicyWriter
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]


def title_of(drill: str) -> str:
    """The title of a drill's condition."""
    return PREFIX + drill


class BindingParameters(CanaryKey):
    """Everything that the condition is made of, and what feels it."""

    canary: GcpCanary
    title: Annotated[str, StringConstraints(pattern=rf"^{PREFIX}[a-z0-9][a-z0-9._-]{{0,62}}$")]
    deadline: Instant

    @property
    def marks(self) -> Marks:
        """How the drill's conditions are recognised."""
        return Marks(self.title, f'request.time >= timestamp("{whole_seconds(self.deadline)}")')


class RoleBefore(Model):
    """Who held a role on the key itself, without condition."""

    role: VendorText
    members: Annotated[tuple[VendorText, ...], Field(min_length=1, max_length=5_000)]


class BindingBefore(Model):
    """The policy as it was."""

    etag: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/=]{1,200}$")]
    """Base64. Only told: writing changes it, also writing the same."""
    meaning: Digest
    """Of what the policy grants, without conditions of this drill."""
    roles: Annotated[tuple[RoleBefore, ...], Field(min_length=1, max_length=1_500)]
    """What is restricted: every role of use, whoever holds it."""
    others: Annotated[tuple[VendorText, ...], Field(max_length=MOST)]
    """Principals, none of them the vendor's, whom grants from above may still let use the key."""

    @property
    def base(self) -> Pairs:
        """(role, member)."""
        return frozenset((each.role, member) for each in self.roles for member in each.members)


def binding(
    drill: str, subject: Key, key: str, canary: GcpCanary, deadline: datetime, *, declared: bool = False
) -> Change:
    """The change that a drill makes on `key`, the canary's CryptoKey. Raises ValueError for one that is not marked as
    such, unless the customer has declared it."""
    parameters = BindingParameters(key=key, declared=declared, canary=canary, title=title_of(drill), deadline=deadline)
    return change_of(Binding.kind, drill, subject, parameters, deadline, (_by_hand(parameters),))


def _by_hand(parameters: BindingParameters) -> str:
    marks = parameters.marks
    return (
        f"K={parameters.key}; gcloud kms keys get-iam-policy $K --format=json | jq '.version=3|.bindings|=map("
        f'if (.condition.title//"")|IN("{marks.title}","{marks.rehearsal}") then del(.condition) else . end)\''
        f" >p.json && gcloud kms keys set-iam-policy $K p.json"
    )


class Binding(Mechanism):
    """The roles of use on a canary's CryptoKey, put on the condition that the deadline is over.

    Everybody who holds one on the key is restricted alike, our own control principal too. Before anything is changed it
    is made sure that the vendor has no other way in: no grant from the key ring, the project, a folder or the
    organization, none through a group, no basic role. Policies are read and written as version 3 and under their etag,
    so what somebody else wrote is never overwritten. Undo takes our condition off in the policy as it is then.

    What this cannot see: deny policies, who is in a group, what a custom role holds. Sources: IAM, "Understand allow
    policies" (versions, etags) and "Attribute reference for IAM Conditions" (`request.time`); "Cloud KMS resource
    consistency" (changes of access may take seven minutes and longer).
    """

    kind: ClassVar[str] = "gcp-binding"
    lossless: ClassVar[bool] = True
    expires: ClassVar[bool] = True

    def __init__(self, sleep: Sleep | None = None) -> None:
        self._sleep = sleep or waiting_sleep

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """What will be restricted, the policy's etag and digest. Raises ProbeError where the drill would prove nothing:
        see `gcp_grants.grants_of`."""
        subject, parameters = subject_of(change), read(BindingParameters, change.parameters)
        parameters.apart_from(subject)
        who = hand(io, subject.identities.drill, sleep=self._sleep)
        policy = who.policy(parameters.key)
        found = grants_of(subject, parameters.name, policy, who)
        _writable(found.base)
        by_role: dict[str, list[str]] = {}
        for role, member in sorted(found.base):
            by_role.setdefault(role, []).append(member)
        before = BindingBefore(
            etag=base64.b64encode(policy.etag).decode("ascii"),
            meaning=meaning(policy, parameters.marks),
            roles=tuple(RoleBefore(role=role, members=tuple(members)) for role, members in by_role.items()),
            others=found.others,
        )
        return written(before)

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """The policy is written as it is; then copies of the grants on a condition that is true are put in by the
        identity that restores and taken out by the one that acts, so that both are known to be let. In this order a
        denied undo is found before anything is written. Then the canary must decrypt."""
        subject, parameters = subject_of(change), read(BindingParameters, change.parameters)
        known = read(BindingBefore, before)
        restorer = self._writer(io, subject.identities.restore, parameters)
        driller = self._writer(io, subject.identities.drill, parameters)
        restorer.write(lambda policy: gcp_policy.unchanged(_as_before(policy, parameters, known)))
        restorer.write(
            lambda policy: gcp_policy.rehearsed(_as_before(policy, parameters, known), parameters.marks, known.base)
        )
        try:
            self._lift(driller, parameters, known)
        except ProbeError:
            self._lift(restorer, parameters, known)
            raise
        standing = felt(io, subject, parameters.name, parameters.canary, Withholding.NOT_GRANTED)
        if standing.where is not Where.RESTORED:
            raise ProbeError(Reason.NO_POSITIVE, standing.words)

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Put the grants on the condition, once. Raises ProbeError(conflicting) where the policy, or what the key
        inherits, is not what was looked at."""
        subject, parameters = subject_of(change), read(BindingParameters, change.parameters)
        known = read(BindingBefore, before)
        in_time(parameters.deadline, io)
        parameters.apart_from(subject)
        who = hand(io, subject.identities.drill, sleep=self._sleep)
        if grants_of(subject, parameters.name, who.policy(parameters.key), who).base != known.base:
            raise _changed(parameters)
        writer = PolicyWriter(who, parameters.key, self._sleep)
        now = writer.write(
            lambda policy: gcp_policy.restricted(_as_before(policy, parameters, known), parameters.marks, known.base)
        )
        if not _ours(now, parameters) or rewritten(now, parameters.marks, known.base):
            raise ProbeError(Reason.CONFLICTING, "setIamPolicy: answered another policy than was sent")

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Take our condition off in the policy as it is now. Writes also where there is none: a read may be stale, and
        a write of ours that is still under way must come too late. A condition that somebody rewrote stays, and is
        ProbeError(conflicting)."""
        subject, parameters = subject_of(change), read(BindingParameters, change.parameters)
        known = read(BindingBefore, before)
        self._lift(self._writer(io, subject.identities.restore, parameters), parameters, known)

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The policy read back, and the canary decrypted by the control identity."""
        subject, parameters = subject_of(change), read(BindingParameters, change.parameters)
        known = read(BindingBefore, before)
        marks = parameters.marks
        try:
            policy = self._writer(io, subject.identities.restore, parameters).read()
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"not known how the policy stands: {error}"))
        if foreign := _foreign(policy, parameters, known):
            return Standing(Where.FOREIGN, foreign)
        if _ours(policy, parameters):
            over = io.clock() >= parameters.deadline or not any(each.title == marks.title for each in grants(policy))
            words = "is still in the policy, and takes nothing away any more" if over else "is still in the policy"
            return Standing(Where.CHANGED, f"our condition {words}")
        standing = felt(io, subject, parameters.name, parameters.canary, Withholding.NOT_GRANTED)
        other = meaning(policy, marks) != known.meaning
        kept = "; somebody else changed other grants meanwhile, which are kept" if other else ""
        return Standing(standing.where, vendor_text(f"the grants are without condition and {standing.words}{kept}"))

    def _writer(self, io: Io, ref: str | None, parameters: BindingParameters) -> PolicyWriter:
        return PolicyWriter(hand(io, ref, sleep=self._sleep), parameters.key, self._sleep)

    def _lift(self, writer: PolicyWriter, parameters: BindingParameters, known: BindingBefore) -> None:
        def edit(policy: Policy) -> Policy:
            if foreign := _foreign(policy, parameters, known):
                raise ProbeError(Reason.CONFLICTING, foreign)
            return gcp_policy.lifted(policy, parameters.marks)

        if _ours(writer.insist(edit), parameters):
            raise ProbeError(Reason.CONFLICTING, "setIamPolicy: answered a policy that still holds our condition")


def _writable(pairs: Iterable[tuple[str, str]]) -> None:
    for role, member in pairs:
        if vendor_text(role) != role or vendor_text(member) != member:
            raise ProbeError(
                Reason.UNSUPPORTED, "the policy holds a role or member that cannot be written down as it is"
            )


def _ours(policy: Policy, parameters: BindingParameters) -> bool:
    return any(parameters.marks.is_ours(grant) for grant in grants(policy))


def _as_before(policy: Policy, parameters: BindingParameters, known: BindingBefore) -> Policy:
    if _ours(policy, parameters) or meaning(policy, parameters.marks) != known.meaning or missing(policy, known.base):
        raise _changed(parameters)
    return policy


def _changed(parameters: BindingParameters) -> ProbeError:
    return ProbeError(
        Reason.CONFLICTING,
        f"somebody else changed what is granted on {parameters.name.key} since it was looked at; start anew",
    )


def _foreign(policy: Policy, parameters: BindingParameters, known: BindingBefore) -> str | None:
    """What somebody else made of the grants that this drill restricts. One write puts the condition on and one takes it
    off, so neither with it nor without is nobody's doing but theirs."""
    marks = parameters.marks
    if titles := rewritten(policy, marks, known.base):
        return vendor_text(
            f"somebody rewrote the grants with the condition `{titles[0]}`; keycheck leaves them alone: look at the "
            f"policy, and take the condition off"
        )
    if any(grant.expression is not None and grant.title == marks.title for grant in grants(policy)):
        return None
    if gone := missing(policy, known.base):
        role, member = min(gone)
        return vendor_text(
            f"somebody took {role} from {member} on the canary's key; keycheck does not give it back: look at the "
            f"policy, and grant it where that is wanted"
        )
    return None
