"""Heads of answers: what each network tells, what is hostile, and how answers are read whatever pieces they come in."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.model.facts import Unseen
from keycheck.model.types import TEXT_LIMIT
from probes.residency.endpoint.edges import MAX_LINES, best_edge, edge_of
from probes.residency.endpoint.http_answer import MAX_BODY, MAX_HEAD, MAX_HEADERS, AnswerReader, Head
from probes.residency.endpoint_facts import EdgeSeen, NoEdge

NAMES = (
    "x-amz-cf-pop", "x-amz-cf-id", "x-cache", "server-timing", "via", "x-served-by", "x-timer", "x-cache-hits",
    "cf-ray", "cf-cache-status", "server", "x-azure-ref", "x-77-pop", "x-77-cache", "x-akamai-transformed",
)  # fmt: skip


def head(*lines: str, status: int = 200) -> Head:
    pairs = (line.partition(": ") for line in lines)
    return Head(status, tuple((name.lower(), value) for name, _, value in pairs), keeps=True)


def edge(*lines: str) -> EdgeSeen:
    found = edge_of(head(*lines))
    assert isinstance(found, EdgeSeen), found
    return found


CLOUDFRONT = (
    "X-Amz-Cf-Pop: FRA56-P4",
    "X-Cache: Miss from cloudfront",
    'Server-Timing: cdn-upstream-layer;desc="EDGE",cdn-upstream-dns;dur=0,cdn-upstream-connect;dur=114,'
    'cdn-upstream-fbl;dur=177,cdn-cache-miss,cdn-pop;desc="FRA56-P4",cdn-downstream-fbl;dur=436',
)


def test_cloudfront() -> None:
    found = edge(*CLOUDFRONT)
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("cloudfront", "FRA56-P4", "miss", 178_000)
    assert found.origin_header == "server-timing: cdn-upstream-fbl"
    assert len(found.headers) == 3


@pytest.mark.parametrize(
    "changed",
    [
        CLOUDFRONT[2].replace("EDGE", "REC"),  # measured from a regional cache, whose place is not told
        CLOUDFRONT[2].replace("EDGE", "Origin Shield"),
        CLOUDFRONT[2].replace('cdn-upstream-layer;desc="EDGE",', ""),
        CLOUDFRONT[2].replace('cdn-pop;desc="FRA56-P4"', 'cdn-pop;desc="JFK50-C1"'),
        CLOUDFRONT[2].replace("fbl;dur=177", "fbl;dur=-1"),
        CLOUDFRONT[2].replace("fbl;dur=177", "fbl;dur=1e3"),
        CLOUDFRONT[2] + ",cdn-upstream-fbl;dur=1",  # twice: the origin may have sent one of them
    ],
)
def test_cloudfronts_time_counts_only_from_the_place_that_is_named(changed: str) -> None:
    assert edge(*CLOUDFRONT[:2], changed).origin_us is None


def test_a_hit_needs_no_origin_and_tells_no_time() -> None:
    lines = [line.replace("Miss from", "Hit from").replace("cdn-cache-miss", "cdn-cache-hit") for line in CLOUDFRONT]
    found = edge(*lines)
    assert (found.cache, found.origin_us, found.origin_header) == ("hit", None, None)


FASTLY = ("X-Served-By: cache-fra-etou8220078-FRA", "X-Cache: MISS", "X-Timer: S1709123456.789012,VS0,VE1")


def test_fastly_cuts_its_milliseconds_off() -> None:
    found = edge(*FASTLY)
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("fastly", "FRA", "miss", 2_000)


def test_fastly_with_a_shield_names_the_node_next_to_us() -> None:
    found = edge("X-Served-By: cache-lcy1128-LCY, cache-fra1-FRA", "X-Cache: MISS, MISS", FASTLY[2])
    assert (found.pop, found.cache, found.origin_us) == ("FRA", "miss", 2_000)
    hit = edge("X-Served-By: cache-lcy1128-LCY, cache-fra1-FRA", "X-Cache: HIT, MISS", FASTLY[2])
    assert (hit.cache, hit.origin_us) == ("hit", None)


@pytest.mark.parametrize("timer", ["S1,VS0,VE-1", "S1,VS0,VE", "S1,VS5,VE1", "VE9", "S1,VS0,VE1,VS0,VE9", "S1,VS0,VE١"])
def test_a_timer_that_is_none_tells_nothing(timer: str) -> None:
    assert edge(*FASTLY[:2], f"X-Timer: {timer}").origin_us is None


def test_cloudflare() -> None:
    found = edge(
        "Server: cloudflare",
        "CF-Ray: 8f1e2d3c4b5a6978-FRA",
        "CF-Cache-Status: DYNAMIC",
        "Server-Timing: cdn-cache; desc=DYNAMIC, edge; dur=20, origin; dur=100.4, cfWorker; dur=7",
    )
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("cloudflare", "FRA", "dynamic", 101_000)
    assert edge("CF-Ray: 8f1e2d3c4b5a6978-FRA", "Server-Timing: cfOrigin;dur=3,cfEdge;dur=1").origin_us is None


def test_akamai() -> None:
    found = edge("Server: AkamaiGHost", "Server-Timing: cdn-cache; desc=MISS, edge; dur=1, origin; dur=30")
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("akamai", None, "miss", 31_000)


def test_azure_front_door_by_microsofts_own_example() -> None:
    reference = "0zxV+XAAAAABKMMOjBv2NT4TY6SQVjC0zV1NURURHRTA2MTkANDM3YzgyY2QtMzYwYS00YTU0LTk0YzMtNWZmNzA3NjQ3Nzgz"
    found = edge(f"X-Azure-Ref: {reference}", "X-Cache: CONFIG_NOCACHE")
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("azure-front-door", "WST", "dynamic", None)
    newer = edge("X-Azure-Ref: 20260301T101112Z-r1f585c6b65k2v8k3m1d2e00000000", "X-Cache: TCP_HIT")
    assert (newer.pop, newer.cache) == (None, "hit")


def test_cdn77() -> None:
    found = edge("X-77-Pop: pragueCZ", "X-77-Cache: MISS")
    assert (found.cdn, found.pop, found.cache) == ("cdn77", "pragueCZ", "miss")


def test_an_ordinary_server_is_no_edge() -> None:
    assert edge_of(head("Server: nginx", "Server-Timing: origin;dur=1", "X-Cache: MISS from squid")) == NoEdge()


def test_two_networks_one_behind_the_other_bound_nothing() -> None:
    found = edge(*FASTLY, "CF-Ray: 8f1e2d3c4b5a6978-FRA")
    assert (found.cdn, found.pop, found.cache, found.origin_us) == ("cloudflare+fastly", None, "unknown", None)


def test_a_header_that_stands_twice_is_nobodys() -> None:
    found = edge("CF-Ray: 8f1e2d3c4b5a6978-FRA", "CF-Ray: 8f1e2d3c4b5a6978-JFK", "CF-Cache-Status: DYNAMIC")
    assert found.pop is None
    twice = edge(*FASTLY, "X-Timer: S1,VS0,VE0")
    assert twice.origin_us is None


def test_control_characters_and_long_values_do_not_reach_the_facts() -> None:
    found = edge("CF-Ray: \x1b[31m\x00\u00ff" + "x" * 1000)
    assert found.pop is None
    assert all(line.isprintable() and len(line) <= TEXT_LIMIT + 1 for line in found.headers)
    assert isinstance(edge_of(head("CF-Ray: " + "x" * 5000)), Unseen)
    assert isinstance(edge_of(head(*["CF-Ray: a-FRA"] * (MAX_LINES + 1))), Unseen)


def test_the_least_time_of_several_answers_counts() -> None:
    slow, fast = head(*FASTLY[:2], "X-Timer: S1,VS0,VE9"), head(*FASTLY)
    found = best_edge([slow, fast, head("Server: nginx")])
    assert isinstance(found, EdgeSeen)
    assert found.origin_us == 2_000
    assert best_edge([head("Server: nginx")]) == NoEdge()
    assert isinstance(best_edge([head("Server: nginx"), head("CF-Ray: " + "x" * 5000)]), Unseen)


VALUES = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.sampled_from(
        (
            "FRA56-P4",
            "Miss from cloudfront",
            "MISS, HIT",
            "S1.2,VS0,VE7",
            "8f1e2d3c4b5a6978-FRA",
            "DYNAMIC",
            "cloudflare",
        )
    ),
    st.builds(lambda raw: "0" + base64.b64encode(raw).decode(), st.binary(max_size=60)),
    st.builds(lambda n, d: f"origin;dur={n}, cdn-cache;desc={d}", st.integers(-9, 10**12), st.sampled_from("MH")),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=25))
def test_no_head_breaks_the_reading_and_a_time_needs_a_miss(lines: list[tuple[str, str]]) -> None:
    found = edge_of(Head(200, tuple(lines), keeps=True))
    if isinstance(found, EdgeSeen):
        assert EdgeSeen.model_validate(found.model_dump()) == found
        if found.origin_us is not None:
            assert found.cache in ("miss", "dynamic")
            assert 1_000 <= found.origin_us <= 3_600_001_000
            assert "+" not in found.cdn


# -- reading answers ------------------------------------------------------------------------------------------------


def read(data: bytes, needle: bytes = b"", sizes: list[int] | None = None) -> AnswerReader:
    reader = AnswerReader(needle)
    at = 0
    for size in sizes or []:
        reader.feed(data[at : at + size])
        at += size
    reader.feed(data[at:])
    return reader


CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n"
    b"4;ext=1\r\nneed\r\n6\r\nle-abc\r\n0\r\nTrailer: y\r\n\r\n"
)


def test_an_answer_in_chunks() -> None:
    reader = read(CHUNKED, b"needle-abc")
    assert reader.over
    assert reader.found
    assert reader.head is not None
    assert (reader.head.status, reader.head.keeps, reader.rest) == (200, True, b"")


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=60))
def test_pieces_make_no_difference(sizes: list[int]) -> None:
    reader = read(CHUNKED + b"more", b"needle-abc", sizes)
    assert (reader.over, reader.found, reader.trouble) == (True, True, "")


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=10))
def test_no_bytes_break_the_reading(data: bytes, sizes: list[int]) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        reader = read(start + data, b"xyz", sizes)
        reader.closed()
        assert reader.over or reader.trouble


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-x\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD, "more than"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD + b"\r\n\r\n", "more than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "contradict"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "contradict"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "contradict"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "end cannot be told"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "end cannot be told"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", "no header"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "chunks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, "chunks"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1), "body of more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_answers_end_with_a_reason(data: bytes, words: str) -> None:
    reader = read(data)
    assert words in reader.trouble
    assert not reader.over


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reader = read(b"HTTP/1.0 200 OK\r\n\r\nbody")
    assert not reader.over
    reader.closed()
    assert reader.over
    cut = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody")
    cut.closed()
    assert cut.trouble == "the answer was cut off"
