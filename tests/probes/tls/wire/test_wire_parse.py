import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.tls.wire.answers import (
    Accepted,
    Answer,
    Broken,
    Garbage,
    Kind,
    NoAnswer,
    Phase,
    Refused,
    Sentinel,
    What,
)  # fmt: skip
from probes.tls.wire.messages import RETRY_RANDOM
from probes.tls.wire.parse import FirstFlight, ParseLimits, Until, read_answer

RANDOM = bytes(range(32))
CLOSED = NoAnswer(Kind.CLOSED, Phase.ANSWER)


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return struct.pack(">BHH", kind, version, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def server_hello(
    version: int = 0x0303, suite: int = 0xC02F, random: bytes = RANDOM, extensions: bytes = b"", compression: int = 0
) -> bytes:
    body = struct.pack(">H", version) + random + b"\0" + struct.pack(">HB", suite, compression)
    if extensions:
        body += struct.pack(">H", len(extensions)) + extensions
    return message(2, body)


RETRY = server_hello(suite=0x1301, random=RETRY_RANDOM, extensions=bytes.fromhex("002b00020304 0033000211ec"))
EC_EXCHANGE = message(12, bytes.fromhex("03001d20") + bytes(32) + bytes.fromhex("08040002") + b"ss")
DH_EXCHANGE = message(12, b"\0\x80" + b"\xff" * 128 + b"\0\x01\x02\0\x01\x05" + bytes.fromhex("04010002") + b"ss")
CERTIFICATE = message(11, bytes.fromhex("000006000003") + b"DER")
DONE = message(14, b"")


def test_hello_retry_request_names_the_group() -> None:
    assert read_answer(record(22, RETRY)) == Accepted(
        0x0304, 0x1301, 0x11EC, is_retry=True, extensions=(43, 51), random=RETRY_RANDOM
    )


def test_a_legacy_server_hello() -> None:
    answer = read_answer(
        record(22, server_hello(0x0302, 0x002F, compression=1, extensions=bytes.fromhex("ff01000100")))
    )
    assert answer == Accepted(0x0302, 0x002F, compression=1, extensions=(0xFF01,), random=RANDOM)


@pytest.mark.parametrize(
    ("version", "tail", "sentinel"),
    [
        (0x0303, b"DOWNGRD\x01", Sentinel.TLS12),
        (0x0301, b"DOWNGRD\x00", Sentinel.TLS11),
        (0x0303, b"DOWNGRD\x00", Sentinel.NONE),
        (0x0302, b"DOWNGRD\x01", Sentinel.TLS12),
    ],
)
def test_downgrade_sentinel(version: int, tail: bytes, sentinel: Sentinel) -> None:
    answer = read_answer(record(22, server_hello(version, random=RANDOM[:24] + tail)))
    assert isinstance(answer, Accepted)
    assert answer.sentinel is sentinel


def test_the_whole_flight_names_group_signature_and_chain() -> None:
    answer = read_answer(record(22, server_hello() + CERTIFICATE + EC_EXCHANGE + DONE), Until.FLIGHT)
    assert isinstance(answer, Accepted)
    assert (answer.group, answer.signature, answer.chain) == (0x001D, 0x0804, (b"DER",))


def test_a_finite_field_exchange_names_its_size() -> None:
    answer = read_answer(record(22, server_hello(suite=0x009E) + CERTIFICATE + DH_EXCHANGE + DONE), Until.FLIGHT)
    assert isinstance(answer, Accepted)
    assert (answer.group, answer.dh_bits, answer.signature) == (None, 1024, 0x0401)


@pytest.mark.parametrize("rest", [b"", message(11, b"\xff"), message(12, b"\x03"), b"\x16\x00\x00"])
def test_a_server_hello_counts_whatever_follows(rest: bytes) -> None:
    flight = FirstFlight(Until.FLIGHT)
    flight.feed(record(22, server_hello() + rest))
    answer = flight.end(CLOSED)
    assert isinstance(answer, Accepted)
    assert answer.suite == 0xC02F


@pytest.mark.parametrize("alert", [40, 47, 70, 71, 86, 109, 112, 120])
def test_alerts_that_refuse(alert: int) -> None:
    assert read_answer(record(21, bytes((2, alert)))) == Refused(alert)


@pytest.mark.parametrize("alert", [0, 10, 20, 22, 42, 48, 50, 80, 110, 200])
def test_alerts_that_prove_nothing(alert: int) -> None:
    assert read_answer(record(21, bytes((2, alert)))) == Broken(alert)


def test_a_warning_does_not_end_the_reading() -> None:
    warning = record(21, b"\x01\x70")
    answer = read_answer(warning + record(22, server_hello()))
    assert isinstance(answer, Accepted)
    assert answer.warnings == (112,)
    assert read_answer(warning) is None
    assert read_answer(warning + record(21, b"\x02\x46")) == Refused(70)
    flight = FirstFlight()
    flight.feed(warning)
    assert flight.end(CLOSED) == Broken(112, level=1)
    flight = FirstFlight()
    flight.feed(warning)
    silence = NoAnswer(Kind.TIMEOUT, Phase.ANSWER)
    assert flight.end(silence) == silence


@pytest.mark.parametrize("alert", [40, 47, 70, 71, 86, 112])
def test_a_warning_is_never_a_refusal(alert: int) -> None:
    warning = record(21, bytes((1, alert)))
    answer = read_answer(warning + record(22, server_hello()))
    assert isinstance(answer, Accepted)
    assert answer.warnings == (alert,)
    flight = FirstFlight()
    assert flight.feed(warning) is None
    assert flight.end(CLOSED) == Broken(alert, level=1)
    assert read_answer(record(21, b"\x01\x00")) == Broken(0, 1)  # close_notify ends the reading


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", What.PLAIN_HTTP),
        (b"SSH-2.0-x\r\n", What.NOT_TLS),
        (b"\x15\x09\x00\x00\x02\x02\x28", What.NOT_TLS),
        (record(22, b"", 0x0303) + b"\x99\x03\x03\x00\x00", What.BAD_RECORD),
        (record(23, b"data"), What.WRONG_MESSAGE),
        (record(20, b"\x01"), What.WRONG_MESSAGE),
        (record(22, message(11, b"\0\0\0")), What.WRONG_MESSAGE),
        (record(22, message(2, b"\x03\x03")), What.BAD_HANDSHAKE),
        (record(22, server_hello(extensions=b"\0\x2b\0\x02\x03")), What.BAD_HANDSHAKE),
        (record(22, server_hello(extensions=bytes.fromhex("0017000000170000"))), What.BAD_HANDSHAKE),
        (record(22, server_hello(version=0x0002)), What.BAD_HANDSHAKE),
        (record(21, b"\x02"), What.BAD_ALERT),
        (record(21, b"\x07\x28"), What.BAD_ALERT),
        (record(22, b"\x02\xff\xff\xff"), What.TOO_MUCH),
        (record(21, b"\x01\x70") * 5, What.TOO_MUCH),
        (record(22, b"") * 65, What.TOO_MUCH),
        (b"\x80\x06\x04\x00\x01\x00\x02\x00", What.BAD_SSL2),
    ],
)
def test_garbage(data: bytes, what: What) -> None:
    assert read_answer(data) == Garbage(what)


