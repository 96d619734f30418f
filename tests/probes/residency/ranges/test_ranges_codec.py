"""Index files from strangers: an error of ours or exactly what was written, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import time
import zlib
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_ranges import imports, label, source

from keycheck.errors import KeycheckError
from probes.residency.ranges.codec import MAX_CONTENT, encoded
from probes.residency.ranges.index import Index
from probes.residency.ranges.prefixes import Prefix
from probes.residency.ranges.seam import Attribution, RangesError
from probes.residency.ranges.table import Imported, table_of

ROWS = {
    "3.0.0.0/8": "a",
    "3.1.0.0/16": "b",
    "3.1.2.0/24": "a",
    "52.0.0.0/12": "c",
    "2a05:d000::/25": "a",
    "2a05:d000::/40": "b",
}
GOOD = encoded(table_of([imports("aws", ROWS), imports("gcp", {"3.1.0.0/17": "z"})]))
PLACES = ["3.0.0.1", "3.1.2.3", "3.1.200.1", "52.1.1.1", "9.9.9.9", "2a05:d000::1", "2a05:d001::1", "::1"]
HEAD = struct.Struct(">8sH32sI")


def content() -> bytes:
    return zlib.decompress(GOOD[HEAD.size :])


def sealed(inner: bytes, size: int | None = None) -> bytes:
    """As whoever forges an index would write it: with the right digest."""
    head = HEAD.pack(b"kcranges", 1, hashlib.sha256(inner).digest(), len(inner) if size is None else size)
    return head + zlib.compress(inner)


def answers(data: bytes) -> list[tuple[Attribution, ...]]:
    index = Index.of(data)
    return [index.lookup(place) for place in PLACES]


def test_what_was_written_is_read() -> None:
    assert [[each.region for each in answer] for answer in answers(GOOD)] == [
        ["a"], ["a", "z"], ["b"], ["c"], [], ["b"], ["a"], [],
    ]  # fmt: skip


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found_or_changes_nothing(place: int, change: int) -> None:
    """Compressed bytes have second spellings; the digest is of what they stand for."""
    data = bytearray(GOOD)
    data[place] ^= change
    with contextlib.suppress(RangesError):
        assert answers(bytes(data)) == answers(GOOD)


@given(st.integers(0, len(GOOD) - 1))
def test_any_truncation_is_found(size: int) -> None:
    with pytest.raises(RangesError, match="index"):
        Index.of(GOOD[:size])


@given(st.binary(max_size=200))
def test_noise_is_no_index(noise: bytes) -> None:
    for data in (noise, GOOD + b"x" + noise, GOOD[: HEAD.size] + noise, sealed(noise)):
        with pytest.raises(RangesError):
            Index.of(data)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(content()) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_forged_content_gives_an_error_of_ours_or_an_answer_that_holds_the_address(
    changes: list[tuple[int, int]],
) -> None:
    inner = bytearray(content())
    for place, value in changes:
        inner[place] = value
    try:
        index = Index.of(sealed(bytes(inner)))
    except KeycheckError:
        return
    for place in PLACES:
        try:
            answer = index.lookup(place)
        except KeycheckError:
            continue
        assert all(ip_address(place) in ip_network(each.prefix) for each in answer)
        assert len({each.source for each in answer}) == len(answer)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("count", [2**32 - 1, 2**31, 3_999_999])
def test_counts_that_promise_more_than_is_there_cost_nothing(place: int, count: int) -> None:
    words = list(struct.unpack_from(">5I", content()))
    words[place] = count
    before = time.monotonic()
    with pytest.raises(RangesError):
        Index.of(sealed(struct.pack(">5I", *words) + content()[20:]))
    assert time.monotonic() - before < 2


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(MAX_CONTENT + 10))
    for size in (100, MAX_CONTENT + 10, 2**32 - 1):
        with pytest.raises(RangesError):
            Index.of(HEAD.pack(b"kcranges", 1, bytes(32), size) + bomb)


def test_another_version_says_what_to_do() -> None:
    with pytest.raises(RangesError, match="format 2") as caught:
        Index.of(GOOD[:8] + b"\0\2" + GOOD[10:])
    assert "import the lists again" in caught.value.advice


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name":"aws"', b'"name":"zzz"'),
        (b'"name":"gcp"', b'"name":"aws"'),
        (b'"digest":"00', b'"digest":"zz'),
        (b'"dated":"list"', b'"dated":"lies"'),
        (b'"rows":0', b'"rows":-'),
        (b'{"sources"', b'{"sourced"'),
    ],
)
def test_a_description_that_is_none_is_refused(old: bytes, new: bytes) -> None:
    inner = content()
    assert old in inner
    with pytest.raises(RangesError, match="damaged"):
        Index.of(sealed(inner.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["a\\n3.0.0.1", "\\u00e4", "", " a", "a,b", 'a\\"b', "a\\tb", "a" * 101])
def test_a_forged_label_breaks_no_line_of_output(text: str) -> None:
    inner = content()
    about = struct.unpack_from(">I", inner)[0]
    forged = inner[20 : 20 + about].replace(b'"a"', f'"{text}"'.encode(), 3)
    index = Index.of(sealed(struct.pack(">I", len(forged)) + inner[4:20] + forged + inner[20 + about :]))
    with pytest.raises(RangesError, match="damaged"):
        index.lookup("3.0.0.1")
    assert [each.region for each in index.lookup("52.1.1.1")] == ["c"]


def test_more_answers_than_two_bytes_can_count() -> None:
    rows = {Prefix(4, 0x08000000 + place, 32): label(f"r{place}") for place in range(66_000)}
    index = Index.of(encoded(table_of([Imported(source("aws"), rows)])))
    for place in (0, 255, 65_535, 65_536, 65_999):
        assert [each.region for each in index.lookup(IPv4Address(0x08000000 + place))] == [f"r{place}"]
    assert index.lookup(IPv4Address(0x08000000 + 66_000)) == ()
