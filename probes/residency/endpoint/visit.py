"""One address, visited: handshakes and requests one after another, bounded in time, each measured alone.

Nothing is asked side by side here, for what we do ourselves meanwhile would be measured too. Every time that comes out
is at most too long, whatever else this machine does: it bounds less then, and never wrongly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from keycheck.turns import waiting
from probes.residency.endpoint.handshakes import Signed, TimedHandshake, Unsigned, tls13
from probes.residency.endpoint.requests import Held, Request, Timed, WarmRequests
from probes.tls.materials import HTTP_ALPN, Materials
from probes.tls.subjects import Endpoint
from probes.tls.wire.answers import Kind, NoAnswer, Phase
from probes.tls.wire.transport import Call, Conversation, Exchange, Limits, converse

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

TRIES: Final = 5
"""Measurements of each kind, or as many as the profile demands."""
MAX_TRIES: Final = 64
SPARE: Final = 3
"""Further tries for those that fail."""
GENTLE_SECONDS: Final = 0.2
"""Pause after a connection was ended on us."""
RECEIVED: Final = 1 << 22
"""Bytes that one connection may bring, on all of its answers together."""


class Timeable(Conversation[T_co], Protocol[T_co]):
    """A conversation that wants to know when bytes arrived."""

    def arrived(self, ago_ns: int) -> None: ...


def tries_of(io: Io) -> int:
    """How often each thing is measured."""
    return max(TRIES, min(io.samples, MAX_TRIES))


@dataclass(frozen=True, slots=True)
class Handshakes:
    """What came of the handshakes."""

    signed: tuple[Signed, ...]
    connected_us: tuple[int, ...]
    """Of every connection that stood, rounded up."""
    last: Unsigned | None
    """The last that failed."""

    @property
    def nobody(self) -> bool:
        """Whether nothing came at all: then nothing else needs to be waited for."""
        how = None if self.last is None else self.last.how
        return not self.signed and how is not None and (how.kind is Kind.TIMEOUT or how.phase is Phase.CONNECT)


@dataclass(frozen=True, slots=True)
class Requests:
    """What came of requests of one kind, and why there are fewer than were wanted."""

    answers: tuple[Timed, ...]
    trouble: str = ""
    how: NoAnswer | None = None


class Visit:
    """Connections to one address. Raises ProbeError for files of the deployment that cannot be used."""

    def __init__(
        self, subject: Endpoint, ip: str, port: int, io: Io, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._io = io
        self._pause = pause
        self._place = subject.place
        self._ip, self._port = ip, port
        self._sni = None if subject.place.is_address else subject.place.host
        self._wait_us = int(subject.answer_within.total_seconds() * 1_000_000)
        self._deadline = io.monotonic() + 0.9 * io.budget
        self.materials = Materials(subject, io)

    def handshakes(self, wanted: int) -> Handshakes:
        """Full handshakes under TLS 1.3, until `wanted` of them counted."""
        context = tls13(HTTP_ALPN if self._place.scheme == "https" else ())
        signed: list[Signed] = []
        connected: list[int] = []
        last: Unsigned | None = None
        failed = 0
        while len(signed) < wanted and failed <= SPARE and self._left_us() > 0:
            handshake = TimedHandshake(context, self._sni, self._io.monotonic, self._wait_us)
            exchange = self._hold(handshake)
            if exchange.connected_us is not None:
                connected.append(exchange.connected_us + 1)
            match exchange.answer:
                case Signed() as done:
                    signed.append(done)
                case Unsigned() as last:
                    failed += 1
                    if not self._worth_while(last, failed):
                        break
        return Handshakes(tuple(signed), tuple(connected[:MAX_TRIES]), last)

    def requests(self, host_header: str, requests: Sequence[Request]) -> Requests:
        """Requests on a connection that is kept open, on further ones where the server closes it."""
        context = self.materials.client_context or self.materials.context
        answers: list[Timed] = []
        held = Held((), "no time was left")
        fruitless = 0
        while len(answers) < len(requests) and fruitless <= 1 and self._left_us() > 0:
            conversation = WarmRequests(
                context, self._sni, host_header, requests[len(answers) :], self._io.monotonic, self._wait_us
            )
            held = self._hold(conversation).answer
            answers += held.answers
            if not held.answers:
                fruitless += 1
                self._rest()
        return Requests(tuple(answers), held.trouble, held.how)

    def _hold(self, conversation: Timeable[T]) -> Exchange[T]:
        link = self.materials.link(self._ip, self._port)
        prelude = self.materials.prelude(self._ip, self._port, self._place.scheme)
        wait = max(1, min(self._wait_us, self._left_us()))
        limits = Limits(wait, wait, max(1, min(8 * wait, self._left_us())), RECEIVED, transcript_bytes=0)
        monotonic = self._io.monotonic
        call = Call(link, conversation, prelude=prelude, on_arrival=conversation.arrived)
        source = self._io.vantage.source
        return converse([call], clock=lambda: int(monotonic() * 1_000_000), limits=limits, source=source)[0]

    def _worth_while(self, unsigned: Unsigned, failed: int) -> bool:
        """Whether trying again could bring anything."""
        how = unsigned.how
        if unsigned.refused or how is None or how.kind in (Kind.STARTTLS_REFUSED, Kind.PROXY_REFUSED, Kind.LOCAL):
            return False
        if how.kind is Kind.TIMEOUT or (how.phase is Phase.CONNECT and how.kind is not Kind.RESET):
            return failed <= 1  # waiting is expensive, and nobody there most likely means nobody
        self._rest()  # ended on us, as those do who limit their clients
        return True

    def _rest(self) -> None:
        with waiting():
            self._pause(min(GENTLE_SECONDS, max(0, self._left_us()) / 1_000_000))

    def _left_us(self) -> int:
        return int((self._deadline - self._io.monotonic()) * 1_000_000)


def unseen(words: str, how: NoAnswer | None, otherwise: Reason = Reason.MALFORMED) -> Unseen:
    """Why nothing came, as facts hold it."""
    return Unseen(reason=otherwise if how is None else _reason(how), detail=vendor_text(words))


def _reason(how: NoAnswer) -> Reason:
    match how.kind:
        case Kind.TIMEOUT:
            return Reason.TIMEOUT
        case Kind.STARTTLS_REFUSED:
            return Reason.UNSUPPORTED
        case Kind.PRELUDE_GARBAGE | Kind.FLOODED:
            return Reason.MALFORMED
        case _:
            return Reason.UNREACHABLE
