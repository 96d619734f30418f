"""Wrapping data keys for exports without a call over the wire: what is sealed here was sealed long ago, so neither the
clouds' logs nor their clocks know of it. Blobs are those of the lab's clouds, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from google.cloud import kms

from keycheck.lab.aws.kms import blob
from keycheck.lab.crm.aws_envelope import aws_client
from keycheck.lab.crm.crc32c import crc32c
from keycheck.lab.errors import LabError
from keycheck.lab.gcp.symmetric import sealed
from keycheck.lab.key_sites import CUSTOMER, VENDOR
from keycheck.model.types import Entropy

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

    from keycheck.lab.clouds import Clouds

Wrap: TypeAlias = Callable[[bytes, Mapping[str, str]], bytes]
"""A data key and its encryption context -> the wrapped data key."""
_ELSEWHERE: Final = "us-east-1"
_ELSEWHERE_G: Final = "us-east1"


@dataclass(frozen=True, slots=True)
class Kek:
    """A key that wraps data keys."""

    name: str
    """ARN or resource name."""
    wrap: Wrap = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rotated:
    """A key, with its material of before a rotation and since."""

    old: Kek
    current: Kek

    def at(self, *, old: bool) -> Kek:
        """The key as it was when a row was written."""
        return self.old if old else self.current


@dataclass(frozen=True, slots=True)
class Keks:
    """What an export can be sealed under."""

    customer: Rotated
    vendor: Rotated
    """A key of the vendor's own."""
    elsewhere: Rotated
    """A key of the customer's in another Region."""


def aws_keks(clouds: Clouds, key: str, entropy: Entropy) -> Keks | None:
    """The AWS keys of an export; None where the key can wrap no data keys."""
    arn = clouds.aws.arns[key]
    materials = [(each.secret, each.backing) for each in clouds.aws.cloud.kms.find(arn).ring.materials]
    keks = [_aws(arn, secret, name, entropy) for secret, name in materials if isinstance(secret, bytes)]
    if not keks:
        return None

    def stranger(prefix: str) -> Rotated:
        name = f"{prefix}/{_uuid(entropy)}"
        old, current = (_aws(name, entropy(32), entropy(32), entropy) for _ in range(2))
        return Rotated(old, current)

    prefix = arn.rpartition("/")[0]
    vendor, elsewhere = prefix.replace(CUSTOMER, VENDOR), prefix.replace(arn.split(":")[3], _ELSEWHERE)
    return Keks(Rotated(keks[0], keks[-1]), stranger(vendor), stranger(elsewhere))


def _aws(arn: str, secret: bytes, backing: bytes, entropy: Entropy) -> Kek:
    def wrap(data_key: bytes, context: Mapping[str, str]) -> bytes:
        return blob.seal(secret, backing, data_key, context, made_by=blob.BY_DATA_KEY, entropy=entropy)

    return Kek(arn, wrap)


def gcp_keks(clouds: Clouds, key: str, entropy: Entropy) -> Keks | None:
    """The Google keys of an export; None where the key can wrap no data keys."""
    (name,) = (each.resource for each in clouds.keys if each.id == key)
    held = clouds.gcp.cloud.kms.store.keys[name]
    versions = [(number, each.material) for number, each in sorted(held.versions.items())]
    keks = [_gcp(name, number, secret, entropy) for number, secret in versions if isinstance(secret, bytes)]
    if not keks or held.settings.purpose != "ENCRYPT_DECRYPT":
        return None

    def stranger(name: str) -> Rotated:
        old, current = (_gcp(name, number, entropy(32), entropy) for number in (1, 2))
        return Rotated(old, current)

    project, location = name.split("/")[1], name.split("/")[3]
    vendor, elsewhere = (
        name.replace(f"/{a}/", f"/{b}/", 1) for a, b in ((project, "vendor-prod"), (location, _ELSEWHERE_G))
    )
    return Keks(Rotated(keks[0], keks[-1]), stranger(vendor), stranger(elsewhere))


def _gcp(name: str, number: int, secret: bytes, entropy: Entropy) -> Kek:
    def wrap(data_key: bytes, _: Mapping[str, str]) -> bytes:
        return sealed(secret, name, number, data_key, b"", entropy)  # as Tink does: without additional data

    return Kek(name, wrap)


def _uuid(entropy: Entropy) -> str:
    text = entropy(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def quiet_aws(kek: Kek, entropy: Entropy) -> KMSClient:
    """A client for the AWS Encryption SDK whose GenerateDataKey asks nobody."""
    client = aws_client(
        endpoint="http://127.0.0.1:9", region=kek.name.split(":")[3], access_key_id="AKIALABQUIET", secret="none"
    )

    def answer(params: Mapping[str, object], **_: object) -> tuple[AWSResponse, dict[str, object]]:
        asked = json.loads(cast("bytes", params["body"]))
        if asked["KeyId"] != kek.name:
            raise LabError("a data key of another key is asked for", advice="this is a defect of the lab: report it")
        data_key = entropy(asked["NumberOfBytes"])
        wrapped = kek.wrap(data_key, asked.get("EncryptionContext", {}))
        return AWSResponse("", 200, HTTPHeaders(), b""), {
            "KeyId": kek.name,
            "Plaintext": data_key,
            "CiphertextBlob": wrapped,
            "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}},
        }

    # botocore takes what such a handler gives for the service's answer, and sends nothing
    client.meta.events.register("before-call.kms.GenerateDataKey", answer)  # type: ignore[arg-type]
    return client


class _QuietKms:
    """As much of a Cloud KMS client as sealing needs."""

    def __init__(self, kek: Kek) -> None:
        self._kek = kek

    def encrypt(self, *, request: kms.EncryptRequest, **_: object) -> kms.EncryptResponse:
        sealed_ = self._kek.wrap(request.plaintext, {})
        return kms.EncryptResponse(
            name=f"{self._kek.name}/cryptoKeyVersions/1",
            ciphertext=sealed_,
            ciphertext_crc32c=crc32c(sealed_),
            verified_plaintext_crc32c=True,
            verified_additional_authenticated_data_crc32c=True,
        )


def quiet_gcp(kek: Kek) -> kms.KeyManagementServiceClient:
    """A client for Tink whose Encrypt asks nobody; it serves nothing else."""
    return cast("kms.KeyManagementServiceClient", _QuietKms(kek))
