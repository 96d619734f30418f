"""Everything of the lab that has a place, up: endpoints with their distances, name servers, clouds and papers.

Built from `clean_places`, with the chosen defects in it; the entries for the deployment file are the honest plan's. The
stores and models of `residency_clouds` are one more part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from keycheck.lab.defect import Defect
from keycheck.lab.defects import Choice
from keycheck.lab.pki import Pki
from keycheck.lab.residency_borders import BORDERS_FILE, borders_file
from keycheck.lab.residency_network import Network
from keycheck.lab.residency_operators import OperatorDefect, clean_operators, write_operator
from keycheck.lab.residency_parts import Added, Entry, Part
from keycheck.lab.residency_places import VANTAGES
from keycheck.lab.residency_prompts import PromptDefect, clean_prompts, write_prompts
from keycheck.lab.residency_ranges import RANGES_ENTRY, RANGES_FILE, ranges_file
from keycheck.lab.residency_rosters import RosterDefect, clean_rosters, write_roster
from keycheck.lab.residency_sites import HERE, OUTERMOST, OVERSEAS, PlaceDefect, PlacedSite, clean_places
from keycheck.lab.store_sites import in_clouds

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

_VANTAGES: Final = tuple(zip((HERE, OVERSEAS, OUTERMOST), ("DE", "US", "RE"), VANTAGES, strict=True))


class Statements:
    """What is published, stated and captured: ranges, rosters, operators, prompts, as files in the lab's home."""

    def __init__(
        self,
        home: Path,
        only: Collection[str] | None,
        choices: Sequence[Choice],
        placed: Sequence[PlacedSite],
        now: datetime,
    ) -> None:
        (home / RANGES_FILE).write_text(ranges_file(placed, now), encoding="utf-8")
        (home / BORDERS_FILE).write_text(borders_file(), encoding="utf-8")
        rosters = _really(_chosen(clean_rosters(), RosterDefect, only), RosterDefect, choices)
        operators = _really(_chosen(clean_operators(), OperatorDefect, only), OperatorDefect, choices)
        prompts = _really(_chosen(clean_prompts(), PromptDefect, only), PromptDefect, choices)
        self.added = Added(
            sections={
                "references": (RANGES_ENTRY, _BORDERS),
                "subprocessors": tuple(write_roster(home, site, now) for site in rosters),
                "operators": tuple(write_operator(home, site, now) for site in operators),
                "prompts": tuple(write_prompts(home, site) for site in prompts),
            }
        )

    def close(self) -> None:
        """Files stay as long as the lab's home does."""


_BORDERS: Final[Entry] = {"id": "borders", "what": {"kind": "borders", "file": BORDERS_FILE}}


class _Named(Protocol):
    @property
    def id(self) -> str: ...


S = TypeVar("S", bound=_Named)


def _chosen(sites: Sequence[S], kind: type[Defect[S]], only: Collection[str] | None) -> tuple[S, ...]:
    """The sites that are served."""
    return tuple(site for site in sites if only is None or f"{kind.section}/{site.id}" in only)


def _really(sites: Sequence[S], kind: type[Defect[S]], choices: Sequence[Choice]) -> tuple[S, ...]:
    """The sites with the defects in them."""
    for choice in choices:
        defect: object = choice.defect
        if isinstance(defect, kind):
            sites = [defect.change(site) if site.id == choice.at else site for site in sites]
    return tuple(sites)


class Residency:
    """All parts, up. `only` are the subjects that are served, None for all."""

    def __init__(
        self,
        home: Path,
        only: Collection[str] | None,
        choices: Sequence[Choice],
        clock: Callable[[], datetime],
        pki: Pki,
        clouds: Clouds | None = None,
    ) -> None:
        self._parts: list[Part] = []
        agreed = _chosen(clean_places(), PlaceDefect, only)
        really = _really(agreed, PlaceDefect, choices)
        with ExitStack() as held:
            held.callback(self.close)
            self._parts.append(Statements(home, only, choices, really, clock()))
            if agreed:
                self._parts.append(Network(home, agreed, really, pki))
            if clouds is not None and in_clouds(only):
                from keycheck.lab.residency_clouds import make_clouds

                self._parts.append(make_clouds(home, only, choices, clouds))
            held.pop_all()

    @property
    def identities(self) -> tuple[Entry, ...]:
        """What the deployment file names under `identities`."""
        return tuple(entry for part in self._parts for entry in part.added.identities)

    def section(self, name: str) -> tuple[Entry, ...]:
        """What it names in a section."""
        return tuple(entry for part in self._parts for entry in part.added.sections.get(name, ()))

    @property
    def vantages(self) -> tuple[Entry, ...]:
        """From where the places are looked at."""
        return tuple(
            {
                "id": id,
                "place": where.city,
                "coordinates": where.coordinates,
                "country": country,
                "source": where.address(0),
                "egress": where.address(0),
            }
            for id, country, where in _VANTAGES
        )

    def close(self) -> None:
        """End them all."""
        while self._parts:
            self._parts.pop().close()
