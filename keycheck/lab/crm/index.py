"""The search index: which contacts have an e-mail address, a phone number or an IBAN. Shared between pods."""

from __future__ import annotations

import hashlib
import hmac
import threading

from keycheck.lab.crm.contacts import Contact
from keycheck.model.types import Entropy

_SEARCHED = ("name", "email", "phone", "iban")


class Index:
    """Whole values by their HMAC (a blind index). ``in_clear``: holds the contacts too. Safe between threads."""

    def __init__(self, entropy: Entropy, *, in_clear: bool) -> None:
        self._key = entropy(32)
        self._found: dict[bytes, set[tuple[str, str]]] = {}
        self._contacts: dict[tuple[str, str], Contact] | None = {} if in_clear else None
        self._lock = threading.Lock()

    def add(self, contact: Contact) -> None:
        """A new contact, or a new version of one."""
        self.drop(contact.tenant, contact.id)
        with self._lock:
            for name in _SEARCHED:
                value: str = getattr(contact, name)
                if value:
                    self._found.setdefault(self._term(contact.tenant, value), set()).add((contact.tenant, contact.id))
            if self._contacts is not None:
                self._contacts[contact.tenant, contact.id] = contact

    def drop(self, tenant: str, record: str) -> None:
        """Forget a contact, if it is there."""
        with self._lock:
            for ids in self._found.values():
                ids.discard((tenant, record))
            if self._contacts is not None:
                self._contacts.pop((tenant, record), None)

    def ids(self, tenant: str, value: str) -> tuple[str, ...]:
        """Contacts that have this very value, whatever its case."""
        with self._lock:
            return tuple(sorted(record for _, record in self._found.get(self._term(tenant, value), ())))

    def contact(self, tenant: str, record: str) -> Contact | None:
        """What the index itself holds of a contact."""
        with self._lock:
            return None if self._contacts is None else self._contacts.get((tenant, record))

    def _term(self, tenant: str, value: str) -> bytes:
        return hmac.digest(self._key, f"{tenant}\0{value.casefold()}".encode(), hashlib.sha256)
