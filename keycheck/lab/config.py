"""What a serving process is told, as one JSON line on its standard input.

Plain frozen dataclasses; pydantic writes and reads them, so that both ends agree on the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter


class Version(StrEnum):
    """The protocol versions that the TLS library itself can still serve."""

    TLS_1_0 = "TLSv1"
    TLS_1_1 = "TLSv1.1"
    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"


class App(StrEnum):
    """What is spoken over, and before, TLS."""

    HTTP = "http"
    SMTP = "smtp"
    IMAP = "imap"
    POSTGRES = "postgres"


class ClientAuth(StrEnum):
    """How a client certificate is demanded: not at all, in the handshake, or by the HTTP answer."""

    NONE = "none"
    TLS = "tls"
    HTTP = "http"


class Manner(StrEnum):
    """How a server treats every connection."""

    SERVE = "serve"
    REFUSE = "refuse"
    STALL = "stall"
    GARBAGE = "garbage"
    ENDLESS = "endless"


class Stub(StrEnum):
    """Hand-written answers for what no library serves any more; everything else goes to the real server."""

    SSL_2 = "ssl-2"
    SSL_3 = "ssl-3"
    NULL_SUITE = "null-suite"
    COMPRESSION = "compression"


class Strays(StrEnum):
    """What a client gets that names another host, or none."""

    SAME = "same"
    REJECTED = "rejected"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """One TLS server context. Paths name PEM files; ``staple`` names a DER OCSP response."""

    chain: str
    key: str
    versions: tuple[Version, ...]
    suites: tuple[str, ...]
    staple: str | None = None
    client_auth: ClientAuth = ClientAuth.NONE
    client_ca: str | None = None
    early_data: int = 0
    renegotiation: bool = False
    weak_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Backend:
    """One server. ``other`` is what strays are served when ``strays`` says so."""

    app: App
    tls: TlsConfig
    names: tuple[str, ...]
    manner: Manner = Manner.SERVE
    strays: Strays = Strays.SAME
    other: TlsConfig | None = None
    silent_to_old: bool = False
    stubs: tuple[Stub, ...] = ()
    stub_chain: str | None = None
    hsts: str | None = None


@dataclass(frozen=True, slots=True)
class Serve:
    """TLS servers behind one address, taken in turn, one a connection.

    ``reset_above``: more new connections than this within one second are reset; 0 means never.
    """

    backends: tuple[Backend, ...]
    reset_above: int = 0
    kind: Literal["serve"] = "serve"


@dataclass(frozen=True, slots=True)
class PlainHttp:
    """HTTP in the clear: sends every request to ``https://authority``, or serves it where that is ""."""

    authority: str
    kind: Literal["plain"] = "plain"


@dataclass(frozen=True, slots=True)
class Relay:
    """Passes bytes on to another address, ``one_way_us`` microseconds late in each direction."""

    host: str
    port: int
    one_way_us: int
    kind: Literal["relay"] = "relay"


Service = Annotated[Serve | PlainHttp | Relay, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket inherited from the parent, and what answers on it."""

    fd: int
    service: Service


@dataclass(frozen=True, slots=True)
class Config:
    """Everything one serving process does."""

    listeners: tuple[Listener, ...]


_CONFIG: TypeAdapter[Config] = TypeAdapter(Config)


def dump(config: Config) -> bytes:
    """The configuration as one line."""
    return _CONFIG.dump_json(config) + b"\n"


def load(line: bytes) -> Config:
    """Raise pydantic's ValidationError when the line is not a configuration."""
    return _CONFIG.validate_json(line)
