"""One process of the practice vendor: the service with a search, an export of opened contacts and a status record.

    GET /v1/search?q=              contacts with this name, e-mail address, phone number or IBAN
    GET /v1/export?format=contacts the tenant's contacts, opened, one JSON object a line; with &id= one person's
    GET /v1/status-record          a record of the vendor's own tenant under another key

The honest vendor opens every contact that it answers with, so that one withheld record withholds a whole search or
export: there are no partial answers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Final

from keycheck.lab.crm.contacts import Contact, InvalidContactError, named
from keycheck.lab.crm.index import Index
from keycheck.lab.crm.keeping import Contacts
from keycheck.lab.crm.service import Answer, Service, answer, headers_of, not_allowed, query_of, shown

STATUS_TENANT: Final = "vendor"
STATUS_RECORD: Final = "status"
_MOST = 1_000


class Extract:
    """Contacts in the clear for exports. Safe between threads."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Contact] = {}
        self._lock = threading.Lock()

    def add(self, contact: Contact) -> None:
        """A new contact, or a new version of one."""
        with self._lock:
            self._held[contact.tenant, contact.id] = contact

    def drop(self, tenant: str, record: str) -> None:
        """Forget a contact, if it is there."""
        with self._lock:
            self._held.pop((tenant, record), None)

    def of(self, tenant: str) -> tuple[Contact, ...]:
        """The tenant's contacts."""
        with self._lock:
            return tuple(contact for (owner, _), contact in sorted(self._held.items()) if owner == tenant)


class Indexed:
    """An application whose writes also reach the index and, where there is one, the extract."""

    def __init__(self, inner: Contacts, index: Index, extract: Extract | None) -> None:
        self.inner = inner
        self._index = index
        self._extract = extract
        self.store = inner.store
        self.get = inner.get
        self.list = inner.list

    def put(self, contact: Contact) -> None:
        """Raise KeyUnavailable; then nothing was stored or indexed."""
        self.inner.put(contact)
        self._index.add(contact)
        if self._extract is not None:
            self._extract.add(contact)

    def delete(self, tenant: str, record: str) -> None:
        """Raise NoSuchContact."""
        self.inner.delete(tenant, record)
        self._index.drop(tenant, record)
        if self._extract is not None:
            self._extract.drop(tenant, record)


class Pod(Service):
    """Answers requests as the plain service does, and the paths above."""

    def __init__(
        self,
        contacts: Contacts,
        tokens: Mapping[str, str],
        *,
        status: Contacts,
        index: Index,
        extract: Extract | None = None,
    ) -> None:
        self.contacts = Indexed(contacts, index, extract)
        """The application, for whoever fills it from behind."""
        super().__init__(self.contacts, tokens)
        self._status = status
        self._index = index
        self._extract = extract

    def routed(self, method: str, target: str, query: str, body: bytes, tenant: str) -> Answer:
        """As the plain service, and more paths."""
        match target:
            case "/v1/search":
                return self._search(tenant, query) if method == "GET" else not_allowed("GET")
            case "/v1/status-record":
                if method != "GET":
                    return not_allowed("GET")
                return answer(200, shown(self._status.get(STATUS_TENANT, STATUS_RECORD)))
            case "/v1/export" if method == "GET" and query_of(query, "format", "id").get("format") == "contacts":
                return self._opened(tenant, query_of(query, "format", "id").get("id"))
            case _:
                return super().routed(method, target, query, body, tenant)

    def _search(self, tenant: str, query: str) -> Answer:
        value = query_of(query, "q").get("q", "")
        if not value:
            raise InvalidContactError("q must be a whole value to search for")
        hits = [
            shown(self._index.contact(tenant, record) or self.contacts.get(tenant, record))
            for record in self._index.ids(tenant, value)
        ]
        return answer(200, {"hits": hits})

    def _opened(self, tenant: str, record: str | None) -> Answer:
        found: tuple[Contact, ...]
        if self._extract is not None:
            found = tuple(each for each in self._extract.of(tenant) if record in (None, each.id))
        else:
            ids = self.contacts.list(tenant, limit=_MOST) if record is None else (named(record, "id"),)
            found = tuple(self.contacts.get(tenant, each) for each in ids)
        lines = [json.dumps(shown(each), ensure_ascii=False) + "\n" for each in found]
        return Answer(200, headers_of({"Content-Type": "application/x-ndjson"}), "".join(lines).encode())
