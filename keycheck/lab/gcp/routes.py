"""The methods that the installed Google clients can call, taken from the clients themselves.

A generated transport asks its channel for a callable per method when it is first used. A channel that only writes
down what it is asked for thus gives every path with its message types, and follows the installed version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import grpc
from google.cloud.kms_v1.services.ekm_service.transports import EkmServiceGrpcTransport
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.cloud.location import locations_pb2  # type: ignore[import-untyped]
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.resourcemanager_v3.services.folders.transports import FoldersGrpcTransport
from google.cloud.resourcemanager_v3.services.organizations.transports import OrganizationsGrpcTransport
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport
from google.iam.v1 import iam_policy_pb2  # type: ignore[import-untyped]
from google.longrunning import operations_pb2  # type: ignore[import-untyped]

Decode: TypeAlias = Callable[[bytes], object]
"""Request bytes -> message."""

_TRANSPORTS = (
    KeyManagementServiceGrpcTransport,
    EkmServiceGrpcTransport,
    ProjectsGrpcTransport,
    FoldersGrpcTransport,
    OrganizationsGrpcTransport,
    LoggingServiceV2GrpcTransport,
    ConfigServiceV2GrpcTransport,
)

# Methods of messages that are no proto-plus classes: their serializer does not tell whose it is.
_PLAIN: Mapping[str, Decode] = {
    "GetIamPolicy": iam_policy_pb2.GetIamPolicyRequest.FromString,
    "SetIamPolicy": iam_policy_pb2.SetIamPolicyRequest.FromString,
    "TestIamPermissions": iam_policy_pb2.TestIamPermissionsRequest.FromString,
    "GetLocation": locations_pb2.GetLocationRequest.FromString,
    "ListLocations": locations_pb2.ListLocationsRequest.FromString,
    "GetOperation": operations_pb2.GetOperationRequest.FromString,
    "ListOperations": operations_pb2.ListOperationsRequest.FromString,
    "CancelOperation": operations_pb2.CancelOperationRequest.FromString,
}


class _RecordedError(Exception):
    """Thrown where a call would leave the process."""


class _Callable(grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # the stubs are generic, the class is not
    def __call__(self, *args: object, **kwargs: object) -> object:
        raise _RecordedError

    def with_call(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # never returns
        raise _RecordedError

    def future(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # never returns
        raise _RecordedError


class _Recorder(grpc.Channel):
    def __init__(self) -> None:
        self.heard: dict[str, Decode] = {}

    def unary_unary(self, method: str, request_serializer: object = None, *args: object, **kwargs: object) -> _Callable:
        owner = getattr(request_serializer, "__self__", None)
        decode = getattr(owner, "deserialize", None) or _PLAIN.get(method.rsplit("/", 1)[1])
        if decode is not None:
            self.heard[method] = decode
        return _Callable()

    def stream_stream(self, *args: object, **kwargs: object) -> _Callable:  # type: ignore[override]  # of no interest
        return _Callable()

    unary_stream = stream_unary = stream_stream  # type: ignore[assignment]

    def subscribe(self, *args: object, **kwargs: object) -> None:
        return None

    def unsubscribe(self, *args: object, **kwargs: object) -> None:
        return None

    def close(self) -> None:
        return None

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, *args: object) -> None:
        return None


def harvested() -> Mapping[str, Decode]:
    """Path (`/google.cloud.kms.v1.KeyManagementService/Encrypt`) -> decoder of its request."""
    recorder = _Recorder()
    for kind in _TRANSPORTS:
        transport = kind(channel=recorder)
        for call in _stubs(transport):
            try:
                call(None)
            except _RecordedError:
                continue
    return dict(recorder.heard)


def _stubs(transport: object) -> Iterable[Callable[[object], object]]:
    kind = type(transport)
    for name in dir(kind):
        if not name.startswith("_") and isinstance(getattr(kind, name), property):
            stub = getattr(transport, name)
            if callable(stub):
                yield stub
