"""Logs: one line out for each line in, whatever is in it, in bounded memory."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_ranges import imports

from probes.residency.ranges import flow
from probes.residency.ranges.flow import MAX_LINE, FlowLog
from probes.residency.ranges.index import Index
from probes.residency.ranges.table import table_of
from probes.residency.ranges.wording import CSV_HEADER, Style

INDEX = Index(
    table_of([imports("aws", {"3.0.0.0/8": "home", "2a05::/16": "six"}), imports("gcp", {"3.1.0.0/16": "west"})])
)


class Drip(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._most = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self._most)


def said(
    data: bytes, style: Style = "text", column: int | None = None, drip: int = 1 << 20
) -> tuple[list[str], FlowLog]:
    log, out = FlowLog(INDEX, style, column), io.BytesIO()
    log.run(Drip(data, drip), out)
    lines = out.getvalue().decode().split("\n")
    assert lines.pop() == ""
    return lines, log


def regions(data: bytes, column: int | None = None) -> list[str]:
    lines, _ = said(data, "csv", column)
    return [row["region"] if row["status"] != "malformed" else "!" for row in csv.DictReader([CSV_HEADER, *lines])]


def test_the_first_column_with_an_address_is_that_of_every_line() -> None:
    log = b"src dst\n2 eni-1 3.2.2.2 9.9.9.9\n2 eni-1 - 3.1.1.1\n2 eni-1 9.9.9.9 3.1.1.1\n"
    assert regions(log) == ["!", "home", "!", ""]
    assert regions(log, column=4) == ["!", "", "home|west", "home|west"]
    assert regions(log, column=7) == ["!"] * 4


@pytest.mark.parametrize(
    "log",
    [
        *(b"a,3.2.2.2,b\n", b'"x y","3.2.2.2","z"\n', b"a\t3.2.2.2\n", b"a;b c;3.2.2.2\r\n", b"3.2.2.2\r\n"),
        *(b"10:11:12 3.2.2.2:443 x\n", b"t [::ffff:3.2.2.2]:443\n", b"x|3.2.2.2|y\n", b"3.2.2.2, 9.9.9.9\n"),
        *(b"\xff\xfe 3.2.2.2\n", b"  3.2.2.2  \n", b"3.2.2.2"),
    ],
)  # fmt: skip
def test_columns_are_parted_as_logs_part_them(log: bytes) -> None:
    assert regions(log) == ["home"]
    assert regions(log * 3 if log.endswith(b"\n") else log + b"\n" + log) == ["home"] * (
        3 if log.endswith(b"\n") else 2
    )


def test_both_families_mix() -> None:
    assert regions(b"3.2.2.2\n2a05::1\n[2a05::2]:80\n2a05::1%eth0\n9.9.9.9\n3.2.2.2/32\n") == [
        "home",
        "six",
        "six",
        "!",
        "",
        "!",
    ]


def test_empty_lines_are_lines_and_an_empty_log_has_none() -> None:
    assert regions(b"\n\n3.2.2.2\n\n") == ["!", "!", "home", "!"]
    assert said(b"")[0] == []


@pytest.mark.parametrize("drip", [1, 7, 1000, 1 << 20])
def test_blocks_change_nothing_even_within_lines_that_are_too_long(drip: int) -> None:
    size = MAX_LINE + 1 if drip > 7 else 10
    lines = [b"a 3.2.2.2 " + b"x" * 50, b"a 3.2.2.2 " + b"y" * size, b"a 2a05::1", b"z" * size * 2, b"a 3.1.1.1"]
    log = b"\n".join(lines)
    assert said(log, drip=drip)[0] == said(log)[0]
    if drip > 7:
        assert regions(log) == ["home", "!", "six", "!", "home|west"]


def test_counts_are_of_lines() -> None:
    _, log = said(b"3.2.2.2\nx\n9.9.9.9\n2a06::1\n3.2.2.2\n")
    assert (log.counts.lines, log.counts.malformed, log.counts.no_source) == (5, 1, 2)
    _, quick = said(b"3.2.2.2\n9.9.9.9\n9.9.9.9\n")
    assert (quick.counts.lines, quick.counts.malformed, quick.counts.no_source) == (3, 0, 2)


LINES = st.lists(
    st.one_of(
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
        st.sampled_from(
            [b"1 3.2.2.2 x", b"1 2a05::1 x", b"1,3.2.2.2", b"=cmd()", b"\x1b[31m 3.2.2.2", b"1 9.9.9.9", b"::"]
        ),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["text", "json", "csv"]), st.none() | st.integers(1, 3), st.integers(1, 40))
def test_any_log_gives_a_line_for_a_line_and_repeats_nothing_but_addresses(
    lines: list[bytes], style: Style, column: int | None, drip: int
) -> None:
    out, log = said(b"\n".join([*lines, b""]), style, column, drip)
    assert len(out) == len(lines) == log.counts.lines
    marked = sum("malformed" in line or "no address" in line for line in out)
    assert marked == log.counts.malformed
    for line in out:
        assert line.isascii()
        assert line.replace("\t", "").isprintable()
        if style == "json":
            told = json.loads(line)
            assert told["address"] is None or INDEX.lookup(told["address"]) is not None
        if style == "csv":
            assert len(line.split(",")) == len(CSV_HEADER.split(","))


def test_memory_is_bounded_by_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(flow, "BLOCK", 1 << 16)

    class Endless(io.RawIOBase):
        left = 6_000_000

        def read1(self, size: int, /) -> bytes:
            Endless.left -= size
            return (
                (b"x" * size if Endless.left > 4_000_000 else b"a 3.2.2.2 b\n" * (size // 12))
                if Endless.left > 0
                else b""
            )

    class Sink(io.BytesIO):
        def write(self, data: object, /) -> int:
            return 0

    log = FlowLog(INDEX, "text")
    tracemalloc.start()
    log.run(Endless(), Sink())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert log.counts.lines > 300_000
    assert log.counts.malformed == 1
    assert peak < 4 << 20
