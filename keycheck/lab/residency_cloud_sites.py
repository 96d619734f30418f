"""The practice customer's stores and inference as a plan, and every defect of them. Light: no SDK, no server.

Filled by the builder of the clouds. What others rely on: the four names below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keycheck.lab.defect import Defect
from keycheck.lab.residency_parts import RESIDENCY


@dataclass(frozen=True, slots=True)
class StoreSite:
    """One store of the deployment."""

    id: str


@dataclass(frozen=True, slots=True)
class InferenceSite:
    """One model that data is sent to."""

    id: str


class StoreDefect(Defect[StoreSite]):
    """A defect of one store."""

    __slots__ = ()
    section = "stores"
    served = RESIDENCY


class InferenceDefect(Defect[InferenceSite]):
    """A defect of one inference endpoint."""

    __slots__ = ()
    section = "inference"
    served = RESIDENCY


CLOUD_IDS: Final[Mapping[str, tuple[str, ...]]] = {"stores": (), "inference": ()}
"""Section to the ids of its subjects in the honest plan."""

CLOUD_DEFECTS: Final[tuple[StoreDefect | InferenceDefect, ...]] = ()
"""In the order in which they are shown."""
