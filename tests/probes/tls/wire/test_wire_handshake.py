import dataclasses
import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, _util

from probes.tls.wire.answers import Broken, Garbage, Kind, NoAnswer, Refused, What
from probes.tls.wire.context import DEFAULT_CONFIGURATION
from probes.tls.wire.flight import ServerFlight, read_flight
from probes.tls.wire.handshake import (
    ClientContext,
    Completed,
    Configuration,
    End,
    Handshake,
    Renegotiate,
    Renegotiation,
    Stopped,
)  # fmt: skip
from probes.tls.wire.http_head import HeadReader, get_request
from probes.tls.wire.messages import Certificates13, MalformedError, read_certificates13
from probes.tls.wire.transport import DEFAULT_LIMITS, Address, Call, Conversation, Limits, converse

Clock = Callable[[], int]
TlsServer = Callable[..., Address]
TLS12 = Configuration(max_version=0x0303)
HTTP = Configuration(alpn=("http/1.1",))


def run(address: Address, conversation: Conversation[object], clock: Clock, limits: Limits = DEFAULT_LIMITS) -> object:
    [exchange] = converse([Call(address, conversation)], clock=clock, limits=limits)
    return exchange.answer


def completed(address: Address, clock: Clock, configuration: Configuration = DEFAULT_CONFIGURATION) -> Completed:
    answer = run(address, Handshake(ClientContext(configuration), sni="good.test"), clock)
    assert isinstance(answer, Completed)
    return answer


def only_tls12(context: SSL.Context) -> None:
    context.set_max_proto_version(SSL.TLS1_2_VERSION)


def test_tls13_facts_are_read_from_the_wire(tls_server: TlsServer, clock: Clock, identity) -> None:  # type: ignore[no-untyped-def]
    def configure(context: SSL.Context) -> None:
        context.set_alpn_select_callback(lambda connection, names: names[0])

    answer = completed(tls_server(configure), clock)
    flight = answer.flight
    assert (answer.version, answer.suite, answer.group) == (0x0304, 0x1302, 0x11EC)
    assert flight.chain == (identity.der,)
    assert flight.alpn == b"h2"
    assert flight.signature == 0x0403
    assert flight.complete
    assert not flight.client_certificate_requested
    assert [ticket.max_early_data for ticket in flight.tickets] == [None, None]
    assert (flight.trouble, answer.end, answer.http) == ("", End.CLOSED, None)


@pytest.mark.parametrize("suite", [b"AES_128_GCM", b"CHACHA20_POLY1305", b"AES_128_CCM", b"AES_128_CCM_8"])
def test_every_tls13_suite_is_decrypted(suite: bytes, tls_server: TlsServer, clock: Clock) -> None:
    suite = b"TLS_" + suite + b"_SHA256"
    context = ClientContext()
    context.openssl.set_tls13_ciphersuites(suite)
    address = tls_server(lambda server: server.set_tls13_ciphersuites(suite))
    answer = run(address, Handshake(context, sni="good.test"), clock)
    assert isinstance(answer, Completed)
    assert answer.flight.complete
    assert answer.flight.trouble == ""
    assert len(answer.flight.tickets) == 2


def test_tls12_facts(tls_server: TlsServer, clock: Clock, identity) -> None:  # type: ignore[no-untyped-def]
    answer = completed(tls_server(only_tls12), clock)
    assert (answer.version, answer.suite, answer.group) == (0x0303, 0xC02C, 29)
    assert answer.flight.chain == (identity.der,)
    assert answer.flight.signature == 0x0403
    assert answer.flight.secure_renegotiation
    assert answer.flight.extended_master_secret
    assert answer.flight.complete


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_an_old_server_is_still_seen(version: int, tls_server: TlsServer, clock: Clock) -> None:
    assert completed(tls_server(lambda context: context.set_max_proto_version(version)), clock).version == version


def test_early_data_is_read_from_the_ticket(tls_server: TlsServer, clock: Clock) -> None:
    def configure(context: SSL.Context) -> None:
        _util.lib.SSL_CTX_set_max_early_data(context._context, 16384)

    tickets = completed(tls_server(configure), clock).flight.tickets
    assert {ticket.max_early_data for ticket in tickets} == {16384}
    assert all(ticket.lifetime_s > 0 for ticket in tickets)


