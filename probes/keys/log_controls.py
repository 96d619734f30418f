"""Controls over the customer's own log: whether uses are logged, and what the log says of them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Duration
from keycheck.model.verdict import Reason, Verdict, inconclusive, passed
from probes.keys.aspects import Aspect
from probes.keys.facts import AwsTrail, EventFacts, KeyLogFacts, KeyUse, LoggingFacts
from probes.keys.key_control import CAVEAT, day, days, settle, shown, undeclared, unread
from probes.keys.operations import kind_of
from probes.keys.principals import account_of, aws_named, gcp_named, names_many
from probes.keys.subjects import Agreed


class LogControl(Control):
    """Base of the controls over a key's log."""

    needs: ClassVar[tuple[type[Facts], ...]] = (KeyLogFacts,)
    section: ClassVar[str] = "keys"
    caveat: ClassVar[str] = CAVEAT
    reads: ClassVar[frozenset[Aspect]] = frozenset()


class Logging(LogControl, id="keys.logging", version=1):
    """Every use of the key is logged, for everybody."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.LOGGING})
    proves = (
        "AWS: a CloudTrail trail that covers the key's Region was logging, keeps read management events (Decrypt is "
        "one), leaves KMS in, signs digests of its files, and states no error in delivering them. Google Cloud: Data "
        "Access logs (DATA_READ) for Cloud KMS are on at some level from the project up, and no principal is exempted "
        "at any."
    )
    does_not_prove = (
        "That the log was on yesterday, that its files are kept, or that somebody reads them. Cross-account denials "
        "are logged with the caller only. Google Cloud: that no sink leaves entries out, and how long they are kept, "
        "is not read."
    )
    example = "{control: keys.logging@1, for: keys}"
    sources = (
        "AWS CloudTrail User Guide: Logging management events, Excluding AWS KMS events, Log file integrity validation",
        "Cloud Audit Logs: Configure Data Access audit logs (exempted principals); Cloud KMS audit logging",
    )

    def judge(self, facts: KeyLogFacts) -> Verdict:
        """One good trail is enough for AWS; for Google Cloud every level counts, because each may exempt."""
        seen = facts.logging
        if isinstance(seen, Unseen):
            return unread("what is logged", seen)
        return _trails(seen, facts.place) if facts.provider == "aws" else _audit(seen)


def _trails(seen: LoggingFacts, region: str) -> Verdict:
    good = [trail for trail in seen.trails if not _lacks(trail) and trail.management != "unknown"]
    if good:
        return passed(f"trail {shown(trail.name for trail in good)} logs KMS events in {region}, with validation")
    doubts = [] if seen.complete else [inconclusive(Reason.NOT_COVERED, f"not every trail was read: {seen.why_not}")]
    doubts += [
        inconclusive(Reason.NOT_COVERED, f"which management events trail {trail.name} keeps is not known")
        for trail in seen.trails
        if trail.management == "unknown" and not _lacks(trail)
    ]
    faults = [f"trail {trail.name} {', '.join(_lacks(trail))}" for trail in seen.trails]
    # Another trail, unread, may do what these do not.
    breaches = [] if doubts else faults or [f"no trail covers {region}: no use of the key is kept"]
    return settle(breaches, doubts, passed())


def _lacks(trail: AwsTrail) -> list[str]:
    return [
        words
        for is_so, words in (
            (not trail.logging, "is not logging"),
            (trail.management == "write", "keeps write events only, and Decrypt is a read event"),
            (trail.management == "none", "keeps no management events"),
            (trail.excludes_kms, "leaves KMS events out"),
            (not trail.validation, "has no log file validation"),
            (trail.delivery_error is not None, f"cannot deliver its files ({trail.delivery_error})"),
        )
        if is_so
    ]


def _audit(seen: LoggingFacts) -> Verdict:
    on = [level for level in seen.audit if level.data_read]
    breaches = [
        f"uses by {shown(level.exempted)} are not logged: exempted on {level.resource}"
        for level in seen.audit
        if level.exempted
    ]
    doubts: list[Verdict] = []
    if not seen.complete:
        doubts.append(
            inconclusive(Reason.NOT_COVERED, f"not every level's audit configuration was read: {seen.why_not}")
        )
    elif not on:
        breaches.append("no level has DATA_READ on for Cloud KMS: uses of the key are not logged")
    return settle(
        breaches,
        doubts,
        passed(f"DATA_READ is on for Cloud KMS on {shown(level.resource for level in on)}, and nobody is exempted"),
    )


class Use(LogControl, id="keys.use", version=1):
    """Every use in the log came from an agreed principal, from an agreed place, over TLS 1.3."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.EVENTS})
    proves = (
        "The log of the last `over`, as the cloud keeps it, was read whole: every successful use of the key was by the "
        "vendor's principals or the users that the deployment declares, from networks that it declares, and over TLS "
        "1.3 where the log states the version. At least one such use was seen."
    )
    does_not_prove = (
        "Uses that are not logged, or not yet; uses by exempted principals; denials across accounts, which only the "
        "caller's account logs; use of data keys that somebody still holds. Google does not log the TLS version, and "
        "its log is read as it is kept: how long its buckets keep entries, and what its sinks leave out, is not read. "
        "Failed attempts, and changes to the key by others than its administrators, are shown and not judged."
    )
    example = "{control: keys.use@1, for: keys, with: {over: P30D, tls: always}}"
    sources = (
        "AWS KMS Developer Guide: Logging AWS KMS API calls with AWS CloudTrail",
        "AWS CloudTrail User Guide: record contents (userIdentity, sourceIPAddress, tlsDetails)",
        "Cloud KMS audit logging; AuditLog (authenticationInfo, requestMetadata)",
    )

    over: Annotated[Duration, Tighter("higher")]
    """How far back from the time of looking; older entries are not judged."""
    tls: Annotated[Literal["always", "where-logged"], Tighter("order", ("where-logged", "always"))] = "always"
    """`always`: a use whose TLS version the log does not state is not proved."""
    callers: Annotated[Literal["named", "account"], Tighter("order", ("account", "named"))] = "named"
    """`account`: of callers in another account, whom CloudTrail may show by their account only, it is enough that the
    account is that of a declared principal. Who in it may use the key is then for keys.policy alone to judge."""

    def judge(self, facts: KeyLogFacts) -> Verdict:
        """Each kind of use by itself; what failed is only counted."""
        events = facts.events
        if isinstance(events, Unseen):
            return unread("the log", events)
        start = facts.looked - self.over
        recent = [use for use in events.uses if use.last >= start]
        doubts = self._coverage(events, start)
        breaches: list[str] = []
        worked: list[KeyUse] = []
        for use in recent:
            kind = kind_of(facts.provider, use.operation)
            if use.error is None and kind == "use":
                worked.append(use)
                self._one(use, facts, breaches, doubts)
            elif use.error is None and kind == "unknown":
                doubts.append(
                    inconclusive(
                        Reason.UNSUPPORTED, f"{use.principal} did {use.operation}, which keycheck does not know"
                    )
                )
        if not worked:
            doubts.append(inconclusive(Reason.NO_POSITIVE, f"no use of the key in {days(self.over)} is in the log"))
        failures = _managed(recent, facts) + _failures(recent)
        if any(_only_account(use.principal) for use in worked):
            failures = f"; the log names callers of other accounts by their account only{failures}"
        count = sum(use.count for use in worked)
        words = (
            f"{count} uses until {day(events.until)}, by {shown(_named(use.principal) for use in worked)},"
            " from agreed places"
        )
        if worked and all(use.tls_version is not None for use in worked):
            words += ", over TLS 1.3"
        elif worked:
            words += "; the log does not state the TLS version of every use"
        if facts.provider == "gcp":
            words += "; the log as it is kept: retention and exclusions of its sinks are not read"
        verdict = settle(breaches, doubts, passed(words))
        return Verdict(verdict.kind, verdict.reasons, verdict.message + failures)

    def _coverage(self, events: EventFacts, start: datetime) -> list[Verdict]:
        doubts: list[Verdict] = []
        if not events.complete:
            doubts.append(inconclusive(Reason.NOT_COVERED, f"the log was not read whole: {events.why_not}"))
        if events.since > start:
            doubts.append(
                inconclusive(
                    Reason.NOT_COVERED, f"the log was read from {day(events.since)} only, not from {day(start)}"
                )
            )
        return doubts

    def _whose(self, use: KeyUse, facts: KeyLogFacts) -> str | Verdict | None:
        """Why the principal is none of the agreed: words for a breach, a doubt, or None where it is one."""
        allowed = (*facts.agreed.vendor, *facts.agreed.users)
        if not allowed:
            return undeclared(f"{use.principal} did {use.operation}, and who may was not declared", "vendor")
        if facts.provider == "gcp":
            if gcp_named(use.principal, allowed):
                return None
            if many := names_many(allowed):
                return inconclusive(Reason.NOT_COVERED, f"whether {use.principal} is in {shown(many)} is not known")
            return "not a declared principal"
        if aws_named(use.principal, allowed):
            return None
        if _only_account(use.principal) and use.principal in {account_of(name) for name in allowed}:
            if self.callers == "account":
                return None
            return inconclusive(
                Reason.NOT_COVERED,
                f"the log names the caller of {use.operation} by its account {use.principal} only, which is that of a "
                "declared principal: ask for the caller's own log, or accept it with callers: account",
            )
        return "not a declared principal"

    def _one(self, use: KeyUse, facts: KeyLogFacts, breaches: list[str], doubts: list[Verdict]) -> None:
        what = f"{_named(use.principal)} did {use.operation} {use.count} times, last {use.last:%Y-%m-%d %H:%M} UTC"
        who = self._whose(use, facts)
        if isinstance(who, Verdict):
            doubts.append(who)
        elif who is not None:
            breaches.append(f"{what}: {who}")
        place = _whence(use, facts.agreed)
        if isinstance(place, Verdict):
            doubts.append(place)
        elif place is not None:
            breaches.append(f"{what}: {place}")
        if use.tls_version is None:
            if self.tls == "always":
                doubts.append(inconclusive(Reason.NOT_COVERED, f"the log does not state the TLS version of {what}"))
        elif use.tls_version != "TLSv1.3":
            breaches.append(f"{what}: over {use.tls_version}")


