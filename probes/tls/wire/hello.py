"""Builds ClientHellos byte by byte, from frozen specifications. Pure: randomness is the caller's.

Raw hellos do not age with a library: they can offer SSLv2, export suites, RFC 9150's NULL suites or a group
that no library implements, and nothing else beside them. Sources: RFC 8446 section 4.1.2 (and appendix D),
RFC 5246, RFC 6101 (SSLv3), RFC 6066 (server_name), RFC 5746 (renegotiation), RFC 7627 (extended master secret).
"""

import ipaddress
import struct
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from functools import lru_cache

MAX_SUITES = 127  # some load balancers fail a hello that offers 128 suites or more
RENEGOTIATION_SCSV = 0x00FF  # RFC 5746 section 3.3
FALLBACK_SCSV = 0x5600  # RFC 7507


@unique
class KeyShare(StrEnum):
    """The key_share extension (RFC 8446 section 4.2.8)."""

    ABSENT = "absent"
    EMPTY = "empty"  # asks for a HelloRetryRequest, which names the group without any key exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """One TLS ClientHello. ``encode`` turns it into records; equal specifications give equal bytes.

    ``sni`` is an ASCII host name (A-labels) or None for no server_name extension. ``supported_versions`` None
    leaves that extension out, which asks for TLS 1.2 or older by ``legacy_version``. ``extensions`` False
    sends no extension block at all, as SSLv3 clients did; everything that would be an extension is then ignored.
    ``extra`` are further (type, body) extensions, sent last.
    """

    random: bytes
    suites: tuple[int, ...]
    record_version: int = 0x0301
    legacy_version: int = 0x0303
    session_id: bytes = b""
    compressions: tuple[int, ...] = (0,)
    renegotiation_scsv: bool = False
    fallback_scsv: bool = False
    extensions: bool = True
    sni: str | None = None
    supported_versions: tuple[int, ...] | None = None
    groups: tuple[int, ...] = ()
    key_share: KeyShare = KeyShare.ABSENT
    sigalgs: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    point_formats: bool = False
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False
    session_ticket: bool = False
    psk_modes: bool = False
    status_request: bool = False
    sct: bool = False
    extra: tuple[tuple[int, bytes], ...] = ()

    def __hash__(self) -> int:
        # Looked up for every server asked: hashing hundreds of code points each time is not worth it.
        return hash((self.legacy_version, self.record_version, self.suites[:2], len(self.suites), self.groups[:2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssl2Hello:
    """One SSLv2 CLIENT-HELLO: cipher kinds are 24-bit, ``challenge`` is 16 to 32 bytes of randomness.

    Another ``message_type`` than 1 makes nonsense in SSLv2's framing: a stack that drops both in the same way does
    not read that framing at all, one that knows SSLv2 answers the hello. Useful because stacks without SSLv2's
    framing (OpenSSL 4) drop the connection without an alert.
    """

    challenge: bytes
    kinds: tuple[int, ...]
    version: int = 0x0002
    message_type: int = 1


def encode(hello: Hello | Ssl2Hello) -> bytes:
    """The bytes of the hello, records and all.

    Raises ValueError for a specification that cannot or must not be sent: a random that is not 32 bytes, more
    than 127 suites (signalling values included), an SNI that is an address or not ASCII, a number that does not
    fit its field, a hello above 16 KiB.
    """
    try:
        match hello:
            case Hello():
                return _encode_tls(hello)
            case Ssl2Hello():
                return _encode_ssl2(hello)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a number in the hello does not fit its field: {error}") from error


def encode_as(hello: Hello | Ssl2Hello, random: bytes, sni: str | None) -> bytes:
    """``encode`` of the same hello with another random (or challenge) and, where it has extensions, another SNI.

    Many servers are asked the same questions: what does not depend on the server is built once.
    """
    if isinstance(hello, Ssl2Hello):
        return encode(replace(hello, challenge=random))
    try:
        fixed = _fixed(hello)
        return _joined(hello, fixed, random, sni if hello.extensions else None)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a number in the hello does not fit its field: {error}") from error


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What of a hello depends neither on its random nor on its SNI."""

    middle: bytes  # session id, suites, compression methods
    extensions: bytes  # those behind server_name


def _encode_tls(hello: Hello) -> bytes:
    return _joined(hello, _fix(hello), hello.random, hello.sni if hello.extensions else None)


def _joined(hello: Hello, fixed: _Fixed, random: bytes, sni: str | None) -> bytes:
    if len(random) != 32:
        raise ValueError(f"ClientHello.random is 32 bytes, not {len(random)}")
    block = fixed.extensions if sni is None else _server_name(sni) + fixed.extensions
    body = b"".join(
        (
            struct.pack(">H", hello.legacy_version),
            random,
            fixed.middle,
            struct.pack(">H", len(block)) + block if block else b"",
        )
    )
    if len(body) + 4 > 1 << 14:
        raise ValueError("a hello above 16 KiB does not fit one record: offer less")
    return struct.pack(">BHHI", 0x16, hello.record_version, len(body) + 4, 1 << 24 | len(body)) + body