@pytest.mark.parametrize("configure", [lambda context: None, only_tls12])
def test_resumption(configure: Callable[[SSL.Context], None], tls_server: TlsServer, clock: Clock) -> None:
    address, context = tls_server(configure), ClientContext()
    first = Handshake(context, sni="good.test")
    answer = run(address, first, clock)
    assert isinstance(answer, Completed)
    assert not answer.flight.resumed
    again = run(address, Handshake(context, sni="good.test", resume=first.session), clock)
    assert isinstance(again, Completed)
    assert again.flight.resumed
    assert again.flight.chain == ()


def test_one_get(tls_server: TlsServer, clock: Clock) -> None:
    answer = run(tls_server(), Handshake(ClientContext(HTTP), sni="good.test", http_host="good.test"), clock)
    assert isinstance(answer, Completed)
    assert answer.end is End.OPEN
    assert answer.http is not None
    assert answer.http.status == 200
    assert ("strict-transport-security", "max-age=9") in answer.http.headers


def test_no_get_over_another_protocol(tls_server: TlsServer, clock: Clock) -> None:
    address = tls_server(lambda context: context.set_alpn_select_callback(lambda connection, names: b"h2"))
    answer = run(address, Handshake(ClientContext(), sni="good.test", http_host="good.test"), clock)
    assert isinstance(answer, Completed)
    assert answer.http is None


@pytest.mark.parametrize("http_host", [None, "good.test"])
def test_a_demand_for_a_certificate_comes_after_a_tls13_handshake(
    http_host: str | None,
    tls_server: TlsServer,
    clock: Clock,
    identity,  # type: ignore[no-untyped-def]
) -> None:
    def demand(context: SSL.Context) -> None:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *arguments: True)

    address = tls_server(demand)
    without = run(address, Handshake(ClientContext(HTTP), sni="good.test", http_host=http_host), clock)
    assert isinstance(without, Completed)
    assert without.flight.client_certificate_requested
    assert (without.end, without.end_alert) == (End.ALERT, 116)
    ours = dataclasses.replace(HTTP, client_certificate=identity.certificate_pem, client_key=identity.key_pem)
    with_one = run(address, Handshake(ClientContext(ours), sni="good.test", http_host="good.test"), clock)
    assert isinstance(with_one, Completed)
    assert with_one.http is not None


def test_a_demand_for_a_certificate_stops_a_tls12_handshake(tls_server: TlsServer, clock: Clock, identity) -> None:  # type: ignore[no-untyped-def]
    def demand(context: SSL.Context) -> None:
        only_tls12(context)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *arguments: True)

    answer = run(tls_server(demand), Handshake(ClientContext(), sni="good.test"), clock)
    assert isinstance(answer, Stopped)
    assert answer.why == Refused(40)
    assert answer.flight.client_certificate_requested
    assert answer.flight.chain == (identity.der,)


def test_a_server_that_will_not(tls_server: TlsServer, clock: Clock) -> None:
    answer = run(tls_server(only_tls12), Handshake(ClientContext(Configuration(min_version=0x0304)), sni=None), clock)
    assert isinstance(answer, Stopped)
    assert answer.why == Refused(70)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Garbage(What.PLAIN_HTTP)),
        (b"\x15\x03\x03\x00\x02\x02\x50", Broken(80)),
        (b"\x00" * 64, Garbage(What.NOT_TLS)),
        (b"", NoAnswer(Kind.CLOSED, "first-byte")),  # type: ignore[arg-type]
    ],
)
def test_servers_that_are_none(reply: bytes, why: object, serve, clock: Clock) -> None:  # type: ignore[no-untyped-def]
    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(reply)

    answer = run(serve(handle), Handshake(ClientContext(), sni="good.test"), clock)
    assert isinstance(answer, Stopped)
    assert answer.why == why


def test_a_stall_in_mid_handshake(serve, clock: Clock) -> None:  # type: ignore[no-untyped-def]
    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"\x16\x03\x03\x00\x7a\x02")
        time.sleep(0.5)

    conversation = Handshake(ClientContext(), sni="good.test", patience_us=100_000)
    answer = run(serve(handle), conversation, clock)
    assert isinstance(answer, Stopped)
    assert isinstance(answer.why, NoAnswer)
    assert answer.why.kind is Kind.TIMEOUT


