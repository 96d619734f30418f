"""A roster as rows of a table: JSON, CSV or the tables of an HTML page. A stranger's: bounded, and nothing is run."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final, Literal, TypeAlias

MAX_BYTES: Final = 1 << 23
MAX_ROWS: Final = 2000
_MAX_DEPTH: Final = 20
_MAX_CELLS: Final = 200_000
_MAX_TORN: Final = 20

Format: TypeAlias = Literal["json", "csv", "html"]
Row: TypeAlias = Mapping[str, str]
"""Column headings, folded, and what stands there."""


class RosterError(Exception):
    """A roster that cannot be read; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Table:
    """What was read."""

    format: Format
    rows: tuple[Row, ...]
    left_out: int
    """Rows that are not like the others."""


def read(content: bytes) -> Table:
    """The roster in a file, by its own look. Raises RosterError."""
    if len(content) > MAX_BYTES:
        raise RosterError(f"is larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RosterError("is not UTF-8 text") from None
    head = text.lstrip()[:200].lower()
    if head.startswith(("{", "[")):
        return _json(text)
    if head.startswith("<") or "<table" in text.lower():
        return _html(text)
    return _csv(text)


def folded(name: str) -> str:
    """A heading as it is compared."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    shown = "".join(char for char in plain if not unicodedata.combining(char) and unicodedata.category(char) != "Cf")
    return re.sub(r"[\W_]+", " ", shown).strip()


def _json(text: str) -> Table:
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise RosterError("begins as JSON and is none, or has a name twice in one object") from None
    found = [value] if isinstance(value, list) else list(value.values())
    lists = [one for one in found if isinstance(one, list) and any(isinstance(row, dict) for row in one)]
    if len(lists) != 1:
        raise RosterError("is JSON without one list of parties: write a list of objects")
    rows = [_row((str(name), _cell(cell)) for name, cell in row.items()) for row in lists[0] if isinstance(row, dict)]
    elsewhere = sum(isinstance(one, list | dict) and bool(one) for one in found) - 1
    return _table("json", rows, len(lists[0]) - len(rows) + elsewhere)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _cell(value: object, depth: int = 0) -> str:
    if depth > _MAX_DEPTH:
        raise RosterError(f"is nested deeper than {_MAX_DEPTH}")
    if isinstance(value, list):
        return ", ".join(_cell(one, depth + 1) for one in value)
    if isinstance(value, dict):
        return ", ".join(_cell(one, depth + 1) for one in value.values())
    return "" if value is None else str(value)


def _row(cells: Iterable[tuple[str, str]]) -> Row:
    """Columns that are called alike count together: none of them hides another."""
    found: dict[str, str] = {}
    for name, cell in cells:
        key = folded(name)
        found[key] = "; ".join(dict.fromkeys(filter(None, (found.get(key, ""), cell.strip()))))
    return found


def _csv(text: str) -> Table:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(line)]
    except csv.Error:
        raise RosterError("is no CSV: a quote is not closed") from None
    return _with_heading("csv", [lines])


def _html(text: str) -> Table:
    parser = _Tables()
    parser.feed(text)
    parser.close()
    if parser.overfull:
        raise RosterError(f"has more than {_MAX_CELLS} cells")
    alone = sum(len(table) == 1 for table in parser.tables)
    return _with_heading("html", [table for table in parser.tables if len(table) > 1], alone)


def _with_heading(form: Format, tables: Iterable[Sequence[Sequence[str]]], left_out: int = 0) -> Table:
    rows: list[Row] = []
    for table in tables:
        if not table:
            continue
        heading = table[0]
        for line in table[1:]:
            if len(line) != len(heading):
                left_out += 1
            else:
                rows.append(_row(zip(heading, line, strict=True)))
    return _table(form, rows, left_out)


def _table(form: Format, rows: Sequence[Row], left_out: int) -> Table:
    if len(rows) > MAX_ROWS:
        raise RosterError(f"lists more than {MAX_ROWS} parties")
    if not rows:
        raise RosterError("holds no table of parties: save the page that lists them, or write a CSV with a heading")
    return Table(form, tuple(rows), left_out)


class _Tables(HTMLParser):
    """The cells of all tables; of tables within tables, the inner ones stand for themselves."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self.overfull = False
        self._open: list[list[list[str]]] = []
        self._cells = 0
        self._cell: list[str] | None = None
        self._hidden = 0
        self._torn = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "template"):
            self._hidden += 1
        elif tag == "table":
            self._close_cell()
            self._open.append([])
        elif tag == "tr" and self._open:
            self._close_cell()
            self._open[-1].append([])
        elif tag in ("td", "th") and self._open and self._open[-1]:
            self._close_cell()
            self._cell = []
            self._cells += 1
            self.overfull |= self._cells > _MAX_CELLS
        elif tag in ("br", "p", "li", "div") and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "template"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in ("td", "th", "tr"):
            self._close_cell()
        elif tag == "table" and self._open:
            self._close_cell()
            self.tables.append([row for row in self._open.pop() if row])

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden and not self.overfull:
            self._cell.append(data)

    # The library's parser looks through all that is left for the end of each tag or comment: for many without an end
    # that takes the square of their number.

    def parse_starttag(self, i: int) -> int:
        return self._whole(super().parse_starttag(i))

    def parse_endtag(self, i: int) -> int:
        return self._whole(super().parse_endtag(i))

    def parse_comment(self, i: int, report: bool = True) -> int:
        return self._whole(super().parse_comment(i, report))

    def parse_html_declaration(self, i: int) -> int:
        return self._whole(super().parse_html_declaration(i))

    def parse_pi(self, i: int) -> int:
        return self._whole(super().parse_pi(i))

    def _whole(self, end: int) -> int:
        self._torn += end < 0
        if self._torn > _MAX_TORN:
            raise RosterError(f"has more than {_MAX_TORN} tags or comments without an end")
        return end

    def close(self) -> None:
        super().close()
        self._close_cell()
        while self._open:  # a page that ends in a table
            self.tables.append([row for row in self._open.pop() if row])

    def _close_cell(self) -> None:
        if self._cell is not None and self._open and self._open[-1]:
            self._open[-1][-1].append(" ".join("".join(self._cell).split()))
        self._cell = None
