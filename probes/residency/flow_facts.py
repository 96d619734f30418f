"""Facts of what leaves: AI inference, prompts, subprocessors, operators. Never a verdict, never a person's data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Digest, Instant, Model, VendorText
from keycheck.model.verdict import Assurance
from probes.residency.endpoint_facts import NotAsked
from probes.residency.subjects import Inference, Operator


class Runs(Model):
    """Where inference may run, as the provider's control plane tells: a closed set of regions."""

    kind: Literal["runs"] = "runs"
    regions: Annotated[tuple[VendorText, ...], Field(max_length=200)]
    """As the provider writes them. `global` stands for everywhere."""
    profile: VendorText | None
    """ARN of the inference profile, where there is one."""
    models: Annotated[tuple[VendorText, ...], Field(max_length=200)]
    """ARNs of the models behind it."""
    status: VendorText | None


class InferenceFacts(Facts, schema="residency.inference/1"):
    """Where one model runs when customer data is sent to it."""

    assurance = Assurance.CONFIGURED

    declared: Inference
    runs: Annotated[Runs | NotAsked | Unseen, Field(discriminator="kind")]
    """Of AWS Bedrock and Vertex AI, with credentials; elsewhere nothing tells, and the deployment's word stays one."""
    named: Annotated[tuple[VendorText, ...], Field(max_length=16)] = ()
    """Regions or `global` that the model's own name carries (`global.anthropic…`, `eu.…`)."""
    endpoint_host: VendorText | None = None
    """Of the endpoint that is declared; its own facts are `residency.address/1` of that endpoint."""
    logging: Annotated[Unseen | NotAsked | InvocationLogging, Field(discriminator="kind")] = NotAsked()


class InvocationLogging(Model):
    """Where the provider writes invocations down (Bedrock: model invocation logging)."""

    kind: Literal["invocation-logging"] = "invocation-logging"
    targets: Annotated[tuple[VendorText, ...], Field(max_length=16)]
    """Buckets and log groups; empty: none is written."""


class PromptFile(Model):
    """One captured file as it was read."""

    path: VendorText
    size: Count
    sha256: Digest
    requests: Count
    left_out: Count
    """Lines or entries that could not be read."""


class Identifier(Model):
    """Direct identifiers of one kind that were found in prompts."""

    kind: VendorText
    """`email`, `iban`, `phone`, `pan`, `national-id`, `name`, …, as the detectors call it."""
    requests: Count
    """Requests that hold at least one."""
    found: Count
    exact: bool
    """A checksum or a full grammar stands behind it; otherwise it is a likeness, and a doubt."""
    places: Annotated[tuple[VendorText, ...], Field(max_length=8)]
    """`FILE:request N JSON-pointer`; never the value."""


class PromptFacts(Facts, schema="prompts.log/1"):
    """What a captured prompt log holds."""

    files: Annotated[tuple[PromptFile, ...], Field(max_length=100)]
    requests: Count
    texts: Count
    """Strings that were looked at."""
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=64)]
    detectors: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    """All that were looked for."""
    left_out: Annotated[tuple[Unseen, ...], Field(max_length=64)]
    unread: Count
    """Binary or encoded contents that could not be looked into (images, audio)."""
    hosts: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    """Where requests went to, by the capture."""
    models: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    captured_by: Literal["customer", "vendor"]
    expected: Count | None
    handed_over: bool | None
    """The files are those of the handed-over digests; None: none were given."""

    def coverage(self) -> tuple[int, int]:
        """Requests that were read, of all that there are or should be."""
        left = sum(file.left_out for file in self.files)
        return (self.requests, max(self.requests + left, self.expected or 0))


class Listed(Model):
    """One entry of a roster."""

    name: VendorText
    countries: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    """ISO 3166 codes that its words name; empty: none was understood."""
    words: VendorText
    """What the roster says of the place."""
    purpose: VendorText | None
    added: Instant | None = None
    """Since when, where the roster says so."""


class Shown(Model):
    """What the outside shows of one party."""

    party: VendorText
    host: VendorText
    countries: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    """Countries that ranges give for all its addresses; empty: ranges say nothing."""
    sources: Annotated[tuple[VendorText, ...], Field(max_length=16)]
    doubt: Unseen | None


class Change(Model):
    """Between the previous roster and this one."""

    party: VendorText
    kind: Literal["added", "removed", "moved", "purpose"]
    before: VendorText | None
    after: VendorText | None
    noticed: Instant | None
    """When the vendor announced it; None: no notice is declared."""


class RosterFacts(Facts, schema="residency.roster/1"):
    """The roster of subprocessors, what changed, and what the outside shows."""

    assurance = Assurance.DOCUMENTED

    file: VendorText
    sha256: Digest
    format: Literal["json", "csv", "html"]
    fetched: Instant | None
    entries: Annotated[tuple[Listed, ...], Field(max_length=2000)]
    unread: Annotated[tuple[Unseen, ...], Field(max_length=64)]
    """Rows that could not be understood."""
    previous: Digest | None
    previous_fetched: Instant | None
    changes: Annotated[tuple[Change, ...], Field(max_length=2000)]
    published: Annotated[Published | NotAsked | Unseen, Field(discriminator="kind")]
    shown: Annotated[tuple[Shown, ...], Field(max_length=500)]
    missing: Annotated[tuple[VendorText, ...], Field(max_length=500)]
    """Parties of the contract that the roster does not list."""
    principals: Annotated[tuple[VendorText, ...], Field(max_length=500)]
    """Principals of the vendor's that the declared keys admit, and that belong to no declared party."""
    principals_seen: Annotated[Unseen | NotAsked | PrincipalsRead, Field(discriminator="kind")]


class Published(Model):
    """The vendor's page was fetched, and this is how it compares."""

    kind: Literal["published"] = "published"
    url: VendorText
    sha256: Digest
    same: bool
    """It lists the same parties in the same places as the file."""
    differs: Annotated[tuple[VendorText, ...], Field(max_length=64)]


class PrincipalsRead(Model):
    """Key declarations that principals were taken from."""

    kind: Literal["principals-read"] = "principals-read"
    keys: Annotated[tuple[VendorText, ...], Field(max_length=200)]


class Document(Model):
    """A document beside the deployment that a statement rests on."""

    file: VendorText
    sha256: Digest | None
    """None: it could not be read."""
    matches: bool | None
    """The digest is the declared one; None: none is declared."""
    expires: Instant | None


class OperatorFacts(Facts, schema="residency.operator/1"):
    """What is stated about an operator. A statement and nothing more: whoever made it is liable for it."""

    assurance = Assurance.STATED

    read: Instant
    declared: Operator
    documents: Annotated[tuple[Document, ...], Field(max_length=50)]


InferenceFacts.model_rebuild()
RosterFacts.model_rebuild()
