"""What the application asks of a cloud: seal a field, open a field; and how either can fail.

A key that is withheld and bytes that are wrong are two different failures, because a drill tells them apart. Neither
message names plaintext, key material or the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, TypeAlias

from keycheck.errors import KeycheckError

Context: TypeAlias = Mapping[str, str]
"""What a sealed value is bound to: authenticated, not secret."""


class Withheld(StrEnum):
    """Why the key service did not serve."""

    DENIED = "denied"
    DISABLED = "disabled"
    """Disabled, pending deletion or import, destroyed, or cut off from its own store."""
    MISSING = "missing"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    OTHER = "other"


class CrmError(KeycheckError):
    """The practice application cannot do what was asked."""


class KeyUnavailable(CrmError):  # noqa: N818  the word of the application's interface
    """The customer's key did not serve; nothing is known about the data."""

    def __init__(self, why: Withheld) -> None:
        super().__init__(
            f"the customer's key did not serve: {why.value}", advice="ask the customer whether the key is withheld"
        )
        self.why = why

    def __reduce__(self) -> tuple[type[KeyUnavailable], tuple[Withheld]]:
        return KeyUnavailable, (self.why,)


class IntegrityFailure(CrmError):  # noqa: N818  the word of the application's interface
    """The sealed bytes are not what was sealed under this key for this context."""

    def __init__(self, what: str) -> None:
        super().__init__(f"a sealed value does not open: {what}", advice="restore the record from a backup")
        self.what = what

    def __reduce__(self) -> tuple[type[IntegrityFailure], tuple[str]]:
        return IntegrityFailure, (self.what,)


class Envelope(Protocol):
    """Envelope encryption under one key of the customer. Safe to share between threads."""

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """Encrypt, bound to ``context``. Raise KeyUnavailable; IntegrityFailure for bytes changed on the way."""
        ...

    def open(self, sealed: bytes, context: Context) -> bytes:
        """What was sealed for this very context. Raise KeyUnavailable or IntegrityFailure, never partial plaintext."""
        ...
