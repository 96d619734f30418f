"""What drills left behind in AWS: statements in key policies by their Sid, tags, and what goes with them.

The identity that inspects looks at the key; the one that restores reads the policy that it may have to write, and
removes. What bears no mark of keycheck's is never touched: a disabled key or a pending material is told and left.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Standing, Where
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.scan import Blind, Consent, Leftover, Scanner, Sighting
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.reading import MalformedError
from probes.keys import aws
from probes.keys.aspects import Aspect
from probes.keys.aws import describe
from probes.keys.aws_facts import AwsKey
from probes.keys.drill.aws_calls import Sleep, hand, pause
from probes.keys.drill.aws_dead_man import AwsDeadMan, delete_command
from probes.keys.drill.aws_deny import OPERATIONS, SID, Deny, sid_of
from probes.keys.drill.aws_disable import Disable, state_of
from probes.keys.drill.aws_edit import Statement, loaded, removed, same, statements, with_sid
from probes.keys.drill.aws_grant import RevokeGrant
from probes.keys.drill.aws_material import DeleteMaterial
from probes.keys.drill.aws_tags import Breadcrumb, breadcrumb, clear_tags, untag_command
from probes.keys.drill.aws_writing import PolicyWriter
from probes.keys.drill.dead_man import WAITS
from probes.keys.subjects import DeadMan, Key

ASPECTS: Final = frozenset({Aspect.DESCRIPTION, Aspect.MATERIALS, Aspect.GRANTS, Aspect.TAGS})
"""What the identity that inspects asks."""
_SIDS: Final = re.compile(rf"({SID}[0-9a-f]{{24}})(Rehearsal)?")
_TAG: Final = "tag:"
_SCHEDULE: Final = "schedule:"
"""What the marks of breadcrumbs and of schedules begin with; no Sid can."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MOST_DRILLS: Final = 20
"""Newest ones whose schedules are asked for."""
_PAUSES: Final = (0.0, 0.2, 0.4, 0.8, 1.6)


