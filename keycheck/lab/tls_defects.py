"""Every defect of the practice vendor's endpoints, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keycheck.lab.config import ClientAuth, Manner, Strays, Stub, Version
from keycheck.lab.defect import fails, unknown
from keycheck.lab.pki import Issuer, KeyKind, LeafSpec
from keycheck.lab.vendor import DOMAIN, Clear, Door, EndpointDefect, Groups, Server, Site, Tls

_CONTROLS = (
    "tls.protocols", "tls.suites", "tls.groups", "tls.post-quantum", "tls.certificate", "tls.chain",
    "tls.revocation", "tls.hsts", "tls.early-data", "tls.renegotiation", "tls.compression", "tls.client-auth",
)  # fmt: skip


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
_OLD = fails("tls.protocols", "tls.suites")
# Nothing was ever answered in TLS, so nothing is known of anything.
_NOTHING = unknown(*_CONTROLS)

TLS_DEFECTS: tuple[EndpointDefect, ...] = (
    EndpointDefect("ssl-2-accepted", "answers an SSL 2.0 CLIENT-HELLO", "ENC-TRANSIT",
           fails("tls.protocols"),  # SSL 2.0 cipher kinds are no TLS suites
           _stub(Stub.SSL_2)),
    EndpointDefect("ssl-3-accepted", "answers SSL 3.0 to whoever lacks TLS 1.3", "ENC-TRANSIT",
           # no library speaks SSL 3.0 any more, so whether it renegotiates cannot be asked
           _OLD | unknown("tls.renegotiation"), _stub(Stub.SSL_3)),
    EndpointDefect("tls-1.0-accepted", "serves TLS 1.0 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_0)),
    EndpointDefect("tls-1.1-accepted", "serves TLS 1.1 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_1),
           at="mail-smtp"),
    EndpointDefect("tls-1.2-accepted", "serves TLS 1.2 beside TLS 1.3", "ENC-TRANSIT", _OLD, _also(Version.TLS_1_2)),
    EndpointDefect("weak-suite", "serves TLS_AES_128_GCM_SHA256 too", "ENC-TRANSIT",
           fails("tls.suites"),
           _tls(lambda tls: replace(tls, suites=(*tls.suites, *_SUITE)))),
    EndpointDefect("null-suite", "takes TLS_SHA256_SHA256, which does not encrypt (RFC 9150)", "ENC-TRANSIT",
           fails("tls.suites"), _stub(Stub.NULL_SUITE)),
    EndpointDefect("missing-post-quantum", "serves classical groups only", "ENC-TRANSIT-QUANTUM",
           fails("tls.post-quantum"), _groups(Groups.CLASSICAL)),
    EndpointDefect("hybrid-only", "serves X25519MLKEM768 only, which most scanners take for no TLS at all", "",
           frozenset(), _groups(Groups.HYBRID_ONLY)),
    EndpointDefect("finite-field-group", "serves ffdhe2048 and ffdhe3072 too", "ENC-TRANSIT",
           fails("tls.groups"), _groups(Groups.FINITE_FIELD), at="db"),
    # Certificates. Whether a path can be built is tls.chain; what the leaf says of itself is tls.certificate.
    EndpointDefect("expired", "certificate ended ten days ago", "ENC-TRANSIT-IDENTITY",
           fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, first_day=-99, last_day=-10)), at="mail-imap"),
    EndpointDefect("not-yet-valid", "certificate begins in ten days", "ENC-TRANSIT-IDENTITY",
           fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, first_day=10, last_day=99)), at="portal"),
    EndpointDefect("wrong-name", "certificate is for another name", "ENC-TRANSIT-IDENTITY",
           fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, names=(f"elsewhere.{DOMAIN}",))), at="portal"),
    EndpointDefect("self-signed", "certificate signed by itself", "ENC-TRANSIT-IDENTITY",
           # nobody staples for it, and it does not promise that: nothing is known of revocation
           fails("tls.chain") | unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.SELF, must_staple=False)), at="portal"),
    EndpointDefect("unknown-ca", "certificate by a CA that the contract does not name", "ENC-TRANSIT-IDENTITY",
           fails("tls.chain") | unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.STRANGER, must_staple=False)), at="portal"),
    EndpointDefect("missing-intermediate", "sends the leaf without its issuer", "ENC-TRANSIT-IDENTITY",
           # without the issuer nobody can check the staple's signature
           fails("tls.chain") | unknown("tls.revocation"),
           _leaf(lambda leaf: replace(leaf, send_intermediate=False)), at="portal"),
    EndpointDefect("short-rsa-key", "RSA key of 1024 bits", "ENC-TRANSIT-IDENTITY",
           fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, key=KeyKind.RSA_1024)), at="portal"),
    EndpointDefect("sha1-signature", "certificate signed over SHA-1", "ENC-TRANSIT-IDENTITY",
           fails("tls.certificate"),
           _leaf(lambda leaf: replace(leaf, sha1=True)), at="portal"),
    EndpointDefect("must-staple-missing", "certificate promises an OCSP staple, none is sent", "ENC-TRANSIT-HARDENING",
           fails("tls.revocation"),
           _tls(lambda tls: replace(tls, leaf=replace(tls.leaf, must_staple=True), staple=False))),
    EndpointDefect("no-hsts", "sends no Strict-Transport-Security", "ENC-TRANSIT-HARDENING",
           fails("tls.hsts"),
           _server(lambda server: replace(server, hsts=None))),
    EndpointDefect("no-redirect", "serves plain HTTP instead of sending it to https", "ENC-TRANSIT-HARDENING",
           fails("tls.hsts"),
           lambda site: replace(site, clear=Clear.SERVED), movable=False),
    EndpointDefect("one-bad-address", "the second of two addresses serves TLS 1.2", "ENC-TRANSIT",
           _OLD, _last_address, movable=False),
    EndpointDefect("one-bad-backend", "one of four back ends in turn serves TLS 1.2", "ENC-TRANSIT",
           _OLD, _last_back_end, at="portal", movable=False),
    EndpointDefect("early-data-accepted", "accepts 0-RTT data, which can be replayed", "ENC-TRANSIT-HARDENING",
           fails("tls.early-data"), _tls(lambda tls: replace(tls, early_data=16_384))),
    EndpointDefect("renegotiation-accepted", "serves TLS 1.2 and lets clients renegotiate", "ENC-TRANSIT",
           _OLD | fails("tls.renegotiation"),
           lambda site: _also(Version.TLS_1_2)(_tls(lambda tls: replace(tls, renegotiation=True))(site))),
    EndpointDefect("compression-accepted", "serves TLS 1.2 and takes up DEFLATE", "ENC-TRANSIT",
           _OLD | fails("tls.compression"), _stub(Stub.COMPRESSION, Version.TLS_1_2)),
    # Silence and nonsense: nothing may pass, and nothing may fail.
    EndpointDefect("refuses-everything", "answers every hello with handshake_failure", "ENC-TRANSIT",
           _NOTHING, _manner(Manner.REFUSE)),
    EndpointDefect("resets-above-20", "resets what exceeds 20 connections a second on an address", "",
           frozenset(),  # asked again more slowly, everything is answered
           lambda site: site.with_doors(lambda door: replace(door, reset_above=20))),
    EndpointDefect("drops-old-hellos", "is silent to hellos without TLS 1.3", "ENC-TRANSIT",
           # what only an old hello can ask stays open
           unknown("tls.protocols", "tls.suites", "tls.groups", "tls.renegotiation", "tls.compression"),
           _server(lambda server: replace(server, silent_to_old=True))),
    EndpointDefect("stalls", "sends half a record and then nothing", "ENC-TRANSIT", _NOTHING, _manner(Manner.STALL)),
    EndpointDefect("garbage", "answers with bytes that are no TLS", "ENC-TRANSIT", _NOTHING, _manner(Manner.GARBAGE)),
    EndpointDefect("endless-records", "sends warning alerts without end", "ENC-TRANSIT",
           _NOTHING, _manner(Manner.ENDLESS)),
    EndpointDefect("down", "nothing listens", "ENC-TRANSIT", _NOTHING,
           lambda site: site.with_doors(lambda door: replace(door, down=True))),
    EndpointDefect("intercepted", "a proxy on our own side re-signs with the Corporate Inspection CA", "ENC-TRANSIT",
           _NOTHING,  # what is seen is the proxy, not the vendor
           _leaf(lambda leaf: replace(leaf, issuer=Issuer.INSPECTION, must_staple=False, logged=False)),
           intercepts=True),
    EndpointDefect("no-client-cert-demanded", "lets partners in without a certificate", "ENC-TRANSIT-CLIENT",
           fails("tls.client-auth"),
           _tls(lambda tls: replace(tls, client_auth=ClientAuth.NONE)), at="partner"),
    EndpointDefect("stray-default-vhost", "serves TLS 1.0 to 1.2 to a wrong or missing name", "ENC-TRANSIT",
           # and what is older than TLS 1.3 knows no hybrid group
           _OLD | fails("tls.post-quantum"), _server(_stray_vhost)),
    EndpointDefect("name-rejecting", "refuses whoever names another host or none (alert 112)", "",
           frozenset(),  # stricter than the contract asks
           _server(lambda server: replace(server, strays=Strays.REJECTED))),
)  # fmt: skip
"""The table, in the order in which it is shown."""
