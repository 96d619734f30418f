"""The address probe on real sockets: handshakes that count, heads of edges, fresh requests, and servers that cheat."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from residency_stage import Identity, Site, an_io, answer, has_ipv6, identity, site

from keycheck.errors import ProbeError
from keycheck.lab.world import Lab
from keycheck.model.deployment import SubjectEntry, Vantage
from keycheck.model.facts import Unseen, seen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.residency.endpoint.special import never_connected
from probes.residency.endpoint_facts import (
    AddressFacts,
    EdgeSeen,
    FreshTimes,
    NoEdge,
    NotAsked,
    Ranged,
    Reach,
    SignedTimes,
    Times,
)
from probes.residency.observe_address import AddressProbe
from probes.tls.subjects import Endpoint

HOST = "api.vendor.test"
PROBE = AddressProbe()


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return identity(tmp_path_factory.mktemp("mine"), HOST)


def endpoint(served: Site, mine: Identity, /, **changed: object) -> Endpoint:
    body: dict[str, object] = {
        "id": "api",
        "url": f"https://{HOST}:{served.port}/path?x=1",
        "addresses": [f"{served.host}:{served.port}"],
        "ca": str(mine.ca),
        "answer_within": "PT1S",
    }
    return Endpoint.model_validate({**body, **changed})


def look(subject: Endpoint, io: Io | None = None) -> AddressFacts:
    io = io or an_io()
    [part] = PROBE.survey(subject, io).parts
    facts = PROBE.work(subject, part, io).facts
    assert isinstance(facts, AddressFacts), facts
    assert AddressFacts.model_validate_json(seen(facts).facts) == facts
    return facts


def ok(path: str) -> bytes:
    return answer(b"ok", "Server: plain")


def test_an_honest_server(mine: Identity) -> None:
    with site(ok, mine) as served:
        facts = look(endpoint(served, mine), an_io(vantage=Vantage(id="here", coordinates="50.11,8.68", country="DE")))
        assert served.handshakes == 6
        assert served.paths == ["/path?x=1"] * 6
    assert isinstance(facts.signed, SignedTimes)
    assert isinstance(facts.connect, Times)
    assert isinstance(facts.request, Times)
    assert (facts.signed.version, facts.signed.trusted) == ("TLSv1.3", True)
    assert facts.signed.signature_scheme == "ecdsa_secp256r1_sha256"
    assert facts.signed.times.least_us == min(facts.signed.times.all_us)
    assert (
        len(facts.signed.times.all_us) == len(facts.connect.all_us) == len(facts.request.all_us) == facts.samples() == 5
    )
    assert (facts.special, facts.edge, facts.fresh, facts.network) == ("loopback", NoEdge(), NotAsked(), NotAsked())
    assert facts.certificate_names == (HOST,)
    assert facts.certificate_issuer == "CN=Stage CA server"
    assert facts.standpoint.point is not None
    assert not facts.standpoint.proxied
    assert isinstance(facts.ranges, Unseen)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_an_ipv6_address(mine: Identity) -> None:
    with site(ok, mine, host="::1") as served:
        subject = endpoint(served, mine, addresses=[f"[::1]:{served.port}"])
        assert PROBE.survey(subject, an_io()).parts == (f"[::1]:{served.port}",)
        facts = look(subject)
    assert isinstance(facts.signed, SignedTimes)
    assert (facts.address, facts.special) == ("::1", "loopback")


def test_as_many_as_the_profile_demands(mine: Identity) -> None:
    with site(ok, mine) as served:
        assert look(endpoint(served, mine), an_io(samples=8)).samples() == 8


@pytest.mark.parametrize(("resets", "served_at_last"), [(2, True), (50, False)])
def test_connections_that_are_reset_are_tried_again_and_not_for_ever(
    mine: Identity, resets: int, served_at_last: bool
) -> None:
    with site(ok, mine, resets=resets) as served:
        facts = look(endpoint(served, mine))
        assert len(served.peers) < 12
    assert isinstance(facts.signed, SignedTimes) is served_at_last
    assert facts.samples() == (5 if served_at_last else 0)


def test_times_are_never_shorter_than_the_way_there_and_back(mine: Identity) -> None:
    """A server that waits 30 ms before each step is at least that far away."""
    with site(ok, mine, delay=0.03) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, SignedTimes)
    assert isinstance(facts.request, Times)
    assert 30_000 <= facts.signed.times.least_us < 200_000
    assert 30_000 <= facts.request.least_us < 200_000


def test_a_server_without_tls_13_has_no_signed_time_and_is_asked_all_the_same(mine: Identity) -> None:
    with site(ok, mine, only=ssl.TLSVersion.TLSv1_2) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, Unseen)
    assert facts.signed.reason is Reason.UNSUPPORTED
    assert isinstance(facts.request, Times)
    assert isinstance(facts.connect, Times)


def test_another_certificate_in_some_handshakes_leaves_no_one_time(mine: Identity, tmp_path: Path) -> None:
    other = identity(tmp_path, HOST, label="other")
    with site(ok, mine, other) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, Unseen)
    assert facts.signed.reason is Reason.CONFLICTING
    assert {one.trusted for one in facts.signed_variously} == {True, False}
    assert sum(len(one.times.all_us) for one in facts.signed_variously) == 5


def test_a_chain_that_leads_elsewhere_is_not_trusted(mine: Identity, tmp_path: Path) -> None:
    other = identity(tmp_path, HOST, label="other")
    with site(ok, other) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, SignedTimes)
    assert not facts.signed.trusted


def test_our_own_inspection_says_nothing_of_the_vendor(mine: Identity, tmp_path: Path) -> None:
    ours = identity(tmp_path, HOST, label="ours")
    with site(ok, ours) as served:
        io = an_io(vantage=Vantage(id="here", interception_cas=(str(ours.ca),)))
        facts = look(endpoint(served, mine), io)
    for one in (facts.connect, facts.signed, facts.request, facts.edge):
        assert isinstance(one, Unseen)
        assert one.reason is Reason.INTERCEPTED


def test_nobody_listens(mine: Identity) -> None:
    with site(ok, mine) as served:
        pass
    facts = look(endpoint(served, mine))
    for one in (facts.connect, facts.signed, facts.request, facts.edge):
        assert isinstance(one, Unseen)
        assert one.reason is Reason.UNREACHABLE


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[Site]:
    """A server that does as it likes on a bare socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Site(ok, host="127.0.0.1", port=listener.getsockname()[1])
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def say_nonsense(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"220 mail.vendor.test ESMTP\r\n")


