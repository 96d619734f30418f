"""A tiny catalogue: two working areas and one that does not load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

import pytest

from keycheck.model.control import Control, Tighter
from keycheck.model.deployment import IdentityRef, SecretRef, Subject
from keycheck.model.types import Duration, SortedSet


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    NO = "NO"


class Only(Control, id="demo.only", version=1):
    """The thing shows only the listed colours."""

    section = "things"
    only: Annotated[SortedSet[Colour], Tighter("subset")]
    within: Annotated[Duration | None, Tighter("lower")] = None
    at_least: Annotated[int, Tighter("higher")] = 1
    frozen_mode: str = "plain"
    mode: Annotated[str, Tighter("order", ("allowed", "preferred", "required"))] = "allowed"
    must: Annotated[SortedSet[Colour], Tighter("superset")] = frozenset()


class Only2(Control, id="demo.only", version=2):
    """The thing shows only the listed colours, in every light."""

    section = "things"
    only: Annotated[SortedSet[Colour], Tighter("subset")]
    within: Annotated[Duration | None, Tighter("lower")] = None
    at_least: Annotated[int, Tighter("higher")] = 1
    frozen_mode: str = "plain"
    mode: Annotated[str, Tighter("order", ("allowed", "preferred", "required"))] = "allowed"
    must: Annotated[SortedSet[Colour], Tighter("superset")] = frozenset()


class Bare(Control, id="demo.bare", version=1):
    """Takes nothing."""

    section = "things"


class OtherSection(Control, id="demo.elsewhere", version=1):
    """Judges another section."""

    section = "boxes"


class Thing(Subject):
    """A thing with an address."""

    url: str
    port: int = 443
    reader: IdentityRef | None = None
    token: SecretRef | None = None


class Box(Subject):
    """A box."""


@dataclass(frozen=True, slots=True)
class FakeBroken:
    group: str
    name: str
    distribution: str
    message: str


class FakeCatalogue:
    controls: ClassVar = {c.reference(): c for c in (Only, Only2, Bare, OtherSection)}
    subjects: ClassVar[dict[str, type[Subject] | FakeBroken]] = {
        "things": Thing,
        "boxes": Box,
        "ruins": FakeBroken("keycheck.subjects", "ruins", "stranger", "ImportError: no module ruins"),
    }

    def control(self, ref: str) -> type[Control] | FakeBroken | None:
        if ref.startswith("ruined."):
            return FakeBroken("keycheck.controls", "ruined", "stranger", "ImportError: no module ruined")
        return self.controls.get(ref)

    def control_refs(self) -> tuple[str, ...]:
        return tuple(sorted(self.controls))

    def subject(self, section: str) -> type[Subject] | FakeBroken | None:
        return self.subjects.get(section)

    def sections(self) -> tuple[str, ...]:
        return tuple(sorted(self.subjects))


@pytest.fixture
def catalogue() -> FakeCatalogue:
    return FakeCatalogue()
