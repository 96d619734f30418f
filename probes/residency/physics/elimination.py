"""Which places of a provider's finite list the discs leave: `given that list, as of its date`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from probes.places.jurisdictions import worded
from probes.places.tables import Listing, Site
from probes.residency.physics.discs import Bound

_NAMED: Final = 8
"""Places that a sentence names; all of them are in the premises."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a list. `contradiction` says that nothing is: a premise is wrong, or the list is not complete."""

    listing: Listing
    left: tuple[Site, ...]
    gone: tuple[Site, ...]

    @property
    def contradiction(self) -> bool:
        """Whether the discs exclude every place, and no place is left out for want of coordinates."""
        return not self.left and not self.listing.unplaced

    @property
    def complete(self) -> bool:
        """Whether the countries of all that is left are known: else nothing may be concluded for inside."""
        return bool(self.left) and not self.listing.unplaced and all(site.countries for site in self.left)

    @property
    def countries(self) -> frozenset[str]:
        """The countries of what is left, as far as they are known."""
        return frozenset[str]().union(*(site.countries for site in self.left))

    def worded(self) -> str:
        """For people: the list with its date, what is left and what could not be placed."""
        names = ", ".join(site.name for site in self.left[:_NAMED]) or "nothing"
        if len(self.left) > _NAMED:
            names = f"{len(self.left)} of them, in {worded(self.countries)} ({names}, …)"
        unplaced = f"; not placed: {', '.join(self.listing.unplaced)}" if self.listing.unplaced else ""
        whole = len(self.left) + len(self.gone)
        listing = f"given the {whole} places of {self.listing.provider} as of {self.listing.as_of.isoformat()}"
        return f"{listing}, the discs leave {names}{unplaced}"

    def premises(self) -> str:
        """For a reader who recomputes it: the list by its digest, what is left, and where that is."""
        where = "; ".join(
            f"{site.name} within {site.city.radius_m} m of ({site.city.point.worded()})" for site in self.left
        )
        return f"{self.worded()}; list sha256 {self.listing.sha256}" + (f"; {where}" if where else "")


def eliminate(listing: Listing, bounds: Sequence[Bound]) -> Remaining:
    """Strike every place that some disc excludes, allowing each the radius within which it may be off its city."""
    gone = {
        site.name
        for site in listing.sites
        if any(bound.excludes(site.city.point, site.city.radius_m) for bound in bounds)
    }
    return Remaining(
        listing,
        tuple(site for site in listing.sites if site.name not in gone),
        tuple(site for site in listing.sites if site.name in gone),
    )
