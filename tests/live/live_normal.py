"""Answers of a cloud without what is particular to one account and one run: shapes, states and words stay.

The rule is a list of what may stay, not of what must go: a text stays only where its field is known to hold one of
the cloud's own words. Identifiers become placeholders that are numbered as they appear, octets their length, times
how many days away they are.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | bool | None"
"""JSON without fractions."""

_SHORTEST_SECRET: Final = 6
_ANY_LENGTH: Final = frozenset({"ImportToken", "content", "etag"})
"""Octets whose length nobody promises."""
_SCRUBS: Final = (
    (re.compile(r"_withcond_[0-9a-f]+"), "_withcond_<id>"),
    (re.compile(r"\bprojects/\d{6,}"), "projects/<project>"),
    (re.compile(r"arn:[a-z-]+:(?:iam|sts)::(?:\d{12}|<account>):(?!root\b)[A-Za-z0-9_+=,.@/<>:-]+"), "<principal>"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), "<principal>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "<address>"),
    (re.compile(r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{1,4}:{1,2}){3,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])"), "<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?"), "<time>"),
    (re.compile(r"\b(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "<id>"),
    (re.compile(r"(?<![0-9.])\d{12}(?![0-9])"), "<account>"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), "<access-key>"),
    (re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{60,}={0,2}"), "<base64>"),
)  # fmt: skip


def words(text: str) -> frozenset[str]:
    """Names separated by blanks."""
    return frozenset(text.split())


class Word(str):
    """One of the cloud's own words, such as the name of a state: stays as it is."""

    __slots__ = ()


class LeakError(Exception):
    """Something of the account or of the run would have been written down. The text names no value."""


class Symbols:
    """Which placeholder stands for which value of this run, and what must never be written."""

    def __init__(self, started: datetime) -> None:
        self._started = started
        self._names: dict[str, str] = {}
        self._numbered: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._secrets: set[str] = set()

    def fixed(self, value: str, placeholder: str) -> None:
        """A value with a placeholder of its own, such as the account."""
        if value:
            self._names.setdefault(value, placeholder)
            self.secret(value)

    def public(self, value: str, placeholder: str) -> None:
        """As `fixed`, for what differs between runs and is no secret, such as the region."""
        if value:
            self._names.setdefault(value, placeholder)

    def numbered(self, kind: str, value: str) -> str:
        """The placeholder of an identifier, `<key-1>`; a new one where it was not seen before."""
        if value not in self._numbered:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._numbered[value] = f"<{kind}-{self._counts[kind]}>"
            self.secret(value)
        return self._numbered[value]

    def chapter(self) -> None:
        """Begin to count anew, so that what is written of a case does not depend on the cases before it."""
        self._numbered.clear()
        self._counts.clear()

    def secret(self, value: str | bytes) -> None:
        """Never to be written, in any of the usual spellings."""
        if isinstance(value, str):
            if len(value) >= _SHORTEST_SECRET:
                self._secrets.add(value)
        elif len(value) >= _SHORTEST_SECRET:
            head = value[:24]
            self._secrets |= {head.hex(), base64.b64encode(head[: len(head) // 3 * 3]).decode()}

    def substituted(self, text: str) -> str:
        """The text with every known value replaced, the longest first, and what looks like one."""
        names = {**self._names, **self._numbered}
        for value in sorted(names, key=len, reverse=True):
            text = text.replace(value, names[value])
        for pattern, placeholder in _SCRUBS:
            text = pattern.sub(placeholder, text)
        return text

    def time(self, value: datetime) -> str:
        """How many days after the start of the run."""
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        days = round((at - self._started).total_seconds() / 86_400)
        return f"<time {days:+d}d>" if days else "<time>"

    def check(self, document: str) -> None:
        """Raise LeakError where the document holds what must not be in it."""
        found = sum(1 for secret in self._secrets if secret in document)
        if found:
            raise LeakError(f"{found} values of this account or run are in the recording: it is not written")


TextRule: TypeAlias = Callable[[str, str], str]
"""(name of the field, text) -> what may be written of it."""


def asked(value: object, symbols: Symbols) -> Plain:
    """A request of ours: its texts are known, so that they stay but for known values."""
    return _walk(value, "", symbols, lambda _, text: symbols.substituted(text), sealed=True)


def answered(value: object, symbols: Symbols, rule: TextRule) -> Plain:
    """An answer of the cloud: texts as the rule says."""
    return _walk(value, "", symbols, rule, sealed=True)


def policy(text: str, symbols: Symbols) -> Plain:
    """A policy document, parsed; `<text>` where it is no JSON."""
    try:
        document = json.loads(text)
    except ValueError:
        return "<text>"
    return _walk(document, "", symbols, lambda _, each: symbols.substituted(each), sealed=False)


def _walk(value: object, name: str, symbols: Symbols, rule: TextRule, *, sealed: bool) -> Plain:
    match value:
        case None | bool() | int():
            return value
        case float():
            return int(value) if value.is_integer() else str(value)
        case Word():
            return str(value)
        case str():
            if sealed and name == "Policy":
                return policy(value, symbols)
            return rule(name, value)
        case bytes():
            symbols.secret(value)
            return "<octets>" if name in _ANY_LENGTH else f"<{len(value)} bytes>"
        case datetime():
            return symbols.time(value)
        case Mapping():
            return {
                symbols.substituted(str(key)): _walk(item, str(key), symbols, rule, sealed=sealed)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_walk(item, name, symbols, rule, sealed=sealed) for item in value]
        case _:
            return f"<{type(value).__name__}>"
