"""What a reader leaves out: counted by reason, with the first places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keycheck.model.types import vendor_text
from probes.fields.facts import PLACES, LeftOut

MOST: Final = 64
"""Reasons that are told one by one."""


class Lost:
    """A tally of what could not be read, added to while reading."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, why: str, place: str | None, rows: int = 1) -> None:
        """Count `rows` rows (0: nobody knows how many) for the reason `why`, seen first at `place`."""
        self._rows[why] = self._rows.get(why, 0) + rows
        places = self._places.setdefault(why, [])
        if place is not None and len(places) < PLACES:
            places.append(vendor_text(place))

    def told(self) -> list[LeftOut]:
        """Everything that was left out, by reason."""
        return [
            LeftOut(why=vendor_text(why), rows=rows, places=tuple(self._places[why]))
            for why, rows in sorted(self._rows.items())
        ]


def merged(left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One entry a reason."""
    lost = Lost()
    for each in left_out:
        lost.add(each.why, each.places[0] if each.places else None, each.rows)
        for place in each.places[1:]:
            lost.add(each.why, place, 0)
    return tuple(lost.told())


def few(left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One entry a reason, at most 64 of them; the last stands for all further ones."""
    told = merged(left_out)
    if len(told) <= MOST:
        return told
    return (*told[: MOST - 1], LeftOut(why="for further reasons", rows=sum(each.rows for each in told[MOST - 1 :])))
