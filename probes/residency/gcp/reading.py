"""Values out of Google's answers that the readers of AWS's answers do not know: times, numbers, what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from probes.clouds.aws.reading import Answer, MalformedError, children, exact, text_or_none, texts

_SHOWN: Final = 20
_EMPTY: Final = "NO_RESULTS_ON_PAGE"


def when(answer: Answer, name: str) -> datetime | None:
    """A time of RFC 3339 or, as BigQuery writes it, in milliseconds since 1970; None where it is left out."""
    told = text_or_none(answer, name)
    if not told:
        return None
    try:
        if told.isascii() and told.isdecimal() and len(told) <= 15:
            return datetime.fromtimestamp(int(told) / 1000, UTC)
        moment = datetime.fromisoformat(told)
        if moment.tzinfo is None:
            raise MalformedError(f"{name} is a time of no zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{name} is no time") from error


def number(answer: Answer, name: str) -> int | None:
    """A whole number from 0, written as a number or as text; None where it is left out."""
    value = answer.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError(f"{name} is no count")
    return value


def spread(answer: Answer, member: str) -> tuple[Answer, ...]:
    items = answer.get("items")
    if items is None:
        return ()
    if not isinstance(items, dict) or len(items) > 1000:
        raise MalformedError("items is no map of locations")
    found: list[Answer] = []
    for scoped in items.values():
        if not isinstance(scoped, dict):
            raise MalformedError("items is no map of locations")
        found += children(scoped, member)
    return tuple(found)


def left_out(answer: Answer) -> Iterator[str]:
    """Places that a service says it could not reach (`unreachable`, `unreachables`), and what it warns of: Cloud SQL
    of regions that do not answer, Compute Engine of zones."""
    for name in ("unreachable", "unreachables"):
        yield from texts(answer, name)[:_SHOWN]
    for each in children(answer, "warnings")[:_SHOWN]:
        yield f"{text_or_none(each, 'code') or 'a warning'} {text_or_none(each, 'region') or ''}".strip()
    alone = answer.get("warning")
    if isinstance(alone, dict):
        code = exact("code", alone.get("code"))
        if code != _EMPTY:
            yield code
    items = answer.get("items")
    for where, scoped in list(items.items())[:1000] if isinstance(items, dict) else ():
        warned = scoped.get("warning") if isinstance(scoped, dict) else None
        if isinstance(warned, dict) and warned.get("code") != _EMPTY:
            yield f"{where}: {exact('code', warned.get('code'))}"
