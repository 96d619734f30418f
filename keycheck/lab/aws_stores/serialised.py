"""Answers on the wire, by the output shape of the operation: the reverse of what an SDK parses.

What a handler gives is checked against the service's model: a member that AWS does not have is a defect of the lab.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from keycheck.lab.aws.wire import Answer
from keycheck.lab.errors import LabError

_S3: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_ROOTS: Final[Mapping[str, str]] = {
    "GetBucketLoggingOutput": "BucketLoggingStatus",
    "GetBucketVersioningOutput": "VersioningConfiguration",
    "ListBucketInventoryConfigurationsOutput": "ListInventoryConfigurationsResult",
    "ListBucketsOutput": "ListAllMyBucketsResult",
    "ListDirectoryBucketsOutput": "ListAllMyDirectoryBucketsResult",
    "ListObjectVersionsOutput": "ListVersionsResult",
    "ListObjectsV2Output": "ListBucketResult",
}
"""Root elements of S3's answers, by the shape. Models leave them out: they are of the API reference."""
Output = Mapping[str, object]
"""As the SDK's users see it: members by name, times as `datetime`."""


def serialised(operation: OperationModel, output: Output, request_id: str) -> Answer:
    """The answer. Raises LabError for output that is not of the operation's shape."""
    model, shape = operation.service_model, operation.output_shape
    identified = {"x-amzn-RequestId": request_id}
    match model.protocol:
        case "json":
            body = json.dumps({} if shape is None else _json(shape, output)).encode()
            return Answer(200, body, f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}", identified)
        case "query":
            inner = "" if shape is None else _members(shape, output)
            wrapper = None if shape is None else shape.serialization.get("resultWrapper")
            inner = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else inner
            told = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
            return _xml(operation, f"{inner}{told}", identified)
        case "ec2":
            inner = "" if shape is None else _members(shape, output)
            return _xml(operation, f"<requestId>{request_id}</requestId>{inner}", identified)
        case protocol:
            return _rest(shape, output, identified, xml=protocol == "rest-xml")


def _xml(operation: OperationModel, inner: str, headers: Mapping[str, str]) -> Answer:
    namespace = quoteattr(str(operation.service_model.metadata.get("xmlNamespace", "")))
    name = f"{operation.name}Response"
    return Answer(200, f"<{name} xmlns={namespace}>{inner}</{name}>".encode(), "text/xml", dict(headers))


def _rest(shape: StructureShape | None, output: Output, identified: Mapping[str, str], *, xml: bool) -> Answer:
    headers, body = dict(identified), dict(output)
    content_type = "application/xml" if xml else "application/json"
    if shape is None:
        return Answer(200, b"", content_type, headers)
    if shape.name == "GetBucketLocationOutput":
        # the model does not say it: the root itself is the constraint
        constraint = escape(str(body.get("LocationConstraint", "")))
        told = f'<LocationConstraint xmlns="{_S3}">{constraint}</LocationConstraint>'
        return Answer(200, told.encode(), content_type, headers)
    _known(shape, output)
    for name, member in shape.members.items():
        if name not in body:
            continue
        wire = str(member.serialization.get("name", name))
        match member.serialization.get("location"):
            case "header":
                headers[wire] = _text(member, body.pop(name), "rfc822")
            case "headers":
                headers |= {f"{wire}{key}": str(value) for key, value in _mapping(body.pop(name)).items()}
            case "statusCode":
                body.pop(name)
    content_type = headers.pop("Content-Type", content_type)
    payload = shape.serialization.get("payload")
    if payload is not None:
        if payload not in body:
            return Answer(200, b"", content_type, headers)
        member = shape.members[payload]
        if xml:
            root = str(member.serialization.get("name", member.name))
            return Answer(200, _rooted(root, member, body[payload]), content_type, headers)
        return Answer(200, json.dumps(_json(member, body[payload])).encode(), content_type, headers)
    unlocated = any("location" not in member.serialization for member in shape.members.values())
    if xml:
        return Answer(
            200, _rooted(_ROOTS.get(shape.name, shape.name), shape, body) if unlocated else b"", content_type, headers
        )
    return Answer(200, json.dumps(_json(shape, body)).encode(), content_type, headers)


