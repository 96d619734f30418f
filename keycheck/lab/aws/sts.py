"""STS in the query protocol: GetCallerIdentity and AssumeRole.

Shapes: the sts 2011-06-15 service model of botocore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from keycheck.lab.aws.identity import Directory, Refusal, Session, principal_id
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import Access, ApiEvent, Caller, Decision, Document

NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
DEFAULT_SECONDS: Final = 3600


def handle(
    action: str,
    parameters: Mapping[str, str],
    caller: Caller,
    directory: Directory,
    now: datetime,
    *,
    ledger: Ledger | None = None,
    region: str = "us-east-1",
    request_id: str = "00000000-0000-4000-8000-000000000000",
) -> tuple[int, bytes]:
    """Status and XML body for one call. With a `ledger` the call is logged in the caller's account and `region`, and
    an allowed AssumeRole is noted as authorized. Credentials appear in the answer alone."""
    match action:
        case "GetCallerIdentity":
            inner = _elements({"Arn": caller.arn, "UserId": principal_id(caller), "Account": caller.account})
            _log(ledger, ApiEvent(now, caller, region, "sts.amazonaws.com", action, True, caller.account))
            return 200, _answer(action, inner, request_id)
        case "AssumeRole":
            return _assume(parameters, caller, directory, now, ledger, region, request_id)
        case _:
            return error(
                Refusal("InvalidAction", f"Could not find operation {action} for version 2011-06-15"), request_id
            )


def error(refusal: Refusal, request_id: str = "00000000-0000-4000-8000-000000000000") -> tuple[int, bytes]:
    """Status and XML body of an error, for refusals before `handle` too (`caller_of(..., protocol="query")`)."""
    kind = "Sender" if refusal.status < 500 else "Receiver"
    inner = _elements({"Type": kind, "Code": refusal.code, "Message": refusal.message})
    identified = _elements({"RequestId": request_id})
    body = f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{inner}</Error>{identified}</ErrorResponse>'
    return refusal.status, body.encode()


def _assume(
    parameters: Mapping[str, str],
    caller: Caller,
    directory: Directory,
    now: datetime,
    ledger: Ledger | None,
    region: str,
    request_id: str,
) -> tuple[int, bytes]:
    role_arn, name = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
    seconds = parameters.get("DurationSeconds", str(DEFAULT_SECONDS))
    external_id = parameters.get("ExternalId")
    outcome: Session | Refusal
    if not role_arn or not name or not seconds.isascii() or not seconds.isdigit() or len(seconds) > 9:
        outcome = Refusal(
            "ValidationError", "RoleArn, RoleSessionName and a whole number of DurationSeconds are required"
        )
    else:
        outcome = directory.assume(caller, role_arn, name, external_id, now, int(seconds))
    asked: Document = {"roleArn": role_arn, "roleSessionName": name}
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else caller.account
    event = ApiEvent(
        now,
        caller,
        region,
        "sts.amazonaws.com",
        "AssumeRole",
        True,
        caller.account,
        (role_arn,) if role_arn else (),
        asked if external_id is None else {**asked, "externalId": external_id},
        request_id=request_id,
    )
    if isinstance(outcome, Refusal):
        if ledger is not None:
            ledger.record_call(_failed(event, outcome), caller.account)
        return error(outcome, request_id)
    if ledger is not None:
        access = Access(caller, "sts:AssumeRole", role_arn, account, region, now)
        ledger.note(access, Decision(True, "assumed"))
        ledger.record_call(event, account)
    given = outcome.credentials
    credentials = _elements(
        {
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret,
            "SessionToken": given.session_token or "",
            "Expiration": outcome.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    role = _elements({"AssumedRoleId": outcome.role_id, "Arn": outcome.arn})
    inner = f"<AssumedRoleUser>{role}</AssumedRoleUser><Credentials>{credentials}</Credentials>"
    return 200, _answer("AssumeRole", inner, request_id)


def _failed(event: ApiEvent, refusal: Refusal) -> ApiEvent:
    return replace(event, error=refusal.code, message=refusal.message)


def _log(ledger: Ledger | None, event: ApiEvent) -> None:
    if ledger is not None:
        ledger.record(event)


def _elements(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _answer(action: str, inner: str, request_id: str) -> bytes:
    return (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata>{_elements({'RequestId': request_id})}</ResponseMetadata></{action}Response>"
    ).encode()
