"""Facts of an AWS KMS key, in the words of its API. Lists are bounded by the probe; what could not be asked is
`Unseen` with its reason, never empty."""

from __future__ import annotations

from typing import Literal

from keycheck.model.facts import Unseen
from keycheck.model.types import Count, Digest, Instant, Model, VendorText


class MultiRegion(Model):
    """A multi-Region key: related keys share material and have policies, grants and states of their own."""

    kind: Literal["PRIMARY", "REPLICA"]
    primary: VendorText
    """ARN."""
    replicas: tuple[VendorText, ...]
    """ARNs."""


class AwsDescription(Model):
    """DescribeKey."""

    manager: VendorText
    """`CUSTOMER` or `AWS`."""
    state: VendorText
    """`Enabled`, `Disabled`, `PendingDeletion`, `PendingImport`, `Unavailable`, …"""
    origin: VendorText
    """`AWS_KMS`, `EXTERNAL` (imported), `AWS_CLOUDHSM`, `EXTERNAL_KEY_STORE`."""
    spec: VendorText
    usage: VendorText
    created: Instant
    deletion_date: Instant | None
    pending_window_days: Count | None
    expiration_model: VendorText | None
    valid_to: Instant | None
    current_material: VendorText | None
    multi_region: MultiRegion | None
    store_id: VendorText | None
    """Custom key store."""
    xks_key_id: VendorText | None


class AwsMaterial(Model):
    """One key material (ListKeyRotations with ALL_KEY_MATERIAL)."""

    id: VendorText | None
    state: VendorText | None
    """`CURRENT`, `NON_CURRENT`, `PENDING_ROTATION`, `PENDING_MULTI_REGION_IMPORT_AND_ROTATION`."""
    import_state: VendorText | None
    """`IMPORTED`, `PENDING_IMPORT`; None for material that AWS made."""
    rotated: Instant | None
    """When it became current; None for the first material and for what is pending."""
    rotation_type: VendorText | None
    expiration_model: VendorText | None
    valid_to: Instant | None


class AwsRotation(Model):
    """GetKeyRotationStatus: of material that AWS makes. Says nothing about imported material."""

    kind: Literal["status"] = "status"
    automatic: bool
    period_days: Count | None
    next: Instant | None


class AwsRotationUnsupported(Model):
    """AWS answered UnsupportedOperationException: keys of this origin have no automatic rotation."""

    kind: Literal["unsupported"] = "unsupported"


class PrincipalPattern(Model):
    """One principal of a statement, as written: type (`AWS`, `Service`, `Federated`, `CanonicalUser`, `*`), value."""

    type: VendorText
    value: VendorText


class Condition(Model):
    """One condition: every listed key must match one of its values."""

    operator: VendorText
    key: VendorText
    values: tuple[VendorText, ...]


class Statement(Model):
    """One statement of a key policy. `not_` fields are NotPrincipal, NotAction, NotResource."""

    sid: VendorText | None
    effect: Literal["Allow", "Deny"]
    principals: tuple[PrincipalPattern, ...]
    not_principals: tuple[PrincipalPattern, ...]
    actions: tuple[VendorText, ...]
    not_actions: tuple[VendorText, ...]
    resources: tuple[VendorText, ...]
    not_resources: tuple[VendorText, ...]
    conditions: tuple[Condition, ...]


class AwsPolicy(Model):
    """One key policy: `default`, or `AWS_RAM`, which shares the key through Resource Access Manager."""

    name: VendorText
    sha256: Digest | None
    """Of the text as answered; None when it could not be read."""
    statements: tuple[Statement, ...] | Unseen


class AwsGrant(Model):
    """One grant (ListGrants)."""

    id: VendorText
    name: VendorText | None
    grantee: VendorText
    retiring: VendorText | None
    issuer: VendorText | None
    operations: tuple[VendorText, ...]
    created: Instant | None
    context_equals: tuple[tuple[VendorText, VendorText], ...]
    context_subset: tuple[tuple[VendorText, VendorText], ...]
    other_constraints: tuple[VendorText, ...]
    """Names of constraints that keycheck does not know."""


class AwsLastUsage(Model):
    """GetKeyLastUsage. `operation` None: AWS knows of no use since it began to track."""

    operation: VendorText | None
    at: Instant | None
    event_id: VendorText | None
    tracking_since: Instant | None


class AwsStore(Model):
    """The custom key store that the key lives in (DescribeCustomKeyStores)."""

    kind: Literal["store"] = "store"
    id: VendorText
    name: VendorText
    type: VendorText
    """`AWS_CLOUDHSM` or `EXTERNAL_KEY_STORE`."""
    connection: VendorText
    """`CONNECTED`, `DISCONNECTED`, `FAILED`, …"""
    error: VendorText | None
    xks_connectivity: VendorText | None
    xks_endpoint: VendorText | None
    """URI of the external key store proxy."""


class NoStore(Model):
    """The key lives in no custom key store."""

    kind: Literal["none"] = "none"


class AwsKey(Model):
    """One key in one Region: a replica of a multi-Region key is a key of its own."""

    provider: Literal["aws"] = "aws"
    arn: VendorText
    """As DescribeKey answered, not as asked."""
    partition: VendorText
    account: VendorText
    region: VendorText
    endpoint: VendorText
    """Who answered: AWS's own endpoint, or what the SDK was pointed at instead."""
    caller: VendorText | Unseen
    """ARN that we asked as."""
    description: AwsDescription
    materials: tuple[AwsMaterial, ...] | Unseen
    rotation: AwsRotation | AwsRotationUnsupported | Unseen
    policies: tuple[AwsPolicy, ...] | Unseen
    grants: tuple[AwsGrant, ...] | Unseen
    aliases: tuple[VendorText, ...] | Unseen
    tags: tuple[tuple[VendorText, VendorText], ...] | Unseen
    last_usage: AwsLastUsage | Unseen
    store: AwsStore | NoStore | Unseen
