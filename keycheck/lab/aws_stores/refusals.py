"""Refusals, in the words of each protocol. Sources: botocore's service models and its parsers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

from botocore.model import ServiceModel

from keycheck.lab.aws.wire import Answer

_DENIED: Final[Mapping[str, tuple[str, int]]] = {
    "json": ("AccessDeniedException", 400),
    "rest-json": ("AccessDeniedException", 403),
    "rest-xml": ("AccessDenied", 403),
    "query": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
}
_STRANGER: Final[Mapping[str, tuple[str, str, int]]] = {
    "json": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "rest-json": ("UnrecognizedClientException", "The security token included in the request is invalid.", 403),
    "rest-xml": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
    "query": ("InvalidClientTokenId", "The security token included in the request is invalid", 403),
    "ec2": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
}


@dataclass
class RefusedError(Exception):
    """An error answer. `code` is the name of the exception's shape in the service's model, where it has one: that knows
    the code on the wire and the status."""

    code: str
    message: str = ""
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    """Further members of the error: `Region`, `Endpoint` of S3."""


def denied(protocol: str, arn: str, action: str, resource: str) -> RefusedError:
    """The identity's policies do not allow it."""
    code, status = _DENIED[protocol]
    return RefusedError(code, f"User: {arn} is not authorized to perform: {action} on resource: {resource}", status)


def stranger(protocol: str) -> RefusedError:
    """Nobody knows the access key, or the Region is not enabled for its account."""
    return RefusedError(*_STRANGER[protocol])


def answered(refused: RefusedError, model: ServiceModel, request_id: str, *, head: bool = False) -> Answer:
    """As the service says it. A HEAD has no body, so that only status and headers tell."""
    code, status = _of_model(refused, model)
    headers = {"x-amzn-RequestId": request_id, **refused.headers}
    match model.protocol:
        case "json":
            body = json.dumps({"__type": code, "message": refused.message, **refused.members}).encode()
            return Answer(status, body, f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}", headers)
        case "rest-json":
            body = json.dumps({"message": refused.message, **refused.members}).encode()
            return Answer(status, body, "application/json", {**headers, "x-amzn-ErrorType": code})
        case "ec2":
            xml = (
                f"<Response><Errors><Error>{_elements({'Code': code, 'Message': refused.message})}</Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
            return Answer(status, xml.encode(), "text/xml", headers)
        case "query":
            told = _elements(
                {"Type": "Sender" if status < 500 else "Receiver", "Code": code, "Message": refused.message}
            )
            xml = f"<ErrorResponse><Error>{told}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            return Answer(status, xml.encode(), "text/xml", headers)
        case _:
            told = _elements({"Code": code, "Message": refused.message, **refused.members, "RequestId": request_id})
            body = b"" if head else f'<?xml version="1.0" encoding="UTF-8"?><Error>{told}</Error>'.encode()
            return Answer(status, body, "application/xml", headers)


def _of_model(refused: RefusedError, model: ServiceModel) -> tuple[str, int]:
    for shape in model.error_shapes:
        told = shape.metadata.get("error", {})
        code = str(told.get("code", shape.name))
        if refused.code in (shape.name, code):
            return code, int(told.get("httpStatusCode", refused.status))
    return refused.code, refused.status


def _elements(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