def test_renegotiation(tls_server: TlsServer, clock: Clock) -> None:
    refused = run(tls_server(only_tls12), Renegotiate(ClientContext(TLS12), sni="good.test"), clock)
    assert refused is Renegotiation.REFUSED

    def allow(context: SSL.Context) -> None:
        only_tls12(context)
        context.set_options(1 << 8)  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION

    accepted = run(tls_server(allow), Renegotiate(ClientContext(TLS12), sni="good.test"), clock)
    assert accepted is Renegotiation.ACCEPTED
    none = run(tls_server(), Renegotiate(ClientContext(), sni="good.test"), clock)
    assert none is Renegotiation.NOT_APPLICABLE


def test_many_at_once_share_a_context(tls_server: TlsServer, clock: Clock) -> None:
    address, context = tls_server(), ClientContext()
    calls = [Call(address, Handshake(context, sni="good.test")) for _ in range(24)]
    exchanges = converse(calls, clock=clock, limits=Limits(per_address=16))
    assert all(isinstance(exchange.answer, Completed) for exchange in exchanges)
    randoms = {exchange.answer.flight.random for exchange in exchanges if isinstance(exchange.answer, Completed)}
    assert len(randoms) == 24


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(ciphers="NO-SUCH-CIPHER"),
        Configuration(client_certificate=b"x"),
        Configuration(client_certificate=b"no pem", client_key=b"no pem"),
    ],
)
def test_configurations_that_cannot_be(configuration: Configuration) -> None:
    with pytest.raises(ValueError, match=r"."):
        ClientContext(configuration)


def test_names_that_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="SNI"):
        Handshake(ClientContext(), sni="192.0.2.1")
    with pytest.raises(ValueError, match="request"):
        get_request("a\r\nEvil: b")


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_hostile_heads_never_raise(parts: list[bytes]) -> None:
    reader = HeadReader()
    for part in [b"HTTP/1.1 200 OK\r\n", *parts]:
        reader.feed(part)
    reader.finish()
    assert reader.done


def test_heads_are_bounded_and_interim_ones_skipped() -> None:
    reader = HeadReader()
    reader.feed(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\nbody")
    assert reader.head is not None
    assert (reader.head.status, reader.head.headers) == (301, (("location", "https://x/"),))
    endless = HeadReader()
    while not endless.done:
        endless.feed(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100)
    assert endless.head is not None
    assert endless.head.truncated
    assert len(endless.head.headers) <= 100


SECRETS = {"SERVER_HANDSHAKE_TRAFFIC_SECRET": bytes(32), "SERVER_TRAFFIC_SECRET_0": bytes(32)}
_BODY = b"\x03\x03" + bytes(32) + bytes.fromhex("00 1301 00 0010 002b00020304 00330006001d00020000")
SERVER_HELLO = b"\x16\x03\x03" + (len(_BODY) + 4).to_bytes(2, "big") + b"\x02\0\0" + bytes((len(_BODY),)) + _BODY


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_hostile_flights_never_raise(data: bytes, keyed: bool) -> None:
    for stream in (data, SERVER_HELLO + data, b"\x16\x03\x03" + len(data).to_bytes(2, "big") + data):
        assert isinstance(read_flight(stream, SECRETS if keyed else {}), ServerFlight)


def test_a_flight_without_secrets_says_where_it_stopped() -> None:
    flight = read_flight(SERVER_HELLO, {})
    assert (flight.version, flight.suite, flight.group) == (0x0304, 0x1301, 29)
    assert "server_handshake_traffic_secret" in flight.trouble


def test_a_staple_and_scts_in_a_tls13_certificate_message() -> None:
    staple = b"\x01\0\0\x04OCSP"
    extensions = b"\0\x05" + len(staple).to_bytes(2, "big") + staple + b"\0\x12\0\x03SCT"
    entry = b"\0\0\x04LEAF" + len(extensions).to_bytes(2, "big") + extensions + b"\0\0\x02CA\0\0"
    message = b"\0" + len(entry).to_bytes(3, "big") + entry
    assert read_certificates13(message) == Certificates13((b"LEAF", b"CA"), b"OCSP", b"SCT")
    for end in range(len(message)):
        with pytest.raises(MalformedError):
            read_certificates13(message[:end])
