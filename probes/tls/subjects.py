"""The deployment section `endpoints`: TLS servers that the vendor runs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.model.deployment import FileRef, SecretRef, Subject
from keycheck.model.types import Duration
from probes.places.whereabouts import Whereabouts

Scheme: TypeAlias = Literal["https", "tls", "smtp", "imap", "postgresql"]

_DEFAULT_PORTS: Final[dict[str, int]] = {"https": 443, "smtp": 25, "imap": 143, "postgresql": 5432}
_SCHEMES: Final[dict[str, Scheme]] = {
    "https": "https",
    "tls": "tls",
    "smtp": "smtp",
    "imap": "imap",
    "postgresql": "postgresql",
}
_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")


@dataclass(frozen=True, slots=True)
class Place:
    """A parsed endpoint URL."""

    scheme: Scheme
    host: str
    """Lower case, without brackets or trailing dot."""
    port: int
    path: str
    """Path and query, `/` if none."""

    @property
    def is_address(self) -> bool:
        """Whether the host is a literal address, which server_name may not carry."""
        return _is_address(self.host)

    @property
    def host_header(self) -> str:
        """As an HTTP client writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> tuple[SplitResult, str, int | None]:
    if any(char <= " " or char == "\x7f" for char in url):
        raise ValueError(f"{url!r} holds white space or control characters; percent-encode them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    host = (parts.hostname or "").removesuffix(".")
    if not host or (":" not in host and not set(host) <= _HOST_CHARACTERS) or len(host) > 253:
        raise ValueError(f"{url!r} names no host; write an international name in its xn-- form")
    if ":" in host and not _is_address(host):
        raise ValueError(f"{url!r}: {host!r} is no IPv6 address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not hold credentials")
    if parts.fragment:
        raise ValueError(f"{url!r}: leave out what follows '#'")
    if not f"{parts.path}{parts.query}".isprintable() or not f"{parts.path}{parts.query}".isascii():
        raise ValueError(f"{url!r}: write the path in percent-encoded ASCII")
    if port == 0:
        raise ValueError(f"{url!r}: 0 is no port")
    return parts, host, port


@lru_cache(maxsize=1024)
def read_url(url: str) -> Place:
    """An endpoint URL: https://, tls:// (port needed), or smtp://, imap://, postgresql:// for STARTTLS.

    Raises ValueError that says what to write instead.
    """
    parts, host, port = _split(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ValueError(f"{url!r}: begin with https://, tls://, smtp://, imap:// or postgresql://")
    port = port or _DEFAULT_PORTS.get(scheme)
    if port is None:
        raise ValueError(f"{url!r} needs a port, as in tls://{host}:8443")
    query = f"?{parts.query}" if parts.query else ""
    if scheme != "https" and (parts.path not in ("", "/") or query):
        raise ValueError(f"{url!r}: only https:// URLs have a path")
    return Place(scheme, host, port, (parts.path or "/") + query)


def _endpoint_url(value: str) -> str:
    read_url(value)
    return value


def read_redirect_url(url: str) -> tuple[str, int, str]:
    """Host, port and path of a plain-text URL. Raises ValueError."""
    parts, host, port = _split(url)
    if parts.scheme != "http":
        raise ValueError(f"{url!r}: write the plain http:// address that must redirect")
    return host, port or 80, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _redirect_url(value: str) -> str:
    read_redirect_url(value)
    return value


@lru_cache(maxsize=1024)
def read_address(value: str, default_port: int) -> tuple[str, int]:
    """`ip`, `ip:port` or `[ipv6]:port`. Raises ValueError."""
    text, port = value, default_port
    if value.startswith("["):
        text, closed, rest = value[1:].partition("]")
        text = text if closed else value
        if rest:
            port = _port(value, rest.removeprefix(":"))
    elif value.count(":") == 1:
        text, _, after = value.partition(":")
        port = _port(value, after)
    if not _is_address(text) or "%" in text:
        raise ValueError(f"{value!r} is no address; write 192.0.2.7, 192.0.2.7:8443 or [2001:db8::7]:8443")
    return str(ipaddress.ip_address(text)), port


def _port(value: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ValueError(f"{value!r}: {text!r} is no port")
    return int(text)


def _address(value: str) -> str:
    read_address(value, 443)
    return value


Url: TypeAlias = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_endpoint_url)]
RedirectUrl: TypeAlias = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_redirect_url)]
AddressText: TypeAlias = Annotated[str, StringConstraints(max_length=64), AfterValidator(_address)]
NameKind: TypeAlias = Literal["right", "none", "wrong"]


class Endpoint(Subject):
    """One TLS server by its URL. Every address behind the name is looked at, under three names."""

    url: Url
    """`https://host[:port][/path]`, `tls://host:port`, or `smtp://`, `imap://`, `postgresql://` with STARTTLS."""
    addresses: Annotated[tuple[AddressText, ...], Field(max_length=64)] = ()
    """`ip` or `ip:port`; given, no DNS is asked and these are all the addresses there are."""
    ca: FileRef | None = None
    """PEM bundle of the CA that the contract names; without it the system's trust store counts."""
    client_auth: Literal["none", "required"] = "none"
    """Whether the contract says that a client certificate is demanded."""
    client_certificate: FileRef | None = None
    """PEM, leaf first: a certificate that must be accepted."""
    client_key: SecretRef | FileRef | None = None
    """Its private key, PEM without passphrase: `env:NAME`, `file:PATH` or a path."""
    redirect_url: RedirectUrl | None = None
    """The plain http:// address that must redirect to https."""
    balanced: Literal["unknown", "balanced", "single"] = "unknown"
    """Whether several back ends stand behind one address; `single` is a claim and recorded as such."""
    names: Annotated[tuple[NameKind, ...], Field(min_length=1, max_length=3)] = ("right", "none", "wrong")
    """Which server names are sent: the endpoint's own, none, and one that exists nowhere."""
    whereabouts: Whereabouts | None = None
    """Where it is said to be; asked about by the area of residency."""
    answer_within: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(seconds=30))] = timedelta(seconds=3)
    """How long to wait for a connection, and for an answer; an endpoint that needs longer is unknown."""

    @property
    def place(self) -> Place:
        """The URL, parsed."""
        return read_url(self.url)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.client_certificate is None) is not (self.client_key is None):
            raise ValueError("client_certificate and client_key go together")
        if self.client_certificate is not None and self.client_auth == "none":
            raise ValueError("with a client_certificate, say client_auth: required")
        if self.redirect_url is not None and self.place.scheme != "https":
            raise ValueError("only an https:// endpoint has a redirect_url")
        if "right" not in self.names:
            raise ValueError("names must hold right: what is looked at under other names alone says nothing of it")
        if len(set(self.names)) != len(self.names):
            raise ValueError("names lists one of right, none, wrong twice")
        return self
