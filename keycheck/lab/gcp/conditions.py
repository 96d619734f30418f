"""The part of IAM's condition language (CEL) that the lab understands. What it does not understand grants nothing.

Understood: comparisons of `request.time` with `timestamp("…")`; `resource.name`, `resource.type` and
`resource.service` compared with a string by `==`, `!=`, `.startsWith(…)`, `.endsWith(…)`; `&&`; parentheses around
a whole term. Source: https://cloud.google.com/iam/docs/conditions-attribute-reference
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

_TIME: Final = re.compile(r"request\.time\s*(<=|>=|<|>|==|!=)\s*timestamp\(\s*(?:\"([^\"\\]*)\"|'([^'\\]*)')\s*\)")
_TEXT: Final = r"(?:\"([^\"\\]*)\"|'([^'\\]*)')"
_METHOD: Final = re.compile(rf"resource\.(name|type|service)\.(startsWith|endsWith)\(\s*{_TEXT}\s*\)")
_EQUAL: Final = re.compile(rf"resource\.(name|type|service)\s*(==|!=)\s*{_TEXT}")
_LONGEST: Final = 12_000
_COMPARE: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Context:
    """What a condition can see of a request. It never sees additional authenticated data."""

    now: datetime
    name: str
    type: str
    service: str


_Term = Callable[[Context], bool]


def holds(expression: str, context: Context) -> bool:
    """Whether the condition is met; False also for what the lab does not understand."""
    terms = _parsed(expression)
    return terms is not None and all(term(context) for term in terms)


@lru_cache(maxsize=1_000)
def _parsed(expression: str) -> tuple[_Term, ...] | None:
    if len(expression) > _LONGEST:
        return None
    terms = [_term(part) for part in expression.split("&&")]
    found = tuple(term for term in terms if term is not None)
    return found if len(found) == len(terms) else None


def _term(text: str) -> _Term | None:
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if match := _TIME.fullmatch(text):
        return _time(match[1], match[2] or match[3] or "")
    if match := _METHOD.fullmatch(text):
        return _method(match[1], match[2], match[3] or match[4] or "")
    if match := _EQUAL.fullmatch(text):
        wanted = match[3] or match[4] or ""
        name, equal = match[1], match[2] == "=="
        return lambda context: (_attribute(context, name) == wanted) == equal
    return None


def _time(sign: str, text: str) -> _Term | None:
    try:
        limit = datetime.fromisoformat(text)
    except ValueError:
        return None
    if limit.tzinfo is None:
        return None
    return lambda context: _COMPARE[sign](context.now, limit)


def _method(name: str, method: str, text: str) -> _Term:
    if method == "startsWith":
        return lambda context: _attribute(context, name).startswith(text)
    return lambda context: _attribute(context, name).endswith(text)


def _attribute(context: Context, name: str) -> str:
    match name:
        case "name":
            return context.name
        case "type":
            return context.type
        case _:
            return context.service
