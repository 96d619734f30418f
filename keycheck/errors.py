"""The errors keycheck raises on purpose. Each says what is wrong and what the user can do about it.

    KeycheckError
    ├── ProfileError       a profile or waiver that cannot be used        exit 2
    ├── DeploymentError    a deployment or authorization that cannot be   exit 2
    ├── ProbeError         an observation that could not be made          never leaves the engine
    └── IntegrityError     evidence that does not verify                  exit 5

Secrets never stand in a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keycheck.model.verdict import Reason


class KeycheckError(Exception):
    """Base of all deliberate errors: `str(error)` is one sentence, `error.advice` is the mend."""

    def __init__(self, message: str, *, advice: str) -> None:
        super().__init__(message)
        self.advice = advice
        """What the user can do now, in one sentence."""


class UsageError(KeycheckError):
    """The command line asks for something that cannot be done."""


class ProfileError(KeycheckError):
    """A profile or a waiver is wrong; the message carries file, line and column."""


class DeploymentError(KeycheckError):
    """A deployment or an authorization is wrong; the message carries file, line and column."""


class IntegrityError(KeycheckError):
    """Evidence does not verify: changed, truncated, incomplete, or not signed by a trusted key."""


class ProbeError(KeycheckError):
    """A probe could not observe what it was asked to; becomes `unseen(reason)`, never a verdict."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message, advice="see the observation's reason code")
        self.reason = reason
