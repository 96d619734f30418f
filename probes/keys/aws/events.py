"""CloudTrail events about a key, counted in groups of alike ones. Pure: events in, facts out.

An event is taken only when it says itself that it is about this key, in its Region, in the log of its account.
Source: CloudTrail user guide, "record contents"; KMS developer guide, "Examples of CloudTrail log entries".
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import Count, parse_instant, vendor_text
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    members,
    structure,
    text,
    text_or_none,
)
from probes.keys.facts import EventFacts, KeyUse

MAX_EVENT: Final = 512 * 1024
"""Characters of one event; CloudTrail's own limit is 256 KB."""
MAX_GROUPS: Final = 500
"""Kinds with the names in their contexts, which whoever makes a call chooses freely; as many again without these."""
MAX_LATECOMERS: Final = 200
"""Kinds that are kept even then, one for each principal that would not appear otherwise."""
MAX_CONTEXT: Final = 64
MAX_NAME: Final = 100
"""Characters of one name in a context."""
MORE: Final = "…"
"""Stands for the names in a context that are not kept."""
MAX_SIZE: Final = 768 * 1024
"""Bytes of all groups: they stand in one line of evidence."""
_GROUP: Final = 400
"""Bytes of a group beside its texts."""
MAX_KEPT: Final = 32 * 2**20
"""Bytes of events that are kept for their digest."""
DELIVERY: Final = timedelta(minutes=15)
"""CloudTrail shows events typically within this time."""
_TOLERANCE: Final = timedelta(seconds=1)
"""Events carry whole seconds."""
_KMS: Final = re.compile(r"kms\.amazonaws\.(?:com|com\.cn|eu)")
_ASSUMED: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.*")


