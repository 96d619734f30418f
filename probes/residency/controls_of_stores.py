"""The controls over encryption at rest, as a profile names them."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.residency.rest_controls import Encrypted, UnderKey

CONTROLS: tuple[type[Control], ...] = (Encrypted, UnderKey)
"""Every control that a profile can name as `stores.…`."""
