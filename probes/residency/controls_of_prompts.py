"""The controls over prompts, as a profile names them."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.residency.prompt_control import Identifiers

CONTROLS: tuple[type[Control], ...] = (Identifiers,)
"""Every control that a profile can name as `prompts.…`."""
