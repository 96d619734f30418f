"""Bearer tokens on a channel: sent by us, because gRPC's own way asks token services without bounds, behind our back,
and writes what they answer into the log. Imported only where a channel is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import grpc

from probes.clouds.gcp.tokens import TOKEN_S, Tokens


class _Details(NamedTuple):
    """`grpc.ClientCallDetails`, with the token among its metadata."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Bearer(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def intercept_unary_unary(  # type: ignore[override]  # the stubs' type of a call is private
        self, continuation: Callable[..., object], client_call_details: grpc.ClientCallDetails, request: object
    ) -> object:
        headers = self._tokens.headers(client_call_details.timeout or TOKEN_S)
        metadata = (*(client_call_details.metadata or ()), *headers.items())
        details = _Details(
            client_call_details.method,
            client_call_details.timeout,
            metadata,
            client_call_details.credentials,
            getattr(client_call_details, "wait_for_ready", None),
            getattr(client_call_details, "compression", None),
        )
        return continuation(details, request)


def with_bearer(channel: grpc.Channel, tokens: Tokens) -> grpc.Channel:
    """The channel, adding a token to each call. The channel must be one of TLS, or lead to this machine."""
    return grpc.intercept_channel(channel, _Bearer(tokens))
