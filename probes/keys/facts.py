"""The facts of a key: how it is configured (`keys.key`), and what is logged about it (`keys.log`). Never a verdict."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Instant, Model, VendorText
from keycheck.model.verdict import Assurance
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsKey
from probes.keys.gcp_facts import GcpKey
from probes.keys.subjects import Agreed, KeyModel

Provider = Literal["aws", "gcp"]


class KeyFacts(Facts, schema="keys.key/1"):
    """One key in one place, as its own cloud describes it to our credentials."""

    assurance: ClassVar[Assurance] = Assurance.CONFIGURED

    agreed: Agreed
    """As the deployment declares it."""
    model: KeyModel
    named: VendorText
    """Resource that the deployment names."""
    looked: Instant
    """When it was asked; ages count to here."""
    asked: tuple[Aspect, ...]
    """What was asked. The rest is `Unseen(not-recorded)`."""
    key: Annotated[AwsKey | GcpKey, Field(discriminator="provider")]


class AwsTrail(Model):
    """One CloudTrail trail that covers the key's Region."""

    kind: Literal["trail"] = "trail"
    name: VendorText
    arn: VendorText
    logging: bool
    multi_region: bool
    validation: bool
    """Log file validation: digests that show later changes."""
    management: Literal["all", "read", "write", "none", "unknown"]
    """Which management events it keeps. Decrypt and GenerateDataKey are read events: `write` loses them."""
    excludes_kms: bool
    """`kms.amazonaws.com` is among the excluded event sources."""
    delivery_error: VendorText | None
    """Why the last log file or digest could not be delivered to its bucket, in words of Amazon S3."""


class GcpAuditLevel(Model):
    """The audit configuration at one level of the hierarchy, for Cloud KMS."""

    kind: Literal["audit"] = "audit"
    resource: VendorText
    data_read: bool
    """DATA_READ is on for cloudkms.googleapis.com or for all services: decryptions are logged."""
    exempted: tuple[VendorText, ...]
    """Members whose decryptions are not logged."""


class KeyUse(Model):
    """Log entries that are alike, counted. Values of encryption contexts are not kept, only their names."""

    operation: VendorText
    principal: VendorText
    account: VendorText | None
    source: VendorText | None
    """Address, or the name of a service that called on behalf of the principal."""
    via: VendorText | None
    """Service that the call came through."""
    tls_version: VendorText | None
    """None: the log does not state it."""
    key_exchange: VendorText | None
    error: VendorText | None
    """None: it succeeded."""
    justification: VendorText | None
    context_keys: tuple[VendorText, ...]
    count: Count
    first: Instant
    last: Instant


class LoggingFacts(Model):
    """What is logged, as configured."""

    kind: Literal["logging"] = "logging"
    trails: tuple[AwsTrail, ...] = ()
    audit: tuple[GcpAuditLevel, ...] = ()
    complete: bool
    """Every trail, or every level up to the organization, was read."""
    why_not: VendorText


class EventFacts(Model):
    """What the log says about the key."""

    kind: Literal["events"] = "events"
    since: Instant
    until: Instant
    """Entries newer than this may still be on their way."""
    complete: bool
    """All pages of the time between were read, and all kinds of use kept."""
    why_not: VendorText
    entries: Count
    uses: tuple[KeyUse, ...]


class KeyLogFacts(Facts, schema="keys.log/1"):
    """The customer's own log about one key in one place."""

    assurance: ClassVar[Assurance] = Assurance.CONFIGURED

    agreed: Agreed
    provider: Provider
    place: VendorText
    """Region or location."""
    endpoint: VendorText
    """Who answered for the log."""
    looked: Instant
    asked: tuple[Aspect, ...]
    logging: Annotated[LoggingFacts | Unseen, Field(discriminator="kind")]
    events: Annotated[EventFacts | Unseen, Field(discriminator="kind")]

    def samples(self) -> int:
        """Log entries read."""
        return 1 if isinstance(self.events, Unseen) else max(1, self.events.entries)
