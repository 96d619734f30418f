"""What the scan of one shard tells: sums and hashes, never a value. Picklable, and added up in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from probes.fields.facts import LeftOut
from probes.fields.formats.seam import Cipher, Commitment
from probes.fields.scan.statistics import Histograms
from probes.fields.scan.tallies import Bounded, Distinct, Seen
from probes.fields.scan.tokens import Tokens

KINDS: Final = 256
WRAPPED: Final = 1_000
CIPHERS: Final = 64
KEYS: Final = 64
LENGTHS: Final = 4_096
HITS: Final = 1_000
STRATA: Final = 4_096
SAMPLE_ROWS: Final = 1 << 14
"""Values of a column that one shard gives to the statistics."""

WrappedKey: TypeAlias = tuple[str, str, int | None, int | None, str]
"""(provider, key, length, expected, fingerprint)."""
KindKey: TypeAlias = tuple[str, str, str]
"""(kind, variant, encoding)."""
PLAINTEXT: Final = "plaintext"
OPAQUE: Final = "opaque"
MALFORMED: Final = "malformed"
EMPTY: Final = "empty"
NO_FORMAT: Final = frozenset({PLAINTEXT, OPAQUE, MALFORMED, EMPTY})


@dataclass(frozen=True, slots=True)
class Shape:
    """What values have in common besides their random bytes: all of a `Parsed` that is counted."""

    kind: str
    variant: str = ""
    encoding: str = ""
    bits: int = 0
    cipher: Cipher | None = None
    wrapped: tuple[WrappedKey, ...] = ()
    static_key: str = ""
    has_unit: bool = False
    unit_bits: int = 0
    shows_context: bool = False
    commitment: Commitment = Commitment.UNKNOWN
    deterministic: bool | None = None
    length: int | None = None
    """Of the plaintext, or of the ciphertext where the format does not show that."""
    remarks: tuple[str, ...] = ()
    context_names: tuple[str, ...] = ()
    """Of the context's entries, without the format's own."""
    own_entries: bool = False
    """The context has entries of the format's own, such as a signer's key."""

    @property
    def parsed(self) -> bool:
        """Whether a format was recognised."""
        return self.kind not in NO_FORMAT


@dataclass(frozen=True, slots=True)
class Span:
    """How many, and when their rows were first and last written: microseconds since 1970, None where not known."""

    count: int
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Span) -> Span:
        firsts = [at for at in (self.first, other.first) if at is not None]
        lasts = [at for at in (self.last, other.last) if at is not None]
        return Span(self.count + other.count, min(firsts, default=None), max(lasts, default=None))


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """One rule of the context over the rows of a shard."""

    equal: int = 0
    differs: Seen[int] = field(default_factory=Seen)
    absent: Seen[int] = field(default_factory=Seen)


@dataclass(frozen=True, slots=True)
class Found:
    """One needle's value and spelling in this column."""

    of: str
    encoding: str
    value: int
    seen: Seen[int]


@dataclass(slots=True)
class ColumnResult:
    """One column of one shard."""

    column: str
    rows: int = 0
    nulls: int = 0
    empties: int = 0
    left_out: int = 0
    kinds: Bounded[KindKey, Seen[int]] = field(default_factory=lambda: Bounded(KINDS, b""))
    bits: dict[str, int] = field(default_factory=dict)
    """By kind."""
    ciphers: Bounded[Cipher, Span] = field(default_factory=lambda: Bounded(CIPHERS, b""))
    wrapped: Bounded[WrappedKey, Span] = field(default_factory=lambda: Bounded(WRAPPED, b""))
    wrapped_total: int = 0
    unwrapped: int = 0
    static_keys: Bounded[str, Span] = field(default_factory=lambda: Bounded(KEYS, b""))
    wraps: tuple[int, int] | None = None
    remarks: dict[str, int] = field(default_factory=dict)
    committed: tuple[int, int, int] = (0, 0, 0)
    deterministic: Seen[int] = field(default_factory=Seen)
    compared: int = 0
    hidden: int = 0
    unit_bits: int | None = None
    counting: int = 0
    """Nonces of which another one of the same batch is the successor."""
    shown: int = 0
    not_shown: int = 0
    rules: tuple[RuleSeen, ...] = ()
    contexts: Distinct = field(default_factory=Distinct)
    by_entries: int = 0
    """Values whose context was compared by its declared entries, as it has entries of the format's own besides."""
    undeclared: Seen[int] = field(default_factory=Seen)
    """Values whose context has entries that no rule asks for."""
    undeclared_names: Bounded[str, Span] = field(default_factory=lambda: Bounded(KEYS, b""))
    undeclared_contexts: Distinct = field(default_factory=Distinct)
    """Of these values, by the declared entries alone."""
    lengths: Bounded[int, Span] = field(default_factory=lambda: Bounded(LENGTHS, b""))
    lengths_total: int = 0
    statistics: Histograms = field(default_factory=Histograms)
    detected: dict[tuple[str, bool], Seen[int]] = field(default_factory=dict)
    searched: int = 0
    """Bytes in which canaries were sought."""
    found: tuple[Found, ...] = ()
    found_more: bool = False
    """There are more than are told."""
    strata: tuple[str, ...] = ()
    tokens: Tokens | None = None


@dataclass(slots=True)
class ShardResult:
    """What one shard told."""

    shard: str
    rows: int
    columns: tuple[ColumnResult, ...]
    left_out: tuple[LeftOut, ...]
    tenants: Distinct
    present: frozenset[int]
    """Canaries whose row was seen."""
    surprises: tuple[str, ...]
    """Columns that the listing did not see."""
    dialect: str
    """Of the hashes: results of different dialects cannot be compared."""
    planted: tuple[tuple[int, int], ...] = ()
    """(canary, row): the first rows of each canary that are in the shard."""
