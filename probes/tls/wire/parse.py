"""Reads a server's first flight, incrementally and within bounds. Pure; never raises, whatever arrives.

Policy for alerts: a fatal alert is the answer, ``Refused`` or ``Broken`` by its description. A warning never is,
whatever it says: RFC 6066 lets a server send warning-level unrecognized_name and go on to its ServerHello, and clients
before TLS 1.3 ignore a warning-level handshake_failure just as well, so that a server could "refuse" us with one and
serve everybody else. Warnings are kept, reading goes on, and when the server then closes, something broke: no refusal.
close_notify ends the reading at either level.
"""

from dataclasses import dataclass, replace
from enum import StrEnum, unique

from probes.tls.wire.answers import (
    Accepted,
    Answer,
    Broken,
    Garbage,
    Kind,
    NoAnswer,
    Refused,
    Sentinel,
    What,
    alert_answer,
)
from probes.tls.wire.codepoints import SSL2, SSL3, TLS11, TLS12, TLS13
from probes.tls.wire.messages import (
    MalformedError,
    MessageType,
    Reader,
    ServerHello,
    read_alpn,
    read_certificates,
    read_key_exchange,
    read_server_hello,
)

_ALERT, _HANDSHAKE = 21, 22
_CONTENT_TYPES = range(20, 25)
_MAX_FRAGMENT = (1 << 14) + 256
_WARNING, _FATAL = 1, 2
_CLOSE_NOTIFY = 0
_MAX_WARNINGS = 4


@unique
class Until(StrEnum):
    """How far to read."""

    HELLO = "hello"  # the answer is complete with ServerHello or HelloRetryRequest
    FLIGHT = "flight"  # before TLS 1.3: on to ServerHelloDone, for the chain, the group and the signature scheme


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Beyond these a flight is ``Garbage(TOO_MUCH)``."""

    bytes: int = 1 << 17
    records: int = 64
    message: int = 1 << 16


DEFAULT_LIMITS = ParseLimits()


class FirstFlight:
    """The parser of one connection's first flight. Feed it what arrives; it says when there is an answer."""

    def __init__(self, until: Until = Until.HELLO, limits: ParseLimits = DEFAULT_LIMITS) -> None:
        self._until = until
        self._limits = limits
        self._buffer = bytearray()
        self._messages = bytearray()  # handshake bytes, records' borders removed
        self._total = 0
        self._records = 0
        self._warnings: list[int] = []
        self._hello: Accepted | None = None  # a ServerHello was read and reading goes on
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer | None:
        return self._answer

    def feed(self, data: bytes) -> Answer | None:
        """Take received bytes; the answer as soon as there is one, and the same one ever after."""
        if self._answer is not None:
            return self._answer
        self._total += len(data)
        self._buffer += data
        try:
            self._read()
        except MalformedError:
            self._settle(Garbage(What.BAD_HANDSHAKE))
        if self._total > self._limits.bytes:
            self._settle(Garbage(What.TOO_MUCH))
        return self._answer

    def end(self, how: NoAnswer) -> Answer:
        """The connection ended in this way. What was read so far may still be an answer."""
        if self._answer is None:
            if self._warnings and how.kind is Kind.CLOSED:
                self._settle(Broken(self._warnings[-1], _WARNING))
            else:
                self._settle(how)
        return self._answer or how

    def _settle(self, answer: Answer) -> None:
        if self._answer is None:
            self._answer = self._hello or answer  # a ServerHello is a fact whatever comes after it
        self._buffer.clear()
        self._messages.clear()

    def _read(self) -> None:
        while self._answer is None and self._buffer:
            first = self._buffer[0]
            if first not in _CONTENT_TYPES and self._records == 0:
                self._read_foreign()
                return
            if len(self._buffer) < 5:
                return
            size = int.from_bytes(self._buffer[3:5], "big")
            if first not in _CONTENT_TYPES or self._buffer[1] != 3 or size > _MAX_FRAGMENT:
                self._settle(Garbage(What.BAD_RECORD if self._records else What.NOT_TLS))
                return
            if len(self._buffer) < 5 + size:
                return
            body = bytes(self._buffer[5 : 5 + size])
            del self._buffer[: 5 + size]
            self._records += 1
            if self._records > self._limits.records:
                self._settle(Garbage(What.TOO_MUCH))
            elif first == _HANDSHAKE:
                self._messages += body
                self._read_messages()
            elif first == _ALERT:
                self._read_alerts(body)
            else:
                self._settle(Garbage(What.WRONG_MESSAGE))

    def _read_alerts(self, body: bytes) -> None:
        if not body or len(body) % 2 or self._messages:
            self._settle(Garbage(What.BAD_ALERT))
            return
        for level, alert in zip(body[::2], body[1::2], strict=True):
            if level not in (_WARNING, _FATAL):
                self._settle(Garbage(What.BAD_ALERT))
            elif level == _WARNING and alert != _CLOSE_NOTIFY:
                self._warnings.append(alert)
                if len(self._warnings) > _MAX_WARNINGS:
                    self._settle(Garbage(What.TOO_MUCH))
            else:
                self._settle(alert_answer(level, alert))
            if self._answer is not None:
                return

    def _read_messages(self) -> None:
        while self._answer is None and len(self._messages) >= 4:
            size = int.from_bytes(self._messages[1:4], "big")
            if size > self._limits.message:
                self._settle(Garbage(What.TOO_MUCH))
                return
            if len(self._messages) < 4 + size:
                return
            kind = self._messages[0]
            body = bytes(self._messages[4 : 4 + size])
            del self._messages[: 4 + size]
            self._read_message(kind, body)

    def _read_message(self, kind: int, body: bytes) -> None:
        if self._hello is not None:
            self._read_later(self._hello, kind, body)
        elif kind == MessageType.SERVER_HELLO:
            hello = read_server_hello(body)
            accepted = _accepted(hello, tuple(self._warnings))
            if self._until is Until.FLIGHT and accepted.version < TLS13 and not hello.is_retry:
                self._hello = accepted
            else:
                self._settle(accepted)
        elif kind != MessageType.HELLO_REQUEST or body:  # HelloRequest may come at any time and means nothing yet
            self._settle(Garbage(What.WRONG_MESSAGE))

    def _read_later(self, hello: Accepted, kind: int, body: bytes) -> None:
        match kind:
            case MessageType.CERTIFICATE:
                self._hello = replace(hello, chain=read_certificates(body))
            case MessageType.SERVER_KEY_EXCHANGE:
                exchange = read_key_exchange(body, hello.suite, hello.version)
                self._hello = replace(
                    hello, group=exchange.group, dh_bits=exchange.dh_bits, signature=exchange.signature
                )
            case MessageType.SERVER_HELLO_DONE:
                self._settle(hello)
            case _:
                pass  # CertificateStatus, CertificateRequest: not asked here

    def _read_foreign(self) -> None:
        """The first byte is no TLS record's: SSLv2, plain HTTP, or neither."""
        head = bytes(self._buffer[:5])
        if b"HTTP/".startswith(head):
            if len(head) == 5:
                self._settle(Garbage(What.PLAIN_HTTP))
            return
        if not head[0] & 0x80:
            self._settle(Garbage(What.NOT_TLS))
            return
        if len(head) < 3:
            return
        size = int.from_bytes(head[:2], "big") & 0x7FFF
        if head[2] not in (_SSL2_ERROR, _SSL2_SERVER_HELLO) or size < 3:
            self._settle(Garbage(What.NOT_TLS))
        elif len(self._buffer) >= 2 + size:
            try:
                self._settle(_read_ssl2(bytes(self._buffer[2 : 2 + size])))
            except MalformedError:
                self._settle(Garbage(What.BAD_SSL2))


