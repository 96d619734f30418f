"""Parameters of a request, by the input shape of its operation: the reverse of what an SDK serialises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from keycheck.lab.aws.wire import Request
from keycheck.lab.aws_stores.catalogue import Called
from keycheck.lab.aws_stores.refusals import RefusedError

_MOST: Final = 1000


def parameters(called: Called, request: Request) -> dict[str, object]:
    """By the names of members as the SDK's users write them. Raises RefusedError for what is no such request."""
    shape = called.operation.input_shape
    if shape is None:
        return {}
    try:
        match called.operation.service_model.protocol:
            case "json":
                found = _from_json(shape, json.loads(request.body or b"{}"))
            case "query":
                found = _from_form(shape, called.form, "", ec2=False)
            case "ec2":
                found = _from_form(shape, called.form, "", ec2=True)
            case _:
                found = _from_rest(shape, called, request)
    except (ValueError, RecursionError, OverflowError):
        raise RefusedError("SerializationException", "The request could not be read.", 400) from None
    if not isinstance(found, dict):
        raise RefusedError("SerializationException", "The request could not be read.", 400)
    for name in shape.required_members:
        if name not in found:
            raise RefusedError("ValidationException", f"Missing required parameter: {name}", 400)
    return found


def _from_rest(shape: StructureShape, called: Called, request: Request) -> dict[str, object]:
    found: dict[str, object] = {}
    body: dict[str, Shape] = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                found[name] = called.labels[wire]
            case "querystring" if wire in called.query:
                values = called.query[wire]
                found[name] = (
                    [_scalar(member.member, value) for value in values]
                    if isinstance(member, ListShape)
                    else _scalar(member, values[-1])
                )
            case "header" if wire.lower() in request.headers:
                text = request.headers[wire.lower()]
                found[name] = text.split(",") if isinstance(member, ListShape) else _scalar(member, text)
            case None:
                body[name] = member
            case _:
                pass
    if body and called.operation.service_model.protocol == "rest-json" and request.body:
        told = json.loads(request.body)
        if not isinstance(told, dict):
            raise ValueError("no object")
        for name, member in body.items():
            if (wire := member.serialization.get("name", name)) in told:
                found[name] = _from_json(member, told[wire])
    return found


def _from_json(shape: Shape, value: object) -> object:
    match shape:
        case StructureShape():
            if not isinstance(value, dict):
                raise ValueError("no object")
            return {
                name: _from_json(member, value[wire])
                for name, member in shape.members.items()
                if (wire := member.serialization.get("name", name)) in value
            }
        case ListShape():
            if not isinstance(value, list):
                raise ValueError("no list")
            return [_from_json(shape.member, item) for item in value]
        case MapShape():
            if not isinstance(value, dict):
                raise ValueError("no object")
            return {str(key): _from_json(shape.value, item) for key, item in value.items()}
        case _ if shape.type_name == "timestamp":
            return _moment(value)
        case _:
            return value


def _from_form(shape: Shape, form: Mapping[str, str], prefix: str, *, ec2: bool) -> object:
    match shape:
        case StructureShape():
            found: dict[str, object] = {}
            for name, member in shape.members.items():
                at = f"{prefix}.{_wire(member, name, ec2=ec2)}".lstrip(".")
                if any(key == at or key.startswith(f"{at}.") for key in form) or (
                    isinstance(member, ListShape) and not ec2 and _listed(member, at, ec2=ec2) + ".1" in form
                ):
                    found[name] = _from_form(member, form, at, ec2=ec2)
            return found
        case ListShape():
            at, items = _listed(shape, prefix, ec2=ec2), []
            for number in range(1, _MOST):
                here = f"{at}.{number}"
                if not any(key == here or key.startswith(f"{here}.") for key in form):
                    break
                items.append(_from_form(shape.member, form, here, ec2=ec2))
            return items
        case _:
            return _scalar(shape, form[prefix])


def _wire(member: Shape, name: str, *, ec2: bool) -> str:
    if ec2:
        if (query_name := member.serialization.get("queryName")) is not None:
            return str(query_name)
        given = str(member.serialization.get("name", name))
        return given[:1].upper() + given[1:]
    return str(member.serialization.get("name", name))


def _listed(shape: ListShape, prefix: str, *, ec2: bool) -> str:
    if ec2:
        return prefix
    name = shape.member.serialization.get("name")
    if shape.serialization.get("flattened"):
        return prefix if name is None else ".".join((*prefix.split(".")[:-1], str(name)))
    return f"{prefix}.{name or 'member'}"


def _scalar(shape: Shape, text: str) -> object:
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "boolean":
            return text.lower() == "true"
        case "timestamp":
            return _moment(text)
        case _:
            return text


def _moment(value: object) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    text = str(value)
    moment = parsedate_to_datetime(text) if text.endswith("GMT") else datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
