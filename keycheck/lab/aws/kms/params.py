"""Request parameters, checked against the service model that the installed SDK carries, with KMS's own messages."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from keycheck.lab.aws.kms.errors import KmsError, invalid

MAX_DEPTH: Final = 8
_UNLOGGED: Final = frozenset({"GrantTokens", "GrantToken", "Recipient", "ImportToken"})


class Params:
    """Parameters that have been checked; every getter knows its type."""

    __slots__ = ("raw",)

    def __init__(self, raw: Mapping[str, object]) -> None:
        self.raw = raw

    def has(self, name: str) -> bool:
        """Whether it was given."""
        return name in self.raw

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else default

    def maybe(self, name: str) -> str | None:
        """A string, if given."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else None

    def octets(self, name: str) -> bytes:
        """A blob; empty if not given."""
        value = self.raw.get(name)
        return value if isinstance(value, bytes) else b""

    def number(self, name: str) -> int | None:
        """An integer, if given."""
        value = self.raw.get(name)
        return value if isinstance(value, int) else None

    def flag(self, name: str) -> bool:
        """A boolean; False if not given."""
        return self.raw.get(name) is True

    def when(self, name: str) -> datetime | None:
        """A timestamp, if given."""
        value = self.raw.get(name)
        return value if isinstance(value, datetime) else None

    def names(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty if not given."""
        value = self.raw.get(name)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def pairs(self, name: str) -> dict[str, str]:
        """A map of strings; empty if not given."""
        value = self.raw.get(name)
        if not isinstance(value, dict):
            return {}
        return {str(key): item for key, item in value.items() if isinstance(item, str)}

    def part(self, name: str) -> Params:
        """A structure; empty if not given."""
        value = self.raw.get(name)
        return Params(value if isinstance(value, dict) else {})

    def parts(self, name: str) -> tuple[Params, ...]:
        """A list of structures."""
        value = self.raw.get(name)
        return tuple(Params(item) for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


class Schema:
    """The operations of KMS and the shapes of their parameters."""

    def __init__(self) -> None:
        loaded = Loader().load_service_model("kms", "service-2")
        model = ServiceModel(loaded, "kms")
        self._shapes: dict[str, StructureShape | None] = {
            str(name): model.operation_model(name).input_shape for name in model.operation_names
        }
        self._facets: dict[str, Mapping[str, object]] = dict(loaded["shapes"])

    @property
    def operations(self) -> frozenset[str]:
        """That the installed SDK knows."""
        return frozenset(self._shapes)

    def read(self, operation: str, body: bytes) -> Params:
        """Parse and check a request body. Raise SerializationException or ValidationException."""
        try:
            parsed: object = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            raise KmsError("SerializationException") from None
        return self.check(operation, parsed)

    def check(self, operation: str, parsed: object) -> Params:
        """Check parsed parameters; blobs may be base64 text or bytes."""
        if not isinstance(parsed, dict):
            raise KmsError("SerializationException", "Start of structure or map found where not expected.")
        shape = self._shapes[operation]
        if shape is None:
            return Params({})
        faults: list[str] = []
        read = self._structure(shape, parsed, "", faults, 0)
        if faults:
            plural = "s" if len(faults) > 1 else ""
            raise invalid(f"{len(faults)} validation error{plural} detected: {'; '.join(faults)}")
        return Params(read)

    def loggable(self, operation: str, params: Params) -> dict[str, object]:
        """What CloudTrail shows of the parameters: no blobs, nothing that the model calls sensitive, no tokens."""
        shape = self._shapes[operation]
        return {} if shape is None else self._shown(shape, params.raw)

    def _shown(self, shape: StructureShape, given: Mapping[str, object]) -> dict[str, object]:
        out: dict[str, object] = {}
        for name, value in given.items():
            member = shape.members[name]
            if name in _UNLOGGED or member.type_name == "blob" or self._facets[member.name].get("sensitive"):
                continue
            out[_lower(name)] = self._shown_value(member, value)
        return out

    def _shown_value(self, shape: Shape, value: object) -> object:
        if isinstance(shape, StructureShape) and isinstance(value, dict):
            return self._shown(shape, value)
        if isinstance(shape, ListShape) and isinstance(value, list):
            return [self._shown_value(shape.member, item) for item in value]
        return value.isoformat() if isinstance(value, datetime) else value

    def _structure(
        self, shape: StructureShape, given: Mapping[str, object], path: str, faults: list[str], depth: int
    ) -> dict[str, object]:
        required = set(shape.required_members)
        out: dict[str, object] = {}
        for name, member in shape.members.items():
            value = given.get(name)
            where = f"{path}{_lower(name)}"
            if value is not None:
                out[name] = self._value(member, value, where, faults, depth + 1)
            elif name in required:
                faults.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
        return out

    def _value(self, shape: Shape, value: object, path: str, faults: list[str], depth: int) -> object:
        if depth > MAX_DEPTH:
            raise KmsError("SerializationException")
        facets = self._facets[shape.name]
        read: object
        match shape.type_name:
            case "structure" if isinstance(shape, StructureShape) and isinstance(value, dict):
                return self._structure(shape, value, f"{path}.", faults, depth)
            case "list" if isinstance(shape, ListShape) and isinstance(value, list):
                read = [
                    self._value(shape.member, item, f"{path}.{index}.member", faults, depth + 1)
                    for index, item in enumerate(value, start=1)
                ]
            case "map" if isinstance(shape, MapShape) and isinstance(value, dict):
                read = {
                    str(key): self._value(shape.value, item, f"{path}.{key}.member", faults, depth + 1)
                    for key, item in value.items()
                }
            case "blob":
                read = _blob(value)
            case "timestamp" if isinstance(value, int | float | datetime):
                read = value if isinstance(value, datetime) else _moment(value)
            case "string" if isinstance(value, str):
                read = value
            case "boolean" if isinstance(value, bool):
                read = value
            case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
                read = value
            case _:
                raise KmsError("SerializationException")
        if complaint := _complaint(read, facets, shape):
            secret = isinstance(read, bytes) or facets.get("sensitive") is True
            shown = "Value" if secret else f"Value '{_plain(read)}'"
            faults.append(f"{shown} at '{path}' failed to satisfy constraint: {complaint}")
        return read


def _complaint(value: object, facets: Mapping[str, object], shape: Shape) -> str | None:
    low, high, pattern = facets.get("min"), facets.get("max"), facets.get("pattern")
    number = isinstance(value, int) and not isinstance(value, bool)
    measured = value if number else len(value) if isinstance(value, str | bytes | Sequence) else None
    if isinstance(measured, int):
        what = "value" if number else "length"
        if isinstance(high, int) and measured > high:
            return f"Member must have {what} less than or equal to {high}"
        if isinstance(low, int) and measured < low:
            return f"Member must have {what} greater than or equal to {low}"
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    if isinstance(pattern, str) and isinstance(value, str) and re.fullmatch(pattern, value) is None:
        return f"Member must satisfy regular expression pattern: {pattern}"
    return None


def _blob(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise KmsError("SerializationException")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise KmsError("SerializationException") from None


def _moment(value: float) -> datetime:
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise KmsError("SerializationException") from None


def _plain(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
