"""The lab: a practice vendor built, served and taken down again.

with Lab(home, defects=["tls-1.2-accepted", "one-bad-backend"]) as lab:
    for endpoint in lab.endpoints: ...
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from keycheck.lab.children import Child
from keycheck.lab.config import (
    App,
    Backend,
    ClientAuth,
    Config,
    Listener,
    PlainHttp,
    Relay,
    Serve,
    Service,
    TlsConfig,
)
from keycheck.lab.data_sites import DataDefect, DataSite, clean_data_sets
from keycheck.lab.defect import Promise
from keycheck.lab.defects import Choice, choose
from keycheck.lab.drill_defects import DrillDefect
from keycheck.lab.errors import LabError
from keycheck.lab.key_sites import KeySite, clean_keys, fleet_keys
from keycheck.lab.pki import Issued, KeyKind, LeafSpec, Pki
from keycheck.lab.places import Place, Places
from keycheck.lab.residency_parts import RESIDENCY
from keycheck.lab.residency_plan import residency_subjects
from keycheck.lab.rotation_defects import RotationDefect
from keycheck.lab.store_sites import EXTRA_KEYS, in_clouds, store_keys
from keycheck.lab.vendor import (
    Clear,
    Door,
    EndpointDefect,
    Groups,
    Server,
    Site,
    Tls,
    clean_vendor,
    fleet_site,
)

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds
    from keycheck.lab.crm.canaries import Canaries
    from keycheck.lab.crm.doors import Doors
    from keycheck.lab.crm.manner import Manner
    from keycheck.lab.crm.vendor import Vendor
    from keycheck.lab.data_sets import LabData
    from keycheck.lab.meddling import Meddler
    from keycheck.lab.residency_world import Residency

DRILLS: Final = "drills"
"""The vendor's application behind the keys, with canaries, for drills."""
DATA_SETS: Final = "datasets"
"""Exports of the vendor, sealed under the keys."""
SECTIONS: Final = frozenset({"endpoints", "keys", DRILLS, DATA_SETS})
"""What the lab serves of itself, as one vendor; places (`RESIDENCY`) are served where they are asked for."""
DRILLED: Final = ("contacts", "contacts-g")
"""The keys that drills are offered for, each with a vendor of its own above it."""
_SPARED: Final = ("archive", "notes-g")
"""The keys above those vendors' control records."""
_HOME_G: Final = "vendor-g"
CANARY_KEY: Final = "keycheck-canary"
"""The AWS key that seals canaries alone: what a rotation drill on `contacts` turns."""
_HOME_R: Final = "vendor-r"


