"""What a table of regions holds for each: countries, and cities for physics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from probes.places.cities import CITIES, City

_NOT_SOURCED: Final = "?"


@dataclass(frozen=True, slots=True)
class Countries:
    """A place that lies in these countries (ISO 3166), and in no other."""

    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Everywhere:
    """A place without a bound: Google's `global`."""


@dataclass(frozen=True, slots=True)
class UnknownPlace:
    """A region that the tables do not hold, or whose country no source names."""


Place: TypeAlias = Countries | Everywhere | UnknownPlace


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a provider: its country and roughly where. Without countries the region exists and its country is not
    sourced; without a city nobody knows where it may be."""

    name: str
    countries: frozenset[str]
    city: City | None = None

    @property
    def place(self) -> Place:
        """Its countries, or that they are not known."""
        return Countries(self.countries) if self.countries else UnknownPlace()


def regions(text: str) -> Mapping[str, Region]:
    """A table from lines `name country city`; `?` stands for a country or city that is not known."""
    rows: dict[str, Region] = {}
    for line in text.strip().splitlines():
        name, country, city = line.split()
        countries = frozenset[str]() if country == _NOT_SOURCED else frozenset({country})
        rows[name] = Region(name, countries, None if city == _NOT_SOURCED else CITIES[city])
    return MappingProxyType(rows)


def countries_of(table: Mapping[str, Region]) -> Mapping[str, frozenset[str]]:
    """Name to countries, for the regions whose countries are known."""
    return MappingProxyType({name: row.countries for name, row in table.items() if row.countries})
