"""Requests on one warm connection, each timed. A conversation of the transport; redirects are not followed.

The connection is warm when its handshake is over. A request is sent when the answer to the one before is whole, so that
each time is of one request; what comes unasked ends the conversation, for a server that answers before it is asked has
no time that means anything. Requests are ordinary: nothing in them asks a network to tell more than it tells everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from OpenSSL import SSL

from probes.residency.endpoint.handshakes import microseconds, worded
from probes.residency.endpoint.http_answer import AnswerReader, Head
from probes.tls.wire.answers import Kind, NoAnswer, Phase
from probes.tls.wire.codepoints import ALERTS
from probes.tls.wire.context import ClientContext, Session, reasons

_CHUNK: Final = 1 << 16
USER_AGENT: Final = "keycheck"


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. `needle` is looked for in the body of its answer; empty: only the head is waited for."""

    path: str
    needle: bytes = b""


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer. `us`: from sending the request until the whole head, or the needle, had arrived; rounded up."""

    us: int
    head: Head
    found: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What came of the conversation: answers in the order of the requests, and why there are no more."""

    answers: tuple[Timed, ...]
    trouble: str = ""
    how: NoAnswer | None = None


class WarmRequests:
    """A ``Conversation[Held]``. Raises ValueError for a host or path that fits no request line."""

    def __init__(
        self,
        context: ClientContext,
        sni: str | None,
        host_header: str,
        requests: Sequence[Request],
        monotonic: Callable[[], float],
        patience_us: int,
    ) -> None:
        self._session = Session(context, sni, None)
        self._wires = [_wire(host_header, request.path) for request in requests]
        self._requests = requests
        self._now = monotonic
        self._patience = patience_us
        self._established = False
        self._reader: AnswerReader | None = None
        self._began = 0.0
        self._ago = 0.0
        self._arrived = 0.0
        self._us: int | None = None
        self._answers: list[Timed] = []
        self._answer: Held | None = None

    def start(self) -> bytes:
        self._shake()
        return self._session.pending()

    def arrived(self, ago_ns: int) -> None:
        """What is fed next had arrived that long ago."""
        self._ago = ago_ns / 1_000_000_000

    def feed(self, data: bytes) -> bytes:
        if self._answer is not None:
            return b""
        self._arrived = self._now() - self._ago
        self._session.take(data)
        if not self._established:
            self._shake()
        if self._established:
            self._read()
        out = self._session.pending()
        if self._answer is not None:
            self._session.forget()
        return out

    def _shake(self) -> None:
        try:
            self._session.openssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._over(f"the handshake failed: {', '.join(reasons(error)) or self._parting()}")
            return
        self._established = True
        self._next()

    def _next(self) -> None:
        if len(self._answers) == len(self._requests):
            self._over("")
            return
        self._reader = AnswerReader(self._requests[len(self._answers)].needle)
        self._us = None
        self._began = self._now()
        try:
            self._session.openssl.send(self._wires[len(self._answers)])
        except SSL.Error:
            self._over(self._parting(), NoAnswer(Kind.CLOSED, Phase.ANSWER))

    def _read(self) -> None:
        while self._answer is None:
            try:
                data = self._session.openssl.recv(_CHUNK)
            except SSL.WantReadError:
                return
            except SSL.Error:
                self._closed(self._parting(), NoAnswer(Kind.CLOSED, Phase.ANSWER))
                return
            self._take(data)

    def _parting(self) -> str:
        """How the server took its leave."""
        fatal = [alert for _, alert in self._session.alerts_read if alert]
        return f"the server ended it with the alert {ALERTS.name(fatal[-1])}" if fatal else "the server closed it"

    def _take(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            return
        reader.feed(data)
        self._time(reader)
        if reader.trouble:
            self._over(reader.trouble)
        elif reader.over:
            self._whole(reader)

    def _time(self, reader: AnswerReader) -> None:
        """The moment that counts: the needle's, or the head's where there is none."""
        needle = self._requests[len(self._answers)].needle
        there = reader.head is not None and (not needle or reader.found)
        if self._us is None and (there or reader.over):
            self._us = microseconds(max(0.0, self._arrived - self._began))

    def _whole(self, reader: AnswerReader) -> None:
        head = reader.head
        if head is None or self._us is None:
            return
        self._answers.append(Timed(self._us, head, reader.found))
        if reader.rest:
            self._answers.pop()
            self._over("it answers what was not asked")
        elif not head.keeps and len(self._answers) < len(self._requests):
            self._over("the server closes the connection after each answer")
        else:
            self._next()

    def _closed(self, why: str, how: NoAnswer | None) -> None:
        reader = self._reader
        if reader is not None and reader.head is not None:
            reader.closed()
            self._time(reader)
            if reader.over and self._us is not None:
                self._answers.append(Timed(self._us, reader.head, reader.found))
        self._over(why if len(self._answers) < len(self._requests) else "", how)

    def _over(self, trouble: str, how: NoAnswer | None = None) -> None:
        self._answer = Held(tuple(self._answers), trouble, how)
        if self._established:
            with suppress(SSL.Error):
                self._session.openssl.shutdown()

    def ended(self, how: NoAnswer) -> None:
        if self._answer is None:
            self._closed(worded(how), how)
            self._session.forget()

    @property
    def answer(self) -> Held | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return self._patience


def _wire(host_header: str, path: str) -> bytes:
    if not _fits(host_header) or not path.startswith("/") or not _fits(path):
        raise ValueError(f"{host_header!r} and {path!r} do not make a request")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host_header}",
        f"User-Agent: {USER_AGENT}",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: keep-alive",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _fits(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= 4000
