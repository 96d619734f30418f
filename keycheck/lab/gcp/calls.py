"""One call, from the bearer token to the log entry: what the services see of it and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from keycheck.lab.gcp.errors import KMS_DOMAIN, ApiError, denied, invalid
from keycheck.lab.gcp.faults import Faults, short
from keycheck.lab.gcp.iam import Iam

REASON_HEADER: Final = "x-lab-access-reason"
"""Metadata by which a test states the justification of an access (`CUSTOMER_INITIATED_ACCESS`)."""
CALLER_HEADER: Final = "x-lab-caller-ip"
"""Metadata by which a test states where a call comes from; all come from loopback."""
_MOST_PER_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Checked:
    """One permission that a call was asked for, and whether it had it."""

    permission: str
    resource: str
    granted: bool


@dataclass(slots=True)
class Call:
    """A call under way."""

    path: str
    principal: str
    now: datetime
    peer: str
    metadata: Mapping[str, str]
    iam: Iam
    faults: Faults
    resource: str = ""
    """What it turned out to be about: for the log."""
    checked: list[Checked] = field(default_factory=list)

    @property
    def method(self) -> str:
        return short(self.path)

    @property
    def reason(self) -> str:
        return self.metadata.get(REASON_HEADER, "")

    @property
    def user_agent(self) -> str:
        return self.metadata.get("user-agent", "")

    def require(self, permission: str, resource: str, domain: str = KMS_DOMAIN) -> None:
        """Raises PERMISSION_DENIED without the permission."""
        if not self.may(permission, resource):
            raise denied(permission, resource, domain)

    def may(self, permission: str, resource: str) -> bool:
        """As `require`, without raising."""
        granted = self.iam.allows(self.principal, permission, resource)
        self.checked.append(Checked(permission, resource, granted))
        if granted:
            self.iam.used(self.principal, permission)
        return granted

    def page(self, total: int, size: int, token: str) -> tuple[range, str]:
        """Which items to answer with, and the token of the page after them. Raises INVALID_ARGUMENT."""
        if size < 0:
            raise invalid("page_size must not be negative.")
        start = 0
        if token:
            if not token.startswith("lab-") or not token[4:].isdecimal() or len(token) > 20:
                raise invalid("The page_token is invalid.")
            start = int(token[4:])
        end = min(total, start + min(size or _MOST_PER_PAGE, _MOST_PER_PAGE))
        if self.faults.never_ends(self.path):
            return range(min(total, 1)), f"lab-{start + 1}"
        return range(min(start, total), end), f"lab-{end}" if end < total else ""


Handler: TypeAlias = Callable[..., object]
"""(call, request message) -> response message."""
Finish: TypeAlias = Callable[[Call, ApiError | None], None]
"""Told of every call that had a principal, when it is over."""
