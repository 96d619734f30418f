"""Every defect of the customer's stores and models, and what a run on it must show."""

from __future__ import annotations

from typing import Final

from keycheck.lab.store_sites import InferenceDefect, StoreDefect

CLOUD_DEFECTS: Final[tuple[StoreDefect | InferenceDefect, ...]] = ()
"""In the order in which they are shown."""
