"""The facts of one column of an export: `fields.column`; and of the export's bytes: `fields.export`. Never a verdict,
never a value of a person."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Digest, Instant, Model, NotRecorded, SafeInt, VendorText
from keycheck.model.verdict import Assurance
from probes.fields.subjects import FieldRule, Limits, Origin

_Few: Final = Field(max_length=64)
PLACES: Final = 8
"""Places that are told of each kind of finding; the rest is counted."""
Place: TypeAlias = VendorText
"""`FILE:row N` (rows count from 0 in the file), or the file alone."""
KeyedDigest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""HMAC-SHA-256 of what was found, truncated, under a key that is drawn for the run and thrown away: equal findings of
one run can be told, no value can be guessed from it."""


class File(Model):
    """One file of the export as it was read."""

    path: VendorText
    size: Count
    sha256: Digest


class LeftOut(Model):
    """What of the export could not be read: never silence about it."""

    why: VendorText
    rows: Count
    """How many rows; 0 where that is not known."""
    places: Annotated[tuple[Place, ...], _Few] = ()


class ExportFacts(Facts, schema="fields.export/1"):
    """The bytes that were looked at, recorded before the sample is drawn."""

    files: Count
    listed: Annotated[tuple[File, ...], Field(max_length=1000)]
    """The first thousand in the order of their paths; `manifest` covers all."""
    manifest: Digest
    """SHA-256 over `path NUL size NUL sha256 LF` of every file, sorted by path; for a table over its rows as read."""
    rows: Count


class Export(Model):
    """What every column's facts say of the whole export."""

    manifest: Digest
    files: Count
    rows: Count
    """Rows that were read."""
    left_out: Annotated[tuple[LeftOut, ...], _Few] = ()
    origin: Origin
    origin_digests: Literal["match", "differ", "not-stated"]
    """Whether the files are those that were handed over, by `origin.digests`."""
    canaries: Literal["tied", "untied", "none"] = "none"
    """`tied`: canaries that we planted are in these rows, and their data keys were made in our own key's log when we
    planted them."""
    tie: VendorText | NotRecorded = NotRecorded()
    """How they are tied (by contexts that name each record, or by the moments of calls alone), or why they are not."""
    limits: Limits


class Kind(Model):
    """Values of one kind."""

    kind: VendorText
    """A format's id, or `opaque` (nothing fits and it is not text), `plaintext`, `malformed`, `empty`."""
    variant: VendorText = ""
    encoding: VendorText = ""
    """What was peeled off, outermost first: `base64`, `hex/base64url`, … ; empty for none."""
    count: Count
    places: Annotated[tuple[Place, ...], _Few] = ()
    """The first ones."""


class CipherCount(Model):
    """Values that declare this cipher."""

    name: VendorText
    family: Literal["AES", "ChaCha20", "other", "unknown"]
    bits: Count | None
    authenticated: bool | None
    count: Count


class WrappedCount(Model):
    """Wrapped data keys of one provider, key and length."""

    provider: VendorText
    key: VendorText
    """As the values state it."""
    length: Count | None
    expected: Count | None
    fingerprint: VendorText
    count: Count
    first_written: Instant | None = None
    """Of the rows that hold them, by the data set's column `written`."""
    last_written: Instant | None = None


class Tally(Model):
    """A count with the places of its first members."""

    count: Count = 0
    places: Annotated[tuple[Place, ...], _Few] = ()


class Units(Model):
    """Nonces under their data keys, compared exactly over the whole data set."""

    compared: Count
    hidden: Count
    """Values whose nonce is not visible."""
    reused: Tally
    """Different ciphertexts under one (data key, nonce)."""
    copies: Tally
    """Values that are equal to the last byte to another row's."""
    across: Tally = Tally()
    """Reuse between this column and another."""
    unit_bits: Count
    """Random bits of the smallest unit seen."""
    counters: Count = 0
    """Data keys or columns whose nonces count up instead of being random."""


class DataKeys(Model):
    """Data keys and how often each was used."""

    visible: Count
    """Values whose data key can be told apart."""
    distinct: Count
    most_uses: Count
    tenants_sharing: Tally
    """Data keys that more than one tenant's rows use."""
    tenants: Count | None = None
    """Tenants seen; None where the data set names no column for it."""


class ContextCount(Model):
    """One rule of the encryption context over all rows."""

    name: VendorText
    equal: Count
    differs: Tally
    absent: Tally


class Undeclared(Model):
    """Entries of encryption contexts that the field map does not name, besides the format's own."""

    values: Tally
    """Values that have any."""
    names: Annotated[tuple[VendorText, ...], _Few] = ()
    more: bool = False
    """There are more names than are told."""
    distinct: Count
    """Different contexts of these values by the declared entries alone; at most the bound of a million, see `many`."""
    many: bool = False


