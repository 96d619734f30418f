"""Requests that go out encrypted or nowhere, and answers of bounded size, shape and time.

The SDK sends wherever its configuration says, and reads a body to its end, however long it is and takes.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from keycheck.turns import waiting
from probes.clouds.aws.timed import Cut, Watchdog, cuttable, held_by

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

MAX_BODY: Final = 2**20
"""A hundred grants, or a policy of 32 KiB, are far less."""
MAX_EVENTS: Final = 16 * 2**20
"""Fifty CloudTrail events of at most 256 KiB are the largest answer."""
MAX_NESTS: Final = 100_000
MAX_COMMAS: Final = 500_000
"""What each byte of JSON may cost in memory differs by a factor of thirty: empty objects and members are counted.
Of XML it is the tags."""
MAX_SECONDS: Final = 30.0
"""For one answer, headers and all: a trickle is no answer."""
_LONG_PAUSE: Final = 10.0
"""Seconds that must be left for a server's wish to be asked later to count."""
_CHUNK: Final = 2**16
_NUMERIC: Final = re.compile(r"[0-9a-fx.]+", re.ASCII)

_UNTIL: Final[ContextVar[float | None]] = ContextVar("until", default=None)


class OversizedError(ValueError):
    """An answer that is too long. No error of the SDK's own, which would ask for it again."""


class _Session(Protocol):
    def send(self, request: AWSPreparedRequest) -> AWSResponse: ...


class _Raw(Protocol):
    def read1(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Calls that this thread makes within, all of their attempts together, end at `moment` of the monotonic clock."""
    token = _UNTIL.set(moment)
    try:
        yield
    finally:
        _UNTIL.reset(token)


def bound(client: BaseClient, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Make `client` send nothing in plaintext but to this machine (ProbeError), read no more than `MAX_BODY` of any
    answer and `MAX_EVENTS` of events (OversizedError), and take no longer than `until` says, or `MAX_SECONDS`.

    Uses the SDK's `before-send` event, whose handler may send the request itself. Twice is once.
    """
    cuttable(client)
    session = cast(_Session, client._endpoint.http_session)  # type: ignore[attr-defined]
    watchdog = Watchdog(monotonic)

    def send(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        from botocore.exceptions import BotoCoreError, ReadTimeoutError

        _encrypted(str(request.url))
        end = min(monotonic() + MAX_SECONDS, _UNTIL.get() or float("inf"))
        if end <= monotonic():
            raise ReadTimeoutError(endpoint_url="the answer")
        most = MAX_EVENTS if event_name.endswith(".LookupEvents") else MAX_BODY
        request.stream_output = True
        with waiting(), watchdog.cutting(end) as cut:
            try:
                with held_by(cut):
                    response = session.send(request)
                    body = _read(cast(_Raw, response.raw), most, cut)
            except (BotoCoreError, OSError, AttributeError) as error:
                # However a reader takes it when its connection is closed under it.
                if cut.late:
                    raise ReadTimeoutError(endpoint_url="the answer") from error
                raise
        if end - monotonic() < _LONG_PAUSE:
            response.headers.pop("x-amz-retry-after", None)
        response._content = body  # type: ignore[attr-defined]
        return response

    client.meta.events.register("before-send", send, unique_id="keycheck-bound")  # type: ignore[arg-type]


def _encrypted(url: str) -> None:
    """Raises ProbeError(permission-denied) for a signed request, tokens and all, that anybody on the way could read."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"{vendor_text(url, 200)}: not asked, as signed requests are sent unencrypted to this machine alone; write "
            "https:// in the endpoint's URL",
        )


def _is_here(host: str) -> bool:
    """Whether a host is this machine by its own numbers (`127.1` and the like too), or called `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        if _NUMERIC.fullmatch(host) is None:
            return False
    try:
        return ipaddress.ip_address(socket.inet_aton(host)).is_loopback
    except OSError:
        return False


def _read(raw: _Raw, most: int, cut: Cut) -> bytes:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3.exceptions import HTTPError
    from urllib3.exceptions import ReadTimeoutError as Late

    body = bytearray()
    try:
        while chunk := raw.read1(_CHUNK):
            body += chunk
            if len(body) > most:
                raw.close()
                raise OversizedError(f"more than {most} bytes")
            if cut.late:
                raw.close()
                break
    except Late as error:
        raise ReadTimeoutError(endpoint_url="the body") from error
    except (HTTPError, OSError) as error:
        raise ConnectionClosedError(endpoint_url="the body", error=error) from error
    if cut.late:
        # What was cut may look like an answer that ends there.
        raise ReadTimeoutError(endpoint_url="the body")
    nests = body.count(b"<") if body.lstrip()[:1] == b"<" else body.count(b"{") + body.count(b"[")
    if nests > MAX_NESTS or body.count(b",") > MAX_COMMAS:
        raise OversizedError("more members than any answer has")
    return bytes(body)
