"""A plaintext channel to the lab's Google Cloud, with a bearer token: what a real client's channel does over TLS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc

Metadata = tuple[str, str]


class _Bearer(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token: Callable[[], str], more: Sequence[Metadata]) -> None:
        self._token = token
        self._more = tuple(more)

    def intercept_unary_unary(self, continuation, client_call_details, request):  # type: ignore[no-untyped-def]
        metadata = [*(client_call_details.metadata or ()), ("authorization", f"Bearer {self._token()}"), *self._more]
        return continuation(client_call_details._replace(metadata=metadata), request)


def channel(address: str, token: Callable[[], str], metadata: Sequence[Metadata] = ()) -> grpc.Channel:
    """Every call carries the token that `token` gives at that moment, and `metadata`. Close it when done."""
    return grpc.intercept_channel(grpc.insecure_channel(address), _Bearer(token, metadata))