class Contexts(Model):
    """The encryption context as the values show it."""

    shown: Count
    hidden: Count
    """Values whose format shows none."""
    rules: Annotated[tuple[ContextCount, ...], _Few] = ()
    distinct: Count
    """Different contexts; at most the bound of a million, see `many`."""
    many: bool = False
    """More than the bound."""
    by_entries: Count | NotRecorded = NotRecorded()
    """Values that were compared by their declared entries alone, as the format adds entries of its own (a signer's
    key, another one each time)."""
    undeclared: Undeclared | NotRecorded = NotRecorded()


class Lengths(Model):
    """Lengths of what is encrypted, as they leak."""

    distinct: Count
    rows: Count
    smallest: Count
    """Rows of the rarest length."""
    values: Count | None
    """How many different values the field map says there are."""


class Test(Model):
    """One statistical test over the column. Integers: `log10` is -1000 * log10(p)."""

    name: Literal["position-chi-square", "top-bit", "repeated-blocks", "unit-chi-square", "bits-chi-square"]
    samples: Count
    statistic: SafeInt
    """In thousandths."""
    log10: Count
    alarm: bool
    """Below the test's share of the family-wise error of 1e-6."""


class Detected(Model):
    """Personal data seen in the clear by its form and checksum."""

    kind: VendorText
    certain: bool
    """A checksum or a grammar proves the form; otherwise it only looks like it."""
    count: Count
    places: Annotated[tuple[Place, ...], _Few] = ()


class Hit(Model):
    """Something that was looked for, found."""

    sought: Literal["canary", "truth"]
    """A planted canary, or a value that a sample was opened to."""
    of: VendorText
    """Class of the canary or column of the value; never the value."""
    encoding: VendorText
    """`raw`, `base64`, `utf-16-le`, `sha256-hex`, …"""
    count: Count
    places: Annotated[tuple[Place, ...], _Few] = ()
    digest: KeyedDigest
    home: Count = 0
    """Of `count`, sightings in the very row that the value was opened in."""
    weak: Literal["", "number", "word"] = ""
    """What may stand elsewhere by chance: a short number, as ids are; a person's name or the name of a mailbox."""


class Hunt(Model):
    """What was sought in this column, and where it turned up."""

    canaries: Count
    """Canaries sought."""
    truths: Count
    """Opened values sought; too short ones are left out and counted as `short`."""
    short: Count = 0
    bytes: Count
    """Bytes searched."""
    hits: Annotated[tuple[Hit, ...], Field(max_length=1000)] = ()
    more: Count = 0
    """Hits beyond what is told."""
    present: Count = 0
    """Canaries whose row is in the export: a hunt that could not have found anything is no hunt."""


Negative: TypeAlias = Literal[
    "context-swapped",
    "ciphertext-flipped",
    "tag-flipped",
    "nonce-flipped",
    "header-flipped",
    "wrapped-flipped",
    "row-swapped",
]
"""What is changed before a value of the sample is tried again."""


class Refusals(Model):
    """A negative test over the sample: each attempt must fail."""

    name: Negative
    tried: Count
    opened: Tally
    """Attempts that went through: breaches."""
    undecided: Count = 0
    """Neither: the service did not answer."""


class Planted(Model):
    """The values of the rows that we planted, opened besides the sample and counted apart: they were not drawn."""

    found: Count
    """Values in those rows, as far as a format explains them."""
    tried: Count
    """Of these; at most a hundred a column."""
    canaries: Count
    """Opened to the very canary of their row."""
    others: Tally = Tally()
    """Opened to something else."""
    refused: Tally = Tally()
    bad: Tally = Tally()
    """Do not decrypt under their own unwrapped data key."""
    undecided: Count = 0


