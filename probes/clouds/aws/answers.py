"""What AWS answered, kept beside the facts: one canonical JSON object per call, without headers, tokens and secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from keycheck.canonical import MAX_INTEGER, Jsonable, dumps, spliced
from keycheck.model.observation import Blob
from keycheck.model.types import format_instant, vendor_text

_LEFT_OUT: Final = frozenset({"ResponseMetadata", "NextMarker", "NextToken", "Marker", "AccessKeyId", "Metadata"})
"""Headers, page tokens, the key id that AWS calls an external key store's proxy with, and what users wrote on their
objects in S3."""
_APART: Final = frozenset({"Policy"})
"""Kept as a blob of its own."""
_DEPTH: Final = 12
_TEXT: Final = 20_000
MAX_KEPT: Final = 8 * 2**20
"""Bytes of all calls together; what exceeds them is counted."""


class Answers:
    """The calls of one unit of work, in order. One thread's own."""

    def __init__(self) -> None:
        self._calls: list[bytes] = []
        self._size = 0
        self._dropped = 0

    def add(
        self, operation: str, endpoint: str, asked: Mapping[str, object], answer: Mapping[str, object] | str
    ) -> None:
        """One call; `answer` is the name of the error when there was one."""
        outcome: dict[str, Jsonable] = (
            {"error": vendor_text(answer)} if isinstance(answer, str) else {"answer": _plain(answer, _DEPTH)}
        )
        self._keep(
            dumps(
                {"operation": operation, "endpoint": vendor_text(endpoint), "asked": _plain(asked, _DEPTH), **outcome}
            )
        )

    def extend(self, other: Answers) -> None:
        """The calls of another: what was asked once for many keys stands beside each of them."""
        for call in other._calls:
            self._keep(call)
        self._dropped += other._dropped

    def any(self) -> bool:
        """Whether anything was asked at all."""
        return bool(self._calls or self._dropped)

    def blob(self) -> Blob:
        """All of it, as `answers`."""
        outer = dumps({"calls": None, "dropped": self._dropped})
        members = (b"[", b",".join(self._calls), b"]")
        return Blob("answers", spliced(outer, "calls", members), "application/json")

    def _keep(self, call: bytes) -> None:
        if self._size + len(call) > MAX_KEPT:
            self._dropped += 1
            return
        self._size += len(call)
        self._calls.append(call)


def _plain(value: object, room: int) -> Jsonable:
    if room == 0:
        return "…"
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= MAX_INTEGER else str(value)
        case str():
            return vendor_text(value, _TEXT)
        case datetime():
            return _time(value)
        case dict() | Mapping():
            members = {str(key): item for key, item in value.items() if key not in _LEFT_OUT}
            if all(key.isascii() for key in members):
                return {
                    key: _digest(item) if key in _APART else _plain(item, room - 1) for key, item in members.items()
                }
            # Evidence has ASCII keys: a mapping of foreign text becomes a list of pairs.
            return [[vendor_text(key), _plain(item, room - 1)] for key, item in sorted(members.items())]
        case list() | tuple():
            return [_plain(item, room - 1) for item in value]
        case _:
            return vendor_text(str(value), _TEXT)


def _digest(value: object) -> Jsonable:
    return {"sha256": hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).hexdigest()}


def _time(value: datetime) -> str:
    try:
        return format_instant(value.astimezone(UTC))
    except (OverflowError, ValueError):
        return "no time of our era"
