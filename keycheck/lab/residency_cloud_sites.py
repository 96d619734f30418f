"""What the rest of the lab knows of stores and models: their defects and ids. Light: no SDK, no server."""

from __future__ import annotations

from keycheck.lab.store_defects import CLOUD_DEFECTS
from keycheck.lab.store_sites import CLOUD_IDS, CloudPlan, InferenceDefect, StoreDefect

__all__ = ["CLOUD_DEFECTS", "CLOUD_IDS", "CloudPlan", "InferenceDefect", "StoreDefect"]
