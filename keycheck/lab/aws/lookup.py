"""LookupEvents: the event history of an account in a Region, independent of trails, as in AWS: what a trail excludes is
still found. Shapes and errors: the cloudtrail 2013-11-01 service model of botocore.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from keycheck.lab.aws.events import RESOURCE_TYPES, row, username
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import ApiEvent, Document, Json
from keycheck.lab.aws.trails import TrailError, Trails
from keycheck.lab.log_trouble import SHORT_PAGE

PAGE: Final = 50
HISTORY: Final = timedelta(days=90)
ATTRIBUTES: Final = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)


def lookup(body: Document, account: str, region: str, ledger: Ledger, trails: Trails, now: datetime) -> Json:
    key, value = _filter(body.get("LookupAttributes"))
    start, end = _time(body.get("StartTime")), _time(body.get("EndTime"))
    if start is not None and end is not None and start > end:
        raise TrailError("InvalidTimeRangeException", "Start time must be before the end time.")
    size = body.get("MaxResults", PAGE)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= PAGE:
        raise TrailError("InvalidMaxResultsException", f"The maximum number of results must be between 1 and {PAGE}.")
    if body.get("EventCategory") not in (None, "insight"):
        raise TrailError(
            "InvalidEventCategoryException", "The event category is not valid; use insight or leave it out."
        )
    question = [account, region, key, value, str(start), str(end), str(body.get("EventCategory"))]
    digest = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:32]
    offset, asked = _resume(body.get("NextToken"), digest, now)
    oldest = max(start or now - HISTORY, now - HISTORY)
    trouble = trails.trouble
    found = [
        event
        for event in _newest_first(ledger.events(account, region, asked))
        if oldest <= event.at <= (end or asked)
        and _matches(event, key, value)
        and event.name not in trouble.excluded
        and trouble.there(event.at, asked)
    ]
    found = trouble.ordered(found)
    if trouble.truncated:
        if offset:
            raise TrailError("InvalidNextTokenException", "The token is expired.")
        size = min(size, SHORT_PAGE)
    if body.get("EventCategory") == "insight":
        found = []
    page = found[offset : offset + size]
    answer: dict[str, Json] = {"Events": [row(event, trails.foreign_identity) for event in page]}
    if offset + size < len(found):
        answer["NextToken"] = _token(digest, offset + size, asked)
    return answer


def _newest_first(events: Sequence[ApiEvent]) -> list[ApiEvent]:
    # Turned round first: sorting keeps the order of equal times, and the later recorded is the newer.
    turned = list(events[::-1])
    turned.sort(key=lambda event: event.at, reverse=True)
    return turned


def _filter(attributes: Json) -> tuple[str, str]:
    if attributes in (None, []):
        return "", ""
    wrong = TrailError("InvalidLookupAttributesException", "The lookup attribute is not valid.")
    if not isinstance(attributes, list) or not isinstance(attributes[0], Mapping):
        raise wrong
    if len(attributes) > 1:
        raise TrailError(
            "InvalidLookupAttributesException", "You can specify only one lookup attribute in a LookupEvents request."
        )
    key, value = attributes[0].get("AttributeKey"), attributes[0].get("AttributeValue")
    if key not in ATTRIBUTES or not isinstance(key, str) or not isinstance(value, str) or not 1 <= len(value) <= 2000:
        raise wrong
    return key, value


def _time(value: Json) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e11:
        return datetime.fromtimestamp(value, UTC)
    raise TrailError("InvalidTimeRangeException", "A time is given in seconds since 1970.")


def _matches(event: ApiEvent, key: str, value: str) -> bool:
    match key:
        case "":
            return True
        case "EventId":
            return event.event_id == value
        case "EventName":
            return event.name == value
        case "ReadOnly":
            return ("true" if event.read_only else "false") == value.lower()
        case "Username":
            return event.caller.account == event.account and username(event.caller) == value
        case "ResourceType":
            return any(RESOURCE_TYPES.get(arn.split(":")[2]) == value for arn in event.resources if ":" in arn)
        case "ResourceName":
            return any(value in (arn, arn.rpartition("/")[2]) for arn in event.resources)
        case "EventSource":
            return event.source == value
        case _:
            return event.caller.account == event.account and event.caller.access_key_id == value


def _token(digest: str, offset: int, asked: datetime) -> str:
    text = json.dumps([digest, offset, asked.isoformat()])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _resume(token: Json, digest: str, now: datetime) -> tuple[int, datetime]:
    """Where to go on, and the moment of the first page: later events must not move the pages."""
    if token is None:
        return 0, now
    wrong = TrailError("InvalidNextTokenException", "Invalid token.")
    if not isinstance(token, str) or len(token) > 500:
        raise wrong
    try:
        match json.loads(base64.urlsafe_b64decode(token.encode("ascii"))):
            case [str(asked_for), int(offset), str(asked)] if asked_for == digest and offset > 0:
                moment = datetime.fromisoformat(asked)
                if _token(digest, offset, moment) == token:  # one spelling only: base64 forgives trailing bytes
                    return offset, moment
    except ValueError as error:
        raise wrong from error
    raise wrong
