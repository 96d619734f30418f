"""Access tokens: had once for all calls of a credential, within a time, and known again when they come back."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable
from typing import Final, Protocol, cast

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.gcp.errors import no_token

TOKEN_S: Final = 10.0
"""Seconds that a token service may take, all its answers together."""
AGAIN_S: Final = 30.0
"""Seconds for which a failure is believed: other keys are not made to wait for it too."""
MAX_KNOWN: Final = 256
_TOKEN: Final = re.compile(r"Bearer [A-Za-z0-9._~+/=-]{1,16384}")
"""RFC 6750, section 2.1."""
_PIECE: Final = 16
"""Characters of a token that are its own; whatever repeats twice as many of them in a row holds such a piece."""


class _Held(Protocol):
    """What google-auth's credentials do for a call."""

    @property
    def valid(self) -> bool:
        """Whether there is a token that is not past its end."""

    def refresh(self, request: object, /) -> None:
        """Get a new one."""

    def apply(self, headers: dict[str, str], /) -> None:
        """Put it among the headers."""


class Spoken:
    """The tokens that a run has sent. Thread-safe. A cloud that repeats one would have us publish it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: dict[str, tuple[bytes, ...]] = {}

    def add(self, token: str) -> None:
        """Remember a token, and forget the oldest where there are too many. One too short to be a secret would be
        found in everything."""
        pieces = tuple(token[at : at + _PIECE].encode() for at in range(0, len(token) - _PIECE + 1, _PIECE))
        with self._lock:
            self._pieces.pop(token, None)
            self._pieces[token] = pieces
            if len(self._pieces) > MAX_KNOWN:
                del self._pieces[next(iter(self._pieces))]

    def within(self, data: bytes) -> bool:
        """Whether the bytes hold a token, or a long piece of one."""
        with self._lock:
            known = {piece for pieces in self._pieces.values() for piece in pieces}
        return any(piece in data for piece in known)


class Tokens:
    """The tokens of one credential. Thread-safe; google-auth itself refreshes without a lock."""

    def __init__(
        self,
        credentials: object,
        transport: Callable[[float], object],
        monotonic: Callable[[], float],
        spoken: Spoken,
    ) -> None:
        self._held = cast(_Held, credentials)
        self._transport = transport
        self._monotonic = monotonic
        self._spoken = spoken
        self._lock = threading.Lock()
        self._failure: tuple[float, Exception] | None = None

    def ready(self, seconds: float) -> None:
        """Have a token that is not past its end. Raises google-auth's errors, ProbeError(timeout)."""
        with _Within(self._lock, seconds):
            if not self._held.valid:
                self._refresh(seconds)

    def headers(self, seconds: float) -> dict[str, str]:
        """What a call carries. Raises google-auth's errors, ProbeError(timeout)."""
        found: dict[str, str] = {}
        with _Within(self._lock, seconds):
            # not `before_request`: that also asks Google, with this token, where it may be used from
            if not self._held.valid:
                self._refresh(seconds)
            try:
                self._held.apply(found)
            except (TypeError, ValueError, AttributeError):
                raise no_token("the token service's answer is malformed") from None
        authorization = found.get("authorization", "")
        # what gRPC cannot send it writes into its log
        if not _TOKEN.fullmatch(authorization) or not all(
            each.isascii() and each.isprintable() for each in found.values()
        ):
            raise no_token("the token service's answer is malformed")
        self._spoken.add(authorization.removeprefix("Bearer "))
        return {name.lower(): value for name, value in found.items()}

    def _refresh(self, seconds: float) -> None:
        from google.auth.exceptions import GoogleAuthError

        if self._failure is not None and self._monotonic() < self._failure[0]:
            raise copy.copy(self._failure[1])
        try:
            self._held.refresh(self._transport(min(seconds, TOKEN_S)))
        except GoogleAuthError as error:
            failure: Exception = error
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            # google-auth's readers raise these for answers of the wrong shape
            failure = no_token("the token service's answer is malformed")
        else:
            self._failure = None
            return
        self._failure = (self._monotonic() + AGAIN_S, failure)
        raise failure from None


class _Within:
    """Holds a lock that is had in time."""

    def __init__(self, lock: threading.Lock, seconds: float) -> None:
        self._lock = lock
        self._seconds = seconds

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=max(self._seconds, 0.0)):
            raise ProbeError(Reason.TIMEOUT, "another key still waits for this identity's token")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
