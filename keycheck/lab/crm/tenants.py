"""Tenants that bring a key of their own: one application, one store, and which key seals depends on the tenant."""

from __future__ import annotations

from collections.abc import Sequence

from keycheck.lab.crm.contacts import Contact, Store
from keycheck.lab.crm.keeping import Contacts


class ByTenant:
    """Contacts of tenants whose names begin with ``prefix`` go to ``own``, all others to ``shared``. Both keep their
    rows in the same store."""

    def __init__(self, shared: Contacts, own: Contacts, prefix: str) -> None:
        self._shared = shared
        self._own = own
        self._prefix = prefix

    @property
    def store(self) -> Store:
        """The rows as stored."""
        return self._shared.store

    def put(self, contact: Contact) -> None:
        """Store. Raise KeyUnavailable."""
        self._of(contact.tenant).put(contact)

    def get(self, tenant: str, record: str) -> Contact:
        """Raise NoSuchContact, KeyUnavailable or IntegrityFailure."""
        return self._of(tenant).get(tenant, record)

    def list(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """Ids in order."""
        return self._of(tenant).list(tenant, after=after, limit=limit)

    def delete(self, tenant: str, record: str) -> None:
        """Raise NoSuchContact."""
        self._of(tenant).delete(tenant, record)

    def _of(self, tenant: str) -> Contacts:
        return self._own if tenant.startswith(self._prefix) else self._shared
