"""Which subjects the lab's residency section has, by section. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keycheck.lab.residency_cloud_sites import CLOUD_IDS
from keycheck.lab.residency_operators import clean_operators
from keycheck.lab.residency_parts import RESIDENCY
from keycheck.lab.residency_prompts import clean_prompts
from keycheck.lab.residency_rosters import clean_rosters
from keycheck.lab.residency_sites import clean_places


def residency_subjects() -> Mapping[str, Sequence[str]]:
    """`residency/SECTION` to ids, as `Defect.among` has it."""
    sections: dict[str, Sequence[str]] = {
        "endpoints": [site.id for site in clean_places()],
        "subprocessors": [site.id for site in clean_rosters()],
        "operators": [site.id for site in clean_operators()],
        "prompts": [site.id for site in clean_prompts()],
        **CLOUD_IDS,
    }
    return {f"{RESIDENCY}/{section}": ids for section, ids in sections.items()}
