"""JSON from strangers: bounded, every name once, and of the shape that is expected, or a RangesError. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final, NoReturn

from keycheck.model.types import vendor_text
from probes.residency.ranges.seam import RangesError

MAX_BYTES: Final = 64 << 20
GET_AGAIN: Final = (
    "the file is another source's, damaged or truncated: check the source that you named, or get the file again from "
    "the provider"
)


def text_of(data: bytes) -> str:
    """UTF-8, with or without a byte order mark, without NUL. Raises RangesError."""
    if len(data) > MAX_BYTES:
        raise RangesError(f"more than {MAX_BYTES >> 20} MiB", advice="no provider's list is as large: check the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RangesError(f"byte {error.start} is not UTF-8", advice=GET_AGAIN) from None
    if "\0" in text:
        raise RangesError("the file holds NUL bytes", advice=GET_AGAIN)
    return text


def json_of(data: bytes) -> object:
    """Any JSON value. Raises RangesError."""
    text = text_of(data)
    try:
        found: object = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise RangesError("the JSON is nested too deeply", advice=GET_AGAIN) from None
    except json.JSONDecodeError as error:
        raise RangesError(f"no JSON at line {error.lineno}, column {error.colno}", advice=GET_AGAIN) from None
    except ValueError:  # a number of thousands of digits
        raise RangesError("the JSON holds a number that nobody writes", advice=GET_AGAIN) from None
    return found


def members(value: object, where: str) -> dict[str, object]:
    """An object. Raises RangesError."""
    if not isinstance(value, dict):
        raise RangesError(f"{where} is no JSON object", advice=GET_AGAIN)
    return value


def items(parent: dict[str, object], key: str, where: str) -> list[object]:
    """The array `key` of an object. Raises RangesError."""
    value = parent.get(key)
    if not isinstance(value, list):
        raise RangesError(f"{where} has no array {key!r}", advice=GET_AGAIN)
    return value


def text_at(parent: dict[str, object], key: str, where: str) -> str:
    """The text `key` of an object. Raises RangesError."""
    value = parent.get(key)
    if not isinstance(value, str):
        raise RangesError(f"{where} has no text {key!r}", advice=GET_AGAIN)
    return value


def moment(text: str, pattern: str | None = None) -> datetime:
    """A date that a provider wrote in UTC without saying so, as ISO 8601 or in a pattern. Raises RangesError."""
    try:
        found = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RangesError(f"{vendor_text(text, 40)!r} is no date", advice=GET_AGAIN) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RangesError(f"the JSON has {vendor_text(twice, 40)!r} twice in one object", advice=GET_AGAIN)
    return found


def _no_constant(text: str) -> NoReturn:
    raise RangesError(f"the JSON holds {text}, which is no JSON", advice=GET_AGAIN)
