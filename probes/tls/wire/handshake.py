"""Real handshakes through OpenSSL (pyOpenSSL, memory BIOs) as conversations of the same transport.

A completed handshake proves that the server holds the private key of the leaf that it sent (CertificateVerify or the
signed key exchange, checked by OpenSSL) and what was negotiated with *this* client. Whether the certificate is
acceptable is decided elsewhere, from the chain as sent: verification is off here (VERIFY_NONE), because a refused
chain would end the handshake and hide everything else, and because an unacceptable certificate is a fact to report.

Facts are read from the server's own bytes (``flight``), not from a library's summary. ``environment`` must have been
applied before this module is imported.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import assert_never

from OpenSSL import SSL

from probes.tls.wire.answers import Broken, Garbage, Kind, NoAnswer, Refused, alert_answer
from probes.tls.wire.codepoints import TLS13
from probes.tls.wire.context import ClientContext, Configuration, Session, reasons
from probes.tls.wire.flight import ServerFlight
from probes.tls.wire.http_head import HeadReader, HttpHead, get_request
from probes.tls.wire.parse import read_answer

__all__ = [
    "ClientContext",
    "Completed",
    "Configuration",
    "End",
    "Handshake",
    "HandshakeAnswer",
    "HttpHead",
    "Renegotiate",
    "Renegotiation",
    "Stopped",
]

_CHUNK = 1 << 16


@unique
class End(StrEnum):
    """What came after the handshake itself."""

    OPEN = "open"  # we had what we wanted and closed
    CLOSED = "closed"
    RESET = "reset"
    ALERT = "alert"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Completed:
    """The handshake completed on our side.

    In TLS 1.3 that is before the server has seen our certificate, or that we have none: a server that demands
    one says so afterwards, ``end`` ALERT with 116 (certificate_required) or another.
    """

    version: int
    suite: int
    group: int | None
    flight: ServerFlight
    end: End
    end_alert: int | None
    http: HttpHead | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The handshake did not complete. ``flight`` holds what was seen until then (before TLS 1.3 also a chain).

    ``why`` is None when our own library gave up: then ``library`` says why and ``our_alert`` what it told the server,
    and this says as much about the library as about the server.
    """

    why: Refused | Broken | Garbage | NoAnswer | None
    library: tuple[str, ...]
    our_alert: int | None
    flight: ServerFlight


HandshakeAnswer = Completed | Stopped


@unique
class Renegotiation(StrEnum):
    """What a server did when the client asked to renegotiate, on a completed handshake."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # alert no_renegotiation, or another fatal one
    CLOSED = "closed"  # closed or reset on being asked
    NO_ANSWER = "no-answer"
    NOT_ASKED = "not-asked"  # OpenSSL would not ask (the server has no secure renegotiation)
    NOT_APPLICABLE = "not-applicable"  # TLS 1.3 has no renegotiation


class _OverOpenSsl:
    """What the conversations share: the handshake itself, and how it can fail."""

    def __init__(self, context: ClientContext, sni: str | None, resume: SSL.Session | None) -> None:
        self._session = Session(context, sni, resume)
        self._established = False

    def start(self) -> bytes:
        self._handshake()
        return self._session.pending()

    def feed(self, data: bytes) -> bytes:
        self._session.take(data)
        if not self._established:
            self._handshake()
        if self._established:
            self._after()
        return self._session.pending()

    def _handshake(self) -> None:
        try:
            self._session.openssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self._stopped(_why(self._session), reasons(error))
            return
        self._established = True
        self._begin_after()

    def _begin_after(self) -> None:
        """The handshake completed: what now?"""
        raise NotImplementedError

    def _after(self) -> None:
        """More bytes arrived after that."""
        raise NotImplementedError

    def _stopped(self, why: Refused | Broken | Garbage | NoAnswer | None, library: tuple[str, ...]) -> None:
        raise NotImplementedError

    def _as_stopped(self, why: Refused | Broken | Garbage | NoAnswer | None, library: tuple[str, ...]) -> Stopped:
        written = self._session.alerts_written
        return Stopped(why, library, written[-1][1] if written else None, self._session.flight())


def _why(session: Session) -> Refused | Broken | Garbage | None:
    """Whose doing it was that OpenSSL failed: an alert of the server's, bytes that are no TLS, or its own."""
    if session.alerts_read:
        return alert_answer(*session.alerts_read[-1])
    answer = read_answer(bytes(session.received))
    return answer if isinstance(answer, Garbage) else None


