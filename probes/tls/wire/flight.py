"""A recorded handshake read again: what the server really sent, from its bytes and the session's own secrets.

OpenSSL hands out a summary of the handshake; contracts ask for more (0-RTT limits of tickets, SCTs, the staple, who
may sign client certificates, the signature scheme). So the server's records are kept and read here. In TLS 1.3 they are
decrypted with the traffic secrets of our own session (RFC 8446 sections 5 and 7). Pure, bounded, never raises: where
reading has to stop, ``trouble`` says why. Nothing is authenticated here; that OpenSSL completed the handshake is.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from probes.tls.wire.codepoints import SSL3, TLS13
from probes.tls.wire.messages import (
    MalformedError,
    MessageType,
    Reader,
    read_alpn,
    read_certificate_request,
    read_certificate_request13,
    read_certificate_status,
    read_certificates,
    read_certificates13,
    read_extensions,
    read_key_exchange,
    read_server_hello,
    read_ticket12,
    read_ticket13,
)

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = 20, 21, 22, 23
_MAX_RECORDS = 512
_MAX_MESSAGE = 1 << 17
_MAX_TICKETS = 16

SERVER_HANDSHAKE = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
SERVER_APPLICATION = "SERVER_TRAFFIC_SECRET_0"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A session ticket. ``max_early_data`` None: the ticket does not offer 0-RTT (never before TLS 1.3)."""

    lifetime_s: int
    max_early_data: int | None


@dataclass(frozen=True, slots=True)
class ServerFlight:
    """What the server sent in a handshake, as far as it was read."""

    version: int | None = None
    suite: int | None = None
    group: int | None = None
    dh_bits: int | None = None
    retried: bool = False  # a HelloRetryRequest came first
    resumed: bool = False
    compression: int = 0
    random: bytes = b""
    extensions: tuple[int, ...] = ()  # of ServerHello and EncryptedExtensions
    alpn: bytes = b""
    chain: tuple[bytes, ...] = ()  # DER, in the order sent
    ocsp_staple: bytes | None = None
    sct_list: bytes | None = None  # from the TLS extension; those inside certificates are in the chain
    client_certificate_requested: bool = False
    client_authorities: tuple[bytes, ...] = ()  # DER names
    signature: int | None = None  # scheme of CertificateVerify, or of ServerKeyExchange in TLS 1.2
    tickets: tuple[Ticket, ...] = ()
    alerts: tuple[tuple[int, int], ...] = ()  # level and description, those that could be read
    complete: bool = False  # the server's Finished was read (before TLS 1.3: its ChangeCipherSpec)
    trouble: str = ""  # why reading stopped early

    @property
    def secure_renegotiation(self) -> bool:
        """RFC 5746: renegotiation_info was sent. Meaningless in TLS 1.3, which has no renegotiation."""
        return 0xFF01 in self.extensions

    @property
    def extended_master_secret(self) -> bool:
        """RFC 7627. Implied by TLS 1.3, where the extension is not sent."""
        return 23 in self.extensions


class _StopReadingError(Exception):
    """Reading cannot go on; the message becomes ``trouble``."""


