"""API calls as CloudTrail writes them down. The fields of an event follow the KMS Developer Guide, "Decrypt" under
"Examples of AWS KMS log entries" (eventVersion 1.11), and the CloudTrail User Guide, "CloudTrail record contents" and
"CloudTrail userIdentity element".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from keycheck.lab.aws.identity import principal_id
from keycheck.lab.aws.seams import ApiEvent, Caller, Document, Json

ForeignIdentity: TypeAlias = Literal["account", "full"]
"""How a caller of another account stands in the log of the resource's owner: `AWSAccount` with the account and the
unique id but no ARN, or in full. The user guide shows the first for AssumeRole; which one KMS writes is assumed."""
USER_AGENT: Final = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 lang/python#3.11"
RESOURCE_TYPES: Final = {"kms": "AWS::KMS::Key", "iam": "AWS::IAM::Role"}
_CIPHERS: Final = {"TLSv1.3": "TLS_AES_256_GCM_SHA384", "TLSv1.2": "ECDHE-RSA-AES128-GCM-SHA256"}


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
