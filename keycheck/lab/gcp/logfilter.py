"""The part of Cloud Logging's query language that the lab understands: comparisons joined by AND.

`field = value`, `!=`, `:` (has), `<`, `<=`, `>`, `>=`, and `field = ("a" OR "b")`. Anything else is refused, so that a
test never reads more out of a filter than was evaluated.
Source: https://cloud.google.com/logging/docs/view/logging-query-language
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keycheck.lab.gcp.errors import ApiError, invalid

_VALUE: Final = r'"(?:[^"\\]|\\.)*"|[^\s()"=~<>!:][^\s()"]*'
_TERM: Final = re.compile(
    rf"\s*(?P<field>[A-Za-z][A-Za-z0-9_.]*)\s*(?P<sign><=|>=|!=|=|:|<|>)\s*"
    rf"(?:(?P<one>{_VALUE})|\(\s*(?P<many>(?:{_VALUE})(?:\s+OR\s+(?:{_VALUE}))*)\s*\))\s*"
)
_JOIN: Final = re.compile(r"\s*AND\s+|\s*\n\s*")
_LONGEST: Final = 20_000
_ORDER: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison."""

    field: str
    sign: str
    values: tuple[str, ...]


def parsed(text: str) -> tuple[Term, ...]:
    """Terms that must all hold. Raises INVALID_ARGUMENT."""
    if len(text) > _LONGEST:
        raise invalid("The filter is too long.")
    terms: list[Term] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise _unparseable(text)
        raw = [match["one"]] if match["one"] is not None else re.findall(_VALUE, match["many"])
        values = tuple(_plain(value) for value in raw if value != "OR")
        terms.append(_checked(Term(match["field"], match["sign"], values), text))
        at = match.end()
        if at >= len(text):
            break
        # a line break joins as AND does; the term's own match may have eaten it
        join = _JOIN.match(text, at)
        if join is not None:
            at = join.end()
        elif "\n" not in match[0]:
            raise _unparseable(text)
    return tuple(terms)


def matches(terms: tuple[Term, ...], fields: Mapping[str, str], at: datetime) -> bool:
    """Whether an entry with these fields and this time satisfies all terms."""
    return all(_holds(term, fields, at) for term in terms)


def excludes(terms: tuple[Term, ...], log_name: str) -> bool:
    """Whether the filter alone rules out the entries of a log."""
    fields = {"logName": log_name}
    return any(term.field == "logName" and not _compares(term, fields) for term in terms)


def _holds(term: Term, fields: Mapping[str, str], at: datetime) -> bool:
    if term.field == "timestamp":
        return _ORDER[term.sign](at, datetime.fromisoformat(term.values[0]))
    return _compares(term, fields)


def _compares(term: Term, fields: Mapping[str, str]) -> bool:
    value = fields.get(term.field, "")
    match term.sign:
        case "=":
            return value in term.values
        case "!=":
            return value not in term.values
        case _:
            return any(wanted.lower() in value.lower() for wanted in term.values)


def _checked(term: Term, text: str) -> Term:
    if term.field == "timestamp":
        try:
            aware = datetime.fromisoformat(term.values[0]).tzinfo is not None
        except ValueError:
            aware = False
        if not aware or term.sign not in _ORDER or len(term.values) != 1:
            raise _unparseable(text)
    elif term.sign not in ("=", "!=", ":"):
        raise _unparseable(text)
    return term


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _unparseable(text: str) -> ApiError:
    return invalid(f"Unparseable filter: the lab understands comparisons joined by AND ({len(text)} characters).")
