"""What a handler gets: who asks what of which estate; refusals and lists in pages, as Google's JSON APIs have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from keycheck.lab.gcp_stores.plan import GcpPlan, KeyRef

T = TypeVar("T")
_TOKEN: Final = "lab-"
_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid", "INVALID_ARGUMENT"),
    401: ("authError", "UNAUTHENTICATED"),
    403: ("forbidden", "PERMISSION_DENIED"),
    404: ("notFound", "NOT_FOUND"),
    405: ("methodNotAllowed", "UNIMPLEMENTED"),
    429: ("rateLimitExceeded", "RESOURCE_EXHAUSTED"),
    501: ("notImplemented", "UNIMPLEMENTED"),
    503: ("backendError", "UNAVAILABLE"),
}


class RefusedError(Exception):
    """An answer that is not OK."""

    def __init__(self, status: int, message: str, details: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = tuple(details)

    def told(self) -> Mapping[str, object]:
        """The body."""
        reason, status = _REASONS.get(self.status, ("unknown", "UNKNOWN"))
        each = {"message": self.message, "domain": "global", "reason": reason}
        error = {"code": self.status, "message": self.message, "status": status, "errors": [each]}
        return {"error": {**error, "details": list(self.details)} if self.details else error}


def disabled(service: str) -> RefusedError:
    """What a service answers that the project has not enabled. See https://cloud.google.com/apis/design/errors."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": f"{service}.googleapis.com"},
    }
    return RefusedError(
        403, f"{service}.googleapis.com has not been used in this project before or it is disabled.", (info,)
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """One call. `named` are the parts of the path that the route names."""

    named: Mapping[str, str]
    query: Mapping[str, str]
    principal: str
    plan: GcpPlan
    now: datetime
    key_of: Callable[[KeyRef], str]
    """Resource name of a key as the plan names it."""
    permitted: Callable[[str, str], bool]
    """Whether the principal has a permission in a project."""
    number_of: Callable[[str], str]
    """Of a project."""
    id_of: Callable[[str], str]
    """Of a project that may be called by its number."""
    page_size: int | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    """Of a POST."""

    def require(self, permission: str, project: str, resource: str) -> None:
        """Raises RefusedError(403)."""
        if not self.permitted(permission, project):
            raise RefusedError(
                403,
                f"{self.principal.partition(':')[2]} does not have {permission} access. Permission '{permission}' "
                f"denied on resource '{resource}' (or it may not exist).",
            )

    def key(self, ref: KeyRef | None) -> str | None:
        """Resource name of a key; None of None."""
        return None if ref is None else self.key_of(ref)

    def version(self, ref: KeyRef | None) -> str | None:
        """Of the key's version, as what was written under it says."""
        return None if ref is None else f"{self.key_of(ref)}/cryptoKeyVersions/1"

    def ago(self, days: float) -> datetime:
        """To the second."""
        return (self.now - timedelta(days=days)).replace(microsecond=0)

    def at(self, days: float) -> str:
        """The same as RFC 3339."""
        return f"{self.ago(days):%Y-%m-%dT%H:%M:%S}.000Z"

    def millis(self, days: float) -> str:
        """The same as BigQuery tells times."""
        return str(int(self.ago(days).timestamp() * 1000))

    def page(self, items: Sequence[T], *, size: str = "maxResults", most: int = 1000) -> tuple[Sequence[T], str | None]:
        """One page, and the token of the next. Raises RefusedError for a token that was never given out."""
        wanted = self.query.get(size, "")
        length = min(most, int(wanted) if wanted.isdecimal() and int(wanted) > 0 else most, self.page_size or most)
        token = self.query.get("pageToken") or f"{_TOKEN}0"
        if not token.startswith(_TOKEN) or not token[len(_TOKEN) :].isdecimal():
            raise RefusedError(400, "Invalid page token.")
        start = int(token[len(_TOKEN) :])
        more = f"{_TOKEN}{start + length}" if start + length < len(items) else None
        return items[start : start + length], more


Handler = Callable[[Ask], Mapping[str, object]]


def sparse(**members: object) -> dict[str, object]:
    """An object without the members that are None."""
    return {name: value for name, value in members.items() if value is not None}
