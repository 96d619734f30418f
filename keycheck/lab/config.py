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
class From:
    """Clients of a network, how late bytes between them and the server are, each way, and the host that answers
    them, where it is another than the relay's."""

    network: str
    one_way_us: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Relay:
    """Passes bytes on to another address, ``one_way_us`` microseconds late in each direction.

    ``by_source``: clients of these networks wait otherwise; the first that holds one counts. ``shaken``: the time of
    TCP's handshake, which the kernel does not take on loopback, is added to what follows it.
    """

    host: str
    port: int
    one_way_us: int
    by_source: tuple[From, ...] = ()
    shaken: bool = True
    kind: Literal["relay"] = "relay"


class EdgeKind(StrEnum):
    """Content delivery networks whose heads the lab's edges write."""

    CLOUDFRONT = "cloudfront"
    FASTLY = "fastly"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The origin behind an edge, and the edge's own address towards it."""

    host: str
    port: int
    source: str


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of a content delivery network: answers ``/static/`` by itself and asks its origin for all else.

    ``timed``: it tells how long its origin took."""

    cdn: EdgeKind
    pop: str
    origin: Upstream
    timed: bool = True


class WebManner(StrEnum):
    """How a web server treats requests."""

    HONEST = "honest"
    ENDLESS_HEAD = "endless-head"
    """Header after header, and no end."""
    TWO_NETWORKS = "two-networks"
    """The headers of two content delivery networks."""


@dataclass(frozen=True, slots=True)
class Web:
    """A web server that keeps connections open: the vendor's own, or an edge. Without ``tls`` it is an origin that
    only edges speak to."""

    tls: TlsConfig | None = None
    hsts: str | None = None
    edge: Edge | None = None
    manner: WebManner = WebManner.HONEST
    kind: Literal["web"] = "web"


class DnsManner(StrEnum):
    """How a name server treats the questions about a name."""

    HONEST = "honest"
    SILENT = "silent"
    TRUNCATED = "truncated"
    """Every answer over UDP is cut off, and over TCP there is none."""
    WRONG_ID = "wrong-id"
    LOOP = "loop"
    """The name is its own alias, by way of another."""
    ENDLESS = "endless"
    """An alias of an alias, and so on."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record: ``kind`` is ``A``, ``AAAA`` or ``CNAME``. ``clients``: a network whose clients alone are told it, and
    then nothing else of that name; by their stated subnet, or else by their address."""

    name: str
    kind: str
    value: str
    clients: str = ""


@dataclass(frozen=True, slots=True)
class DnsHost:
    """How questions about a name, and whatever is below it, are treated."""

    name: str
    manner: DnsManner


@dataclass(frozen=True, slots=True)
class Dns:
    """A name server, on a datagram or a listening socket."""

    records: tuple[DnsRecord, ...]
    hosts: tuple[DnsHost, ...] = ()
    recursive: bool = False
    kind: Literal["dns"] = "dns"


Service = Annotated[Serve | PlainHttp | Relay | Web | Dns, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening (or datagram) socket inherited from the parent, and what answers on it."""

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
