"""The exports of the practice vendor as a plan: what each holds and how each column is sealed, before any file exists.

Defects are functions from a site to a site. The field map, the limits and the contract's view of an export never change
with a defect: only what its files really hold does, and who is said to have made them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from keycheck.lab.defect import Defect

DEPLOYMENT: Final = "practice-crm"
"""As the lab's deployment file calls itself."""
EXPORTS: Final = "exports"
"""Directory of the exports in the lab's home."""
TENANTS: Final = ("acme", "globex", "initech")
SEGMENTS: Final = ("standard", "preferred", "strategic", "dormant")
"""All that the column `segment` can hold; the honest vendor writes each ten characters long."""
PADDED: Final = 10
ROTATED_DAYS: Final = 100
"""How long ago the keys' material was rotated, as `key_sites` has it."""


class Envelope(StrEnum):
    """With what the vendor seals."""

    ENCRYPTION_SDK = "encryption-sdk"
    """AWS Encryption SDK; every value has a data key of its own, since the SDK shares one only within a context, and
    the context names the record and the field."""
    TINK = "tink"
    """Tink's KmsEnvelopeAead; one data key for a stated number of values of one tenant."""


class Layout(StrEnum):
    """The form of the files."""

    PARQUET = "parquet"
    NDJSON = "ndjson"
    """Gzipped."""


class Way(StrEnum):
    """How the values of a column are written."""

    HONEST = "honest"
    CLEAR = "clear"
    BASE64 = "base64"
    AES_128 = "aes-128"
    """The vendor's library with a suite of 128 bits."""
    CBC = "cbc"
    """AES-256-CBC under a static key, the IV before it, no tag."""
    SALTED = "salted"
    """As `openssl enc` writes it: AES-256-CBC under a password, no tag."""
    ECB = "ecb"
    FIXED_NONCE = "fixed-nonce"
    HIDDEN_NONCE = "hidden-nonce"
    """AES-256-GCM under a static key with a nonce that is always the same and nowhere stored."""
    COUNTER_NONCE = "counter-nonce"
    """Counts up from 0, and again from 0 under the same data key."""
    WRONG_KEY = "wrong-key"
    """Under a key of the vendor's, and says so."""
    ESCROW = "escrow"
    """The data key is wrapped a second time, under a key of the vendor's."""
    FORGED_HEADER = "forged-header"
    """Says the customer's key; the data key is wrapped under the vendor's."""
    CLEAR_UNDER_TAG = "clear-under-tag"
    """The plaintext where ciphertext should be, under a right header and a tag that verifies."""
    OWN_CIPHER = "own-cipher"
    """The vendor's own AES-128-GCM there."""
    ELSEWHERE = "elsewhere"
    """Under a key of the customer's in another Region."""
    NO_CONTEXT = "no-context"
    CONSTANT_CONTEXT = "constant-context"
    MORE_CONTEXT = "more-context"
    OTHER_ROW = "other-row"
    """The context of another row of the same tenant."""
    SWAPPED = "swapped"
    """Honest, and then moved to another row of the same tenant."""
    OLD_MATERIAL = "old-material"
    """Under the key material of before the rotation, whenever the row was written."""
    MEMORISED = "memorised"
    """Each value of a tenant sealed once and written wherever it occurs."""
    PLACEHOLDER = "placeholder"
    FERNET = "fernet"
    PGCRYPTO = "pgcrypto"
    TRUNCATED = "truncated"
    UNPADDED = "unpadded"
    """Honest, but at its natural length."""


class Leak(StrEnum):
    """What lies in the clear beside the sealed columns."""

    LOG = "log"
    """E-mail addresses in the application's log."""
    SEARCH_DUMP = "search-dump"
    """Names and IBANs in the dump of the search index."""
    SEARCH_COLUMN = "search-column"
    """The e-mail address in a column that holds nothing sensitive, by the field map."""
    HASH = "hash"
    """There the e-mail address's unsalted SHA-256."""


class Harm(StrEnum):
    """What befell the files."""

    CHANGED = "changed"
    """They are not those that were handed over."""
    SHORT = "short"
    """There are fewer rows than the vendor counted."""
    DAMAGED = "damaged"
    """The last file breaks off."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the field map that holds something sensitive."""

    name: str
    class_: str
    binary: bool = False
    """Sealed bytes as they are, where the layout can; base64 otherwise."""
    values: int | None = None
    """How many different values it can hold, where few."""
    optional: bool = False
    way: Way = Way.HONEST
    every: int = 1
    """The way is that of every so-manieth row, the first of them last; the other rows are honest."""


@dataclass(frozen=True, slots=True)
class DataSite:
    """One export to be made. `key` is the id of the key that it is sealed under."""

    id: str
    key: str
    envelope: Envelope
    layout: Layout
    rows: int
    columns: tuple[Column, ...]
    uses: int
    """Values that one data key seals, as agreed."""
    files: int = 2
    uses_really: int | None = None
    """As it is, where it is not as agreed; 0 for one data key for everything."""
    made_by_vendor: bool = False
    sealed_on_export: bool = False
    """What is stored is in the clear: data keys are made when the export is, under the material of when rows were
    written, and no log of then shows them."""
    leaks: frozenset[Leak] = frozenset()
    undeclared: bool = False
    """The export has a column that the field map does not name."""
    harm: Harm | None = None

    def with_way(self, column: str, way: Way, every: int = 1) -> DataSite:
        """The same, but for how one column is written."""
        changed = (replace(c, way=way, every=every) if c.name == column else c for c in self.columns)
        return replace(self, columns=tuple(changed))


class DataDefect(Defect[DataSite]):
    """A defect of one export."""

    __slots__ = ()
    section = "datasets"


def clean_data_sets() -> tuple[DataSite, ...]:
    """Every export of the honest vendor."""
    return (
        DataSite(
            "contacts-export",
            "contacts",
            Envelope.ENCRYPTION_SDK,
            Layout.PARQUET,
            60,
            (
                Column("name", "name"),
                Column("email", "email"),
                Column("phone", "phone", optional=True),
                Column("iban", "iban", binary=True),
                Column("notes", "free-text", binary=True),
                Column("segment", "free-text", values=len(SEGMENTS)),
            ),
            uses=10,
        ),
        DataSite(
            "contacts-g-export",
            "contacts-g",
            Envelope.TINK,
            Layout.NDJSON,
            600,
            (
                Column("name", "name"),
                Column("email", "email"),
                Column("phone", "phone", optional=True),
                Column("iban", "iban"),
                Column("notes", "free-text"),
                Column("segment", "free-text", values=len(SEGMENTS)),
            ),
            uses=20,
        ),
    )
