"""Changing the IAM policy of one CryptoKey: read, decide, write under the etag of what was read, decide again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.keys.drill.gcp_calls import GcpError, Hand, Sleep

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

_BACK_OFF: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_PASSING: Final = frozenset(
    {"ABORTED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "CANCELLED"}
)
"""Statuses after which the same may well succeed. Whether the write was done or not, what is read next says so, and its
etag keeps one that is still under way from being done later."""

Edit = Callable[["Policy"], "Policy"]
"""The policy as it is to the policy as it shall be. May raise ProbeError."""


@dataclass(frozen=True, slots=True)
class PolicyWriter:
    """The policy of one key, in the hand of one identity."""

    hand: Hand
    resource: str
    sleep: Sleep

    def read(self) -> Policy:
        """As it is. Raises ProbeError."""
        return self.hand.policy(self.resource)

    def write(self, edit: Edit) -> Policy:
        """One try; gives what is there then. Raises ProbeError(conflicting) when somebody else wrote meanwhile."""
        try:
            return self.hand.put_policy(self.resource, edit(self.read()))
        except GcpError as error:
            if error.status == "ABORTED":
                raise ProbeError(
                    Reason.CONFLICTING, f"somebody else changed the IAM policy of {self.resource}; start anew"
                ) from error
            raise

    def insist(self, edit: Edit) -> Policy:
        """Write what `edit` makes of the present policy, read anew before each try, also where it changes nothing: a
        read may be stale, and a write under its etag that is taken proves that it was not. Gives what is there then.

        Raises ProbeError.
        """
        held: ProbeError | None = None
        for wait in _BACK_OFF:
            wanted = edit(self.read())
            try:
                return self.hand.put_policy(self.resource, wanted)
            except GcpError as error:
                if error.status not in _PASSING:
                    raise
                held = error
            except ProbeError as error:
                if error.reason not in (Reason.THROTTLED, Reason.UNREACHABLE):
                    raise
                held = error
            self.sleep(wait)
        raise held or ProbeError(Reason.UNREACHABLE, f"the IAM policy of {self.resource} could not be written")
