"""What a server can answer to a question: a closed union, so that no two facts share a spelling.

``Accepted`` (it chose something), ``Refused`` (a fatal alert that says no to what was offered), ``Broken`` (an
alert that says something went wrong: it answered, and that proves nothing about the offer), ``Garbage`` (bytes
that are no TLS answer) and ``NoAnswer`` (reset, time-out, close, unreachable). Only the first two are facts
about what the server supports, and a refusal only beside an accepted twin.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

#: Alerts that refuse what was offered: RFC 8446 section 6.2, RFC 7507 (86), RFC 6066 (112), RFC 7301 (120).
#: Everything else, internal_error (80), decode_error (50) and unexpected_message (10) above all, says that
#: the server stumbled, which it may do over a version that it would otherwise speak.
REFUSALS = frozenset({40, 47, 70, 71, 86, 109, 112, 120})


@unique
class Kind(StrEnum):
    """How a conversation ended without an answer."""

    RESET = "reset"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"  # connection refused, no route: nothing was asked
    STARTTLS_REFUSED = "starttls-refused"  # the server declined the upgrade in its own protocol
    PROXY_REFUSED = "proxy-refused"  # our own side's proxy would not connect
    PRELUDE_GARBAGE = "prelude-garbage"  # what came before TLS was not the protocol expected
    FLOODED = "flooded"  # more bytes came than any answer needs
    LOCAL = "local-failure"  # our own side could not: no descriptor, no source address, not permitted


@unique
class Phase(StrEnum):
    """What was going on when the conversation ended."""

    CONNECT = "connect"
    PRELUDE = "prelude"
    FIRST_BYTE = "first-byte"  # the question was sent, nothing has come back
    ANSWER = "answer"  # some bytes had come back, not enough for an answer


@unique
class What(StrEnum):
    """Why received bytes are not an answer."""

    NOT_TLS = "not-tls"
    PLAIN_HTTP = "plain-http"
    BAD_RECORD = "bad-record"
    BAD_ALERT = "bad-alert"
    BAD_HANDSHAKE = "bad-handshake"  # a handshake message that does not parse
    WRONG_MESSAGE = "wrong-message"  # well formed, but not what follows a ClientHello
    TOO_MUCH = "too-much"  # a limit on bytes, records or message length was hit
    BAD_SSL2 = "bad-ssl2"


@unique
class Sentinel(StrEnum):
    """The downgrade mark in ServerHello.random (RFC 8446 section 4.1.3): the server can do better."""

    NONE = "none"
    TLS12 = "DOWNGRD-01"  # a TLS 1.3 server negotiating TLS 1.2
    TLS11 = "DOWNGRD-00"  # a TLS 1.2 or newer server negotiating TLS 1.1 or older


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server chose something. ``version`` is the negotiated one (supported_versions counts, not legacy_version).

    ``group`` is known for TLS 1.3 (HelloRetryRequest or key_share) and, for older versions, only when the whole
    flight was read; ``chain`` and ``signature`` likewise. The choice is reported as sent, also when it was
    never offered: compare with the hello. Nothing is authenticated: no key was exchanged, nothing was verified.
    """

    version: int
    suite: int
    group: int | None = None
    is_retry: bool = False
    compression: int = 0
    extensions: tuple[int, ...] = ()
    sentinel: Sentinel = Sentinel.NONE
    random: bytes = b""
    alpn: bytes = b""
    warnings: tuple[int, ...] = ()  # warning alerts that came first
    chain: tuple[bytes, ...] = ()
    signature: int | None = None
    dh_bits: int | None = None  # size of the prime in a finite-field exchange before TLS 1.3
    ssl2_kinds: tuple[int, ...] = ()  # SSLv2: the server lists what it shares with us and does not choose


@dataclass(frozen=True, slots=True)
class Refused:
    """An alert that says no to what was offered. With ``ssl2`` the number is an SSLv2 error (1: no common cipher)."""

    alert: int
    level: int = 2
    ssl2: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """An alert that says the server stumbled. It answered; that proves nothing about the offer."""

    alert: int
    level: int = 2
    ssl2: bool = False


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing that could be an answer came. ``detail`` is an errno name or the first words of a refusal."""

    kind: Kind
    phase: Phase
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes came that are not an answer."""

    what: What


Answer = Accepted | Refused | Broken | NoAnswer | Garbage


def alert_answer(level: int, alert: int) -> Refused | Broken:
    """Whether an alert refuses the offer or only says that something broke."""
    return Refused(alert, level) if alert in REFUSALS else Broken(alert, level)