class Opened(Model):
    """What the customer's key service and the local process made of the sample."""

    seed: Digest
    """SHA-256 over the manifest's digest and randomness drawn after it was recorded."""
    strata: Count
    """Wrapping key, its material, file and month of writing: how many different ones the population has."""
    population: Count
    """Values to draw from, each as likely as any other."""
    drawn: Count
    calls: Count
    unwrapped: Count
    """Values whose data key was unwrapped under the pinned key."""
    refused: Tally
    """The service says: not of this key, or not with this context."""
    unanswered: Count
    """Denied, throttled, unreachable, or beyond the limit of calls."""
    why_unanswered: Annotated[tuple[Unseen, ...], Field(max_length=8)] = ()
    """The most frequent reasons; also those for which values of unwrapped data keys were not opened."""
    lengths: Annotated[tuple[tuple[Count, Count], ...], _Few] = ()
    """(bytes of the unwrapped data key, how many): the measured length, not the inferred."""
    repeated: Tally = Tally()
    """Unwrapped data keys that an earlier value has, too, wrapped otherwise."""
    weak: Tally = Tally()
    """Unwrapped data keys that are text or of two different bytes at most: random ones are so once in 2^45."""
    ciphers: Annotated[tuple[tuple[VendorText, Count], ...], _Few] = ()
    """(cipher that a value decrypted with, how many): by the unwrapped data key itself, and
    not as declared. Values under other ciphers than AES count here and are not judged as `opened`."""
    headers: Count = 0
    """Header tags and key commitments that verified."""
    tags: Count = 0
    """Tags verified without computing the plaintext: a holder of the data key sealed these bytes, no more."""
    bad_tags: Tally = Tally()
    opened: Count = 0
    """Values decrypted in the local process."""
    bad: Tally = Tally()
    """Values that do not decrypt under their own unwrapped data key."""
    fitting: Count = 0
    """Decrypted to plaintext of the field's class, or to the very canary."""
    canaries: Count = 0
    """Of these the very canary."""
    unfitting: Tally = Tally()
    """Decrypted to something else: ciphertext inside ciphertext, or another class."""
    unjudged: Count = 0
    """Decrypted, of a class whose form is not known."""
    refusals: Annotated[tuple[Refusals, ...], _Few] = ()
    key_ids: Annotated[tuple[VendorText, ...], _Few] = ()
    """Keys that the service says it used."""
    materials: Annotated[tuple[VendorText, ...], _Few] = ()
    """Key material ids that the service named, by fingerprint: `FINGERPRINT=MATERIAL`."""
    planted: Planted | NotRecorded = NotRecorded()


class ColumnFacts(Facts, schema="fields.column/1"):
    """One column over all rows of an export.

    Proves what these bytes are. Of the vendor's live store it says as much as `export.origin` carries.
    """

    assurance: ClassVar[Assurance] = Assurance.DOCUMENTED

    export: Export
    column: VendorText
    role: Literal["sensitive", "plain", "unmapped"]
    """`plain`: the field map says `none`; `unmapped`: it does not say anything."""
    rule: FieldRule | None
    key_resource: VendorText = ""
    """Resource name of the rule's key, from the deployment."""
    tenants_declared: bool = False
    rows: Count
    nulls: Count
    """Null or missing."""
    empties: Count
    left_out: Count = 0
    """Values that could not be looked at (too long, not decodable)."""
    kinds: Annotated[tuple[Kind, ...], _Few]
    evidence_bits: Count
    """Sum over the values of the recognised kind, at most 2^53: -log2 that random bytes would be taken for it."""
    ciphers: Annotated[tuple[CipherCount, ...], _Few] = ()
    wrapped: Annotated[tuple[WrappedCount, ...], Field(max_length=1000)] = ()
    wrapped_more: Count = 0
    """Wrapped data keys of further classes, beyond the thousand that are told."""
    unwrapped: Count = 0
    """Recognised values without a wrapped data key of their own."""
    static_keys: Annotated[tuple[VendorText, ...], _Few] = ()
    wraps: tuple[Count, Count] = (0, 0)
    """Fewest and most wrapping keys of one value."""
    remarks: Annotated[tuple[tuple[VendorText, Count], ...], _Few] = ()
    committed: tuple[Count, Count, Count] = (0, 0, 0)
    """Values that commit to their key, that do not, and whose format does not say."""
    deterministic: Tally = Tally()
    """Values whose format says that equal plaintexts are equal ciphertexts."""
    units: Units | None = None
    data_keys: DataKeys | None = None
    contexts: Contexts | None = None
    lengths: Lengths | None = None
    tests: Annotated[tuple[Test, ...], _Few] = ()
    detected: Annotated[tuple[Detected, ...], _Few] = ()
    hunt: Hunt
    opened: Opened | Unseen
    """Unseen where nothing was opened, and why."""

    def coverage(self) -> tuple[int, int]:
        """(values looked at, values that exist)."""
        return (max(0, self.rows - self.left_out), self.rows)

    def samples(self) -> int:
        """Values that were decrypted; 1 where none was, for then the one scan of all values is what there is."""
        return max(1, self.opened.opened) if isinstance(self.opened, Opened) else 1


__all__ = [
    "PLACES",
    "CipherCount",
    "ColumnFacts",
    "ContextCount",
    "Contexts",
    "DataKeys",
    "Detected",
    "Export",
    "ExportFacts",
    "File",
    "Hit",
    "Hunt",
    "Instant",
    "Kind",
    "LeftOut",
    "Lengths",
    "Opened",
    "Place",
    "Planted",
    "Refusals",
    "Tally",
    "Test",
    "Undeclared",
    "Units",
    "WrappedCount",
]
