"""Cloud KMS as one of Tink's Aeads, for the practice vendor: Tink's own Google client takes no endpoint.

Encrypt and Decrypt of `google-cloud-kms`, with checksums sent and checked both ways
(`cloud.google.com/kms/docs/data-integrity-guidelines`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import grpc
from google.api_core import exceptions as refusals
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import kms
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from tink import aead  # type: ignore[import-untyped]

from keycheck.lab.crm.crc32c import crc32c
from keycheck.lab.crm.envelope import IntegrityFailure, KeyUnavailable, Withheld

if TYPE_CHECKING:
    from google.auth.credentials import Credentials


def gcp_client(
    *,
    endpoint: str,
    token: str | Callable[[], str] = "",
    credentials: Credentials | None = None,
    metadata: Sequence[tuple[str, str]] = (),
) -> kms.KeyManagementServiceClient:
    """A Cloud KMS client of the vendor.

    With ``credentials`` over TLS, as usual. With ``token`` (or what gives one, asked at each call) over a connection in
    the clear, for a lab on loopback: gRPC refuses to send credentials there, so that the token travels as plain
    metadata, and ``metadata`` with it.
    """
    if credentials is not None:
        return kms.KeyManagementServiceClient(
            credentials=credentials, client_options=ClientOptions(api_endpoint=endpoint)
        )
    channel = grpc.intercept_channel(grpc.insecure_channel(endpoint), _Metadata(token, metadata))
    transport = KeyManagementServiceGrpcTransport(channel=channel)
    return kms.KeyManagementServiceClient(transport=transport)


class KmsAead(aead.Aead):  # type: ignore[misc]
    """Cloud KMS as one of Tink's Aeads."""

    def __init__(self, client: kms.KeyManagementServiceClient, key: str, *, timeout: float = 5.0) -> None:
        self._client = client
        self._key = key
        self._timeout = timeout
        self._retry = Retry(
            predicate=if_exception_type(refusals.ServiceUnavailable), initial=0.1, maximum=1.0, timeout=timeout
        )

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Encrypt under the primary version. Raise KeyUnavailable, IntegrityFailure for bytes changed on the way."""
        request = kms.EncryptRequest(
            name=self._key,
            plaintext=plaintext,
            plaintext_crc32c=crc32c(plaintext),
            additional_authenticated_data=associated_data,
            additional_authenticated_data_crc32c=crc32c(associated_data),
        )
        try:
            answer = self._client.encrypt(request=request, retry=self._retry, timeout=self._timeout)
        except (refusals.GoogleAPIError, GoogleAuthError) as error:
            raise KeyUnavailable(_why(error)) from error
        if not (answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c):
            raise IntegrityFailure("Cloud KMS did not verify the checksums it was sent")
        if answer.name.split("/cryptoKeyVersions/")[0] != self._key:
            raise IntegrityFailure("Cloud KMS used another key")
        return _checked(answer.ciphertext, answer.ciphertext_crc32c)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """Decrypt under whichever version it was. Raise KeyUnavailable, IntegrityFailure."""
        request = kms.DecryptRequest(
            name=self._key,
            ciphertext=ciphertext,
            ciphertext_crc32c=crc32c(ciphertext),
            additional_authenticated_data=associated_data,
            additional_authenticated_data_crc32c=crc32c(associated_data),
        )
        try:
            answer = self._client.decrypt(request=request, retry=self._retry, timeout=self._timeout)
        except refusals.FailedPrecondition as error:
            raise KeyUnavailable(Withheld.DISABLED) from error
        except refusals.InvalidArgument as error:
            raise IntegrityFailure("Cloud KMS does not know the wrapped key") from error
        except (refusals.GoogleAPIError, GoogleAuthError) as error:
            raise KeyUnavailable(_why(error)) from error
        return _checked(answer.plaintext, answer.plaintext_crc32c)


def _checked(data: bytes, checksum: object) -> bytes:
    if crc32c(data) != checksum:
        raise IntegrityFailure("the answer of Cloud KMS was changed on the way")
    return data


def _why(error: Exception) -> Withheld:
    match error:
        case refusals.PermissionDenied() | refusals.Unauthenticated():
            return Withheld.DENIED
        case refusals.FailedPrecondition():
            return Withheld.DISABLED
        case refusals.NotFound():
            return Withheld.MISSING
        case refusals.ResourceExhausted():
            return Withheld.THROTTLED
        case refusals.ServiceUnavailable() | refusals.DeadlineExceeded() | refusals.RetryError():
            return Withheld.UNREACHABLE
        case _:
            return Withheld.OTHER


class _Details(NamedTuple):
    """What gRPC reads of `ClientCallDetails`."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Metadata(grpc.UnaryUnaryClientInterceptor):
    """Adds an access token, and more, to every call."""

    def __init__(self, token: str | Callable[[], str], more: Sequence[tuple[str, str]]) -> None:
        self._token = token
        self._more = tuple(more)

    def intercept_unary_unary(self, continuation, client_call_details, request):  # type: ignore[no-untyped-def]
        given = client_call_details
        token = self._token if isinstance(self._token, str) else self._token()
        return continuation(
            _Details(
                given.method,
                given.timeout,
                (*(given.metadata or ()), ("authorization", f"Bearer {token}"), *self._more),
                given.credentials,
                given.wait_for_ready,
                given.compression,
            ),
            request,
        )
