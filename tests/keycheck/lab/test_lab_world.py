"""The clean vendor is clean, and comes and goes without a trace."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from OpenSSL import SSL

from keycheck.lab.config import ClientAuth
from keycheck.lab.errors import LabError
from keycheck.lab.netem import DelayRelay
from keycheck.lab.vendor import HSTS
from keycheck.lab.world import Lab

ENDPOINTS = ["api", "portal", "partner", "partner-http", "mail-smtp", "mail-imap", "db"]


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and only waits to be reaped does not."""
    if Path("/proc/self/stat").exists():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        ps = ["ps", "-o", "stat=", "-p", str(pid)]
        state = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()
    return state[:1] not in ("", "Z")


def gone_within(pids, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def refused(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("id_", ENDPOINTS)
def test_a_clean_endpoint_serves_what_the_contract_asks(clean, wire, id_):
    endpoint = clean.endpoint(id_)
    client = (endpoint.client_cert, endpoint.client_key) if endpoint.client_cert else None
    for address in endpoint.addresses:
        seen = wire.shake(endpoint, address=address, client=client)
        assert (seen.version, seen.suite) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        assert seen.group == "X25519MLKEM768"
        assert seen.verified
        leaf, issuer = seen.chain
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [endpoint.host]
        leaf.verify_directly_issued_by(issuer)
        assert ocsp.load_der_ocsp_response(seen.staple).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("id_", ENDPOINTS)
def test_a_clean_endpoint_refuses_the_complement(clean, wire, id_):
    endpoint = clean.endpoint(id_)
    for address in endpoint.addresses:
        for name in (endpoint.host, "", "someone.else.example"):
            old = wire.ask(address, wire.old_hello(name=name), endpoint.starttls)
            assert (old[0], old[-1]) == (21, 70)
            bad_suite = wire.ask(address, wire.hello(suites=(0x1301, 0x1304, 0xC0B4)), endpoint.starttls)
            assert (bad_suite[0], bad_suite[-1]) == (21, 40)
            bad_group = wire.ask(address, wire.hello(groups=(25, 30, 256, 257)), endpoint.starttls)
            assert (bad_group[0], bad_group[-1]) == (21, 40)
            twin = wire.ask(address, wire.hello(name=name), endpoint.starttls)
            assert twin[0] == 22
            assert b"\x00\x33\x00\x02\x11\xec" in twin  # HelloRetryRequest: the hybrid group first


def test_a_clean_certificate_promises_a_staple_and_is_logged(clean, wire):
    (leaf, _issuer) = wire.shake(clean.endpoint("api")).chain
    assert leaf.extensions.get_extension_for_class(x509.TLSFeature)
    stamps = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    assert len(list(stamps)) == 2
    assert len({stamp.log_id for stamp in stamps}) == 2
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)


def test_the_crm_answers(clean, wire):
    endpoint = clean.endpoint("api")
    answer = wire.shake(endpoint, request=b"GET /contacts/1 HTTP/1.1\r\nHost: x\r\n\r\n").answer
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Ada Example" in answer
    assert f"Strict-Transport-Security: {HSTS}".encode() in answer
    assert wire.shake(endpoint, request=b"GET /no HTTP/1.1\r\n\r\n").answer.startswith(b"HTTP/1.1 404 ")
    head = wire.shake(endpoint, request=b"HEAD / HTTP/1.1\r\n\r\n").answer
    assert head.endswith(b"\r\n\r\n")


def test_plain_http_is_sent_to_https(clean, wire):
    endpoint = clean.endpoint("api")
    for address in endpoint.plain:
        with wire.dial(address) as sock:
            sock.sendall(b"GET /contacts/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 301 ")
        assert f"Location: {endpoint.url}/contacts/1\r\n".encode() in answer


def test_partners_need_a_certificate_in_the_handshake(clean, wire):
    endpoint = clean.endpoint("partner")
    assert endpoint.client_auth is ClientAuth.TLS
    with pytest.raises(SSL.Error):
        wire.shake(endpoint, request=wire.GET)
    good = wire.shake(endpoint, request=wire.GET, client=(endpoint.client_cert, endpoint.client_key))
    assert good.answer.startswith(b"HTTP/1.1 200 ")


def test_partners_need_a_certificate_by_http(clean, wire):
    endpoint = clean.endpoint("partner-http")
    assert endpoint.client_auth is ClientAuth.HTTP
    assert wire.shake(endpoint, request=wire.GET).answer.startswith(b"HTTP/1.1 400 ")
    good = wire.shake(endpoint, request=wire.GET, client=(endpoint.client_cert, endpoint.client_key))
    assert good.answer.startswith(b"HTTP/1.1 200 ")


def test_mail_refuses_mail_in_the_clear(clean, wire):
    with wire.dial(clean.endpoint("mail-smtp").addresses[0]) as sock:
        sock.recv(999)
        sock.sendall(b"MAIL FROM:<a@b>\r\n")
        assert sock.recv(999).startswith(b"530 ")


def test_the_database_answers_inside_tls_only(clean, wire):
    endpoint = clean.endpoint("db")
    with wire.dial(endpoint.addresses[0]) as sock:
        sock.sendall(bytes.fromhex("0000000900030000") + b"\x00")
        assert sock.recv(999).startswith(b"E")
    assert wire.shake(endpoint, request=bytes.fromhex("0000000900030000") + b"\x00").answer.startswith(b"E")


def test_endpoints_of_a_name_share_a_port_where_addresses_differ(clean):
    if not clean.endpoint("api").addresses[1].startswith("127.0.0.1:"):
        hosts, ports = zip(*(each.split(":") for each in clean.endpoint("api").addresses), strict=True)
        assert len(set(hosts)) == 2
        assert set(ports) == {str(clean.endpoint("api").port)}


def test_ports_stand_in_for_addresses(tmp_path, wire):
    with Lab(tmp_path, spread=False) as lab:
        everything = [address for each in lab.endpoints for address in (*each.addresses, *each.plain)]
        assert all(address.startswith("127.0.0.1:") for address in everything)
        assert len(set(everything)) == len(everything)
        for address in lab.endpoint("api").addresses:
            assert wire.shake(lab.endpoint("api"), address=address).verified


def test_closing_ends_every_process_and_frees_every_port(tmp_path):
    lab = Lab(tmp_path, ["finite-field-group", "hybrid-only", "missing-post-quantum@portal"])
    pids = lab.pids
    assert len(pids) == 4
    addresses = [address for each in lab.endpoints for address in each.addresses]
    assert not any(map(refused, addresses))
    lab.close()
    lab.close()
    assert not any(map(alive, pids))
    assert all(map(refused, addresses))


def test_the_death_of_the_parent_ends_the_children(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from keycheck.lab.world import Lab\n"
        "lab = Lab(Path(sys.argv[1])); print(*lab.pids, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert pids
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert gone_within(pids, 5)


def test_a_child_ends_when_only_its_parent_changes(tmp_path):
    # Another process may hold the writing end of the child's input, as a forked worker of the parent would.
    script = (
        "import os, sys, time; from pathlib import Path; from keycheck.lab.world import Lab\n"
        "lab = Lab(Path(sys.argv[1])); holder = os.fork()\n"
        "if not holder:\n    os.closerange(0, 3); time.sleep(10); os._exit(0)\n"
        "print(holder, *lab.pids, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        holder, *pids = [int(word) for word in parent.stdout.readline().split()]
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            assert gone_within(pids, 5)
        finally:
            os.kill(holder, signal.SIGKILL)


def test_an_unknown_defect_names_the_nearest(tmp_path):
    with pytest.raises(LabError) as unknown:
        Lab(tmp_path, ["tls-12-accepted"])
    assert unknown.value.advice == "did you mean 'tls-1.2-accepted'?"
    with pytest.raises(LabError, match="no endpoint 'nowhere'"):
        Lab(tmp_path, ["expired@nowhere"])
    with pytest.raises(LabError, match="cannot be put on 'api'"):
        Lab(tmp_path, ["one-bad-backend@api"])
    assert not list(tmp_path.iterdir())


def test_a_server_that_cannot_start_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LabError, match="did not start"):
        Lab(tmp_path)


def test_an_ambient_openssl_conf_does_not_reach_the_servers(tmp_path, monkeypatch, wire):
    ambient = tmp_path / "ambient.cnf"
    ambient.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = P-521\n")
    monkeypatch.setenv("OPENSSL_CONF", str(ambient))
    with Lab(tmp_path / "home") as lab:
        answer = wire.ask(lab.endpoint("api").addresses[0], wire.hello())
    assert b"\x00\x33\x00\x02\x11\xec" in answer


def test_the_clock_decides_validity(tmp_path, wire):
    then = dt.datetime(2031, 5, 1, tzinfo=dt.UTC)
    with Lab(tmp_path, clock=lambda: then) as lab:
        leaf = wire.shake(lab.endpoint("api")).chain[0]
    assert leaf.not_valid_before_utc <= then <= leaf.not_valid_after_utc
    assert leaf.not_valid_before_utc.year == 2031


def test_defects_combine(tmp_path, wire):
    chosen = ["one-bad-backend", "expired", "no-hsts", "no-client-cert-demanded", "weak-suite@api"]
    with Lab(tmp_path, chosen) as lab:
        assert ("tls.client-auth", "fail") in lab.promises
        api = wire.shake(lab.endpoint("api"), request=wire.GET)
        assert b"Strict-Transport" not in api.answer
        assert wire.ask(lab.endpoint("api").addresses[0], wire.hello(suites=(0x1301,)))[0] == 22
        assert wire.shake(lab.endpoint("partner"), request=wire.GET).answer.startswith(b"HTTP/1.1 200")
        assert not wire.shake(lab.endpoint("mail-imap")).verified
        assert wire.shake(lab.endpoint("db")).verified


def test_keys_are_for_their_owner_only(clean):
    keys = list(clean.home.glob("*.key"))
    assert keys
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)


def test_a_relay_adds_the_round_trip(clean, wire):
    endpoint = clean.endpoint("portal")
    with DelayRelay(endpoint.addresses[0], one_way_ms=20) as relay:
        pid = relay.pid
        began = time.perf_counter()
        assert wire.ask(relay.address, wire.old_hello())[-1] == 70
        refusal = time.perf_counter() - began
        began = time.perf_counter()
        assert wire.shake(endpoint, address=relay.address, request=wire.GET).answer
        request = time.perf_counter() - began
    assert 0.078 < refusal < 0.5  # the TCP handshake and one answer: two round trips of 40 ms
    assert 0.118 < request < 1.0
    assert not alive(pid)


def test_a_relay_hands_on_a_refusal(wire, tmp_path):
    with (
        Lab(tmp_path, ["down"]) as lab,
        DelayRelay(lab.endpoint("api").addresses[0], one_way_ms=1) as relay,
        pytest.raises(ConnectionResetError),
    ):
        wire.ask(relay.address, wire.hello())
    assert wire.complaints(tmp_path) == []
    with pytest.raises(LabError):
        DelayRelay("nowhere", 1)


def test_a_slow_world_and_a_fleet(tmp_path, wire):
    with Lab(tmp_path, fleet=12, round_trip_ms=20) as lab:
        assert len(lab.endpoints) == len(ENDPOINTS) + 12
        for number in (1, 12):
            endpoint = lab.endpoint(f"fleet-{number:04d}")
            began = time.perf_counter()
            assert wire.shake(endpoint).verified
            assert time.perf_counter() - began > 0.039
