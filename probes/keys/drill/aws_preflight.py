"""Why a drill in AWS does not start. Everything here only looks; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import Model, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.keys.aws_facts import AwsKey, Statement
from probes.keys.drill import Refusal
from probes.keys.drill.aws_common import KeyArns, subject_of
from probes.keys.drill.aws_common import read as parsed
from probes.keys.drill.aws_deny import SID, Deny, sid_of
from probes.keys.drill.aws_log import ContextUse, RawLog, context_use
from probes.keys.drill.aws_people import guards, people, statements
from probes.keys.drill.canary import Canary
from probes.keys.facts import KeyFacts
from probes.keys.subjects import Agreed, Key, KeyModel, OnKeyLoss

SETTLE: Final = timedelta(minutes=5)
"""After the deadline, for undoing and for looking again."""
BEFORE: Final = timedelta(hours=1)
"""Of log before the canary was planted, to show that nobody used its context then."""


class Restricted(Model, extra="ignore"):
    """What the parameters of every mechanism have."""

    keys: KeyArns
    canary: Canary


def refusals(
    subject: Key,
    facts: KeyFacts | Sequence[KeyFacts],
    logs: Sequence[RawLog],
    change: Change,
    io: Io,
    settle: timedelta = SETTLE,
) -> tuple[Refusal, ...]:
    """Everything that speaks against the drill; empty when nothing does.

    `facts`: of the key in every Region, with descriptions, materials and policies asked. `logs`: `aws_log.recent` of
    every Region. What a service control policy or a session policy denies shows only when the undo is rehearsed: see
    `of_rehearsal`. Raises ProbeError(malformed) when the change itself cannot be read.
    """
    seen = (facts,) if isinstance(facts, KeyFacts) else tuple(facts)
    parameters = parsed(Restricted, change.parameters)
    arns = tuple(kms_arn(key) for key in parameters.keys)
    until = change.deadline + settle
    found: list[Refusal] = []
    if subject_of(change) != subject:
        found.append(Refusal(Reason.MALFORMED, "the change is about another key than the deployment declares"))
    found += _declared(subject)
    found += _time(change, io)
    found += _places(arns, seen)
    for fact in seen:
        if isinstance(fact.key, AwsKey):
            found += _key(fact.key, until)
            found += _policies(fact.key, change, io.clock())
    found += people(subject, arns, until, io)
    found += guards(subject, seen, change, arns, io)
    found += _logged(subject.agreed, arns, logs, parameters.canary, scoped=change.kind == Deny.kind)
    return tuple(dict.fromkeys(found))


def of_rehearsal(error: ProbeError) -> Refusal:
    """A rehearsal that failed, as a reason not to start: nothing was taken away yet."""
    return Refusal(error.reason, vendor_text(f"the undo does not work when rehearsed: {error}"))


def _declared(subject: Key) -> Iterator[Refusal]:
    if subject.model is not KeyModel.DIRECT_KMS:
        yield Refusal(
            Reason.UNSUPPORTED,
            f"the deployment declares `model: {subject.model}`, for which this drill proves nothing; ask the vendor "
            f"for the revocation procedure of that model",
        )
    match subject.on_key_loss:
        case OnKeyLoss.WITHHELD:
            pass
        case OnKeyLoss.DELETE:
            yield Refusal(Reason.UNSUPPORTED, "the vendor deletes data when the key is gone: no drill on this key")
        case OnKeyLoss.UNKNOWN:
            yield Refusal(
                Reason.UNSUPPORTED,
                "`on_key_loss` is not declared; ask the vendor in writing what happens to data when the key is gone",
            )


def _time(change: Change, io: Io) -> Iterator[Refusal]:
    if change.deadline <= io.clock():
        yield Refusal(Reason.NOT_COVERED, "the deadline is over; plan the drill anew")


def _places(arns: Sequence[KmsArn], seen: Sequence[KeyFacts]) -> Iterator[Refusal]:
    covered = {fact.key.arn for fact in seen if isinstance(fact.key, AwsKey)}
    if missing := [arn.region for arn in arns if str(arn) not in covered]:
        yield Refusal(Reason.OPEN_CENSUS, f"nothing is known about the key in {', '.join(missing)}; inspect it first")
    there: set[str] = set(covered)
    for fact in seen:
        spread = fact.key.description.multi_region if isinstance(fact.key, AwsKey) else None
        if spread is not None:
            there |= {spread.primary, *spread.replicas}
    if forgotten := sorted(there - {str(arn) for arn in arns}):
        yield Refusal(
            Reason.OPEN_CENSUS, vendor_text(f"the drill leaves out the key's replicas {', '.join(forgotten)}; add them")
        )


def _key(key: AwsKey, until: datetime) -> Iterator[Refusal]:
    region, described = key.region, key.description
    if described.state != "Enabled":
        yield Refusal(
            Reason.UNSUPPORTED, vendor_text(f"{region}: the key is {described.state} and not Enabled; mend that first")
        )
    if described.usage != "ENCRYPT_DECRYPT" or described.spec != "SYMMETRIC_DEFAULT":
        yield Refusal(Reason.UNSUPPORTED, f"{region}: only symmetric keys have an encryption context")
    ends = [described.valid_to]
    if isinstance(key.materials, Unseen):
        yield _unseen(region, "which materials the key has", key.materials)
    else:
        for material in key.materials:
            ends.append(material.valid_to)
            if (material.state or "").startswith("PENDING_"):
                yield Refusal(
                    Reason.CONFLICTING,
                    f"{region}: a rotation is pending; finish it (RotateKeyOnDemand) or delete the pending material",
                )
            if material.import_state == "PENDING_IMPORT":
                yield Refusal(Reason.CONFLICTING, f"{region}: a material of the key is not imported; import it first")
    if any(end is not None and end <= until for end in ends):
        yield Refusal(
            Reason.CONFLICTING, f"{region}: imported material expires before the drill is over; import it anew first"
        )


def _policies(key: AwsKey, change: Change, now: datetime) -> Iterator[Refusal]:
    for policy, statement in statements(key):
        sid = statement.sid or ""
        if not sid.startswith(SID) or sid.startswith(sid_of(change.drill)) or _is_over(statement, now):
            continue
        yield Refusal(
            Reason.CONFLICTING,
            vendor_text(f"{key.region}: policy {policy.name} holds {sid}, of another drill that is still open; end it"),
        )
    if isinstance(key.policies, Unseen):
        yield _unseen(key.region, "the key policy", key.policies)
        return
    for policy in key.policies:
        if isinstance(policy.statements, Unseen):
            yield _unseen(key.region, f"the policy {policy.name}", policy.statements)


def _is_over(statement: Statement, now: datetime) -> bool:
    """Whether one of keycheck's statements has expired. What cannot be read has not."""
    for condition in statement.conditions:
        if condition.operator == "DateLessThan" and condition.key.lower() == "aws:currenttime":
            try:
                return all(datetime.fromisoformat(value) <= now for value in condition.values)
            except (ValueError, TypeError):
                return False
    return False


