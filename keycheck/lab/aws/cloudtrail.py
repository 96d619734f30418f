"""CloudTrail in JSON 1.1: LookupEvents, and the configuration of trails as DescribeTrails, GetTrailStatus and
GetEventSelectors tell it.

Shapes and errors: the cloudtrail 2013-11-01 service model of botocore. The event history is independent of trails,
as in AWS: what a trail excludes is still found by LookupEvents. The fields of an event follow the KMS Developer Guide,
"Decrypt" under "Examples of AWS KMS log entries" (eventVersion 1.11), and the CloudTrail User Guide, "CloudTrail record
contents" and "CloudTrail userIdentity element".
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from keycheck.lab.aws.identity import principal_id
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.policy import decide_identity
from keycheck.lab.aws.seams import Access, ApiEvent, Caller, Document, Json

TARGET: Final = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
"""What stands before the operation in `X-Amz-Target`; `CloudTrail_20131101` alone is an older spelling."""
SOURCE: Final = "cloudtrail.amazonaws.com"
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
DEFAULT_SELECTORS: Final[tuple[Document, ...]] = (
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    },
)


ForeignIdentity: TypeAlias = Literal["account", "full"]
"""How a caller of another account stands in the log of the resource's owner: `AWSAccount` with the account and the
unique id but no ARN, or in full. The user guide shows the first for AssumeRole; which one KMS writes is assumed."""

USER_AGENT: Final = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 lang/python#3.11"
RESOURCE_TYPES: Final = {"kms": "AWS::KMS::Key", "iam": "AWS::IAM::Role"}
_CIPHERS: Final = {"TLSv1.3": "TLS_AES_256_GCM_SHA384", "TLSv1.2": "ECDHE-RSA-AES128-GCM-SHA256"}


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


def handle(
    operation: str,
    body: Document,
    caller: Caller,
    region: str,
    ledger: Ledger,
    trails: Trails,
    now: datetime,
    *,
    organization: Sequence[Document] = (),
) -> tuple[int, Json]:
    """Status and JSON body; errors as `{"__type": …, "message": …}`. Every call but a throttled one is logged too, as
    CloudTrail logs itself."""
    known = ("LookupEvents", "DescribeTrails", "GetTrailStatus", "GetEventSelectors")
    if operation not in known:
        return _error("UnknownOperationException", "")
    if operation == "LookupEvents" and not trails.admit(caller.account, region, now):
        return _error("ThrottlingException", "Rate exceeded")
    partition = "aws-eusc" if region.startswith("eusc-") else "aws"
    named = body.get("Name" if operation == "GetTrailStatus" else "TrailName")
    arn = named if isinstance(named, str) and named.startswith("arn:") else None
    resource = f"arn:{partition}:cloudtrail:{region}:{caller.account}:trail/{named}" if named and not arn else arn
    access = Access(caller, f"cloudtrail:{operation}", resource or "*", caller.account, region, now)
    decision = decide_identity(access, organization=organization)
    ledger.note(access, decision)
    event = ApiEvent(now, caller, region, SOURCE, operation, True, caller.account, parameters=_logged(body))
    if not decision.allowed:
        ledger.record(replace(event, error="AccessDeniedException", message=decision.why))
        return _error("AccessDeniedException", decision.why)
    try:
        answer = _answer(operation, body, caller.account, region, ledger, trails, now)
    except TrailError as error:
        ledger.record(replace(event, error=error.code, message=error.message))
        return _error(error.code, error.message)
    ledger.record(event)
    return 200, answer


def _logged(body: Document) -> Document:
    return {key[:1].lower() + key[1:]: value for key, value in body.items() if key != "NextToken"}


def _error(code: str, message: str) -> tuple[int, Json]:
    return 400, {"__type": code, "message": message}


def _answer(
    operation: str, body: Document, account: str, region: str, ledger: Ledger, trails: Trails, now: datetime
) -> Json:
    match operation:
        case "LookupEvents":
            return _lookup(body, account, region, ledger, trails, now)
        case "DescribeTrails":
            wanted = body.get("trailNameList")
            shown = trails.seen_from(account, region, body.get("includeShadowTrails") is not False)
            if isinstance(wanted, list) and wanted:
                shown = tuple(trail for trail in shown if {trail.name, trail.arn} & set(map(str, wanted)))
            return {"trailList": [_described(trail) for trail in shown]}
        case "GetTrailStatus":
            trail = trails.find(account, region, _text(body, "Name"))
            return _status(trail, now)
        case _:
            trail = trails.find(account, region, _text(body, "TrailName"))
            if trail.advanced_event_selectors:
                return {"TrailARN": trail.arn, "AdvancedEventSelectors": list(trail.advanced_event_selectors)}
            return {"TrailARN": trail.arn, "EventSelectors": list(trail.event_selectors)}


def _text(body: Document, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise TrailError("InvalidTrailNameException", "Trail name cannot be blank!")
    return value


def _described(trail: Trail) -> Document:
    told: dict[str, Json] = {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": trail.multi_region,
        "HomeRegion": trail.region,
        "TrailARN": trail.arn,
        "LogFileValidationEnabled": trail.log_file_validation,
        "HasCustomEventSelectors": bool(trail.advanced_event_selectors) or trail.event_selectors != DEFAULT_SELECTORS,
        "HasInsightSelectors": False,
        "IsOrganizationTrail": trail.organization,
    }
    return told if trail.kms_key is None else {**told, "KmsKeyId": trail.kms_key}


def _status(trail: Trail, now: datetime) -> Document:
    started, latest = int(trail.since.timestamp()), int(now.timestamp())
    told: dict[str, Json] = {
        "IsLogging": trail.logging,
        "StartLoggingTime": started,
        "TimeLoggingStarted": trail.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if trail.delivery_error is not None:
        told |= dict.fromkeys(("LatestDeliveryError", "LatestDigestDeliveryError"), trail.delivery_error)
    if trail.logging:
        return {**told, "LatestDeliveryTime": started if trail.delivery_error else latest}
    return {**told, "StopLoggingTime": latest}


def _lookup(body: Document, account: str, region: str, ledger: Ledger, trails: Trails, now: datetime) -> Json:
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
    found = [
        event
        for event in _newest_first(ledger.events(account, region, asked))
        if oldest <= event.at <= (end or asked) and _matches(event, key, value)
    ]
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


def record(event: ApiEvent, foreign: ForeignIdentity = "account") -> dict[str, Json]:
    """The CloudTrail record of `event`."""
    caller = event.caller
    crossing = caller.account != event.account or any(
        _account_of(arn) not in ("", caller.account) for arn in event.resources
    )
    told: dict[str, Json] = {
        "eventVersion": "1.11",
        "userIdentity": _identity(caller, event.at, None if caller.account == event.account else foreign),
        "eventTime": _instant(event.at),
        "eventSource": event.source,
        "eventName": event.name,
        "awsRegion": event.region,
        "sourceIPAddress": _service(caller) or caller.source,
        "userAgent": _service(caller) or USER_AGENT,
    }
    if event.error is not None:
        told["errorCode"] = event.error.removesuffix("Exception") if _is_denial(event.error) else event.error
        told["errorMessage"] = event.message or ""
    told["requestParameters"] = dict(event.parameters) or None
    told["responseElements"] = dict(event.response) if event.response is not None else None
    if event.additional:
        told["additionalEventData"] = dict(event.additional)
    told["requestID"] = event.request_id
    told["eventID"] = event.event_id
    told["readOnly"] = event.read_only
    if event.resources:
        told["resources"] = [_resource(arn) for arn in event.resources]
    told["eventType"] = "AwsApiCall"
    told["managementEvent"] = True
    told["recipientAccountId"] = event.account
    if crossing:
        told["sharedEventID"] = str(uuid5(NAMESPACE_URL, f"shared:{event.request_id}"))
    told["eventCategory"] = "Management"
    if caller.via is None and caller.tls_version:
        told["tlsDetails"] = _tls(caller, event)
    return told


def row(event: ApiEvent, foreign: ForeignIdentity = "account") -> dict[str, Json]:
    """The event as an entry of LookupEvents; times are seconds since 1970, as JSON 1.1 has them."""
    told: dict[str, Json] = {
        "EventId": event.event_id,
        "EventName": event.name,
        "ReadOnly": "true" if event.read_only else "false",
        "EventTime": int(event.at.timestamp()),
        "EventSource": event.source,
        "Resources": [{"ResourceType": _kind(arn), "ResourceName": arn} for arn in event.resources],
        "CloudTrailEvent": json.dumps(record(event, foreign), ensure_ascii=False, separators=(",", ":")),
    }
    if event.caller.account == event.account or foreign == "full":
        told["Username"] = username(event.caller)
        if event.caller.access_key_id:
            told["AccessKeyId"] = event.caller.access_key_id
    return told


def username(caller: Caller) -> str:
    """What the attribute `Username` of LookupEvents holds: the user, the session of a role, or `root`."""
    return "root" if caller.arn.endswith(":root") else caller.arn.rpartition("/")[2]


def _is_denial(code: str) -> bool:
    # The log shows the code without the suffix that the SDK sees: `AccessDenied`.
    return code == "AccessDeniedException"


def _identity(caller: Caller, at: datetime, foreign: ForeignIdentity | None) -> dict[str, Json]:
    told: dict[str, Json]
    unique = principal_id(caller)
    if foreign == "account":
        told = {"type": "AWSAccount", "principalId": unique, "accountId": caller.account}
    elif caller.arn.endswith(":root"):
        told = {"type": "Root", "principalId": unique, "arn": caller.arn, "accountId": caller.account}
    elif ":assumed-role/" in caller.arn:
        told = {"type": "AssumedRole", "principalId": unique, "arn": caller.arn, "accountId": caller.account}
        told["accessKeyId"] = caller.access_key_id
        told["sessionContext"] = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": unique.partition(":")[0],
                "arn": caller.principal,
                "accountId": caller.account,
                "userName": caller.principal.rpartition("/")[2],
            },
            "attributes": {"creationDate": _instant(at), "mfaAuthenticated": "false"},
        }
    else:
        told = {"type": "IAMUser", "principalId": unique, "arn": caller.arn, "accountId": caller.account}
        told["accessKeyId"] = caller.access_key_id
        told["userName"] = username(caller)
    service = _service(caller)
    if service is not None:
        told["invokedBy"] = service
    return told


def _service(caller: Caller) -> str | None:
    return f"{caller.via.split('.')[0]}.amazonaws.com" if caller.via else None


def _tls(caller: Caller, event: ApiEvent) -> dict[str, Json]:
    told: dict[str, Json] = {
        "tlsVersion": caller.tls_version,
        "cipherSuite": _CIPHERS.get(caller.tls_version, "ECDHE-RSA-AES128-SHA"),
        "clientProvidedHostHeader": f"{event.source.split('.')[0]}.{event.region}.amazonaws.com",
    }
    if caller.key_exchange:
        told["keyExchange"] = caller.key_exchange
    return told


def _account_of(arn: str) -> str:
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""


def _kind(arn: str) -> str:
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    return RESOURCE_TYPES.get(service, "AWS::Unknown")


def _resource(arn: str) -> Document:
    return {"accountId": _account_of(arn), "type": _kind(arn), "ARN": arn}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
