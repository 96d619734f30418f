"""When a unix-cron schedule runs next. Pure.

Source: Cloud Scheduler, "Cron job format and time zone". The lab takes numbers, lists of numbers and `*`, no ranges and
no steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FIELD: Final = re.compile(r"\*|\d{1,2}(,\d{1,2}){0,59}")
_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_DAYS: Final = 9 * 366
"""Looked ahead: 29 February of one leap year to the next, over a century."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule in a time zone. Raises ValueError where it is none."""

    text: str
    zone: str

    def __post_init__(self) -> None:
        self._parts()
        self._zone()

    def after(self, moment: datetime) -> datetime | None:
        """The first minute after `moment` at which it runs; None: never."""
        minutes, hours, days, months, weekdays = self._parts()
        zone = self._zone()
        first = moment.astimezone(zone)
        for ahead in range(_DAYS):
            day = (first + timedelta(days=ahead)).date()
            if day.month not in months or not self._on(day.day, day.isoweekday() % 7, days, weekdays):
                continue
            for hour in hours:
                for minute in minutes:
                    found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
                    if found > moment:
                        return found
        return None

    def _on(self, day: int, weekday: int, days: tuple[int, ...], weekdays: tuple[int, ...]) -> bool:
        by_day, by_week = day in days, weekday in weekdays or (weekday == 0 and 7 in weekdays)
        _, _, day_text, _, week_text = self.text.split()
        # as in every cron: when both are limited, one is enough
        return by_day or by_week if "*" not in (day_text, week_text) else by_day and by_week

    def _parts(self) -> tuple[tuple[int, ...], ...]:
        fields = self.text.split()
        if len(fields) != len(_BOUNDS) or not all(_FIELD.fullmatch(each) for each in fields):
            raise ValueError("not five fields of numbers or *")
        found: list[tuple[int, ...]] = []
        for field, (low, high) in zip(fields, _BOUNDS, strict=True):
            values = range(low, high + 1) if field == "*" else sorted(int(each) for each in field.split(","))
            if not all(low <= value <= high for value in values):
                raise ValueError("a field is out of bounds")
            found.append(tuple(values))
        return tuple(found)

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError("no such time zone") from error
