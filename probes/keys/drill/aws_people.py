"""Who acts, restores and looks in a drill in AWS: whether they can, long enough, on our clock. Only looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.keys import aws_actions
from probes.keys.aws_facts import AwsKey, AwsPolicy, Statement
from probes.keys.drill import Refusal
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_credentials import lasts
from probes.keys.drill.offset import MAX_SKEW, Offset, by_date, together
from probes.keys.facts import KeyFacts
from probes.keys.principals import account_of, identity
from probes.keys.subjects import Key

UNDO: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws-deny": "kms:PutKeyPolicy",
        "aws-disable": "kms:EnableKey",
        "aws-revoke-grant": "kms:CreateGrant",
        "aws-delete-material": "kms:ImportKeyMaterial",
    }
)
"""What undoing takes, by mechanism."""


def people(subject: Key, arns: Sequence[KmsArn], until: datetime, io: Io) -> Iterator[Refusal]:
    """What is wrong with the credentials of the three. Raises nothing."""
    home = arns[0]
    roles = subject.identities
    for role, ref in (("drill", roles.drill), ("restore", roles.restore), ("control", roles.control)):
        try:
            asked = io.clock()
            answer = hand(io, ref, home).ask("sts:GetCallerIdentity", home.region)
            off = _offset(answer, asked, io.clock())
        except ProbeError as error:
            yield Refusal(error.reason, vendor_text(f"the identity for `{role}` does not work: {error}"))
            continue
        if off is None:
            yield Refusal(Reason.CLOCK_UNTRUSTED, "AWS's answers carry no Date: our clock cannot be compared")
        elif off.least > MAX_SKEW:
            yield Refusal(
                Reason.CLOCK_UNTRUSTED,
                f"this machine's clock differs from AWS's by {off.least.total_seconds():.0f} s; set it right (NTP)",
            )
        if role == "control" and answer.get("Account") != home.account:
            yield Refusal(
                Reason.UNSUPPORTED,
                f"the identity for `control` is not of account {home.account}: AWS tells an explicit Deny from other "
                f"refusals only to principals of the key's own account",
            )
    try:
        why = lasts(io, roles.restore, home, until)
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(f"the credentials for `restore`: {error}"))
        return
    if why is not None:
        yield Refusal(Reason.PERMISSION_DENIED, f"the credentials for `restore` do not outlive the drill: {why}")


def clock(subject: Key, arns: Sequence[KmsArn], io: Io) -> Offset | None:
    """How far AWS's clock is from ours, by an answer to each of the three; None: none says it. Raises ProbeError."""
    found: list[Offset] = []
    roles = subject.identities
    for ref in (roles.drill, roles.restore, roles.control):
        who = hand(io, ref, arns[0])
        asked = io.clock()
        off = _offset(who.ask("sts:GetCallerIdentity", arns[0].region), asked, io.clock())
        found += () if off is None else (off,)
    return together(found)


def _offset(answer: Mapping[str, object], asked: datetime, answered: datetime) -> Offset | None:
    metadata = answer.get("ResponseMetadata")
    headers = metadata.get("HTTPHeaders") if isinstance(metadata, dict) else None
    written = headers.get("date") if isinstance(headers, dict) else None
    return by_date(written if isinstance(written, str) else None, asked, answered)


def guards(subject: Key, seen: Sequence[KeyFacts], change: Change, arns: Sequence[KmsArn], io: Io) -> Iterator[Refusal]:
    """Statements of the key policy that deny the undo to whoever restores, whatever the request is like."""
    undo = UNDO.get(change.kind)
    if undo is None:
        yield Refusal(Reason.UNSUPPORTED, f"how {change.kind} is undone is not known")
        return
    try:
        answer = hand(io, subject.identities.restore, arns[0]).ask("sts:GetCallerIdentity", arns[0].region)
    except ProbeError:
        return  # told already
    restorer, action = str(answer.get("Arn", "")), undo.removeprefix("kms:")
    for fact in seen:
        if not isinstance(fact.key, AwsKey):
            continue
        for policy, statement in statements(fact.key):
            if statement.effect == "Deny" and action in aws_actions.of(statement) and _hits(statement, restorer):
                yield Refusal(
                    Reason.PERMISSION_DENIED,
                    vendor_text(
                        f"{fact.key.region}: policy {policy.name}, statement {statement.sid or 'without Sid'}, denies "
                        f"{undo} to the identity that restores; the drill could not be undone"
                    ),
                )


def _hits(statement: Statement, principal: str) -> bool:
    """Denies everything to the principal. What depends on conditions shows in the rehearsal."""
    if statement.conditions or statement.not_principals:
        return False
    everybody = any(pattern.value == "*" for pattern in statement.principals)
    account = f"{account_of(principal)}:root"
    names = {identity(pattern.value) for pattern in statement.principals}
    return everybody or bool({identity(principal), account} & names)


def statements(key: AwsKey) -> Iterator[tuple[AwsPolicy, Statement]]:
    """Every statement that could be read, with its policy."""
    for policy in () if isinstance(key.policies, Unseen) else key.policies:
        for statement in () if isinstance(policy.statements, Unseen) else policy.statements:
            yield policy, statement
