"""S3 of the lab, as far as log files go: the buckets that trails deliver into, read with ListObjectsV2 and GetObject.

Trails deliver when they are looked at: what is over the lag by then and was not delivered before goes into one more
file for its account and Region, named after the minute. A file never changes. Sources: CloudTrail User Guide,
"CloudTrail log file examples"; S3 API reference.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from keycheck.lab.aws.events import record
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.policy import decide_identity
from keycheck.lab.aws.seams import Access, ApiEvent, Caller
from keycheck.lab.aws.trail_selectors import keeps
from keycheck.lab.aws.trails import Trail, Trails
from keycheck.lab.aws.wire import Answer, Request
from keycheck.lab.log_trouble import LogTrouble

_XML: Final = "application/xml"
_MOST: Final = 1_000
_RANGE: Final = re.compile(r"bytes=(\d{1,12})-(\d{1,12})")


@dataclass
class TrailBucket:
    """One bucket."""

    name: str
    account: str
    """Who owns it; nobody else may read it."""
    prefix: str = ""
    """Before `AWSLogs/`."""
    lag: timedelta = timedelta(0)
    """From the call until its record is in a file; AWS's takes about five minutes."""
    trouble: LogTrouble = field(default_factory=LogTrouble)
    objects: dict[str, bytes] = field(default_factory=dict)
    """What is in it; put in what you like."""
    delivered: set[str] = field(default_factory=set)
    """Ids of events."""


class TrailBuckets:
    """All buckets of the lab; safe for threads."""

    def __init__(self, ledger: Ledger, trails: Trails, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._trails = trails
        self._clock = clock
        self._buckets: dict[str, TrailBucket] = {}
        self._lock = threading.RLock()

    def make(self, name: str, account: str, *, prefix: str = "", lag: timedelta = timedelta(0)) -> TrailBucket:
        """An empty bucket; trails that name it deliver into it."""
        bucket = TrailBucket(name, account, prefix, lag)
        with self._lock:
            self._buckets[name] = bucket
        return bucket

    def deliver(self, bucket: TrailBucket) -> None:
        """Write what is due."""
        now = self._clock()
        with self._lock:
            for trail in self._trails.all():
                if trail.bucket == bucket.name and trail.logging and trail.delivery_error is None:
                    for account, region in self._ledger.places():
                        if account == trail.account and (trail.multi_region or region == trail.region):
                            self._write(bucket, trail, account, region, now)

    def answer(self, request: Request, caller: Caller, region: str) -> Answer:
        """ListObjectsV2 or GetObject, path style."""
        parts = urlsplit(request.path)
        _, _, rest = parts.path.partition("/")
        name, _, key = rest.partition("/")
        key = unquote(key)
        bucket = self._buckets.get(unquote(name))
        if request.method != "GET":
            return error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if bucket is None:
            return error(404, "NoSuchBucket", "The specified bucket does not exist")
        action = "s3:GetObject" if key else "s3:ListBucket"
        arn = f"arn:aws:s3:::{bucket.name}" + (f"/{key}" if key else "")
        access = Access(caller, action, arn, bucket.account, region, self._clock())
        decision = decide_identity(access)
        self._ledger.note(access, decision)
        if not decision.allowed or caller.account != bucket.account:
            return error(403, "AccessDenied", f"User: {caller.arn} is not authorized to perform: {action}")
        with self._lock:
            self.deliver(bucket)
            content = bucket.objects.get(key)
            if not key:
                return _listed(bucket, parse_qs(parts.query, max_num_fields=30))
        if content is None:
            return error(404, "NoSuchKey", "The specified key does not exist.")
        return _read(content, request.headers.get("range", ""))

    def _write(self, bucket: TrailBucket, trail: Trail, account: str, region: str, now: datetime) -> None:
        trouble = bucket.trouble
        due = [
            event
            for event in self._ledger.events(account, region, now)
            if event.at + bucket.lag <= now and trouble.there(event.at, now) and event.event_id not in bucket.delivered
        ]
        if not due:
            return
        bucket.delivered |= {event.event_id for event in due}
        kept = [event for event in due if keeps(trail, event) and event.name not in trouble.excluded]
        if not kept:
            return
        key = _key(bucket, account, region, now)
        content = _file(trouble.ordered(kept), self._trails)
        if trouble.missing is None or not trouble.missing(key):
            bucket.objects[key] = content[: len(content) // 2] if trouble.truncated else content


def error(status: int, code: str, message: str) -> Answer:
    """As S3 refuses."""
    xml = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Answer(status, xml.encode(), _XML)


def operation_of(request: Request) -> str:
    """What a request asks for, as faults name it."""
    return "GetObject" if urlsplit(request.path).path.strip("/").count("/") else "ListObjectsV2"


def _key(bucket: TrailBucket, account: str, region: str, now: datetime) -> str:
    unique = hashlib.sha256(f"{account}{region}{len(bucket.objects)}".encode()).hexdigest()[:16]
    at = now.astimezone(UTC)
    folder = f"{bucket.prefix}AWSLogs/{account}/CloudTrail/{region}/{at:%Y/%m/%d}"
    return f"{folder}/{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"


def _file(events: list[ApiEvent], trails: Trails) -> bytes:
    records = [record(event, trails.foreign_identity) for event in events]
    return gzip.compress(json.dumps({"Records": records}, separators=(",", ":")).encode(), mtime=0)


def _listed(bucket: TrailBucket, query: Mapping[str, list[str]]) -> Answer:
    def one(name: str) -> str:
        return query.get(name, [""])[0]

    prefix, after = one("prefix"), one("start-after")
    size = min(_MOST, int(one("max-keys") or _MOST))
    keys = bucket.trouble.ordered(sorted(key for key in bucket.objects if key.startswith(prefix) and key > after))
    token = one("continuation-token") or "lab-0"
    if not token.startswith("lab-") or not token[4:].isdecimal():
        return error(400, "InvalidArgument", "The continuation token provided is incorrect")
    start = int(token[4:])
    page, more = keys[start : start + size], start + size < len(keys)
    spelled = quote if one("encoding-type") == "url" else escape
    contents = "".join(
        f"<Contents><Key>{spelled(key)}</Key><Size>{len(bucket.objects[key])}</Size></Contents>" for key in page
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket.name}</Name><Prefix>{spelled(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{size}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
        + ("<EncodingType>url</EncodingType>" if spelled is quote else "")
        + (f"<NextContinuationToken>lab-{start + size}</NextContinuationToken>" if more else "")
        + f"{contents}</ListBucketResult>"
    )
    return Answer(200, xml.encode(), _XML)


def _read(content: bytes, wanted: str) -> Answer:
    found = _RANGE.fullmatch(wanted)
    if found is None:
        return Answer(200, content, "application/x-gzip")
    first, last = int(found[1]), min(int(found[2]), len(content) - 1)
    if first > last:
        return error(416, "InvalidRange", "The requested range is not satisfiable")
    headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
    return Answer(206, content[first : last + 1], "application/x-gzip", headers)
