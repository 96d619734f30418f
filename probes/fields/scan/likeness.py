"""Whether two spellings are of one thing: what a store and a program write of the same UUID or instant. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")
_LONGEST = 64


def alike(one: bytes, other: bytes) -> bool:
    """Whether both are the same UUID (as text or 16 bytes) or instant (ISO 8601 with an offset).

    Not numbers: `1.1` and `1.10` may be two rows.
    """
    if max(len(one), len(other)) > _LONGEST:
        return False
    first = _meant(one)
    return first is not None and first == _meant(other)


def _meant(value: bytes) -> UUID | datetime | None:
    if len(value) == 16 and not value.isascii():
        return UUID(bytes=value)
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return None
    if _UUID.fullmatch(text):
        return UUID(text)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo is not None else None
