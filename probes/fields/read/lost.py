"""What a reader leaves out: counted by reason, with the first places."""

from __future__ import annotations

from collections.abc import Iterable

from keycheck.model.types import vendor_text
from probes.fields.facts import PLACES, LeftOut


class Lost:
    """A tally of what could not be read, added to while reading."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, why: str, place: str, rows: int = 1) -> None:
        """Count `rows` rows (0: nobody knows how many) for the reason `why`, seen first at `place`."""
        self._rows[why] = self._rows.get(why, 0) + rows
        places = self._places.setdefault(why, [])
        if len(places) < PLACES:
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
        places = each.places or ("",)
        lost.add(each.why, places[0], each.rows)
        for place in places[1:]:
            lost.add(each.why, place, 0)
    return tuple(lost.told())
