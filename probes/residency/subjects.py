"""What a deployment declares for the area of residency: stores, inference, prompt logs, rosters, operators, references.

Everything that somebody states here is a claim, to be tested or to be shown as stated.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias, assert_never

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from keycheck.model.deployment import FileRef, IdentityRef, Subject, declared
from keycheck.model.types import Digest, Instant, Model, Name, Prose
from probes.places.countries import known_country
from probes.places.whereabouts import RegionName

Country: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(known_country)]
"""ISO 3166-1 alpha-2."""
ResourceName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,700}$")]
"""AWS: an ARN. Google Cloud: a full resource name (`//storage.googleapis.com/projects/_/buckets/NAME`)."""
AccountName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(\d{12}|[a-z][a-z0-9.:-]{3,99})$")]
"""Twelve digits, or the id of a project."""


HostName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}$")]


class Resource(Model):
    """One store by its name."""

    kind: Literal["resource"] = "resource"
    name: ResourceName


class Account(Model):
    """Everything that holds data in an account or project: buckets, databases, tables, disks, snapshots, backups."""

    kind: Literal["account"] = "account"
    account: AccountName
    partition: Annotated[str, StringConstraints(pattern=r"^aws[a-z-]{0,20}$")] = "aws"
    """Of AWS: `aws`, `aws-eusc`, `aws-us-gov`, …"""
    home: RegionName | None = None
    """The Region of AWS that is asked which Regions are enabled; the identity's own otherwise."""
    regions: Annotated[tuple[RegionName, ...], Field(max_length=100)] = ()
    """Regions that are looked into; empty: every Region that is enabled, as the cloud tells. A list leaves the others
    open, and says so."""


class Agreed(Model):
    """What the contract says of a store."""

    keys: Annotated[tuple[Annotated[Name, declared("keys", "key")], ...], Field(max_length=50)] = ()
    """Ids of the deployment's keys: it, and everything that is copied from it, is encrypted under one of them."""
    data_class: Name = "customer"
    """The contract's word: `customer`, `derived`, `account`, `provider`, or its own."""


class Store(Subject):
    """A bucket, database, disk or backup, or all of an account: where it is, where it is copied to, and under which
    key it lies."""

    provider: Literal["aws", "gcp"]
    what: Annotated[Resource | Account, Field(discriminator="kind")]
    identity: IdentityRef | None = None
    """Read-only access of the customer's, or delegated by the vendor; the SDK's own chain otherwise."""
    region: RegionName | None = None
    """Where to ask for it first, where its name does not tell (an S3 bucket's ARN does not)."""
    others: Annotated[tuple[IdentityRef, ...], Field(max_length=20)] = ()
    """Identities that may read in other accounts to which copies go."""
    objects: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Objects of each bucket whose own encryption is looked at: of those that are listed, the oldest, the newest, and
    others by chance."""
    agreed: Agreed = Agreed()

    @model_validator(mode="after")
    def _of_provider(self) -> Self:
        match self.what:
            case Resource(name=name):
                if self.provider == "aws" and not name.startswith("arn:aws"):
                    raise ValueError("`name` is no ARN; write the whole ARN, e.g. `arn:aws:s3:::acme-exports`")
                if self.provider == "gcp" and not name.startswith("//"):
                    raise ValueError(
                        "`name` is no full resource name; write e.g. `//storage.googleapis.com/projects/_/buckets/acme`"
                    )
            case Account(account=account):
                if account.isdigit() != (self.provider == "aws"):
                    raise ValueError(
                        f"`account` is none of {self.provider}; write twelve digits for AWS, the id of a project for "
                        "Google Cloud"
                    )
            case _:
                assert_never(self.what)
        return self


class Inference(Subject):
    """An AI model that customer data is sent to, by contract: where it is asked, and where it may run."""

    provider: Literal["aws", "gcp", "azure", "openai", "anthropic", "mistral", "other"]
    model: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,300}$")]
    """The model, inference profile or deployment as it is named in requests (Bedrock: `eu.anthropic.…`, an ARN)."""
    region: RegionName | None = None
    """Where it is asked."""
    endpoint: Annotated[Name, declared("endpoints", "endpoint")] | None = None
    """The endpoint of the deployment at which it is asked."""
    identity: IdentityRef | None = None
    scope: Literal["region", "zone", "global", "unknown"] = "unknown"
    """Where the provider's offer says that it runs: Azure `Standard` is a region, `DataZone…` a zone, `Global…` global;
    Vertex AI's location `global` is global."""
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{2,20}$")] | None = None
    """Of scope `zone`: `EU`, `US`, as the provider calls it."""
    retention: Prose | None = None
    """What is agreed on prompts that are kept, for abuse monitoring for instance."""


