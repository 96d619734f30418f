"""What a cloud gives to a torture: a key to drill on, who drills, and what the world was like before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cloud_torture_gate import Gate, Weather, Wire

from keycheck.drill.kit import Kit
from keycheck.model.drill import Change
from keycheck.model.probe import Io

KINDS = (
    "aws-deny",
    "aws-disable",
    "aws-revoke-grant",
    "aws-delete-material",
    "gcp-binding",
    "gcp-disable",
)
NEVER_ENDS = ("aws-disable", "aws-delete-material", "gcp-disable")
"""What needs a dead-man in the cloud."""


@dataclass(frozen=True)
class Scenario:
    """One mechanism in one kind of world."""

    kind: str
    weather: Weather = Weather.CALM
    lag: timedelta = timedelta(0)
    """How long a change is not felt."""
    regions: int = 1
    wired: bool = False
    """Through a network that can be lost."""

    @property
    def name(self) -> str:
        lag = f", {self.lag.total_seconds():g} s lag" if self.lag else ""
        regions = f", {self.regions} Regions" if self.regions > 1 else ""
        return f"{self.kind}{lag}{regions}, {self.weather}" + (", through a wire" if self.wired else "")

    @property
    def cloud(self) -> str:
        return self.kind.partition("-")[0]


class Stage(ABC):
    """A key of its own for one drill."""

    change: Change
    kit: Kit

    @abstractmethod
    def differs(self) -> str:
        """How what is written in the world differs from before; empty when it does not. Asked past every API."""

    @abstractmethod
    def blind(self) -> str:
        """Who cannot read the canary now."""

    @abstractmethod
    def left(self) -> str:
        """What still stands of the dead-man in the cloud. It costs nothing: it puts back what is there."""

    @abstractmethod
    def end_session(self) -> None:
        """The credentials of whoever acts are over."""


class Stand(ABC):
    """One lab cloud, used by one drill after the other."""

    gate: Gate
    wires: tuple[Wire, ...]

    def cut(self, seconds: float) -> None:
        """The network is lost, and back after so many seconds."""
        for wire in self.wires:
            wire.cut(seconds)

    @abstractmethod
    def stage(self, scenario: Scenario, drill: str, deadline: datetime) -> Stage:
        """A new key, and a drill on it. Sets the cloud's lags."""

    @abstractmethod
    def load(self, kit: Kit, environment: object) -> Io:
        """An Io for a recovery in this process."""

    @abstractmethod
    def close(self) -> None:
        """Stop serving."""


def scratch(home: Path) -> Path:
    """A directory for a stand."""
    home.mkdir(parents=True, exist_ok=True)
    return home
