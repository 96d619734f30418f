"""Which subjects the lab's residency section has, by section. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keycheck.lab.residency_cloud_sites import CLOUD_IDS
from keycheck.lab.residency_parts import RESIDENCY
from keycheck.lab.residency_sites import clean_places


def residency_subjects() -> Mapping[str, Sequence[str]]:
    """`residency/SECTION` to ids, as `Defect.among` has it."""
    sections = {"endpoints": tuple(site.id for site in clean_places()), **CLOUD_IDS}
    return {f"{RESIDENCY}/{section}": ids for section, ids in sections.items()}
