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
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import TRANSIENT, unseen
from probes.clouds.gcp.names import KeyName, moment
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.pages import Bounds, Page, read_all
from probes.clouds.gcp.session import Session
from probes.keys.facts import EventFacts, KeyUse
from probes.keys.gcp.hierarchy import memo

if TYPE_CHECKING:
    from google.cloud.audit.audit_log_pb2 import AuditLog, AuthenticationInfo  # type: ignore[import-untyped]
    from google.cloud.logging_v2.types import LogEntry

ENTRIES: Final = Bounds(pages=40, items=20_000)
_PAGE: Final = 500
"""Entries a page, of about two thousand bytes each."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of raw entries."""
MAX_USES: Final = 500
"""Kinds of use that are told apart."""
_COARSE: Final = ((400, ()), (450, ("justification",)), (MAX_USES, ("justification", "source")))
"""Up to how many kinds, and what of a use is left out. Callers choose their reasons and addresses, and could fill the
table with them; who did what with which outcome must still have a row."""
RETENTION: Final = timedelta(days=30)
"""How long the `_Default` bucket, where Data Access entries go, keeps them unless somebody set another time."""
NEEDED: Final = ("logging.logEntries.list", "logging.privateLogEntries.list")
_AUDIT_LOG: Final = "type.googleapis.com/google.cloud.audit.AuditLog"
_LOG: Final = "/logs/cloudaudit.googleapis.com%2F"
"""In the names of the logs that Google alone writes: anybody who may write entries at all can write look-alikes to
others."""
_OWN_LOG: Final = re.compile(r"[a-z]+/[A-Za-z0-9.:_-]+/logs/cloudaudit\.googleapis\.com%2F(activity|data_access)")
_NOBODY: Final = "not stated"
_REASON: Final = re.compile(r"[A-Z][A-Z_]{2,60}")
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
        f'logName:"{_LOG}" AND protoPayload.serviceName="cloudkms.googleapis.com"'
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
        unread = uncounted = coarse = 0
        for entry in entries:
            raw = type(entry).pb(entry)
            if not _OWN_LOG.fullmatch(raw.log_name):
                continue
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
            left_out = self._count(use_of(log), at)
            uncounted += left_out is None
            coarse += bool(left_out)
        if unread:
            self.gaps.append(f"{unread} entries are no audit entries that can be read")
        if coarse:
            self.gaps.append(f"{coarse} entries are counted without their justification or source: too many kinds")
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

    def _count(self, use: Use, at: datetime) -> tuple[str, ...] | None:
        """What of the use was left out; None: it has no row."""
        for room, left_out in _COARSE:
            row = use._replace(
                justification=None if "justification" in left_out else use.justification,
                source=None if "source" in left_out else use.source,
            )
            known = self._uses.get(row)
            if known is not None:
                count, first, last = known
                self._uses[row] = (count + 1, min(first, at), max(last, at))
                return left_out
            if len(self._uses) < room:
                self._uses[row] = (1, at, at)
                return left_out
        return None


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
    return reason if _REASON.fullmatch(reason) else None


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
        if len(answer.entries) > _PAGE:
            raise ProbeError(Reason.MALFORMED, f"a page of more than the {_PAGE} entries that were asked for")
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

    share = session.sharing(0.4)

    def make() -> tuple[str, ...] | Unseen:
        from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest  # type: ignore[import-untyped]

        request = TestIamPermissionsRequest(resource=f"projects/{project}", permissions=NEEDED)
        try:
            client = clients.projects(session.identity, session.io)
            answer = share.ask(
                Api.RESOURCES,
                f"own permissions on projects/{project}",
                lambda seconds: client.test_iam_permissions(request=request, retry=None, timeout=seconds),
            )
        except ProbeError as error:
            return unseen(error)
        return tuple(answer.permissions[: len(NEEDED)])

    def lasting(found: tuple[str, ...] | Unseen) -> bool:
        return not isinstance(found, Unseen) or found.reason not in TRANSIENT

    key = ("gcp", "log permissions", session.io.vantage, session.identity, project)
    try:
        held = memo(key, session).get(make, lasting, share.left)
    except ProbeError as error:
        held = unseen(error)
    if isinstance(held, Unseen):
        if held.reason is Reason.UNSUPPORTED or held.reason in TRANSIENT:
            return f"whether Data Access entries may be seen is not known: {held.detail}"
        raise ProbeError(held.reason, held.detail)
    if missing := [each for each in NEEDED if each not in held]:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"identity {session.identity.id} lacks {' and '.join(missing)} on projects/{project}: Data Access entries "
            "would be left out without a word; grant roles/logging.privateLogViewer",
        )
    return ""
