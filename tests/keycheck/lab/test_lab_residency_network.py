"""Places of the lab: distance is delay, name servers answer honestly or as hostile ones do, edges tell the truth."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab.config import DnsManner
from keycheck.lab.paperwork import write_papers
from keycheck.lab.pki import Pki
from keycheck.lab.residency_network import Network
from keycheck.lab.residency_papers import with_residency
from keycheck.lab.residency_places import ASHBURN, EVERYWHERE, FRANKFURT, Somewhere, kilometres, one_way_us
from keycheck.lab.residency_ranges import ranges_file
from keycheck.lab.residency_sites import RangesManner, Stand, clean_places
from keycheck.lab.residency_world import Residency
from keycheck.lab.world import Lab

VACUUM_KM_PER_S = 299_792.458
FROM_FRANKFURT, FROM_ASHBURN, FROM_REUNION = "127.101.0.1", "127.102.0.1", "127.103.0.1"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """All clean endpoints, and beside them one of each hostile name."""
    home = tmp_path_factory.mktemp("places")
    clean = clean_places()
    hostile = [
        replace(clean[0], id=manner.value, number=100 + number, alias="", dns=manner, stands=(Stand(FRANKFURT),))
        for number, manner in enumerate(DnsManner)
        if manner is not DnsManner.HONEST
    ]
    everywhere = replace(
        clean[2], id="everywhere", host="", number=90, stands=(Stand(FRANKFURT, (FRANKFURT, ASHBURN)),)
    )
    liar = replace(clean[2], id="liar", host="", number=91, recursive_lie=Stand(ASHBURN))
    sites = (*clean, *hostile, everywhere, liar)
    pki = Pki(home, datetime.now(UTC))
    up = Network(home, sites, sites, pki)
    entries = {str(entry["id"]): entry for entry in up.added.sections["endpoints"]}
    servers = {
        each["role"]: each["address"].partition("#")[::2] for each in entries["eu-api"]["whereabouts"]["nameservers"]
    }
    yield SimpleNamespace(home=home, entries=entries, servers=servers, ca=pki.ca)
    up.close()
    assert [log.read_text() for log in home.glob("*.log") if log.read_text()] == []


def ask(network, name, kind="A", *, role="authoritative", subnet=None, tcp=False, timeout=1.0):
    host, port = network.servers[role]
    options = [] if subnet is None else [dns.edns.ECSOption(subnet, 24)]
    query = dns.message.make_query(name, kind, use_edns=0, options=options)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, host, timeout=timeout, port=int(port))


def addresses(answer) -> set[str]:
    return {item.to_text() for rrset in answer.answer for item in rrset if rrset.rdtype in (1, 28)}


def dial(network, id_, address, source) -> ssl.SSLSocket:
    port = int(network.entries[id_]["url"].rpartition(":")[2])
    host = network.entries[id_]["url"].partition("//")[2].partition(":")[0]
    plain = socket.create_connection((address, port), timeout=5, source_address=(source, 0))
    return ssl.create_default_context(cafile=network.ca).wrap_socket(
        plain, server_hostname=host, do_handshake_on_connect=False
    )


def handshake_us(network, id_, address, source) -> int:
    with dial(network, id_, address, source) as tls:
        start = time.perf_counter_ns()
        tls.do_handshake()
        return (time.perf_counter_ns() - start) // 1000


def get(tls: ssl.SSLSocket, path: str) -> tuple[dict[str, str], bytes, int]:
    start = time.perf_counter_ns()
    tls.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    held = b""
    while b"\r\n\r\n" not in held:
        held += tls.recv(65_536)
    head, _, body = held.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    while len(body) < int(fields["content-length"]):
        body += tls.recv(65_536)
    return fields, body, (time.perf_counter_ns() - start) // 1000


def test_no_two_places_share_addresses_and_light_is_faster_everywhere() -> None:
    assert len({place.octet for place in EVERYWHERE}) == len(EVERYWHERE)
    for a, b in itertools.combinations(EVERYWHERE, 2):
        assert one_way_us(a, b) == one_way_us(b, a)
        assert one_way_us(a, b) / 1e6 * VACUUM_KM_PER_S >= kilometres(a, b) * 1.5


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_distance_is_a_metric(lat, lon, lat2, lon2) -> None:
    a, b = Somewhere(1, "a", lat, lon), Somewhere(2, "b", lat2, lon2)
    assert kilometres(a, a) == 0
    assert kilometres(a, b) == pytest.approx(kilometres(b, a), abs=1e-6)
    assert kilometres(a, b) <= kilometres(a, FRANKFURT) + kilometres(FRANKFURT, b) + 1e-3


def test_known_distance() -> None:
    assert kilometres(FRANKFURT, ASHBURN) == pytest.approx(6543, abs=15)


def test_a_handshake_takes_as_long_as_the_way_there_and_back(network) -> None:
    address = FRANKFURT.address(1)
    least = 2 * one_way_us(FRANKFURT, ASHBURN)
    far = min(handshake_us(network, "eu-api", address, FROM_ASHBURN) for _ in range(3))
    near = min(handshake_us(network, "eu-api", address, FROM_FRANKFURT) for _ in range(3))
    assert least <= far < least + 60_000
    assert near < 60_000


def test_one_address_in_two_places_is_near_to_both(network) -> None:
    address = FRANKFURT.address(90)
    for source in (FROM_FRANKFURT, FROM_ASHBURN):
        assert min(handshake_us(network, "everywhere", address, source) for _ in range(3)) < 60_000


def test_names_lead_to_the_addresses_through_the_clouds_own_name(network) -> None:
    for role in ("authoritative", "recursive"):
        for tcp in (False, True):
            answer = ask(network, "eu-api.crm.example", role=role, tcp=tcp)
            assert addresses(answer) == {FRANKFURT.address(1, host) for host in range(1, 5)}
            assert answer.answer[0][0].to_text() == "eu-api-1a2b3c.eu-central-1.elb.amazonaws.com."
            assert bool(answer.flags & dns.flags.AA) is (role == "authoritative")
    nothing = ask(network, "eu-api.crm.example", "AAAA")
    assert nothing.rcode() == dns.rcode.NOERROR
    assert addresses(nothing) == set()
    assert ask(network, "nobody.crm.example").rcode() == dns.rcode.NXDOMAIN


def test_clients_are_steered_by_the_subnet_that_is_stated(network) -> None:
    home = addresses(ask(network, "eu-portal.crm.example"))
    for subnet, expected in (("192.0.2.0", home), ("203.0.113.0", {ASHBURN.address(2, 101)})):
        answer = ask(network, "eu-portal.crm.example", subnet=subnet)
        assert addresses(answer) == expected
        (told,) = answer.options
        assert (told.address, told.srclen, told.scopelen) == (subnet, 24, 24)
    assert ask(network, "eu-portal.crm.example", subnet="8.8.8.0").options[0].scopelen == 0


def test_hostile_name_servers(network) -> None:
    for id_ in ("silent", "wrong-id"):
        with pytest.raises(dns.exception.DNSException):
            ask(network, f"{id_}.crm.example", timeout=0.3)
    cut = ask(network, "truncated.crm.example")
    assert cut.flags & dns.flags.TC
    assert addresses(cut) == set()
    with pytest.raises((EOFError, OSError, dns.exception.DNSException)):
        ask(network, "truncated.crm.example", tcp=True)
    loop = ask(network, "loop.crm.example")
    assert [rrset[0].to_text() for rrset in loop.answer] == ["again.loop.crm.example.", "loop.crm.example."]
    endless = ask(network, "endless.crm.example")
    last = endless.answer[-1][0].to_text()
    assert last == "n16.endless.crm.example."
    assert ask(network, last).answer[0][0].to_text() == "n17.endless.crm.example."
    assert addresses(ask(network, "liar.crm.example")) == {"127.12.91.1"}
    assert addresses(ask(network, "liar.crm.example", role="recursive")) == {ASHBURN.address(91, 201)}


def test_rubbish_is_no_question(network) -> None:
    host, port = network.servers["recursive"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        for rubbish in (b"", b"\x00" * 12, b"\xff" * 600):
            sock.sendto(rubbish, (host, int(port)))
            with pytest.raises(TimeoutError):
                sock.recv(999)
    assert addresses(ask(network, "eu-api.crm.example"))


@pytest.mark.parametrize("id_", ["edge-cloudfront", "edge-fastly", "edge-cloudflare"])
def test_an_edge_asks_its_origin_and_says_how_long_it_took(network, id_) -> None:
    (address,) = addresses(ask(network, f"{id_}.crm.example"))
    with dial(network, id_, address, FROM_FRANKFURT) as tls:
        tls.do_handshake()
        get(tls, "/healthz")
        fields, body, took = get(tls, "/fresh/abc123")
        assert json.loads(body) == {"echo": "abc123"}
        told = {
            "edge-cloudfront": lambda: fields["server-timing"].partition("fbl;dur=")[2].partition(",")[0],
            "edge-fastly": lambda: fields["x-timer"].partition(",ve")[2],
            "edge-cloudflare": lambda: fields["server-timing"].partition("cforigin;dur=")[2],
        }[id_]
        assert int(told()) <= took // 1000
        fields, body, _ = get(tls, "/static/logo.svg")
        assert body.startswith(b"<svg")
        assert "hit" in fields.get("x-cache", fields.get("cf-cache-status"))


def test_who_is_nearest_answers(network) -> None:
    (address,) = addresses(ask(network, "outermost.crm.example"))
    for source, pop in ((FROM_FRANKFURT, "hel"), (FROM_REUNION, "run")):
        with dial(network, "outermost", address, source) as tls:
            tls.do_handshake()
            fields, _, _ = get(tls, "/fresh/x")
        assert fields["cf-ray"].endswith(f"-{pop}")
        assert ("server-timing" in fields) is (pop == "hel")


def test_an_origin_abroad_shows_in_the_edges_own_clock(tmp_path: Path, network) -> None:
    site = next(each for each in clean_places() if each.id == "edge-fastly")
    really = replace(site, delivery=replace(site.delivery, origin=ASHBURN))
    up = Network(tmp_path, (site,), (really,), Pki(tmp_path, datetime.now(UTC)))
    try:
        (entry,) = up.added.sections["endpoints"]
        assert entry["whereabouts"]["origin"]["region"] == "eu-north-1"
        there = SimpleNamespace(entries={"edge-fastly": entry}, ca=tmp_path / "lab-root-ca.pem")
        with dial(there, "edge-fastly", site.standing[0][0], FROM_FRANKFURT) as tls:
            tls.do_handshake()
            fields, _, took = get(tls, "/fresh/n")
    finally:
        up.close()
    least_ms = 2 * one_way_us(ASHBURN, site.delivery.pop) // 1000
    assert least_ms <= int(fields["x-timer"].partition(",ve")[2]) <= took // 1000


def test_ranges_name_every_address() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    rows = {row["prefix"]: row for row in json.loads(ranges_file(clean_places(), now))["prefixes"]}
    assert rows["127.15.0.0/16"] == {
        "prefix": "127.15.0.0/16",
        "provider": "aws",
        "region": "eu-central-1",
        "service": "EC2",
        "border_group": "eu-central-1-ist-1",
    }
    assert rows["127.61.0.0/16"]["anycast"] == "yes"
    stale = json.loads(ranges_file([replace(clean_places()[0], ranges=RangesManner.STALE)], now))
    assert stale["published"] == "2026-05-07T00:00:00Z"
    route = json.loads(ranges_file([replace(clean_places()[0], ranges=RangesManner.DEFAULT_ROUTE)], now))
    assert "0.0.0.0/0" in {row["prefix"] for row in route["prefixes"]}


def test_served_alone_a_defect_brings_its_subject_and_no_other(tmp_path: Path) -> None:
    with Lab(tmp_path, ["one-address-abroad"]) as lab:
        assert lab.sections == {"residency"}
        assert lab.endpoints == ()
        papers = write_papers(lab, datetime.now(UTC))
        written = yaml.safe_load(papers.deployment.read_text())
        assert [entry["id"] for entry in written["endpoints"]] == ["eu-api"]
        assert {vantage["id"] for vantage in written["vantages"]} == {"frankfurt", "ashburn", "saint-denis"}


def test_places_beside_the_rest_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    here = {"id": "here", "egress": "127.0.0.1"}
    rest = {"deployment": "x", "vantages": [here], "endpoints": [{"id": "portal"}], "keys": [{"id": "k"}]}
    now = datetime.now(UTC)
    residency = Residency(
        tmp_path, {"endpoints/eu-paris", "prompts/support-prompts"}, (), lambda: now, Pki(tmp_path, now)
    )
    try:
        written = with_residency(rest, residency)
    finally:
        residency.close()
    assert [each["id"] for each in written["vantages"]] == ["here", "frankfurt", "ashburn", "saint-denis"]
    assert {each["id"]: each["vantages"] for each in written["endpoints"]} == {
        "portal": ["here"],
        "eu-paris": ["frankfurt"],
    }
    assert written["keys"] == [{"id": "k", "vantages": ["here"]}]
    assert [each["id"] for each in written["prompts"]] == ["support-prompts"]
    assert "operators" not in written
    assert rest["endpoints"] == [{"id": "portal"}]