@dataclass(frozen=True, slots=True)
class LabEndpoint:
    """What a deployment file needs to know of one endpoint.

    ``addresses`` and ``plain`` are "ip:port" texts; ``plain`` are those that answer HTTP in the
    clear. ``starttls`` is ``smtp``, ``imap``, ``postgres`` or None. ``client_auth`` is what the contract
    demands of the endpoint, also when a defect has made it let anyone in.
    """

    id: str
    host: str
    port: int
    url: str
    addresses: tuple[str, ...]
    starttls: str | None
    ca: Path
    client_auth: ClientAuth
    client_cert: Path | None
    client_key: Path | None
    plain: tuple[str, ...] = ()


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Lab:
    """A running practice vendor; servers are up once it is made, and gone when it is closed.

    ``home`` receives keys, certificates and logs. ``defects`` are names of the table, each optionally with
    ``@subject``. ``sections`` are what is served besides what the defects sit in: endpoints, keys in two clouds,
    exports, and places. Exports by themselves are those that a defect sits in, with their keys and no others; so are
    places that nobody asked for otherwise. ``fleet`` adds that many plain endpoints, ``fleet_of_keys`` keys.
    ``round_trip_ms`` puts a slow path before everything. ``placed`` are the subjects that are served of what has a
    place, None for all. ``spread`` False keeps to 127.0.0.1, as on macOS. Raise LabError when a name is unknown or a
    server does not start.
    """

    def __init__(
        self,
        home: Path,
        defects: Sequence[str] = (),
        *,
        sections: frozenset[str] = frozenset(),
        clock: Callable[[], dt.datetime] = _utc_now,
        spread: bool | None = None,
        fleet: int = 0,
        fleet_of_keys: int = 0,
        round_trip_ms: float = 0.0,
        placed: frozenset[str] | None = None,
    ) -> None:
        sites = (*clean_vendor(), *(fleet_site(number) for number in range(1, fleet + 1)))
        keys = (*clean_keys(), *fleet_keys(fleet_of_keys))
        places = {
            "endpoints": [site.id for site in sites],
            "keys": [key.id for key in keys],
            DATA_SETS: [data.id for data in clean_data_sets()],
            **residency_subjects(),
        }
        self.choices: tuple[Choice, ...] = choose(defects, places)
        wanted = {choice.defect.served or choice.defect.section for choice in self.choices}
        self.sections = sections | wanted or {"endpoints"}
        if any(isinstance(choice.defect, DrillDefect | RotationDefect) for choice in self.choices):
            self.sections |= {DRILLS}
        exports = clean_data_sets()
        if self.sections == {DATA_SETS}:
            chosen = {choice.at for choice in self.choices} or {site.id for site in exports}
            exports = tuple(site for site in exports if site.id in chosen)
            needed = {site.key for site in exports}
            keys = tuple(replace(key, canary=None) for key in keys if key.id in needed)
        alone = not sections and self.sections == {RESIDENCY}
        if alone:
            placed = frozenset(choice.subject for choice in self.choices)
        stored = RESIDENCY in self.sections and in_clouds(placed)
        if stored:
            keys = (*keys, *EXTRA_KEYS) if self.sections & {"keys", DATA_SETS} else store_keys(placed)
        self.home = home.resolve()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._pki = Pki(self.home, clock())
        self._children: list[Child] = []
        self._places = Places(spread=spread)
        self._one_way_us = round(round_trip_ms * 500)
        self.clouds: Clouds | None = None
        self.vendor: Vendor | None = None
        self.canaries: Canaries | None = None
        self.vendor_g: Vendor | None = None
        """The same vendor's application on Google Cloud."""
        self.canaries_g: Canaries | None = None
        self.vendor_r: Vendor | None = None
        """The same once more, above a key of canaries alone in AWS, which a rotation drill turns."""
        self.canaries_r: Canaries | None = None
        self.data_sets: tuple[LabData, ...] = ()
        self._meddler: Meddler | None = None
        self.residency: Residency | None = None
        with ExitStack() as held:
            held.callback(self.close)
            self.endpoints = self._build(sites) if "endpoints" in self.sections else ()
            if self.sections & {"keys", DATA_SETS} or stored:
                self.clouds = _clouds(self.home, keys, self.choices, clock)
                if DATA_SETS in self.sections:
                    self.data_sets = _data_sets(self.home, self.clouds, exports, self.choices)
                if DRILLS in self.sections:
                    self._served(self.clouds)
            if RESIDENCY in self.sections:
                self.residency = _residency(self.home, placed, self.choices, clock, self._pki, self.clouds)
            held.pop_all()
        self.ca = self._pki.ca
        self.client_ca = self._pki.client_ca
        intercepted = any(choice.defect.intercepts for choice in self.choices)
        self.interception_ca: Path | None = self._pki.inspection_ca() if intercepted else None

    @property
    def promises(self) -> frozenset[Promise]:
        """What a run on this world must show besides what it shows on the clean one."""
        return frozenset(promise for choice in self.choices for promise in choice.defect.promises)

    @property
    def pids(self) -> tuple[int, ...]:
        """The serving processes."""
        return tuple(child.pid for child in self._children)

    def endpoint(self, id: str) -> LabEndpoint:
        """One endpoint by its id. Raise LabError if there is none."""
        for each in self.endpoints:
            if each.id == id:
                return each
        raise LabError(
            f"the lab has no endpoint {id!r}", advice=f"use one of {', '.join(e.id for e in self.endpoints)}"
        )

    def close(self) -> None:
        """End every serving process and free every port."""
        while self._children:
            self._children.pop().close()
        self._places.close()
        for vendor in (self.vendor, self.vendor_g, self.vendor_r):
            if vendor is not None:
                vendor.__exit__(None, None, None)
        self.vendor = self.vendor_g = self.vendor_r = None
        if self._meddler is not None:
            self._meddler.close()
        if self.clouds is not None:
            self.clouds.close()
        if self.residency is not None:
            self.residency.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _served(self, clouds: Clouds) -> None:
        """The vendor's application in both clouds, with canaries planted through its front door."""
        from keycheck.lab.crm.canaries import plant
        from keycheck.lab.crm.estates import lab_doors

        for home in (_HOME_G, _HOME_R):
            (self.home / home).mkdir(exist_ok=True)
        drilled, rotated = (
            [choice for choice in self.choices if isinstance(choice.defect, kind)]
            for kind in (DrillDefect, RotationDefect)
        )
        doors, doors_g = (lab_doors(clouds, key, spared) for key, spared in zip(DRILLED, _SPARED, strict=True))
        doors_r = replace(doors, main=clouds.aws.door(CANARY_KEY), undeclared=None)
        self.vendor = _vendor(self.home, clouds, _manner(drilled, DRILLED[0]), doors)
        self.canaries = plant(self.vendor, clock=clouds.clock)
        self.vendor_g = _vendor(self.home / _HOME_G, clouds, _manner((*drilled, *rotated), DRILLED[1]), doors_g)
        self.canaries_g = plant(self.vendor_g, clock=clouds.clock)
        self.vendor_r = _vendor(self.home / _HOME_R, clouds, _manner(rotated, DRILLED[0]), doors_r)
        self.canaries_r = plant(self.vendor_r, cold=0, clock=clouds.clock)
        for choice in drilled:
            if isinstance(choice.defect, DrillDefect):
                choice.defect.log(clouds)
        if any(isinstance(choice.defect, DrillDefect) and choice.defect.meddled for choice in self.choices):
            from keycheck.lab.meddling import Meddler

            self._meddler = Meddler(clouds.aws.cloud, clouds.aws.arns[DRILLED[0]])

    def _build(self, sites: Sequence[Site]) -> tuple[LabEndpoint, ...]:
        partner = self._pki.client("partner")
        served: dict[Groups, list[Listener]] = {}
        relayed: list[Listener] = []
        endpoints: list[LabEndpoint] = []
        for honest in sites:
            site = honest
            for choice in self.choices:
                if isinstance(choice.defect, EndpointDefect) and choice.at == honest.id:
                    site = choice.defect.change(site)
            here = served.setdefault(site.groups, [])
            places = self._places.claim(len(site.doors))
            for door, place in zip(site.doors, places, strict=True):
                if not door.down:
                    here.append(self._listener(place, self._serve(site, door), relayed))
            plain = () if site.clear is Clear.NOTHING else self._places.beside(places)
            authority = f"{site.host}:{places[0].port}" if site.clear is Clear.REDIRECT else ""
            here += [self._listener(place, PlainHttp(authority), relayed) for place in plain]
            endpoints.append(_described(honest, places, plain, self._pki.ca, partner))
        self._start(served, relayed)
        return tuple(endpoints)

    def _listener(self, place: Place, service: Service, relayed: list[Listener]) -> Listener:
        """Serve at ``place``; on a slow path a relay listens there and the server somewhere behind it."""
        place.listen()
        if not self._one_way_us:
            return Listener(place.socket.fileno(), service)
        (behind,) = self._places.claim(1)
        behind.listen()
        relayed.append(Listener(place.socket.fileno(), Relay(behind.host, behind.port, self._one_way_us)))
        return Listener(behind.socket.fileno(), service)

    def _start(self, served: dict[Groups, list[Listener]], relayed: list[Listener]) -> None:
        batches = [(f"serve-{groups.name.lower()}", groups, each) for groups, each in served.items()]
        batches.append(("relay", Groups.CLEAN, relayed))
        for name, groups, listeners in batches:
            if listeners:
                child = Child(name, self.home, groups.value)
                self._children.append(child)
                child.start(Config(tuple(listeners)))
        self._places.release()
        for child in self._children:
            child.ready()

    def _serve(self, site: Site, door: Door) -> Serve:
        return Serve(tuple(self._backend(site, server) for server in door.servers), door.reset_above)

    def _backend(self, site: Site, server: Server) -> Backend:
        stub_chain = None
        if server.stubs:
            leaf = LeafSpec(server.tls.leaf.names, key=KeyKind.RSA_2048)
            stub_chain = str(self._pki.issue(leaf).chain)
        return Backend(
            app=site.app,
            tls=self._tls(server.tls),
            names=(site.host,),
            manner=server.manner,
            strays=server.strays,
            other=None if server.other is None else self._tls(server.other),
            silent_to_old=server.silent_to_old,
            stubs=server.stubs,
            stub_chain=stub_chain,
            hsts=server.hsts,
        )

    def _tls(self, tls: Tls) -> TlsConfig:
        issued = self._pki.issue(tls.leaf)
        return TlsConfig(
            chain=str(issued.chain),
            key=str(issued.key),
            versions=tls.versions,
            suites=tls.suites,
            staple=str(issued.staple) if tls.staple and issued.staple is not None else None,
            client_auth=tls.client_auth,
            client_ca=None if tls.client_auth is ClientAuth.NONE else str(self._pki.client_ca),
            early_data=tls.early_data,
            renegotiation=tls.renegotiation,
            weak_certificate=tls.leaf.key is KeyKind.RSA_1024 or tls.leaf.sha1,
        )


