"""The lab's own parser of hellos, against hand-built ones and noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab.hello import NotAHelloError, Unfinished, parse

CODES = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40)


@given(suites=CODES, groups=CODES, versions=CODES, name=st.sampled_from(["", "api.crm.example"]))
def test_what_is_offered_is_read(wire, suites, groups, versions, name):
    read = parse(wire.hello(suites=suites, groups=groups, versions=versions, name=name))
    assert read.suites == tuple(suites)
    assert read.groups == tuple(groups)
    assert read.versions == tuple(versions)
    assert read.server_name == name
    assert read.shares == ()
    assert read.speaks_tls_1_3 is (0x0304 in versions)


@given(cut=st.integers(0, 150), size=st.integers(1, 60))
def test_a_hello_may_come_in_pieces_and_in_many_records(wire, cut, size):
    whole = wire.hello(name="api.crm.example")
    with pytest.raises(Unfinished):
        parse(whole[:cut])
    message = whole[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    records = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    # Random and session are taken from the same bytes, so that both spellings are one hello.
    assert parse(records) == parse(whole)


@given(st.binary(max_size=400))
def test_noise_is_refused_or_awaited(data):
    for prefix in (b"", b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03", b"\x80\x20\x01\x00\x02"):
        try:
            parse(prefix + data)
        except (Unfinished, NotAHelloError):
            continue


def test_ssl_2(wire):
    read = parse(bytes.fromhex("8015010002000600000006010080030080") + bytes(6))
    assert read.ssl_2_form
    assert read.version == 2
    assert read.suites == (0x010080, 0x030080)
