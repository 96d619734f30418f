"""Google's REST APIs as an identity of the deployment: JSON in, JSON out, bounded, over TLS or to this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import MalformedError, structure
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import heard, login_failed, translated
from probes.clouds.gcp.token_http import TOKEN, Room, TokenTransport
from probes.clouds.gcp.tokens import TOKEN_S, Tokens
from probes.clouds.gcp.universes import check_endpoint, literal_loopback

CALL_S: Final = 10.0
"""Seconds that one call may take."""
_PAUSES: Final = (0.5, 2.0)
_PASSING: Final = (Reason.THROTTLED, Reason.UNREACHABLE, Reason.TIMEOUT)
_LIMITS: Final = ("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED")
"""What older services say with a 403."""
_ERROR_INFO: Final = "/google.rpc.ErrorInfo"

Answer = Mapping[str, object]


class RestError(ProbeError):
    """What Google Cloud itself said no to. `status` is of HTTP, `told` the reason that the error's details name
    (`SERVICE_DISABLED`; `accessNotConfigured` of older services), empty where they name none.
    See https://cloud.google.com/apis/design/errors."""

    def __init__(self, reason: Reason, message: str, status: int, told: str = "") -> None:
        super().__init__(reason, message)
        self.status = status
        self.told = told

    def __reduce__(self) -> tuple[type[RestError], tuple[Reason, str, int, str]]:
        return (RestError, (self.reason, str(self), self.status, self.told))


@dataclass(frozen=True, slots=True)
class Rest:
    """One service, as one identity, for one unit of work's time."""

    identity: GcpIdentity
    io: Io
    base: str
    until: float
    sleep: Callable[[float], None]
    prefix: str = "v1"
    """What every path begins with: `storage/v1`."""
    room: Room = TOKEN

    @classmethod
    def of(
        cls,
        service: str,
        named: str | None,
        ref: str | None,
        io: Io,
        sleep: Callable[[float], None],
        *,
        prefix: str = "v1",
        room: Room = TOKEN,
    ) -> Rest:
        """`service` (`cloudscheduler`) of the identity's universe, or the endpoint that it names. Raises ProbeError."""
        identity = clients.identity_of(ref, io)
        base = _base(identity, service, named)
        clients.credentials(identity, io)
        return cls(identity, io, base, io.monotonic() + io.budget - 1.0, sleep, prefix, room)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None, doing: str) -> Answer:
        """The answer to one call, which may be made again after failures that pass: so one that was done all the same
        meets what it made. Raises ProbeError (RestError when Google itself says no)."""
        for pause in _PAUSES:
            try:
                return self._once(method, path, body, doing)
            except ProbeError as error:
                if error.reason not in _PASSING or (isinstance(error, RestError) and error.status == 404):
                    raise
            self.sleep(pause)
        return self._once(method, path, body, doing)

    def _once(self, method: str, path: str, body: Mapping[str, object] | None, doing: str) -> Answer:
        from google.auth.exceptions import GoogleAuthError, TransportError

        seconds = min(CALL_S, self.until - self.io.monotonic())
        if seconds <= 0:
            raise ProbeError(Reason.TIMEOUT, f"{doing}: the time for it was over before it was asked")
        try:
            headers = {**self._tokens().headers(min(TOKEN_S, seconds)), "content-type": "application/json"}
        except GoogleAuthError as error:
            raise translated(error, doing, self.identity.id) or error from None
        sent = None if body is None else json.dumps(body)
        try:
            reply = TokenTransport(self.io, seconds, self.room)(
                f"{self.base}/{self.prefix}/{path}", method, sent, headers
            )
        except TransportError as error:
            raise ProbeError(
                Reason.UNREACHABLE, f"{doing}: {heard(str(error.args[0] if error.args else ''))}"
            ) from None
        found = _parsed(reply.data, doing)
        if not 200 <= reply.status < 300:
            raise _refused(reply.status, found, doing, self.identity.id)
        return found

    def _tokens(self) -> Tokens:
        io = self.io

        def make() -> Tokens:
            held = clients.credentials(self.identity, io)
            return Tokens(held, lambda seconds: TokenTransport(io, seconds), io.monotonic, clients.spoken(io))

        return io.once.get(("gcp", "rest", "tokens", io.vantage, self.identity), make)


def _base(identity: GcpIdentity, service: str, named: str | None) -> str:
    """Whom the token is shown. Raises ProbeError(unsupported) for anybody else."""
    if not identity.unsafe_plaintext_to_loopback:
        host = named or f"{service}.{identity.universe_domain}"
        check_endpoint(identity, host)
        return f"https://{host}"
    if named is None or not literal_loopback(named.partition(":")[0]):
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"identity {identity.id}: unsafe_plaintext_to_loopback needs an endpoint of this machine for {service}",
        )
    return f"http://{named}"


def _parsed(data: bytes, doing: str) -> Answer:
    try:
        return structure("the answer", json.loads(data or b"{}"))
    except (ValueError, RecursionError, MalformedError):
        raise ProbeError(Reason.MALFORMED, f"{doing}: the answer is no JSON structure") from None


def _refused(status: int, found: Answer, doing: str, identity: str) -> ProbeError:
    told = found.get("error")
    said = heard(str(told.get("message", ""))) if isinstance(told, dict) else ""
    why = _told(told) if isinstance(told, dict) else ""
    match status:
        case 401:
            return login_failed(identity, "the cloud does not accept its token")
        case 403 if why in _LIMITS:
            return RestError(Reason.THROTTLED, f"{doing}: throttled: {said}", status, why)
        case 403:
            return RestError(Reason.PERMISSION_DENIED, f"{doing}: denied to identity {identity}: {said}", status, why)
        case 404:
            return RestError(Reason.UNREACHABLE, f"{doing}: not found: {said}", status)
        case 429:
            return RestError(Reason.THROTTLED, f"{doing}: throttled: {said}", status)
        case _ if status >= 500:
            return RestError(Reason.UNREACHABLE, f"{doing}: the service failed ({status}): {said}", status)
        case _:
            return RestError(Reason.MALFORMED, f"{doing}: refused ({status}): {said}", status)


def _told(error: Mapping[object, object]) -> str:
    """`reason` of the first `google.rpc.ErrorInfo`, or of the first of the `errors` of older services."""
    for name, marked in (("details", True), ("errors", False)):
        entries = error.get(name)
        for each in entries[:16] if isinstance(entries, list) else ():
            if not isinstance(each, dict) or (marked and not str(each.get("@type", "")).endswith(_ERROR_INFO)):
                continue
            reason = each.get("reason")
            if isinstance(reason, str) and 0 < len(reason) <= 63:
                return reason
    return ""
