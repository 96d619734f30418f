"""Audit logs that a sink exports: files in Cloud Storage, or the same files fetched by the customer.

A sink writes an hour's entries into files of one LogEntry a line, `…/data_access/YYYY/MM/DD/HH:MM:SS_HH:MM:SS_S0.json`,
two or three hours later, and what came later still into further ones (`_A0:…`). What the sink's filter leaves out is
not in them, and whoever may write to the bucket could add a line. Source: Cloud Logging, "View logs routed to Cloud
Storage".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName
from probes.clouds.gcp.session import Session
from probes.keys.drill.gcp_log import DATA_ACCESS, SERVICE, Gathered, GcpEntry, entry_of
from probes.keys.drill.gcp_storage import GcsStore
from probes.keys.drill.log_sources import (
    MAX_UNPACKED,
    Allowance,
    FolderStore,
    Store,
    Whole,
    each_file,
    gunzipped,
    parsed,
)
from probes.keys.subjects import Bucket, Folder, Key, LogSource

_AUDIT_LOG: Final = "type.googleapis.com/google.cloud.audit.AuditLog"
_FILE: Final = re.compile(
    r"(?:.*/)?(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)/(?P<hour>\d\d)[:_-]\d\d[:_-]\d\d_[^/]{1,100}\.json(?:\.gz)?",
    re.ASCII | re.DOTALL,
)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_HOUR: Final = timedelta(hours=1)
_MAX_LINE: Final = 512 * 1024
"""Bytes of one entry; Cloud Logging's own limit is 256 KB."""
_MAX_DAYS: Final = 92


def exported(
    source: LogSource, key: KeyName, window: tuple[datetime, datetime], subject: Key, session: Session, among: int = 1
) -> tuple[str, Gathered]:
    """What one source of several says about a key, and its name for people. Nothing is raised: what cannot be read is
    a gap."""
    gathered, whole = Gathered(), Whole()
    where = "an export"
    try:
        store = _store(source, subject, session)
        where = store.where
        _read(store, source, key, window, Allowance.of(session.io, among), gathered, whole)
    except ProbeError as error:
        whole.lacks(f"{error.reason}: {error}")
    gathered.gaps += whole.words()
    return where, gathered


def entries_in(content: bytes, key: KeyName) -> Iterator[GcpEntry | ProbeError]:
    """The key's own entries in one file, and an error for each line that is none that can be read."""
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            entry = _entry(line, key)
        except ProbeError as error:
            yield error
            continue
        if entry is not None:
            yield entry


def _store(source: LogSource, subject: Key, session: Session) -> Store:
    match source:
        case Bucket():
            return GcsStore.of(source.bucket, source.identity or subject.identities.log, session.io)
        case Folder():
            return FolderStore.of(source.directory, session.io.base)


def _read(
    store: Store,
    source: LogSource,
    key: KeyName,
    window: tuple[datetime, datetime],
    allowance: Allowance,
    gathered: Gathered,
    whole: Whole,
) -> None:
    files = strange = 0

    def wanted(name: str) -> bool:
        nonlocal strange
        hour = _hour(name)
        strange += hour is None
        return hour is not None and window[0] - _HOUR < hour <= window[1]

    for prefix in _prefixes(source, window):
        for stored, data in each_file(store, prefix, "", wanted, allowance, whole):
            files += 1
            try:
                content = gunzipped(data, allowance) if stored.name.endswith(".gz") else _plain(data, allowance)
            except ProbeError as error:
                whole.lacks(f"a file cannot be read: {error}")
                continue
            allowance.record(content.count(b"\n") + 1)
            for entry in entries_in(content, key):
                if isinstance(entry, ProbeError):
                    gathered.unread += 1
                elif window[0] <= entry.at <= window[1]:
                    gathered.add(entry)
    if strange:
        whole.lacks(f"{strange} files there are not named as exports are")
    if not files:
        whole.lacks("no file of this time is there yet")


def _prefixes(source: LogSource, window: tuple[datetime, datetime]) -> list[str]:
    if isinstance(source, Folder):
        return [""]
    above = source.prefix or "cloudaudit.googleapis.com/"
    above += "" if above.endswith("/") else "/"
    first = (window[0] - _HOUR).date()
    days = (window[1].date() - first).days + 1
    if days > _MAX_DAYS:
        raise ProbeError(Reason.NOT_COVERED, f"more than {_MAX_DAYS} days of files")
    return [f"{above}{DATA_ACCESS}/{first + timedelta(days=day):%Y/%m/%d}/" for day in range(days)]


def _hour(name: str) -> datetime | None:
    """The hour that a file is of, by its name; None: it has no such name."""
    found = _FILE.fullmatch(name)
    if found is None:
        return None
    try:
        return datetime(int(found["year"]), int(found["month"]), int(found["day"]), int(found["hour"]), tzinfo=UTC)
    except ValueError:
        return None


def _plain(data: bytes, allowance: Allowance) -> bytes:
    if len(data) > MAX_UNPACKED:
        raise ProbeError(Reason.NOT_COVERED, f"it is larger than {MAX_UNPACKED} bytes")
    allowance.opened(len(data))
    return data


def _entry(line: bytes, key: KeyName) -> GcpEntry | None:
    """One LogEntry as JSON. Raises ProbeError(malformed)."""
    from google.cloud.audit.audit_log_pb2 import AuditLog  # type: ignore[import-untyped]

    if len(line) > _MAX_LINE:
        raise ProbeError(Reason.MALFORMED, "an entry that is too long")
    entry = _object(parsed(line))
    payload = _object(entry.get("protoPayload", {}))
    if payload.get("@type") != _AUDIT_LOG or payload.get("serviceName") != SERVICE:
        return None
    who, status = _object(payload.get("authenticationInfo", {})), _object(payload.get("status", {}))
    code = status.get("code", 0)
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < 1000:
        raise ProbeError(Reason.MALFORMED, "a status that is none")
    audit = AuditLog(
        service_name=SERVICE,
        method_name=_text(payload, "methodName"),
        resource_name=_text(payload, "resourceName"),
    )
    audit.status.code = code
    audit.authentication_info.principal_email = _text(who, "principalEmail", "")
    audit.authentication_info.principal_subject = _text(who, "principalSubject", "")
    return entry_of(key, _text(entry, "logName"), _text(entry, "insertId", ""), _stamp(entry), audit)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ProbeError(Reason.MALFORMED, "no audit entry")
    return value


def _text(value: dict[str, object], name: str, default: str | None = None) -> str:
    found = value.get(name, default)
    if not isinstance(found, str) or len(found) > 4096:
        raise ProbeError(Reason.MALFORMED, f"no {name}")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        raise ProbeError(Reason.MALFORMED, f"{name} is no text") from None
    return found


def _stamp(entry: dict[str, object]) -> tuple[int, int]:
    """Seconds and nanoseconds since 1970 of RFC 3339 with up to nine decimals."""
    found = _TIME.fullmatch(_text(entry, "timestamp"))
    if found is None:
        raise ProbeError(Reason.MALFORMED, "a timestamp that is none")
    try:
        whole = datetime.fromisoformat(found[1] + found[3]).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ProbeError(Reason.MALFORMED, "a timestamp that is none") from None
    return round((whole - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()), int((found[2] or "0").ljust(9, "0"))