def _clouds(home: Path, keys: Sequence[KeySite], choices: Sequence[Choice], clock: Callable[[], dt.datetime]) -> Clouds:
    try:
        from keycheck.lab.clouds import Clouds
    except ModuleNotFoundError as error:
        raise LabError(
            f"the practice vendor's encryption needs {error.name}, which is not installed",
            advice="pip install 'keycheck[lab]'",
        ) from error
    return Clouds(home, keys, choices, clock)


def _residency(
    home: Path,
    only: Collection[str] | None,
    choices: Sequence[Choice],
    clock: Callable[[], dt.datetime],
    pki: Pki,
    clouds: Clouds | None,
) -> Residency:
    try:
        from keycheck.lab.residency_world import Residency
    except ModuleNotFoundError as error:
        raise LabError(
            f"the practice vendor's places need {error.name}, which is not installed",
            advice="pip install 'keycheck[lab]'",
        ) from error
    return Residency(home, only, choices, clock, pki, clouds)


def _data_sets(
    home: Path, clouds: Clouds, agreed: Sequence[DataSite], choices: Sequence[Choice]
) -> tuple[LabData, ...]:
    from keycheck.lab.data_sets import make_data_sets

    really = list(agreed)
    for choice in choices:
        if isinstance(choice.defect, DataDefect):
            really = [choice.defect.change(site) if site.id == choice.at else site for site in really]
    return make_data_sets(home, clouds, really, agreed, os.urandom)


