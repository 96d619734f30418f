"""Envelopes of vendors that mishandle a rotation of the customer's key. They see it by the key's current material."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

from keycheck.lab.crm.envelope import Context, Envelope, IntegrityFailure, KeyUnavailable, Withheld


class Turning:
    """Seals through ``inner`` until the key's material is another than at the start, and through ``other`` from then
    on; opens what either sealed."""

    def __init__(self, inner: Envelope, other: Envelope, material: Callable[[], str]) -> None:
        self._inner = inner
        self._other = other
        self._material = material
        self._first = material()

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """As one of the two."""
        sealing = self._inner if self._material() == self._first else self._other
        return sealing.seal(plaintext, context)

    def open(self, sealed: bytes, context: Context) -> bytes:
        """As the one that sealed it."""
        try:
            return self._inner.open(sealed, context)
        except IntegrityFailure:
            return self._other.open(sealed, context)


class Forgetting:
    """Opens what was sealed under the key's current material, and says of everything else that the key is withheld.
    Safe between threads."""

    def __init__(self, inner: Envelope, material: Callable[[], str]) -> None:
        self._inner = inner
        self._material = material
        self._first = material()
        self._later: dict[bytes, str] = {}
        """By digest of the sealed value: the material that it was sealed under, where that is not the first."""
        self._lock = threading.Lock()

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """As the envelope inside."""
        now, sealed = self._material(), self._inner.seal(plaintext, context)
        if now != self._first:
            with self._lock:
                self._later[hashlib.sha256(sealed).digest()] = now
        return sealed

    def open(self, sealed: bytes, context: Context) -> bytes:
        """As the envelope inside. Raise KeyUnavailable for what is older than the current material."""
        with self._lock:
            under = self._later.get(hashlib.sha256(sealed).digest(), self._first)
        if under != self._material():
            raise KeyUnavailable(Withheld.OTHER)
        return self._inner.open(sealed, context)