def _only_account(principal: str) -> bool:
    """How a caller of another account stands in the log when it is not named."""
    return principal.isascii() and principal.isdigit()


def _named(principal: str) -> str:
    return f"account {principal}" if principal.isdecimal() else principal


def _whence(use: KeyUse, agreed: Agreed) -> str | Verdict | None:
    """Why the source is none of the agreed: words for a breach, a doubt, or None where it is one."""
    if not agreed.sources:
        return undeclared("where uses may come from was not declared", "sources")
    if use.source is None:
        return inconclusive(
            Reason.NOT_COVERED, f"the log does not state where {use.operation} by {use.principal} came from"
        )
    address = _address(use.source)
    if address is None:
        return inconclusive(
            Reason.NOT_COVERED, f"{use.operation} by {use.principal} came through {use.source}, which is no address"
        )
    if any(address in ipaddress.ip_network(network) for network in agreed.sources):
        return None
    return f"from {use.source}, which is not agreed"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _managed(uses: Sequence[KeyUse], facts: KeyLogFacts) -> str:
    """Changes to the key by others than its administrators, in words: no uses, and so shown and not judged."""
    named = gcp_named if facts.provider == "gcp" else aws_named
    changes = [
        use
        for use in uses
        if use.error is None
        and kind_of(facts.provider, use.operation) == "manage"
        and not named(use.principal, facts.agreed.administrators)
    ]
    if not changes:
        return ""
    who = shown(f"{_named(use.principal)} ({use.operation.rpartition('.')[2]})" for use in changes)
    return f"; {sum(use.count for use in changes)} changes to the key by others than its administrators: {who}"


def _failures(uses: Sequence[KeyUse]) -> str:
    failed = [use for use in uses if use.error is not None]
    if not failed:
        return ""
    who = shown(f"{use.principal} ({use.error})" for use in failed)
    return f"; {sum(use.count for use in failed)} attempts failed, by {who}"