def say_nothing(connection: socket.socket) -> None:
    connection.settimeout(5)
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(("talk", "reason"), [(say_nonsense, Reason.MALFORMED), (say_nothing, Reason.TIMEOUT)])
def test_what_is_no_tls(mine: Identity, talk: Callable[[socket.socket], None], reason: Reason) -> None:
    with raw_server(talk) as served:
        facts = look(endpoint(served, mine), an_io(budget=6.0))
    assert isinstance(facts.connect, Times)
    assert isinstance(facts.signed, Unseen)
    assert facts.signed.reason is reason
    assert isinstance(facts.request, Unseen)


FASTLY = ("X-Served-By: cache-fra-etou8220078-FRA", "X-Cache: MISS", "X-Timer: S1709123456.789012,VS0,VE11")


def test_an_edge_and_fresh_requests(mine: Identity) -> None:
    def edge(path: str) -> bytes:
        if path.startswith("/nonce/"):
            return answer(b"you said " + path.encode(), *FASTLY)
        return answer(b"logo", *FASTLY[:1], "X-Cache: HIT", "X-Timer: S1709123456.7,VS0,VE0")

    whereabouts = {"cdn": "fastly", "static": "/logo", "fresh": {"path": "/nonce/{nonce}"}}
    with site(edge, mine) as served:
        facts = look(endpoint(served, mine, whereabouts=whereabouts))
    assert isinstance(facts.edge, EdgeSeen)
    assert (facts.edge.cdn, facts.edge.cache, facts.edge.origin_us) == ("fastly", "hit", None)
    assert isinstance(facts.fresh, FreshTimes)
    assert facts.fresh.echoed
    assert isinstance(facts.fresh.edge, EdgeSeen)
    assert (facts.fresh.edge.pop, facts.fresh.edge.origin_us) == ("FRA", 12_000)
    nonces = [path for path in served.paths if path.startswith("/nonce/")]
    assert len(set(nonces)) == len(nonces) == 5
    assert served.paths.count("/logo") == 6


def test_an_answer_that_does_not_hold_the_nonce_is_not_echoed(mine: Identity) -> None:
    whereabouts = {"fresh": {"path": "/{nonce}"}}
    with site(ok, mine) as served:
        facts = look(endpoint(served, mine, whereabouts=whereabouts))
    assert isinstance(facts.fresh, FreshTimes)
    assert not facts.fresh.echoed
    assert facts.fresh.edge == NoEdge()


