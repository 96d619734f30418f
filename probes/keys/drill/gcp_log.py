"""What Cloud Audit Logs say about a drill's keys: the Logging API, and exports that the customer names beside it.

Entries arrive late and in no order; whether silence counts is for the marks to show (`gcp_window`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.names import KeyName, key_name, moment, same_key
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.pages import Page, read_all
from probes.clouds.gcp.session import Session
from probes.keys.gcp import entries as inspected
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.cloud.audit.audit_log_pb2 import AuditLog  # type: ignore[import-untyped]
    from google.cloud.logging_v2.types import LogEntry

USES: Final = frozenset({"Decrypt", "Encrypt", "RawDecrypt", "RawEncrypt"})
"""All of them are DATA_READ in Data Access logs (https://cloud.google.com/kms/docs/audit-logging); GetCryptoKey and the
like are ADMIN_READ, which is switched on by itself and so says nothing about uses."""
SERVICE: Final = "cloudkms.googleapis.com"
DATA_ACCESS: Final = "data_access"
_PAGE: Final = 500
_AHEAD: Final = timedelta(minutes=1)
"""What the cloud's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class GcpEntry:
    """One audited call on a key. Holds nothing of what was encrypted."""

    id: str
    """Log, insertId and time: entries that agree in them are one (LogEntry, `insertId`)."""
    at: datetime
    log: str
    """`data_access` or `activity`."""
    operation: str
    """`Decrypt`."""
    principal: str
    """As IAM writes it; empty where the log names nobody: in the log of a read that was denied, callers other than
    service accounts of the same organization are left out (Cloud Audit Logs, "Caller identities in audit logs")."""
    code: int
    """Of `google.rpc.Code`; 0: the call succeeded."""
    version: str | None = None
    """Number of the version that the entry is about; None: it names the key alone."""


@dataclass(frozen=True, slots=True)
class GcpRawLog:
    """Entries about one key, by the places that they were read from. For use in memory alone."""

    key: KeyName
    canary: bool
    """It is the canary's CryptoKey, and every use is one of a canary."""
    since: datetime
    until: datetime
    sources: tuple[tuple[GcpEntry, ...], ...] = field(repr=False)
    complete: bool
    why_not: str

    def entries(self) -> tuple[GcpEntry, ...]:
        """Of all sources, each once; what has no id cannot be known again, and is one of its own."""
        known: set[str] = set()
        found: list[GcpEntry] = []
        for entry in (entry for source in self.sources for entry in source):
            if not entry.id or entry.id not in known:
                found.append(entry)
            known.add(entry.id)
        return tuple(found)


def recent(subject: Key, keys: Sequence[KeyName], span: timedelta, io: Io) -> Sequence[GcpRawLog]:
    """What the Logging API says of the last `span` about each key, read as the identity that reads the log. Only
    entries of the logs that Google alone writes are taken. Raises ProbeError."""
    until = io.clock()
    return between(subject, keys, (until - span, until + _AHEAD), io)


def between(subject: Key, keys: Sequence[KeyName], window: tuple[datetime, datetime], io: Io) -> Sequence[GcpRawLog]:
    """The same of any time. Raises ProbeError."""
    session = Session(clients.identity_of(subject.identities.log, io), io)
    named = subject.drill.canary_key if subject.drill is not None else None
    logs = []
    for key in keys:
        found = _listed(key, window, session)
        gaps = found.words("Cloud Logging")
        logs.append(
            GcpRawLog(
                key=key,
                canary=named is not None and same_key(named, key),
                since=window[0],
                until=window[1],
                sources=(tuple(found.entries.values()),),
                complete=not gaps,
                why_not=vendor_text("; ".join(gaps)),
            )
        )
    return logs


def with_files(logs: Sequence[GcpRawLog], subject: Key, io: Io) -> Sequence[GcpRawLog]:
    """What the Logging API says, and beside it the exports that `drill.logs` names, for the same time. Raises nothing
    but ProbeError for an identity that cannot be used.

    A log is complete only when every source is whole, so that naming one more never makes it look better; and what two
    sources tell differently of one entry makes it incomplete. Entries that an export alone holds are no contradiction:
    a project may keep its uses in nothing but an export.
    """
    named = subject.drill.logs if subject.drill is not None else ()
    if not named:
        return logs
    session = Session(clients.identity_of(subject.identities.log, io), io)
    return [_extended(log, subject, session) for log in logs]


def entry_of(key: KeyName, log_name: str, insert: str, stamp: tuple[int, int], audit: AuditLog) -> GcpEntry | None:
    """An audit entry, from wherever it was read; None for one that is not Cloud KMS's own about the key.

    `stamp`: seconds and nanoseconds since 1970. Raises ProbeError(malformed).
    """
    if inspected._OWN_LOG.fullmatch(log_name) is None or audit.service_name != SERVICE:
        return None
    head, _, number = audit.resource_name.partition("/cryptoKeyVersions/")
    if not same_key(head, key):
        return None
    who = audit.authentication_info
    named = bool(who.principal_email or who.principal_subject)
    log = log_name.rpartition("%2F")[2]
    return GcpEntry(
        id=f"|{log_name}|{insert}|{stamp[0]}.{stamp[1]:09}" if insert else "",
        at=moment(_Stamp(*stamp)),
        log=log,
        operation=vendor_text(audit.method_name.rpartition(".")[2], 100),
        principal=inspected.member(who) if named else "",
        code=audit.status.code,
        version=vendor_text(number, 20) or None,
    )


@dataclass(frozen=True, slots=True)
class _Stamp:
    seconds: int
    nanos: int


@dataclass(slots=True)
class Gathered:
    """Entries of one source, each once, and why there may be more."""

    entries: dict[str, GcpEntry] = field(default_factory=dict, repr=False)
    gaps: list[str] = field(default_factory=list)
    unread: int = 0

    def add(self, entry: GcpEntry | None) -> None:
        """One more; an entry without an id is one of its own."""
        if entry is None:
            return
        name = entry.id or f"#{len(self.entries)}"
        known = self.entries.setdefault(name, entry)
        if known != entry:
            self.gaps.append("two different entries have one id")

    def words(self, where: str) -> list[str]:
        """Why it is not whole; empty when it is."""
        unread = [f"{self.unread} entries cannot be read"] if self.unread else []
        return [vendor_text(f"{where}: {gap}") for gap in (*dict.fromkeys(self.gaps), *unread)]


def _extended(log: GcpRawLog, subject: Key, session: Session) -> GcpRawLog:
    from probes.keys.drill.gcp_exports import exported

    named = subject.drill.logs if subject.drill is not None else ()
    window = (log.since, log.until)
    exports = [exported(source, log.key, window, subject, session, len(named)) for source in named]
    sources = (*log.sources, *(tuple(found.entries.values()) for _, found in exports))
    gaps = [log.why_not] if not log.complete else []
    gaps += [words for where, found in exports for words in found.words(where)]
    gaps += _contradictions(sources)
    return replace(log, sources=sources, complete=not gaps, why_not=vendor_text("; ".join(gaps)))


def _contradictions(sources: Iterable[Iterable[GcpEntry]]) -> list[str]:
    known: dict[str, GcpEntry] = {}
    for source in sources:
        for entry in source:
            if entry.id and known.setdefault(entry.id, entry) != entry:
                return ["two sources tell differently of one entry"]
    return []


def _listed(key: KeyName, window: tuple[datetime, datetime], session: Session) -> Gathered:
    """From the Logging API. Raises ProbeError when not even one page comes."""
    from google.cloud.logging_v2.types import ListLogEntriesRequest

    found = Gathered()
    if doubt := inspected._may_see(key.project, session):
        found.gaps.append(doubt)
    if window[1] - window[0] > inspected.RETENTION + _AHEAD:
        found.gaps.append(f"it keeps entries for {inspected.RETENTION.days} days unless somebody set another time")
    client = clients.logs(session.identity, session.io)

    def fetch(token: str) -> Page[None]:
        request = ListLogEntriesRequest(
            resource_names=[f"projects/{key.project}"],
            filter=inspected.query(key, window),
            order_by="timestamp desc",  # where the bounds cut, the newest are known
            page_size=_PAGE,
            page_token=token,
        )
        answer = session.ask(
            Api.LOGGING,
            f"log entries of projects/{key.project}",
            lambda seconds: client.list_log_entries(request=request, retry=None, timeout=seconds),
        )
        if len(answer.entries) > _PAGE:
            raise ProbeError(Reason.MALFORMED, f"a page of more than the {_PAGE} entries that were asked for")
        _take(found, key, answer.entries)
        return Page((None,) * len(answer.entries), answer.next_page_token)

    listing = read_all(fetch, inspected.ENTRIES)
    if isinstance(listing.rest, Unseen):
        found.gaps.append(f"{listing.rest.reason}: {listing.rest.detail}")
    return found


def _take(found: Gathered, key: KeyName, entries: Iterable[LogEntry]) -> None:
    for entry in entries:
        raw = type(entry).pb(entry)
        stamp = (raw.timestamp.seconds, raw.timestamp.nanos)
        if inspected._OWN_LOG.fullmatch(raw.log_name) is None:
            continue
        try:
            audit = inspected.decoded(raw.proto_payload.type_url, raw.proto_payload.value)
            found.add(entry_of(key, raw.log_name, raw.insert_id, stamp, audit))
        except ProbeError:
            found.unread += 1


def keys_of(subject: Key) -> tuple[KeyName, ...]:
    """The canary's CryptoKey and the subject's own, for `recent`. Raises ProbeError(malformed)."""
    named = (subject.drill.canary_key if subject.drill is not None else None, subject.resource)
    return tuple(key_name(resource) for resource in dict.fromkeys(named) if resource is not None)
