"""The clouds' control planes that the residency section asks: stores and inference, up.

Filled by the builder of the clouds; `residency_world` calls `make_clouds` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

from keycheck.lab.defects import Choice
from keycheck.lab.residency_parts import Added, Part


class _Nothing:
    added = Added()

    def close(self) -> None:
        """Nothing was started."""


def make_clouds(
    home: Path, only: Collection[str] | None, choices: Sequence[Choice], clock: Callable[[], datetime]
) -> Part:
    """Serve the stores and models whose subject (`stores/ID`, `inference/ID`) is in `only` (None: all of them), as the
    defects chosen among them have it. Raises LabError when a server does not start."""
    del home, only, choices, clock
    return _Nothing()
