"""What the residency section adds to the lab's deployment file and contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from keycheck.lab.residency_sites import FAR_FROM_ORIGIN, SOVEREIGN_SITES

if TYPE_CHECKING:
    from keycheck.lab.residency_world import Residency

RESIDENCY_SECTIONS: Final = ("stores", "inference", "prompts", "subprocessors", "operators", "references")
"""Sections of the deployment that only places have."""


def with_residency(written: Mapping[str, object], residency: Residency) -> dict[str, object]:
    """The deployment with the places in it. What was there before is looked at from where it was before."""
    whole = dict(written)
    others = [name for name, entries in whole.items() if isinstance(entries, list) and name in _OBSERVED]
    here = whole.pop("vantages")
    for name in others:
        whole[name] = [{**entry, "vantages": ["here"]} for entry in _entries(whole[name])]
    vantages = [dict(each) for each in residency.vantages]
    whole["vantages"] = [*_entries(here), *vantages] if others else vantages
    if identities := [*_entries(whole.get("identities", [])), *map(dict, residency.identities)]:
        whole["identities"] = identities
    for name in ("endpoints", *RESIDENCY_SECTIONS):
        own = [{"vantages": [vantages[0]["id"]], **entry} for entry in residency.section(name)]
        if entries := [*_entries(whole.get(name, [])), *own]:
            whole[name] = entries
    return whole


_OBSERVED: Final = ("endpoints", "keys", "datasets")


def _entries(value: object) -> list[dict[str, object]]:
    return [dict(entry) for entry in value] if isinstance(value, list) else []


def residency_clauses(residency: Residency) -> Sequence[Mapping[str, object]]:
    """What the practice contract demands of places, beside its base."""
    clauses = [
        ("RES-ENDPOINTS", "Every endpoint answers from the agreed jurisdiction.", _of_endpoints(residency)),
        (
            "RES-SUBPROCESSORS",
            "Every subprocessor is in the agreed jurisdiction, and changes are announced a month before.",
            [_required("residency.subprocessors@1", "subprocessors", {"notice": "P30D"}, "documented")],
        ),
        (
            "RES-OPERATOR",
            "Whoever operates the service answers to the law of the agreed jurisdiction alone.",
            [_required("residency.operator@1", "operators")],
        ),
        ("AI-PROMPTS", "No prompt holds a direct identifier of a person.", [_PROMPTS]),
    ]
    return [
        {"id": id, "text": text, "tier": "must-have", "requires": demands}
        for id, text, demands in clauses
        if any(residency.section(str(demand["for"]).partition("/")[0]) for demand in demands)
    ]


def _of_endpoints(residency: Residency) -> list[Mapping[str, object]]:
    demands: list[Mapping[str, object]] = []
    for entry in residency.section("endpoints"):
        where = entry["whereabouts"]
        cdn = where.get("cdn") if isinstance(where, Mapping) else None
        of = f"endpoints/{entry['id']}"
        demands += [
            _required("residency.endpoints@1", of, {"edges": "local"} if cdn else {}),
            _required("residency.steering@1", of),
            _required("residency.anycast@1", of, {"allowed": [cdn]} if cdn else {}),
        ]
        if entry["id"] not in FAR_FROM_ORIGIN:
            demands.append(_required("residency.origin@1", of))
        if entry["id"] in SOVEREIGN_SITES:
            demands.append(_required("residency.realm@1", of, {"realms": ["aws-eusc"]}))
    return demands


def _required(
    control: str, of: str, more: Mapping[str, object] | None = None, assurance: str = "stated"
) -> Mapping[str, object]:
    evidence = {"assurance": assurance, "max_age": "P30D"}
    return {"control": control, "for": of, "with": {"jurisdiction": ["EU"], **(more or {})}, "evidence": evidence}


_PROMPTS: Final[Mapping[str, object]] = {
    "control": "prompts.identifiers@1",
    "for": "prompts",
    "with": {"forbidden": ["email", "iban", "name", "pan", "phone"]},
    "evidence": {"assurance": "observed", "max_age": "P30D"},
}
