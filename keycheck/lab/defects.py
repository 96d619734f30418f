"""Every defect the practice vendor can have, and what a run on it must show.

A promise is a (control, verdict) pair other than ``pass`` on the changed endpoint. A run must show every
promised pair and no other beyond those of the clean world, where endpoints without HTTP have no HSTS, and
so on.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from keycheck.lab.config import ClientAuth, Manner, Strays, Stub, Version
from keycheck.lab.errors import LabError
from keycheck.lab.pki import Issuer, KeyKind, LeafSpec
from keycheck.lab.vendor import DOMAIN, Clear, Door, Groups, Server, Site, Tls

Promise = tuple[str, str]
"""A control id and a verdict."""

_CONTROLS = (
    "tls.protocols", "tls.suites", "tls.groups", "tls.post-quantum", "tls.certificate", "tls.chain",
    "tls.revocation", "tls.hsts", "tls.early-data", "tls.renegotiation", "tls.compression", "tls.client-auth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to break, or seem to break, a promise.

    ``clause`` is the clause it must break, "" for an honest vendor that looks odd. ``endpoint`` is where
    it sits unless asked for elsewhere; one that is not ``movable`` makes sense only there.
    ``intercepts``: the fault is on the customer's own side.
    """

    id: str
    title: str
    clause: str
    promises: frozenset[Promise]
    change: Callable[[Site], Site]
    endpoint: str = "api"
    movable: bool = True
    intercepts: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A defect and where it is to be."""

    defect: Defect
    endpoint: str


def find(name: str) -> Defect:
    """The defect of that id. Raise LabError naming the nearest one."""
    for defect in DEFECTS:
        if defect.id == name:
            return defect
    near = difflib.get_close_matches(name, [defect.id for defect in DEFECTS], n=1)
    advice = f"did you mean {near[0]!r}?" if near else "see `keycheck lab defects`"
    raise LabError(f"there is no defect {name!r}", advice=advice)


def choose(names: Sequence[str], sites: Sequence[Site]) -> tuple[Choice, ...]:
    """Read ``defect`` or ``defect@endpoint``. Raise LabError when either is unknown or they do not fit."""
    known = [site.id for site in sites]
    chosen: list[Choice] = []
    for name in names:
        id_, at, place = name.partition("@")
        defect = find(id_)
        endpoint = place if at else defect.endpoint
        if endpoint not in known:
            raise LabError(f"the lab has no endpoint {endpoint!r}", advice=f"use one of {', '.join(known)}")
        if endpoint != defect.endpoint and not defect.movable:
            raise LabError(f"{id_!r} cannot be put on {endpoint!r}", advice=f"it belongs to {defect.endpoint!r}")
        chosen.append(Choice(defect, endpoint))
    return tuple(chosen)


def _fails(*controls: str) -> frozenset[Promise]:
    return frozenset((control, "fail") for control in controls)


def _unknown(*controls: str) -> frozenset[Promise]:
    return frozenset((control, "inconclusive") for control in controls)


def _also(version: Version) -> Callable[[Site], Site]:
    return lambda site: site.with_tls(lambda tls: replace(tls, versions=(version, Version.TLS_1_3)))


def _stub(stub: Stub, *versions: Version) -> Callable[[Site], Site]:
    """Answer by hand what no library serves, beside really serving ``versions`` and TLS 1.3."""

    def change(server: Server) -> Server:
        tls = replace(server.tls, versions=(*versions, Version.TLS_1_3))
        return replace(server, tls=tls, stubs=(*server.stubs, stub))

    return lambda site: site.with_servers(change)


def _leaf(change: Callable[[LeafSpec], LeafSpec]) -> Callable[[Site], Site]:
    return lambda site: site.with_leaf(change)


def _tls(change: Callable[[Tls], Tls]) -> Callable[[Site], Site]:
    return lambda site: site.with_tls(change)


def _server(change: Callable[[Server], Server]) -> Callable[[Site], Site]:
    return lambda site: site.with_servers(change)


def _groups(groups: Groups) -> Callable[[Site], Site]:
    return lambda site: replace(site, groups=groups)


def _manner(manner: Manner) -> Callable[[Site], Site]:
    return _server(lambda server: replace(server, manner=manner))


def _with_tls_1_2(server: Server) -> Server:
    return replace(server, tls=replace(server.tls, versions=(Version.TLS_1_2, Version.TLS_1_3)))


def _last_address(site: Site) -> Site:
    *good, last = site.doors
    bad = replace(last, servers=tuple(map(_with_tls_1_2, last.servers)))
    return replace(site, doors=(*good, bad))


def _last_back_end(site: Site) -> Site:
    def change(door: Door) -> Door:
        *good, last = door.servers
        return replace(door, servers=(*good, _with_tls_1_2(last)))

    return site.with_doors(change)


def _stray_vhost(server: Server) -> Server:
    leaf = LeafSpec((f"default.{DOMAIN}",))
    versions = (Version.TLS_1_0, Version.TLS_1_1, Version.TLS_1_2)
    other = Tls(leaf, versions=versions, client_auth=server.tls.client_auth)
    return replace(server, strays=Strays.OTHER, other=other)


_SUITE = ("TLS_AES_128_GCM_SHA256",)
# A server that speaks TLS 1.2 or older picks an old suite, none of which is on a TLS 1.3 list.
_OLD = _fails("tls.protocols", "tls.suites")
# Nothing was ever answered in TLS, so nothing is known of anything.
_NOTHING = _unknown(*_CONTROLS)

DEFECTS: tuple[Defect, ...] = (
    Defect("ssl-2-accepted", "answers an SSL 2.0 CLIENT-HELLO", "ENC-TRANSIT",
           _fails("tls.protocols"),  # SSL 2.0 cipher kinds are no TLS suites
           _stub(Stub.SSL_2)),
    Defect("ssl-3-accepted", "answers SSL 3.0 to whoever lacks TLS 1.3", "ENC-TRANSIT",
           # no library speaks SSL 3.0 any more, so whether it renegotiates cannot be asked
           _OLD | _unknown("tls.renegotiation"), _stub(Stub.SSL_3)),
    Defect("tls-1.0-accepted", "serves TLS 1.0 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_0)),
    Defect("tls-1.1-accepted", "serves TLS 1.1 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_1),
           endpoint="mail-smtp"),
    Defect("tls-1.2-accepted", "serves TLS 1.2 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_2)),
    Defect("weak-suite", "serves TLS_AES_128_GCM_SHA256 too", "ENC-TRANSIT",
           _fails("tls.suites"),
           _tls(lambda tls: replace(tls, suites=(*tls.suites, *_SUITE)))),
    Defect("null-suite", "takes TLS_SHA256_SHA256, which does not encrypt (RFC 9150)", "ENC-TRANSIT",
           _fails("tls.suites"), _stub(Stub.NULL_SUITE)),
    Defect("missing-post-quantum", "serves classical groups only", "ENC-TRANSIT-QUANTUM",
           _fails("tls.post-quantum"), _groups(Groups.CLASSICAL)),
    Defect("hybrid-only", "serves X25519MLKEM768 only, which most scanners take for no TLS at all", "",
           frozenset(), _groups(Groups.HYBRID_ONLY)),
    Defect("finite-field-group", "serves ffdhe2048 and ffdhe3072 too", "ENC-TRANSIT",
           _fails("tls.groups"), _groups(Groups.FINITE_FIELD), endpoint="db"),
    # Certificates. Whether a path can be built is tls.chain; what the leaf says of itself is tls.certificate.
    Defect("expired", "certificate ended ten days ago", "ENC-TRANSIT-IDENTITY",
           _fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, first_day=-99, last_day=-10)), endpoint="mail-imap"),
    Defect("not-yet-valid", "certificate begins in ten days", "ENC-TRANSIT-IDENTITY",
           _fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, first_day=10, last_day=99)), endpoint="portal"),
    Defect("wrong-name", "certificate is for another name", "ENC-TRANSIT-IDENTITY",
           _fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, names=(f"elsewhere.{DOMAIN}",))), endpoint="portal"),
    Defect("self-signed", "certificate signed by itself", "ENC-TRANSIT-IDENTITY",
           # nobody staples for it, and it does not promise that: nothing is known of revocation
           _fails("tls.chain") | _unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.SELF, must_staple=False)), endpoint="portal"),
    Defect("unknown-ca", "certificate by a CA that the contract does not name", "ENC-TRANSIT-IDENTITY",
           _fails("tls.chain") | _unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.STRANGER, must_staple=False)), endpoint="portal"),
    Defect("missing-intermediate", "sends the leaf without its issuer", "ENC-TRANSIT-IDENTITY",
           # without the issuer nobody can check the staple's signature
           _fails("tls.chain") | _unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, send_intermediate=False)), endpoint="portal"),
    Defect("short-rsa-key", "RSA key of 1024 bits", "ENC-TRANSIT-IDENTITY",
           _fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, key=KeyKind.RSA_1024)), endpoint="portal"),
    Defect("sha1-signature", "certificate signed over SHA-1", "ENC-TRANSIT-IDENTITY",
           _fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, sha1=True)), endpoint="portal"),
    Defect("must-staple-missing", "certificate promises an OCSP staple, none is sent", "ENC-TRANSIT-HARDENING",
           _fails("tls.revocation"),
           _tls(lambda tls: replace(tls, leaf=replace(tls.leaf, must_staple=True), staple=False))),
    Defect("no-hsts", "sends no Strict-Transport-Security", "ENC-TRANSIT-HARDENING",
           _fails("tls.hsts"),
           _server(lambda server: replace(server, hsts=None))),
    Defect("no-redirect", "serves plain HTTP instead of sending it to https", "ENC-TRANSIT-HARDENING",
           _fails("tls.hsts"),
           lambda site: replace(site, clear=Clear.SERVED), movable=False),
    Defect("one-bad-address", "the second of two addresses serves TLS 1.2", "ENC-TRANSIT",
           _OLD, _last_address, movable=False),
    Defect("one-bad-backend", "one of four back ends in turn serves TLS 1.2", "ENC-TRANSIT",
           _OLD, _last_back_end, endpoint="portal", movable=False),
    Defect("early-data-accepted", "accepts 0-RTT data, which can be replayed", "ENC-TRANSIT-HARDENING",
           _fails("tls.early-data"), _tls(lambda tls: replace(tls, early_data=16_384))),
    Defect("renegotiation-accepted", "serves TLS 1.2 and lets clients renegotiate", "ENC-TRANSIT",
           _OLD | _fails("tls.renegotiation"),
           lambda site: _also(Version.TLS_1_2)(_tls(lambda tls: replace(tls, renegotiation=True))(site))),
    Defect("compression-accepted", "serves TLS 1.2 and takes up DEFLATE", "ENC-TRANSIT",
           _OLD | _fails("tls.compression"), _stub(Stub.COMPRESSION, Version.TLS_1_2)),
    # Silence and nonsense: nothing may pass, and nothing may fail.
    Defect("refuses-everything", "answers every hello with handshake_failure", "ENC-TRANSIT",
           _NOTHING, _manner(Manner.REFUSE)),
    Defect("resets-above-20", "resets what exceeds 20 connections a second on an address", "",
           frozenset(),  # asked again more slowly, everything is answered
           lambda site: site.with_doors(lambda door: replace(door, reset_above=20))),
    Defect("drops-old-hellos", "is silent to hellos without TLS 1.3", "ENC-TRANSIT",
           # what only an old hello can ask stays open
           _unknown("tls.protocols", "tls.suites", "tls.groups", "tls.renegotiation", "tls.compression"),
           _server(lambda server: replace(server, silent_to_old=True))),
    Defect("stalls", "sends half a record and then nothing", "ENC-TRANSIT", _NOTHING, _manner(Manner.STALL)),
    Defect("garbage", "answers with bytes that are no TLS", "ENC-TRANSIT", _NOTHING, _manner(Manner.GARBAGE)),
    Defect("endless-records", "sends warning alerts without end", "ENC-TRANSIT",
           _NOTHING, _manner(Manner.ENDLESS)),
    Defect("down", "nothing listens", "ENC-TRANSIT", _NOTHING,
           lambda site: site.with_doors(lambda door: replace(door, down=True))),
    Defect("intercepted", "a proxy on our own side re-signs with the Corporate Inspection CA", "ENC-TRANSIT",
           _NOTHING,  # what is seen is the proxy, not the vendor
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.INSPECTION, must_staple=False, logged=False)),
           intercepts=True),
    Defect("no-client-cert-demanded", "lets partners in without a certificate", "ENC-TRANSIT-CLIENT",
           _fails("tls.client-auth"),
           _tls(lambda tls: replace(tls, client_auth=ClientAuth.NONE)), endpoint="partner"),
    Defect("stray-default-vhost", "serves TLS 1.0 to 1.2 to a wrong or missing name", "ENC-TRANSIT",
           # and what is older than TLS 1.3 knows no hybrid group
           _OLD | _fails("tls.post-quantum"), _server(_stray_vhost)),
    Defect("name-rejecting", "refuses whoever names another host or none (alert 112)", "",
           frozenset(),  # stricter than the contract asks
           _server(lambda server: replace(server, strays=Strays.REJECTED))),
)  # fmt: skip
"""The table, in the order in which it is shown."""
