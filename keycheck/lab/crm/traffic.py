"""Practice traffic, always the same, so that the customer's cloud logs real uses by the vendor's principal."""

from __future__ import annotations

from dataclasses import dataclass

from keycheck.lab.crm.contacts import Contact
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import IntegrityFailure

_FIRST = ("Ada", "Bram", "Chloé", "Dries", "Elena", "Farid", "Grete", "Hugo", "Inès", "Jörg", "Katarína", "Łukasz")
_LAST = ("Adriaens", "Bianchi", "Claes", "Dubois", "Eriksen", "Ferreira", "Grünwald", "Horváth", "Ilves", "Jansen")
_NOTES = ("prefers to be called in the morning", "asked for the annual report", "moved to the new office", "")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was done."""

    written: int
    read: int


def contact(number: int, tenant: str = "acme") -> Contact:
    """The practice contact of this number. Nobody's data: a reserved domain, and a bank that is none."""
    first, last = _FIRST[number % len(_FIRST)], _LAST[(number // len(_FIRST)) % len(_LAST)]
    return Contact(
        tenant=tenant,
        id=f"c-{number:06d}",
        name=f"{first} {last}",
        email=f"contact.{number}@customer.example",
        phone=f"+32 2 555 {number // 100 % 100:02d} {number % 100:02d}",
        iban=iban(number),
        notes=_NOTES[number % len(_NOTES)],
    )


def iban(number: int) -> str:
    """A Belgian IBAN with right check digits, at the bank code 000."""
    account = f"000{number % 10**7:07d}"
    account += f"{int(account) % 97 or 97:02d}"
    return f"BE{98 - int(account + '111400') % 97:02d}{account}"  # ISO 13616: B = 11, E = 14


def work(crm: Crm, records: int, *, tenant: str = "acme", first: int = 0) -> Traffic:
    """Write ``records`` contacts and read each again. Raise what the application raises, or IntegrityFailure."""
    for number in range(first, first + records):
        written = contact(number, tenant)
        crm.put(written)
        if crm.get(tenant, written.id) != written:
            raise IntegrityFailure("another contact came back than was written")
    return Traffic(records, records)
