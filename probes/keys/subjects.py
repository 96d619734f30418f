"""Keys as a deployment declares them. Each key model allows other proofs and has another blast radius."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from keycheck.model.deployment import IdentityRef, Subject
from keycheck.model.types import Model, Prose


class KeyModel(StrEnum):
    """How the vendor uses the customer's key."""

    DIRECT_KMS = "direct-kms"
    """Calls to the customer's KMS per record or per data key."""
    SERVICE_INTEGRATED = "service-integrated"
    """One key under a whole account or database."""
    UPLOADED_MATERIAL = "uploaded-material"
    """The vendor's own KMS holds what the customer uploaded."""
    EXTERNAL_CALLOUT = "external-callout"
    """Cache-only keys fetched from the customer (hold your own key)."""
    VENDOR_CONSOLE = "vendor-console"
    """Only the vendor's console shows it."""


class OnKeyLoss(StrEnum):
    """What the vendor says happens to data when the key is gone."""

    WITHHELD = "withheld"
    DELETE = "delete"
    UNKNOWN = "unknown"


class Roles(Model):
    """Which identity of the deployment does what: one ambient credential cannot be all of them."""

    inspect: IdentityRef | None = None
    log: IdentityRef | None = None
    drill: IdentityRef | None = None
    control: IdentityRef | None = None
    restore: IdentityRef | None = None


Resource = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_.-]{1,256}"
        r"|projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63})$",
        max_length=500,
    ),
]


class Key(Subject):
    """One key that the contract says the customer holds."""

    provider: Literal["aws", "gcp"]
    resource: Resource
    """Key or alias ARN; for Google Cloud `projects/…/locations/…/keyRings/…/cryptoKeys/…`."""
    model: KeyModel
    on_key_loss: OnKeyLoss = OnKeyLoss.UNKNOWN
    recovery: Prose | None = None
    """How the vendor says access comes back after the key does."""
    availability_keys: Annotated[tuple[Resource, ...], Field(max_length=20)] = ()
    """Keys that keep copies readable beside this one."""
    identities: Roles = Roles()

    @model_validator(mode="after")
    def _resource_of_provider(self) -> Self:
        if self.resource.startswith("arn:") != (self.provider == "aws"):
            raise ValueError(f"{self.resource} is no resource of {self.provider}")
        return self
