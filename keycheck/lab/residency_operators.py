"""Operators: what the practice vendor states of the companies behind it, and the document that it rests on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from keycheck.lab.defect import Defect
from keycheck.lab.residency_parts import RESIDENCY, Entry

OPERATORS: Final = "operators"
"""Directory in the lab's home."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds how much, in hundredths of a per cent."""

    name: str
    seat: str
    share: int


@dataclass(frozen=True, slots=True)
class OperatorSite:
    """One operator as it is stated."""

    id: str
    name: str
    seat: str = "DE"
    parent: str = "none"
    parent_seat: str = ""
    holdings: tuple[Held, ...] = ()
    staff: tuple[str, ...] = ("DE", "PT")
    support: tuple[str, ...] = ("FR", "RE")
    law: str = "DE"
    valid_days: int = 200
    """For how long the document still is."""
    altered: bool = False
    """The document is not the one that was declared."""


class OperatorDefect(Defect[OperatorSite]):
    """A defect of one operator, as stated."""

    __slots__ = ()
    section = "operators"
    served = RESIDENCY


def clean_operators() -> tuple[OperatorSite, ...]:
    """Every operator of the honest vendor: support at night sits on La Reunion, and a tenth is held from abroad."""
    return (
        OperatorSite(
            "crm-operator",
            "Practice CRM GmbH",
            holdings=(Held("Founders", "DE", 9000), Held("Patient Capital LLC", "US", 1000)),
        ),
        OperatorSite(
            "hosting-operator",
            "Practice Hosting GmbH",
            parent="Practice Group SE",
            parent_seat="NL",
            holdings=(Held("Practice Group SE", "NL", 10_000),),
        ),
    )


def write_operator(home: Path, site: OperatorSite, now: datetime) -> Entry:
    """Write the document; the operator's place in the section `operators`."""
    (home / OPERATORS).mkdir(exist_ok=True)
    name = f"{OPERATORS}/{site.id}.txt"
    text = f"We, {site.name}, state who owns us, where we are and where our people are.\n".encode()
    digest = hashlib.sha256(text).hexdigest()
    (home / name).write_bytes(text + b"PS: not quite.\n" if site.altered else text)
    expires = now + timedelta(days=site.valid_days)
    entry: dict[str, object] = {
        "id": site.id,
        "name": site.name,
        "seat": site.seat,
        "parent": site.parent,
        "parent_seat": site.parent_seat,
        "holdings": [{"name": one.name, "seat": one.seat, "share": one.share} for one in site.holdings],
        "staff": list(site.staff),
        "support": list(site.support),
        "law": site.law,
        "key_custody": "cloud-kms",
        "evidence": [{"file": name, "sha256": digest, "expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}],
    }
    return {key: value for key, value in entry.items() if value != ""}