def read_flight(received: bytes, secrets: Mapping[str, bytes]) -> ServerFlight:
    """Read the server's bytes. ``secrets`` are the session's key-log entries by label; needed for TLS 1.3 alone."""
    state = _State(secrets)
    try:
        for kind, body in _records(received):
            state.record(kind, body)
    except (MalformedError, _StopReadingError) as error:
        state.flight = replace(state.flight, trouble=str(error))
    return state.flight


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Content type and whole record (header included). An incomplete last record is left out."""
    at = count = 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if at + 5 + size > len(data):
            return
        count += 1
        if count > _MAX_RECORDS:
            raise _StopReadingError("too many records")
        yield data[at], data[at : at + 5 + size]
        at += 5 + size


@dataclass(slots=True)
class _State:
    secrets: Mapping[str, bytes]
    flight: ServerFlight = field(default_factory=ServerFlight)
    opener: "_Opener | None" = None
    messages: bytearray = field(default_factory=bytearray)
    encrypted: bool = False  # before TLS 1.3: behind ChangeCipherSpec, which is not decrypted
    hello_done: bool = False

    def record(self, kind: int, record: bytes) -> None:
        if self.opener is not None and kind == _APPLICATION_DATA:
            kind, content = self.opener.open(record)
        elif self.encrypted:
            return
        else:
            content = record[5:]
        if kind == _HANDSHAKE:
            self.messages += content
            if len(self.messages) > _MAX_MESSAGE:
                raise _StopReadingError("a handshake message is too long")
            self._split()
        elif kind == _ALERT and len(content) == 2:
            if len(self.flight.alerts) < _MAX_TICKETS:
                self.flight = replace(self.flight, alerts=(*self.flight.alerts, (content[0], content[1])))
        elif kind == _CHANGE_CIPHER_SPEC and self.opener is None and (self.flight.version or TLS13) < TLS13:
            self.encrypted = True
            self.flight = replace(self.flight, complete=True, resumed=not self.hello_done)

    def _split(self) -> None:
        while len(self.messages) >= 4:
            size = int.from_bytes(self.messages[1:4], "big")
            if len(self.messages) < 4 + size:
                return
            kind = self.messages[0]
            body = bytes(self.messages[4 : 4 + size])
            del self.messages[: 4 + size]
            if kind == MessageType.SERVER_HELLO:
                self._server_hello(body)
            elif self.flight.version is None:
                raise _StopReadingError(f"handshake message {kind} before ServerHello")
            elif self.opener is not None:
                self._message13(kind, body)
            else:
                self._message12(kind, body, self.flight.version)

    def _server_hello(self, body: bytes) -> None:
        hello = read_server_hello(body)
        if hello.is_retry:
            self.flight = replace(self.flight, retried=True)
            return
        alpn = hello.extensions.get(16)
        self.flight = replace(
            self.flight,
            version=hello.version,
            suite=hello.suite,
            group=hello.group,
            resumed=hello.psk,
            compression=hello.compression,
            random=hello.random,
            extensions=tuple(hello.extensions),
            alpn=read_alpn(alpn) if alpn is not None else b"",
            sct_list=hello.extensions.get(18),
        )
        if hello.version >= TLS13:
            self._open_with(SERVER_HANDSHAKE)
        elif hello.version < SSL3:
            raise _StopReadingError("a ServerHello with a version older than SSLv3")

    def _open_with(self, label: str) -> None:
        if (secret := self.secrets.get(label)) is None:
            raise _StopReadingError(f"no {label.lower()}: the handshake did not get so far")
        self.opener = _Opener(self.flight.suite or 0, secret)

    def _message12(self, kind: int, body: bytes, version: int) -> None:
        flight = self.flight
        match kind:
            case MessageType.CERTIFICATE:
                flight = replace(flight, chain=read_certificates(body))
            case MessageType.CERTIFICATE_STATUS:
                flight = replace(flight, ocsp_staple=read_certificate_status(body))
            case MessageType.SERVER_KEY_EXCHANGE:
                exchange = read_key_exchange(body, flight.suite or 0, version)
                flight = replace(flight, group=exchange.group, dh_bits=exchange.dh_bits, signature=exchange.signature)
            case MessageType.CERTIFICATE_REQUEST:
                request = read_certificate_request(body, version)
                flight = replace(flight, client_certificate_requested=True, client_authorities=request.authorities)
            case MessageType.SERVER_HELLO_DONE:
                self.hello_done = True
            case MessageType.NEW_SESSION_TICKET:
                ticket = read_ticket12(body)
                flight = replace(flight, tickets=(Ticket(ticket.lifetime_s, None),))
            case _:
                pass
        self.flight = flight

    def _message13(self, kind: int, body: bytes) -> None:
        flight = self.flight
        match kind:
            case MessageType.ENCRYPTED_EXTENSIONS:
                extensions = read_extensions(Reader(body).vector(2))
                flight = replace(
                    flight,
                    extensions=(*flight.extensions, *extensions),
                    alpn=read_alpn(extensions[16]) if 16 in extensions else b"",
                )
            case MessageType.CERTIFICATE_REQUEST:
                request = read_certificate_request13(body)
                flight = replace(flight, client_certificate_requested=True, client_authorities=request.authorities)
            case MessageType.CERTIFICATE:
                sent = read_certificates13(body)
                flight = replace(flight, chain=sent.chain, ocsp_staple=sent.ocsp_staple, sct_list=sent.sct_list)
            case MessageType.CERTIFICATE_VERIFY:
                flight = replace(flight, signature=Reader(body).number(2))
            case MessageType.FINISHED:
                self.flight = replace(flight, complete=True)
                self._open_with(SERVER_APPLICATION)
                return
            case MessageType.NEW_SESSION_TICKET:
                ticket = read_ticket13(body)
                if len(flight.tickets) < _MAX_TICKETS:
                    new = Ticket(ticket.lifetime_s, ticket.max_early_data)
                    flight = replace(flight, tickets=(*flight.tickets, new))
            case MessageType.KEY_UPDATE:
                raise _StopReadingError("the server changed its keys")
            case _:
                pass
        self.flight = flight


_HASHES = {0x1301: "sha256", 0x1302: "sha384", 0x1303: "sha256", 0x1304: "sha256", 0x1305: "sha256"}


class _Opener:
    """Opens TLS 1.3 records under one traffic secret (RFC 8446 sections 5.2, 5.3 and 7.3)."""

    def __init__(self, suite: int, secret: bytes) -> None:
        digest = _HASHES.get(suite)
        if digest is None:
            raise _StopReadingError(f"records of suite {suite:#06x} are not decrypted")
        key = _expand_label(digest, secret, b"key", 16 if suite in (0x1301, 0x1304, 0x1305) else 32)
        self._iv = int.from_bytes(_expand_label(digest, secret, b"iv", 12), "big")
        self._number = 0
        self._aead: AESGCM | ChaCha20Poly1305 | AESCCM
        match suite:
            case 0x1303:
                self._aead = ChaCha20Poly1305(key)
            case 0x1304:
                self._aead = AESCCM(key)
            case 0x1305:
                self._aead = AESCCM(key, tag_length=8)
            case _:
                self._aead = AESGCM(key)

    def open(self, record: bytes) -> tuple[int, bytes]:
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        try:
            inner = self._aead.decrypt(nonce, record[5:], record[:5]).rstrip(b"\0")
        except (InvalidTag, ValueError) as error:
            raise _StopReadingError("a record does not decrypt") from error
        if not inner:
            raise _StopReadingError("a record holds nothing but padding")
        return inner[-1], inner[:-1]


def _expand_label(digest: str, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 section 7.1); one block is always enough here."""
    info = size.to_bytes(2, "big") + bytes((6 + len(label),)) + b"tls13 " + label + b"\0"
    return hmac.digest(secret, info + b"\x01", digest)[:size]
