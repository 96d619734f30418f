"""All defects by name, and where a chosen one is to be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from keycheck.lab.data_defects import DATA_DEFECTS
from keycheck.lab.data_sites import DataDefect
from keycheck.lab.drill_defects import DRILL_DEFECTS, DrillDefect
from keycheck.lab.errors import LabError
from keycheck.lab.key_defects import KEY_DEFECTS
from keycheck.lab.key_sites import KeyDefect
from keycheck.lab.residency_cloud_sites import CLOUD_DEFECTS, InferenceDefect, StoreDefect
from keycheck.lab.residency_defects import PLACE_DEFECTS
from keycheck.lab.residency_sites import PlaceDefect
from keycheck.lab.residency_word_defects import WORD_DEFECTS, WordDefect
from keycheck.lab.rotation_defects import ROTATION_DEFECTS, RotationDefect
from keycheck.lab.tls_defects import TLS_DEFECTS
from keycheck.lab.vendor import EndpointDefect

AnyDefect: TypeAlias = (
    EndpointDefect
    | KeyDefect
    | DrillDefect
    | RotationDefect
    | DataDefect
    | PlaceDefect
    | WordDefect
    | StoreDefect
    | InferenceDefect
)
DEFECTS: Final[tuple[AnyDefect, ...]] = (
    *TLS_DEFECTS,
    *KEY_DEFECTS,
    *DRILL_DEFECTS,
    *ROTATION_DEFECTS,
    *DATA_DEFECTS,
    *PLACE_DEFECTS,
    *WORD_DEFECTS,
    *CLOUD_DEFECTS,
)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A defect and the id of the subject that it is to be on."""

    defect: AnyDefect
    at: str

    @property
    def subject(self) -> str:
        """As an assessment names it: `endpoints/api`."""
        return f"{self.defect.section}/{self.at}"


def find(name: str) -> AnyDefect:
    """The defect of that id. Raise LabError naming the nearest one."""
    for defect in DEFECTS:
        if defect.id == name:
            return defect
    near = difflib.get_close_matches(name, [defect.id for defect in DEFECTS], n=1)
    advice = f"did you mean {near[0]!r}?" if near else "see `keycheck lab defects`"
    raise LabError(f"there is no defect {name!r}", advice=advice)


def choose(names: Sequence[str], places: Mapping[str, Sequence[str]]) -> tuple[Choice, ...]:
    """Read ``defect`` or ``defect@subject``. ``places`` are the ids of the
    subjects, by `Defect.among`. Raise LabError when
    either is unknown or they do not fit."""
    chosen: list[Choice] = []
    for name in names:
        id_, at, place = name.partition("@")
        defect = find(id_)
        where = place if at else defect.at
        known = places.get(defect.among, ())
        if where not in known:
            noun = defect.section.rstrip("s")
            raise LabError(f"the lab has no {noun} {where!r}", advice=f"use one of {', '.join(known)}")
        if where != defect.at and not defect.movable:
            raise LabError(f"{id_!r} cannot be put on {where!r}", advice=f"it belongs to {defect.at!r}")
        chosen.append(Choice(defect, where))
    return tuple(chosen)
