"""Values out of an answer, typed: the SDK hands on whatever JSON came, so every field is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeAlias

from pydantic import ValidationError

from keycheck.canonical import MAX_INTEGER
from keycheck.errors import ProbeError
from keycheck.model.types import TEXT_LIMIT
from keycheck.model.verdict import Reason

Answer: TypeAlias = Mapping[str, object]

MAX_MEMBERS: Final = 1000
"""Of one list inside an answer; pages are asked for with fewer."""


class MalformedError(ValueError):
    """A field that is missing, of another type, or out of bounds. The message names it and never its value."""


def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The members of a JSON object, as a hook. Raises MalformedError for a name twice: readers differ about which
    counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedError("the same key twice")
    return made


@contextmanager
def parsing(operation: str) -> Iterator[None]:
    """Around everything that turns an answer into facts. Raises ProbeError(malformed)."""
    try:
        yield
    except MalformedError as error:
        raise ProbeError(Reason.MALFORMED, f"{operation}: {error}") from error
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
        raise ProbeError(Reason.MALFORMED, f"{operation}: a value that facts cannot hold, at {place}") from error


def exact(name: str, value: object, limit: int = TEXT_LIMIT) -> str:
    """Text that is compared later, so that nothing may be cut off it or escaped in it."""
    if not isinstance(value, str):
        raise MalformedError(f"{name} is no text")
    if len(value) > limit:
        raise MalformedError(f"{name} is longer than {limit} characters")
    if not value.isprintable():
        raise MalformedError(f"{name} holds control characters")
    return value


def text(answer: Answer, name: str) -> str:
    """A text that must be there."""
    value = exact(name, answer.get(name))
    if not value:
        raise MalformedError(f"{name} is empty")
    return value


def text_or_none(answer: Answer, name: str) -> str | None:
    """A text, or None when it is left out."""
    value = answer.get(name)
    return None if value is None else exact(name, value)


def texts(answer: Answer, name: str) -> tuple[str, ...]:
    """A list of texts; empty when it is left out."""
    value = answer.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_MEMBERS:
        raise MalformedError(f"{name} is no list of at most {MAX_MEMBERS}")
    return tuple(exact(name, item) for item in value)


def flag(answer: Answer, name: str, default: bool | None = None) -> bool:
    """True or false; `default`, if there is one, when it is left out."""
    value = answer.get(name, default)
    if not isinstance(value, bool):
        raise MalformedError(f"{name} is neither true nor false")
    return value


def count_or_none(answer: Answer, name: str) -> int | None:
    """A whole number from 0, or None when it is left out."""
    value = answer.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise MalformedError(f"{name} is no count")
    return value


def instant(answer: Answer, name: str) -> datetime:
    """A time that must be there."""
    value = instant_or_none(answer, name)
    if value is None:
        raise MalformedError(f"{name} is missing")
    return value


def instant_or_none(answer: Answer, name: str) -> datetime | None:
    """A time in UTC, or None when it is left out."""
    value = answer.get(name)
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise MalformedError(f"{name} is no time")
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise MalformedError(f"{name} is no time of our era") from error


def child(answer: Answer, name: str) -> Answer:
    """A structure that must be there."""
    value = child_or_none(answer, name)
    if value is None:
        raise MalformedError(f"{name} is missing")
    return value


def child_or_none(answer: Answer, name: str) -> Answer | None:
    """A structure, or None when it is left out."""
    value = answer.get(name)
    return None if value is None else structure(name, value)


def children(answer: Answer, name: str, *, required: bool = False) -> tuple[Answer, ...]:
    """A list of structures; empty when it is left out and not `required`."""
    value = answer.get(name)
    if value is None and not required:
        return ()
    if not isinstance(value, list) or len(value) > MAX_MEMBERS:
        raise MalformedError(f"{name} is no list of at most {MAX_MEMBERS}")
    return tuple(structure(name, item) for item in value)


def pairs(answer: Answer, name: str) -> tuple[tuple[str, str], ...]:
    """A mapping of texts, sorted; empty when it is left out."""
    value = child_or_none(answer, name) or {}
    if len(value) > MAX_MEMBERS:
        raise MalformedError(f"{name} has too many members")
    return tuple(sorted((exact(name, key), exact(name, item)) for key, item in value.items()))


def structure(name: str, value: object) -> Answer:
    """A mapping with names as keys."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MalformedError(f"{name} is no structure")
    return value
