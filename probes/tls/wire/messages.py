"""Bounded readers of single handshake messages. Everything here is hostile input; everything here is pure.

A message that does not parse raises ``MalformedError``, which the callers (``parse``, ``flight``) turn into a fact.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, unique

from probes.tls.wire.codepoints import ANY_SUITE, TLS12

#: RFC 8446 section 4.1.3: SHA-256 of "HelloRetryRequest" in place of the random.
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

MAX_CERTIFICATES = 32
MAX_AUTHORITIES = 1024


class MalformedError(ValueError):
    """A message from the server that breaks the protocol's syntax."""


@unique
class MessageType(IntEnum):
    """Handshake message types (RFC 8446 section 4, RFC 5246 section 7.4, RFC 8879)."""

    HELLO_REQUEST = 0
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    KEY_UPDATE = 24
    COMPRESSED_CERTIFICATE = 25


class Reader:
    """Reads vectors from a message and never beyond its end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise MalformedError("a field is longer than its message")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        """Bytes behind a length of ``width`` bytes."""
        return self.take(self.number(width))

    def rest(self) -> bytes:
        return self.take(self.left)

    def end(self) -> None:
        if self.left:
            raise MalformedError("bytes follow the last field")


def read_extensions(block: bytes) -> dict[int, bytes]:
    """Type and body in the order sent. A repeated type is malformed (RFC 8446 section 4.2)."""
    reader = Reader(block)
    found: dict[int, bytes] = {}
    while reader.left:
        kind = reader.number(2)
        if kind in found:
            raise MalformedError("an extension stands twice")
        found[kind] = reader.vector(2)
    return found


@dataclass(frozen=True, slots=True)
class ServerHello:
    """ServerHello or HelloRetryRequest."""

    version: int
    random: bytes
    suite: int
    compression: int
    session_id: bytes
    extensions: dict[int, bytes]
    is_retry: bool
    group: int | None
    psk: bool  # TLS 1.3: a pre-shared key was selected


def read_server_hello(body: bytes) -> ServerHello:
    """RFC 8446 section 4.1.3. ``version`` is supported_versions' where that was sent."""
    reader = Reader(body)
    version = reader.number(2)
    random = reader.take(32)
    session_id = reader.vector(1)
    suite = reader.number(2)
    compression = reader.number(1)
    extensions = read_extensions(reader.vector(2)) if reader.left else {}
    reader.end()
    if len(session_id) > 32:
        raise MalformedError("a session id is longer than 32 bytes")
    if (selected := extensions.get(43)) is not None:
        if len(selected) != 2:
            raise MalformedError("supported_versions does not name one version")
        version = int.from_bytes(selected, "big")
    is_retry = random == RETRY_RANDOM
    group = None
    if (share := extensions.get(51)) is not None:
        if is_retry and len(share) != 2:
            raise MalformedError("the key_share of a HelloRetryRequest does not name one group")
        if len(share) < 2:
            raise MalformedError("key_share is too short")
        group = int.from_bytes(share[:2], "big")
    return ServerHello(
        version, random, suite, compression, session_id, extensions, is_retry, group, psk=41 in extensions
    )


def read_alpn(body: bytes) -> bytes:
    """The one protocol a server names (RFC 7301 section 3.1)."""
    outer = Reader(body)
    inner = Reader(outer.vector(2))
    name = inner.vector(1)
    inner.end()
    outer.end()
    return name


def read_certificates(body: bytes) -> tuple[bytes, ...]:
    """Certificate before TLS 1.3 (RFC 5246 section 7.4.2): DER, in the order sent."""
    outer = Reader(body)
    inner = Reader(outer.vector(3))
    outer.end()
    chain: list[bytes] = []
    while inner.left:
        if len(chain) == MAX_CERTIFICATES:
            raise MalformedError("more certificates than any chain has")
        chain.append(inner.vector(3))
    return tuple(chain)


@dataclass(frozen=True, slots=True)
class Certificates13:
    chain: tuple[bytes, ...]
    ocsp_staple: bytes | None
    sct_list: bytes | None


def read_certificates13(body: bytes) -> Certificates13:
    """Certificate in TLS 1.3 (RFC 8446 section 4.4.2), with the leaf's staple and SCTs."""
    outer = Reader(body)
    outer.vector(1)
    inner = Reader(outer.vector(3))
    outer.end()
    chain: list[bytes] = []
    staple = scts = None
    while inner.left:
        if len(chain) == MAX_CERTIFICATES:
            raise MalformedError("more certificates than any chain has")
        chain.append(inner.vector(3))
        extensions = read_extensions(inner.vector(2))
        if len(chain) == 1:
            staple = read_certificate_status(extensions[5]) if 5 in extensions else None
            scts = extensions.get(18)
    return Certificates13(tuple(chain), staple, scts)