def test_total_bytes_are_bounded() -> None:
    flight = FirstFlight(limits=ParseLimits(bytes=1000))
    answers = [flight.feed(record(22, message(0, b""))) for _ in range(200)]
    assert answers[0] is None
    assert answers[-1] == Garbage(What.TOO_MUCH)


def test_ssl2() -> None:
    hello = bytes.fromhex("04 00 01 0002 0003 0006 0001") + b"DER" + bytes.fromhex("0100800700c0") + b"i"
    data = struct.pack(">H", 0x8000 | len(hello)) + hello
    assert read_answer(data) == Accepted(2, 0x010080, chain=(b"DER",), ssl2_kinds=(0x010080, 0x0700C0))
    assert read_answer(b"\x80\x03\x00\x00\x01") == Refused(1, 0, ssl2=True)
    assert read_answer(b"\x80\x03\x00\x00\x02") == Broken(2, 0, ssl2=True)
    assert read_answer(record(21, b"\x02\x46")) == Refused(70)  # a TLS stack that understood the SSLv2 hello


STREAMS = [
    record(22, RETRY), record(22, server_hello()), record(21, b"\x01\x70") + record(22, server_hello()),
    record(21, b"\x02\x28"), b"HTTP/1.1 400 Bad", b"\x80\x03\x00\x00\x01",
    record(22, server_hello() + CERTIFICATE + EC_EXCHANGE + DONE),
    b"".join(record(22, (server_hello() + CERTIFICATE + EC_EXCHANGE + DONE)[at : at + 7]) for at in range(0, 210, 7)),
]  # fmt: skip


@given(st.sampled_from(STREAMS), st.sampled_from(Until), st.lists(st.integers(1, 60), max_size=40))
def test_the_answer_does_not_depend_on_segments(stream: bytes, until: Until, cuts: list[int]) -> None:
    flight, at = FirstFlight(until), 0
    for size in [*cuts, len(stream)]:
        flight.feed(stream[at : at + size])
        at += size
    whole = FirstFlight(until)
    whole.feed(stream)
    assert flight.end(CLOSED) == whole.end(CLOSED)


mutations = st.builds(
    lambda stream, at, byte: stream[: at % len(stream)] + bytes((byte,)) + stream[at % len(stream) + 1 :],
    st.sampled_from(STREAMS), st.integers(0, 1000), st.integers(0, 255),
)  # fmt: skip


@settings(max_examples=400)
@given(
    st.one_of(st.binary(max_size=300), mutations, st.binary(max_size=80).map(lambda b: record(22, b))),
    st.sampled_from(Until),
)
def test_hostile_bytes_never_raise(data: bytes, until: Until) -> None:
    flight = FirstFlight(until)
    answer: Answer | None = flight.feed(data)
    final = flight.end(CLOSED)
    assert answer in (None, final)
    assert flight.feed(b"more") == flight.answer == final
