"""Full TLS 1.3 handshakes, timed from ClientHello to verified CertificateVerify. Conversations of the transport.

What the time bounds: CertificateVerify signs the whole handshake so far, our random and our fresh key share in it (RFC
8446, 4.4.3). So whoever holds the certificate's private key had our ClientHello in hand before signing, and the
signature came back: the key is at most half of the time away. No session is offered, so none can be resumed, no early
data is sent, and only the certificate's key can complete the handshake.

The clock is read before the first ClientHello is handed to the socket. It stops when the bytes with the signature have
arrived that is then verified, by the kernel's stamp where there is one: our own arithmetic, and whatever else this
machine does, would only add to it. It starts at the first ClientHello also where the server asked for another: one that
answers a HelloRetryRequest with a cookie alone can be foretold, so a server near us could gain time for a key that is
far away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from OpenSSL import SSL

from probes.tls.wire.answers import Garbage, NoAnswer
from probes.tls.wire.codepoints import ALERTS, TLS13
from probes.tls.wire.context import ClientContext, Configuration, Session, reasons
from probes.tls.wire.flight import ServerFlight
from probes.tls.wire.parse import read_answer


@dataclass(frozen=True, slots=True)
class Signed:
    """A full handshake. `us`: from the ClientHello to the arrival of the signature that was verified, rounded up."""

    us: int
    flight: ServerFlight
    stamped: bool
    """The kernel told when it arrived; else the clock was read when it was handed to us, which is later."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """No handshake that counts, and why, in words. `how` is set where the connection ended first."""

    why: str
    how: NoAnswer | None = None
    refused: bool = False
    """It was about TLS: most often the server does not speak TLS 1.3."""


@lru_cache(maxsize=4)
def tls13(alpn: tuple[str, ...]) -> ClientContext:
    """A context for TLS 1.3 alone."""
    return ClientContext(Configuration(min_version=TLS13, max_version=TLS13, alpn=alpn))


def microseconds(seconds: float) -> int:
    """Rounded up: a time that bounds a distance must not be shorter than it was."""
    return ceil(seconds * 1_000_000)


class TimedHandshake:
    """A ``Conversation[Signed | Unsigned]``: one handshake, closed politely as soon as it is verified."""

    def __init__(
        self, context: ClientContext, sni: str | None, monotonic: Callable[[], float], patience_us: int
    ) -> None:
        self._session = Session(context, sni, None)
        self._now = monotonic
        self._patience = patience_us
        self._began = 0.0
        self._ago = 0.0
        self._answer: Signed | Unsigned | None = None

    def start(self) -> bytes:
        self._shake()
        hello = self._session.pending()
        self._began = self._now()
        return hello

    def arrived(self, ago_ns: int) -> None:
        """What is fed next had arrived that long ago."""
        self._ago = ago_ns / 1_000_000_000

    def feed(self, data: bytes) -> bytes:
        if self._answer is not None:
            return b""
        arrived = self._now() - self._ago
        self._session.take(data)
        if self._shake():
            self._take(arrived - self._began)
        last = self._session.pending()
        if self._answer is not None:
            self._session.forget()
        return last

    def _shake(self) -> bool:
        """Whether the handshake is complete, and so the signature verified."""
        try:
            self._session.openssl.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            self._answer = _stopped(self._session, reasons(error))
            return False
        return True

    def _take(self, seconds: float) -> None:
        flight = self._session.flight()
        with suppress(SSL.Error):
            self._session.openssl.shutdown()
        if flight.version != TLS13 or flight.resumed or not flight.complete or flight.signature is None:
            self._answer = Unsigned(f"a handshake without a signature of its own {flight.trouble}".strip())
        elif seconds < 0:
            self._answer = Unsigned("our own clock went backwards")
        else:
            self._answer = Signed(microseconds(seconds), flight, self._ago > 0)

    def ended(self, how: NoAnswer) -> None:
        if self._answer is None:
            self._answer = Unsigned(worded(how), how)
            self._session.forget()

    @property
    def answer(self) -> Signed | Unsigned | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return self._patience


def worded(how: NoAnswer) -> str:
    """How a connection ended, for people."""
    return f"{how.kind.value} at {how.phase.value} {how.detail}".strip()


def _stopped(session: Session, library: tuple[str, ...]) -> Unsigned:
    if session.alerts_read:
        alert = ALERTS.name(session.alerts_read[-1][1])
        return Unsigned(f"the server ends a TLS 1.3 handshake with the alert {alert}", refused=True)
    if isinstance(read_answer(bytes(session.received)), Garbage):
        return Unsigned("what came is no TLS")
    return Unsigned(f"our library ended the TLS 1.3 handshake: {', '.join(library) or 'why is not told'}", refused=True)
