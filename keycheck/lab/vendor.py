"""The clean vendor as a plan: what each endpoint of the practice CRM is, before any socket or key exists.

Defects are functions from a Site to a Site (see `defects.py`); the clean world is the one with none applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from keycheck.lab.config import App, ClientAuth, Manner, Strays, Stub, Version
from keycheck.lab.defect import Defect
from keycheck.lab.pki import LeafSpec

DOMAIN = "crm.example"
HSTS = "max-age=63072000; includeSubDomains"
APPROVED_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


class Clear(StrEnum):
    """What answers HTTP in the clear: nothing, a redirect, or the application itself."""

    NOTHING = "nothing"
    REDIRECT = "redirect"
    SERVED = "served"


class Groups(StrEnum):
    """OpenSSL group lists. A slash puts what stands before it first even when that costs a round trip."""

    CLEAN = "X25519MLKEM768/X25519:secp256r1:secp384r1"
    CLASSICAL = "X25519:secp256r1:secp384r1"
    HYBRID_ONLY = "X25519MLKEM768"
    FINITE_FIELD = "X25519MLKEM768/X25519:secp256r1:secp384r1:ffdhe2048:ffdhe3072"


@dataclass(frozen=True, slots=True)
class Tls:
    """One TLS server, its certificate still to be made. ``staple``: whether it sends the OCSP response."""

    leaf: LeafSpec
    versions: tuple[Version, ...] = (Version.TLS_1_3,)
    suites: tuple[str, ...] = APPROVED_SUITES
    staple: bool = True
    client_auth: ClientAuth = ClientAuth.NONE
    early_data: int = 0
    renegotiation: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """One back end. ``other`` is what strays are served, where they are not served the same."""

    tls: Tls
    manner: Manner = Manner.SERVE
    strays: Strays = Strays.SAME
    other: Tls | None = None
    silent_to_old: bool = False
    stubs: tuple[Stub, ...] = ()
    hsts: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """One address of an endpoint, and the back ends that take turns behind it."""

    servers: tuple[Server, ...]
    reset_above: int = 0
    down: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """One endpoint: a name, what is spoken there, and its addresses."""

    id: str
    host: str
    app: App
    doors: tuple[Door, ...]
    groups: Groups = Groups.CLEAN
    clear: Clear = Clear.NOTHING

    def with_doors(self, change: Callable[[Door], Door]) -> Site:
        """The same site with every address changed."""
        return replace(self, doors=tuple(change(door) for door in self.doors))

    def with_servers(self, change: Callable[[Server], Server]) -> Site:
        """The same site with every back end changed."""
        return self.with_doors(lambda door: replace(door, servers=tuple(change(server) for server in door.servers)))

    def with_tls(self, change: Callable[[Tls], Tls]) -> Site:
        """The same site with every back end's TLS changed."""
        return self.with_servers(lambda server: replace(server, tls=change(server.tls)))

    def with_leaf(self, change: Callable[[LeafSpec], LeafSpec]) -> Site:
        """The same site under another certificate."""
        return self.with_tls(lambda tls: replace(tls, leaf=change(tls.leaf)))

    @property
    def client_auth(self) -> ClientAuth:
        """What the first back end demands of clients."""
        return self.doors[0].servers[0].tls.client_auth


class EndpointDefect(Defect[Site]):
    """A defect of one endpoint."""

    __slots__ = ()
    section = "endpoints"


def clean_vendor() -> tuple[Site, ...]:
    """Every endpoint of the honest vendor."""
    return (
        _site("api", addresses=2, must_staple=True, clear=Clear.REDIRECT),
        _site("portal", back_ends=4),
        _site("partner", client_auth=ClientAuth.TLS),
        _site("partner-http", client_auth=ClientAuth.HTTP),
        _site("mail-smtp", app=App.SMTP, name="smtp"),
        _site("mail-imap", app=App.IMAP, name="imap"),
        _site("db", app=App.POSTGRES),
    )


def fleet_site(number: int) -> Site:
    """One of many plain endpoints, for benchmarks."""
    return _site(f"fleet-{number:04d}", leaf=f"fleet.{DOMAIN}", name=f"n{number:04d}.fleet")


def _site(
    id: str,
    *,
    app: App = App.HTTP,
    name: str = "",
    leaf: str = "",
    addresses: int = 1,
    back_ends: int = 1,
    client_auth: ClientAuth = ClientAuth.NONE,
    must_staple: bool = False,
    clear: Clear = Clear.NOTHING,
) -> Site:
    host = f"{name or id}.{DOMAIN}"
    names = (leaf, f"*.{leaf}") if leaf else (host,)
    tls = Tls(LeafSpec(names, must_staple=must_staple), client_auth=client_auth)
    server = Server(tls, hsts=HSTS if app is App.HTTP else None)
    return Site(id, host, app, (Door((server,) * back_ends),) * addresses, clear=clear)
