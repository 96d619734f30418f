"""Cloud Storage of the lab, as far as exported logs go: buckets that sinks write audit logs into, read through the JSON
API (`objects.list`, `objects.get` with `alt=media` and ranges) under IAM.

Files are made when they are asked for, from what is in the log by then: one LogEntry a line, an hour of one log in
each. Sources: Cloud Logging, "View logs routed to Cloud Storage"; https://cloud.google.com/storage/docs/json_api/v1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from google.cloud.logging_v2.types import LogEntry
from google.protobuf import json_format

from keycheck.lab.gcp.entries import Entry
from keycheck.lab.gcp.errors import ApiError
from keycheck.lab.gcp.iam import Iam
from keycheck.lab.gcp.logs import Logs
from keycheck.lab.gcp.tokens import Tokens
from keycheck.lab.log_trouble import LogTrouble
from keycheck.model.types import Clock

_HOST: Final = "127.0.0.1"
_MOST: Final = 1_000
_RANGE: Final = re.compile(r"bytes=(\d{1,12})-(\d{1,12})")
_HOUR: Final = timedelta(hours=1)


@dataclass
class LogBucket:
    """One bucket, and the sink that fills it with the audit logs of a project."""

    name: str
    project: str
    """`projects/acme`: whose logs, and who owns the bucket."""
    lag: timedelta = timedelta(0)
    """From the call until its entry is in a file; Google's takes hours."""
    trouble: LogTrouble = field(default_factory=LogTrouble)
    planted: dict[str, bytes] = field(default_factory=dict)
    """Objects that somebody else put there."""


class LogBuckets:
    """All buckets. Runs between `start` and `close`."""

    def __init__(self, logs: Logs, tokens: Tokens, iam: Iam, clock: Clock) -> None:
        self._logs = logs
        self._tokens = tokens
        self._iam = iam
        self._clock = clock
        self._buckets: dict[str, LogBucket] = {}
        self._lock = Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:port`; empty while it does not run."""
        return "" if self._server is None else f"{_HOST}:{self._server.server_address[1]}"

    def sink(self, name: str, project: str, *, lag: timedelta = timedelta(0)) -> LogBucket:
        """Export the audit logs of `project` (`projects/acme`) into a new bucket of it."""
        bucket = LogBucket(name, project, lag)
        with self._lock:
            self._buckets[name] = bucket
        return bucket

    def start(self) -> None:
        buckets = self

        class Handler(_Handler):
            owner = buckets

        self._server = ThreadingHTTPServer((_HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
        self._server = self._thread = None

    def answer(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET; header names in lower case."""
        parts = urlsplit(url)
        pieces = parts.path.split("/")
        if pieces[:4] != ["", "storage", "v1", "b"] or len(pieces) not in (6, 7) or pieces[5] != "o":
            return _error(404, "Not Found")
        try:
            principal = self._tokens.principal(headers.get("authorization"))
        except ApiError as refused:
            return _error(401, refused.message)
        bucket = self._buckets.get(unquote(pieces[4]))
        permission = "storage.objects.list" if len(pieces) == 6 else "storage.objects.get"
        # who may not even see the bucket is not told whether it exists
        if bucket is None or not self._iam.allows(principal, permission, bucket.project):
            return _error(403, f"{permission} access to the Google Cloud Storage bucket is denied.")
        self._iam.used(principal, permission)
        files = self._files(bucket)
        query = parse_qs(parts.query, max_num_fields=20)
        if len(pieces) == 6:
            return _listed(files, query, bucket.trouble)
        content = files.get(unquote(pieces[6]))
        if content is None or query.get("alt") != ["media"]:
            return _error(404, "No such object")
        wanted = _RANGE.fullmatch(headers.get("range", ""))
        if wanted is None:
            return 200, content
        first, last = int(wanted[1]), int(wanted[2])
        return (206, content[first : last + 1]) if first < len(content) else _error(416, "out of range")

    def _files(self, bucket: LogBucket) -> dict[str, bytes]:
        now, trouble = self._clock(), bucket.trouble
        hours: dict[str, list[tuple[int, Entry]]] = {}
        for number, entry in enumerate(self._logs.entries()):
            there = entry.at + bucket.lag <= now and trouble.there(entry.at, now)
            if there and entry.container == bucket.project and entry.method not in trouble.excluded:
                hours.setdefault(_name(entry), []).append((number, entry))
        files = {
            name: b"".join(_line(entry.shown(number)) for number, entry in trouble.ordered(listed))
            for name, listed in sorted(hours.items())
            if trouble.missing is None or not trouble.missing(name)
        }
        if trouble.truncated and files:
            newest = max(files)
            files[newest] = files[newest][: len(files[newest]) * 2 // 3]
        return files | bucket.planted


def _listed(files: Mapping[str, bytes], query: Mapping[str, list[str]], trouble: LogTrouble) -> tuple[int, bytes]:
    prefix, after = query.get("prefix", [""])[0], query.get("startOffset", [""])[0]
    size = min(_MOST, int(query.get("maxResults", [str(_MOST)])[0]))
    names = trouble.ordered(sorted(name for name in files if name.startswith(prefix) and name >= after))
    token = query.get("pageToken", ["lab-0"])[0]
    if not token.startswith("lab-") or not token[4:].isdecimal():
        return _error(400, "Invalid pageToken")
    start = int(token[4:])
    answer: dict[str, object] = {
        "kind": "storage#objects",
        "items": [{"name": name, "size": str(len(files[name]))} for name in names[start : start + size]],
    }
    if start + size < len(names):
        answer["nextPageToken"] = f"lab-{start + size}"
    return 200, json.dumps(answer).encode()


def _name(entry: Entry) -> str:
    hour: datetime = entry.at.replace(minute=0, second=0, microsecond=0)
    end = hour + _HOUR - timedelta(seconds=1)
    return f"cloudaudit.googleapis.com/{entry.log}/{hour:%Y/%m/%d}/{hour:%H:%M:%S}_{end:%H:%M:%S}_S0.json"


def _line(entry: LogEntry) -> bytes:
    told = json_format.MessageToDict(LogEntry.pb(entry))
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _error(status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"code": status, "message": message}}).encode()


class _Handler(BaseHTTPRequestHandler):
    owner: LogBuckets
    timeout = 10

    def do_GET(self) -> None:  # the name is the base class's
        status, body = self.owner.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the name is the base class's
        return None
