"""Asking: one unit of work's calls, each with a time limit, at a polite pace, tried again a bounded number of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import translated
from probes.clouds.gcp.pace import QUOTAS, Api, Pace
from probes.clouds.gcp.tokens import TOKEN_S

T = TypeVar("T")

CALL_S: Final = 15.0
"""Seconds that one call may take."""
_MARGIN_S: Final = 1.0
"""Of the unit's budget, left for what follows the calls."""
_PAUSES_S: Final = (0.5, 2.0)
"""Before the second and the third try of a call that was throttled or found nobody."""


class Session:
    """What one unit of work asks as one identity."""

    def __init__(self, identity: GcpIdentity, io: Io, sleep: Callable[[float], None] = time.sleep) -> None:
        self.identity = identity
        self.io = io
        self._sleep = sleep
        self._until = io.monotonic() + io.budget - _MARGIN_S

    def sharing(self, part: float) -> Session:
        """For something that must not use up the time of what comes after it: at most this part of what is left."""
        other = Session(self.identity, self.io, self._sleep)
        now = self.io.monotonic()
        other._until = now + max(0.0, self._until - now) * part
        return other

    @property
    def left(self) -> float:
        """Seconds that may still be spent; none or less: it is over."""
        return self._until - self.io.monotonic()

    def ask(self, api: Api, doing: str, call: Callable[[float], T]) -> T:
        """What `call`, given its seconds, answers. Raises ProbeError."""
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError
        from google.protobuf.message import DecodeError
        from grpc import RpcError

        tries = 0
        while True:
            self._queue(api, doing)
            try:
                clients.refresh(self.identity, self.io, min(TOKEN_S, self._left(doing)))
                return call(min(CALL_S, self._left(doing)))
            except (GoogleAPICallError, RetryError, GoogleAuthError, DecodeError, RpcError) as error:
                failure = translated(error, doing, self.identity.id)
                if failure is None:
                    raise
                if tries >= len(_PAUSES_S) or not _passing(error, failure) or self._left(doing) <= _PAUSES_S[tries]:
                    raise failure from None
            except ValueError:
                # api_core: the status of an answer contradicts the details that came with it, or cannot be decoded
                raise ProbeError(Reason.MALFORMED, f"{doing}: the answer's status cannot be read") from None
            self._sleep(_PAUSES_S[tries])
            tries += 1

    def _left(self, doing: str) -> float:
        left = self.left
        if left <= 0:
            raise ProbeError(Reason.TIMEOUT, f"{doing}: the time for this key was over before it was asked")
        return left

    def _queue(self, api: Api, doing: str) -> None:
        if self.identity.unsafe_plaintext_to_loopback:
            return  # an emulator has no quota
        pace = self.io.once.get(("gcp", "pace", self.identity, api), lambda: Pace(QUOTAS[api], self.io.monotonic))
        delay = pace.wait(self._left(doing))
        if delay is None:
            raise ProbeError(Reason.THROTTLED, f"{doing}: not asked: the quota of {api} leaves no call in time")
        if delay > 0:
            self._sleep(delay)


def _passing(error: Exception, failure: ProbeError) -> bool:
    """Whether the same call may well succeed in a moment."""
    from google.api_core.exceptions import ServiceUnavailable

    return failure.reason is Reason.THROTTLED or (
        failure.reason is Reason.UNREACHABLE and isinstance(error, ServiceUnavailable)
    )