def read_answer(data: bytes, until: Until = Until.HELLO) -> Answer | None:
    """Parse recorded bytes again, e.g. from evidence; None when they hold no answer."""
    return FirstFlight(until).feed(data)


def _accepted(hello: ServerHello, warnings: tuple[int, ...]) -> Accepted:
    if hello.version < SSL3:
        raise MalformedError("a ServerHello with a version older than SSLv3")
    alpn = hello.extensions.get(16)
    return Accepted(
        version=hello.version,
        suite=hello.suite,
        group=hello.group,
        is_retry=hello.is_retry,
        compression=hello.compression,
        extensions=tuple(hello.extensions),
        sentinel=_sentinel(hello),
        random=hello.random,
        alpn=read_alpn(alpn) if alpn is not None else b"",
        warnings=warnings,
    )


def _sentinel(hello: ServerHello) -> Sentinel:
    if hello.version <= TLS12 and hello.random.endswith(b"DOWNGRD\x01"):
        return Sentinel.TLS12
    if hello.version <= TLS11 and hello.random.endswith(b"DOWNGRD\x00"):
        return Sentinel.TLS11
    return Sentinel.NONE


_SSL2_ERROR, _SSL2_SERVER_HELLO = 0, 4
_SSL2_NO_CIPHER = 1


def _read_ssl2(message: bytes) -> Answer:
    """MSG-SERVER-HELLO or MSG-ERROR ("The SSL Protocol", 1995, sections 5.6.1 and 5.8). Either one speaks SSLv2."""
    reader = Reader(message)
    if reader.number(1) == _SSL2_ERROR:
        code = reader.number(2)
        reader.end()
        return Refused(code, 0, ssl2=True) if code == _SSL2_NO_CIPHER else Broken(code, 0, ssl2=True)
    reader.take(2)  # session id hit, certificate type
    version = reader.number(2)
    certificate, kinds, connection = reader.number(2), reader.number(2), reader.number(2)
    chain = reader.take(certificate)
    offered = reader.take(kinds)
    reader.take(connection)
    reader.end()
    if version != SSL2 or kinds % 3:
        raise MalformedError("not an SSLv2 SERVER-HELLO")
    codes = tuple(int.from_bytes(offered[at : at + 3], "big") for at in range(0, kinds, 3))
    return Accepted(SSL2, codes[0] if codes else 0, chain=(chain,) if chain else (), ssl2_kinds=codes)