class Handshake(_OverOpenSsl):
    """A ``Conversation[HandshakeAnswer]``: one whole handshake and, with ``http_host``, one GET on it.

    The GET is HTTP/1.1: give a context whose ``alpn`` is ("http/1.1",) or empty; where the server chose another
    protocol it is left out. Without a GET the connection is closed politely at once and read until the server
    closes too, so that tickets and a late demand for a certificate are seen. ``resume`` is the ``session`` of an
    earlier handshake with the same context. Raises ValueError for an SNI or host that cannot be sent.
    """

    def __init__(
        self,
        context: ClientContext,
        *,
        sni: str | None,
        http_host: str | None = None,
        http_path: str = "/",
        resume: SSL.Session | None = None,
        patience_us: int = 5_000_000,
        close_patience_us: int = 500_000,
    ) -> None:
        super().__init__(context, sni, resume)
        self._request = None if http_host is None else get_request(http_host, http_path)
        self._head: HeadReader | None = None
        self._patience = patience_us
        self._close_patience = close_patience_us
        self._answer: HandshakeAnswer | None = None
        self.session: SSL.Session | None = None  #: for a resumption; the server's ticket is in it

    @property
    def answer(self) -> HandshakeAnswer | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return self._close_patience if self._established and self._head is None else self._patience

    def _begin_after(self) -> None:
        openssl = self._session.openssl
        if self._request is not None and openssl.get_alpn_proto_negotiated() in (b"", b"http/1.1"):
            self._head = HeadReader()
            openssl.send(self._request)
        else:
            openssl.shutdown()

    def _after(self) -> None:
        while self._answer is None:
            try:
                data = self._session.openssl.recv(_CHUNK)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self._complete(End.CLOSED)
            except SSL.Error:
                self._complete(End.ALERT if self._session.alerts_read else End.CLOSED)
            else:
                if self._head is not None:
                    self._head.feed(data)
                    if self._head.done:
                        self._complete(End.OPEN)

    def _complete(self, end: End) -> None:
        session = self._session
        head = None
        if self._head is not None:
            self._head.finish()
            head = self._head.head
        flight = session.flight()
        fatal = [alert for _, alert in session.alerts_read if alert != 0]
        self.session = session.openssl.get_session()
        self._answer = Completed(
            flight.version or 0,
            flight.suite or 0,
            flight.group,
            flight,
            end,
            fatal[-1] if fatal and end is End.ALERT else None,
            head,
        )
        if end is End.OPEN:
            with suppress(SSL.Error):
                session.openssl.shutdown()
        session.forget()

    def _stopped(self, why: Refused | Broken | Garbage | NoAnswer | None, library: tuple[str, ...]) -> None:
        self._answer = self._as_stopped(why, library)
        self._session.forget()

    def ended(self, how: NoAnswer) -> None:
        if self._answer is not None:
            return
        if self._established:
            self._complete(_end(how.kind))
        else:
            self._stopped(how, ())


def _end(kind: Kind) -> End:
    match kind:
        case Kind.RESET:
            return End.RESET
        case Kind.TIMEOUT | Kind.FLOODED:
            return End.TIMEOUT
        case (
            Kind.CLOSED
            | Kind.UNREACHABLE
            | Kind.LOCAL
            | Kind.STARTTLS_REFUSED
            | Kind.PROXY_REFUSED
            | Kind.PRELUDE_GARBAGE
        ):
            return End.CLOSED
        case _:
            assert_never(kind)


class Renegotiate(_OverOpenSsl):
    """A ``Conversation[Renegotiation | Stopped]``: a whole handshake, then the client asks for another.

    Give a context with ``max_version`` TLS 1.2. ACCEPTED proves that the server carries out renegotiation at a
    client's wish (a cheap way to make it work, RFC 5746 section 5 and CVE-2011-1473); whether renegotiation is
    *secure* is another question, answered by ``ServerFlight.secure_renegotiation``.
    """

    def __init__(self, context: ClientContext, *, sni: str | None, patience_us: int = 2_000_000) -> None:
        super().__init__(context, sni, None)
        self._patience = patience_us
        self._answer: Renegotiation | Stopped | None = None

    @property
    def answer(self) -> Renegotiation | Stopped | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return self._patience

    def _begin_after(self) -> None:
        openssl = self._session.openssl
        if (self._session.flight().version or TLS13) >= TLS13:
            self._settle(Renegotiation.NOT_APPLICABLE)
            return
        try:
            openssl.renegotiate()
            openssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self._settle(Renegotiation.NOT_ASKED)

    def _after(self) -> None:
        openssl = self._session.openssl
        if self._answer is not None:
            return
        try:
            openssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self._settle(Renegotiation.REFUSED if self._session.alerts_read else Renegotiation.NO_ANSWER)
            return
        if not openssl.renegotiate_pending():
            self._settle(Renegotiation.ACCEPTED)

    def _settle(self, answer: Renegotiation | Stopped) -> None:
        self._answer = answer
        with suppress(SSL.Error):
            self._session.openssl.shutdown()
        self._session.forget()

    def _stopped(self, why: Refused | Broken | Garbage | NoAnswer | None, library: tuple[str, ...]) -> None:
        self._answer = self._as_stopped(why, library)
        self._session.forget()

    def ended(self, how: NoAnswer) -> None:
        if self._answer is not None:
            return
        if not self._established:
            self._stopped(how, ())
        elif how.kind in (Kind.CLOSED, Kind.RESET):
            self._settle(Renegotiation.CLOSED)
        else:
            self._settle(Renegotiation.NO_ANSWER)
