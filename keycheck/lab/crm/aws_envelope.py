"""The envelope in AWS: the AWS Encryption SDK for Python under one KMS key.

Messages have the committing suites only (format 2, `docs.aws.amazon.com/encryption-sdk/latest/developer-guide/
algorithms-reference.html`). The master key is the SDK's own `KMSMasterKey` with the client it is given, which is what
`StrictAwsKmsMasterKeyProvider` makes inside, but for the clients of its own that the latter takes from the
environment: one key ARN, sent as KeyId with every Decrypt and compared with the answer. Keyrings would need the
separate material providers library.

The cache is the SDK's own. A cached data key goes on decrypting after a revocation until it is ``max_age`` old. The
SDK keys its cache by encryption context, so contexts of their own per field never share a data key.
"""

from __future__ import annotations

import contextlib
import io
import logging
from enum import Enum
from typing import TYPE_CHECKING

import boto3
from aws_encryption_sdk import (  # type: ignore[import-untyped]
    CachingCryptoMaterialsManager,
    CommitmentPolicy,
    DefaultCryptoMaterialsManager,
    EncryptionSDKClient,
    LocalCryptoMaterialsCache,
)
from aws_encryption_sdk.exceptions import (  # type: ignore[import-untyped]
    AWSEncryptionSDKClientError,
    CacheKeyError,
    DecryptKeyError,
    GenerateKeyError,
)
from aws_encryption_sdk.identifiers import Algorithm  # type: ignore[import-untyped]
from aws_encryption_sdk.key_providers.kms import KMSMasterKey  # type: ignore[import-untyped]
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from cryptography.exceptions import InvalidSignature, InvalidTag

from keycheck.lab.crm.envelope import Context, IntegrityFailure, KeyUnavailable, Withheld

if TYPE_CHECKING:
    from aws_encryption_sdk.caches import CryptoMaterialsCacheEntry  # type: ignore[import-untyped]
    from aws_encryption_sdk.structures import DataKey, EncryptedDataKey  # type: ignore[import-untyped]
    from mypy_boto3_kms import KMSClient

_WHY = {
    "AccessDeniedException": Withheld.DENIED,
    "ExpiredTokenException": Withheld.DENIED,
    "InvalidSignatureException": Withheld.DENIED,
    "UnrecognizedClientException": Withheld.DENIED,
    "DisabledException": Withheld.DISABLED,
    "KMSInvalidStateException": Withheld.DISABLED,
    "KeyUnavailableException": Withheld.UNREACHABLE,
    "DependencyTimeoutException": Withheld.UNREACHABLE,
    "NotFoundException": Withheld.MISSING,
    "ThrottlingException": Withheld.THROTTLED,
    "LimitExceededException": Withheld.THROTTLED,
}
_WRONG_BYTES = ("InvalidCiphertextException", "IncorrectKeyException")
_NO_ANSWER = (BotoCoreError, ResponseParserError, UnicodeDecodeError)  # the last: an answer that is no JSON
_RESERVED = "aws-crypto-"
_LONGEST = 1 << 20

# The SDK logs every refusal with its traceback; without a handler Python would print that to standard error.
logging.getLogger("aws_encryption_sdk").addHandler(logging.NullHandler())


class Suite(Enum):
    """The suites with key commitment: AES-256-GCM, HKDF-SHA512, 256-bit data keys."""

    COMMITTED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY  # 0x0478
    COMMITTED_SIGNED = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384  # 0x0578


def aws_client(
    *, endpoint: str, region: str, access_key_id: str, secret: str, session_token: str | None = None, timeout: int = 5
) -> KMSClient:
    """A KMS client of the vendor. ``timeout``: seconds, for connecting and for each answer; three attempts."""
    return boto3.session.Session().client(
        "kms",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        aws_session_token=session_token,
        config=Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
        ),
    )


