"""Field types shared by all models: bounded text, durations without months, instants, sorted sets.

Everything here keeps evidence inside the domain on which canonical JSON is RFC 8785: no floats, integers
within +-(2^53-1), ASCII keys, and text that is bounded and free of lone surrogates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from keycheck.canonical import MAX_DEPTH, MAX_INTEGER, Jsonable, dumps

TEXT_LIMIT: Final = 500


class Model(BaseModel):
    """Base of everything that is parsed from or written to a file: frozen, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class NotRecorded(Model):
    """Stands where older evidence has no value: a field added within a major version of a facts schema
    is typed `X | NotRecorded` with this default, so that old evidence never turns into a pass."""

    not_recorded: Literal[True] = True


def vendor_text(raw: str | bytes, limit: int = TEXT_LIMIT) -> str:
    """Text from a stranger as bounded, printable, surrogate-free text. Loses nothing silently: what
    cannot be shown is escaped (`\\x1b`), what is too long ends in `…`."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    if len(text) <= limit and text.isprintable():
        return text
    shown: list[str] = []
    size = 0
    for char in text[: limit + 1]:
        piece = char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        size += len(piece)
        if size > limit:
            return "".join(shown) + "…"
        shown.append(piece)
    return "".join(shown)


def _safe_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("text holds control characters or lone surrogates; pass it through vendor_text()")
    return value


VendorText: TypeAlias = Annotated[str, StringConstraints(max_length=TEXT_LIMIT + 1), AfterValidator(_safe_text)]
"""Text that a vendor or a library said, made safe by `vendor_text`."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""An id that a person chose: lower case, digits, dot, dash, underscore."""

ClauseId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,62}$")]
SubjectId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*/[a-z0-9][a-z0-9._-]{0,62}$")]
"""`section/id`, as in `endpoints/api`."""

PartName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_safe_text)]
Prose: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Digest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, lower-case hex."""

SafeInt: TypeAlias = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INTEGER)]

_DURATION: Final = re.compile(
    r"^P(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?)?$"
)


def parse_duration(value: object) -> timedelta:
    """ISO 8601 duration in weeks, days, hours, minutes and seconds. Months and years are refused:
    they have no fixed length, so a limit in months cannot be re-judged to the second."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration such as P30D or PT15M")
    match = _DURATION.match(value)
    if match is None or value == "P":
        if re.match(r"^P[^T]*\d+[YM]", value):
            raise ValueError("months and years have no fixed length; write days, e.g. P30D")
        raise ValueError("not a duration; write e.g. P30D, PT15M or P1DT12H")
    return timedelta(**{unit: int(amount) for unit, amount in match.groupdict().items() if amount})


def format_duration(value: timedelta) -> str:
    """The one spelling that keycheck writes: days, then hours, minutes, seconds; `PT0S` for zero."""
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    days = f"{value.days}D" if value.days else ""
    return f"P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"


Duration: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": re.sub(r"\?P<\w+>", "?:", _DURATION.pattern),
            "examples": ["P30D", "PT15M"],
        }
    ),
]
"""A fixed length of time; see `parse_duration`."""

_INSTANT: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")


def parse_instant(value: object) -> datetime:
    """RFC 3339 in UTC with a `Z`, whole seconds or down to microseconds."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)
    if isinstance(value, str) and _INSTANT.match(value):
        return datetime.fromisoformat(value)
    raise ValueError("not an instant; write UTC as 2026-11-22T10:00:00Z")


def format_instant(value: datetime) -> str:
    """RFC 3339 in UTC, microseconds only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant: TypeAlias = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _INSTANT.pattern}),
]
"""A moment in UTC."""

T = TypeVar("T")


def _sorted_items(value: frozenset[Any]) -> list[Any]:
    return sorted(value)


SortedSet: TypeAlias = Annotated[frozenset[T], PlainSerializer(_sorted_items)]
"""A set that is written sorted, so that equal sets have equal bytes."""


class CanonicalJson(str):
    """A JSON object held as its canonical text: hashable, picklable, frozen; written as nested JSON."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object, *, max_depth: int = MAX_DEPTH) -> CanonicalJson:
        """The canonical text of `value`; raises ValueError outside the canonical domain."""
        # A door for anything: what is outside the domain is refused when run, not when typed.
        return cls(dumps(cast(Jsonable, value), max_depth=max_depth).decode("utf-8"))

    def parsed(self) -> dict[str, object]:
        """The object again, as fresh plain Python values."""
        value = json.loads(self)
        if not isinstance(value, dict):
            raise TypeError("not a JSON object")
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: object) -> CanonicalJson:
            if isinstance(value, CanonicalJson):
                return value
            if isinstance(value, dict):
                return cls.of(value)
            raise ValueError("expected a mapping")

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(CanonicalJson.parsed),
            json_schema_input_schema=core_schema.dict_schema(),
        )


Clock: TypeAlias = Callable[[], datetime]
"""Wall-clock time in UTC."""
Entropy: TypeAlias = Callable[[int], bytes]
"""`n` random bytes."""
