"""What was called: the events that CloudTrail shows later, and which permissions were used."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from keycheck.lab.aws.seams import Access, ApiEvent, Decision
from keycheck.model.types import Entropy

REFUSALS: Final = frozenset({"AccessDenied", "AccessDeniedException"})


class Ledger:
    """Events per account and region; safe for threads; bounded, the oldest fall out.

    `lag` is how long after the call an event is delivered. It may be set at any time and then holds for all events:
    CloudTrail gives no promise, its guide says "typically" about five minutes on average.
    """

    def __init__(
        self, *, lag: timedelta = timedelta(0), capacity: int = 100_000, entropy: Entropy = os.urandom
    ) -> None:
        self.lag = lag
        self._capacity = capacity
        self._entropy = entropy
        self._lock = threading.Lock()
        self._events: dict[tuple[str, str], deque[ApiEvent]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._recorded = 0

    def record(self, event: ApiEvent) -> str:
        """Keep `event`; gives its event id (and fills in a request id where there is none)."""
        kept = replace(event, event_id=event.event_id or self.new_id(), request_id=event.request_id or self.new_id())
        with self._lock:
            shelf = self._events.setdefault((event.account, event.region), deque(maxlen=self._capacity))
            shelf.append(kept)
            self._recorded += 1
        return kept.event_id

    def record_call(self, event: ApiEvent, owner: str) -> str:
        """`record` for a call that may cross accounts: logged for the caller, and for the `owner` of the resource
        unless it was denied (KMS logs denials across accounts only in the caller's account). Gives the event id in
        the caller's log; both events carry the same request id."""
        asked = replace(event, account=event.caller.account, request_id=event.request_id or self.new_id())
        event_id = self.record(asked)
        if owner != asked.account and event.error not in REFUSALS:
            self.record(replace(asked, account=owner, event_id=""))
        return event_id

    def new_id(self) -> str:
        """A random UUID, as request and event ids are."""
        return str(UUID(bytes=self._entropy(16), version=4))

    def note(self, access: Access, decision: Decision) -> None:
        """Remember that `access` was authorized, if it was; call it once per policy question."""
        if decision.allowed:
            with self._lock:
                self._asked.add((access.caller.principal, access.action))

    def asked(self) -> frozenset[tuple[str, str]]:
        """`(principal ARN, "kms:Decrypt")` for everything that was authorized, so that a test can prove that nothing
        in a least-privilege policy is unused."""
        with self._lock:
            return frozenset(self._asked)

    def forget_asked(self) -> None:
        """Start `asked` anew."""
        with self._lock:
            self._asked.clear()

    def events(self, account: str, region: str, now: datetime) -> tuple[ApiEvent, ...]:
        """Events of the account and region that are delivered by `now`, oldest first."""
        with self._lock:
            kept = tuple(self._events.get((account, region), ()))
            latest = now - self.lag
        return tuple(event for event in kept if event.at <= latest)

    def places(self) -> tuple[tuple[str, str], ...]:
        """Accounts and Regions that have events."""
        with self._lock:
            return tuple(sorted(self._events))

    @property
    def recorded(self) -> int:
        """How many events were recorded in all, with those that fell out."""
        return self._recorded
