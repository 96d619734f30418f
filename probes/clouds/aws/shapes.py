"""Answers that keep to the service's own description.

The SDK reads `{}` where a list belongs as an empty list, and text that is no JSON as an answer with nothing in it. Of
XML it reads an empty body, or text where a structure belongs, as nothing there, and any word but `true` as false. So
the body is looked at before the SDK reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol, cast

from probes.clouds.aws.reading import MAX_MEMBERS, MalformedError, members
from probes.clouds.aws.xml_shapes import check_xml, undeclared

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

_DEPTH: Final = 24
_INSTANT: Final = 40
"""Characters of a time."""
_JSON: Final = ("json", "rest-json")
_XML: Final = ("rest-xml", "query", "ec2")
_GOOD: Final = 300


class _Answer(Protocol):
    def __getitem__(self, name: str) -> object: ...


def checked(client: BaseClient) -> None:
    """Make `client` refuse (MalformedError) good answers whose JSON or XML has not the types that their description
    says, and every answer in XML that declares entities."""

    def look(operation_model: OperationModel, response_dict: _Answer, **_: object) -> None:
        status, body = response_dict["status_code"], cast(bytes, response_dict["body"])
        protocol = operation_model.service_model.resolved_protocol
        if protocol in _XML:
            undeclared(body)
        if not isinstance(status, int) or status >= _GOOD:
            return
        if protocol in _XML:
            check_xml(body, operation_model, _DEPTH)
        elif protocol in _JSON and (shape := described(operation_model)) is not None:
            check(_loaded(body), shape, _DEPTH)

    client.meta.events.register("before-parse", look)


def described(operation: OperationModel) -> Shape | None:
    """What the body is; None where all is told in headers, or there is nothing to tell."""
    shape = operation.output_shape
    if shape is None:
        return None
    if (payload := shape.serialization.get("payload")) is not None:
        inner: Shape = shape.members[payload]
        return inner if inner.type_name in ("structure", "list", "map") else None
    inside = [member for member in shape.members.values() if "location" not in member.serialization]
    # An answer that is described without any members is an object still.
    return shape if inside or not shape.members else None


def _loaded(body: bytes) -> object:
    try:
        value: object = json.loads(body.decode("utf-8"), object_pairs_hook=members)
    except UnicodeDecodeError as error:
        raise MalformedError("not UTF-8") from error
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError("not JSON") from error
    return value


def check(value: object, shape: Shape, room: int) -> None:
    """Raises MalformedError where `value` and its members are of other types than `shape` says. What the description
    does not know is left alone: services add members."""
    if room == 0:
        raise MalformedError("nested too deeply")
    fits: bool
    match shape.type_name:
        case "structure":
            fits = isinstance(value, dict)
            if isinstance(value, dict):
                for name, member in cast("StructureShape", shape).members.items():
                    if "location" in member.serialization:
                        continue
                    if (inner := value.get(member.serialization.get("name", name))) is not None:
                        check(inner, member, room - 1)
        case "list":
            fits = isinstance(value, list) and len(value) <= MAX_MEMBERS
            if isinstance(value, list) and fits:
                for inner in value:
                    check(inner, cast("ListShape", shape).member, room - 1)
        case "map":
            fits = isinstance(value, dict) and len(value) <= MAX_MEMBERS
            if isinstance(value, dict) and fits:
                for inner in value.values():
                    check(inner, cast("MapShape", shape).value, room - 1)
        case "string" | "blob":
            fits = isinstance(value, str)
        case "boolean":
            fits = isinstance(value, bool)
        case "integer" | "long":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "timestamp":
            # The SDK takes long ones apart for as long as they are.
            fits = (isinstance(value, int | float) and not isinstance(value, bool)) or (
                isinstance(value, str) and len(value) <= _INSTANT
            )
        case _:
            fits = True
    if not fits:
        raise MalformedError(f"{shape.name} is no {shape.type_name}")
