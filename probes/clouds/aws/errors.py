"""Every way in which a call to AWS fails, as a reason and a sentence that says what to do, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import MalformedError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

REMOVED: Final = "[removed]"
_MESSAGE: Final = 220
"""Characters of AWS's own words that are kept."""

_SECRETS: Final = (
    # What is named as one, whatever it looks like.
    re.compile(
        r"(?i)((?:x-amz-)?(?:security-?token|session-?token|signature|credential|authorization|secret(?:-?access)?-?key"
        r"|external-?id|password|bearer)\b[\"']?\s*[:=]\s*)[\"']?[^\s\"',;&]+"
    ),
    # Access key ids.
    re.compile(r"()\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}\b"),
    # Secret keys (40), tokens, signatures and key material: long runs of base64 or hex.
    re.compile(r"()(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40,}={0,2}"),
    re.compile(r"()(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{80,}"),
)

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"}
    # An answer to HEAD has no body, and so its status is all that is told.
    | {"403", "Forbidden"}
)
_THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "LimitExceeded",
        "LimitExceededException",
        "TooManyRequestsException",
        "PriorRequestNotComplete",
        "SlowDown",
        "BandwidthLimitExceeded",
        "TransactionInProgressException",
    }
)
_BAD_CREDENTIALS: Final = {
    "ExpiredToken": "its session has expired; sign in again, or renew the temporary credentials",
    "ExpiredTokenException": "its session has expired; sign in again, or renew the temporary credentials",
    "UnrecognizedClientException": "AWS does not know its access key or token here; check that the key exists and is "
    "active, and that the account has enabled this Region",
    "InvalidClientTokenId": "AWS does not know its access key or token here; check that the key exists and is active, "
    "and that the account has enabled this Region",
    "InvalidAccessKeyId": "AWS does not know its access key; check that the key exists and is active",
    "MissingAuthenticationToken": "the request was not signed; give it credentials",
    "MissingAuthenticationTokenException": "the request was not signed; give it credentials",
    "IncompleteSignature": "its credentials are incomplete or mistyped",
    "IncompleteSignatureException": "its credentials are incomplete or mistyped",
    "SignatureDoesNotMatch": "its secret access key does not belong to its access key id",
    "InvalidSignatureException": "its secret access key does not belong to its access key id",
    "OptInRequired": "the account is not signed up for this service or Region; enable it",
    "NotSignedUp": "the account is not signed up for this service; enable it",
}
_CLOCK: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_CLOCK_WORDS: Final = re.compile(r"(?i)signature (?:expired|not yet current)|request has expired|clock skew")
_UNKNOWN: Final = frozenset({"NotFoundException", "NotFound", "ResourceNotFoundException"})
_UNKNOWN_CALL: Final = frozenset(
    {
        "UnknownOperationException",
        "UnknownOperation",
        "InvalidAction",
        "UnsupportedOperation",
        "UnsupportedOperationException",
        "NotImplemented",
        "OperationNotPermittedException",
    }
)
_OWN_FAILURE: Final = frozenset(
    {"KMSInternalException", "InternalFailure", "InternalError", "InternalServerError", "ServiceUnavailable"}
    | {"ServiceUnavailableException", "InternalServiceError", "DependencyTimeoutException"}
)


def safe(raw: str, limit: int = _MESSAGE) -> str:
    """`raw`, bounded and printable, with everything removed that looks like a credential, token or signature."""
    text = raw[: 8 * limit]
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{REMOVED}", text)
    return vendor_text(text, limit)


_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, OverflowError)


class AwsError(ProbeError):
    """AWS answered with an error: `code` is its name for it. `bucket_region` is what S3 tells beside every error about
    a bucket, whoever asks: the Region that it is in."""

    def __init__(self, reason: Reason, message: str, code: str, bucket_region: str | None = None) -> None:
        super().__init__(reason, message)
        self.code = code
        self.bucket_region = bucket_region

    def __reduce__(self) -> tuple[type[AwsError], tuple[Reason, str, str, str | None]]:
        return (AwsError, (self.reason, str(self), self.code, self.bucket_region))