def _rooted(name: str, shape: Shape, value: object) -> bytes:
    element = _element(name, shape, value, f' xmlns="{_S3}"')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element}'.encode()


def _members(shape: StructureShape, value: object) -> str:
    found = _known(shape, value)
    return "".join(
        _element(_name(member, name), member, found[name])
        for name, member in shape.members.items()
        if found.get(name) is not None and not member.serialization.get("xmlAttribute")
    )


def _element(name: str, shape: Shape, value: object, attributes: str = "") -> str:
    match shape:
        case StructureShape():
            given = _known(shape, value)
            for member_name, each in shape.members.items():
                if each.serialization.get("xmlAttribute") and member_name in given:
                    kind = quoteattr(str(given[member_name]))
                    attributes += f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type={kind}'
            return f"<{name}{attributes}>{_members(shape, value)}</{name}>"
        case ListShape():
            items = _sequence(value)
            if shape.serialization.get("flattened"):
                return "".join(_element(name, shape.member, item) for item in items)
            inner = str(shape.member.serialization.get("name", "member"))
            return f"<{name}{attributes}>{''.join(_element(inner, shape.member, item) for item in items)}</{name}>"
        case MapShape():
            key, told = (each.serialization.get("name") for each in (shape.key, shape.value))
            entries = "".join(
                f"<entry><{key or 'key'}>{escape(str(at))}</{key or 'key'}>"
                f"{_element(str(told or 'value'), shape.value, item)}</entry>"
                for at, item in _mapping(value).items()
            )
            return f"<{name}{attributes}>{entries}</{name}>"
        case _:
            return f"<{name}{attributes}>{escape(_text(shape, value, 'iso8601'))}</{name}>"


def _name(member: Shape, name: str) -> str:
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner is not None:
            return str(inner)
    return str(member.serialization.get("name", name))


def _json(shape: Shape, value: object) -> object:
    match shape:
        case StructureShape():
            found = _known(shape, value)
            return {
                str(member.serialization.get("name", name)): _json(member, found[name])
                for name, member in shape.members.items()
                if found.get(name) is not None
            }
        case ListShape():
            return [_json(shape.member, item) for item in _sequence(value)]
        case MapShape():
            return {str(key): _json(shape.value, item) for key, item in _mapping(value).items()}
        case _ if shape.type_name == "timestamp":
            told = shape.serialization.get("timestampFormat", "unixTimestamp")
            if told != "unixTimestamp":
                return _text(shape, value, told)
            return _moment(value).timestamp()
        case _ if shape.type_name == "blob":
            return _text(shape, value, "")
        case _:
            return value


def _text(shape: Shape, value: object, times: str) -> str:
    match shape.type_name:
        case "timestamp":
            moment = _moment(value)
            match shape.serialization.get("timestampFormat", times):
                case "rfc822":
                    return format_datetime(moment, usegmt=True)
                case "unixTimestamp":
                    return str(int(moment.timestamp()))
                case _:
                    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        case "blob":
            return base64.b64encode(value if isinstance(value, bytes) else str(value).encode()).decode()
        case "boolean":
            return "true" if value else "false"
        case _:
            return str(value)


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise _wrong(f"{type(value).__name__} where a time belongs")
    return value.astimezone(UTC)


def _known(shape: StructureShape, value: object) -> Output:
    found = _mapping(value)
    strange = sorted(str(name) for name in found.keys() - shape.members.keys())
    if strange:
        raise _wrong(f"AWS's {shape.name} has no {strange[0]}")
    return found


def _mapping(value: object) -> Output:
    if not isinstance(value, Mapping):
        raise _wrong(f"{type(value).__name__} where a structure belongs")
    return value


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _wrong(f"{type(value).__name__} where a list belongs")
    return value


def _wrong(what: str) -> LabError:
    return LabError(f"the lab's own answer is not AWS's: {what}", advice="this is a defect of the lab: report it")
