"""What the key's own log says about the canary's context. Values are compared in memory and never kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.clients import api
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import MalformedError, children, parsing, text_or_none
from probes.keys.aws.events import MAX_EVENT, Event, parse_event
from probes.keys.aws.operations import OPERATIONS
from probes.keys.aws.trail import right_account
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_trail_files import in_files, of_source
from probes.keys.drill.canary import RESERVED, Canary
from probes.keys.principals import account_of, aws_named
from probes.keys.subjects import Agreed, Key

READS: Final = frozenset({"Decrypt", "ReEncrypt"})
USES: Final = READS | {
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
}
_CONTEXTS: Final = ("encryptionContext", "sourceEncryptionContext", "destinationEncryptionContext")
_MAX_EVENTS: Final = 20_000
_PAGE: Final = 50
_NAMED: Final = 5
"""Strangers that are named."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """CloudTrail's entries about the key in one Region, as they are. For use in memory alone."""

    arn: KmsArn
    since: datetime
    until: datetime
    entries: tuple[str, ...] = field(repr=False)
    complete: bool
    why_not: str
    sources: tuple[tuple[str, ...], ...] = field(default=(), repr=False)
    """The entries by where they were read, where that was more than the event history."""

    def apart(self) -> tuple[tuple[str, ...], ...]:
        """The entries of each source."""
        return self.sources or (self.entries,)


@dataclass(frozen=True, slots=True)
class ContextUse:
    """How the vendor's successful calls carry the canary's context. Counts and names, no values."""

    reads: int
    """Decryptions by the vendor that carry all pairs, since the canary was planted."""
    shared: int
    """Calls that carry all pairs and were made before there was a canary."""
    bare: int
    """Calls of the vendor in which no context can be seen."""
    further: tuple[str, ...]
    """Names in matching calls that may tell other records apart, as they carry values that are not the canary's."""
    strangers: tuple[str, ...]
    """Who used the key and is not agreed."""
    unreadable: int
    calls: int
    """Successful uses by the vendor."""


