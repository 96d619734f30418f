"""Facts of stores: a graph of where data lies and to where it is copied, as the cloud itself tells with credentials.

A node is something that holds data; an edge leads to where it is copied. What could not be followed is an `OpenEnd`:
with one, nobody knows all the places.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Instant, Model, VendorText
from keycheck.model.verdict import Assurance
from probes.residency.subjects import Agreed

MAX_NODES = 2000
MAX_EDGES = 4000


class NodeKind(StrEnum):
    """What holds the data."""

    BUCKET = "bucket"
    DATABASE = "database"
    TABLE = "table"
    DISK = "disk"
    FILE_SYSTEM = "file-system"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    """A recovery point, an automated backup."""
    VAULT = "vault"
    DATASET = "dataset"
    """Of BigQuery."""
    IMAGE = "image"
    KEY = "key"
    KEY_STORE = "key-store"
    """A custom or external key store behind a key."""
    WITNESS = "witness"
    """A region that takes part in a quorum without the data: DynamoDB's global tables with strong consistency."""
    LOG = "log"
    OTHER = "other"


class EdgeKind(StrEnum):
    """How data gets from one to the other."""

    REPLICATES = "replicates"
    """Continuously: replication rules, replicas, global tables and databases."""
    BACKS_UP = "backs-up"
    """A backup, snapshot or recovery point of it."""
    COPIES = "copies"
    """A copy of a backup or snapshot into another place."""
    WITNESSES = "witnesses"
    LOGS = "logs"
    """Access logs or inventories, which name objects."""
    KEY = "key"
    """It is encrypted under that key."""
    HELD_BY = "held-by"
    """The key's material is in that store."""


class Basis(StrEnum):
    """How an edge is known."""

    CONFIGURED = "configured"
    """A rule says so: it will happen."""
    OFF = "off"
    """A rule that is switched off now, or a job that did not end well: something may have gone that way before."""
    HAPPENED = "happened"
    """A job that ran, or a copy that exists."""


class NodePlace(Model):
    """Where the cloud says that it is: one region, or several of which it is in all."""

    kind: Literal["place"] = "place"
    regions: Annotated[tuple[VendorText, ...], Field(min_length=1, max_length=64)]
    """Region names as the provider writes them; a multi-region's own name where its members are not told (`EU`)."""
    type: VendorText
    """`region`, `dual-region`, `multi-region`, `zone`, as told."""


class Encryption(Model):
    """How it is encrypted at rest, as the cloud tells."""

    kind: Literal["encryption"] = "encryption"
    method: Literal["none", "provider-key", "customer-key", "client-supplied-key"]
    """`provider-key`: the cloud's own, that no customer can take away (SSE-S3, `aws/rds`, Google's default)."""
    algorithm: VendorText | None
    """As told: `aws:kms`, `aws:kms:dsse`, `AES256`."""
    key: VendorText | None
    """ARN or resource name of the key."""
    key_manager: Literal["aws", "google", "customer", "unknown"] = "unknown"
    """Who manages that key, as the cloud tells: a key id alone does not say that it is the customer's."""


class Unneeded(Model):
    """Nothing to be encrypted: it holds no data by itself (a vault, a replication witness)."""

    kind: Literal["unneeded"] = "unneeded"


class ObjectsSampled(Model):
    """Objects of a bucket whose own encryption was looked at: a bucket's default says nothing of older ones."""

    looked: Count
    existing: Count | None
    """How many there are; None: not counted."""
    oldest: Instant | None
    """Of those looked at."""
    newest: Instant | None
    encrypted_under: Annotated[tuple[UnderKey, ...], Field(max_length=64)]
    versions: bool
    """Older versions were looked at, too."""
    complete: bool
    """Every object was looked at."""
    failed: Annotated[tuple[Unseen, ...], Field(max_length=16)] = ()


class UnderKey(Model):
    """So many objects under one key."""

    encryption: Encryption
    objects: Count
    example: VendorText
    """A name, its salted digest where names may be personal."""


class Node(Model):
    """Something that holds data."""

    id: VendorText
    """ARN or full resource name."""
    kind: NodeKind
    account: VendorText | None
    place: Annotated[NodePlace | Unseen, Field(discriminator="kind")]
    encryption: Annotated[Encryption | Unneeded | Unseen, Field(discriminator="kind")]
    objects: ObjectsSampled | None = None
    """Of a bucket; None elsewhere."""
    created: Instant | None = None
    note: VendorText | None = None
    """What a reader must know: `paused`, `in another account`."""


class Edge(Model):
    """From one node to another, by their ids."""

    source: VendorText
    target: VendorText
    kind: EdgeKind
    basis: Basis
    at: Instant | None = None
    """When it last happened, where that is told."""
    detail: VendorText = ""
    """The rule's or job's name."""


class OpenEnd(Model):
    """Something that could not be followed or asked: what lies behind it is not known."""

    at: VendorText
    """Node or question: `arn:aws:s3:::exports`, `backup:ListCopyJobs in eu-central-1`."""
    matters: Literal["stores", "copies", "backups", "encryption", "everything"]
    """For which question it leaves the answer open."""
    why: Unseen


class Guard(Model):
    """An organisation policy that forbids other regions. Never retroactive: it proves nothing of what exists."""

    name: VendorText
    kind: VendorText
    """`service-control-policy`, `gcp.resourceLocations`."""
    allows: Annotated[tuple[VendorText, ...], Field(max_length=64)]
    """Regions or location groups that it leaves open."""
    exceptions: Annotated[tuple[VendorText, ...], Field(max_length=64)] = ()


class ClosureFacts(Facts, schema="stores.closure/1"):
    """Everything that is reached from one declared store, along every edge, as far as it could be followed."""

    assurance = Assurance.CONFIGURED

    provider: Literal["aws", "gcp"]
    asked: VendorText
    """Resource or account that the walk began at."""
    whole_account: bool
    """All that an account holds in one Region was asked for, rather than one store by its name."""
    who: VendorText
    """Identity that asked, as the cloud names it."""
    roots: Annotated[tuple[VendorText, ...], Field(max_length=MAX_NODES)]
    """Ids of the nodes that were declared: the store itself, or all that the account holds in this region."""
    nodes: Annotated[tuple[Node, ...], Field(max_length=MAX_NODES)]
    edges: Annotated[tuple[Edge, ...], Field(max_length=MAX_EDGES)]
    open: Annotated[tuple[OpenEnd, ...], Field(max_length=512)]
    guards: Annotated[tuple[Guard, ...], Field(max_length=64)] | Unseen = ()
    questions: Annotated[tuple[VendorText, ...], Field(max_length=256)] = ()
    """What was asked, `service:Operation region`; and `not asked: SERVICE`, for services of which an account may hold
    something and that were not looked into."""
    since: Instant | None = None
    """How far back jobs that ran were looked at."""
    agreed: Agreed
    agreed_keys: Annotated[tuple[VendorText, ...], Field(max_length=50)]
    """Resource names of the keys in `agreed.keys`."""

    def coverage(self) -> tuple[int, int]:
        """Nodes whose place is known, of all that are known to exist; open ends are for the controls, by what they
        matter for. Nothing at all is covered as it is."""
        known = sum(1 for node in self.nodes if isinstance(node.place, NodePlace))
        return (known, len(self.nodes)) if self.nodes else (1, 1)


ObjectsSampled.model_rebuild()
Node.model_rebuild()
ClosureFacts.model_rebuild()
