"""Answers of name servers as bytes: read or refused, whatever they are, and never believed about other names."""

from __future__ import annotations

import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from residency_stage import reply

from probes.residency.endpoint.dns_message import (
    MAX_ALIASES,
    Answered,
    Question,
    Unusable,
    is_answer,
    is_truncated,
    question,
    read,
)

ASKED = question("api.vendor.test", "A", None, True, b"\x12\x34")
GOOD = reply(
    dns.message.from_wire(ASKED.wire), "api.vendor.test. 300 IN CNAME a.test.", "a.test. 60 IN A 192.0.2.1"
).to_wire()
LABELS = st.sampled_from(("api.vendor.test", "a.test", "b.test", "c.test", "x.api.vendor.test", "test"))


def understood(data: bytes, asked: Question = ASKED) -> Answered | Unusable | None:
    if is_answer(data, asked) is not None:
        return None
    is_truncated(data)
    return read(data, asked)


def test_the_good_one() -> None:
    found = understood(GOOD)
    assert isinstance(found, Answered)
    assert (found.chain, found.addresses, found.ttl) == (("api.vendor.test", "a.test"), ("192.0.2.1",), 60)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    understood(data)
    understood(ASKED.ident + data)
    understood(GOOD[:12] + data)
    understood(GOOD[: len(ASKED.wire) - 11] + data)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    found = understood(bytes(data))
    if isinstance(found, Answered):
        assert found.chain[0] == "api.vendor.test"
        assert len(found.chain) == len(set(found.chain)) <= MAX_ALIASES + 1


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(LABELS, st.just("CNAME"), LABELS.map(lambda name: name + ".")),
            st.tuples(LABELS, st.just("A"), st.sampled_from(("192.0.2.1", "192.0.2.2"))),
            st.tuples(LABELS, st.just("TXT"), st.just("x")),
            st.tuples(LABELS, st.just("DNAME"), LABELS.map(lambda name: name + ".")),
        ),
        max_size=6,
    )
)
def test_a_chain_holds_what_was_told_and_nothing_else(records: list[tuple[str, str, str]]) -> None:
    message = reply(dns.message.from_wire(ASKED.wire))
    for name, kind, value in records:
        message.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, value))
    found = understood(message.to_wire())
    assert found is not None
    if isinstance(found, Answered):
        aliases = {(name, value.rstrip(".")) for name, kind, value in records if kind == "CNAME"}
        assert set(zip(found.chain, found.chain[1:], strict=False)) <= aliases
        ends = {value for name, kind, value in records if kind == "A" and name == found.chain[-1]}
        assert set(found.addresses) == ends
        assert {name for name, kind, _ in records if kind in ("A", "CNAME")} <= set(found.chain)


def test_a_dname_above_the_name_is_no_stranger() -> None:
    asked = question("a.b.test", "A", None, True, b"\0\1")
    message = reply(
        dns.message.from_wire(asked.wire),
        "b.test. 60 IN DNAME c.test.",
        "a.b.test. 60 IN CNAME a.c.test.",
        "a.c.test. 60 IN A 192.0.2.1",
    )
    found = understood(message.to_wire(), asked)
    assert isinstance(found, Answered)
    assert found.chain == ("a.b.test", "a.c.test")


@pytest.mark.parametrize("name", ["x" * 64 + ".test", "a..test", ".".join(["a" * 60] * 5)])
def test_names_that_cannot_be_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        question(name, "A", None, True, b"\0\0")


def test_an_error_may_come_without_the_question() -> None:
    bare = ASKED.ident + b"\x81\x02" + bytes(8)
    found = understood(bare)
    assert isinstance(found, Unusable)
    assert found.detail == "SERVFAIL"
    assert is_answer(ASKED.ident + b"\x81\x00" + bytes(8), ASKED) is not None
