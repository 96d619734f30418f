"""A page of tags without an end is refused at once."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from probes.residency.rosters.tables import RosterError, read

PAGE = "<table><tr><th>Name<th>Country<tr><td>A<td>Germany</table>"


@pytest.mark.parametrize("piece", ["<a ", "<a b='", "<!--", "<table><!-- x -- ", "</a ", "<?x "])
@pytest.mark.parametrize("end", ["", ">"])
def test_tags_without_an_end_take_no_long_time(piece: str, end: str) -> None:
    started = time.monotonic()
    with suppress(RosterError):
        read((PAGE + piece * 30_000 + end).encode())
    assert time.monotonic() - started < 5


def test_a_page_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    assert len(read((PAGE + "<div class='x").encode()).rows) == 1
