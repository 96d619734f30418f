"""The application without its doors: contacts in, sealed rows stored; sealed rows read, contacts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keycheck.lab.crm.contacts import SENSITIVE, Contact, Row, Store, record_context
from keycheck.lab.crm.envelope import Context, Envelope, IntegrityFailure


class Crm:
    """The practice CRM. Safe between threads.

    ``context`` says what a field is bound to, and ``sealed`` which fields are. The defaults are the honest vendor's;
    others are for vendors that break the contract.
    """

    def __init__(
        self,
        envelope: Envelope,
        store: Store,
        *,
        context: Callable[[str, str, str], Context] = record_context,
        sealed: Sequence[str] = SENSITIVE,
    ) -> None:
        self.envelope = envelope
        self.store = store
        self._context = context
        self._sealed = frozenset(sealed)

    def put(self, contact: Contact) -> None:
        """Store, replacing what was there. Raise KeyUnavailable; then nothing was stored."""
        values = {name: self._seal(contact, name) for name in SENSITIVE}
        self.store.put(Row(contact.tenant, contact.id, contact.country, values))

    def get(self, tenant: str, record: str) -> Contact:
        """The whole contact or none of it. Raise NoSuchContact, KeyUnavailable or IntegrityFailure."""
        row = self.store.get(tenant, record)
        opened = {name: self._open(row, name) for name in SENSITIVE}
        return Contact(tenant=row.tenant, id=row.id, country=row.country, **opened)

    def list(self, tenant: str, *, after: str = "", limit: int = 100) -> tuple[str, ...]:
        """Ids, in order, behind ``after``. Needs no key."""
        return tuple(row.id for row in self.store.list(tenant, after=after, limit=limit))

    def delete(self, tenant: str, record: str) -> None:
        """Remove one contact. Needs no key. Raise NoSuchContact."""
        self.store.delete(tenant, record)

    def _seal(self, contact: Contact, name: str) -> bytes | str:
        value: str = getattr(contact, name)
        if name not in self._sealed:
            return value
        return self.envelope.seal(value.encode(), self._context(contact.tenant, contact.id, name))

    def _open(self, row: Row, name: str) -> str:
        match row.values[name]:
            case bytes() as sealed if name in self._sealed:
                opened = self.envelope.open(sealed, self._context(row.tenant, row.id, name))
                try:
                    return opened.decode()
                except UnicodeDecodeError as error:
                    raise IntegrityFailure(f"{name} is not text") from error
            case str() as clear if name not in self._sealed:
                return clear
            case _:
                raise IntegrityFailure(f"{name} is not stored as declared")
