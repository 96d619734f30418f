"""CloudTrail's files: in the bucket of a trail, or the same files fetched by the customer.

`…/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz`, a gzip of one JSON object
`{"Records": […]}`. The minute in the name is that of delivery, so a file from before a moment holds nothing of after
it. Files can come late, and hold what a trail's selectors keep. The digests that CloudTrail signs are not checked, so
that whoever may write to the bucket could add a record. Source: CloudTrail User Guide, "CloudTrail log file
examples", "Finding your CloudTrail log files".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.keys.drill.aws_bucket import S3Store
from probes.keys.drill.log_sources import Allowance, FolderStore, Store, Whole, each_file, gunzipped, parsed
from probes.keys.subjects import Bucket, Folder, Key, LogSource

_FILE: Final = re.compile(
    r"(?P<account>\d{12})_CloudTrail_(?P<region>[a-z0-9-]{3,30})_(?P<at>\d{8}T\d{4})Z_[A-Za-z0-9]{1,64}\.json(\.gz)?",
    re.ASCII,
)
_OTHERS: Final = re.compile(r"\d{12}_CloudTrail-(Digest|Insight|Aggregated)_[^/]{1,300}", re.ASCII)
"""What CloudTrail puts beside its log files."""
_KMS: Final = re.compile(r"kms\.amazonaws\.(?:com|com\.cn|eu)")
_MINUTE: Final = timedelta(minutes=1)
_MAX_DAYS: Final = 92


@dataclass(slots=True)
class TrailFiles:
    """What the files of one source say about a key."""

    where: str
    records: list[str] = field(default_factory=list, repr=False)
    """As JSON texts, in no order."""
    gaps: list[str] = field(default_factory=list)
    """Why it is not whole; empty: nothing is known to be missing."""


def in_files(
    source: LogSource, arn: KmsArn, window: tuple[datetime, datetime], subject: Key, io: Io, among: int = 1
) -> TrailFiles:
    """The records about a key in the files that were delivered in a time, by one source of several. Nothing is raised:
    what cannot be read is a gap."""
    found, whole = TrailFiles("files of a trail"), Whole()
    try:
        store = _store(source, arn, subject, io)
        found.where = store.where
        _read(store, source, arn, window, Allowance.of(io, among), found, whole)
    except ProbeError as error:
        whole.lacks(f"{error.reason}: {error}")
    found.gaps = whole.words()
    return found


def records_in(content: bytes, arn: KmsArn) -> Iterator[str]:
    """The records of KMS about the key in one file. Raises ProbeError(malformed) for what is no file of CloudTrail."""
    document = parsed(content)
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise ProbeError(Reason.MALFORMED, "it holds no list of records")
    for record in records:
        if not isinstance(record, dict):
            raise ProbeError(Reason.MALFORMED, "it holds a record that is none")
        source, resources = record.get("eventSource"), record.get("resources")
        if not isinstance(source, str) or _KMS.fullmatch(source) is None or not isinstance(resources, list):
            continue
        if str(arn) in [each.get("ARN") for each in resources if isinstance(each, dict)]:
            yield json.dumps(record)


def _store(source: LogSource, arn: KmsArn, subject: Key, io: Io) -> Store:
    match source:
        case Bucket():
            ref = source.identity or subject.identities.log
            return S3Store.of(source.bucket, ref, arn.partition, source.region or arn.region, io)
        case Folder():
            return FolderStore.of(source.directory, io.base)


def _read(
    store: Store,
    source: LogSource,
    arn: KmsArn,
    window: tuple[datetime, datetime],
    allowance: Allowance,
    found: TrailFiles,
    whole: Whole,
) -> None:
    since = window[0] - _MINUTE
    files = strange = 0

    def wanted(name: str) -> bool:
        nonlocal strange
        named = _FILE.fullmatch(name.rpartition("/")[2])
        at = None if named is None else _minute(named["at"])
        if named is None or at is None:
            strange += _OTHERS.fullmatch(name.rpartition("/")[2]) is None
            return False
        return named["account"] == arn.account and named["region"] == arn.region and at >= since

    for prefix, after in _prefixes(source, arn, (since, window[1])):
        for stored, data in each_file(store, prefix, after, wanted, allowance, whole):
            files += 1
            try:
                content = data if stored.name.endswith(".json") else gunzipped(data, allowance)
                if content is data:
                    allowance.opened(len(data))
                records = list(records_in(content, arn))
            except ProbeError as error:
                whole.lacks(f"a file cannot be read: {error}")
                continue
            allowance.record(len(records), sum(map(len, records)))
            found.records += records
    if strange:
        whole.lacks(f"{strange} files there are not named as CloudTrail names them")
    if not files:
        whole.lacks("no file of this time is there yet")


def _prefixes(source: LogSource, arn: KmsArn, window: tuple[datetime, datetime]) -> Iterator[tuple[str, str]]:
    """What is listed: for a bucket each day's folder, and the name after which its files are."""
    if isinstance(source, Folder):
        yield "", ""
        return
    above = source.prefix or f"AWSLogs/{arn.account}/CloudTrail/"
    above += "" if above.endswith("/") else "/"
    first = window[0].astimezone(UTC)
    days = (window[1].astimezone(UTC).date() - first.date()).days + 1
    if days > _MAX_DAYS:
        raise ProbeError(Reason.NOT_COVERED, f"more than {_MAX_DAYS} days of files")
    for day in range(days):
        folder = f"{above}{arn.region}/{first.date() + timedelta(days=day):%Y/%m/%d}/"
        yield folder, f"{folder}{arn.account}_CloudTrail_{arn.region}_{first:%Y%m%dT%H%M}" if day == 0 else ""


def _minute(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def of_source(found: TrailFiles) -> list[str]:
    """The gaps of a source, with its name."""
    return [vendor_text(f"{found.where}: {gap}") for gap in found.gaps]
