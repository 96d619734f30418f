"""Messages of Google's clients as plain values, and tokens for calls over plaintext."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import grpc
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request as AuthRequest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from live_normal import Word


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Bearer(grpc.UnaryUnaryClientInterceptor):
    """Puts the access token into calls over plaintext, to a fake on loopback."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def intercept_unary_unary(self, continuation, details, request):  # type: ignore[no-untyped-def]
        headers: dict[str, str] = {}
        self._credentials.before_request(AuthRequest(), "POST", details.method, headers)  # type: ignore[no-untyped-call]
        metadata = [*(details.metadata or ()), *((name.lower(), value) for name, value in headers.items())]
        changed = _Details(details.method, details.timeout, metadata, details.credentials, None, details.compression)
        return continuation(changed, request)


def unfolded(message: Message) -> dict[str, object]:
    """A message as plain values: enums as words, times as dates, checksums without their value."""
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def _field(field: FieldDescriptor, value: object) -> object:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {str(key): item for key, item in value.items()}  # type: ignore[attr-defined]  # a map
    if field.is_repeated:
        return [_single(field, each) for each in value]  # type: ignore[attr-defined]  # a list
    return _single(field, value)


def _single(field: FieldDescriptor, value: object) -> object:
    if field.enum_type is not None and isinstance(value, int):
        known = field.enum_type.values_by_number.get(value)
        return Word(known.name if known is not None else f"UNKNOWN_{value}")
    if not isinstance(value, Message):
        return value
    match value.DESCRIPTOR.full_name:
        case "google.protobuf.Timestamp":
            return datetime.fromtimestamp(value.seconds, UTC)  # type: ignore[attr-defined]
        case "google.protobuf.Duration":
            return value.seconds  # type: ignore[attr-defined]
        case "google.protobuf.Int64Value":
            return Word("<checksum>")
        case "google.protobuf.Any":
            return _any(value)
        case _:
            return unfolded(value)


def _any(value: Message) -> object:
    from google.cloud.audit.audit_log_pb2 import AuditLog  # type: ignore[import-untyped]  # known to the pool once it is imported

    audit = AuditLog()
    if value.Unpack(audit):  # type: ignore[attr-defined]
        return unfolded(audit)
    return {"type_url": Word(value.type_url)}  # type: ignore[attr-defined]
