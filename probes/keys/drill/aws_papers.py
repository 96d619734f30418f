"""Least privilege for drills in AWS: an IAM policy for each identity, and statements for each key policy. Pure.

The control identity may use the key for the canary alone; those that drill and restore may not use it at all. Whoever
may write a key policy could allow himself anything, so that power belongs to these two and to nobody's daily work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from keycheck.canonical import Jsonable
from keycheck.model.deployment import AwsIdentity, Identity
from probes.keys.drill.parts import DEAD_MAN, Part
from probes.keys.permissions import UNSCOPED, Paper, everywhere

MARKS: Final = "kc-*"
"""What the ids of drills look like; the contexts of marks in the log end with one."""
_VERSION: Final = "2012-10-17"
_SIDS: Final = {
    "drill": "KeycheckActs",
    "control": "KeycheckReadsCanary",
    "restore": "KeycheckRestores",
    "inspect": "KeycheckInspects",
    "log": "KeycheckReadsLog",
    DEAD_MAN: "KeycheckDeadMan",
}
"""None begins as the Sids do that a drill leaves behind."""
_POLICY: Final = "kms:PutKeyPolicy"
_CONTEXT: Final = "kms:EncryptionContext:"
_SCHEDULER: Final = "scheduler.amazonaws.com"
_NOBODY: Final = "ARN of the dead-man's role"

Allowed = tuple[str, tuple[str, ...], dict[str, Jsonable]]
"""Sid, actions and conditions."""


def aws_papers(parts: Sequence[Part], identities: Sequence[Identity]) -> Iterator[Paper]:
    """One paper an identity, one a dead-man's role, one a key."""
    people = [part for part in parts if part.role != DEAD_MAN]
    for name in sorted({part.identity for part in people}):
        yield Paper(
            "aws",
            name,
            "attach to the identity; what the key policy must say besides is printed below",
            _document(_of_identity([part for part in people if part.identity == name])),
        )
    men = [part for part in parts if part.role == DEAD_MAN]
    for actor in sorted({_actor(part) for part in men}):
        statements = [
            _allow(f"{sid}{number}", actions, *_on_key(part.target))
            for number, part in enumerate(each for each in men if _actor(each) == actor)
            for sid, actions, _ in _allowed(part)
        ]
        attach = f"attach to {actor}, which trusts {_SCHEDULER} and nobody else"
        yield Paper("aws", "", attach, _document(statements), resource=actor, whose="the dead-man's role")
    for key in sorted({part.target for part in parts}):
        yield Paper(
            "aws",
            "",
            "add to it, in every Region of the key; put the ARNs of your own principals in where it says so",
            _document(_of_key([part for part in parts if part.target == key], identities)),
            resource=key,
            whose=f"the key policy of {key}",
        )


def _of_identity(parts: Sequence[Part]) -> list[Jsonable]:
    statements: list[Jsonable] = []
    for part in parts:
        for sid, actions, condition in _allowed(part):
            for named, resource, more in _places(part, actions):
                statements.append(_allow(f"{sid}{len(statements)}", named, resource, {**more, **condition}))
    if any(_POLICY in part.actions for part in parts):
        statements.append({**_keeps_lockout_check(), "Resource": "*"})
    return statements


def _places(part: Part, actions: Sequence[str]) -> Iterator[tuple[list[str], str, dict[str, Jsonable]]]:
    """Which actions on which resource, on what condition."""
    on_key = [action for action in actions if action.startswith("kms:") and action not in UNSCOPED]
    if on_key:
        yield on_key, *_on_key(part.target)
    if anywhere := [action for action in actions if action in UNSCOPED]:
        yield anywhere, "*", {}
    if schedules := [action for action in actions if action.startswith("scheduler:")]:
        yield schedules, _schedules(part), {}
    if passes := [action for action in actions if action == "iam:PassRole"]:
        yield passes, _actor(part), {"StringEquals": {"iam:PassedToService": _SCHEDULER}}


def _of_key(parts: Sequence[Part], identities: Sequence[Identity]) -> list[Jsonable]:
    statements: list[Jsonable] = []
    writers: list[Jsonable] = []
    for part in parts:
        principal = _actor(part) if part.role == DEAD_MAN else _principal(part.identity, identities)
        for sid, actions, condition in _allowed(part):
            if scoped := [action for action in actions if action.startswith("kms:") and action not in UNSCOPED]:
                statements.append({**_allow(sid, scoped, "*", condition), "Principal": {"AWS": principal}})
        if _POLICY in part.actions and principal not in writers:
            writers.append(principal)
    if writers:
        statements.append({**_keeps_lockout_check(), "Principal": {"AWS": writers}, "Resource": "*"})
    return statements


def _allowed(part: Part) -> Iterator[Allowed]:
    """The control identity decrypts the canary, and besides only marks the log."""
    if part.role != "control":
        yield _SIDS[part.role], part.actions, {}
        return
    pairs = part.drill.context
    yield _SIDS[part.role], part.actions, {"StringEquals": {f"{_CONTEXT}{name}": value for name, value in pairs}}
    if pairs and "kms:Encrypt" in part.actions:
        name, value = pairs[0]
        like = f"{_literal(value[:200])}-{MARKS}"
        yield "KeycheckMarksLog", ("kms:Encrypt",), {"StringLike": {f"{_CONTEXT}{name}": like}}


def _literal(value: str) -> str:
    """As StringLike compares it (IAM user guide, "Variables and tags": `${*}` and its like)."""
    return "".join(f"${{{letter}}}" if letter in "*?$" else letter for letter in value)


def _on_key(arn: str) -> tuple[str, dict[str, Jsonable]]:
    if ":alias/" not in arn:
        return everywhere(arn), {}
    alias: dict[str, Jsonable] = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": arn.rpartition(":")[2]}}
    return f"{arn.rpartition(':')[0]}:key/*", alias


def _schedules(part: Part) -> str:
    """Names of schedules are keycheck's own; the role is of the account that they are in."""
    parts = everywhere(part.target).split(":")
    man = part.drill.dead_man
    account = man.actor.split(":")[4] if man and man.actor.startswith("arn:") else parts[4]
    group = man.group if man else "default"
    return f"arn:{parts[1]}:scheduler:{parts[3]}:{account}:schedule/{group}/keycheck-*"


def _actor(part: Part) -> str:
    return part.drill.dead_man.actor if part.drill.dead_man else _NOBODY


def _principal(name: str, identities: Sequence[Identity]) -> str:
    found = next((each for each in identities if each.id == name and isinstance(each, AwsIdentity)), None)
    if isinstance(found, AwsIdentity) and found.role_arn:
        return found.role_arn
    return f"ARN of identity {name}" if name else "ARN of the SDK's own credentials"


def _document(statements: Sequence[Jsonable]) -> dict[str, Jsonable]:
    return {"Version": _VERSION, "Statement": list(statements)}


def _allow(
    sid: str, actions: Sequence[str], resource: str, condition: Mapping[str, Jsonable] | None = None
) -> dict[str, Jsonable]:
    statement: dict[str, Jsonable] = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": dict(condition)} if condition else statement


def _keeps_lockout_check() -> dict[str, Jsonable]:
    return {
        "Sid": "KeycheckKeepsLockoutCheck",
        "Effect": "Deny",
        "Action": _POLICY,
        "Condition": {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}},
    }