def _manner(choices: Sequence[Choice], at: str) -> Manner:
    """How the vendor above the key of this id behaves."""
    from keycheck.lab.crm.manner import manner

    plan = manner("honest")
    for choice in choices:
        if isinstance(choice.defect, DrillDefect | RotationDefect) and choice.at == at:
            plan = choice.defect.change(plan)
    return plan


def _vendor(home: Path, clouds: Clouds, plan: Manner, doors: Doors) -> Vendor:
    """The vendor's application, up."""
    from keycheck.lab.crm.vendor import Vendor

    with clouds.clock.days_ago(1):  # its own records are older than the canaries
        return Vendor(home, plan, doors).__enter__()


def _described(site: Site, places: Sequence[Place], plain: Sequence[Place], ca: Path, partner: Issued) -> LabEndpoint:
    port = places[0].port
    knows = site.client_auth is not ClientAuth.NONE
    return LabEndpoint(
        id=site.id,
        host=site.host,
        port=port,
        url=f"https://{site.host}:{port}",
        addresses=tuple(map(str, places)),
        starttls=None if site.app is App.HTTP else site.app.value,
        ca=ca,
        client_auth=site.client_auth,
        client_cert=partner.chain if knows else None,
        client_key=partner.key if knows else None,
        plain=tuple(map(str, plain)),
    )
