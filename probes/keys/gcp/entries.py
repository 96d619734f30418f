"""Audit log entries about a key, counted by who did what from where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob, Disposition
from keycheck.model.types import format_instant, vendor_text
from keycheck.model.verdict import Reason
from probes.keys.facts import EventFacts, KeyUse
from probes.keys.gcp import clients
from probes.keys.gcp.errors import unseen
from probes.keys.gcp.names import KeyName, moment
from probes.keys.gcp.pace import Api
from probes.keys.gcp.pages import Bounds, Page, read_all
from probes.keys.gcp.session import Session

if TYPE_CHECKING:
    from google.cloud.audit.audit_log_pb2 import AuditLog, AuthenticationInfo  # type: ignore[import-untyped]
    from google.cloud.logging_v2.types import LogEntry

ENTRIES: Final = Bounds(pages=40, items=20_000)
_PAGE: Final = 1_000
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of raw entries."""
MAX_USES: Final = 500
"""Kinds of use that are told apart."""
RETENTION: Final = timedelta(days=30)
"""How long the `_Default` bucket, where Data Access entries go, keeps them unless somebody set another time."""
NEEDED: Final = ("logging.logEntries.list", "logging.privateLogEntries.list")
_AUDIT_LOG: Final = "type.googleapis.com/google.cloud.audit.AuditLog"
_NOBODY: Final = "not stated"
_REASON: Final = re.compile(r"^[A-Z][A-Z_]{2,60}$")
"""`CUSTOMER_INITIATED_ACCESS` and the like."""


def event_facts(
    name: KeyName, window: tuple[datetime, datetime], session: Session
) -> tuple[EventFacts | Unseen, tuple[Blob, ...]]:
    """ListLogEntries about the key and its versions. Nothing is raised: what cannot be read is Unseen."""
    try:
        doubt = _may_see(name.project, session)
        tally = _read(name, window, session)
    except ProbeError as error:
        return unseen(error), ()
    since = max(window[0], window[1] - RETENTION)
    why_not = "; ".join(each for each in (doubt, *tally.gaps) if each)
    facts = EventFacts(
        since=since,
        until=window[1],
        complete=not why_not,
        why_not=vendor_text(why_not),
        entries=tally.entries,
        uses=tally.uses(),
    )
    raw = Blob("log-entries", bytes(tally.raw), "application/octet-stream", Disposition.DIGEST_ONLY)
    return facts, (raw,) if tally.raw else ()


def query(name: KeyName, window: tuple[datetime, datetime]) -> str:
    """The filter. The project is left out of the resource's name, because logs may write it by id or by number; keys
    whose names only begin alike are sorted out afterwards."""
    since, until = (format_instant(each) for each in window)
    return (
        'protoPayload.serviceName="cloudkms.googleapis.com"'
        f' AND protoPayload.resourceName:"{name.below_project}"'
        f' AND timestamp>="{since}" AND timestamp<="{until}"'
    )


class Use(NamedTuple):
    """What makes entries alike."""

    operation: str
    principal: str
    account: str | None
    source: str | None
    error: str | None
    justification: str | None


@dataclass(slots=True)
class Tally:
    """Entries as they are counted."""

    name: KeyName
    entries: int = 0
    gaps: list[str] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    _uses: dict[Use, tuple[int, datetime, datetime]] = field(default_factory=dict)
    _seen: set[tuple[str, str, int, int]] = field(default_factory=set)

    def add(self, entries: Iterable[LogEntry]) -> None:
        """Count entries, each once, and only the key's own."""
        unread = uncounted = 0
        for entry in entries:
            raw = type(entry).pb(entry)
            mark = (raw.log_name, raw.insert_id, raw.timestamp.seconds, raw.timestamp.nanos)
            if raw.insert_id and mark in self._seen:
                continue
            self._seen.add(mark)
            try:
                at, log = moment(raw.timestamp), decoded(raw.proto_payload.type_url, raw.proto_payload.value)
            except ProbeError:
                unread += 1
                continue
            if not self._own(log.resource_name):
                continue
            self._keep(raw.SerializeToString(deterministic=True))
            self.entries += 1
            uncounted += not self._count(use_of(log), at)
        if unread:
            self.gaps.append(f"{unread} entries are no audit entries that can be read")
        if uncounted:
            self.gaps.append(f"{uncounted} entries are of kinds beyond the {MAX_USES} that are told apart")

    def uses(self) -> tuple[KeyUse, ...]:
        """Counted, in a fixed order."""
        found = (
            KeyUse(
                operation=use.operation,
                principal=use.principal,
                account=use.account,
                source=use.source,
                via=None,
                tls_version=None,
                key_exchange=None,
                error=use.error,
                justification=use.justification,
                context_keys=(),
                count=count,
                first=first,
                last=last,
            )
            for use, (count, first, last) in self._uses.items()
        )
        return tuple(sorted(found, key=lambda each: each.model_dump_json()))

    def _own(self, resource: str) -> bool:
        _, project, rest = (*resource.split("/", 2), "", "")[:3]
        path = f"/{rest}"
        own = self.name.below_project
        return bool(project) and (path == own or path.startswith(f"{own}/cryptoKeyVersions/"))

    def _keep(self, entry: bytes) -> None:
        self.raw += len(entry).to_bytes(4, "big") + entry

    def _count(self, use: Use, at: datetime) -> bool:
        known = self._uses.get(use)
        if known is None:
            if len(self._uses) >= MAX_USES:
                return False
            self._uses[use] = (1, at, at)
            return True
        count, first, last = known
        self._uses[use] = (count + 1, min(first, at), max(last, at))
        return True


