import contextlib
import itertools
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

import pytest

from probes.tls.wire.answers import Accepted, Answer, Garbage, Kind, NoAnswer, Phase, Refused, What
from probes.tls.wire.hello import Hello, KeyShare, encode
from probes.tls.wire.prelude import http_connect, imap, postgresql, smtp
from probes.tls.wire.question import Question
from probes.tls.wire.stamps import Stamps
from probes.tls.wire.transport import Address, Call, Exchange, Limits, converse

HELLO = Hello(
    random=bytes(range(32)), suites=(0x1301,), supported_versions=(0x0304,), groups=(0x11EC, 29), sigalgs=(0x0403,),
    key_share=KeyShare.EMPTY, sni="good.test",
)  # fmt: skip
REFUSAL = b"\x15\x03\x03\x00\x02\x02\x46"
SHORT = Limits(connect_us=500_000, first_byte_us=150_000, total_us=400_000)
Serve = Callable[[Callable[[socket.socket], None]], Address]
Clock = Callable[[], int]


def ask(address: Address, clock: Clock, limits: Limits = SHORT) -> Exchange[Answer]:
    [exchange] = converse([Call(address, Question(HELLO), "q")], clock=clock, limits=limits)
    return exchange


def refuse(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(REFUSAL)


def test_a_refusal_and_its_transcript(serve: Serve, clock: Clock) -> None:
    exchange = ask(serve(refuse), clock)
    assert exchange.answer == Refused(70)
    assert exchange.sent == encode(HELLO)
    assert exchange.received == REFUSAL
    assert (exchange.sent_bytes, exchange.received_bytes) == (len(encode(HELLO)), len(REFUSAL))
    assert exchange.connected_us is not None
    assert exchange.first_byte_us is not None
    assert 0 <= exchange.connected_us <= exchange.first_byte_us <= exchange.duration_us


def test_a_real_server_names_the_group(tls_server: Callable[[], Address], clock: Clock) -> None:
    exchange = ask(tls_server(), clock, Limits())
    assert isinstance(exchange.answer, Accepted)
    assert (exchange.answer.is_retry, exchange.answer.group, exchange.answer.suite) == (True, 0x11EC, 0x1301)


def test_nobody_listens(clock: Clock) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        exchange = ask(Address("127.0.0.1", unused.getsockname()[1]), clock)
    assert exchange.answer == NoAnswer(Kind.UNREACHABLE, Phase.CONNECT, "ECONNREFUSED")


def reset(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(sock: socket.socket) -> None:
    sock.recv(4096)


def silent(sock: socket.socket) -> None:
    time.sleep(0.5)


def stall(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"\x16\x03\x03\x00\x40")
    time.sleep(0.7)


def cut(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"\x16\x03\x03\x00\x40\x02")


@pytest.mark.parametrize(
    ("handle", "kind", "phase"),
    [
        (reset, Kind.RESET, Phase.FIRST_BYTE),
        (close, Kind.CLOSED, Phase.FIRST_BYTE),
        (silent, Kind.TIMEOUT, Phase.FIRST_BYTE),
        (stall, Kind.TIMEOUT, Phase.ANSWER),
        (cut, Kind.CLOSED, Phase.ANSWER),
    ],
)
def test_the_ways_of_not_answering(
    handle: Callable[[socket.socket], None], kind: Kind, phase: Phase, serve: Serve, clock: Clock
) -> None:
    answer = ask(serve(handle), clock).answer
    assert isinstance(answer, NoAnswer)
    assert (answer.kind, answer.phase) == (kind, phase)


def test_a_trickle_ends_at_the_total_deadline(serve: Serve, clock: Clock) -> None:
    def trickle(sock: socket.socket) -> None:
        sock.recv(4096)
        for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
            sock.sendall(bytes((byte,)))
            time.sleep(0.02)

    exchange = ask(serve(trickle), clock)
    assert exchange.answer == NoAnswer(Kind.TIMEOUT, Phase.ANSWER)
    assert 390_000 < exchange.duration_us < 1_500_000


def test_a_flood_is_cut_and_the_transcript_stays_small(serve: Serve, clock: Clock) -> None:
    def flood(sock: socket.socket) -> None:
        sock.recv(4096)
        empty = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00" * 1000
        while True:
            sock.sendall(empty)

    exchange = ask(serve(flood), clock, Limits(transcript_bytes=100))
    assert exchange.answer == Garbage(What.TOO_MUCH)
    assert len(exchange.received) == 100
    assert exchange.received_bytes < 1 << 20


def test_an_alert_behind_which_the_server_resets_is_still_heard(serve: Serve, clock: Clock) -> None:
    def handle(sock: socket.socket) -> None:
        sock.sendall(REFUSAL)  # without reading: closing with unread data makes the kernel send RST

    for _ in range(20):
        assert ask(serve(handle), clock).answer == Refused(70)


def test_results_keep_the_order_of_the_calls(serve: Serve, clock: Clock) -> None:
    address = serve(refuse)
    slow = serve(stall)
    calls = [Call(slow if n % 5 == 0 else address, Question(HELLO), str(n)) for n in range(20)]
    started = time.monotonic()
    exchanges = converse(calls, clock=clock, limits=SHORT)
    assert [exchange.label for exchange in exchanges] == [str(n) for n in range(20)]
    assert time.monotonic() - started < 1.5  # side by side


def test_follow_up_questions_come_behind_the_one_they_follow(serve: Serve, clock: Clock) -> None:
    address = serve(refuse)

    def follow(exchange: Exchange[Answer]) -> list[Call[Answer]]:
        if len(exchange.label) < 3:
            return [Call(address, Question(HELLO), exchange.label + letter) for letter in "xy"]
        return []

    exchanges = converse(
        [Call(address, Question(HELLO), "a"), Call(address, Question(HELLO), "b")], clock=clock, follow=follow
    )
    assert [exchange.label for exchange in exchanges] == (
        ["a", "ax", "axx", "axy", "ay", "ayx", "ayy", "b", "bx", "bxx", "bxy", "by", "byx", "byy"]
    )


def test_no_more_connections_to_an_address_than_allowed(serve: Serve, clock: Clock) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def handle(sock: socket.socket) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        sock.recv(4096)
        time.sleep(0.01)
        with lock:
            now -= 1
        sock.sendall(REFUSAL)

    address = serve(handle)
    converse([Call(address, Question(HELLO)) for _ in range(12)], clock=clock, limits=Limits(per_address=3))
    assert 2 <= most <= 3


def test_pacing_spreads_the_starts(serve: Serve, clock: Clock) -> None:
    address = serve(refuse)
    exchanges = converse([Call(address, Question(HELLO)) for _ in range(5)], clock=clock, limits=Limits(pace_us=30_000))
    starts = [exchange.started_us for exchange in exchanges]
    assert all(later - earlier >= 30_000 for earlier, later in itertools.pairwise(starts))


def test_no_descriptor_left_is_our_own_failure(serve: Serve, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*arguments: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    address = serve(refuse)
    monkeypatch.setattr("probes.tls.wire.transport.socket.socket", none_left)
    assert ask(address, clock).answer == NoAnswer(Kind.LOCAL, Phase.CONNECT, "EMFILE")


def test_addresses_are_literal() -> None:
    with pytest.raises(ValueError, match="localhost"):
        Address("localhost", 443)
    with pytest.raises(ValueError, match="port"):
        Address("192.0.2.1", 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(clock: Clock) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback here")

    def once() -> None:
        sock, _ = server.accept()
        with sock:
            refuse(sock)

    with server:
        threading.Thread(target=once, daemon=True).start()
        assert ask(Address("::1", server.getsockname()[1]), clock).answer == Refused(70)


def test_preludes_on_real_connections(serve: Serve, clock: Clock) -> None:
    def lines(*script: tuple[bytes, bytes]) -> Callable[[socket.socket], None]:
        def handle(sock: socket.socket) -> None:
            for reply, wanted in script:
                sock.sendall(reply)
                if wanted:
                    assert wanted in sock.recv(4096)
            sock.recv(4096)
            sock.sendall(REFUSAL)

        return handle

    mail = lines(
        (b"220 hi\r\n", b"EHLO probe.example"), (b"250-x\r\n250 STARTTLS\r\n", b"STARTTLS"), (b"220 go\r\n", b"")
    )
    secret = b"Basic c2VjcmV0"
    upgrades = [
        (smtp("probe.example"), mail),
        (imap(), lines((b"* OK hi\r\n", b"k1 STARTTLS"), (b"* note\r\nk1 OK go\r\n", b""))),
        (postgresql(), lines((b"", bytes.fromhex("0000000804d2162f")), (b"S", b""))),
        (
            http_connect("api.example", 443, authorization=secret.decode()),
            lines((b"", secret), (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", b"")),
        ),
    ]
    for prelude, handle in upgrades:
        [exchange] = converse([Call(serve(handle), Question(HELLO), prelude=prelude)], clock=clock)
        assert exchange.answer == Refused(70)
        assert exchange.sent[exchange.tls_sent_at :] == encode(HELLO)
        assert exchange.received[exchange.tls_received_at :] == REFUSAL
        assert b"c2VjcmV0" not in exchange.sent


def test_a_refused_upgrade_is_its_own_answer(serve: Serve, clock: Clock) -> None:
    def handle(sock: socket.socket) -> None:
        sock.recv(8)
        sock.sendall(b"N")
        with contextlib.suppress(OSError):
            sock.recv(1)

    [exchange] = converse([Call(serve(handle), Question(HELLO), prelude=postgresql())], clock=clock)
    assert exchange.answer == NoAnswer(Kind.STARTTLS_REFUSED, Phase.PRELUDE, "N")


def test_connections_leave_from_the_source_that_is_given(serve: Serve, clock: Clock) -> None:
    peers: list[str] = []

    def note(sock: socket.socket) -> None:
        peers.append(sock.getpeername()[0])
        refuse(sock)

    calls = [Call(serve(note), Question(HELLO), "q")]
    [exchange] = converse(calls, clock=clock, limits=SHORT, source="127.0.0.7")
    assert exchange.answer == Refused(70)
    assert peers == ["127.0.0.7"]


@pytest.mark.parametrize("source", ["192.0.2.7", "::1"])
def test_a_source_that_cannot_be_used_is_our_own_failure(serve: Serve, clock: Clock, source: str) -> None:
    asked: list[int] = []
    calls = [Call(serve(lambda sock: asked.append(1)), Question(HELLO), "q")]
    [exchange] = converse(calls, clock=clock, limits=SHORT, source=source)
    assert isinstance(exchange.answer, NoAnswer)
    assert (exchange.answer.kind, exchange.answer.phase) == (Kind.LOCAL, Phase.CONNECT)
    assert asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what arrives")
def test_what_we_do_after_bytes_arrived_is_not_measured() -> None:
    one, other = connected()
    with one, other:
        stamps = Stamps(one)
        time.sleep(0.05)  # the first that asks for stamps on a machine gets them a moment later
        other.sendall(b"now")
        time.sleep(0.05)
        data, ago = stamps.receive(one, 100)
        assert data == b"now"
        assert 40_000_000 <= ago < 5_000_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what arrives")
def test_a_wall_clock_that_is_set_meanwhile_never_shortens_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = connected()
    with one, other:
        stamps = Stamps(one)
        time.sleep(0.05)
        other.sendall(b"now")
        time.sleep(0.01)
        true = time.clock_gettime_ns

        def set_forward(which: int) -> int:
            return true(which) + (10_000_000_000 if which == time.CLOCK_REALTIME else 0)

        monkeypatch.setattr(time, "clock_gettime_ns", set_forward)
        assert stamps.receive(one, 100)[1] < 1_000_000_000


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


def test_a_call_is_told_before_each_feed_when_its_bytes_arrived(serve: Serve, clock: Clock) -> None:
    told: list[int] = []
    call = Call(serve(refuse), Question(HELLO), "q", on_arrival=told.append)
    [exchange] = converse([call], clock=clock, limits=SHORT)
    assert exchange.answer == Refused(70)
    assert len(told) >= 1
    assert min(told) >= 0
