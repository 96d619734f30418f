"""What reading files needs to know about installed plugins; `keycheck.registry.Registry` satisfies it."""

from __future__ import annotations

from typing import Protocol

from keycheck.model.control import Control
from keycheck.model.deployment import Subject


class BrokenPlugin(Protocol):
    """A plugin that is registered and cannot be used, and why."""

    @property
    def group(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def message(self) -> str: ...


class Catalogue(Protocol):
    """Controls by `id@version` and subject models by deployment section.

    A class is a working one, None an unknown one, and anything else a broken plugin.
    """

    def control(self, ref: str) -> type[Control] | BrokenPlugin | None:
        """The control behind `id@version`."""
        ...

    def control_refs(self) -> tuple[str, ...]:
        """Every `id@version` that can be used."""
        ...

    def subject(self, section: str) -> type[Subject] | BrokenPlugin | None:
        """The model of a deployment section."""
        ...

    def sections(self) -> tuple[str, ...]:
        """The deployment sections that areas own, broken ones too."""
        ...
