"""Keys as a deployment declares them. Each key model allows other proofs and has another blast radius."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.model.deployment import FileRef, IdentityRef, Subject, WitnessRef
from keycheck.model.types import Duration, Instant, Model, Prose, format_duration


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


class Copy(Model):
    """A way on which the vendor gives out the canary from a copy under another key."""

    resource: Resource
    """One of `availability_keys`."""
    witness: WitnessRef


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
    copies: Annotated[tuple[Copy, ...], Field(max_length=20)] = ()


_Bucket: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}$")]
_Prefix: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,500}$")]


class Bucket(Model):
    """Where a trail or a log sink puts its files: S3 for AWS, Cloud Storage for Google Cloud."""

    kind: Literal["bucket"]
    bucket: _Bucket
    prefix: _Prefix = ""
    """Everything before the day: up to `…/CloudTrail/`, or up to `cloudaudit.googleapis.com/`."""
    identity: IdentityRef | None = None
    """Who reads it; the key's `log` identity where it is not said."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,30}$")] | None = None
    """Of an S3 bucket; the key's own where it is not said."""


class Folder(Model):
    """The same files, fetched by the customer: everything below a directory beside the deployment file."""

    kind: Literal["folder"]
    directory: FileRef


LogSource: TypeAlias = Annotated[Bucket | Folder, Field(discriminator="kind")]
"""Further places in which the customer's log is looked for, beside CloudTrail's event history and Cloud Logging."""


class DeadMan(Model):
    """Who puts the key back when nothing of ours is left: a schedule in the cloud that fires at the deadline."""

    actor: Principal
    """The role that EventBridge Scheduler assumes, or the service account that Cloud Scheduler acts as. May undo, no
    more."""
    group: Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z_.-]{1,64}$")] = "default"
    """The schedule group (AWS)."""
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,40}$")] | None = None
    """Where the job is (Google Cloud); the key's own location where it is not said."""


class Escrow(Model):
    """Where one material of the key lies outside of the cloud: wrapped beforehand in the customer's HSM together with
    its import token, or as 32 plain octets that are wrapped when needed, and never written or kept."""

    material: Annotated[str, StringConstraints(pattern=r"^([a-f0-9]{64}|[1-9][0-9]{0,11})$")]
    """AWS: the key material id. Google Cloud: the number of the imported version."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,30}$")] | None = None
    """Of a replica; the key's own where it is not said."""
    wrapped: FileRef | None = None
    token: FileRef | None = None
    """Of GetParametersForImport (AWS); both it and what was wrapped are good for a day."""
    import_job: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] | None = None
    """Of Google Cloud: the job whose key wrapped it; good for three days."""
    local: FileRef | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.local is None) == (self.wrapped is None) or (self.wrapped is None) != (
            self.token is None and self.import_job is None
        ):
            raise ValueError("name either `local`, or `wrapped` with its `token` (AWS) or `import_job` (Google Cloud)")
        return self


class Incoming(Model):
    """The material that a rotation brings in."""

    wrapped: FileRef | None = None
    token: FileRef | None = None
    import_job: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] | None = None
    keep: FileRef | None = None
    """A public key (PEM) of the customer's, to which material that is made here is sealed before it is used, so that it
    is never lost: written beside the journal as `material.sealed`."""


class Layout(StrEnum):
    """How a stored value carries the data key that it is sealed under."""

    BLOB = "blob"
    """The value is the wrapped data key itself, as the cloud's KMS gave it."""
    ENCRYPTION_SDK = "encryption-sdk"
    """A message of the AWS Encryption SDK: wrapped data keys and encryption context are in its header."""
    TINK = "tink"
    """Tink's envelope encryption: the wrapped data key's length (4 octets), the wrapped data key, the payload."""


class StoredValue(Model):
    """Where the vendor shows a written record as it is stored."""

    witness: WitnessRef
    """An HTTP witness whose reply is one JSON document."""
    pointer: Annotated[str, StringConstraints(pattern=r"^(/[^/]{0,100}){1,10}$")]
    """To the value in it (RFC 6901): base64 text."""
    layout: Layout


