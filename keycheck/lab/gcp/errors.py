"""Refusals of the lab's Google Cloud, as its clients will see them: a canonical code, a sentence, and details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]

KMS_DOMAIN = "cloudkms.googleapis.com"


class ApiError(Exception):
    """An answer that is not OK. `details` go into `google.rpc.Status.details`."""

    def __init__(self, code: grpc.StatusCode, message: str, details: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)

    @property
    def number(self) -> int:
        """The code as `google.rpc.Code` counts it."""
        number: int = self.code.value[0]
        return number


def invalid(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(kind: str, name: str) -> ApiError:
    """`CryptoKey projects/… not found.`"""
    return ApiError(grpc.StatusCode.NOT_FOUND, f"{kind} {name} not found.")


def already_exists(kind: str, name: str) -> ApiError:
    return ApiError(grpc.StatusCode.ALREADY_EXISTS, f"{kind} {name} already exists.")


def failed(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message)


def precondition(message: str, kind: str, subject: str) -> ApiError:
    """FAILED_PRECONDITION with a `PreconditionFailure`, as of a disabled key version (`KEY_DISABLED`)."""
    violation = error_details_pb2.PreconditionFailure.Violation(type=kind, subject=subject)
    detail = error_details_pb2.PreconditionFailure(violations=[violation])
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message, [detail])


def denied(permission: str, resource: str, domain: str = KMS_DOMAIN) -> ApiError:
    """The refusal of IAM. It does not tell whether the resource exists."""
    sentence = f"Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
    info = _info("IAM_PERMISSION_DENIED", domain, {"permission": permission, "resource": resource})
    return ApiError(grpc.StatusCode.PERMISSION_DENIED, sentence, [info])


def unauthenticated(reason: str) -> ApiError:
    """`reason`: `CREDENTIALS_MISSING`, `ACCESS_TOKEN_INVALID`, `ACCESS_TOKEN_EXPIRED`."""
    start = (
        "Request is missing required authentication credential."
        if reason == "CREDENTIALS_MISSING"
        else "Request had invalid authentication credentials."
    )
    sentence = (
        f"{start} Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return ApiError(grpc.StatusCode.UNAUTHENTICATED, sentence, [_info(reason, "googleapis.com", {})])


def unimplemented(method: str) -> ApiError:
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, f"The lab does not serve {method}.")


def aborted(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.ABORTED, message)


def _info(reason: str, domain: str, metadata: Mapping[str, str]) -> Message:
    info: Message = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=dict(metadata))
    return info