class AwsScanner(Scanner[Key]):
    """Looks in every Region of the key."""

    section: ClassVar[str] = "keys"

    def __init__(self, sleep: Sleep | None = None) -> None:
        self._sleep = sleep or pause()

    def sees(self, subject: Key) -> bool:
        """Keys of AWS."""
        return subject.provider == "aws"

    def scan(self, subject: Key, io: Io, drills: Collection[str]) -> Iterator[Sighting]:
        """Region by Region; one that cannot be looked at keeps no other from it."""
        census = aws.survey(subject, io)
        for gap in census.open:
            yield Blind(vendor_text(subject.resource), gap.reason, f"where the key is: {gap.detail}")
        known = {sid_of(drill): drill for drill in drills}
        for part in census.parts:
            try:
                arn = describe.related(subject, part, io)
            except ProbeError as error:
                yield Blind(vendor_text(part), error.reason, vendor_text(str(error)))
                continue
            yield from self._policy(subject, arn, known, io)
            try:
                key, _ = aws.key(subject, arn.region, ASPECTS, io)
            except ProbeError as error:
                yield Blind(str(arn), error.reason, vendor_text(f"the key: {error}"))
                continue
            yield from _described(arn, key, known)
            yield from self._schedules(subject, arn, key, drills, io)

    def clear(self, subject: Key, leftover: Leftover, io: Io) -> Standing:
        """Take our statement out of the policy as it is now, or put back what a breadcrumb tells of and take it off."""
        arn = _key(leftover.where)
        if leftover.mark.startswith(_TAG):
            return self._finished(subject, arn, leftover, io)
        if leftover.mark.startswith(_SCHEDULE):
            return self._disarmed(subject, arn, leftover, io)
        return self._taken_out(subject, arn, leftover, io)

    def _writer(self, subject: Key, arn: KmsArn, io: Io) -> PolicyWriter:
        return PolicyWriter(hand(io, subject.identities.restore, arn), arn, self._sleep)

    def _policy(self, subject: Key, arn: KmsArn, known: Mapping[str, str], io: Io) -> Iterator[Sighting]:
        try:
            document = _document(self._writer(subject, arn, io).read())
        except ProbeError as error:
            yield Blind(str(arn), error.reason, vendor_text(f"the key policy: {error}"))
            return
        for statement in statements(document):
            sid = statement.get("Sid")
            if not isinstance(sid, str) or not sid.startswith(SID):
                continue
            fits, deadline = _SIDS.fullmatch(sid), _deadline(statement)
            ours = fits is not None and deadline is not None and len(with_sid(document, sid)) == 1
            what = "the rehearsed copy of a drill's Deny, without effect" if fits and fits[2] else "a drill's Deny"
            yield Leftover(
                mechanism=Deny.kind,
                drill=known.get(fits[1], "") if fits else "",
                where=str(arn),
                mark=vendor_text(sid),
                words=f"statement {vendor_text(sid, 100)} of the key policy: "
                + (what if ours else "bears keycheck's mark and says something else than keycheck writes"),
                deadline=deadline,
                consent=Consent.DEADLINE if ours else Consent.NEVER,
                by_hand=_take_out(arn, sid) if ours else (),
            )

    def _taken_out(self, subject: Key, arn: KmsArn, leftover: Leftover, io: Io) -> Standing:
        sid = leftover.mark

        def edit(text: str) -> str | None:
            document = _document(text)
            found = with_sid(document, sid)
            if not found:
                return None
            if len(found) > 1 or _deadline(found[0]) != leftover.deadline:
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: somebody changed {sid} since it was looked at")
            try:
                return removed(document, [sid])
            except MalformedError as error:
                raise ProbeError(Reason.CONFLICTING, f"{arn.region}: {error}") from error

        writer = self._writer(subject, arn, io)
        writer.put(edit, lambda text: not with_sid(_document(text), sid), stubborn=True)
        return Standing(Where.RESTORED, "taken out of the policy, and not there when read back")

    def _schedules(self, subject: Key, arn: KmsArn, key: AwsKey, drills: Collection[str], io: Io) -> Iterator[Leftover]:
        """Schedules are asked for by name: of the drills that are known here, and the one that tags tell of."""
        man, crumb = subject.drill.dead_man if subject.drill else None, _crumb(key)
        asked = sorted(drills)[-MOST_DRILLS:] + ([crumb.drill] if crumb and crumb.drill not in drills else [])
        for drill in asked if man else ():
            if man and (words := self._dead_man(subject, man, drill, io).left(arn, io)):
                yield Leftover(
                    mechanism="dead-man",
                    drill=drill,
                    where=str(arn),
                    mark=_SCHEDULE + drill,
                    words=vendor_text(words),
                    deadline=None,
                    consent=Consent.NAMED,
                    by_hand=(delete_command(man, drill, (arn,)),) if _ID.fullmatch(drill) else (),
                )

    def _dead_man(self, subject: Key, man: DeadMan, drill: str, io: Io) -> AwsDeadMan:
        return AwsDeadMan(drill, subject, man, io.clock(), WAITS, self._sleep)

    def _disarmed(self, subject: Key, arn: KmsArn, leftover: Leftover, io: Io) -> Standing:
        """A dead-man goes only when the key is back: until then it may be all that puts it back."""
        man = subject.drill.dead_man if subject.drill else None
        state = state_of(hand(io, subject.identities.restore, arn), arn)
        if man is None or state != "Enabled":
            return Standing(Where.CHANGED, vendor_text(f"the key is {state}; its dead-man stays"))
        self._dead_man(subject, man, leftover.drill, io).disarm(arn, io)
        return Standing(Where.RESTORED, "the key is Enabled, and the dead-man is deleted")

    def _finished(self, subject: Key, arn: KmsArn, leftover: Leftover, io: Io) -> Standing:
        """Enables a key that a named drill disabled, then takes the tags off."""
        who = hand(io, subject.identities.restore, arn)
        state = state_of(who, arn)
        if state != "Enabled" and leftover.mechanism == Disable.kind and leftover.consent is Consent.NAMED:
            who.ask("kms:EnableKey", arn.region, KeyId=str(arn))
            for wait in _PAUSES:
                self._sleep(wait)
                if (state := state_of(who, arn)) == "Enabled":
                    break
        if state != "Enabled":
            return Standing(Where.CHANGED, vendor_text(f"the key is {state}; its tags stay until it is Enabled"))
        clear_tags(who, arn, leftover.drill)
        return Standing(Where.RESTORED, "the key is Enabled, and the drill's tags are off")


def _described(arn: KmsArn, key: AwsKey, known: Mapping[str, str]) -> Iterator[Sighting]:
    """What the key itself, its tags, its grants and its materials tell."""
    crumb = _crumb(key)
    if crumb is not None:
        yield _tagged(arn, key, crumb)
    elif key.description.state not in ("Enabled", "Creating", "Updating"):
        yield _told(Disable.kind, arn, f"the key is {key.description.state}; nothing on it says that a drill did it")
    yield from _granted(arn, key, known)
    yield from _pending(arn, key, crumb)
    for what, part in (("tags", key.tags), ("grants", key.grants), ("materials", key.materials)):
        if isinstance(part, Unseen) and part.reason is not Reason.UNSUPPORTED:  # AWS says that there can be none
            yield Blind(str(arn), part.reason, vendor_text(f"its {what}: {part.detail}"))


