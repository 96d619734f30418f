"""Applications that keep more than the sealed store, and so go on serving without the customer's key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keycheck.lab.crm.contacts import Contact, NoSuchContact, Store
from keycheck.lab.crm.envelope import Context, Envelope, IntegrityFailure, KeyUnavailable, Withheld
from keycheck.model.types import Entropy

_NONCE = 12


class Contacts(Protocol):
    """What the service asks of the application (`Crm`, or one that wraps it). Safe between threads."""

    @property
    def store(self) -> Store:
        """The rows as stored."""
        ...

    def put(self, contact: Contact) -> None:
        """Store. Raise KeyUnavailable."""
        ...

    def get(self, tenant: str, record: str) -> Contact:
        """Raise NoSuchContact, KeyUnavailable or IntegrityFailure."""
        ...

    def list(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """Ids in order."""
        ...

    def delete(self, tenant: str, record: str) -> None:
        """Raise NoSuchContact."""
        ...


class _Wrapping:
    def __init__(self, inner: Contacts) -> None:
        self._inner = inner

    @property
    def store(self) -> Store:
        return self._inner.store

    def put(self, contact: Contact) -> None:
        self._inner.put(contact)

    def get(self, tenant: str, record: str) -> Contact:
        return self._inner.get(tenant, record)

    def list(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[str]:
        return self._inner.list(tenant, after=after, limit=limit)

    def delete(self, tenant: str, record: str) -> None:
        self._inner.delete(tenant, record)


class WithCopy(_Wrapping):
    """Every contact also goes to ``copy``, which answers when the key is withheld. ``writes_on``: so do new writes."""

    def __init__(self, inner: Contacts, copy: Contacts, *, writes_on: bool) -> None:
        super().__init__(inner)
        self._copy = copy
        self._writes_on = writes_on

    def put(self, contact: Contact) -> None:
        self._copy.put(contact)
        try:
            self._inner.put(contact)
        except KeyUnavailable:
            if not self._writes_on:
                raise

    def get(self, tenant: str, record: str) -> Contact:
        try:
            return self._inner.get(tenant, record)
        except (KeyUnavailable, NoSuchContact) as refused:
            try:
                return self._copy.get(tenant, record)
            except NoSuchContact:
                raise refused from None

    def delete(self, tenant: str, record: str) -> None:
        self._copy.delete(tenant, record)
        self._inner.delete(tenant, record)


class WithAnswers(_Wrapping):
    """Remembers what was read, and serves it when the key is withheld."""

    def __init__(self, inner: Contacts) -> None:
        super().__init__(inner)
        self._read: dict[tuple[str, str], Contact] = {}

    def get(self, tenant: str, record: str) -> Contact:
        try:
            found = self._inner.get(tenant, record)
        except KeyUnavailable:
            if (kept := self._read.get((tenant, record))) is None:
                raise
            return kept
        self._read[tenant, record] = found
        return found


class WithCanaries(_Wrapping):
    """Contacts whose ids begin with ``prefix`` are sealed like any other, and answered from memory."""

    def __init__(self, inner: Contacts, prefix: str, known: dict[tuple[str, str], Contact]) -> None:
        super().__init__(inner)
        self._prefix = prefix
        self._known = known

    def put(self, contact: Contact) -> None:
        super().put(contact)
        if contact.id.startswith(self._prefix):
            self._known[contact.tenant, contact.id] = contact

    def get(self, tenant: str, record: str) -> Contact:
        return self._known.get((tenant, record)) or super().get(tenant, record)


class OwnKey:
    """An envelope under a key that the vendor made (AES-256-GCM): the customer's cloud never hears of it."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._key = AESGCM(entropy(32))

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """Never refuses."""
        nonce = self._entropy(_NONCE)
        return nonce + self._key.encrypt(nonce, plaintext, _bytes(context))

    def open(self, sealed: bytes, context: Context) -> bytes:
        """Raise IntegrityFailure."""
        try:
            return self._key.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bytes(context))
        except (InvalidTag, ValueError) as error:
            raise IntegrityFailure("not sealed by the vendor's own key") from error


class Breaker:
    """An envelope whose circuit breaker opens for a record once the key was withheld, for ``seconds``."""

    def __init__(self, inner: Envelope, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._seconds = seconds
        self._clock = clock
        self._opened: dict[tuple[tuple[str, str], ...], float] = {}
        self._lock = threading.Lock()

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """As the envelope inside. Raise KeyUnavailable while the breaker is open."""
        return self._through(context, lambda: self._inner.seal(plaintext, context))

    def open(self, sealed: bytes, context: Context) -> bytes:
        """As the envelope inside. Raise KeyUnavailable while the breaker is open."""
        return self._through(context, lambda: self._inner.open(sealed, context))

    def _through(self, context: Context, call: Callable[[], bytes]) -> bytes:
        record = tuple(sorted((name, value) for name, value in context.items() if name != "field"))
        with self._lock:
            opened = self._opened.get(record)
        if opened is not None and self._clock() - opened < self._seconds:
            raise KeyUnavailable(Withheld.OTHER)
        try:
            return call()
        except KeyUnavailable:
            with self._lock:
                self._opened[record] = self._clock()
            raise


class Halves:
    """Seals through one envelope and opens through another."""

    def __init__(self, seals: Envelope, opens: Envelope) -> None:
        self._seals = seals
        self._opens = opens

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """As the first."""
        return self._seals.seal(plaintext, context)

    def open(self, sealed: bytes, context: Context) -> bytes:
        """As the second."""
        return self._opens.open(sealed, context)


def _bytes(context: Context) -> bytes:
    return repr(sorted(context.items())).encode()
