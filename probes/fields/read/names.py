"""Names of columns: paths into nested records, whatever a file calls its fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keycheck.model.types import vendor_text
from probes.fields.read.seam import BESIDE

MAX_NAME: Final = 200
MAX_COLUMNS: Final = 2_000
MAX_DEPTH: Final = 64


def column(path: str) -> str:
    """A path as a column's name: printable, 1 to 200 characters."""
    if not path:
        return "(empty)"
    if path.startswith(BESIDE):
        path = f"({BESIDE[:-1]}){path[len(BESIDE) - 1 :]}"
    if len(path) <= MAX_NAME and path.isprintable():
        return path
    return vendor_text(path, MAX_NAME - 1)


def distinct(paths: Iterable[str]) -> tuple[str, ...]:
    """Names for columns that stand side by side: the second of two equal ones is `name#2`, the third `name#3`."""
    found: list[str] = []
    seen: set[str] = set()
    last: dict[str, int] = {}
    for path in paths:
        name = first = column(path)
        number = last.get(first, 2)
        while name in seen:
            suffix = f"#{number}"
            name = column(path)[: MAX_NAME - len(suffix)] + suffix
            number += 1
        last[first] = number
        seen.add(name)
        found.append(name)
    return tuple(found)