@contextmanager
def answering(operation: str, who: str, region: str) -> Iterator[None]:
    """Around every use of the SDK. `who` names the identity, for advice. Raises ProbeError, AwsError among them.

    A failure of the SDK to read an answer counts as the answer's fault (malformed).
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _answered(error, operation, who, region) from error
    except BotoCoreError as error:
        raise _unanswered(error, operation, who, region) from error
    except (ResponseParserError, *_UNREADABLE) as error:
        if isinstance(error, RuntimeError) and "still expired" in str(error):
            # Credentials that AWS made a moment ago are over already.
            raise ProbeError(
                Reason.CLOCK_UNTRUSTED,
                f"{operation}: new credentials are expired at once; set this machine's clock right",
            ) from error
        # The SDK's parsers raise these on answers of the wrong form; their words may quote the answer, ours never do.
        kind = str(error) if isinstance(error, MalformedError) else type(error).__name__
        raise ProbeError(Reason.MALFORMED, f"{operation}: the SDK cannot read the answer ({kind})") from error


def _answered(error: ClientError, operation: str, who: str, region: str) -> AwsError:
    details = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    bucket_region = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region")
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    called = operation
    if error.operation_name == "AssumeRole":  # made by the SDK on the way
        called = f"sts:AssumeRole, for {operation}"
    reason, advice = _meaning(code, message, status, who, region)
    # The words about a wrong signature quote the request that was signed.
    said = "" if code in _BAD_CREDENTIALS else safe(message)
    return AwsError(
        reason,
        vendor_text(f"{called} as {who}: {safe(code, 80)}{': ' if said else ''}{said}; {advice}"),
        code[:100],
        bucket_region,
    )


def _meaning(code: str, message: str, status: object, who: str, region: str) -> tuple[Reason, str]:
    if code in _CLOCK or _CLOCK_WORDS.search(message[:2000]):
        return Reason.CLOCK_UNTRUSTED, "this machine's clock differs from AWS's; set it right (NTP)"
    if code in _BAD_CREDENTIALS:
        return Reason.PERMISSION_DENIED, _BAD_CREDENTIALS[code]
    if code in _DENIED:
        return Reason.PERMISSION_DENIED, "grant it what `keycheck permissions` prints, in IAM and in the key policy"
    if code in _THROTTLED:
        return Reason.THROTTLED, "tried again politely, in vain; run when the account makes fewer calls"
    if code in _UNKNOWN:
        return Reason.UNREACHABLE, f"AWS knows no such key in {region}; check account, Region and spelling"
    if code in ("InvalidArnException", "InvalidKeyId"):
        return Reason.MALFORMED, "AWS does not take this as the ARN of a key; check its spelling"
    if code in _UNKNOWN_CALL:
        return Reason.UNSUPPORTED, "this is not offered for this key or by this endpoint"
    if code == "KMSInvalidStateException":
        return Reason.NOT_COVERED, "AWS does not tell this while the key is in its present state"
    if code in _OWN_FAILURE or (isinstance(status, int) and status >= 500):
        return Reason.UNREACHABLE, "the service failed by itself; try again later"
    return Reason.NOT_COVERED, "keycheck does not know this error and takes nothing from it"


def _unanswered(error: BotoCoreError, operation: str, who: str, region: str) -> ProbeError:
    from botocore import exceptions as sdk

    kind = type(error).__name__
    no_credentials = f"{who} has no usable credentials; sign in, set AWS_PROFILE, or name a profile under `identities:`"
    reason: Reason
    match error:
        case sdk.ProfileNotFound():
            reason, why = Reason.PERMISSION_DENIED, f"{who}: the AWS configuration has no such profile"
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError() | sdk.NoAuthTokenError():
            reason, why = Reason.PERMISSION_DENIED, no_credentials
        case sdk.CredentialRetrievalError() | sdk.TokenRetrievalError() | sdk.SSOError() | sdk.LoginError():
            # Their words may hold what a credential process printed.
            reason, why = Reason.PERMISSION_DENIED, f"{no_credentials} ({kind})"
        case sdk.UnknownCredentialError() | sdk.MetadataRetrievalError() | sdk.RefreshWithMFAUnsupportedError():
            reason, why = Reason.PERMISSION_DENIED, f"{no_credentials} ({kind})"
        case sdk.InfiniteLoopConfigError() | sdk.ConfigNotFound() | sdk.ConfigParseError() | sdk.InvalidConfigError():
            reason, why = Reason.PERMISSION_DENIED, f"{who}: the AWS configuration cannot be used ({kind}); mend it"
        case sdk.ReadTimeoutError() | sdk.ConnectTimeoutError():
            reason, why = Reason.TIMEOUT, f"no answer in time from {region}; check network, proxy and Region"
        case sdk.SSLError():
            reason, why = (
                Reason.UNREACHABLE,
                "its certificate is not trusted here, or TLS failed; if your own proxy inspects TLS, name its CA as "
                "the vantage's `ca_bundle`",
            )
        case sdk.ProxyConnectionError():
            reason, why = Reason.UNREACHABLE, "the proxy does not connect; check the vantage's `proxy`"
        case sdk.HTTPClientError() | sdk.ConnectionError():
            reason, why = Reason.UNREACHABLE, f"no connection to {region} ({kind}); check network, proxy and Region"
        case sdk.ParamValidationError():
            reason, why = Reason.MALFORMED, "the SDK does not take this as a request; check the spelling of the ARN"
        case sdk.BaseEndpointResolverError() | sdk.EndpointResolutionError() | sdk.InvalidRegionError():
            reason, why = Reason.UNREACHABLE, f"the SDK knows no endpoint for {region} ({kind}); check the Region"
        case _:
            reason, why = Reason.MALFORMED, f"the SDK cannot use the answer ({kind})"
    return ProbeError(reason, vendor_text(f"{operation}: {why}"))
