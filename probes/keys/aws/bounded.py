"""Answers of bounded size: the SDK reads a body to its end, however long it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

from keycheck.turns import waiting

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

MAX_BODY: Final = 16 * 2**20
"""Fifty CloudTrail events of at most 256 KiB are the largest answer."""
MAX_SECONDS: Final = 30.0
"""For one body: a trickle is no answer."""
_CHUNK: Final = 2**16


class OversizedError(ValueError):
    """An answer that is too long. No error of the SDK's own, which would ask for it again."""


class _Session(Protocol):
    def send(self, request: AWSPreparedRequest) -> AWSResponse: ...


class _Raw(Protocol):
    def read1(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


def bound(client: BaseClient, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Make `client` read no more than `MAX_BODY` of any answer; longer ones fail with OversizedError.

    Uses the SDK's `before-send` event, whose handler may send the request itself.
    """
    session = cast(_Session, client._endpoint.http_session)  # type: ignore[attr-defined]

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        request.stream_output = True
        with waiting():
            response = session.send(request)
            response._content = _read(cast(_Raw, response.raw), monotonic)  # type: ignore[attr-defined]
        return response

    client.meta.events.register("before-send", send)  # type: ignore[arg-type]


def _read(raw: _Raw, monotonic: Callable[[], float]) -> bytes:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3.exceptions import HTTPError
    from urllib3.exceptions import ReadTimeoutError as Late

    body = bytearray()
    until = monotonic() + MAX_SECONDS
    try:
        while chunk := raw.read1(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY:
                raw.close()
                raise OversizedError(f"more than {MAX_BODY} bytes")
            if monotonic() > until:
                raw.close()
                raise ReadTimeoutError(endpoint_url="the body")
    except Late as error:
        raise ReadTimeoutError(endpoint_url="the body") from error
    except (HTTPError, OSError) as error:
        raise ConnectionClosedError(endpoint_url="the body", error=error) from error
    return bytes(body)
