"""Data sets as a deployment declares them: where an export lies, and its field map."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from keycheck.model.deployment import FileRef, IdentityRef, SecretRef, Subject, declared
from keycheck.model.types import Count, Digest, Instant, Model, Name, Prose

ColumnPath: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
"""A column; `a.b` is the field `b` of the nested record `a`, `a[]` each element of the list `a`."""
Location: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")]
"""A path relative to the deployment file, `s3://bucket/key` or `gs://bucket/name`; `*`, `?` and `**` are globs, a
directory means everything below it."""


def _known_format(name: str, info: ValidationInfo) -> str:
    """Checked while a deployment file is read; evidence is read as it was written."""
    if info.context is None:
        return name
    from probes.fields.formats.catalogue import FORMATS_BY_ID

    if name not in FORMATS_BY_ID:
        near = get_close_matches(name, sorted(FORMATS_BY_ID), n=1)
        mend = f"did you mean `{near[0]}`?" if near else "see `keycheck fields formats`"
        raise ValueError(f"no format is named so; {mend}")
    return name


FormatName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$"), AfterValidator(_known_format)
]
"""As `keycheck fields formats` lists them."""

NONE: Literal["none"] = "none"
"""The class of a column that holds nothing sensitive, as a person has decided."""


Layout: TypeAlias = Literal["parquet", "ndjson", "json", "csv", "tsv", "avro", "text"]


class Files(Model):
    """An export of files."""

    kind: Literal["files"] = "files"
    files: Annotated[tuple[Location, ...], Field(min_length=1, max_length=1000)]
    format: Literal["auto"] | Layout = "auto"
    """`text`: lines of anything, one column `line`."""
    identity: IdentityRef | None = None
    """The credential for `s3://` and `gs://`."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,30}$")] | None = None
    """The bucket's Region; the identity's otherwise."""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]{1,300}$")] | None = None
    """Another endpoint of an S3-compatible or Google store; `http://` only on this machine."""


class Table(Model):
    """A live table."""

    kind: Literal["table"] = "table"
    url: SecretRef
    """Where the SQLAlchemy URL is (`postgresql+psycopg://…`, `sqlite:///…`): it holds a password."""
    table: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$")]
    schema_: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$")] | None = Field(
        default=None, alias="schema"
    )


class Absent(Model):
    """No raw export is to be had. Its promises stay inconclusive, with the words to send to the vendor."""

    kind: Literal["none"] = "none"
    asked: Prose
    """What the vendor was asked for, when, and what it answered."""


Source: TypeAlias = Annotated[Files | Table | Absent, Field(discriminator="kind")]


class ContextRule(Model):
    """One entry that the encryption context (or additional data) of a value must hold."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    column: ColumnPath | None = None
    """It equals this column of the same row."""
    value: Annotated[str, StringConstraints(max_length=500)] | None = None
    """It equals this text."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("an entry equals a `column` or a `value`: give one of them")
        return self


class FieldRule(Model):
    """One column of the field map."""

    column: ColumnPath
    class_: Name = Field(alias="class")
    """What it holds: `email`, `iban`, `phone`, `name`, `pan`, `national-id`, `date-of-birth`, `address`, `free-text`,
    `secret`, or a word of the contract's own; `none` where it holds nothing sensitive."""
    format: FormatName | None = None
    """As `keycheck fields formats` lists them. What is not declared must still be recognised."""
    key: Annotated[Name, declared("keys", "key")] | None = None
    """Id of the key, in the deployment's section `keys`, that wraps its data keys."""
    context: Annotated[tuple[ContextRule, ...], Field(max_length=20)] = ()
    associated: Literal["none", "context-json", "context-esdk", "column-path"] = "none"
    """How the associated data of formats that do not show it is made: nothing; the entries of `context` as canonical
    JSON; as the AWS Encryption SDK writes them; the column's path."""
    values: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """How many different values it can hold, where they are few: lengths may then tell them apart."""
    optional: bool = False
    """Rows may hold no value."""


class Origin(Model):
    """Where the export came from. A vendor can encrypt while exporting: what it made itself is `documented`."""

    made_by: Literal["vendor", "customer"]
    """`customer`: read from the live store with the customer's own access."""
    method: Prose
    """How it was extracted: the command, the console's path, the ticket."""
    by: Annotated[str, StringConstraints(max_length=200)] = ""
    at: Instant | None = None
    digests: Annotated[tuple[Digest, ...], Field(max_length=1000)] = ()
    """SHA-256 of the files as they were handed over, in any order."""
    rows: Count | None = None
    """Rows that the vendor counted."""


class Opening(Model):
    """Whether and how a sample is opened under the customer's key."""

    identity: IdentityRef
    """May decrypt with the key, and nothing else is asked of it."""
    samples: Annotated[int, Field(ge=1, le=100_000)] = 300
    """Data keys to be unwrapped."""
    calls: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Calls to the key service at most, refusals included."""


class Limits(Model):
    """What was agreed about data keys."""

    uses_per_data_key: Annotated[int, Field(ge=1, le=1 << 32)] | None = None
    rotated: Instant | None = None
    """Rows written later must be under the newest key material."""


class Dataset(Subject):
    """An export of the vendor, or a table that can be read, with its field map."""

    source: Source
    beside: Annotated[tuple[Location, ...], Field(max_length=1000)] = ()
    """More files of the same hand-over in which nothing sensitive may lie: logs, dumps of a search index."""
    fields: Annotated[tuple[FieldRule, ...], Field(max_length=2000)] = ()
    """The field map: every column once."""
    row: Annotated[tuple[ColumnPath, ...], Field(max_length=10)] = ()
    """Columns that identify a row."""
    tenant: ColumnPath | None = None
    """Column of the tenant: tenants share no data key."""
    written: ColumnPath | None = None
    """Column of when the row was last written (an instant, or a Unix time in seconds or milliseconds)."""
    origin: Origin
    canaries: FileRef | None = None
    """What `keycheck canary plant` wrote down."""
    key_vault: FileRef | None = None
    """MongoDB's collection `__keyVault`, exported as Extended JSON: what wraps the data keys that values name."""
    opening: Opening | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.beside and not isinstance(self.source, Files):
            raise ValueError("files lie `beside` files: give those beside a table a data set of their own")
        seen = [field.column for field in self.fields]
        if twice := sorted({column for column in seen if seen.count(column) > 1}):
            raise ValueError(f"the field map names {twice[0]!r} twice")
        return self

    def rule(self, column: str) -> FieldRule | None:
        """The field map's line for a column; None where it has none."""
        return next((field for field in self.fields if field.column == column), None)