class Prompts(Subject):
    """A captured log of what was sent to a model."""

    files: Annotated[tuple[FileRef, ...], Field(min_length=1, max_length=100)]
    """NDJSON (one request a line) or HAR; gzipped or not."""
    format: Literal["auto", "ndjson", "har"] = "auto"
    inference: Annotated[Name, declared("inference", "inference")] | None = None
    """The model that they were sent to."""
    captured_by: Literal["customer", "vendor"]
    """Who made the capture: a vendor's own is `documented`."""
    requests: Annotated[int, Field(ge=0)] | None = None
    """How many requests it must hold, as counted elsewhere."""
    digests: Annotated[tuple[Digest, ...], Field(max_length=100)] = ()
    """SHA-256 of the files as they were handed over."""


class Party(Model):
    """One party of a roster, as the contract knows it: what the roster's own words are compared with."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    hosts: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}$")], ...], Field(max_length=50)
    ] = ()
    """Names of its service, to be looked up."""
    principals: Annotated[tuple[Annotated[str, StringConstraints(max_length=700)], ...], Field(max_length=50)] = ()
    """Its principals in key policies."""


class Roster(Subject):
    """The vendor's list of subprocessors: one that was fetched, and the one before."""

    current: FileRef
    """JSON, CSV or an HTML page."""
    published: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,1000}$")] | None = None
    """Where the vendor publishes it: fetched and compared with `current`."""
    fetched: Instant | None = None
    """When `current` was fetched."""
    previous: FileRef | None = None
    previous_fetched: Instant | None = None
    notices: Annotated[tuple[Notice, ...], Field(max_length=200)] = ()
    """Changes that the vendor announced, and when."""
    parties: Annotated[tuple[Party, ...], Field(max_length=500)] = ()
    vendor: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The vendor's own name, which need not be on the roster."""


class Notice(Model):
    """A change of the roster that the vendor announced."""

    party: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    received: Instant
    reference: Prose | None = None


_PER_CENT = 100


class Holding(Model):
    """Somebody who holds a share of an operator."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    seat: Country
    share: Annotated[int, Field(ge=0, le=10_000)]
    """In hundredths of a per cent."""

    @field_validator("share", mode="before")
    @classmethod
    def _no_per_cent(cls, value: object) -> object:
        if isinstance(value, str) and value.rstrip().endswith("%"):
            raise ValueError("this is in hundredths of a per cent; write `3000` for 30 %")
        return value


class Evidence(Model):
    """The document that a statement rests on."""

    file: FileRef
    sha256: Digest | None = None
    expires: Instant | None = None


class Operator(Subject):
    """A company that runs the service or part of it, with what decides whose law can reach it. Stated, not measured."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    seat: Country | None = None
    parent: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    parent_seat: Country | None = None
    """Seat of the ultimate parent; the operator's own where it has none (say so: `parent: none`)."""
    holdings: Annotated[tuple[Holding, ...], Field(max_length=100)] = ()
    staff: Annotated[tuple[Country, ...], Field(max_length=100)] = ()
    """Countries from which people administer."""
    support: Annotated[tuple[Country, ...], Field(max_length=100)] = ()
    """Countries from which people support, nights and holidays included."""
    law: Country | None = None
    """Governing law."""
    key_custody: Literal["vendor", "cloud-kms", "customer-hsm", "client-side", "unknown"] = "unknown"
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=50)] = ()

    @field_validator("holdings")
    @classmethod
    def _whole(cls, value: tuple[Holding, ...]) -> tuple[Holding, ...]:
        """Shares written in per cent would all seem too small to matter."""
        if sum(one.share for one in value) == _PER_CENT:
            raise ValueError("shares of 1 % in all: they are in hundredths of a per cent; write `3000` for 30 %")
        return value


class RangesFile(Model):
    """Published ranges of addresses: an index that `keycheck ranges` made, or a provider's own file."""

    kind: Literal["ranges"] = "ranges"
    file: FileRef | None = None
    """Without it, the index of whoever runs keycheck."""
    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9:._-]{0,60}$")] | None = None
    """Of a provider's own file: `aws`, `gcp`, …, `own:NAME`."""
    allow_private: bool = False
    """Ranges of private networks and of this machine count: for practice."""


class Borders(Model):
    """Country polygons, GeoJSON."""

    kind: Literal["borders"] = "borders"
    file: FileRef


class Networks(Model):
    """A database of network owners in MaxMind's format. Only ever a suspicion."""

    kind: Literal["networks"] = "networks"
    file: FileRef


class Reference(Subject):
    """Something that others published about addresses and places, which findings are held against."""

    what: Annotated[RangesFile | Borders | Networks, Field(discriminator="kind")]


Roster.model_rebuild()
