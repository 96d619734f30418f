"""The trails of the lab's accounts: what CreateTrail made of them, and how LookupEvents behaves."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from keycheck.lab.aws.events import ForeignIdentity
from keycheck.lab.aws.seams import Document
from keycheck.lab.log_trouble import LogTrouble

DEFAULT_SELECTORS: Final[tuple[Document, ...]] = (
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    },
)


class TrailError(Exception):
    """An error of the service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Trail:
    """One trail. `event_selectors` and `advanced_event_selectors` exclude each other, as in AWS."""

    account: str
    region: str
    """Home region."""
    name: str
    arn: str
    bucket: str = "audit-logs"
    logging: bool = True
    multi_region: bool = True
    organization: bool = False
    log_file_validation: bool = True
    kms_key: str | None = None
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    event_selectors: tuple[Document, ...] = DEFAULT_SELECTORS
    advanced_event_selectors: tuple[Document, ...] = ()
    delivery_error: str | None = None
    """Error of Amazon S3, such as `NoSuchBucket`, with which log files and digests cannot be delivered."""


class Trails:
    """The trails of all accounts, and how LookupEvents behaves; safe for threads.

    `lookups_a_second`: calls per account and region before ThrottlingException (AWS: 2), or None for no limit.
    """

    def __init__(self, *, lookups_a_second: int | None = None, foreign_identity: ForeignIdentity = "account") -> None:
        self.lookups_a_second = lookups_a_second
        self.foreign_identity: ForeignIdentity = foreign_identity
        self.trouble = LogTrouble()
        """Of the event history alone: what trails deliver has its own."""
        self._lock = threading.Lock()
        self._trails: dict[str, Trail] = {}
        self._calls: dict[tuple[str, str], deque[datetime]] = {}

    def add(
        self,
        account: str,
        region: str,
        name: str,
        *,
        bucket: str = "audit-logs",
        logging: bool = True,
        multi_region: bool = True,
        organization: bool = False,
        log_file_validation: bool = True,
        kms_key: str | None = None,
        event_selectors: Sequence[Document] = DEFAULT_SELECTORS,
        advanced_event_selectors: Sequence[Document] = (),
        delivery_error: str | None = None,
    ) -> Trail:
        """Put a trail into `account`, or replace the one of that name."""
        partition = "aws-eusc" if region.startswith("eusc-") else "aws"
        trail = Trail(
            account,
            region,
            name,
            f"arn:{partition}:cloudtrail:{region}:{account}:trail/{name}",
            bucket=bucket,
            logging=logging,
            multi_region=multi_region,
            organization=organization,
            log_file_validation=log_file_validation,
            kms_key=kms_key,
            event_selectors=() if advanced_event_selectors else tuple(event_selectors),
            advanced_event_selectors=tuple(advanced_event_selectors),
            delivery_error=delivery_error,
        )
        with self._lock:
            self._trails[trail.arn] = trail
        return trail

    def change(self, trail: Trail, *, logging: bool) -> Trail:
        """Start or stop the logging of a trail."""
        changed = replace(trail, logging=logging)
        with self._lock:
            self._trails[trail.arn] = changed
        return changed

    def all(self) -> tuple[Trail, ...]:
        """Of every account."""
        with self._lock:
            return tuple(self._trails.values())

    def seen_from(self, account: str, region: str, shadows: bool = True) -> tuple[Trail, ...]:
        """The trails that DescribeTrails shows there: those at home, and multi-region ones as shadows."""
        with self._lock:
            own = [trail for trail in self._trails.values() if trail.account == account]
        return tuple(trail for trail in own if trail.region == region or (shadows and trail.multi_region))

    def find(self, account: str, region: str, name: str) -> Trail:
        """By ARN, or by name in its home region. Raises TrailError."""
        for trail in self.seen_from(account, region):
            if name == trail.arn or (name == trail.name and trail.region == region):
                return trail
        raise TrailError("TrailNotFoundException", f"Unknown trail: {name} for the user: {account}")

    def admit(self, account: str, region: str, now: datetime) -> bool:
        """Whether one more LookupEvents is within the rate; counts it if so."""
        limit = self.lookups_a_second
        if limit is None:
            return True
        with self._lock:
            calls = self._calls.setdefault((account, region), deque())
            while calls and now - calls[0] >= timedelta(seconds=1):
                calls.popleft()
            if len(calls) >= limit:
                return False
            calls.append(now)
            return True
