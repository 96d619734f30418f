"""Facts of a Cloud KMS key, in the words of its API. What could not be asked is `Unseen` with its reason, never
empty."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from keycheck.model.facts import Unseen
from keycheck.model.types import Count, Digest, Instant, Model, VendorText


class ChainStatus(StrEnum):
    """Where a certificate chain of an attestation ends."""

    VERIFIED = "verified"
    """At a pinned root, all signatures right, all certificates valid at the time of looking."""
    EXPIRED_ROOT = "expired-root"
    """As verified, but the root is past its end: whoever holds its old key could have signed anything since."""
    EXPIRED_CERTIFICATE = "expired-certificate"
    NOT_CHAINED = "not-chained"
    NO_ROOT = "no-root"
    """The deployment pins no root."""
    MISSING = "missing"
    MALFORMED = "malformed"


class Chain(Model):
    """One of the two chains: the module maker's, and the cloud's own."""

    status: ChainStatus
    root: VendorText
    """Subject of the pinned root that it ends at, or empty."""
    root_sha256: Digest | None
    root_until: Instant | None
    detail: VendorText


class Attestation(Model):
    """A statement that a hardware module signed when the version was made or imported in it.

    Proves that the version was made or imported in such a module, not that it is used there.
    """

    format: VendorText
    sha256: Digest
    """Of the content as answered."""
    maker: Chain
    cloud: Chain
    statement: Literal["signed", "not-signed", "malformed", "unknown-format"]
    """Whether the attested bytes are signed by the key that both chains certify."""
    names: Literal["this-version", "another", "nothing"]
    """Which key version the signed attributes name."""
    extractable: Literal["no", "yes", "not-stated"]
    detail: VendorText


class GcpVersion(Model):
    """One CryptoKeyVersion."""

    id: VendorText
    """Its number, as text."""
    state: VendorText
    algorithm: VendorText
    protection: VendorText
    """`SOFTWARE`, `HSM`, `HSM_SINGLE_TENANT`, `EXTERNAL`, `EXTERNAL_VPC`."""
    created: Instant
    generated: Instant | None
    imported: Instant | None
    import_job: VendorText | None
    import_failure: VendorText | None
    destroy_time: Instant | None
    external_uri: VendorText | None
    """Where an external key manager holds it."""
    attestation: Attestation | Unseen | None
    """None: Google states none for this version."""


class Binding(Model):
    """One role binding of an IAM policy."""

    role: VendorText
    members: tuple[VendorText, ...]
    condition: VendorText | None
    """Its expression (CEL); None: unconditional."""


class PolicyLevel(Model):
    """The IAM policy of the key or of something above it, from which the key inherits."""

    resource: VendorText
    """`cryptoKey`, `keyRing`, `projects/…`, `folders/…`, `organizations/…`."""
    bindings: tuple[Binding, ...] | Unseen


class GcpHierarchy(Model):
    """All levels from the key upwards. `complete` only when an organization (or a project that has no parent) was
    reached and every level below was read."""

    levels: tuple[PolicyLevel, ...]
    complete: bool
    why_not: VendorText


class Justifications(Model):
    """Key Access Justifications policy of the key. Enrolled with no reasons: every access is refused."""

    kind: Literal["policy"] = "policy"
    allowed: tuple[VendorText, ...]


class NoJustifications(Model):
    """The key carries no justifications policy: every reason is accepted."""

    kind: Literal["none"] = "none"


class GcpKey(Model):
    """One CryptoKey with its versions."""

    provider: Literal["gcp"] = "gcp"
    name: VendorText
    project: VendorText
    """Its id where the cloud said it, otherwise as the deployment writes it."""
    project_number: VendorText | None
    """None: not asked, or not readable."""
    location: VendorText
    universe: VendorText
    """`googleapis.com`, or the domain of a partner's cloud."""
    endpoint: VendorText
    """Who answered: the universe's Cloud KMS, or what the identity names instead."""
    caller: VendorText | Unseen
    """The account that we asked as, where the credential names one."""
    purpose: VendorText
    created: Instant
    primary: VendorText | None
    """Number of the version that new data is encrypted with."""
    rotation_period_s: Count | None
    next_rotation: Instant | None
    destroy_scheduled_s: Count | None
    """How long a destroyed version can be restored."""
    import_only: bool
    backend: VendorText | None
    """EKM connection or single-tenant instance."""
    versions: tuple[GcpVersion, ...] | Unseen
    hierarchy: GcpHierarchy | Unseen
    justifications: Justifications | NoJustifications | Unseen
