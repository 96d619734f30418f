"""Countries and groups of countries, as a contract names a jurisdiction. Pure.

`EU` stands for the 27 member states, Åland and the outermost regions, to which Union law applies as to the members,
and not for overseas countries and territories. (Until regions of them could be told apart, the outermost regions were
left out; a profile that spells the 27 states out keeps meaning those.)
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from keycheck.model.types import SortedSet
from probes.places.countries import COUNTRIES
from probes.places.groups import EU_MEMBERS, GROUP_NAMES, group

__all__ = ["COUNTRIES", "EU", "EU_MEMBERS", "Jurisdiction", "expanded", "worded"]

EU: Final = group("EU").members
"""The newest version of the group of that name."""


def _is_group(value: str) -> bool:
    return value.partition("@")[0] in GROUP_NAMES


def _country_or_group(value: str) -> str:
    if value in COUNTRIES:
        return value
    if _is_group(value):
        return group(value).version if "@" in value else value
    raise ValueError(
        f"{value!r} is neither an ISO 3166 country code, such as DE, nor one of {', '.join(sorted(GROUP_NAMES))}"
    )


def _spelt_out(value: frozenset[str]) -> frozenset[str]:
    return expanded(value)


Jurisdiction: TypeAlias = Annotated[
    SortedSet[Annotated[str, AfterValidator(_country_or_group)]], Field(min_length=1), AfterValidator(_spelt_out)
]
"""Countries, with the groups spelt out: so an heir that narrows `EU` to `DE` has a subset. Groups with conditional
members (adequacy) are refused, for a set of countries cannot hold a condition: a `Scope` can."""


def expanded(places: Collection[str]) -> frozenset[str]:
    """The groups replaced by their members; whatever else is named is kept. A group without a date is the newest."""
    named = frozenset(places)
    groups = frozenset(place for place in named if _is_group(place))
    return (named - groups).union(*(group(name).members for name in groups))


def worded(countries: Collection[str]) -> str:
    """Countries for people: all of the Union together as `EU`."""
    named = frozenset(countries)
    if named >= EU:
        return ", ".join(["EU", *sorted(named - EU)])
    if named >= EU_MEMBERS:
        return ", ".join(["the 27 member states of the EU", *sorted(named - EU_MEMBERS)])
    return ", ".join(sorted(named))
