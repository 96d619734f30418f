"""Every spelling is found at every place, across every border, and nothing is found that is not there."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import pickle
import random
import time
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.hunt.needles import Wanted, base64_within, dictionary, needles, weighty
from probes.fields.hunt.seam import Needle, Sighted
from probes.fields.hunt.search import Searcher, stands_alone

MAIL = b"Ada.Lovelace97@mail.example"
PHONE = b"+32 475 12 34 56"
ALL = [
    Wanted("canary", "email", MAIL, "email"),
    Wanted("truth", "contacts.phone", PHONE, "phone"),
    Wanted("truth", "iban", b"BE68 5390 0754 7034", "iban"),
    Wanted("canary", "name", "Renée d'Hondt & Zonen".encode(), "name"),
    Wanted("truth", "blob", bytes(range(120, 160)), "secret"),
]
SPELLINGS = needles(ALL)
SEARCHER = Searcher(SPELLINGS)


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def naive(data: bytes, sought: tuple[Needle, ...]) -> set[tuple[int, int]]:
    """The plain way, by `bytes.find`."""
    found = set()
    for index, needle in enumerate(sought):
        at = data.find(needle.content)
        while at >= 0:
            before, after = data[max(0, at - 1) : at], data[at + len(needle.content) :][:1]
            if not (stands_alone(needle) and (before.isalnum() or after.isalnum())):
                found.add((index, at))
            at = data.find(needle.content, at + 1)
    return found


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SPELLINGS) - 1), st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 64))
def test_every_spelling_is_found_at_any_place_and_across_chunks(
    index: int, before: bytes, after: bytes, size: int
) -> None:
    data = before + b"," + SPELLINGS[index].content + b"," + after
    seen = list(SEARCHER.raw(chunked(data, size)))
    assert Sighted(index, len(before) + 1) in seen
    assert {(each.needle, each.at) for each in seen} == naive(data, SPELLINGS)
    assert len(seen) == len(set(seen))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.none() | st.integers(0, len(SPELLINGS) - 1) | st.binary(max_size=12), max_size=9),
    st.integers(0, 4),
)
def test_every_spelling_is_found_in_its_row(cells: list[int | bytes | None], skip: int) -> None:
    values = [SPELLINGS[cell].content if isinstance(cell, int) else cell for cell in cells]
    array = pa.array(values, pa.large_binary()).slice(min(skip, len(values)))
    expected = {
        (index, row)
        for row, value in enumerate(array.to_pylist())
        if value is not None
        for index, _ in naive(value, SPELLINGS)
    }
    seen = SEARCHER.column(array)
    assert {(each.needle, each.at) for each in seen} == expected
    assert len(seen) == len(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=8, max_size=14), min_size=1, max_size=8), st.binary(max_size=300), st.data())
def test_any_needles_in_any_bytes(contents: list[bytes], filling: bytes, data: st.DataObject) -> None:
    sought = tuple(Needle("truth", "x", "base64", number, each) for number, each in enumerate(contents))
    chosen = data.draw(st.lists(st.sampled_from(contents), max_size=4))
    hay = filling + b"".join(chosen) + filling[: len(filling) // 2]
    found = {(each.needle, each.at) for each in Searcher(sought).raw(chunked(hay, data.draw(st.integers(1, 50))))}
    assert found == naive(hay, sought)


def test_a_value_does_not_reach_over_the_border_of_rows() -> None:
    array = pa.array([MAIL[:10].decode(), MAIL[10:].decode(), "", MAIL.decode()], pa.large_string())
    assert {each.at for each in SEARCHER.column(array)} == {3}


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()])
def test_columns_of_every_text_type(kind: pa.DataType) -> None:
    array = pa.array([None, MAIL.decode()], pa.large_string()).cast(kind)
    assert {each.at for each in SEARCHER.column(array)} == {1}


def test_nothing_to_look_for_and_nothing_to_look_through() -> None:
    assert Searcher(()).column(pa.array(["x"])) == ()
    assert list(Searcher(()).raw([MAIL])) == []
    assert SEARCHER.column(pa.nulls(3)) == ()
    assert SEARCHER.column(pa.array([], pa.large_string())) == ()
    assert list(SEARCHER.raw([])) == []
    with pytest.raises(TypeError):
        SEARCHER.column(pa.array([1]))
    with pytest.raises(ValueError, match="8 bytes"):
        Searcher([Needle("truth", "x", "raw", 0, b"short")])


def test_the_usual_ways_to_write_a_value_are_among_the_spellings() -> None:
    text = MAIL.decode()
    for written in (
        text.lower(),
        text.upper(),
        quote(text, safe=""),
        MAIL.hex(),
        MAIL.hex().upper(),
        text[::-1],
        "Ada.Lovelace97",
        hashlib.sha256(text.lower().encode()).hexdigest(),
        hashlib.md5(MAIL).hexdigest(),
        base64.b64encode(hashlib.sha512(MAIL).digest()).decode(),
        json.dumps({"x": text}),
        base64.b64encode(b"x" + MAIL + b"yz").decode(),
        base64.urlsafe_b64encode(b"{}" + MAIL).decode(),
    ):
        assert list(SEARCHER.raw([b"<" + written.encode() + b">"])), written
    for raw in (text.encode("utf-16-le"), text.encode("utf-16-be"), hashlib.sha1(MAIL.lower()).digest()):
        assert list(SEARCHER.raw([b"\xff\xff" + raw]))
    for phone in ("+32475123456", "0032475123456", "0475123456", "32475123456", "475123456"):
        assert list(SEARCHER.raw([b"tel:" + phone.encode()])), phone
    for name in (html.escape("Renée d'Hondt & Zonen"), "Ren\\u00e9e d'Hondt & Zonen", "Ren=C3=A9e d'Hondt & Zonen"):
        assert list(SEARCHER.raw([name.encode()])), name
    for iban in ("BE68539007547034", "be68539007547034", "BE68-5390-0754-7034"):
        assert list(SEARCHER.raw([iban.encode()])), iban


@given(st.binary(min_size=6, max_size=40), st.binary(max_size=9), st.binary(max_size=9))
def test_base64_alignments(content: bytes, before: bytes, after: bytes) -> None:
    whole = base64.b64encode(before + content + after)
    assert base64_within(content, len(before) % 3) in whole


def test_numbers_and_short_words_count_only_by_themselves() -> None:
    sought = needles([Wanted("truth", "id", b"123456789", "national-id"), Wanted("truth", "login", b"marieke77", "")])
    searcher = Searcher(sought)
    assert list(searcher.raw([b"0001234567890 xmarieke77 marieke771"])) == []
    assert len(list(searcher.raw([b"id=123456789, marieke77"]))) == 2
    assert len(list(searcher.raw([b"123456789", b" marieke77"]))) == 2
    assert list(searcher.raw([b"12345678", b"9", b"0"])) == []


def test_what_is_short_or_easily_there_by_chance_is_counted() -> None:
    wanted = [
        Wanted("truth", "x", value) for value in (b"", b"BE", b"Paris", b"aaaaaaaaaaaa", b"100000", b"0000000000")
    ]
    assert dictionary(wanted).short == 6
    assert dictionary(wanted).needles == ()
    assert not weighty(b"1234567")
    assert weighty(b"12345678")
    mixed = dictionary([*wanted, Wanted("truth", "x", b"Brussels-1000")])
    assert mixed.short == 6
    assert {needle.value for needle in mixed.needles} == {6}


def test_no_spelling_stands_twice_and_the_plainest_has_it() -> None:
    found = dictionary([Wanted("truth", "a", b"an.peeters@x.example"), Wanted("truth", "b", b"AN.PEETERS@x.example")])
    contents = [needle.content for needle in found.needles]
    assert len(contents) == len(set(contents))
    assert [n.encoding for n in found.needles if n.content == b"an.peeters@x.example"] == ["raw"]


def test_long_values_are_sought_by_their_beginning_and_hashes() -> None:
    text = " ".join(f"word{number}" for number in range(400)).encode()
    searcher = Searcher(needles([Wanted("truth", "notes", text)]))
    assert searcher.longest < 5_000
    assert list(searcher.raw([b"copy: " + text]))
    assert list(searcher.raw([hashlib.sha256(text).hexdigest().encode()]))


def test_values_stand_in_no_repr_and_searchers_travel() -> None:
    for shown in (repr(ALL), repr(SPELLINGS), repr(dictionary(ALL)), str(SEARCHER)):
        assert "lovelace" not in shown.lower()
    assert pickle.loads(pickle.dumps(SEARCHER)).column(pa.array([MAIL])) == SEARCHER.column(pa.array([MAIL]))


def test_values_that_share_most_of_their_bytes_do_not_slow_the_search() -> None:
    shared = "https://mail.example/very/long/path/that/all/of/them/share"
    sought = [
        Needle("truth", "url", "raw", number, f"{shared}?{number:07d}&{shared}{shared}&lang=en".encode())
        for number in range(3_000)
    ]
    searcher = Searcher(sought)
    near = f"{shared}?x&{shared}{shared}&lang=en\n".encode() * 5_000
    start = time.perf_counter()
    assert list(searcher.raw([near])) == []
    assert {each.needle for each in searcher.raw([near[:1000], sought[77].content, near])} == {77}
    assert time.perf_counter() - start < 5.0


def test_ten_thousand_literals_at_hundreds_of_megabytes_a_second() -> None:
    rng = random.Random(3)
    sought = [
        Needle("truth", "email", "raw", number, f"{rng.randbytes(4).hex()}{number}@mail.example".encode())
        for number in range(10_000)
    ]
    searcher = Searcher(sought)
    data = base64.b64encode(os.urandom(6 << 20)) * 4
    start = time.perf_counter()
    assert list(searcher.raw(chunked(data, 1 << 20))) == []
    assert len(data) / (time.perf_counter() - start) > 100e6  # 600e6 on a quiet machine
