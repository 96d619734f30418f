"""What the controls of residency share: the scope that they hold places against, and what providers' names mean."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict

from keycheck.model.control import Control, Tighter
from keycheck.model.types import Duration
from probes.places.extents import Activity, Standing
from probes.places.jurisdictions import worded
from probes.places.scopes import NARROWER, Scope
from probes.places.site import Countries, Everywhere, UnknownPlace
from probes.places.tables import TABLES

CAVEAT: Final = (
    "a region is where a provider says that it is: keycheck holds its statements against each other and against "
    "physics, and has entered no data centre. Everything about control planes rests on documentation and on emulators "
    "(docs/fidelity.md); the countries of regions are keycheck's own table (docs/residency.md)"
)
"""True until a recording of a real cloud says otherwise."""
STALE_AFTER: Final = timedelta(days=90)
"""Measured drift of published ranges: 5 of 10,668 prefixes of AWS changed their region in 108 days (docs/ranges.md)."""


class ResidencyControl(Control):
    """Base of the controls that hold places against a jurisdiction."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    caveat: ClassVar[str] = CAVEAT
    activity: ClassVar[Activity] = Activity.STORE

    jurisdiction: Annotated[Scope, NARROWER]
    """Where it must be: a list of ISO 3166 codes and of the groups EU, EEA, EFTA, UK and adequacy@YYYY-MM-DD; or
    `{allow: [DE], deny: […], except: [{data: [telemetry], activities: [back-up], allow: [FR]}]}`."""

    def outside(self, provider: str, regions: Collection[str], data: str | None = None) -> str | None:
        """Where regions of a provider lie outside of the jurisdiction, in words; empty: all are inside, with all that
        their names stand for. None: nobody knows of one."""
        said: list[str] = []
        unknown = not regions
        for region in sorted(set(regions)):
            match TABLES.place(provider, region):
                case Everywhere():
                    said.append(f"{region}: anywhere in the world")
                case UnknownPlace():
                    unknown = True
                case Countries(codes):
                    found = self.jurisdiction.contains(codes, self.activity, data)
                    if found.standing is not Standing.INSIDE:
                        away = worded(found.outside or found.conditional.keys())
                        said.append(f"{region}: {away}")
        if said:
            return "; ".join(said)
        return None if unknown else ""


class RangedControl(ResidencyControl):
    """Base of those that lean on published ranges."""

    activity: ClassVar[Activity] = Activity.PROCESS

    ranges_max_age: Annotated[Duration, Tighter("lower")] = STALE_AFTER
    """Ranges that are older when they are looked up decide nothing: `P90D`."""
