"""KMS calls as CloudTrail shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from keycheck.lab.aws.kms.call import Call
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.model import Usage
from keycheck.lab.aws.kms.operations import CHANGING
from keycheck.lab.aws.kms.params import Schema
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import ApiEvent, Document, Json

SOURCE: Final = "kms.amazonaws.com"


def record(ledger: Ledger, schema: Schema, call: Call, request_id: str, error: KmsError | None) -> None:
    """Log the call with its caller, and with the keys' owners unless it was denied."""
    refused = error is not None and error.code == "AccessDeniedException"
    parameters: Document = {}
    if not refused:
        parameters = _json(schema.loggable(call.operation, call.params))
        if call.operation in ("Decrypt", "Encrypt"):
            parameters = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", **parameters}
    keys = [] if refused else call.touched
    event = ApiEvent(
        call.now,
        call.caller,
        call.region,
        SOURCE,
        call.operation,
        call.operation not in CHANGING,
        call.caller.account,
        resources=tuple(key.arn for key in keys),
        parameters=parameters,
        response=None if error or call.logged is None else _json(_lowered(call.logged)),
        additional=dict(call.additional) if error is None else {},
        error=_logged_code(error),
        message=None if error is None else error.message,
        request_id=request_id,
    )
    ids = {call.caller.account: ledger.record(event)}
    for account in {key.account for key in keys} - {call.caller.account}:
        theirs = tuple(key.arn for key in keys if key.account == account)
        ids[account] = ledger.record(replace(event, account=account, resources=theirs))
    for key in call.used if error is None else ():
        key.usage = Usage(call.operation, call.now, ids.get(key.account, ""), request_id)


def _logged_code(error: KmsError | None) -> str | None:
    """CloudTrail's name for the error: a denied call is `AccessDenied`, without parameters and resources."""
    if error is None:
        return None
    return "AccessDenied" if error.code == "AccessDeniedException" else error.code


def _lowered(value: object) -> object:
    """An answer as CloudTrail writes it: names in lower camel case, times as text."""
    if isinstance(value, Mapping):
        return {
            (name[:3].lower() + name[3:] if name.startswith("AWS") else name[:1].lower() + name[1:]): _lowered(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    return value.strftime("%b %d, %Y, %I:%M:%S %p") if isinstance(value, datetime) else value


def _json(value: object) -> dict[str, Json]:
    parsed: dict[str, Json] = json.loads(json.dumps(value))
    return parsed