@dataclass(frozen=True, slots=True)
class Alike:
    """What events of one group have in common."""

    operation: str
    principal: str
    account: str | None
    source: str | None
    via: str | None
    tls_version: str | None
    key_exchange: str | None
    error: str | None
    context_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One event about the key."""

    id: str
    at: datetime
    alike: Alike


@dataclass(slots=True)
class _Group:
    count: int
    first: datetime
    last: datetime


@dataclass(slots=True)
class Tally:
    """Adds events up. `add` takes what LookupEvents gives, one at a time."""

    key: KmsArn
    since: datetime
    until: datetime
    entries: int = 0
    unreadable: int = 0
    elsewhere: int = 0
    """Events of other services that name the key, such as a bucket's settings: no uses."""
    ungrouped: int = 0
    simplified: int = 0
    """Entries whose contexts' names are not kept."""
    kept: list[bytes] = field(default_factory=list)
    _ids: dict[str, bytes] = field(default_factory=dict)
    """What each was about, as a digest."""
    _groups: dict[Alike, _Group] = field(default_factory=dict)
    _principals: set[str] = field(default_factory=set)
    _grouped: int = 0
    """Bytes of the groups."""
    _size: int = 0

    def add(self, entry: Answer) -> None:
        """One entry of an answer to LookupEvents."""
        written = entry.get("CloudTrailEvent")
        if not isinstance(written, str) or len(written) > MAX_EVENT:
            self.unreadable += 1
            return
        self._keep(written)
        try:
            event = parse_event(written, self.key)
        except MalformedError:
            self.unreadable += 1
            return
        if event is None:
            self.elsewhere += 1
            return
        if not self.since - _TOLERANCE <= event.at <= self.until + _TOLERANCE:
            self.unreadable += 1
            return
        about = hashlib.sha256(repr(event).encode("utf-8", "backslashreplace")).digest()
        known = self._ids.get(event.id)
        if known is not None:
            # Two events under one id: at most one of them is CloudTrail's.
            self.unreadable += known != about
            return
        self._ids[event.id] = about
        self.entries += 1
        self._count(event)

    def _count(self, event: Event) -> None:
        alike = event.alike
        plain = replace(alike, context_keys=(MORE,)) if alike.context_keys else alike
        if self._joins(alike, event, MAX_GROUPS, MAX_SIZE // 2):
            return
        # A flood of kinds must not hide who called, from where and how.
        if self._joins(plain, event, 2 * MAX_GROUPS, MAX_SIZE * 3 // 4) or (
            event.alike.principal not in self._principals
            and self._joins(plain, event, 2 * MAX_GROUPS + MAX_LATECOMERS, MAX_SIZE)
        ):
            self.simplified += plain != alike
            return
        self.ungrouped += 1

    def _joins(self, alike: Alike, event: Event, groups: int, size: int) -> bool:
        """Whether the event could be counted in a group, an old one or, within these bounds, a new one."""
        group = self._groups.get(alike)
        if group is not None:
            group.count += 1
            group.first, group.last = min(group.first, event.at), max(group.last, event.at)
            return True
        cost = _GROUP + _size_of(alike)
        if len(self._groups) >= groups or self._grouped + cost > size:
            return False
        self._grouped += cost
        self._principals.add(alike.principal)
        self._groups[alike] = _Group(1, event.at, event.at)
        return True

    def _keep(self, written: str) -> None:
        content = written.encode("utf-8", "surrogatepass")
        self._size += len(content)
        if self._size <= MAX_KEPT:
            self.kept.append(content)

    def facts(self, short: Unseen | None) -> EventFacts:
        """What was counted. `short`: why the listing is not complete."""
        gaps = [] if short is None else [f"{short.reason}: {short.detail}"]
        if self.unreadable:
            gaps.append(f"{self.unreadable} entries could not be read or are not about this key in this time")
        if self.ungrouped:
            gaps.append(f"{self.ungrouped} entries are of more kinds than the {len(self._groups)} that are kept")
        if self.simplified:
            gaps.append(
                f"of {self.simplified} entries the names in the encryption context are not kept: too many kinds"
            )
        if self._size > MAX_KEPT:
            gaps.append(f"more than {MAX_KEPT} bytes of entries: not all are kept")
        return EventFacts(
            since=self.since,
            until=max(self.since, self.until - DELIVERY),
            complete=not gaps,
            why_not=vendor_text("; ".join(gaps)),
            entries=self.entries,
            uses=tuple(_use(alike, group) for alike, group in sorted(self._groups.items(), key=_order)),
        )


def parse_event(written: str, key: KmsArn) -> Event | None:
    """One event; None when another service than KMS wrote it. Raises MalformedError, also for one about another key."""
    event = structure("the event", _load(written))
    if _KMS.fullmatch(text(event, "eventSource")) is None:
        return None
    if text(event, "awsRegion") != key.region or text(event, "recipientAccountId") != key.account:
        raise MalformedError("an event of another Region or account")
    if str(key) not in [resource.get("ARN") for resource in children(event, "resources")]:
        raise MalformedError("an event about another key")
    try:
        at = parse_instant(event.get("eventTime"))
    except ValueError as error:
        raise MalformedError("eventTime is no time") from error
    identity = child_or_none(event, "userIdentity") or {}
    tls = child_or_none(event, "tlsDetails") or {}
    principal = principal_of(identity)
    invoked = text_or_none(identity, "invokedBy")
    return Event(
        text(event, "eventID"),
        at,
        Alike(
            operation=text(event, "eventName"),
            principal=principal,
            account=text_or_none(identity, "accountId"),
            source=text_or_none(event, "sourceIPAddress"),
            via=None if invoked == principal else invoked,
            tls_version=text_or_none(tls, "tlsVersion"),
            key_exchange=text_or_none(tls, "keyExchange"),
            error=text_or_none(event, "errorCode"),
            context_keys=_context_keys(event),
        ),
    )


def principal_of(identity: Answer) -> str:
    """Who made the call, as policies name it.

    A session of a role becomes the role. Its ARN leaves out the role's path, so the issuer's is taken when the event
    names a matching one; without it a role `arn:…:role/path/name` appears as `arn:…:role/name`. A caller of another
    account whom its log does not name appears as the account's twelve digits, and a service as its own name.
    """
    arn = text_or_none(identity, "arn")
    if arn is None:
        # A service may have called on behalf of another account: that account, and not the service, is the caller.
        first = "accountId" if text_or_none(identity, "type") == "AWSAccount" else "invokedBy"
        for name in (first, "invokedBy", "accountId", "principalId", "type"):
            if value := text_or_none(identity, name):
                return value
        raise MalformedError("userIdentity names nobody")
    session = _ASSUMED.fullmatch(arn)
    if session is None:
        return arn
    plain = f"arn:{session['partition']}:iam::{session['account']}:role/"
    context = child_or_none(identity, "sessionContext") or {}
    issuer = text_or_none(child_or_none(context, "sessionIssuer") or {}, "arn")
    if issuer is not None and issuer.startswith(plain) and issuer.rpartition("/")[2] == session["role"]:
        return issuer
    return plain + session["role"]


def _context_keys(event: Answer) -> tuple[str, ...]:
    parameters = child_or_none(event, "requestParameters") or {}
    context = parameters.get("encryptionContext")
    if not isinstance(context, dict):
        # Absent, or withheld by CloudTrail as a text.
        return ()
    # The caller chooses the names, so none of them may make the event unreadable.
    names = sorted(vendor_text(name, MAX_NAME) for name in context)
    return tuple(names if len(names) <= MAX_CONTEXT else [*names[:MAX_CONTEXT], MORE])


def _size_of(alike: Alike) -> int:
    texts = (alike.operation, alike.principal, alike.account, alike.source, alike.via, alike.tls_version)
    more = (alike.key_exchange, alike.error, *alike.context_keys)
    return sum(len(json.dumps(value, ensure_ascii=False).encode()) + 1 for value in (*texts, *more))


def _load(written: str) -> object:
    try:
        # Numbers are of no interest; as texts they cannot be huge.
        value: object = json.loads(written, object_pairs_hook=members, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError("not JSON") from error
    return value


def _order(item: tuple[Alike, _Group]) -> tuple[str, ...]:
    alike, group = item
    return (
        group.first.isoformat(),
        alike.operation,
        alike.principal,
        *(value or "" for value in (alike.source, alike.via, alike.tls_version, alike.key_exchange, alike.error)),
        *alike.context_keys,
    )


def _use(alike: Alike, group: _Group) -> KeyUse:
    count: Count = group.count
    return KeyUse(
        operation=alike.operation,
        principal=alike.principal,
        account=alike.account,
        source=alike.source,
        via=alike.via,
        tls_version=alike.tls_version,
        key_exchange=alike.key_exchange,
        error=alike.error,
        justification=None,
        context_keys=alike.context_keys,
        count=count,
        first=group.first,
        last=group.last,
    )
