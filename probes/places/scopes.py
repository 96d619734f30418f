"""A scope: where a contract lets data be, per activity and class of data. For profiles and controls' parameters.

    {allow: [EU], deny: [MF], except: [{data: [telemetry], activities: [store], allow: [CH]}]}
    [EU, adequacy@2026-01-01]                    # short for {allow: [...]}

Places are ISO 3166 codes (DE, PT-20) and groups (EU, EEA@2020-02-01, adequacy@2026-01-01). A group without a date is
written back with the version it was read as, so that evidence names the set that was meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from keycheck.model.control import Tighter
from keycheck.model.types import Model, Name, SortedSet
from probes.places.countries import KNOWN, PARTS, with_parts
from probes.places.extents import ALWAYS, Activity, Condition, Contained, Extent, Permitted, extent, when
from probes.places.groups import ADEQUACY, GROUP_NAMES, group

MAX_EXCEPTIONS: Final = 64

CUSTOMER: Final = "customer"
DERIVED: Final = "derived"
ACCOUNT: Final = "account"
PROVIDER: Final = "provider"
"""The four classes of data of BSI's criteria for cloud autonomy (C3A); a contract may have names of its own."""


def _place(value: str) -> str:
    if value in KNOWN:
        return value
    base = value.partition("@")[0]
    if base in GROUP_NAMES or base == ADEQUACY:
        return group(value).version
    parts = ", ".join(sorted(part for group_of in PARTS.values() for part in group_of))
    known = ", ".join([*sorted(GROUP_NAMES), "adequacy@YYYY-MM-DD"])
    raise ValueError(f"{value!r} is no ISO 3166 country code, such as DE, no part ({parts}) and no group ({known})")


Places: TypeAlias = SortedSet[Annotated[str, AfterValidator(_place)]]
"""Countries, parts of countries and groups, as written."""


class Exempt(Model):
    """What differs for some classes of data or activities; those not named are all of them."""

    data: Annotated[SortedSet[Name], Field(min_length=1)] | None = None
    activities: Annotated[SortedSet[Activity], Field(min_length=1)] | None = None
    allow: Places = frozenset()
    deny: Places = frozenset()

    @model_validator(mode="after")
    def _says_something(self) -> Exempt:
        if not self.allow and not self.deny:
            raise ValueError("an exception allows or denies places: write allow: or deny:")
        return self

    def concerns(self, activity: Activity, data: str | None) -> bool:
        """Whether it holds for an activity with a class of data; None is a class that no exception names."""
        return (self.activities is None or activity in self.activities) and (self.data is None or data in self.data)


class Scope(Model):
    """Where data may be: in `allow` and what `except` allows, and never in what either denies.

    Denial wins over every allowance. Denying a country denies its parts; a denied group's conditional members are
    denied whatever is shown of them.
    """

    allow: Places
    deny: Places = frozenset()
    exceptions: Annotated[tuple[Exempt, ...], Field(alias="except", max_length=MAX_EXCEPTIONS)] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"allow": value} if isinstance(value, list | tuple | set | frozenset) else value

    def extent(self) -> Extent:
        """What it means, in the algebra of `Extent`."""
        classes = sorted({data for one in self.exceptions for data in one.data or ()})
        worked_out: dict[tuple[Exempt, ...], Permitted] = {}

        def permitted(activity: Activity, data: str | None) -> Permitted:
            concerned = tuple(one for one in self.exceptions if one.concerns(activity, data))
            if concerned not in worked_out:
                worked_out[concerned] = self._permitted(concerned)
            return worked_out[concerned]

        return extent(
            {one: permitted(one, None) for one in Activity},
            {(one, data): permitted(one, data) for one in Activity for data in classes},
        )

    def _permitted(self, concerned: tuple[Exempt, ...]) -> Permitted:
        allowed = self.allow.union(*(one.allow for one in concerned))
        denied = self.deny.union(*(one.deny for one in concerned))
        return Permitted.of(_of(allowed)).without({code for code, _ in _of(denied)})

    def contains(
        self,
        places: Collection[str],
        activity: Activity | None = None,
        data: str | None = None,
        shown: Collection[str] = (),
    ) -> Contained:
        """Hold countries against the scope; see `Extent.contains`."""
        return self.extent().contains(places, activity, data, shown)

    def at_most(self, other: Scope) -> bool:
        """Whether it permits nothing that `other` does not: what an heir may put in its place."""
        return self.extent() <= other.extent()

    def countries(self, activity: Activity | None = None, data: str | None = None) -> frozenset[str]:
        """The countries and parts that are permitted without a condition."""
        permitted = self.extent().at(activity, data)
        return frozenset(code for code, condition in permitted.countries.items() if condition == ALWAYS)

    def worded(self) -> str:
        """For people: `EU@2020-02-01 without MF`."""
        text = ", ".join(sorted(self.allow)) or "nowhere"
        if self.deny:
            text += f" without {', '.join(sorted(self.deny))}"
        count = len(self.exceptions)
        return text + (f", with {count} exception{'s' if count > 1 else ''}" if count else "")


@dataclass(frozen=True, slots=True)
class Narrower(Tighter):
    """Declares that an heir may put a scope in place that permits nothing more, however it is written.

    jurisdiction: Annotated[Scope, NARROWER]
    """

    def allows(self, old: object, new: object) -> bool:
        """Whether `new` permits at most what `old` does; where there was no scope, any is narrower."""
        match old, new:
            case Scope(), Scope():
                return new.at_most(old)
            case None, Scope():
                return True
            case _:
                return False


NARROWER: Final = Narrower("subset")


def _of(places: Collection[str]) -> Iterator[tuple[str, Condition]]:
    for place in sorted(places):
        if place in KNOWN:
            yield from ((code, ALWAYS) for code in with_parts({place}))
        else:
            named = group(place)
            yield from ((code, ALWAYS) for code in with_parts(named.members))
            yield from ((code, when(predicate)) for code, predicate in sorted(named.conditional.items()))