def _crumb(key: AwsKey) -> Breadcrumb | None:
    return None if isinstance(key.tags, Unseen) else breadcrumb(key.tags)


def _tagged(arn: KmsArn, key: AwsKey, crumb: Breadcrumb) -> Leftover:
    state = key.description.state
    if crumb.undo == RevokeGrant.kind:  # nothing on the key tells whether the grant is there again
        consent, first = Consent.NEVER, f"aws kms list-grants --region {arn.region} --key-id {arn}"
    elif state == "Enabled":
        consent, first = Consent.DEADLINE, ""
    elif crumb.undo == Disable.kind and state == "Disabled":
        consent, first = Consent.NAMED, f"aws kms enable-key --region {arn.region} --key-id {arn}"
    else:
        consent, first = Consent.NEVER, f"aws kms describe-key --region {arn.region} --key-id {arn}"
    what = "; its imported material must come back from escrow" if crumb.undo == DeleteMaterial.kind else ""
    return Leftover(
        mechanism=crumb.undo,
        drill=crumb.drill,
        where=str(arn),
        mark=_TAG + crumb.drill,
        words=vendor_text(f"tags tell of drill {crumb.drill} ({crumb.undo}); the key is {state}{what}"),
        deadline=crumb.deadline,
        consent=consent if crumb.drill else Consent.NEVER,
        by_hand=tuple(command for command in (first, untag_command((arn,))) if command),
    )


def _granted(arn: KmsArn, key: AwsKey, known: Mapping[str, str]) -> Iterator[Leftover]:
    for grant in () if isinstance(key.grants, Unseen) else key.grants:
        fits = _SIDS.fullmatch(grant.name or "")
        if fits is not None:
            words = f"grant {grant.id} to {grant.grantee} was made again by a drill, in the place of one it revoked"
            yield Leftover(
                mechanism=RevokeGrant.kind,
                drill=known.get(fits[1], ""),
                where=str(arn),
                mark=vendor_text(grant.id),
                words=vendor_text(words),
                deadline=None,
                consent=Consent.NEVER,
                owed=False,
            )


def _pending(arn: KmsArn, key: AwsKey, crumb: Breadcrumb | None) -> Iterator[Leftover]:
    for material in () if isinstance(key.materials, Unseen) else key.materials:
        if material.import_state == "PENDING_IMPORT" or (material.state or "").startswith("PENDING_"):
            told = f"material {material.id or 'without id'} is {material.state}, {material.import_state}"
            yield _told(DeleteMaterial.kind, arn, told, crumb.drill if crumb else "")


def _told(mechanism: str, arn: KmsArn, words: str, drill: str = "") -> Leftover:
    return Leftover(mechanism, drill, str(arn), "", vendor_text(words), None, Consent.NEVER, owed=False)


def _key(where: str) -> KmsArn:
    try:
        return kms_arn(where)
    except ValueError as error:
        raise ProbeError(Reason.MALFORMED, "what was found names no key") from error


def _document(text: str) -> Mapping[str, object]:
    try:
        return loaded(text)
    except MalformedError as error:
        raise ProbeError(Reason.CONFLICTING, f"{error}, so keycheck does not touch it; look at the policy") from error


def _deadline(statement: Statement) -> datetime | None:
    """When a statement ends that is, word for word, one of a drill's; None for any other."""
    condition = statement.get("Condition")
    if not isinstance(condition, dict):
        return None
    until, context = condition.get("DateLessThan"), condition.get("StringEquals")
    if not isinstance(until, dict) or not isinstance(context, dict) or len(until) != 1 or not context:
        return None
    if not all(str(name).lower().startswith("kms:encryptioncontext:") for name in context):
        return None
    (at,) = until.values()
    text = at[0] if isinstance(at, list) and len(at) == 1 else at
    written = {
        "Sid": statement.get("Sid"),
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(OPERATIONS),
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": text}, "StringEquals": context},
    }
    try:
        ours = isinstance(text, str) and same(statement, written)
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if ours else None
    except (ValueError, MalformedError):
        return None


def _take_out(arn: KmsArn, sid: str) -> tuple[str, ...]:
    at = f"--region {arn.region} --key-id {arn} --policy-name default"
    return (
        f"aws kms get-key-policy {at} --query Policy --output text"
        f" | jq -c '.Statement|=([.]|flatten|map(select(.Sid!=\"{sid}\")))' >p.json",
        f"aws kms put-key-policy {at} --policy file://p.json",
    )
