"""What the customer's log says of a rotation drill: whether it is whole, and whether data keys were made under the new
material. Pure.

A vendor that writes under new material must have had a data key wrapped under it: by GenerateDataKey, Encrypt or
ReEncrypt, after the rotation. A log that is whole and shows none proves that it did not.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from probes.keys.principals import account_of, aws_named, gcp_named
from probes.keys.rotation_facts import LoggedUse, LoggedUses, RotationFacts

Callers: TypeAlias = Literal["named", "account"]

WRAPS: Final = (
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "Encrypt",
    "ReEncrypt",
    "RawEncrypt",
)
"""Operations, of both clouds, that wrap something under a key's current material."""


class Caller(StrEnum):
    """Whose call it was, by the contract's annex."""

    VENDOR = "vendor"
    ACCOUNT = "account"
    """Only the account of one of the vendor's principals is named."""
    OURS = "ours"
    OTHER = "other"


def caller(principal: str, facts: RotationFacts) -> Caller:
    """Who called."""
    named = aws_named if facts.provider == "aws" else gcp_named
    vendor = facts.agreed.vendor
    if named(principal, vendor):
        return Caller.VENDOR
    if named(principal, (*facts.agreed.users, *facts.ours)):
        return Caller.OURS
    if facts.provider == "aws" and principal in {account_of(name) for name in vendor}:
        return Caller.ACCOUNT
    return Caller.OTHER


def wraps(facts: RotationFacts) -> tuple[LoggedUse, ...]:
    """Data keys that somebody else than we had wrapped."""
    uses = facts.log.uses if isinstance(facts.log, LoggedUses) else ()
    return tuple(use for use in uses if use.operation in WRAPS and caller(use.principal, facts) is not Caller.OURS)


def slack(facts: RotationFacts) -> timedelta:
    """What our clock and the log's can differ by."""
    return timedelta(microseconds=facts.clock_us)


def wall(facts: RotationFacts, us: int) -> datetime:
    """A moment of the drill by our own wall clock."""
    return facts.began + timedelta(microseconds=us)


def wrapped_by(facts: RotationFacts, material: str, us: int) -> bool:
    """Whether anybody else may have had something wrapped under this material by then. An entry that names no material
    may be one."""
    until = wall(facts, us) + slack(facts)
    return any(use.material in (material, None) and use.first <= until for use in wraps(facts))


def accounted(facts: RotationFacts, material: str, callers: Callers) -> frozenset[int]:
    """Starts of the writes that the log alone accounts for: while this write went on, and no other, the vendor had
    something wrapped under this material. Only on a key of canaries alone, where nobody else's write is taken for
    it."""
    if not facts.canary:
        return frozenset()
    accepted = {Caller.VENDOR} | ({Caller.ACCOUNT} if callers == "account" else set())
    theirs = [use for use in wraps(facts) if use.material == material and caller(use.principal, facts) in accepted]
    times = {time for use in theirs for time in (use.first, use.last, *use.times)}
    spans = [
        (wall(facts, write.at_us) - slack(facts), wall(facts, write.end_us) + slack(facts), write.at_us)
        for write in facts.writes
    ]
    found: set[int] = set()
    for time in times:
        meant = [at for start, end, at in spans if start <= time <= end]
        if len(meant) == 1:
            found.update(meant)
    return frozenset(found)