def recent(subject: Key, arn: KmsArn, span: timedelta, io: Io) -> RawLog:
    """The event history of the last `span`, read as the identity that reads the log. Raises ProbeError."""
    operation = "cloudtrail:LookupEvents"
    ref, until = subject.identities.log, io.clock()
    since = until - span
    right_account(api(io, ref, arn.partition, arn.region, OPERATIONS), arn)
    reader = hand(io, ref, arn)

    def fetch(token: str | None) -> Page[str]:
        asked: dict[str, Any] = {"StartTime": since, "EndTime": until, "MaxResults": _PAGE}
        asked["LookupAttributes"] = [{"AttributeKey": "ResourceName", "AttributeValue": str(arn)}]
        if token is not None:
            asked["NextToken"] = token
        answer = reader.ask(operation, arn.region, **asked)
        with parsing(operation):
            found = children(answer, "Events", required=True)
            bodies = tuple(str(item.get("CloudTrailEvent", "")) for item in found)
            return Page(bodies, text_or_none(answer, "NextToken") or None)

    listing = collect(operation, fetch, max_pages=_MAX_EVENTS // _PAGE + 1, max_items=_MAX_EVENTS)
    short = listing.short
    why = "" if short is None else vendor_text(f"{short.reason}: {short.detail}")
    return RawLog(arn, since, until, tuple(listing.items), short is None, why)


def with_files(log: RawLog, subject: Key, io: Io) -> RawLog:
    """The event history, and beside it the files that `drill.logs` names, for the same time. Raises nothing.

    It is complete only when every source is whole, so that naming one more never makes a log look better. Two more
    things make it incomplete: what two sources tell differently of one event, and events that files hold and a whole
    event history does not. At most one of them is CloudTrail's, or the history is late.
    """
    named = subject.drill.logs if subject.drill is not None else ()
    if not named:
        return log
    files = [in_files(source, log.arn, (log.since, io.clock()), subject, io, len(named)) for source in named]
    sources = (log.entries, *(tuple(each.records) for each in files))
    gaps = [log.why_not] if not log.complete else []
    gaps += [words for each in files for words in of_source(each)]
    united = _United(log)
    for number, source in enumerate(sources):
        for written in source:
            united.add(written, of_history=number == 0)
    if united.contradictions:
        gaps.append(f"two sources tell differently of {len(united.contradictions)} events")
    if united.alone and log.complete:
        gaps.append(f"{united.alone} events are in files and not in the event history")
    return replace(
        log,
        entries=tuple(united.entries),
        complete=not gaps,
        why_not=vendor_text("; ".join(gaps)),
        sources=sources,
    )


@dataclass(slots=True)
class _United:
    """Every event once."""

    log: RawLog
    entries: list[str] = field(default_factory=list)
    contradictions: set[str] = field(default_factory=set)
    alone: int = 0
    """Events of the history's time that files alone hold."""
    known: dict[str, tuple[Event, list[Mapping[str, str]]]] = field(default_factory=dict)

    def add(self, written: str, *, of_history: bool) -> None:
        """One more. What cannot be read stays, for whoever counts it."""
        try:
            event = entry_of(written, self.log.arn)
        except MalformedError:
            event = None
        if event is None:
            self.entries.append(written)
            return
        told = (event, list(contexts(written)))
        first = self.known.setdefault(event.id, told)
        if first is told:
            self.entries.append(written)
            self.alone += not of_history and event.at >= self.log.since
        elif first != told:
            self.contradictions.add(event.id)


def entry_of(written: str, arn: KmsArn) -> Event | None:
    """What an entry says of the key; None: it is about something else. Raises MalformedError, also for one that is too
    long: what is not read must be told."""
    if len(written) > MAX_EVENT:
        raise MalformedError("it is too long")
    return parse_event(written, arn)


def uses_of(logs: Sequence[RawLog], gaps: list[str]) -> Iterator[tuple[str, Event]]:
    """Uses of the key and their entries, each once a Region. Adds to `gaps` what could not be read."""
    for log in logs:
        known: set[str] = set()
        for written in log.entries:
            try:
                event = entry_of(written, log.arn)
            except MalformedError as error:
                gaps.append(f"{log.arn.region}: an entry cannot be read: {error}")
                continue
            if event is None or event.id in known or event.alike.operation not in USES:
                continue
            known.add(event.id)
            yield written, event


def context_use(log: RawLog, agreed: Agreed, canary: Canary | None) -> ContextUse:
    """What the log of one Region says. Pure; without a canary nothing matches."""
    seen = _Seen()
    known: set[str] = set()
    for written in log.entries:
        try:
            event = entry_of(written, log.arn)
        except MalformedError:
            event = None
            seen.unreadable += 1
        if event is None or event.id in known or event.alike.error is not None or event.alike.operation not in USES:
            continue
        known.add(event.id)
        vendor = _is_vendor(event.alike.principal, agreed, log.arn)
        if not vendor and _is_ours(event.alike.principal, agreed):
            continue
        if not vendor:
            seen.strangers.add(event.alike.principal)
        seen.calls += vendor
        carried = tuple(contexts(written))
        seen.bare += vendor and not carried
        if canary is not None:
            for context in carried:
                _match(seen, event, context, canary, vendor)
    return ContextUse(
        seen.reads,
        seen.shared,
        seen.bare,
        tuple(sorted(seen.further)),
        tuple(sorted(seen.strangers))[:_NAMED],
        seen.unreadable,
        seen.calls,
    )


@dataclass(slots=True)
class _Seen:
    reads: int = 0
    shared: int = 0
    bare: int = 0
    calls: int = 0
    unreadable: int = 0
    further: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)


def _match(seen: _Seen, event: Event, context: Mapping[str, str], canary: Canary, vendor: bool) -> None:
    given = {name.lower(): value for name, value in context.items()}
    if any(given.get(name.lower()) != value for name, value in canary.pairs):
        return
    if event.at < canary.planted - timedelta(seconds=1):  # events carry whole seconds
        seen.shared += 1
        return
    if vendor and event.alike.operation in READS:
        seen.reads += 1
    own = {name.lower(): value for name, value in canary.context}
    varies = {name.lower() for name in canary.varies}
    for name, value in given.items():
        if name not in varies and not name.startswith(RESERVED) and own.get(name) != value:
            seen.further.add(vendor_text(name, 100))


def contexts(written: str) -> Iterator[Mapping[str, str]]:
    """The contexts of a call that was read before; withheld and empty ones are left out."""
    parameters = json.loads(written, parse_int=str, parse_float=str).get("requestParameters") or {}
    for name in _CONTEXTS:
        found = parameters.get(name)
        if isinstance(found, dict) and found:
            yield {str(key): str(value) for key, value in found.items()}


def request_id(written: str) -> str:
    """The request id of a call that was read before; empty where there is none."""
    found = json.loads(written, parse_int=str, parse_float=str).get("requestID")
    return found if isinstance(found, str) else ""


def _is_vendor(principal: str, agreed: Agreed, arn: KmsArn) -> bool:
    """A caller of another account may stand in the log with its account alone."""
    if aws_named(principal, agreed.vendor):
        return True
    only_account = principal.isdecimal() and principal != arn.account
    return only_account and principal in {account_of(name) for name in agreed.vendor}


def _is_ours(principal: str, agreed: Agreed) -> bool:
    names: Sequence[str] = (*agreed.users, *agreed.administrators, *agreed.readers)
    return aws_named(principal, names)