def _fix(hello: Hello) -> _Fixed:
    suites = hello.suites
    if hello.renegotiation_scsv:
        suites = (*suites, RENEGOTIATION_SCSV)
    if hello.fallback_scsv:
        suites = (*suites, FALLBACK_SCSV)
    if not 1 <= len(suites) <= MAX_SUITES:
        raise ValueError(f"a hello offers 1 to {MAX_SUITES} suites, this one {len(suites)}: split the question")
    if len(hello.session_id) > 32:
        raise ValueError(f"a session id is at most 32 bytes, not {len(hello.session_id)}")
    if not 1 <= len(hello.compressions) <= 255:
        raise ValueError("a hello offers 1 to 255 compression methods (0 is none)")
    middle = _vector8(hello.session_id) + _words(suites) + _vector8(bytes(hello.compressions))
    return _Fixed(middle, _extensions(hello) if hello.extensions else b"")


_fixed = lru_cache(maxsize=256)(_fix)


def _extensions(hello: Hello) -> bytes:
    """All but server_name, which comes first, in the order that common clients use; the order carries no meaning
    except that pre_shared_key is last."""
    parts = []
    if hello.extended_master_secret:
        parts.append(b"\0\x17\0\0")
    if hello.groups:
        parts.append(_extension(10, _words(hello.groups)))
    if hello.point_formats:
        parts.append(b"\0\x0b\0\x02\x01\0")
    if hello.session_ticket:
        parts.append(b"\0\x23\0\0")
    if hello.alpn:
        parts.append(_alpn(hello.alpn))
    if hello.status_request:
        parts.append(b"\0\x05\0\x05\x01\0\0\0\0")
    if hello.sigalgs:
        parts.append(_extension(13, _words(hello.sigalgs)))
    if hello.sct:
        parts.append(b"\0\x12\0\0")
    if hello.key_share is KeyShare.EMPTY:
        parts.append(b"\0\x33\0\x02\0\0")
    if hello.psk_modes:
        parts.append(b"\0\x2d\0\x02\x01\x01")
    if hello.supported_versions is not None:
        versions = hello.supported_versions
        parts.append(_extension(43, _vector8(struct.pack(f">{len(versions)}H", *versions))))
    if hello.encrypt_then_mac:
        parts.append(b"\0\x16\0\0")
    parts += [_extension(kind, body) for kind, body in hello.extra]
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _server_name(name: str) -> bytes:
    host = checked_host_name(name)
    return _extension(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)


def checked_host_name(name: str) -> bytes:
    """What server_name may carry (RFC 6066 section 3): ASCII, no trailing dot, no literal address.

    Raises ValueError, saying what to give instead.
    """
    try:
        host = name.encode("ascii")
    except UnicodeEncodeError as error:
        raise ValueError(f"SNI {name!r} is not ASCII: give the A-label (xn--...) form") from error
    if not 1 <= len(host) <= 253 or name.endswith(".") or not name.isprintable() or " " in name:
        raise ValueError(f"SNI {name!r} must be 1 to 253 printable characters without a trailing dot")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return host
    raise ValueError(f"SNI {name!r} is an address, which server_name may not carry: send none")


@lru_cache(maxsize=64)
def _alpn(protocols: tuple[str, ...]) -> bytes:
    names = b"".join(_vector8(protocol.encode("ascii")) for protocol in protocols)
    return _extension(16, struct.pack(">H", len(names)) + names)


@lru_cache(maxsize=256)
def _words(codes: tuple[int, ...]) -> bytes:
    """A 16-bit length and the codes: suites, groups and signature schemes repeat from hello to hello."""
    return struct.pack(f">H{len(codes)}H", 2 * len(codes), *codes)


def _vector8(body: bytes) -> bytes:
    if len(body) > 255:
        raise ValueError("a vector with an 8-bit length holds at most 255 bytes")
    return bytes((len(body),)) + body


def _extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def _encode_ssl2(hello: Ssl2Hello) -> bytes:
    """The SSL Protocol version 2 (Hickman 1995) section 5.5.1: MSG-CLIENT-HELLO in a two-byte record header."""
    if not 16 <= len(hello.challenge) <= 32:
        raise ValueError(f"an SSLv2 challenge is 16 to 32 bytes, not {len(hello.challenge)}")
    if not 1 <= len(hello.kinds) <= MAX_SUITES:
        raise ValueError(f"an SSLv2 hello offers 1 to {MAX_SUITES} cipher kinds, this one {len(hello.kinds)}")
    kinds = b"".join(kind.to_bytes(3, "big") for kind in hello.kinds)
    body = (
        struct.pack(">BHHHH", hello.message_type, hello.version, len(kinds), 0, len(hello.challenge))
        + kinds
        + hello.challenge
    )
    return struct.pack(">H", 0x8000 | len(body)) + body
