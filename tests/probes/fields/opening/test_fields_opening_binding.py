"""What values are bound to, and the drawn rows that say so."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from fields_opening_stage import BOUND, Memory, rule
from hypothesis import given
from hypothesis import strategies as st

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.fields.formats import ciphers
from probes.fields.formats.seam import Parsed
from probes.fields.opening.associated import Made, associated_data, entries, esdk_context
from probes.fields.opening.binding import Binding, Bindings
from probes.fields.opening.rows import Row, read_rows
from probes.fields.scan.seam import Pick

ROWS: list[Mapping[str, str | None]] = [{"id": "c-0"}, {"id": "c-1"}]
OWN = {"record": "c-0", "table": "contacts"}
OTHER = {"record": "c-1", "table": "contacts"}
words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)


def test_the_entries_of_a_row() -> None:
    assert entries(rule(context=BOUND), {"id": "c-0"}) == OWN
    assert entries(rule(context=BOUND), {"id": None}) is None
    assert entries(rule(), {}) == {}


def test_the_ways_to_make_associated_data() -> None:
    made = {how: associated_data(rule(context=BOUND), OWN, how) for how in Made}
    assert made == {
        Made.NONE: b"",
        Made.JSON: b'{"record":"c-0","table":"contacts"}',
        Made.ESDK: b"\x00\x02\x00\x06record\x00\x03c-0\x00\x05table\x00\x08contacts",
        Made.PATH: b"email",
    }
    assert esdk_context({}) == b""


@given(st.dictionaries(words, words, max_size=4), st.dictionaries(words, words, max_size=4))
def test_no_two_contexts_share_their_bytes(one: dict[str, str], other: dict[str, str]) -> None:
    for how in (Made.JSON, Made.ESDK):
        same = associated_data(rule(), one, how) == associated_data(rule(), other, how)
        assert same is (one == other)
    assert json.loads(associated_data(rule(), one, Made.JSON)) == one


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (Binding(OWN), Binding(OTHER)),
        (Binding({"record": "c-0", "signer": "s"}), Binding({"record": "c-1", "signer": "s"})),
        (Binding({"table": "contacts"}), Binding({"table": "contacts-"})),
        (Binding({}), None),
        (Binding({}, b"email", how=Made.PATH), Binding({}, b"email-")),
    ],
)
def test_what_must_not_unwrap(sent: Binding, expected: Binding | None) -> None:
    assert Bindings(rule(context=BOUND), ROWS).other(sent, OWN) == expected


def test_without_another_row_nothing_is_swapped() -> None:
    alone = Bindings(rule(context=BOUND), ROWS[:1])
    parsed = Parsed("tink", "", 64, ciphers.UNSTATED)
    assert alone.other_row(OWN, parsed, Binding({}), b"") is None
    assert Bindings(rule(), ROWS).other_row({}, parsed, Binding({}), b"") is None
    assert Bindings(rule(context=BOUND), ROWS).other_row(None, parsed, Binding({}), b"") is None


def test_entries_that_are_not_shown_are_tried_beside_those_that_are() -> None:
    shown = Parsed("aws-esdk", "v2", 152, ciphers.UNSTATED, context=(("table", "contacts"),))
    ways = Bindings(rule(context=BOUND), ROWS).wrapped(OWN, shown)
    assert ways == (Binding({"table": "contacts"}), Binding(OWN, b"", {"record": "c-0"}))
    hidden = Parsed("tink", "", 64, ciphers.UNSTATED)
    assert Bindings(rule(context=BOUND), ROWS).wrapped(OWN, hidden) == (Binding({}),)


def test_text_that_is_no_utf_8_is_read_as_it_is() -> None:
    export = Memory({"id": [b"\xff"], "email": [b"\xfe\x00"]})
    pick = Pick("email", export.shard.name, 0, "")
    found = read_rows(export, [pick], {export.shard.name: export.shard}, {"email": ("id",)})
    assert found[pick] == Row(b"\xfe\x00", {"id": None})


def test_rows_are_found_in_every_batch_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    export = Memory({"id": [f"c-{row}" for row in range(10)], "email": [b"v%d" % row for row in range(10)]}, batch=3)
    picks = [Pick("email", export.shard.name, row, "") for row in (9, 0, 4, 5, 10)]
    shards = {export.shard.name: export.shard}
    found = read_rows(export, picks, shards, {"email": ("id", "more")})
    assert [row.value for pick in picks[:4] if isinstance(row := found[pick], Row)] == [b"v9", b"v0", b"v4", b"v5"]
    assert found[picks[2]] == Row(b"v4", {"id": "c-4", "more": None})
    gone = found[picks[4]]
    assert isinstance(gone, Unseen)
    assert gone.reason is Reason.CONFLICTING
    monkeypatch.setattr("probes.fields.opening.rows.HELD", 4)
    few = read_rows(export, picks, shards, {})
    assert sum(isinstance(row, Row) for row in few.values()) == 2
    assert {row.reason for row in few.values() if isinstance(row, Unseen)} == {Reason.NOT_COVERED, Reason.CONFLICTING}