def _logged(
    agreed: Agreed, arns: Sequence[KmsArn], logs: Sequence[RawLog], canary: Canary, *, scoped: bool
) -> Iterator[Refusal]:
    covered = {log.arn for log in logs}
    if missing := [arn.region for arn in arns if arn not in covered]:
        yield Refusal(Reason.NOT_COVERED, f"the key's log in {', '.join(missing)} was not read")
    uses: list[ContextUse] = []
    for log in logs:
        use = context_use(log, agreed, canary if scoped else None)
        uses.append(use)
        region = log.arn.region
        if not log.complete or use.unreadable:
            why = log.why_not or f"{use.unreadable} entries could not be read"
            yield Refusal(Reason.NOT_COVERED, vendor_text(f"{region}: the log is not complete ({why})"))
        if use.strangers:
            yield Refusal(
                Reason.CONFLICTING,
                vendor_text(f"{region}: the key is also used by {', '.join(use.strangers)}, who is not agreed upon"),
            )
        if scoped:
            yield from _alone(log, use, canary)
    if scoped and logs and not sum(use.reads for use in uses):
        yield Refusal(
            Reason.UNSUPPORTED,
            "no logged decryption of the vendor's carries the canary's context, so a Deny that is limited to it would "
            "match nothing; read the canary through the vendor and wait for the log, or ask the vendor which "
            "encryption context its calls carry",
        )


def _alone(log: RawLog, use: ContextUse, canary: Canary) -> Iterator[Refusal]:
    region = log.arn.region
    if use.bare:
        yield Refusal(
            Reason.UNSUPPORTED,
            f"{region}: {use.bare} of the vendor's {use.calls} calls carry no encryption context that can be seen, so "
            f"they may be the canary's; ask the vendor to bind its data keys to records",
        )
    if use.shared:
        yield Refusal(
            Reason.UNSUPPORTED,
            f"{region}: {use.shared} calls carried the canary's context before it was planted: other records share it",
        )
    if use.further:
        yield Refusal(
            Reason.UNSUPPORTED,
            vendor_text(
                f"{region}: calls with the canary's pairs differ in {', '.join(use.further)}: other records may share "
                f"them; limit the canary by these names too, or declare them as parts of one record"
            ),
        )
    if log.since > canary.planted - BEFORE:
        yield Refusal(
            Reason.NOT_COVERED,
            f"{region}: less than an hour of log from before the canary was planted: not known who shares its context",
        )


def _unseen(region: str, what: str, unseen: Unseen) -> Refusal:
    return Refusal(unseen.reason, vendor_text(f"{region}: {what} is not known: {unseen.detail}"))
