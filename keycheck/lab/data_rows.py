"""The practice contacts that exports hold, always the same but for their canaries. Nobody's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keycheck.lab.crm.traffic import contact, iban
from keycheck.lab.data_sites import PADDED, ROTATED_DAYS, SEGMENTS, TENANTS, DataSite
from keycheck.lab.key_sites import CANARIES
from keycheck.model.types import Entropy

CANARY_ROWS: Final = 2
_OLD: Final = 10
"""One row of so many was last written before the rotation."""
_WITHOUT_PHONE: Final = 16
_NOTES: Final = (
    "prefers to be called in the morning, case {}",
    "asked for the annual report of last year, case {}",
    "moved to the new office across the river, case {}",
    "wants invoices on paper, no later than the tenth, case {}",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One contact of an export."""

    tenant: str
    id: str
    written: datetime
    values: Mapping[str, str] = field(repr=False)
    """What is sensitive, by column; a column that is left out is null."""
    old: bool = False
    """Written before the key's material was rotated."""
    canary: bool = False
    country: str = "BE"


def rows(site: DataSite, now: datetime, entropy: Entropy) -> tuple[Row, ...]:
    """The contacts of an export, and canaries in a workspace of their own behind them."""
    return (*(_row(number, now) for number in range(site.rows)), *_canaries(now, entropy))


def _row(number: int, now: datetime) -> Row:
    tenant, old = TENANTS[number % len(TENANTS)], number % _OLD == 0
    known = contact(number, tenant)
    values = {
        "name": known.name,
        "email": known.email,
        "phone": known.phone,
        "iban": known.iban,
        "notes": _NOTES[number % len(_NOTES)].format(f"{number:06d}"),
        "segment": SEGMENTS[number // len(TENANTS) % len(SEGMENTS)].ljust(PADDED),
    }
    if number % _WITHOUT_PHONE == _WITHOUT_PHONE - 1:
        del values["phone"]
    days = ROTATED_DAYS + 20 + number % 180 if old else 1 + number % (ROTATED_DAYS - 10)
    written = now - timedelta(days=days, seconds=number)
    return Row(tenant, known.id, written.replace(microsecond=0), values, old)


def _canaries(now: datetime, entropy: Entropy) -> tuple[Row, ...]:
    tenant = f"{CANARIES}{entropy(4).hex()}"
    return tuple(
        Row(tenant, f"c-{tenant}-{number}", now.replace(microsecond=0), _canary(entropy), canary=True)
        for number in range(CANARY_ROWS)
    )


def _canary(entropy: Entropy) -> Mapping[str, str]:
    """Values that are in no other record, and at no address and no bank."""
    digits = int.from_bytes(entropy(8), "big")
    return {
        "name": f"Canary {entropy(8).hex()}",
        "email": f"{entropy(8).hex()}@canary.example",
        "phone": f"+32 2 {digits % 10**10:010d}",
        "iban": iban(10**6 + digits % 10**6),
        "notes": f"canary {entropy(12).hex()}",
        "segment": SEGMENTS[0].ljust(PADDED),
    }
