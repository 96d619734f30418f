"""Keys as a deployment declares them. Each key model allows other proofs and has another blast radius."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.model.deployment import FileRef, IdentityRef, Subject, WitnessRef
from keycheck.model.types import Duration, Instant, Model, Prose


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


Resource: TypeAlias = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_.-]{1,256}"
        r"|projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63})$",
        max_length=500,
    ),
]

Principal: TypeAlias = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(role|user|assumed-role|federated-user)/[A-Za-z0-9+=,.@/_-]+)"
        r"|[a-z0-9.-]{1,100}\.amazonaws\.com"
        r"|(user|serviceAccount|group|domain):[A-Za-z0-9@.+_-]+"
        r"|(principal|principalSet)://[!-~]+)$",
        max_length=700,
    ),
]
"""AWS: the ARN of a role, user, session or account root, or a service (`logs.amazonaws.com`). Google Cloud: an IAM
member as a policy writes it (`serviceAccount:app@acme.iam.gserviceaccount.com`)."""


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


Network: TypeAlias = Annotated[str, StringConstraints(max_length=64), AfterValidator(_network)]
"""An address or a network in CIDR notation."""

_People: TypeAlias = Annotated[tuple[Principal, ...], Field(max_length=200)]


class Agreed(Model):
    """What the contract's annex says about the key. What is not declared is not known, and never passes."""

    owner: Annotated[str, StringConstraints(pattern=r"^(\d{12}|[a-z][a-z0-9.:-]{3,99})$")] | None = None
    """The customer's account (12 digits) or project, in which the key must be."""
    vendor: _People = ()
    """The vendor's principals: may use the key, and nothing else."""
    users: _People = ()
    """The customer's own principals that may use it, such as the identity of a drill."""
    administrators: _People = ()
    """The customer's principals that manage it and must not use it."""
    readers: _People = ()
    """Principals that may read its configuration, such as the identity that keycheck inspects with."""
    sources: Annotated[tuple[Network, ...], Field(max_length=200)] = ()
    """Networks that uses may come from."""
    held_in: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    """Country (ISO 3166) of the customer's own key manager, for keys that are held outside the cloud."""


ContextText: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,256}$")]
_Witnesses: TypeAlias = Annotated[tuple[WitnessRef, ...], Field(max_length=20)]


class CanaryPaths(Model):
    """Which witness reads the canary on which path. They are the deployment's witnesses, by name."""

    cold: _Witnesses = ()
    """Records under data keys that no process can have cached; one read each."""
    warm: _Witnesses = ()
    search: _Witnesses = ()
    export: _Witnesses = ()
    other: _Witnesses = ()
    control: _Witnesses = ()
    """A record under a key that is not revoked: tells revocation from outage."""


class KeyDrill(Model):
    """What a drill must know beforehand. Without it none is offered."""

    context: Annotated[tuple[tuple[ContextText, ContextText], ...], Field(min_length=1, max_length=8)]
    """What means the canary's record alone in the encryption context of the vendor's own calls: names and values."""
    rest: Annotated[tuple[tuple[ContextText, ContextText], ...], Field(max_length=8)] = ()
    """What else the vendor's calls for the record carry; any value that occurs will do."""
    varies: Annotated[tuple[ContextText, ...], Field(max_length=8)] = ()
    """Names whose values differ within the record, such as its fields."""
    planted: Instant
    """When the canary's record was made at the vendor."""
    paths: CanaryPaths
    hold: Duration = timedelta(minutes=5)
    """How long the key stays away at most."""
    quiet: Duration = timedelta(seconds=30)
    """How long no read may succeed before the last success counts as the last."""
    settle: Duration = timedelta(seconds=5)
    """Between the two looks that prove it restored."""


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
    agreed: Agreed = Agreed()
    attestation_roots: Annotated[tuple[FileRef, ...], Field(max_length=20)] = ()
    """PEM files of the roots that HSM attestations must chain to: the module maker's and the cloud's."""
    drill: KeyDrill | None = None

    @model_validator(mode="after")
    def _resource_of_provider(self) -> Self:
        if self.resource.startswith("arn:") != (self.provider == "aws"):
            raise ValueError(f"{self.resource} is no resource of {self.provider}")
        return self
