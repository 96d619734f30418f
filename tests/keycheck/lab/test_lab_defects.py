"""Every defect is really there, and nothing else is."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from OpenSSL._util import lib

from keycheck.lab.tls_defects import TLS_DEFECTS
from keycheck.lab.world import Lab, LabEndpoint

SERVER_HELLO, ALERT = 22, 21
MOVABLE = [defect.id for defect in TLS_DEFECTS if defect.movable]
SSL_2_HELLO = bytes.fromhex("802e0100020015000000100700c0030080010080060040040080020080050080") + b"c" * 16


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, wire) -> Iterator[Mapping[str, LabEndpoint]]:
    """One lab in which every movable defect has an endpoint of its own."""
    placed = {id_: f"fleet-{number:04d}" for number, id_ in enumerate(MOVABLE, 1)}
    partner = {"no-client-cert-demanded": "partner"}
    chosen = [f"{id_}@{partner.get(id_, place)}" for id_, place in placed.items()]
    with Lab(tmp_path_factory.mktemp("crowd"), chosen, fleet=len(placed)) as lab:
        yield {id_: lab.endpoint(partner.get(id_, place)) for id_, place in placed.items()}
    assert wire.complaints(lab.home) == []


def picked(answer: bytes) -> tuple[int, int, int]:
    """Version, suite and compression of a ServerHello."""
    assert (answer[0], answer[5]) == (SERVER_HELLO, 2), answer[:16].hex()
    after = 44 + answer[43]
    return (
        int.from_bytes(answer[9:11], "big"),
        int.from_bytes(answer[after : after + 2], "big"),
        answer[after + 2],
    )


def test_ids_are_distinct_and_promises_are_well_formed():
    assert len({defect.id for defect in TLS_DEFECTS}) == len(TLS_DEFECTS)
    verdicts = {verdict for defect in TLS_DEFECTS for _control, verdict in defect.promises}
    assert verdicts <= {"fail", "inconclusive", "not-tested", "error", "not-applicable"}
    assert all(control.startswith("tls.") for defect in TLS_DEFECTS for control, _ in defect.promises)
    assert {defect.id for defect in TLS_DEFECTS if not defect.clause} >= {"hybrid-only", "name-rejecting"}


NOT_TLS_1_3 = {"refuses-everything", "stalls", "garbage", "endless-records", "down"}


@pytest.mark.parametrize("id_", [id_ for id_ in MOVABLE if id_ not in NOT_TLS_1_3])
def test_whoever_serves_serves_tls_1_3_to_modern_clients(crowd, wire, id_):
    seen = wire.shake(crowd[id_])
    assert seen.version == "TLSv1.3"
    assert str(seen.group).upper() == ("X25519" if id_ == "missing-post-quantum" else "X25519MLKEM768")


OLD = {"tls-1.0-accepted": 0x0301, "tls-1.1-accepted": 0x0302, "tls-1.2-accepted": 0x0303}


@pytest.mark.parametrize("id_", OLD)
def test_old_protocols(crowd, wire, id_):
    address = crowd[id_].addresses[0]
    for version in (0x0301, 0x0302, 0x0303):
        answer = wire.ask(address, wire.old_hello(version))
        if version < OLD[id_]:
            assert (answer[0], answer[-1]) == (ALERT, 70)
        else:
            assert picked(answer)[0] == OLD[id_]


def test_ssl_3(crowd, wire):
    answer = wire.ask(crowd["ssl-3-accepted"].addresses[0], wire.old_hello(0x0300))
    assert picked(answer) == (0x0300, 0x0035, 0)
    assert answer[-4:] == b"\x0e\x00\x00\x00"


def test_ssl_2(crowd, wire):
    answer = wire.ask(crowd["ssl-2-accepted"].addresses[0], SSL_2_HELLO)
    assert answer[2:7] == b"\x04\x00\x01\x00\x02"
    size = int.from_bytes(answer[7:9], "big")
    leaf = x509.load_der_x509_certificate(answer[13 : 13 + size])
    assert isinstance(leaf.public_key(), rsa.RSAPublicKey)
    # Whoever does not have the defect answers an SSL 2.0 hello with an alert, or with nothing at all.
    assert wire.ask(crowd["no-hsts"].addresses[0], SSL_2_HELLO)[:1] in (b"", bytes([ALERT]))


@pytest.mark.parametrize(
    ("id_", "suites", "expected"),
    [("weak-suite", (0x1301,), 0x1301), ("null-suite", (0xC0B4, 0xC0B5), 0xC0B4)],
)
def test_suites(crowd, wire, id_, suites, expected):
    address = crowd[id_].addresses[0]
    assert picked(wire.ask(address, wire.hello(suites=suites)))[1] == expected
    assert picked(wire.ask(address, wire.hello(suites=(*suites, 0x1302))))[1] == 0x1302
    assert wire.ask(address, wire.hello(suites=(0x1304,)))[-1] == 40


@pytest.mark.parametrize(
    ("id_", "accepted", "refused"),
    [
        ("missing-post-quantum", (29, 23, 24), (0x11EC, 256)),
        ("hybrid-only", (0x11EC,), (29, 23, 24, 256)),
        ("finite-field-group", (0x11EC, 29, 23, 24, 256, 257), (25, 258)),
    ],
)
def test_groups(crowd, wire, id_, accepted, refused):
    address = crowd[id_].addresses[0]
    for group in accepted:
        answer = wire.ask(address, wire.hello(groups=(group,)))
        assert b"\x00\x33\x00\x02" + group.to_bytes(2, "big") in answer
    for group in refused:
        assert wire.ask(address, wire.hello(groups=(group,)))[-1] == 40


def _weak(leaf: x509.Certificate) -> bool:
    key = leaf.public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.key_size == 1024


def _names(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


LEAVES: dict[str, Callable[[x509.Certificate], bool]] = {
    "expired": lambda leaf: leaf.not_valid_after_utc < _now(),
    "not-yet-valid": lambda leaf: leaf.not_valid_before_utc > _now(),
    "wrong-name": lambda leaf: _names(leaf) == ["elsewhere.crm.example"],
    "self-signed": lambda leaf: leaf.issuer == leaf.subject,
    "unknown-ca": lambda leaf: "Unheard-of" in leaf.issuer.rfc4514_string(),
    "intercepted": lambda leaf: "Corporate Inspection CA" in leaf.issuer.rfc4514_string(),
    "short-rsa-key": _weak,
    "sha1-signature": lambda leaf: isinstance(leaf.signature_hash_algorithm, hashes.SHA1),
}


@pytest.mark.parametrize("id_", LEAVES)
def test_certificates(crowd, wire, id_):
    seen = wire.shake(crowd[id_])
    assert LEAVES[id_](seen.chain[0])
    assert seen.verified is (id_ in ("wrong-name", "short-rsa-key", "sha1-signature"))
    assert [other for other in LEAVES if LEAVES[other](seen.chain[0])] == [id_]


def test_missing_intermediate(crowd, wire):
    seen = wire.shake(crowd["missing-intermediate"])
    assert len(seen.chain) == 1
    assert not seen.verified


def test_must_staple_missing(crowd, wire):
    seen = wire.shake(crowd["must-staple-missing"])
    assert seen.chain[0].extensions.get_extension_for_class(x509.TLSFeature)
    assert not seen.staple


def test_interception_leaves_the_roots_of_the_customer(tmp_path, wire):
    with Lab(tmp_path, ["intercepted"]) as lab:
        root = x509.load_pem_x509_certificate(lab.interception_ca.read_bytes())
        wire.shake(lab.endpoint("api")).chain[0].verify_directly_issued_by(root)
        assert wire.shake(lab.endpoint("portal")).verified
    with Lab(tmp_path / "clean") as lab:
        assert lab.interception_ca is None


def test_no_hsts(crowd, wire):
    answer = wire.shake(crowd["no-hsts"], request=wire.GET).answer
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Strict-Transport" not in answer


def test_nobody_asks_partners(crowd, wire):
    assert crowd["no-client-cert-demanded"].client_auth == "tls"
    seen = wire.shake(crowd["no-client-cert-demanded"], request=wire.GET)
    assert seen.answer.startswith(b"HTTP/1.1 200 ")


def test_early_data_is_announced(crowd, wire):
    for id_, limit in (("early-data-accepted", 16_384), ("no-hsts", 0)):
        session = wire.shake(crowd[id_], request=wire.GET).session
        assert lib.SSL_SESSION_get_max_early_data(session._session) == limit


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")
def test_early_data_is_accepted(crowd, wire, tmp_path):
    endpoint = crowd["early-data-accepted"]
    (tmp_path / "request").write_bytes(wire.GET)
    common = [
        "openssl",
        "s_client",
        "-connect",
        endpoint.addresses[0],
        "-CAfile",
        str(endpoint.ca),
        "-ign_eof",
    ]
    first = [*common, "-sess_out", str(tmp_path / "session")]
    subprocess.run(first, input=wire.GET, capture_output=True, timeout=10, check=False)
    again = [*common, "-sess_in", str(tmp_path / "session"), "-early_data", str(tmp_path / "request")]
    said = subprocess.run(again, input=b"", capture_output=True, timeout=10, check=False).stdout
    assert b"Early data was accepted" in said
    assert b"HTTP/1.1 200 OK" in said


@pytest.mark.parametrize(("id_", "allowed"), [("renegotiation-accepted", True), ("tls-1.2-accepted", False)])
def test_renegotiation(crowd, wire, id_, allowed):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    tls = SSL.Connection(context, None)
    tls.set_connect_state()
    with wire.dial(crowd[id_].addresses[0]) as sock:
        wire.pump(tls, sock, tls.do_handshake)
        first = tls.get_finished()
        tls.renegotiate()
        if allowed:
            wire.pump(tls, sock, tls.do_handshake)
            assert not tls.renegotiate_pending()
            assert tls.get_finished() != first
            tls.sendall(wire.GET)
            assert wire.pump(tls, sock, lambda: tls.recv(65_536)).startswith(b"HTTP/1.1 200 ")
        else:
            with pytest.raises(SSL.Error):
                wire.pump(tls, sock, tls.do_handshake)


def test_compression(crowd, wire):
    address = crowd["compression-accepted"].addresses[0]
    assert picked(wire.ask(address, wire.old_hello(compressions=b"\x01\x00"))) == (0x0303, 0x009D, 1)
    assert picked(wire.ask(address, wire.old_hello()))[2] == 0
    honest = crowd["tls-1.2-accepted"].addresses[0]
    assert picked(wire.ask(honest, wire.old_hello(compressions=b"\x01\x00")))[2] == 0


def test_refuses_everything(crowd, wire):
    address = crowd["refuses-everything"].addresses[0]
    for data in (wire.hello(), wire.old_hello(), SSL_2_HELLO):
        answer = wire.ask(address, data)
        assert (answer[0], answer[-1]) == (ALERT, 40)


def test_resets_above_20(crowd, wire):
    address = crowd["resets-above-20"].addresses[0]
    time.sleep(1.1)  # forget what other tests asked
    fates = []
    for _ in range(30):
        try:
            fates.append(wire.ask(address, wire.old_hello())[-1])
        except ConnectionError:
            fates.append("reset")
    assert fates[:20] == [70] * 20
    assert fates[20:] == ["reset"] * 10
    time.sleep(1.1)
    assert wire.ask(address, wire.old_hello())[-1] == 70


def test_drops_old_hellos(crowd, wire):
    address = crowd["drops-old-hellos"].addresses[0]
    with pytest.raises(TimeoutError):
        wire.ask(address, wire.old_hello(), timeout=0.3)
    assert wire.ask(address, wire.hello())[0] == SERVER_HELLO


def test_stalls(crowd, wire):
    with wire.dial(crowd["stalls"].addresses[0], timeout=0.3) as sock:
        sock.sendall(wire.hello())
        got = sock.recv(999)
        assert 5 <= len(got) < 5 + int.from_bytes(got[3:5], "big")
        with pytest.raises(TimeoutError):
            sock.recv(999)


def test_garbage(crowd, wire):
    answer = wire.ask(crowd["garbage"].addresses[0], wire.hello())
    assert answer[0] not in range(20, 25)
    with pytest.raises(SSL.Error):
        wire.shake(crowd["garbage"])


def test_endless_records(crowd, wire):
    with wire.dial(crowd["endless-records"].addresses[0]) as sock:
        sock.sendall(wire.hello())
        got = 0
        while got < 2**20:
            more = len(sock.recv(65_536))
            assert more
            got += more
        # Somebody else is served meanwhile.
        assert wire.ask(crowd["no-hsts"].addresses[0], wire.old_hello())[-1] == 70


def test_down(crowd):
    host, _, port = crowd["down"].addresses[0].partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


def test_stray_default_vhost(crowd, wire):
    endpoint = crowd["stray-default-vhost"]
    (address,) = endpoint.addresses
    assert wire.ask(address, wire.old_hello(name=endpoint.host))[-1] == 70
    for name in ("", "someone.else.example"):
        for version in (0x0301, 0x0302, 0x0303):
            assert picked(wire.ask(address, wire.old_hello(version, name=name)))[0] == version
    assert wire.ask(address, wire.hello())[-1] == 70


def test_name_rejecting(crowd, wire):
    endpoint = crowd["name-rejecting"]
    (address,) = endpoint.addresses
    for name in ("", "someone.else.example"):
        for data in (wire.hello(name=name), wire.old_hello(name=name)):
            assert wire.ask(address, data)[-1] == 112
    assert wire.ask(address, wire.old_hello(name=endpoint.host))[-1] == 70
    assert wire.shake(endpoint).verified


def test_one_bad_address(tmp_path, wire):
    with Lab(tmp_path, ["one-bad-address"]) as lab:
        good, bad = lab.endpoint("api").addresses
        assert wire.ask(good, wire.old_hello())[-1] == 70
        assert picked(wire.ask(bad, wire.old_hello()))[0] == 0x0303


def test_one_bad_back_end_in_four(tmp_path, wire):
    with Lab(tmp_path, ["one-bad-backend"]) as lab:
        (address,) = lab.endpoint("portal").addresses
        kinds = [wire.ask(address, wire.old_hello())[0] for _ in range(8)]
    assert kinds == [ALERT, ALERT, ALERT, SERVER_HELLO] * 2


def test_no_redirect(tmp_path, wire):
    with Lab(tmp_path, ["no-redirect"]) as lab:
        for address in lab.endpoint("api").plain:
            with wire.dial(address) as sock:
                sock.sendall(b"GET /contacts/1 HTTP/1.1\r\n\r\n")
                answer = sock.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"Ada Example" in answer


def test_rude_clients_break_nothing(crowd, wire):
    """The fixture looks into the servers' logs at the end."""
    data = wire.hello(), wire.old_hello(), SSL_2_HELLO, b"\x16\x03\x01\xff\xff\x01", b"GET / HTTP/1.1\r\n\r\n", b""
    linger = struct.pack("ii", 1, 0)
    for id_, endpoint in crowd.items():
        for number, rude in enumerate(data):
            if id_ == "down":
                continue
            with wire.dial(endpoint.addresses[0]) as sock:
                sock.sendall(rude)
                if number % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert wire.shake(crowd["no-hsts"]).verified
