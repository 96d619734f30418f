"""What the customer's log says of a revoke drill, beside what was seen: breaches, doubts, and whether its silence
counts. Pure.

A use is known by its first and last time only, on the cloud's clock. What is nearer to stable denial than the two
clocks can differ is not called later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys.drill_facts import Mark, Markers, Match, RevocationFacts, WindowUse, WindowUses
from probes.keys.judgement import Judgement
from probes.keys.key_control import shown, undeclared, unread
from probes.keys.principals import account_of, aws_named, gcp_named, names_many
from probes.keys.rotation_facts import LoggedUses

Callers: TypeAlias = Literal["named", "account"]


class Who(StrEnum):
    """Whose use it was, by the contract's annex."""

    VENDOR = "vendor"
    OURS = "ours"
    ACCOUNT = "account"
    """The log names only the account of a declared principal."""
    UNCLEAR = "unclear"
    """May be among the groups that are declared."""
    CUSTOMER = "customer"
    """Of the customer's, declared to manage the key or to read about it, and not to use it."""
    NOBODY = "nobody"
    """None of those that are declared."""


def judge_log(facts: RevocationFacts, denied_us: int | None, callers: Callers, out: Judgement) -> bool:
    """Adds what the log proves and leaves open. True: it is whole and agrees, so that its silence counts.

    `denied_us`: when the sentinel was stably denied; None: never. Before that a success is the cloud's delay.
    """
    before = len(out.doubts)
    whole(facts.markers, facts.log, out)
    if isinstance(facts.log, WindowUses):
        if not facts.agreed.vendor:
            out.doubts.append(undeclared("who may use the key was not declared", "vendor"))
        else:
            for use in facts.log.uses:
                _one(use, facts, denied_us, callers, out)
    return len(out.doubts) == before


def whole(markers: Markers | Unseen, log: WindowUses | LoggedUses | Unseen, out: Judgement) -> bool:
    """Whether silence counts: complete, nothing muted, and our own marks have arrived. Adds why not."""
    before = len(out.doubts)
    if isinstance(markers, Unseen):
        out.doubts.append(unread("our own marker calls in the log", markers))
    else:
        marks = (("before", markers.before), ("during", markers.during), ("after", markers.after))
        if lost := [name for name, state in marks if state == "missing"]:
            out.doubt(f"our own marker calls {shown(lost)} have not arrived in the log: settle the drill later")
    if isinstance(log, Unseen):
        out.doubts.append(unread("the log of the drill", log))
    else:
        if log.state == "awaiting":
            out.doubt(f"the log is not complete yet: {log.why_not}; settle the drill later")
        if log.muted:
            out.doubt(f"the log keeps silent about {shown(log.muted)}")
    return len(out.doubts) == before


def _one(use: WindowUse, facts: RevocationFacts, denied_us: int | None, callers: Callers, out: Judgement) -> None:
    who = _who(use.principal, facts)
    what = f"{use.principal} did {use.operation} {use.count} times, last {use.last:%H:%M:%S} UTC"
    if who is Who.NOBODY:
        through = f" through grant {use.grant}" if use.grant else ""
        out.breach(f"{what}{through}: not a declared principal")
        return
    if who is Who.CUSTOMER:
        out.doubt(f"{what}: the customer's own, and not declared to use the key", Reason.CONFLICTING)
        return
    if who is Who.UNCLEAR:
        out.doubt(f"whether {use.principal} is in the declared groups is not known")
    if who is Who.ACCOUNT and callers == "named":
        out.doubt(
            f"the log names the caller of {use.operation} by account {use.principal} only: ask for the caller's own "
            "log, or accept it with callers: account"
        )
    if use.grant is not None:
        out.doubt(f"{what}, through grant {use.grant}, which no declaration covers", Reason.CONFLICTING)
    if use.match is Match.OTHER or denied_us is None:
        return
    match _later(use, facts, denied_us):
        case "never":
            return
        case "unclear":
            out.doubt(f"{what}: too close to the undo to tell which side of it", Reason.CONFLICTING)
        case "later" if use.match is Match.CANARY and who in (Who.VENDOR, Who.ACCOUNT):
            out.breach(f"{what}, with the canary's context, after our own principal was stably denied")
        case "later" if use.match is Match.CANARY:
            out.doubt(f"{what}, with the canary's context, while the sentinel was denied", Reason.CONFLICTING)
        case "later":
            out.doubt(
                f"{what}, with a context that is {use.match}: the restriction may not have met it", Reason.CONFLICTING
            )


def _later(use: WindowUse, facts: RevocationFacts, denied_us: int) -> Literal["later", "never", "unclear"]:
    """`later`: surely after stable denial and before the undo. `unclear`: the last one may be after the undo."""
    slack = timedelta(microseconds=facts.clock_us)
    denied = facts.began + timedelta(microseconds=denied_us) + slack
    until: datetime | None = facts.undoing.at - slack if isinstance(facts.undoing, Mark) else None
    if any(denied < time and (until is None or time < until) for time in (use.first, use.last)):
        return "later"
    return "never" if use.last <= denied else "unclear"


def _who(principal: str, facts: RevocationFacts) -> Who:
    agreed = facts.agreed
    named = aws_named if facts.provider == "aws" else gcp_named
    if named(principal, agreed.vendor):
        return Who.VENDOR
    if named(principal, (*agreed.users, *facts.ours)):
        return Who.OURS
    if named(principal, (*agreed.administrators, *agreed.readers)):
        return Who.CUSTOMER
    declared = (*agreed.vendor, *agreed.users)
    if facts.provider == "gcp":
        return Who.UNCLEAR if names_many(declared) else Who.NOBODY
    return Who.ACCOUNT if principal in _accounts(declared) else Who.NOBODY


def _accounts(names: Iterable[str]) -> frozenset[str]:
    return frozenset(account for name in names if (account := account_of(name)))