def test_a_refused_fresh_request_is_a_reason(mine: Identity) -> None:
    with site(lambda path: answer(b"no", status="403 Forbidden"), mine) as served:
        facts = look(endpoint(served, mine, whereabouts={"fresh": {"path": "/{nonce}", "echoed": False}}))
    assert isinstance(facts.fresh, Unseen)
    assert (facts.fresh.reason, facts.fresh.detail) == (Reason.NO_POSITIVE, "the fresh request was answered with 403")
    assert isinstance(facts.request, Times)


def test_redirects_are_not_followed(mine: Identity) -> None:
    with site(lambda path: answer(b"", "Location: /elsewhere", status="302 Found"), mine) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.request, Times)
    assert set(served.paths) == {"/path?x=1"}


def test_a_server_that_closes_after_each_answer_is_connected_to_again(mine: Identity) -> None:
    with site(lambda path: answer(b"ok", "Connection: close"), mine) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.request, Times)
    assert len(facts.request.all_us) == 5


def test_an_answer_without_a_length_ends_with_its_connection(mine: Identity) -> None:
    with site(lambda path: b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody", mine) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.request, Times)
    assert len(facts.request.all_us) == 5


def test_a_server_that_closes_instead_of_answering(mine: Identity) -> None:
    with site(lambda path: None, mine) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, SignedTimes)
    assert isinstance(facts.request, Unseen)
    assert facts.request.reason is Reason.UNREACHABLE
    assert "closed" in facts.request.detail


def test_a_server_that_wants_a_certificate_of_ours(mine: Identity) -> None:
    with site(ok, mine, demands=mine.ca) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.signed, SignedTimes)
    assert isinstance(facts.request, Unseen)
    assert "certificate_required" in facts.request.detail


def test_fresh_answers_with_a_hostile_head(mine: Identity) -> None:
    with site(lambda path: answer(b"", "CF-Ray: " + "x" * 5000), mine) as served:
        facts = look(endpoint(served, mine, whereabouts={"fresh": {"path": "/{nonce}", "echoed": False}}))
    assert isinstance(facts.fresh, Unseen)
    assert facts.fresh.reason is Reason.MALFORMED


def test_an_endpoint_that_names_an_address(mine: Identity, tmp_path: Path) -> None:
    theirs = identity(tmp_path, "127.0.0.1", label="address")
    with site(ok, theirs) as served:
        subject = endpoint(served, theirs, url=f"https://127.0.0.1:{served.port}", addresses=())
        assert PROBE.survey(subject, an_io()).parts == (f"127.0.0.1:{served.port}",)
        facts = look(subject)
    assert isinstance(facts.signed, SignedTimes)
    assert facts.signed.trusted


def test_a_part_that_no_survey_made(mine: Identity) -> None:
    with site(ok, mine) as served, pytest.raises(ProbeError, match="no part"):
        PROBE.work(endpoint(served, mine), "whole", an_io())


def test_answers_to_what_was_not_asked_have_no_times(mine: Identity) -> None:
    with site(lambda path: answer(b"one") + answer(b"two"), mine) as served:
        facts = look(endpoint(served, mine))
    assert isinstance(facts.request, Unseen)
    assert (facts.request.reason, facts.request.detail) == (Reason.MALFORMED, "it answers what was not asked")
    assert isinstance(facts.edge, Unseen)


