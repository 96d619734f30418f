"""Revoke by a Deny in the key policy that is limited to the canary and ends by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Count, Digest, Instant, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.reading import MalformedError
from probes.keys.drill.aws_calls import Sleep, hand, pause
from probes.keys.drill.aws_common import KeyArns, commands, everywhere, felt, read, subject_of, together, whole_seconds
from probes.keys.drill.aws_common import written as kept
from probes.keys.drill.aws_edit import Statement, added, digest, loaded, meaning, removed, same, with_sid
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.aws_writing import PolicyWriter
from probes.keys.drill.canary import Canary
from probes.keys.subjects import Key

SID: Final = "KeycheckDrill"
"""What every statement of a drill's begins with, so that it is found again without a journal."""
_TWIN: Final = "Rehearsal"
_PAST: Final = "2001-01-01T00:00:00Z"
"""Of the rehearsed copy: as long as any deadline, and over."""

Operation: TypeAlias = Literal[
    "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:Encrypt", "kms:GenerateDataKey*"
]
OPERATIONS: Final[tuple[Operation, ...]] = (
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
)


def sid_of(drill: str) -> str:
    """The Sid of a drill's statement."""
    return SID + hashlib.sha256(drill.encode()).hexdigest()[:24]


class DenyParameters(Model):
    """Everything that the statement is made of."""

    keys: KeyArns
    canary: Canary
    sid: Annotated[str, StringConstraints(pattern=rf"^{SID}[0-9a-f]{{24}}$")]
    deadline: Instant
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = OPERATIONS

    @property
    def twin(self) -> str:
        """The Sid of the rehearsed copy."""
        return self.sid + _TWIN

    @property
    def sids(self) -> tuple[str, str]:
        """Everything that is ours."""
        return (self.sid, self.twin)

    def arns(self) -> tuple[KmsArn, ...]:
        """The key in every Region."""
        return tuple(kms_arn(key) for key in self.keys)

    def statement(self, *, rehearsed: bool = False) -> Statement:
        """The Deny. `*` and no principal of the vendor's: so our own control principal is refused in the same way."""
        return {
            "Sid": self.twin if rehearsed else self.sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(self.operations),
            "Resource": "*",
            "Condition": {
                "DateLessThan": {"aws:CurrentTime": _PAST if rehearsed else whole_seconds(self.deadline)},
                "StringEquals": {f"kms:EncryptionContext:{name}": value for name, value in self.canary.pairs},
            },
        }

    def ours(self) -> Mapping[str, Statement]:
        """Both statements by Sid."""
        return {self.sid: self.statement(), self.twin: self.statement(rehearsed=True)}


class PolicyBefore(Model):
    """The policy of one Region, by digest."""

    arn: VendorText
    sha256: Digest
    """Of the text."""
    meaning: Digest
    """Of what it says, without statements of this drill."""
    ours: bool
    """A statement of this drill is there."""
    octets: Count


class DenyBefore(Model):
    """The policies as they were."""

    policies: Annotated[tuple[PolicyBefore, ...], Field(max_length=100)]

    def of(self, arn: KmsArn) -> PolicyBefore:
        """Of one Region. Raises ProbeError(malformed)."""
        found = next((policy for policy in self.policies if policy.arn == str(arn)), None)
        if found is None:
            raise ProbeError(Reason.MALFORMED, f"the policy in {arn.region} was not looked at before")
        return found


def deny(drill: str, subject: Key, keys: Iterable[str], canary: Canary, deadline: datetime) -> Change:
    """The change that a drill makes. `keys`: the key's own ARN and those of all replicas."""
    parameters = DenyParameters(keys=tuple(keys), canary=canary, sid=sid_of(drill), deadline=deadline)
    return Change(
        kind=Deny.kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=kept(subject),
        parameters=kept(parameters),
        deadline=deadline,
        by_hand=commands(parameters.arns(), lambda arn: _by_hand(parameters, arn)),
    )


