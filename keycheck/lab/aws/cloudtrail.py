"""CloudTrail in JSON 1.1: LookupEvents, and the configuration of trails as DescribeTrails, GetTrailStatus and
GetEventSelectors tell it. Shapes and errors: the cloudtrail 2013-11-01 service model of botocore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from keycheck.lab.aws.events import record
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.lookup import lookup
from keycheck.lab.aws.policy import decide_identity
from keycheck.lab.aws.seams import Access, ApiEvent, Caller, Document, Json
from keycheck.lab.aws.trails import DEFAULT_SELECTORS, Trail, TrailError, Trails

__all__ = ["DEFAULT_SELECTORS", "SOURCE", "TARGET", "Trail", "TrailError", "Trails", "handle", "record"]

TARGET: Final = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
"""What stands before the operation in `X-Amz-Target`; `CloudTrail_20131101` alone is an older spelling."""
SOURCE: Final = "cloudtrail.amazonaws.com"


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
            return lookup(body, account, region, ledger, trails, now)
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