def read_certificate_status(body: bytes) -> bytes:
    """CertificateStatus (RFC 6066 section 8): the DER of an OCSP response."""
    reader = Reader(body)
    if reader.number(1) != 1:
        raise MalformedError("a certificate status that is not OCSP")
    response = reader.vector(3)
    reader.end()
    return response


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    authorities: tuple[bytes, ...]  # DER names
    schemes: tuple[int, ...]


def read_certificate_request(body: bytes, version: int) -> CertificateRequest:
    """CertificateRequest from SSLv3 to TLS 1.2 (RFC 5246 section 7.4.4)."""
    reader = Reader(body)
    reader.vector(1)
    schemes = _codes(reader.vector(2)) if version >= TLS12 else ()
    authorities = _names(reader.vector(2))
    reader.end()
    return CertificateRequest(authorities, schemes)


def read_certificate_request13(body: bytes) -> CertificateRequest:
    """CertificateRequest in TLS 1.3 (RFC 8446 section 4.3.2)."""
    reader = Reader(body)
    reader.vector(1)
    extensions = read_extensions(reader.vector(2))
    reader.end()
    schemes = _codes(Reader(extensions[13]).vector(2)) if 13 in extensions else ()
    authorities = _names(Reader(extensions[47]).vector(2)) if 47 in extensions else ()
    return CertificateRequest(authorities, schemes)


def _codes(data: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise MalformedError("a list of 16-bit code points has an odd length")
    return struct.unpack(f">{len(data) // 2}H", data)


def _names(data: bytes) -> tuple[bytes, ...]:
    reader = Reader(data)
    names: list[bytes] = []
    while reader.left:
        if len(names) == MAX_AUTHORITIES:
            raise MalformedError("too many certificate authorities")
        names.append(reader.vector(2))
    return tuple(names)


_ELLIPTIC = ("ECDHE_", "ECDH_anon")
_FINITE = ("DHE_", "DH_anon", "PSK_DHE")


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """What a ServerKeyExchange says: the named group or the size of the prime, and the signature scheme."""

    group: int | None = None
    dh_bits: int | None = None
    signature: int | None = None


def read_key_exchange(body: bytes, suite: int, version: int) -> KeyExchange:
    """ServerKeyExchange (RFC 5246 section 7.4.3, RFC 8422 section 5.4) of ephemeral and anonymous exchanges.

    For other key exchanges (static, SRP, GOST, SM2, ECCPWD) nothing is read. The signature is not verified.
    """
    exchange = ANY_SUITE.name(suite).removeprefix("TLS_").removeprefix("OLD_").partition("_WITH_")[0]
    reader = Reader(body)
    if "PSK" in exchange and exchange.startswith(_ELLIPTIC + _FINITE):
        reader.vector(2)  # the identity hint
    group = dh_bits = None
    if exchange.startswith(_ELLIPTIC):
        if reader.number(1) != 3:
            return KeyExchange()  # explicit curve parameters
        group = reader.number(2)
        reader.vector(1)
    elif exchange.startswith(_FINITE):
        dh_bits = int.from_bytes(reader.vector(2), "big").bit_length()
        reader.vector(2)
        reader.vector(2)
    else:
        return KeyExchange()
    signed = version == TLS12 and reader.left and "anon" not in exchange and "PSK" not in exchange
    return KeyExchange(group, dh_bits, reader.number(2) if signed else None)


@dataclass(frozen=True, slots=True)
class NewTicket:
    lifetime_s: int
    max_early_data: int | None


def read_ticket13(body: bytes) -> NewTicket:
    """NewSessionTicket in TLS 1.3 (RFC 8446 section 4.6.1): early_data present means that 0-RTT is offered."""
    reader = Reader(body)
    lifetime = reader.number(4)
    reader.take(4)
    reader.vector(1)
    reader.vector(2)
    extensions = read_extensions(reader.vector(2))
    reader.end()
    early = extensions.get(42)
    if early is not None and len(early) != 4:
        raise MalformedError("early_data of a ticket is not four bytes")
    return NewTicket(lifetime, None if early is None else int.from_bytes(early, "big"))


def read_ticket12(body: bytes) -> NewTicket:
    """NewSessionTicket before TLS 1.3 (RFC 5077 section 3.3)."""
    reader = Reader(body)
    lifetime = reader.number(4)
    reader.vector(2)
    reader.end()
    return NewTicket(lifetime, None)
