"""What every part of the lab's residency section is: light types that plan, defects and servers share.

A part is planned without any server (ids, defects: cheap to import) and then made. What is agreed, and so what the
deployment file says, is always the honest plan's; a defect changes only what is really there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

RESIDENCY: Final = "residency"
"""What the lab serves when it is asked for places: endpoints, stores, inference, prompts, rosters, operators."""

Entry: TypeAlias = Mapping[str, object]
"""One subject as the deployment file writes it."""


@dataclass(frozen=True, slots=True)
class Added:
    """What a part adds to the deployment file. Ids of identities begin with `res-`, so that they meet no others."""

    identities: tuple[Entry, ...] = ()
    sections: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    """Section name to entries: `endpoints`, `stores`, `inference`, `prompts`, `subprocessors`, `operators`,
    `references`."""


class Part(Protocol):
    """A part that is up."""

    @property
    def added(self) -> Added: ...

    def close(self) -> None:
        """End its servers; twice is harmless."""
        ...