def _by_hand(parameters: DenyParameters, arn: KmsArn) -> str:
    at = f"--region {arn.region} --key-id {arn} --policy-name default"
    return (
        f"aws kms get-key-policy {at} --query Policy --output text"
        f' | jq -c \'.Statement|=([.]|flatten|map(select(.Sid//""|startswith("{parameters.sid}")|not)))\' >p.json'
        f" && aws kms put-key-policy {at} --policy file://p.json"
    )


class Deny(Mechanism):
    """A Deny for everybody, on the canary's encryption context alone, that ends at the deadline with nobody's help.

    Undo takes our Sid out of the policy as it is then, in every Region; an old text is never written back. The check
    that keeps an account from locking itself out is never bypassed. Sources: KMS developer guide, "Condition keys for
    AWS KMS" (`kms:EncryptionContext:`, whose names do not depend on case); IAM user guide, "AWS global condition
    context keys" (`aws:CurrentTime`); API reference, PutKeyPolicy.
    """

    kind: ClassVar[str] = "aws-deny"
    lossless: ClassVar[bool] = True
    expires: ClassVar[bool] = True

    def __init__(self, sleep: Sleep | None = None) -> None:
        self._sleep = sleep or pause()

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The policies' digests, and whether a statement of this drill is there."""
        subject, parameters = subject_of(change), read(DenyParameters, change.parameters)
        found = []
        for arn in parameters.arns():
            self._writer(io, subject.identities.restore, arn).read()  # what he cannot see he cannot prove undone
            text = self._writer(io, subject.identities.drill, arn).read()
            document = _document(text, arn)
            found.append(
                PolicyBefore(
                    arn=str(arn),
                    sha256=digest(text),
                    meaning=meaning(document, parameters.sids),
                    ours=any(with_sid(document, sid) for sid in parameters.sids),
                    octets=len(text.encode("utf-8", "surrogatepass")),
                )
            )
        return kept(DenyBefore(policies=tuple(found)))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """An already expired copy is put in by the identity that restores and taken out by the one that acts, so that
        both are known to be let. In this order a denied undo is found before anything is written."""
        subject, parameters = subject_of(change), read(DenyParameters, change.parameters)
        known = read(DenyBefore, before)
        for arn in parameters.arns():
            restorer = self._writer(io, subject.identities.restore, arn)
            driller = self._writer(io, subject.identities.drill, arn)
            self._add(restorer, parameters, known.of(arn), parameters.statement(rehearsed=True))
            try:
                self._remove(driller, parameters, (parameters.twin,))
            except ProbeError:
                self._remove(restorer, parameters, (parameters.twin,))
                raise

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Put the statement into the policy of every Region. Raises ProbeError(conflicting) where the policy is not
        what was looked at."""
        subject, parameters = subject_of(change), read(DenyParameters, change.parameters)
        known = read(DenyBefore, before)
        if io.clock() >= parameters.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
        for arn in parameters.arns():
            writer = self._writer(io, subject.identities.drill, arn)
            self._add(writer, parameters, known.of(arn), parameters.statement())

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Take our statements out of the policy as it is now. One that somebody rewrote stays, and is
        ProbeError(conflicting)."""
        subject, parameters = subject_of(change), read(DenyParameters, change.parameters)
        everywhere(
            parameters.arns(),
            lambda arn: self._remove(self._writer(io, subject.identities.restore, arn), parameters, parameters.sids),
        )

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The policies read back, and the canary decrypted by the control identity, in every Region."""
        subject, parameters = subject_of(change), read(DenyParameters, change.parameters)
        known = read(DenyBefore, before)
        return together([(arn, self._stands(arn, subject, parameters, known, io)) for arn in parameters.arns()])

    def _stands(self, arn: KmsArn, subject: Key, parameters: DenyParameters, known: DenyBefore, io: Io) -> Standing:
        try:
            document = _document(self._writer(io, subject.identities.restore, arn).read(), arn)
            rewritten = _rewritten(document, parameters)
        except ProbeError as error:
            if error.reason is Reason.CONFLICTING:
                return Standing(Where.FOREIGN, str(error))
            return Standing(Where.CHANGED, vendor_text(f"not known how the policy stands: {error}"))
        if rewritten:
            return Standing(Where.FOREIGN, _foreign(rewritten))
        if any(with_sid(document, sid) for sid in parameters.sids):
            over = io.clock() >= parameters.deadline or not with_sid(document, parameters.sid)
            words = "is still in the policy, expired and without effect" if over else "is still in the policy"
            return Standing(Where.CHANGED, f"our statement {words}")
        standing = felt(io, subject, arn, parameters.canary, Withholding.EXPLICIT_DENY)
        foreign = meaning(document, parameters.sids) != known.of(arn).meaning
        kept_words = "; somebody else changed other statements meanwhile, which are kept" if foreign else ""
        return Standing(standing.where, f"our statement is not in the policy and {standing.words}{kept_words}")

    def _writer(self, io: Io, ref: str | None, arn: KmsArn) -> PolicyWriter:
        return PolicyWriter(hand(io, ref, arn), arn, self._sleep)

    def _add(
        self, writer: PolicyWriter, parameters: DenyParameters, before: PolicyBefore, statement: Statement
    ) -> None:
        sid = str(statement["Sid"])

        def edit(text: str) -> str | None:
            document = _document(text, writer.arn)
            if rewritten := _rewritten(document, parameters):
                raise ProbeError(Reason.CONFLICTING, f"{writer.arn.region}: {_foreign(rewritten)}")
            if meaning(document, parameters.sids) != before.meaning:
                raise ProbeError(
                    Reason.CONFLICTING,
                    f"{writer.arn.region}: somebody else changed the key policy since it was looked at; start anew",
                )
            return None if with_sid(document, sid) else _fitting(lambda: added(document, statement))

        writer.put(edit, lambda text: bool(with_sid(_document(text, writer.arn), sid)), stubborn=False)

    def _remove(self, writer: PolicyWriter, parameters: DenyParameters, sids: tuple[str, ...]) -> None:
        foreign: set[str] = set()

        def edit(text: str) -> str | None:
            document = _document(text, writer.arn)
            rewritten = _rewritten(document, parameters)
            foreign.update(rewritten)
            mine = [sid for sid in sids if with_sid(document, sid) and sid not in rewritten]
            return _fitting(lambda: removed(document, mine)) if mine else None

        def gone(text: str) -> bool:
            document = _document(text, writer.arn)
            rewritten = _rewritten(document, parameters)
            return not any(with_sid(document, sid) for sid in sids if sid not in rewritten)

        writer.put(edit, gone, stubborn=True)
        if foreign:
            raise ProbeError(Reason.CONFLICTING, f"{writer.arn.region}: {_foreign(tuple(sorted(foreign)))}")


def _document(text: str, arn: KmsArn) -> Mapping[str, object]:
    try:
        return loaded(text)
    except MalformedError as error:
        raise ProbeError(
            Reason.CONFLICTING, f"{arn.region}: {error}, so keycheck does not touch it; look at the policy"
        ) from error


def _fitting(make: Callable[[], str]) -> str:
    try:
        return make()
    except MalformedError as error:
        raise ProbeError(Reason.NOT_COVERED, str(error)) from error


def _rewritten(document: Mapping[str, object], parameters: DenyParameters) -> tuple[str, ...]:
    """Our Sids on statements that say something else than we wrote."""
    return tuple(
        sid
        for sid, statement in parameters.ours().items()
        if (found := with_sid(document, sid)) and (len(found) > 1 or not same(found[0], statement))
    )


def _foreign(sids: tuple[str, ...]) -> str:
    return f"somebody rewrote the statement {', '.join(sids)}; keycheck leaves it alone: look at it, and remove it"
