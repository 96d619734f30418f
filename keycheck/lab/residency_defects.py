"""Every defect of where things are, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.defect import Promise, fails
from keycheck.lab.residency_places import ASHBURN
from keycheck.lab.residency_sites import PlaceDefect, PlacedSite, Stand

CLAUSE: Final = "RES-ENDPOINTS"
ResidencyDefect: TypeAlias = PlaceDefect
Change: TypeAlias = Callable[[PlacedSite], PlacedSite]


def _place(id: str, title: str, promises: frozenset[Promise], change: Change, at: str = "eu-api") -> PlaceDefect:
    return PlaceDefect(id, title, CLAUSE if promises else "", promises, change, at, False)


def _last(stand: Stand) -> Change:
    return lambda site: replace(site, stands=(*site.stands[:-1], stand))


RESIDENCY_DEFECTS: Final[tuple[ResidencyDefect, ...]] = (
    _place("api-abroad", "an EU name, and servers in us-east-1", fails("residency.endpoints", "residency.steering"),
           lambda site: site.moved(ASHBURN, alias="")),
    _place("one-address-abroad", "one of four addresses is in us-east-1",
           fails("residency.endpoints", "residency.steering"), _last(Stand(ASHBURN))),
)  # fmt: skip
