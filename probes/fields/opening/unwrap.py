"""Unwrapping data keys under the contracted key, and under no other.

A call always names the key: without a name AWS KMS picks the key that a blob asks for, in whatever account
(GHSA-wqgp-vphw-hphf). What a value claims of its key is compared before anything is sent. The key service's answer is
one of three: unwrapped; refused, which is a finding; unanswered, which is a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.fields.formats.seam import Wrapped

MOST_KEYS: Final = 20
"""Wrapped keys of one value that are looked at: more is an attack on whoever opens it."""
LONGEST_BLOB: Final = 64 * 1024 + 512
LONGEST_KEY: Final = 64 * 1024
"""Bytes that a key service gives back at most."""
ATTEMPTS: Final = 3
PATIENCE: Final = 8
"""So many calls in a row without an answer, and no more are made."""
_PAUSE: Final = 0.4
_PASSING: Final = frozenset({Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A data key in the clear. `forget` it: Python cannot promise more, as the SDKs hand over bytes that nobody can
    overwrite."""

    key: bytearray = field(repr=False)
    key_id: str
    """Key that the service says it used; where the service says none, the one that was named to it."""
    material: str = ""
    """Id of the key material, where the service names it."""

    def forget(self) -> None:
        """Overwrite it."""
        self.key[:] = bytes(len(self.key))


@dataclass(frozen=True, slots=True)
class Declined:
    """The service says: not of this key, or not with this context, or changed."""

    code: str
    other_key: bool = False
    """It says which: of another key, whatever the context."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing was learned."""

    why: Unseen
    later: bool = False
    """Another attempt may well have an answer."""


Answer: TypeAlias = Unwrapped | Declined | Unanswered


class Unwrapper(Protocol):
    """Asks one key service about one key."""

    @property
    def provider(self) -> str:
        """`aws-kms` or `gcp-kms`, as in `Wrapped.provider`."""

    def admits(self, named: str) -> bool:
        """Whether a value that names its wrapping key like this may be sent: it names the pinned key, or none."""

    def unwrap(self, blob: bytes, context: Mapping[str, str], associated: bytes) -> Answer:
        """One call. `context` is AWS's, `associated` Google's. Raises nothing."""


Sleep: TypeAlias = Callable[[float], None]
"""Waits so many seconds."""
MakeUnwrapper: TypeAlias = Callable[[str], Unwrapper]
"""From a key's resource name. Raises ProbeError where no key service can be asked."""


def unwrapper(io: Io, identity: str, resource: str) -> Unwrapper:
    """For the key `resource`, asked as the identity of the deployment. Raises ProbeError."""
    from probes.fields.opening.unwrap_aws import AwsUnwrapper
    from probes.fields.opening.unwrap_gcp import GcpUnwrapper

    if resource.startswith("arn:"):
        return AwsUnwrapper.of(io, identity, resource)
    if resource.startswith("projects/"):
        return GcpUnwrapper.of(io, identity, resource)
    raise ProbeError(
        Reason.UNSUPPORTED,
        "no key of AWS KMS or Google Cloud KMS is declared for this column; name one in the field map",
    )


def chosen(wrapped: Sequence[Wrapped], who: Unwrapper) -> Wrapped | Unseen:
    """The wrapped key that is to be sent: the first of the service's own kind that names the pinned key, or none."""
    if len(wrapped) > MOST_KEYS:
        return Unseen(reason=Reason.MALFORMED, detail=f"a value has more than {MOST_KEYS} wrapped keys; none was sent")
    own = [each for each in wrapped if each.provider == who.provider and each.blob]
    if not own:
        return Unseen(reason=Reason.UNSUPPORTED, detail="the data key is not wrapped by the declared key service")
    fitting = sorted((each for each in own if who.admits(each.key)), key=lambda each: not each.key)
    if not fitting:
        return Unseen(
            reason=Reason.CONFLICTING, detail="the value names other wrapping keys than the pinned one; none was sent"
        )
    if len(fitting[0].blob) > LONGEST_BLOB:
        return Unseen(reason=Reason.MALFORMED, detail="a wrapped key is longer than the key service takes")
    return fitting[0]


class Budget:
    """The calls that may be made, repeats and refusals included. Not shared between threads."""

    def __init__(self, calls: int, reserved: int = 0, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self.left = calls - reserved
        self._reserved = reserved
        self._silent: dict[str, int] = {}
        self._last: dict[str, Unseen] = {}

    def release(self) -> None:
        """What was reserved may be used, too."""
        self.left += self._reserved
        self._reserved = 0

    def ask(
        self,
        key: str,
        who: Unwrapper,
        blob: bytes,
        context: Mapping[str, str],
        associated: bytes,
        sleep: Sleep,
    ) -> tuple[Answer, int]:
        """The answer, tried again where it makes sense, and how many calls it took. Of a key whose service has not
        answered eight times in a row nothing more is asked."""
        if self._stopped():
            return Unanswered(INTERRUPTED), 0
        if self._silent.get(key, 0) >= PATIENCE:
            return Unanswered(self._last[key]), 0
        made = 0
        answer: Answer = Unanswered(_CAPPED)
        while made < ATTEMPTS and self.left > 0 and not (made and self._stopped()):
            if made:
                sleep(_PAUSE * made)
            self.left -= 1
            made += 1
            answer = who.unwrap(blob, context, associated)
            if not isinstance(answer, Unanswered) or not answer.later:
                break
        if made and isinstance(answer, Unanswered):
            self._silent[key] = self._silent.get(key, 0) + 1
            self._last[key] = answer.why
        elif made:
            self._silent[key] = 0
        return answer, made


INTERRUPTED: Final = Unseen(reason=Reason.INTERRUPTED, detail="not asked: the run was interrupted")
_CAPPED: Final = Unseen(
    reason=Reason.NOT_COVERED, detail="not asked: the data set's limit of calls (`opening.calls`) was reached"
)


def unanswered(reason: Reason, words: str) -> Unanswered:
    """With words of our own: what a service says may quote what it was sent."""
    return Unanswered(Unseen(reason=reason, detail=words), reason in _PASSING)
