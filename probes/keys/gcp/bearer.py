"""Bearer tokens on a channel without TLS, where gRPC itself sends none. Imported only where one is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, cast

import grpc
from google.auth.transport.requests import Request

_TOKEN_S: Final = 10.0
"""Seconds that the token service may take."""


class _Details(NamedTuple):
    """`grpc.ClientCallDetails`, with the token among its metadata."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Tokens(Protocol):
    """What google-auth's credentials do for a call."""

    @property
    def valid(self) -> bool:
        """Whether there is a token that is not past its end."""

    def refresh(self, request: object, /) -> None:
        """Get a new one."""

    def apply(self, headers: dict[str, str], /) -> None:
        """Put it among the headers."""


class _Bearer(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, credentials: object) -> None:
        self._credentials = cast(_Tokens, credentials)
        self._lock = threading.Lock()  # google-auth refreshes without one

    def intercept_unary_unary(  # type: ignore[override]  # the stubs' type of a call is private
        self, continuation: Callable[..., object], client_call_details: grpc.ClientCallDetails, request: object
    ) -> object:
        headers: dict[str, str] = {}
        with self._lock:
            # not `before_request`: that also asks Google, with this token, where it may be used from
            refreshed(self._credentials)
            self._credentials.apply(headers)
        metadata = (*(client_call_details.metadata or ()), *((key.lower(), value) for key, value in headers.items()))
        details = _Details(
            client_call_details.method,
            client_call_details.timeout,
            metadata,
            client_call_details.credentials,
            getattr(client_call_details, "wait_for_ready", None),
            getattr(client_call_details, "compression", None),
        )
        return continuation(details, request)


def with_bearer(channel: grpc.Channel, credentials: object) -> grpc.Channel:
    """The channel, adding the credential's token to each call. The channel must lead to this machine."""
    return grpc.intercept_channel(channel, _Bearer(credentials))


def refreshed(credentials: object) -> None:
    """Get a token where there is none, or where it is past its end. Raises google-auth's errors."""
    held = cast(_Tokens, credentials)
    if not held.valid:
        send = cast(Callable[..., object], Request())
        held.refresh(lambda *args, **given: send(*args, **{**given, "timeout": _TOKEN_S}))
