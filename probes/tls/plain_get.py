"""One GET in plain text, as a conversation of the wire transport: does the http:// address redirect?"""

from __future__ import annotations

from probes.tls.wire.answers import Garbage, NoAnswer, What
from probes.tls.wire.http_head import HeadReader, HttpHead, get_request


class PlainGet:
    """A ``Conversation[HttpHead | NoAnswer | Garbage]``. Raises ValueError for a host or path that fits no request."""

    def __init__(self, host_header: str, path: str) -> None:
        self._request = get_request(host_header, path)
        self._reader = HeadReader()
        self._answer: HttpHead | NoAnswer | Garbage | None = None

    def start(self) -> bytes:
        return self._request

    def feed(self, data: bytes) -> bytes:
        self._reader.feed(data)
        if self._reader.done:
            self._answer = self._reader.head or Garbage(What.NOT_TLS)
        return b""

    def ended(self, how: NoAnswer) -> None:
        if self._answer is not None:
            return
        self._reader.finish()
        self._answer = self._reader.head or how

    @property
    def answer(self) -> HttpHead | NoAnswer | Garbage | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return None
