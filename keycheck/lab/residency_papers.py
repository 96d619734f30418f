"""What the residency section adds to the lab's deployment file and contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

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
    """What the practice contract demands of the places that are served, beside its base."""
    return [
        {"id": id, "text": text, "tier": "must-have", "requires": deepcopy(demands)}
        for id, text, demands in _CLAUSES
        if any(_concerns(residency, str(demand["for"])) for demand in demands)
    ]


def _concerns(residency: Residency, of: str) -> bool:
    section, _, glob = of.partition("/")
    return any(fnmatchcase(str(entry["id"]), glob or "*") for entry in residency.section(section))


def _required(
    control: str, of: str, more: Mapping[str, object] | None = None, assurance: str = "stated"
) -> Mapping[str, object]:
    placed = {"jurisdiction": ["EU"]} if control.startswith("residency.") else {}
    evidence = {"assurance": assurance, "max_age": "P30D"}
    return {"control": control, "for": of, "with": {**placed, **(more or {})}, "evidence": evidence}


_LOCAL: Final = {"edges": "local"}
_ALLOWED: Final = {"allowed": ["cloudflare", "cloudfront", "fastly"]}
_FORBIDDEN: Final = {"forbidden": ["email", "iban", "name", "pan", "phone"]}
_CLAUSES: Final[Sequence[tuple[str, str, Sequence[Mapping[str, object]]]]] = (
    (
        "PROCESSED",
        "Every address at which the service answers is in the agreed jurisdiction; clients are sent nowhere else.",
        [
            _required("residency.endpoints@1", "endpoints", _LOCAL, "observed"),
            _required("residency.steering@1", "endpoints", _LOCAL, "observed"),
            _required("residency.anycast@1", "endpoints", _ALLOWED, "observed"),
            _required("residency.origin@1", "endpoints", None, "observed"),
        ],
    ),
    (
        "REALM",
        "The endpoint for public bodies is in the sovereign cloud.",
        [_required("residency.realm@1", "endpoints/eu-sovereign", {"realms": ["aws-eusc"]}, "observed")],
    ),
    (
        "STORED",
        "Customer data is stored in the agreed jurisdiction, with all its copies and backups.",
        [_required(f"residency.{what}@1", "stores", None, "configured") for what in ("stores", "copies", "backups")],
    ),
    (
        "AT-REST",
        "Every store, copy and backup is encrypted under the customer's key.",
        [_required(f"stores.{what}@1", "stores", None, "configured") for what in ("encrypted", "key")],
    ),
    (
        "INFERRED",
        "Models run in the agreed jurisdiction only, and no direct identifier of a person is sent to them.",
        [
            _required("residency.inference@1", "inference", None, "configured"),
            _required("prompts.identifiers@1", "prompts", _FORBIDDEN, "observed"),
        ],
    ),
    (
        "SUBPROCESSORS",
        "Every subprocessor is in the agreed jurisdiction, and changes are announced a month before.",
        [_required("residency.subprocessors@1", "subprocessors", {"notice": "P30D"}, "documented")],
    ),
    (
        "OPERATORS",
        "Whoever operates the service answers to the law of the agreed jurisdiction alone.",
        [_required("residency.operator@1", "operators")],
    ),
)
"""Named as in the shipped profile `residency`."""
