"""Failures of Google's libraries as reason codes. A failure is never an empty answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

NOT_ASKED: Final = Unseen(reason=Reason.NOT_RECORDED, detail="not asked: no demanded control reads it")

TRANSIENT: Final = frozenset({Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE})
"""Reasons that may be gone in a moment: not remembered for the rest of the run."""

_SECRET: Final = re.compile(
    r"(?i:bearer)\s+\S+|ya29\.[\w.-]+|\bAIza[\w-]{20,}|1//[\w-]{20,}|GOCSPX-[\w-]+"
    r"|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?|-----BEGIN[^-]*-----.*"
    r"|(?i:private_key|refresh_token|client_secret|access_token|id_token|assertion)\W{1,5}\S+"
    r"|[\w+=-]{40,}",
    re.DOTALL,
)
_CLOCK: Final = re.compile(
    r"(?i)iat and exp|short-lived token|clock (?:skew|drift)|token used too early|issued in the future"
)
_LOGIN: Final = re.compile(r"(?i)metadata from plugin|AuthMetadataPlugin|invalid_grant|invalid_client|reauth")
_TOO_LARGE: Final = re.compile(r"(?i)larger than max|message length exceed|decompressed message")
_NO_MESSAGE: Final = re.compile(
    r"(?i)deserializ|failed to parse|error parsing|invalid (?:protobuf|wire)|protocol error"
)
_HEARD: Final = 300
"""Characters of a foreign message that are shown."""


def heard(text: str) -> str:
    """A server's words, bounded and printable, without anything that looks like a credential."""
    return vendor_text(_SECRET.sub("[withheld]", text[:2000]), _HEARD)


def unseen(error: ProbeError) -> Unseen:
    """An error as the reason why there are no facts."""
    return Unseen(reason=error.reason, detail=vendor_text(str(error)))


def login_failed(identity: str, kind: str) -> ProbeError:
    """No token could be had. Says nothing of what the credential holds."""
    return ProbeError(
        Reason.PERMISSION_DENIED,
        f"identity {identity}: the credential gives no access token ({kind}); renew it, or name another under "
        "`credentials`",
    )


def clock_wrong(identity: str) -> ProbeError:
    """The token service did not believe our clock."""
    return ProbeError(
        Reason.CLOCK_UNTRUSTED,
        f"identity {identity}: the token service refuses the times of our request (iat, exp): set this machine's clock",
    )


def no_token(words: str) -> Exception:
    """google-auth's own error for a token that was not had."""
    from google.auth import exceptions as auth

    make: Callable[[str], Exception] = auth.RefreshError
    return make(words)


def no_answer(words: str) -> Exception:
    """google-auth's own error for a service that did not answer."""
    from google.auth import exceptions as auth

    make: Callable[[str], Exception] = auth.TransportError
    return make(words)


def translated(error: Exception, doing: str, identity: str) -> ProbeError | None:
    """The error of a Google call as ours; None for one that is none of theirs (a defect of ours)."""
    import grpc
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.protobuf.message import DecodeError

    match error:
        case auth.GoogleAuthError():
            return _of_login(error, identity)
        case api.RetryError():
            return ProbeError(Reason.TIMEOUT, f"{doing}: no answer in time")
        case api.GoogleAPICallError():
            return _of_status(error, doing, identity)
        case grpc.RpcError():
            return ProbeError(Reason.UNREACHABLE, f"{doing}: the call failed")
        case DecodeError():
            return ProbeError(Reason.MALFORMED, f"{doing}: the answer is no such message")
        case _:
            return None


def _of_login(error: Exception, identity: str) -> ProbeError:
    from google.auth import exceptions as auth

    text = " ".join(str(part) for part in error.args)
    if _CLOCK.search(text):
        return clock_wrong(identity)
    match error:
        case auth.DefaultCredentialsError():
            return ProbeError(
                Reason.PERMISSION_DENIED,
                f"identity {identity}: no usable credential; run `gcloud auth application-default login`, or name a "
                "credential file under `credentials`",
            )
        case auth.TransportError():
            return ProbeError(Reason.UNREACHABLE, f"identity {identity}: the token service cannot be reached")
        case _:
            return login_failed(identity, type(error).__name__)


def _of_status(error: Exception, doing: str, identity: str) -> ProbeError:
    from google.api_core import exceptions as api

    text = str(getattr(error, "message", ""))
    match error:
        case api.Unauthenticated() | api.Unauthorized():
            return login_failed(identity, "the cloud does not accept its token")
        case api.PermissionDenied() | api.Forbidden():
            return ProbeError(Reason.PERMISSION_DENIED, f"{doing}: denied to identity {identity}: {heard(text)}")
        case api.NotFound():
            return ProbeError(Reason.UNREACHABLE, f"{doing}: not found: {heard(text)}")
        case api.ResourceExhausted() | api.TooManyRequests():
            if _TOO_LARGE.search(text):
                return ProbeError(Reason.MALFORMED, f"{doing}: the answer is too large")
            return ProbeError(Reason.THROTTLED, f"{doing}: throttled: {heard(text)}")
        case api.DeadlineExceeded() | api.GatewayTimeout():
            return ProbeError(Reason.TIMEOUT, f"{doing}: no answer in time")
        case api.ServiceUnavailable() if _LOGIN.search(text):
            return clock_wrong(identity) if _CLOCK.search(text) else login_failed(identity, "refused when refreshed")
        case api.ServiceUnavailable():
            return ProbeError(Reason.UNREACHABLE, f"{doing}: unavailable: {heard(text)}")
        case api.MethodNotImplemented():
            return ProbeError(Reason.UNSUPPORTED, f"{doing}: this cloud has no such call")
        case api.InvalidArgument() | api.OutOfRange() | api.DataLoss() | api.BadRequest():
            return ProbeError(Reason.MALFORMED, f"{doing}: {heard(text)}")
        case _ if _NO_MESSAGE.search(text):
            return ProbeError(Reason.MALFORMED, f"{doing}: the answer is no such message")
        case _:
            return ProbeError(Reason.UNREACHABLE, f"{doing}: failed ({type(error).__name__}): {heard(text)}")
