"""The envelope in Google Cloud: Tink's `KmsEnvelopeAead` (AES256_GCM) over an Aead that calls Cloud KMS.

Tink wraps data keys with empty associated data: the context binds the payload and not the wrapped key, and the cloud
never sees it.

Tink has no cache. For reading, unwrapped data keys are kept here by their wrapped bytes. For writing, Tink makes a
data key for each message, so with a cache `_ReusedKey` writes the same layout with Tink's own primitives and takes
one data key for many messages; Tink's class reads both.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tink import aead, core  # type: ignore[import-untyped]

from keycheck.lab.crm.envelope import Context, IntegrityFailure
from keycheck.lab.crm.gcp_aead import KmsAead

if TYPE_CHECKING:
    from google.cloud import kms

_WRAPPED_LENGTH = struct.Struct(">I")  # as KmsEnvelopeAead writes it


class GcpEnvelope:
    """Seals under the CryptoKey named ``key`` (`projects/…/cryptoKeys/…`; its primary version at each call).

    ``max_age``: seconds that a data key may be used again, 0 for no cache, ``math.inf`` for ever. ``max_messages``: how
    many messages one cached data key may encrypt. ``capacity``: data keys held. ``timeout``: seconds for one call with
    its retries. ``clock``: seconds that only grow.
    """

    def __init__(
        self,
        client: kms.KeyManagementServiceClient,
        key: str,
        *,
        max_age: float = 0.0,
        max_messages: int = 100,
        capacity: int = 10_000,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        aead.register()
        remote: aead.Aead = KmsAead(client, key, timeout=timeout)
        template = aead.aead_key_templates.AES256_GCM
        if max_age > 0:
            remote = _Remembering(remote, max_age, capacity, clock)
        self._opens: aead.Aead = aead.KmsEnvelopeAead(template, remote)
        self._seals: aead.Aead = self._opens
        if max_age > 0:
            self._seals = _ReusedKey(self._opens, remote, max_age, max_messages, clock)

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """The wrapped data key behind its length, then the payload. Raise KeyUnavailable, IntegrityFailure."""
        return bytes(self._seals.encrypt(plaintext, associated_data(context)))

    def open(self, sealed: bytes, context: Context) -> bytes:
        """What was sealed for this very context. Raise KeyUnavailable, IntegrityFailure."""
        try:
            return bytes(self._opens.decrypt(sealed, associated_data(context)))
        except core.TinkError as error:
            raise IntegrityFailure("not sealed by this key for this context") from error


def associated_data(context: Context) -> bytes:
    """The context as canonical JSON, so that no two contexts share their bytes."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class _Remembering(aead.Aead):  # type: ignore[misc]
    """Unwrapped data keys by their wrapped bytes. A hit asks nobody: that is how a revocation comes late."""

    def __init__(self, remote: aead.Aead, max_age: float, capacity: int, clock: Callable[[], float]) -> None:
        self._remote = remote
        self._max_age = max_age
        self._capacity = capacity
        self._clock = clock
        self._held: OrderedDict[tuple[bytes, bytes], tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return bytes(self._remote.encrypt(plaintext, associated_data))

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        place = (ciphertext, associated_data)
        with self._lock:
            born, plaintext = self._held.get(place, (0.0, b""))
            if plaintext and self._clock() - born <= self._max_age:
                self._held.move_to_end(place)
                return plaintext
            self._held.pop(place, None)
        asked = self._clock()
        plaintext = bytes(self._remote.decrypt(ciphertext, associated_data))
        with self._lock:
            self._held[place] = (asked, plaintext)
            while len(self._held) > self._capacity:
                self._held.popitem(last=False)
        return plaintext


@dataclass(slots=True)
class _Current:
    """The data key that new messages take."""

    header: bytes
    """Length and wrapped data key, as every message begins."""
    sealer: aead.Aead = field(repr=False)
    born: float
    left: int


class _ReusedKey(aead.Aead):  # type: ignore[misc]
    """Messages of `KmsEnvelopeAead`, but with one data key for many: nonces are random, so keep ``most`` below 2^32."""

    def __init__(
        self, envelope: aead.KmsEnvelopeAead, remote: aead.Aead, max_age: float, most: int, clock: Callable[[], float]
    ) -> None:
        self._envelope = envelope
        self._remote = remote
        self._max_age = max_age
        self._most = most
        self._clock = clock
        self._current: _Current | None = None
        self._lock = threading.Lock()

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        header, sealer = self._take()
        return bytes(header + sealer.encrypt(plaintext, associated_data))

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return bytes(self._envelope.decrypt(ciphertext, associated_data))

    def _take(self) -> tuple[bytes, aead.Aead]:
        with self._lock:
            current = self._current
            if current is not None and current.left > 0 and self._clock() - current.born <= self._max_age:
                current.left -= 1
                return current.header, current.sealer
        # Not under the lock: a key service that hangs must not hold up the other threads; the last one's key stays.
        born = self._clock()
        key = core.Registry.new_key_data(self._envelope.key_template)
        wrapped = bytes(self._remote.encrypt(key.value, b""))
        sealer = core.Registry.primitive(key, aead.Aead)
        fresh = _Current(_WRAPPED_LENGTH.pack(len(wrapped)) + wrapped, sealer, born, self._most - 1)
        with self._lock:
            self._current = fresh
        return fresh.header, fresh.sealer
