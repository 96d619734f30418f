"""The vendor's way to a key: one principal, one key, and envelopes over it, each with its cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from keycheck.lab.crm.envelope import Envelope

if TYPE_CHECKING:
    from google.cloud import kms
    from mypy_boto3_kms import KMSClient


class Door(Protocol):
    """One principal of the vendor at one key of the customer's."""

    def envelope(self, max_age: float, max_messages: int = 1) -> Envelope:
        """A new envelope with a cache of its own. ``max_age``: seconds that a data key may be used again, ``math.inf``
        for ever; ``max_messages``: how many messages one data key may encrypt."""
        ...

    def material(self) -> str:
        """What the key's cloud names as current: a material, a version. Raise what the cloud's client raises."""
        ...


@dataclass(frozen=True, slots=True)
class AwsDoor:
    """A door in AWS."""

    client: KMSClient = field(repr=False)
    key_arn: str

    def envelope(self, max_age: float, max_messages: int = 1) -> Envelope:
        from keycheck.lab.crm.aws_envelope import AwsEnvelope

        return AwsEnvelope(self.client, self.key_arn, max_age=max_age, max_messages=max_messages)

    def material(self) -> str:
        return str(self.client.describe_key(KeyId=self.key_arn)["KeyMetadata"].get("CurrentKeyMaterialId", ""))


@dataclass(frozen=True, slots=True)
class GcpDoor:
    """A door in Google Cloud."""

    client: kms.KeyManagementServiceClient = field(repr=False)
    key: str

    def envelope(self, max_age: float, max_messages: int = 1) -> Envelope:
        from keycheck.lab.crm.gcp_envelope import GcpEnvelope

        return GcpEnvelope(self.client, self.key, max_age=max_age, max_messages=max_messages)

    def material(self) -> str:
        return self.client.encrypt(name=self.key, plaintext=b"which version").name


@dataclass(frozen=True, slots=True)
class Doors:
    """Every way to a key that the vendor needs."""

    main: Door
    """To the key that is revoked."""
    control: Door
    """To another key, which is not."""
    undeclared: Door | None = None
    """To the main key, as a principal that nobody declared."""
    canaries: Doors | None = None
    """To the key that workspaces of canaries brought along; None: they are under the main key as all others."""