class RotationWrite(Model):
    """One record that the vendor writes anew when asked."""

    witness: WitnessRef
    """An HTTP witness that writes: its `readable` is what the vendor's acknowledgement holds."""
    stored: StoredValue | None = None
    """The same record as stored, right after."""


class RotationPaths(Model):
    """How the vendor is made to write while a key is rotated, and which records were there before."""

    of: Literal["canary-key", "key"] = "canary-key"
    """Which key seals these records."""
    write: Annotated[tuple[RotationWrite, ...], Field(min_length=1, max_length=10)]
    old: Annotated[tuple[WitnessRef, ...], Field(min_length=1, max_length=20)]
    """Records that were written before and that nothing here writes."""
    control: _Witnesses = ()
    """A record under another key: tells a loss from an outage."""
    context: Annotated[tuple[tuple[ContextText, ContextText], ...], Field(max_length=8)] = ()
    """AWS, layout `blob`: the encryption context of the wrapped data keys."""


def _at_most(longest: timedelta) -> AfterValidator:
    """A slip of the pen, or a deployment that somebody else wrote, must not keep a key away for years."""

    def check(value: timedelta) -> timedelta:
        if value > longest:
            raise ValueError(f"at most {format_duration(longest)}")
        return value

    return AfterValidator(check)


class KeyDrill(Model):
    """What a drill must know beforehand. Without it none is offered."""

    context: Annotated[tuple[tuple[ContextText, ContextText], ...], Field(max_length=8)] = ()
    """AWS: what means the canary's record alone in the encryption context of the vendor's own calls: names and
    values."""
    canary_key: Resource | None = None
    """A key that seals nothing but canaries. Google Cloud: what a drill takes away. Both: what a rotation turns, unless
    the key itself is meant. Its id holds `keycheck`, or `canary_declared`."""
    canary_declared: bool = False
    """The customer says that `canary_key` seals nothing but canaries."""
    grant: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,128}$")] | None = None
    """Id of the vendor's grant, for a drill that revokes it."""
    escrow: Annotated[tuple[Escrow, ...], Field(max_length=100)] = ()
    """Of every material, for drills that delete one or bring in another."""
    incoming: Incoming = Incoming()
    dead_man: DeadMan | None = None
    logs: Annotated[tuple[LogSource, ...], Field(max_length=10)] = ()
    rest: Annotated[tuple[tuple[ContextText, ContextText], ...], Field(max_length=8)] = ()
    """What else the vendor's calls for the record carry; any value that occurs will do."""
    varies: Annotated[tuple[ContextText, ...], Field(max_length=8)] = ()
    """Names whose values differ within the record, such as its fields."""
    planted: Instant
    """When the canary's record was made at the vendor."""
    paths: CanaryPaths
    rotation: Annotated[tuple[RotationPaths, ...], Field(max_length=2)] = ()
    """For drills that rotate: one for each key that may be."""
    hold: Annotated[Duration, _at_most(timedelta(days=1))] = timedelta(minutes=5)
    """How long the key stays away at most."""
    quiet: Annotated[Duration, _at_most(timedelta(days=1))] = timedelta(seconds=30)
    """How long no read may succeed before the last success counts as the last."""
    settle: Annotated[Duration, _at_most(timedelta(minutes=10))] = timedelta(seconds=5)
    """Between the two looks that prove it restored; nothing shortens it, so it is never long."""


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
        drill = self.drill
        if drill is None:
            return self
        if drill.canary_key is not None and drill.canary_key.startswith("arn:") != (self.provider == "aws"):
            raise ValueError(f"the canary's key {drill.canary_key} is no resource of {self.provider}")
        if self.provider == "aws" and not drill.context:
            raise ValueError("`drill:` of an AWS key names the canary's `context`")
        if self.provider == "gcp" and drill.canary_key is None:
            raise ValueError("`drill:` of a Google Cloud key names the `canary_key`, which is what a drill takes away")
        return self