def decoded(type_url: str, value: bytes) -> AuditLog:
    """The payload of an audit entry. Raises ProbeError(malformed)."""
    from google.cloud.audit.audit_log_pb2 import AuditLog
    from google.protobuf.message import DecodeError

    if type_url != _AUDIT_LOG:
        raise ProbeError(Reason.MALFORMED, "no audit entry")
    try:
        return AuditLog.FromString(value)
    except DecodeError:
        raise ProbeError(Reason.MALFORMED, "an audit entry that cannot be read") from None


def use_of(log: AuditLog) -> Use:
    """Who did what, from where, with which outcome and reason."""
    from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]

    code = log.status.code
    named = Code.Name(Code.ValueType(code)) if code in Code.values() else f"CODE_{code}"
    principal = member(log.authentication_info)
    return Use(
        operation=vendor_text(log.method_name),
        principal=principal,
        account=_project_of(principal),
        source=vendor_text(log.request_metadata.caller_ip) or None,
        error=named if code else None,
        justification=_justification(log),
    )


def member(who: AuthenticationInfo) -> str:
    """The principal as IAM policies write it."""
    subject, email = who.principal_subject, who.principal_email
    if not email:
        return vendor_text(subject) or _NOBODY
    if ":" in email:
        return vendor_text(email)
    if subject.endswith(f":{email}"):
        return vendor_text(subject)
    return vendor_text(f"{'serviceAccount' if email.endswith('.gserviceaccount.com') else 'user'}:{email}")


def _project_of(principal: str) -> str | None:
    """Project that a service account belongs to, where its address says so."""
    domain = principal.removeprefix("serviceAccount:").partition("@")[2]
    project, dot, rest = domain.partition(".")
    return project if dot and rest.endswith("iam.gserviceaccount.com") and project != "iam" else None


def _justification(log: AuditLog) -> str | None:
    """Of Key Access Justifications (`metadata.entries.key_access_justification.reason`), or of the request."""
    entries = log.metadata.fields.get("entries")
    if entries is not None:
        stated = entries.struct_value.fields.get("key_access_justification")
        reason = None if stated is None else stated.struct_value.fields.get("reason")
        if reason is not None and reason.string_value:
            return vendor_text(reason.string_value)
    reason = log.request_metadata.request_attributes.reason
    # Google's own services put opaque text there
    return reason if _REASON.match(reason) else None


def _read(name: KeyName, window: tuple[datetime, datetime], session: Session) -> Tally:
    from google.cloud.logging_v2.types import ListLogEntriesRequest

    client = clients.logs(session.identity, session.io)
    tally = Tally(name)

    def fetch(token: str) -> Page[int]:
        request = ListLogEntriesRequest(
            resource_names=[f"projects/{name.project}"],
            filter=query(name, window),
            order_by="timestamp desc",  # where the bounds cut, the newest are known
            page_size=_PAGE,
            page_token=token,
        )
        answer = session.ask(
            Api.LOGGING,
            f"log entries of projects/{name.project}",
            lambda seconds: client.list_log_entries(request=request, retry=None, timeout=seconds),
        )
        entries = tuple(answer.entries)
        tally.add(entries)
        full = len(tally.raw) > MAX_BYTES
        # an answer may hold no entry and yet not be the last: only the token says so
        return Page(range(len(entries) if not full else ENTRIES.items + 1), answer.next_page_token)

    listing = read_all(fetch, ENTRIES)
    if listing.rest is not None:
        tally.gaps.append(listing.rest.detail)
    return tally


def _may_see(project: str, session: Session) -> str:
    """Why entries may be missing without a word: without `logging.privateLogEntries.list` the API answers and leaves
    Data Access entries out. TestIamPermissions needs no permission. Raises ProbeError(permission-denied)."""

    def make() -> tuple[str, ...]:
        from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest  # type: ignore[import-untyped]

        client = clients.projects(session.identity, session.io)
        request = TestIamPermissionsRequest(resource=f"projects/{project}", permissions=NEEDED)
        answer = session.ask(
            Api.RESOURCES,
            f"own permissions on projects/{project}",
            lambda seconds: client.test_iam_permissions(request=request, retry=None, timeout=seconds),
        )
        return tuple(answer.permissions)

    try:
        held = session.io.once.get(("gcp", "log permissions", session.io.vantage, session.identity, project), make)
    except ProbeError as error:
        if error.reason is not Reason.UNSUPPORTED:
            raise
        return "whether Data Access entries may be seen is not known"
    if missing := [each for each in NEEDED if each not in held]:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"identity {session.identity.id} lacks {' and '.join(missing)} on projects/{project}: Data Access entries "
            "would be left out without a word; grant roles/logging.privateLogViewer",
        )
    return ""