HOSTILE = {
    "thousands": answer(b"", *(f"X-{n}: y" for n in range(5000))),
    "overlong": answer(b"", "CF-Ray: " + "x" * 100_000),
    "control": answer(b"", "CF-Ray: \x1b]0;owned\x07-FRA", "Server: \x00\x7f"),
    "twice": answer(b"", "CF-Ray: 8f1e2d3c4b5a6978-FRA", "CF-Ray: 8f1e2d3c4b5a6978-JFK"),
    "endless": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
    "none": b"\x00" * 100,
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_heads(mine: Identity, kind: str) -> None:
    with site(lambda path: HOSTILE[kind], mine) as served:
        facts = look(endpoint(served, mine), an_io(budget=10.0))
    assert isinstance(facts.signed, SignedTimes)
    if kind in ("control", "twice"):
        assert isinstance(facts.edge, EdgeSeen)
        assert facts.edge.pop is None
    else:
        assert isinstance(facts.edge, Unseen)
        assert isinstance(facts.request, Unseen)


@pytest.mark.parametrize("address", ["169.254.169.254", "[fe80::1]:443", "[::ffff:169.254.169.254]:443", "0.0.0.0"])
def test_metadata_and_link_local_addresses_are_never_connected_to(mine: Identity, address: str) -> None:
    subject = Endpoint.model_validate({"id": "api", "url": f"https://{HOST}", "addresses": [address]})
    facts = look(subject, an_io(budget=1.0))
    for one in (facts.connect, facts.signed, facts.request, facts.edge):
        assert isinstance(one, Unseen)
        assert (one.reason, "does not connect" in one.detail) == (Reason.NOT_COVERED, True)
    assert facts.special is not None
    assert never_connected(facts.address)


def test_connections_leave_from_the_vantages_source(mine: Identity) -> None:
    with site(ok, mine) as served:
        look(endpoint(served, mine), an_io(vantage=Vantage(id="there", source="127.0.0.33")))
        assert set(served.peers) == {"127.0.0.33"}
        facts = look(endpoint(served, mine), an_io(vantage=Vantage(id="there", source="192.0.2.99")))
    assert isinstance(facts.signed, Unseen)
    assert "local-failure" in facts.signed.detail


def test_a_proxy_of_ours_is_used_and_said(mine: Identity) -> None:
    def tunnel(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        host, _, port = request.split(b" ")[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=pump, args=(upstream, connection), daemon=True).start()
            pump(connection, upstream)

    def pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    with site(ok, mine) as served, raw_server(tunnel) as proxy:
        io = an_io(vantage=Vantage(id="inside", proxy=f"http://127.0.0.1:{proxy.port}", coordinates="50.1,8.6"))
        facts = look(endpoint(served, mine), io)
    assert facts.standpoint.proxied
    assert isinstance(facts.signed, SignedTimes)
    assert isinstance(facts.connect, Unseen)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as world:
        yield world


@pytest.mark.parametrize(("name", "scheme"), [("mail-smtp", "smtp"), ("db", "postgresql")])
def test_starttls_has_signed_times_and_no_http(lab: Lab, name: str, scheme: str) -> None:
    there = lab.endpoint(name)
    subject = Endpoint.model_validate(
        {
            "id": name,
            "url": f"{scheme}://{there.host}:{there.port}",
            "addresses": there.addresses[:1],
            "ca": str(there.ca),
        }
    )
    facts = look(subject)
    assert isinstance(facts.signed, SignedTimes)
    assert facts.signed.trusted
    assert isinstance(facts.request, Unseen)
    assert facts.request.reason is Reason.NOT_COVERED


def references(**named: dict[str, object]) -> tuple[SubjectEntry, ...]:
    return tuple(
        SubjectEntry(id=f"references/{name}", vantages=(), body=CanonicalJson.of({"id": name, "what": what}))
        for name, what in named.items()
    )


def square(code: str, west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"ISO3166-1:alpha-2": code, "ISO_A2": code, "iso1A2": code},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def test_ranges_borders_and_the_origin(mine: Identity, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("prefix,provider,region\n127.0.0.0/8,vendor,DE\n192.0.2.0/24,vendor,US\n")
    borders = tmp_path / "borders.json"
    shapes = [square("DE", 8.0, 50.0, 9.0, 51.0), square("US", -100, 30, -90, 40)]
    borders.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    io = an_io(
        vantage=Vantage(id="here", coordinates="50.11,8.68"),
        subjects=references(
            own={"kind": "ranges", "file": str(own), "source": "own:lab", "allow_private": True},
            borders={"kind": "borders", "file": str(borders)},
        ),
    )
    whereabouts = {"cdn": "other", "origin": {"provider": "other", "region": "us", "address": "192.0.2.1"}}
    with site(ok, mine) as served:
        facts = look(endpoint(served, mine, whereabouts=whereabouts), io)
    assert isinstance(facts.ranges, Ranged)
    assert [(one.source, one.region) for one in facts.ranges.says] == [("own:lab", "DE")]
    (source,) = facts.ranges.sources
    assert (source.name, source.private_allowed, source.dated) == ("own:lab", True, "undated")
    assert isinstance(facts.origin_ranges, Ranged)
    assert [one.region for one in facts.origin_ranges.says] == ["US"]
    assert isinstance(facts.reach, Reach)
    assert facts.reach.countries == ("DE",)
    assert isinstance(facts.signed, SignedTimes)
    assert facts.reach.radius_m >= facts.signed.times.least_us * 149


def test_the_plan_names_the_connections(mine: Identity) -> None:
    subject = Endpoint.model_validate(
        {
            "id": "api",
            "url": f"https://{HOST}",
            "addresses": ["192.0.2.1"],
            "whereabouts": {"fresh": {"path": "/{nonce}"}},
        }
    )
    [touch] = PROBE.touches(subject, an_io())
    assert (touch.connections, touch.changes, touch.technique.value) == (20, False, "passive")
    assert "5 TLS handshakes and 11 GETs" in touch.what
    assert PROBE.lane(subject, "192.0.2.1:443") == "192.0.2.1:443"