class AwsEnvelope:
    """Seals under the key ``key_arn`` (an ARN: the SDK compares it with what stands in the message).

    ``max_age``: seconds that a data key may be used again, 0 for no cache, ``math.inf`` for ever. ``max_messages``: how
    many messages one cached data key may encrypt. ``capacity``: data keys held.
    """

    def __init__(
        self,
        client: KMSClient,
        key_arn: str,
        *,
        max_age: float = 0.0,
        max_messages: int = 100,
        capacity: int = 10_000,
        suite: Suite = Suite.COMMITTED,
    ) -> None:
        self._sdk = EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
        )
        self._suite = suite
        self._materials = DefaultCryptoMaterialsManager(_Key(key_id=key_arn, client=client))
        if max_age > 0:
            self._materials = CachingCryptoMaterialsManager(
                backing_materials_manager=self._materials,
                cache=_Cache(capacity),
                max_age=float(max_age),
                max_messages_encrypted=max_messages,
            )

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """One message of the Encryption SDK. Raise KeyUnavailable."""
        sealed, _header = self._sdk.encrypt(
            source=plaintext,
            materials_manager=self._materials,
            encryption_context=dict(context),
            algorithm=self._suite.value,
        )
        return bytes(sealed)

    def open(self, sealed: bytes, context: Context) -> bytes:
        """The plaintext of a message whose context is exactly ``context``. Raise KeyUnavailable, IntegrityFailure."""
        source = io.BytesIO(sealed)
        try:
            with self._sdk.stream(
                mode="d", source=source, materials_manager=self._materials, max_body_length=_LONGEST
            ) as message:
                plaintext, header = message.read(), message.header
                rest = source.read(1)
        except (AWSEncryptionSDKClientError, InvalidTag, InvalidSignature, UnicodeDecodeError) as error:
            raise IntegrityFailure("not a message of this key") from error
        if rest:  # the SDK does not look behind the end of the message
            raise IntegrityFailure("more bytes than one message")
        # With master keys the SDK leaves it to the caller to compare the context with what is expected.
        found = {name: value for name, value in header.encryption_context.items() if not name.startswith(_RESERVED)}
        if found != dict(context):
            raise IntegrityFailure("sealed for another context")
        return bytes(plaintext)


class _Cache(LocalCryptoMaterialsCache):  # type: ignore[misc]
    """The SDK's cache. There, of two threads that find a data key too old at once, the second to remove it fails."""

    def remove(self, value: CryptoMaterialsCacheEntry) -> None:
        with contextlib.suppress(CacheKeyError):
            super().remove(value)


class _Key(KMSMasterKey):  # type: ignore[misc]
    """The SDK's master key, but a refusal keeps its meaning: the SDK folds all of them into one error."""

    def _generate_data_key(self, algorithm: Algorithm, encryption_context: Context | None = None) -> DataKey:
        try:
            return super()._generate_data_key(algorithm, encryption_context)
        except _NO_ANSWER as error:
            raise KeyUnavailable(Withheld.UNREACHABLE) from error
        except GenerateKeyError as error:
            raise KeyUnavailable(_why(error.__cause__)) from error

    def _decrypt_data_key(
        self, encrypted_data_key: EncryptedDataKey, algorithm: Algorithm, encryption_context: Context | None = None
    ) -> DataKey:
        try:
            return super()._decrypt_data_key(encrypted_data_key, algorithm, encryption_context)
        except _NO_ANSWER as error:
            raise KeyUnavailable(Withheld.UNREACHABLE) from error
        except DecryptKeyError as error:
            # Without a cause the SDK itself refused: another key's ARN, or a data key of the wrong length.
            if error.__cause__ is None or _code(error.__cause__) in _WRONG_BYTES:
                raise
            raise KeyUnavailable(_why(error.__cause__)) from error


def _why(refusal: BaseException | None) -> Withheld:
    if isinstance(refusal, ClientError) and refusal.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return Withheld.UNREACHABLE
    if isinstance(refusal, KeyError):  # botocore takes half an answer for one without members
        return Withheld.UNREACHABLE
    return _WHY.get(_code(refusal), Withheld.OTHER)


def _code(refusal: BaseException | None) -> str:
    return refusal.response.get("Error", {}).get("Code", "") if isinstance(refusal, ClientError) else ""
